"""A plan says what a sweep takes; a limit thins the grid; progress is lines; crossings are bisected."""

import json
import time

import numpy as np
import pytest

from axonal.errors import InputError
from axonal.sweep import Follow, crossings, plan, sweep
from axonal.sweep.plan import duration
from axonal.sweep.progress import reporter


def slow(a, b=0.0):
    time.sleep(0.01)
    return np.full(5, a + b)


def test_a_plan_counts_points_time_and_memory():
    p = plan(slow, {"a": range(20), "b": range(10)}, jobs=4)
    assert (p.points, p.axes, p.bytes, p.workers) == (200, {"a": 20, "b": 10}, 200 * 40, 4)
    assert 0.009 < p.seconds_each < 0.1
    assert p.seconds == pytest.approx(p.seconds_each * 200 / 4)
    assert "200 points (a 20 x b 10) x 1 repeats, one call a point" in str(p)


def test_a_plan_of_blocks_and_of_paths():
    blocks = plan(lambda a, rng: rng.normal(), {"a": range(500)}, repeats=4, vectorized=True)
    assert (blocks.block, blocks.repeats, blocks.bytes) == (125, 4, 16_000)
    paths = plan(lambda u, start, b: u, {"u": Follow(range(50)), "b": range(3)})
    assert (paths.points, paths.axes) == (3, {"b": 3, "u": 50})


def test_a_limit_thins_the_grid_and_keeps_its_ends_and_values():
    over = {"a": np.linspace(0, 1, 60), "b": np.linspace(0, 1, 40)}
    with pytest.warns(
        UserWarning, match="more than limit = '0.5s': it is thinned from a 60 x b 40 to"
    ):
        data = sweep(slow, over, limit="0.5s")
    assert data.sizes["a"] * data.sizes["b"] <= 50
    assert data.sizes["a"] > data.sizes["b"] > 2
    assert set(data["a"].values) <= set(over["a"])
    assert (data["a"][0], data["a"][-1], data["b"][-1]) == (0, 1, 1)


def test_a_limit_that_fits_changes_nothing_and_one_that_cannot_says_so():
    assert sweep(slow, {"a": range(3)}, limit=60).sizes["a"] == 3
    with pytest.raises(InputError, match="even the coarsest grid takes about"):
        sweep(slow, {"a": range(9)}, limit=0.001)


@pytest.mark.parametrize(("words", "seconds"), [("90s", 90), ("5min", 300), ("1.5h", 5400), (7, 7)])
def test_durations_are_read(words, seconds):
    assert duration(words) == seconds


def test_a_duration_that_is_none_is_told_so():
    with pytest.raises(InputError, match="'5min'"):
        duration("soon")


def test_progress_goes_to_a_function_and_ends_at_the_total():
    seen = []
    sweep(slow, {"a": range(7)}, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (7, 7)
    assert seen == sorted(seen)


def test_progress_lines_are_text_or_json(capsys):
    for kind in ("text", "json"):
        report = reporter(kind, "flux", every=0.0)
        report(0, 4)
        report(3, 4)
        report(4, 4)
    lines = capsys.readouterr().err.splitlines()
    assert lines[1].startswith("sweep flux: 3 of 4, ")
    assert "left" in lines[1]
    record = json.loads(lines[4])
    assert (record["sweep"], record["done"], record["total"]) == ("flux", 3, 4)
    assert {"seconds", "left"} <= set(record)


def wave(x, height):
    return height * np.cos(x)


def test_crossings_are_found_at_every_point_of_the_grid():
    found = crossings(
        wave, {"x": np.linspace(0, 10, 20)}, 0.5, over={"height": [0.4, 1.0]}, tolerance=1e-12
    )
    assert found["x"].dims == ("height", "crossing")
    np.testing.assert_allclose(
        found["x"].sel(height=1.0), np.array([1, 5, 7]) * np.pi / 3, rtol=1e-12
    )
    np.testing.assert_array_equal(found["rising"].sel(height=1.0), [-1, 1, -1])
    assert np.isnan(found["x"].sel(height=0.4)).all()


def test_a_count_that_jumps_is_located_like_anything_else():
    def roots(u):
        return {"count": np.isreal(np.roots([1, 0, -1, u])).sum()}

    found = crossings(roots, {"u": np.linspace(-1, 1, 11)}, 2.0, of="count", tolerance=1e-9)
    np.testing.assert_allclose(found["u"], np.array([-2, 2]) / (3 * np.sqrt(3)), atol=2e-9)


def test_noise_that_is_common_along_the_axis_moves_the_crossing_but_not_the_bracket():
    def line(x, rng):
        return x + 0.1 * rng.normal()

    found = crossings(line, {"x": [-1.0, 1.0]}, 0.0, repeats=16, common=["x"], tolerance=1e-10)
    mean = sweep(line, {"x": [0.0]}, repeats=16, common=["x"])["value"].mean()
    np.testing.assert_allclose(found["x"], [-mean], atol=1e-9)


def test_a_crossing_whose_bisection_fails_is_nan_and_the_others_go_on():
    def fragile(x, height):
        if height == 1.0 and 0.4 < x < 0.6:
            raise ValueError("no solution")
        return x * height

    found = crossings(fragile, {"x": [0.0, 1.0]}, 0.5, over={"height": [1.0, 2.0]})
    np.testing.assert_allclose(found["x"], [[np.nan], [0.25]], atol=1e-6)


def test_crossings_refuse_what_has_no_crossing():
    with pytest.raises(InputError, match="ascending"):
        crossings(wave, {"x": [1.0, 0.0]}, 0.5, over={"height": [1.0]})
    with pytest.raises(InputError, match="only a number"):
        crossings(slow, {"a": [0.0, 1.0]}, 0.5)
