"""The light-harvesting study on a user's own complex, and the function its sweeps evaluate."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from axonal.lab import run_study
from axonal.physics.light_harvesting import disorder_average, ring_acceptor
from axonal.studies.light_harvesting_transport import study
from axonal.studies.light_harvesting_transport.disorder import mean_efficiency

mpl.use("Agg")
PIGMENTS = Path(__file__).parents[1] / "physics" / "data" / "3eoj_pigments.pdb"
SETTINGS = {
    "N": 8,
    "dimerisation": 0.0,
    "J": 0.005,
    "xi": 0.01,
    "kappa_ring": 1e-4,
    "sink": 0.01,
}


def test_a_point_of_the_sweep_is_the_disorder_average_of_its_ring():
    point = mean_efficiency(
        {"kind": "diagonal", "width": 0.05, "relative": False},
        detuning=-0.3,
        ring=SETTINGS,
        dephasing=1e-4,
        samples=6,
        rng=np.random.default_rng(0),
        coupling=0.5,
    )
    expected = disorder_average(
        ring_acceptor(g=0.5), "diagonal", 0.05, 6, -0.3, [1e-4], reference="bright", seed=0
    )
    assert point["eta"] == pytest.approx(float(expected.eta[0, 0]))
    assert point["error"] == pytest.approx(float(expected.eta_se[0, 0]))


def test_a_structure_of_the_users_own_takes_the_place_of_fmo(tmp_path):
    settings = {"structure": str(PIGMENTS), "dipole_debye": 5.48, "entry": 5, "trap": 2}
    run = run_study(study, "smoke", settings, home=tmp_path)
    measured = run.measurements
    without, best = (
        measured[name]["mean"] for name in ("complex_without_dephasing", "complex_best")
    )
    assert 0 < without < best < 1
