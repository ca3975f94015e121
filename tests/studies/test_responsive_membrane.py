"""The study of responsive membranes runs at its smoke preset and measures what its claims speak of."""

from __future__ import annotations

import numpy as np
import pytest

from axonal.lab import Run, run_study
from axonal.lab.registry import load
from axonal.studies.responsive_membrane import figures, measures


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return run_study(load("responsive-membrane"), "smoke", home=tmp_path_factory.mktemp("runs"))


def test_every_claim_is_judged_from_measurements(run):
    verdicts = {claim["id"]: claim["verdict"] for claim in run.claims}
    assert len(verdicts) == 8
    assert "not tested" not in verdicts.values()


def test_the_exact_claims_have_the_verdicts_of_the_model(run):
    verdicts = {claim["id"]: claim["verdict"] for claim in run.claims}
    assert verdicts["bistability"] == verdicts["hysteresis"] == "supported"
    assert verdicts["uptake-from-partitioning-to-slowing"] == "supported"
    assert verdicts["clogging-by-orders"] == "not supported"


def test_the_jumps_of_the_driven_grid_lie_outside_the_exact_folds(run):
    measured = {name: entry["mean"] for name, entry in run.measurements.items()}
    assert measured["grid_jump_force_up"] > measured["jump_force_up"]
    assert measured["grid_jump_force_down"] < measured["jump_force_down"]
    assert measured["jump_force_up"] == pytest.approx(5.264081, abs=1e-6)


def test_swelling_by_an_attracted_solute_is_bistable_in_no_draw(run):
    assert run.measurements["bistable_swelling_attractive"]["mean"] == 0
    assert run.measurements["bistable_share_swelling_attractive"]["mean"] == 0


def test_tables_of_ones_own_give_the_phase_diagram_of_the_laws_they_sample(tmp_path):
    phi, c = np.linspace(0.05, 0.45, 200), np.linspace(0.2, 1.8, 800)
    properties, response = tmp_path / "properties.csv", tmp_path / "response.csv"
    table = np.column_stack([phi, np.exp(-6 * phi), np.exp(-5 * phi / (1 - phi))])
    np.savetxt(properties, table, delimiter=",", header="phi,K,D", comments="")
    table = np.column_stack([c, 0.25 - 0.15 * np.tanh((c - 1) / 0.1)])
    np.savetxt(response, table, delimiter=",", header="c,phi", comments="")
    config = load("responsive-membrane").configuration(
        "smoke", properties_table=properties, response_table=response
    )
    own = measures.own_membrane(config).bistable_region([0.0, 2.0, 4.0])
    valve = measures.membrane_of(measures.VALVE, config).bistable_region([0.0, 2.0, 4.0])
    assert own.upper.values == pytest.approx(valve.upper.values, rel=1e-3)
    assert own.lower.values == pytest.approx(valve.lower.values, rel=1e-3)
    name, figure, *_ = figures.own_diagram(measures.own_membrane(config), 8.0)
    assert name == "own-phase-diagram"
    assert figure.axes[0].lines
