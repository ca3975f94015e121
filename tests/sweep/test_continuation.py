"""Continuation through folds whose places are known exactly."""

import numpy as np
import pytest

from axonal.errors import AxonalError, InputError
from axonal.sweep import continue_curve

FOLD = 2 / (3 * np.sqrt(3))


def cubic(x, u):
    return x**3 - x + u


def test_the_folds_of_the_cubic_are_exact():
    curve = continue_curve(cubic, 1.3, -1.0, within=(-1.0, 1.0))
    np.testing.assert_allclose([fold.parameter for fold in curve.folds], [FOLD, -FOLD], rtol=1e-13)
    np.testing.assert_allclose(
        [fold.state for fold in curve.folds], np.array([1, -1]) / np.sqrt(3), rtol=1e-9
    )
    assert curve.ended == ("range", "range")
    assert (curve.parameter[0], curve.parameter[-1]) == (-1.0, 1.0)
    np.testing.assert_allclose(cubic(curve.state, curve.parameter), 0, atol=1e-10)


def test_the_orientation_tells_the_middle_branch_from_the_outer_ones():
    curve = continue_curve(cubic, 1.3, -1.0, within=(-1.0, 1.0))
    np.testing.assert_array_equal(curve.orientation, np.sign(3 * curve.state**2 - 1))


def test_a_circle_is_followed_once_round_and_closed():
    curve = continue_curve(lambda x, u: x**2 + u**2 - 4, 2.0, 0.0, within=(-3.0, 3.0), step=0.02)
    assert curve.ended == ("closed", "closed")
    np.testing.assert_allclose(np.hypot(curve.state, curve.parameter), 2, rtol=1e-10)
    np.testing.assert_allclose(sorted(f.parameter for f in curve.folds), [-2, 2], rtol=1e-13)
    angle = np.unwrap(np.arctan2(curve.state, curve.parameter))
    assert abs(angle[-1] - angle[0]) == pytest.approx(2 * np.pi)


def test_the_fold_of_the_bratu_problem_is_found():
    """u'' + λ e^u = 0 on (0, 1): θ = sqrt(2 λ) cosh(θ / 4) exactly, with its fold at 3.513830719125."""

    def bratu(theta, rate):
        return theta - np.sqrt(2 * rate) * np.cosh(theta / 4)

    curve = continue_curve(bratu, 0.5, 0.1, within=(0.05, 4.0))
    assert [fold.parameter for fold in curve.folds] == pytest.approx([3.513830719125161], rel=1e-13)


@pytest.mark.parametrize("analytic", [False, True])
def test_the_discretised_bratu_problem_folds_near_the_exact_one(analytic):
    n = 15
    h = 1 / (n + 1)
    laplace = (np.eye(n, k=1) - 2 * np.eye(n) + np.eye(n, k=-1)) / h**2

    def residual(u, rate):
        return laplace @ u + rate * np.exp(u)

    def jacobian(u, rate):
        return np.column_stack([laplace + np.diag(rate * np.exp(u)), np.exp(u)])

    curve = continue_curve(
        residual,
        np.zeros(n),
        0.5,
        within=(0.2, 4.0),
        jacobian=jacobian if analytic else None,
        largest_step=0.3,
    )
    assert len(curve.folds) == 1
    assert curve.folds[0].parameter == pytest.approx(3.5138, abs=3 * h**2)
    assert curve.state.shape == (len(curve.parameter), n)


def test_the_cusp_is_the_fold_of_the_curve_of_folds():
    """x^3 - b x + a = 0 has folds where 3 x^2 = b; followed in (x, a) over b they meet at b = 0."""

    def fold_curve(state, b):
        x, a = state
        return [x**3 - b * x + a, 3 * x**2 - b]

    curve = continue_curve(fold_curve, [1.0, 2.0], 3.0, within=(-1.0, 4.0))
    assert len(curve.folds) == 1
    np.testing.assert_allclose([*curve.folds[0].state, curve.folds[0].parameter], 0, atol=1e-12)
    np.testing.assert_allclose(27 * curve.state[:, 1] ** 2, 4 * curve.parameter**3, atol=1e-7)


def test_steep_scales_do_not_hide_a_fold():
    """The same cubic with x in thousandths and u in thousands."""
    curve = continue_curve(
        lambda x, u: cubic(x * 1e3, u / 1e3), 1.3e-3, -1e3, within=(-1e3, 1e3), scale=1e-3
    )
    np.testing.assert_allclose(
        [f.parameter for f in curve.folds], [FOLD * 1e3, -FOLD * 1e3], rtol=1e-12
    )


def test_two_folds_closer_than_a_step_are_found_with_smaller_steps():
    """Near a cusp, x^3 - gap x + u has folds at u = ±2 (gap / 3)^1.5."""
    gap = 1e-5
    curve = continue_curve(
        lambda x, u: x**3 - gap * x + u, 1.0, gap - 1.0, within=(-1.0, 1.0), largest_step=0.002
    )
    exact = 2 * (gap / 3) ** 1.5
    np.testing.assert_allclose([f.parameter for f in curve.folds], [exact, -exact], rtol=1e-6)


def test_steps_shorten_where_the_curve_turns_so_that_no_fold_is_missed():
    """u = x + 2 sin(k x) / k turns back wherever cos(k x) = -1/2."""
    k = 100.0
    turns = np.arange(-20, 21)[:, None] * 2 * np.pi + np.array([-2, 2]) * np.pi / 3
    folds = np.sort((turns / k + 2 * np.sin(turns) / k).ravel())
    curve = continue_curve(lambda x, u: u - x - 2 * np.sin(k * x) / k, 0.0, 0.0, within=(-1.0, 1.0))
    np.testing.assert_allclose(
        np.sort([f.parameter for f in curve.folds]), folds[abs(folds) <= 1], rtol=1e-9, atol=1e-12
    )


def test_one_direction_starts_where_it_was_told():
    curve = continue_curve(cubic, 1.3, -1.0, within=(-1.5, 1.0), direction="up")
    assert curve.ended == ("start", "range")
    assert curve.parameter[0] == -1.0
    assert curve.parameter.max() < 1.0 + 1e-12


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((cubic, np.nan, 0.0), "finite numbers"),
        ((cubic, 1.0, 5.0), "low < high with parameter = 5.0"),
        ((lambda x, u: x**2 + 1, 1.0, 0.0), "no solution found near state = 1.0"),
        ((lambda x, u: [x, u], 1.0, 0.0), r"shape \(2,\), but there are 1 unknowns"),
    ],
)
def test_bad_input_is_answered_with_one_sentence(arguments, words):
    with pytest.raises(InputError, match=words):
        continue_curve(*arguments, within=(-1.0, 1.0))


def test_a_curve_that_ends_nowhere_says_where():
    with (
        pytest.raises(AxonalError, match="cannot be followed beyond"),
        np.errstate(invalid="ignore"),
    ):
        continue_curve(lambda x, u: x - np.sqrt(u), 1.0, 1.0, within=(-1.0, 2.0))
