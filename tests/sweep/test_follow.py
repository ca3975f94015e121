"""Following an axis: hysteresis of a bistable cubic, whose folds are at u = ±2 / (3 sqrt 3)."""

import numpy as np
import pytest

from axonal.errors import InputError
from axonal.sweep import Follow, failures, sweep

FOLD = 2 / (3 * np.sqrt(3))


def cubic(u, start, slope=1.0):
    """Relax dx/dt = u + slope x - x^3 from the neighbour's solution, step by step."""
    x = start
    for _ in range(800):
        rate = u + slope * x - x**3
        x = x + 0.2 * rate
    return {"x": x, "rate": rate}


FORCES = np.linspace(-1, 1, 81)


def loop(**options):
    return sweep(
        cubic, {"u": Follow(FORCES, carry="x", initial=-1.5), "slope": [0.0, 1.0]}, **options
    )


def test_the_loop_jumps_at_the_exact_folds_of_the_cubic():
    x = loop(vectorized=True)["x"].sel(slope=1.0)
    up, down = (x.sel(direction=way).values for way in ("up", "down"))
    jump_up = FORCES[1:][np.diff(up) > 1]
    jump_down = FORCES[:-1][np.diff(down) > 1]
    spacing = FORCES[1] - FORCES[0]
    assert jump_up.size == jump_down.size == 1
    assert FOLD < jump_up[0] < FOLD + spacing
    assert -FOLD - spacing < jump_down[0] < -FOLD
    outside = abs(FORCES) > FOLD
    np.testing.assert_allclose(up[outside], down[outside], atol=1e-9)
    assert (up[~outside] < 0).all()
    assert (down[~outside] > 0).all()


def test_without_bistability_there_is_no_loop():
    x = loop(vectorized=True)["x"].sel(slope=0.0)
    away = abs(FORCES) > 0.2  # relaxation is slow where the slope vanishes
    np.testing.assert_allclose(
        x.sel(direction="up")[away], x.sel(direction="down")[away], atol=1e-6
    )


def test_paths_are_the_same_in_blocks_and_on_two_workers():
    over = {"u": Follow(FORCES[::10], carry="x", initial=-1.5), "slope": [0.0, 0.5, 1.0]}
    single = sweep(cubic, over)
    assert sweep(cubic, over, jobs=2).equals(single)
    blocks = sweep(cubic, over, vectorized=True)
    np.testing.assert_allclose(blocks["x"], single["x"], rtol=1e-12)


def test_a_path_is_walked_in_the_directions_given_without_a_break():
    def trace(u, start):
        return {"u2": u * u, "count": start + 1}

    down_first = sweep(trace, {"u": Follow([1, 2, 3], "count", 0, ("down", "up"))})
    assert down_first["direction"].values.tolist() == ["down", "up"]
    assert down_first["count"].values.tolist() == [[3, 2, 1], [4, 5, 6]]
    one_way = sweep(trace, {"u": Follow([1, 2, 3], "count", 0, ("up",))})
    assert one_way["count"].values.tolist() == [[1, 2, 3]]


def test_a_failed_step_is_nan_and_the_next_starts_from_the_last_good_one():
    def gap(u, start):
        if u == 2 and start < 3:
            raise ValueError("lost the branch")
        return start + 1

    data = sweep(gap, {"u": Follow([1, 2, 3], initial=0)}, jobs=2)
    assert data["value"].values.tolist() == [[1, pytest.approx(np.nan, nan_ok=True), 2], [5, 4, 3]]
    assert failures(data)[["u", "direction", "message"]].values.tolist() == [
        [2, "up", "lost the branch"]
    ]


@pytest.mark.parametrize("vectorized", [False, True])
def test_a_path_without_one_good_point_leaves_the_others_alone(vectorized):
    def half(u, b, start):
        if np.any(b == 2):
            raise ValueError("nothing there")
        return start + u

    over = {"u": Follow([1, 2], initial=0), "b": [1, 2, 3]}
    data = sweep(half, over, vectorized=vectorized)
    assert np.isnan(data["value"].sel(b=2)).all()
    np.testing.assert_array_equal(data["value"].sel(b=3), [[1, 3], [6, 5]])
    assert failures(data)["b"].tolist() == [2] * 4


def test_randomness_along_a_path_depends_on_the_point_and_the_direction():
    def walk(u, start, rng):
        return rng.normal()

    few = sweep(walk, {"u": Follow([1, 2])}, repeats=2)["value"]
    more = sweep(walk, {"u": Follow([0, 1, 2])}, repeats=2)["value"]
    assert more.sel(u=[1, 2]).equals(few)
    assert len(np.unique(few)) == 8


def test_bad_paths_are_answered_with_one_sentence():
    with pytest.raises(InputError, match="'up' and 'down'"):
        Follow([1, 2], directions=("left",))
    with pytest.raises(InputError, match=r"carries 'y', which the function does not return.*x"):
        sweep(cubic, {"u": Follow([0.0, 1.0], carry="y", initial=0.0)})
    with pytest.raises(InputError, match="only one axis"):
        sweep(cubic, {"u": Follow([0.0]), "slope": Follow([1.0])})
