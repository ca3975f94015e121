"""The contact-sensing study: the paper's curves as read, and what is made of simulated batches."""

from __future__ import annotations

import numpy as np
import pytest

from axonal.cells.contact import auc_det
from axonal.errors import InputError
from axonal.studies.contact_sensing_limits import study
from axonal.studies.contact_sensing_limits.published import FNR_TRIALS, curve, nearest_values
from axonal.studies.contact_sensing_limits.simulated import (
    batch_areas,
    bound,
    estimates,
    likelihood_ratios,
    pooled_areas,
    setup,
    spread,
)

SHARED = setup(study.configuration("laptop"))
SMALL = {**SHARED, "spacing": 0.1}


@pytest.mark.parametrize("profile", ["errors", "gaussian"])
@pytest.mark.parametrize("chi", [0.1, 0.2, 0.5])
def test_the_papers_theory_along_alpha_is_our_closed_form(profile, chi):
    name = "rect" if profile == "errors" else "gaussian"
    for place, quantity in enumerate(("sd_c_t", "sd_chi", "sd_x0")):
        alphas, values = curve(profile, quantity, "alpha", "line", chi=chi)
        fair = alphas > 0.1  # below, the paper's quadrature loses the tail of the profile
        ours = [bound(SHARED, a, chi, 10.0, 10.0, name)[place] for a in alphas[fair]]
        np.testing.assert_allclose(values[fair], ours, rtol=2e-3)


def test_the_papers_theory_along_the_width_leaves_out_the_unbound_time():
    instant = {**SHARED, "binding": 1e6}
    widths, values = curve("errors", "sd_c_t", "sigma", "line", alpha=1.0)
    table = np.array([bound(SHARED, 1.0, 0.1, s, 10.0)[0] for s in widths])
    without = np.array([bound(instant, 1.0, 0.1, s, 10.0)[0] for s in widths])
    np.testing.assert_allclose(values / table, 0.954, atol=0.002)
    np.testing.assert_allclose(values, without, rtol=3e-3)


def test_published_false_negatives_come_from_2880_simulations_each():
    alphas = np.linspace(0.03, 1, 20).round(4)
    for chi in np.linspace(0.01, 0.98, 20).round(4):
        x, values = curve("fnr_map", "fnr", "alpha", chi=float(chi))
        np.testing.assert_allclose(x, alphas, atol=2e-4)
        # Four digits are kept, enough to tell neighbouring multiples of 1/2880 apart.
        assert np.abs(values * FNR_TRIALS - np.round(values * FNR_TRIALS)).max() < 0.17


def test_an_unknown_published_curve_is_an_error():
    with pytest.raises(InputError, match="no published marker curve errors sd_x0 along alpha"):
        curve("errors", "sd_x0", "alpha", chi=0.3)


def test_the_nearest_published_point_is_taken():
    x, y = np.array([1.0, 2.0, 4.0]), np.array([10.0, 20.0, 40.0])
    np.testing.assert_array_equal(nearest_values(x, y, np.array([3.9, 1.4])), [40.0, 10.0])


def test_spread_of_small_batches_is_unbiased():
    rng = np.random.default_rng(0)
    deviations = spread(rng.normal(0, 2.0, (20_000, 5)))
    assert deviations.mean() == pytest.approx(2.0, abs=4 * deviations.std() / np.sqrt(20_000))


def test_areas_of_batches_average_to_rank_probabilities():
    rng = np.random.default_rng(0)
    present, absent = rng.normal(1, 1, (3, 4, 9)).round(1), rng.normal(0, 1, (3, 4, 8)).round(1)
    areas = batch_areas(present, absent)
    assert areas.shape == (3, 4)
    assert areas[2, 1] == pytest.approx(auc_det(present[2, 1], absent[2, 1]).value)
    pooled, low, high = pooled_areas(present, absent)
    assert pooled[1] == pytest.approx(auc_det(present[1], absent[1]).value)
    assert ((low < pooled) & (pooled < high)).all()


def test_a_point_of_a_sweep_depends_on_its_random_numbers_alone():
    point = {"alpha": 0.5, "chi": 0.2, "sigma": 5.0, "duration": 1.0, "shared": SMALL, "trials": 3}
    one, two = (estimates(**point, rng=np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one["x0"], two["x0"])
    ratios = likelihood_ratios(**point, rng=np.random.default_rng(4))
    assert ratios["present"].shape == ratios["absent"].shape == (3,)
    assert ratios["present"].min() >= 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"curves": (0.8, 1.0)}, "0.5 and 1 among them"),
        ({"widths": (3.0, 1.0)}, "two values or more that ascend"),
        ({"stop": "never"}, "exceed"),
        ({"spacing": -1.0}, "spacing"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(values, words):
    with pytest.raises(InputError, match=words):
        study.configuration("laptop", **values)
