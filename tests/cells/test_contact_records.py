"""Simulation and records: the drawn times have their laws, tables go round, bad rows are named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from axonal.cells.contact import (
    Contact,
    ContactModel,
    DwellRecord,
    ReceptorArray,
    TwoLigandKinetics,
    simulate_dwell_times,
)
from axonal.errors import InputError

KINETICS = TwoLigandKinetics(binding=0.01, unbinding=1.0, alpha=0.3)
CORRECT = np.full(4000, 60.0)


def simulate(duration: float, stop="censor", start="unbound", kinetics=KINETICS, seed=0):
    rng = np.random.default_rng(seed)
    return simulate_dwell_times(kinetics, CORRECT, 300.0, duration, rng, stop=stop, start=start)


def test_dwell_times_follow_their_densities():
    record = simulate(1e-9, stop="exceed")  # the first pair of every receptor
    assert record.pairs == 4000
    rate = 0.01 * 360
    assert stats.kstest(record.unbound, "expon", (0, 1 / rate)).pvalue > 1e-3

    def mixture(tau):
        return 1 - (60 * np.exp(-tau) + 300 * np.exp(-tau / 0.3)) / 360

    assert stats.kstest(record.bound, mixture).pvalue > 1e-3


def test_occupancy_of_a_stationary_start_holds_from_beginning_to_end():
    record = simulate(0.7, start="stationary")
    bound = np.bincount(record.receptor, record.bound, record.receptors)
    bound += np.nan_to_num(record.cut_bound) + np.nan_to_num(record.first_bound)
    fraction = bound / 0.7
    error = fraction.std(ddof=1) / np.sqrt(len(fraction))
    assert abs(fraction.mean() - KINETICS.occupancy(60.0, 300.0)) < 4 * error


@pytest.mark.parametrize("start", ["unbound", "stationary"])
def test_every_censored_receptor_is_accounted_for_to_the_last_instant(start):
    record = simulate(1.3, start=start)
    total = np.bincount(record.receptor, record.unbound + record.bound, record.receptors)
    total += (
        record.cut_unbound + np.nan_to_num(record.cut_bound) + np.nan_to_num(record.first_bound)
    )
    np.testing.assert_allclose(total, 1.3, rtol=1e-12)


@pytest.mark.parametrize("start", ["unbound", "stationary"])
def test_bindings_are_as_many_as_expected(start):
    record = simulate(1.3, start=start)
    # Bindings seen: completed pairs and those cut while bound after an unbound interval.
    counts = np.bincount(record.receptor, minlength=record.receptors).astype(float)
    counts += ~np.isnan(record.cut_bound) & ~record.held_throughout
    error = counts.std(ddof=1) / np.sqrt(len(counts))
    assert abs(counts.mean() - KINETICS.expected_bindings(60.0, 300.0, 1.3, start)) < 4 * error


def test_exceeding_the_time_keeps_the_last_pair_whole():
    kinetics = TwoLigandKinetics(alpha=1.0)
    record = simulate(0.5, stop="exceed", kinetics=kinetics)
    total = np.bincount(record.receptor, record.unbound + record.bound, record.receptors)
    assert total.min() >= 0.5
    assert np.isnan(record.cut_bound).all()
    # Wald: one pair more than renewals by T, of cycles with rates lam (binding) and mu (release).
    lam, mu, time = 0.01 * 360, 1.0, 0.5
    renewals = lam * mu * time / (lam + mu)
    renewals -= lam * mu / (lam + mu) ** 2 * -np.expm1(-(lam + mu) * time)
    counts = np.bincount(record.receptor, minlength=record.receptors)
    error = counts.std(ddof=1) / np.sqrt(len(counts))
    assert abs(counts.mean() - 1 - renewals) < 4 * error


def test_the_same_seed_gives_the_same_record():
    one, two = simulate(1.0, seed=3), simulate(1.0, seed=3)
    np.testing.assert_array_equal(one.bound, two.bound)
    np.testing.assert_array_equal(one.cut_bound, two.cut_bound)


@pytest.mark.parametrize("start", ["unbound", "stationary"])
def test_a_record_goes_round_through_its_table(start, tmp_path):
    record = simulate(1.3, start=start)
    path = tmp_path / "dwell.csv"
    record.to_table().to_csv(path, index=False)
    back = DwellRecord.from_table(path, duration=1.3, receptors=4000, start=start)
    np.testing.assert_array_equal(back.receptor, record.receptor)
    for name in ("unbound", "bound", "cut_unbound", "cut_bound", "first_bound"):
        np.testing.assert_allclose(getattr(back, name), getattr(record, name), atol=1e-12)
    array = ReceptorArray(np.linspace(0.01, 100, 4000), 100.0)
    model = ContactModel(array, KINETICS)
    contact = Contact(500, 0.2, 40, 10)
    assert model.log_likelihood(back, contact) == pytest.approx(
        model.log_likelihood(record, contact), rel=1e-10
    )


def table(**changes) -> pd.DataFrame:
    columns = {"receptor": [0, 0, 2], "t_on": [0.2, 0.9, 0.1], "t_off": [0.5, np.nan, 0.4]}
    return pd.DataFrame({**columns, **changes})


def test_a_table_becomes_pairs_and_cut_intervals():
    record = DwellRecord.from_table(table(), duration=2.0, receptors=4)
    np.testing.assert_allclose(record.unbound, [0.2, 0.1])
    np.testing.assert_allclose(record.bound, [0.3, 0.3])
    np.testing.assert_allclose(record.cut_unbound, [0.4, 2.0, 1.6, 2.0])
    np.testing.assert_allclose(record.cut_bound, [1.1, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"t_off": [0.1, np.nan, 0.4]}, r"Row 0 .*t_off is not after t_on"),
        ({"t_on": [0.2, 0.4, 0.1]}, r"Row 1 .*begins before the one above has ended"),
        ({"receptor": [1, 1, 0]}, r"Row 2 .*receptors must ascend"),
        ({"t_on": [-0.1, 0.9, 0.1]}, r"Row 0 .*t_on is not in \[0, 2\)"),
        ({"receptor": [-1, 0, 2]}, r"Row 0 .*index is negative"),
        ({"receptor": [0, 0, 9]}, r"Row 2: receptor 9 of 4"),
    ],
)
def test_a_bad_row_of_a_table_is_named(changes, words):
    with pytest.raises(InputError, match=words):
        DwellRecord.from_table(table(**changes), duration=2.0, receptors=4)


def test_a_table_without_its_columns_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"\['t_off'\] missing"):
        DwellRecord.from_table(table().drop(columns="t_off"), duration=2.0)
    with pytest.raises(InputError, match="can't be read as a table"):
        DwellRecord.from_table(tmp_path / "absent.csv", duration=2.0)


def test_a_receptor_bound_at_the_start_contradicts_an_unbound_start():
    with pytest.raises(InputError, match="bound at time 0"):
        DwellRecord.from_table(table(t_on=[0.0, 0.9, 0.1]), duration=2.0, start="unbound")


@pytest.mark.parametrize(
    ("field", "values", "words"),
    [
        ("bound", [0.1, -0.2], r"Row 1: the bound time must be positive \(s\); got -0.2"),
        ("unbound", [0.0, 0.2], "Row 0: the unbound time must be positive"),
        ("bound", [0.1, np.nan], "Row 1: the bound time must be positive"),
        ("receptor", [2, 1], "Row 1: receptors must ascend"),
        ("receptor", [1, 7], r"must be in 0\.\.3"),
        ("bound", [0.1], "A pair has a receptor, an unbound and a bound time"),
    ],
)
def test_impossible_records_are_refused_by_row(field, values, words):
    good = {"receptor": [0, 1], "unbound": [0.1, 0.2], "bound": [0.1, 0.2]} | {field: values}
    arrays = {name: np.array(value) for name, value in good.items()}
    with pytest.raises(InputError, match=words):
        DwellRecord(**arrays, duration=1.0, receptors=4)


def test_a_measuring_time_that_is_not_positive_is_refused():
    with pytest.raises(InputError, match="measuring time must be positive"):
        simulate(0.0)
    with pytest.raises(InputError, match="use stop='censor'"):
        simulate(1.0, stop="exceed", start="stationary")
    with pytest.raises(InputError, match="'censor' or 'exceed'"):
        simulate(1.0, stop="never")


def test_receptors_without_any_ligand_are_refused():
    with pytest.raises(InputError, match="see no ligand at all"):
        simulate_dwell_times(KINETICS, np.zeros(5), 0.0, 1.0, np.random.default_rng(0))
