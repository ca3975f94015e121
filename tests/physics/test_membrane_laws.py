"""Constitutive laws, tables and units: their mathematics, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from axonal.errors import InputError
from axonal.physics.membrane import (
    ConservedPolymer,
    FreeVolumeDiffusivity,
    HillResponse,
    ResponsiveMembrane,
    Scales,
    TabulatedLaw,
    TabulatedResponse,
    TanhResponse,
    VirialPartition,
    lennard_jones_virial,
)
from axonal.physics.membrane.laws import slope

PHI = np.array([0.05, 0.2, 0.55])
LAWS = [
    (VirialPartition(6.0), PHI),
    (FreeVolumeDiffusivity(5.0, 2.0), PHI),
    (ConservedPolymer(0.5, 0.3), PHI),
    (TanhResponse(0.1, 0.4, 1.0, 0.1, "collapse"), np.array([0.7, 0.98, 1.3])),
    (TanhResponse(0.1, 0.4, 1.0, 0.1, "swelling"), np.array([0.7, 0.98, 1.3])),
    (HillResponse(0.1, 0.4, 2.0, 8.0, "swelling"), np.array([1.3, 2.0, 4.0])),
    (TabulatedLaw([0.0, 0.3, 0.6], [1.0, 0.2, 0.01]), PHI),
    (TabulatedResponse([0.5, 1.0, 1.5, 3.0], [0.1, 0.15, 0.35, 0.4]), np.array([0.7, 1.1, 2.0])),
]


@pytest.mark.parametrize(("law", "x"), LAWS)
def test_every_law_knows_its_own_slope(law, x):
    by_difference = slope(lambda at: law(at), x)
    assert slope(law, x) == pytest.approx(by_difference, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("kind", ["collapse", "swelling"])
def test_the_tanh_response_runs_between_its_ends_and_inverts(kind):
    law = TanhResponse(0.1, 0.4, 1.0, 0.1, kind)
    assert law(1.0) == pytest.approx(0.25)
    assert sorted(law(np.array([0.0, 9.0]))) == pytest.approx([0.1, 0.4])
    assert (law(0.9) < law(1.1)) == (kind == "collapse")
    assert law(law.inverse(PHI[1:2])) == pytest.approx(PHI[1:2], rel=1e-14)


def test_the_tails_of_a_response_keep_relative_accuracy():
    tail = TanhResponse(0.0, 0.4, 1.0, 0.1, "collapse")(-1.0)
    assert tail == pytest.approx(0.4 * np.exp(-40), rel=1e-12)


def test_the_logistic_response_is_the_tanh_response_of_twice_the_scale():
    law = TanhResponse.logistic(0.1, 0.4, 1.0, 0.05, "collapse")
    c = np.linspace(0.6, 1.4, 9)
    assert law(c) == pytest.approx(0.1 + 0.3 / (1 + np.exp(-(c - 1) / 0.05)), rel=1e-12)


def test_the_hill_response_is_the_binding_isotherm():
    law = HillResponse(0.1, 0.4, 2.0, 3.0, "collapse")
    c = np.array([0.5, 2.0, 7.0])
    assert law(c) == pytest.approx(0.1 + 0.3 * c**3 / (c**3 + 8), rel=1e-12)


def test_a_lennard_jones_solute_turns_from_attracted_to_repelled_at_the_boyle_temperature():
    assert lennard_jones_virial(3.4179) == pytest.approx(0.0, abs=1e-3)
    assert lennard_jones_virial(1.0) == pytest.approx(-5.3158, abs=1e-3)  # tabulated -2.538 b0
    assert VirialPartition.lennard_jones(2.0).interaction < 0
    assert VirialPartition.lennard_jones(6.0).interaction > 0


def test_a_table_passes_through_its_points_and_does_not_overshoot(tmp_path):
    path = tmp_path / "laws.csv"
    path.write_text("phi,K,D\n0.1,0.55,0.57\n0.2,0.3,0.29\n0.4,0.09,0.036\n")
    law = TabulatedLaw.from_csv(path, "phi", "K")
    assert law([0.1, 0.2, 0.4]) == pytest.approx([0.55, 0.3, 0.09], rel=1e-12)
    assert np.all(np.diff(law(np.linspace(0.1, 0.4, 50))) < 0)
    with pytest.raises(InputError, match="no column 'kappa'"):
        TabulatedLaw.from_csv(path, "phi", "kappa")


def test_a_tabulated_membrane_has_the_steady_states_of_the_law_it_samples():
    exact = ResponsiveMembrane(VirialPartition(6), response=TanhResponse(kind="swelling"))
    phi = np.linspace(0.1, 0.4, 400)
    c = np.linspace(0.2, 1.8, 1601)
    table = ResponsiveMembrane(
        TabulatedLaw(phi, exact.partition(phi)),
        TabulatedLaw(phi, exact.diffusivity(phi)),
        TabulatedResponse(c, exact.response(c)),
    )
    expected = [fold.force for fold in exact.fold_points(0.8)]
    assert [fold.force for fold in table.fold_points(0.8)] == pytest.approx(expected, rel=1e-4)


def test_a_table_that_falls_and_rises_needs_no_inverse():
    table = TabulatedResponse([0.8, 1.0, 1.2, 2.0, 2.2, 2.4], [0.4, 0.25, 0.1, 0.1, 0.2, 0.3])
    membrane = ResponsiveMembrane(VirialPartition(6), response=table)
    states = membrane.steady_states(3.0, 1.5)
    assert len(states) == 3
    assert membrane.response(states.uptake) == pytest.approx(states.volume_fraction, rel=1e-12)
    assert membrane.inert_uptake(3.0, 1.5, states.volume_fraction) == pytest.approx(
        states.uptake, rel=1e-10
    )


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: TanhResponse(low=0.4, high=0.1), "low < high"),
        (lambda: TanhResponse(low=0.2, high=0.2), "low < high"),
        (lambda: TanhResponse(low=-0.1), "0 <= low"),
        (lambda: TanhResponse(high=1.0), "< 1"),
        (lambda: TanhResponse(width=0.0), "width"),
        (lambda: TanhResponse(threshold=-1.0), "threshold"),
        (lambda: TanhResponse(kind="shrink"), "'collapse' or 'swelling'"),  # pyright: ignore
        (lambda: HillResponse(exponent=np.nan), "exponent"),
        (lambda: VirialPartition(np.inf), "interaction"),
        (lambda: FreeVolumeDiffusivity(-1.0), "obstruction"),
        (lambda: lennard_jones_virial(0.0), "temperature"),
        (lambda: TabulatedLaw([0.1, 0.2], [1.0, -1.0]), "must be positive"),
        (lambda: TabulatedLaw([0.1, 0.1], [1.0, 2.0]), "sort it"),
        (lambda: TabulatedLaw([0.1], [1.0]), "at least 2 rows"),
        (lambda: TabulatedLaw([0.1, 0.2], [1.0, np.nan]), "not finite"),
        (lambda: TabulatedResponse([0.0, 1.0], [0.1, 0.4]), "positive"),
        (lambda: Scales(temperature=-1.0), "temperature"),
    ],
)
def test_laws_that_make_no_sense_are_refused_when_built(build, words):
    with pytest.raises(InputError, match=words):
        build()


def test_a_response_that_leaves_the_unit_interval_is_refused_with_its_concentration():
    with pytest.raises(InputError, match=r"response gives phi = 1\.\d+ at c_in = .*\[0, 1\)"):
        ResponsiveMembrane(response=lambda c: 0.1 + 0.95 * c / (1 + c))
    with pytest.raises(InputError, match="response gives phi = -"):
        ResponsiveMembrane(response=lambda c: 0.3 - 0.4 * c / (1 + c))
    with pytest.raises(InputError, match="response gives phi = nan"):
        ResponsiveMembrane(response=lambda c: np.where(c > 3, np.nan, 0.2))


def test_a_response_with_a_jump_is_refused_where_it_jumps():
    with pytest.raises(InputError, match=r"jumps at c_in = 1\.7"):
        ResponsiveMembrane(response=lambda c: np.where(c > 1.7, 0.4, 0.1))


def test_a_response_that_does_not_act_on_arrays_is_refused():
    with pytest.raises(InputError, match="element by element"):
        ResponsiveMembrane(response=lambda c: np.array([0.2]))


@pytest.mark.parametrize("name", ["partition", "diffusivity"])
def test_a_law_that_is_not_positive_where_the_response_goes_is_named_with_its_phi(name):
    with pytest.raises(InputError, match=rf"{name} gives -.* at phi = 0\.39"):
        ResponsiveMembrane(**{name: lambda phi: 0.39 - phi})
    with pytest.raises(InputError, match=f"{name} gives nan at phi"):
        ResponsiveMembrane(**{name: TabulatedLaw([0.1, 0.3], [1.0, 0.5])})


def test_a_slab_that_swells_out_of_the_system_is_refused():
    with pytest.raises(InputError, match="must fit between the reservoirs"):
        ResponsiveMembrane(thickness=ConservedPolymer(1.0, 0.3))


def test_reduced_units_have_the_si_sizes_of_a_hundred_nanometre_film():
    scales = Scales(thickness=100e-9, diffusivity=1e-9, temperature=298.0, concentration=10.0)
    assert scales.force == pytest.approx(0.0411e-12, rel=2e-3)
    assert scales.time == pytest.approx(10e-6)
    assert scales.flux == pytest.approx(0.1)
    assert scales.velocity == pytest.approx(0.01)
    assert scales.newtons(scales.reduced_force(1e-13)) == pytest.approx(1e-13)


def test_a_membrane_in_si_has_the_fluxes_of_the_reduced_one_times_the_scales():
    scales = Scales()
    reduced = ResponsiveMembrane(VirialPartition(6), response=TanhResponse(kind="swelling"))
    si = ResponsiveMembrane(
        VirialPartition(6),
        response=TanhResponse(threshold=10.0, width=1.0, kind="swelling"),
        thickness=scales.thickness,
        length=2 * scales.thickness,
        bulk_diffusivity=scales.diffusivity,
        beta=1 / (scales.force * scales.thickness),
    )
    states = reduced.steady_states(5.0, 0.8)
    in_si = si.steady_states(float(scales.newtons(5.0)), 8.0)
    assert in_si.volume_fraction == pytest.approx(states.volume_fraction, rel=1e-9)
    assert in_si.flux == pytest.approx(scales.molar_flux(states.flux), rel=1e-9)
    folds = [scales.reduced_force(fold.force) for fold in si.fold_points(8.0)]
    assert folds == pytest.approx([fold.force for fold in reduced.fold_points(0.8)], rel=1e-9)
