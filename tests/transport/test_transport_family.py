"""Every member of the family: one interface, kinds kept, scikit-learn's conventions, one edit."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from clouds import clouds
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from axonal.errors import InputError
from axonal.transport import GaussianTransport, UnitTransport, family

MEMBERS = family(2)
ERASING = {"directional ablation", "affine ablation", "LEACE"}
each_member = pytest.mark.parametrize("name", MEMBERS)


def fitted(name: str, strength: float = 1.0):
    X, Y = clouds(6)
    return family(2, strength=strength)[name].fit(X, Y), X, Y


@each_member
def test_the_map_is_affine_and_strength_interpolates(name: str) -> None:
    whole, X, _ = fitted(name)
    half, _, _ = fitted(name, 0.5)
    M, v = whole.map_.dense()
    np.testing.assert_allclose(whole.transform(X), X @ M.numpy().T + v.numpy(), atol=1e-12)
    np.testing.assert_allclose(half.transform(X), (X + whole.transform(X)) / 2, atol=1e-12)
    M, v = half.map_.dense(0.5)
    np.testing.assert_allclose(half.transform(X), X @ M.numpy().T + v.numpy(), atol=1e-12)
    none, _, _ = fitted(name, 0.0)
    np.testing.assert_array_equal(none.transform(X), X)


@each_member
def test_the_inverse_is_exact_where_it_exists_and_refused_where_not(name: str) -> None:
    for strength in (0.5, 1.0):
        member, X, _ = fitted(name, strength)
        moved = member.transform(X)
        if name in ERASING and strength == 1.0:
            with pytest.raises(InputError, match="erases 1 direction"):
                member.inverse_transform(moved)
        else:
            np.testing.assert_allclose(member.inverse_transform(moved), X, atol=1e-10)


@each_member
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_arrays_and_tensors_come_back_as_what_they_were(name: str, dtype: str) -> None:
    member, X, _ = fitted(name)
    expected = member.transform(X)
    array = member.transform(X.astype(dtype))
    assert isinstance(array, np.ndarray)
    assert array.dtype == dtype
    tensor = member.transform(torch.tensor(X).to(getattr(torch, dtype)))
    assert isinstance(tensor, torch.Tensor)
    assert tensor.dtype == getattr(torch, dtype)
    tolerance = {"float16": 2e-2, "float32": 1e-5, "float64": 1e-12}[dtype]
    for result in (array, tensor.numpy()):
        np.testing.assert_allclose(result.astype(float), expected, atol=tolerance)
    half = fitted(name, 0.5)[0]  # where each has an inverse
    back = half.inverse_transform(half.transform(X.astype(dtype)))
    assert back.dtype == dtype
    np.testing.assert_allclose(back.astype(float), X, atol=3 * tolerance)


@each_member
def test_leading_dimensions_stay(name: str) -> None:
    half, X, _ = fitted(name, 0.5)
    expected = half.transform(X)
    tokens = half.transform(torch.tensor(X[:12].reshape(3, 4, 6)))
    assert tokens.shape == (3, 4, 6)
    np.testing.assert_allclose(tokens.numpy().reshape(12, 6), expected[:12], atol=1e-12)
    np.testing.assert_allclose(half.inverse_transform(tokens).reshape(12, 6), X[:12], atol=1e-11)
    np.testing.assert_allclose(half.inverse_transform(half.transform(X[0])), X[0], atol=1e-11)


@each_member
def test_fitting_on_tensors_arrays_and_lists_is_the_same(name: str) -> None:
    X, Y = clouds(6)
    array = MEMBERS[name].fit(X, Y).transform(X)
    tensor = MEMBERS[name].fit(torch.tensor(X), torch.tensor(Y)).transform(X)
    listed = MEMBERS[name].fit(X.tolist(), Y.tolist()).transform(X)
    np.testing.assert_array_equal(array, tensor)
    np.testing.assert_array_equal(array, listed)
    bfloat = MEMBERS[name].fit(torch.tensor(X).bfloat16(), torch.tensor(Y).bfloat16())
    assert bfloat.transform(torch.tensor(X).bfloat16()).dtype == torch.bfloat16
    whole_numbers = MEMBERS[name].fit(np.round(10 * X).astype(int), np.round(10 * Y).astype(int))
    assert whole_numbers.transform([[1, 2, 3, 4, 5, 6]]).dtype == np.float64


@each_member
def test_the_edit_does_what_transform_does(name: str) -> None:
    for strength in (0.0, 0.5, 1.0):
        member, X, _ = fitted(name, strength)
        rows = torch.tensor(X)[None]
        expected = torch.tensor(member.transform(X))[None]
        torch.testing.assert_close(member.edit()(rows), expected, atol=1e-5, rtol=1e-5)
        limited = member.edit(positions=[1], strength=1.0)(rows)
        torch.testing.assert_close(limited[:, [0]], rows[:, [0]], atol=0, rtol=0)
        assert not torch.equal(limited[:, 1], rows[:, 1])


@each_member
def test_gradients_flow_through_the_map(name: str) -> None:
    member, X, _ = fitted(name)
    rows = torch.tensor(X[:3], requires_grad=True)
    member.transform(rows).sum().backward()
    M, _ = member.map_.dense()
    expected = M.sum(dim=0).expand(3, -1)
    torch.testing.assert_close(rows.grad, expected)


@each_member
def test_scikit_learn_clones_pipes_and_configures_it(name: str) -> None:
    X, Y = clouds(6)
    member = family(2, strength=0.5)[name]
    copy = clone(member)
    assert copy is not member
    assert repr(copy) == repr(member)
    assert copy.get_params() == member.get_params()
    assert not hasattr(copy.fit(X, Y) and clone(copy), "map_")
    assert copy.set_params(strength=1.0) is copy
    assert copy.get_params()["strength"] == 1.0
    with pytest.raises(InputError, match="did you mean strength"):
        copy.set_params(strenght=1.0)
    piped = make_pipeline(StandardScaler(), clone(member)).fit(X, Y).transform(X)
    scaled = StandardScaler().fit(X).transform(X)
    np.testing.assert_allclose(piped, clone(member).fit(scaled, Y).transform(scaled))


@each_member
def test_a_fitted_map_survives_pickling_and_its_rows_changing(name: str) -> None:
    X, Y = clouds(6)
    member = MEMBERS[name].fit(X, Y)
    rows = X[:5].copy()
    expected = member.transform(rows)
    X[:], Y[:] = 0.0, 1.0
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(member)).transform(rows), expected)


def test_a_full_gaussian_map_beats_every_other_member_where_its_assumption_holds() -> None:
    from axonal.transport import Gaussian, wasserstein

    X, Y = clouds(6)
    left = {
        name: wasserstein(Gaussian.of(member.fit_transform(X, Y)), Gaussian.of(Y))
        for name, member in MEMBERS.items()
    }
    assert min(left, key=left.__getitem__) == "Gaussian, full"
    assert left["mean shift"] < left["directional ablation"]


def test_comparisons_are_one_loop() -> None:
    X, Y = clouds(6, source=150, target=150)
    labels = np.repeat([0, 1], [150, 150])
    scores = {}
    for name, member in MEMBERS.items():
        both = np.concatenate([member.fit(X, Y).transform(X), Y])
        scores[name] = LogisticRegression().fit(both, labels).score(both, labels)
    assert scores["mean shift"] < 0.6  # equal means: a linear probe finds (almost) nothing
    assert scores["Gaussian, full"] < 0.6
    assert scores["directional ablation"] > 0.6  # the target's mean is not at the origin


@pytest.mark.parametrize("call", ["transform", "inverse_transform"])
def test_an_unfitted_or_narrower_use_is_refused(call: str) -> None:
    with pytest.raises(InputError, match=r"This GaussianTransport is not fitted: call fit first"):
        getattr(GaussianTransport(), call)(np.zeros((2, 3)))
    member, X, _ = fitted("mean shift")
    with pytest.raises(InputError, match=r"fitted on 6 units, but shape \(300, 5\) came"):
        getattr(member, call)(X[:, :5])
    with pytest.raises(InputError, match=r"fitted on 6 units, but shape \(\) came"):
        getattr(member, call)(1.0)


def test_an_unfitted_map_gives_no_edit() -> None:
    with pytest.raises(InputError, match="not fitted"):
        UnitTransport().edit()
