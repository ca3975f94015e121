"""Structures and published complexes: readers, dipole couplings, units and the real FMO protein."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from axonal.errors import InputError
from axonal.physics.light_harvesting import (
    Chromophores,
    ExcitonNetwork,
    dipole_couplings,
    exciton_hamiltonian,
    fmo,
    fmo_hamiltonian,
    loss_budget,
    optimal_dephasing,
    read_chromophores,
    transfer_efficiency,
)

PIGMENTS = Path(__file__).parent / "data" / "3eoj_pigments.pdb"


def two(separation: list[float], first: list[float], second: list[float]) -> float:
    pair = Chromophores(("a", "b"), np.array([[0.0, 0, 0], separation]), np.array([first, second]))
    return dipole_couplings(pair)[0, 1]


def test_dipole_constant_is_that_of_the_physical_constants():
    from scipy.constants import c, epsilon_0, h

    debye = 1e-21 / c
    in_wavenumbers = debye**2 / (4 * np.pi * epsilon_0 * 1e-30) / (h * c * 100)
    np.testing.assert_allclose(
        two([0, 0, 10.0], [1, 0, 0], [1, 0, 0]) * 1e3, in_wavenumbers, rtol=1e-6
    )


def test_dipoles_couple_by_orientation_and_the_cube_of_distance():
    side_by_side = two([0, 0, 10.0], [5, 0, 0], [5, 0, 0])
    assert two([0, 0, 10.0], [0, 0, 5], [0, 0, 5]) == pytest.approx(-2 * side_by_side)
    assert two([0, 0, 10.0], [5, 0, 0], [0, 5, 0]) == pytest.approx(0)
    assert two([0, 0, 20.0], [5, 0, 0], [5, 0, 0]) == pytest.approx(side_by_side / 8)


def test_rotating_the_structure_leaves_its_couplings():
    chromophores = read_chromophores(PIGMENTS, dipole_debye=5.48)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turned = Chromophores(
        chromophores.labels, chromophores.positions @ turn + 7, chromophores.dipoles @ turn
    )
    np.testing.assert_allclose(dipole_couplings(turned), dipole_couplings(chromophores), atol=1e-9)


def test_couplings_of_the_fmo_crystal_are_the_published_ones():
    # 30 D^2 for bacteriochlorophyll a in this protein; the published values are of another
    # species and of extended charges, so they agree to several cm^-1.
    chromophores = read_chromophores(PIGMENTS, dipole_debye=np.sqrt(30))
    assert len(chromophores.labels) == 8
    couplings = dipole_couplings(chromophores)[:7, :7]
    upper = np.triu_indices(7, 1)
    ours, published = couplings[upper], fmo_hamiltonian()[upper]
    assert np.corrcoef(ours, published)[0, 1] > 0.99
    assert np.abs(ours - published).max() < 9


def test_fmo_transfers_nearly_everything_and_dephasing_helps():
    for start in (1, 6):
        best = optimal_dephasing(fmo(start=start))
        assert best.interior
        assert best.efficiency > 0.98
        assert best.efficiency > best.without
    budget = loss_budget(fmo(dephasing_per_ps=10.0))
    assert abs(budget.eta + budget.loss.sum() - 1) < 1e-12


def test_wavenumbers_become_radians_per_picosecond():
    network = ExcitonNetwork.from_wavenumbers([[0, 100.0], [100.0, 0]], 0.01, 0.0, {"1": 1.0})
    # A coupling of 100 cm^-1 exchanges the excitation in h / (4 V) = 83.4 fs.
    exchange_ps = np.pi / 2 / network.hamiltonian[0, 1].real
    np.testing.assert_allclose(exchange_ps, 0.0833910, rtol=1e-5)


def test_csv_xyz_and_pdb_give_the_same_chromophores(tmp_path):
    known = read_chromophores(PIGMENTS, dipole_debye=5.48)
    rows = [
        [label.replace(" ", "_"), *map(repr, map(float, (*place, *dipole)))]
        for label, place, dipole in zip(known.labels, known.positions, known.dipoles, strict=True)
    ]
    table = tmp_path / "fmo.csv"
    header = "label,x,y,z,mu_x,mu_y,mu_z,energy"
    table.write_text("\n".join([header, *(",".join([*row, "12400"]) for row in rows)]))
    lines = tmp_path / "fmo.xyz"
    lines.write_text("\n".join(["8", "A and D", *(" ".join(row) for row in rows)]))
    for path in (table, lines):
        read = read_chromophores(path)
        np.testing.assert_allclose(read.positions, known.positions)
        np.testing.assert_allclose(read.dipoles, known.dipoles)
    hamiltonian = exciton_hamiltonian(read_chromophores(table))
    np.testing.assert_allclose(np.diag(hamiltonian), 12400)
    network = ExcitonNetwork.from_wavenumbers(hamiltonian, 1e-3, 1.0, {2: 1.0}, start=0)
    assert 0.5 < transfer_efficiency(network) < 1


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "label,x,y,z\nA,1,2,3\n", "missing columns mu_x, mu_y, mu_z"),
        ("a.csv", "label,x,y,z,mu_x,mu_y,mu_z\nA,1,2,three,0,0,1\n", "line 2: 'three' is not"),
        ("a.csv", "label,x,y,z,mu_x,mu_y,mu_z\n", "no chromophores"),
        ("a.csv", "label,x,y,z,mu_x,mu_y,mu_z\nA,1,2,3,0,0,1\nA,9,2,3,0,0,1\n", "'A' comes twice"),
        ("a.xyz", "2\n\nA 1 2 3 0 0 1\n", "announces 2 entries, has 1"),
        ("a.xyz", "1\n\nC 1 2 3\n", "plain XYZ file has no transition dipoles"),
        ("a.xyz", "C 1 2 3\n", "number of entries"),
        ("a.mol", "", "expected a .csv, .xyz or .pdb"),
    ],
)
def test_structure_files_that_do_not_fit(tmp_path, name, text, words):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_chromophores(path)


def test_pdb_files_that_do_not_fit(tmp_path):
    with pytest.raises(InputError, match="pass dipole_debye="):
        read_chromophores(PIGMENTS)
    with pytest.raises(InputError, match="no residue named CLA; it has BCL"):
        read_chromophores(PIGMENTS, dipole_debye=5.0, residues=["CLA"])
    broken = tmp_path / "broken.pdb"
    lines = PIGMENTS.read_text().splitlines()
    broken.write_text("\n".join(line for line in lines if " ND " not in line))
    with pytest.raises(InputError, match="lacks nitrogen NB or ND"):
        read_chromophores(broken, dipole_debye=5.0)
    with pytest.raises(InputError, match="No structure file"):
        read_chromophores(tmp_path / "absent.pdb", dipole_debye=5.0)


def test_chromophores_on_top_of_each_other_or_without_energies():
    close = Chromophores(("a", "b"), np.array([[0, 0, 0], [0, 0, 1.0]]), np.eye(3)[:2])
    with pytest.raises(InputError, match=r"'a' and 'b' are 1.00 A apart"):
        dipole_couplings(close)
    chromophores = read_chromophores(PIGMENTS, dipole_debye=5.0)
    with pytest.raises(InputError, match="no site energies"):
        exciton_hamiltonian(chromophores)
    with pytest.raises(InputError, match="one number or 8"):
        exciton_hamiltonian(chromophores, [1.0, 2.0])
    with pytest.raises(InputError, match="screening must be positive"):
        dipole_couplings(chromophores, screening=0)
