"""Each edit is the formula that it is documented as."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from axonal.activations import (
    Add,
    Affine,
    Clamp,
    Dictionary,
    Gate,
    Interchange,
    Latents,
    Project,
    Replace,
    ScaleUnits,
)
from axonal.errors import InputError

WIDTH = 6


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X = draw(2, 5, WIDTH, seed=1)
P = torch.linalg.qr(draw(WIDTH, 2, seed=2)).Q
CENTER = draw(WIDTH, seed=3)


def test_add_adds_a_multiple() -> None:
    vector = draw(WIDTH)
    assert torch.equal(Add(vector, -2.0)(X), X - 2 * vector)


def test_a_relative_step_is_a_fraction_of_the_norm() -> None:
    step = Add(draw(WIDTH), 0.3, norm_dims=(-1,))(X) - X
    torch.testing.assert_close(step.norm(dim=-1), 0.3 * X.norm(dim=-1))
    field = draw(2, 3, 4, 4, seed=4)  # one concept over channels and space, one norm a sample
    step = Add(draw(3, 4, 4), -0.5, norm_dims=(1, 2, 3))(field) - field
    torch.testing.assert_close(step.flatten(1).norm(dim=1), 0.5 * field.flatten(1).norm(dim=1))


def test_projecting_out_leaves_nothing_and_projecting_onto_leaves_only_it() -> None:
    skewed = P @ draw(2, 2, seed=5)  # the basis is made orthonormal
    out = Project(skewed)(X)
    torch.testing.assert_close(out @ P, torch.zeros(2, 5, 2, dtype=torch.float64))
    torch.testing.assert_close(out + Project(skewed, keep="subspace")(X), X)
    torch.testing.assert_close(Project(skewed)(out), out)


def test_a_centered_projection_puts_the_center_in_its_place() -> None:
    out = Project(P, center=CENTER)(X)
    torch.testing.assert_close(out @ P, (CENTER @ P).expand(2, 5, 2))
    torch.testing.assert_close(Project(P)(out), Project(P)(X))
    only = Project(P, keep="subspace", center=CENTER)(X)
    torch.testing.assert_close(only, CENTER + (X - CENTER) @ P @ P.T)


def test_an_affine_map_acts_in_its_coordinates_and_nowhere_else() -> None:
    matrix, bias = draw(2, 2, seed=6), draw(2, seed=7)
    out = Affine(matrix, bias, P, center=CENTER)(X)
    torch.testing.assert_close((out - CENTER) @ P, (X - CENTER) @ P @ matrix.T + bias)
    torch.testing.assert_close(Project(P)(out), Project(P)(X))
    whole = draw(WIDTH, WIDTH, seed=8)
    torch.testing.assert_close(Affine(whole)(X), X @ whole.T)


def test_strength_interpolates_between_nothing_and_the_edit() -> None:
    affine = Affine(draw(2, 2, seed=6), draw(2, seed=7), P)
    half = Affine(draw(2, 2, seed=6), draw(2, seed=7), P, strength=0.5)
    torch.testing.assert_close(half(X), (X + affine(X)) / 2)
    by_row = Replace(1.0, strength=torch.tensor([1.0, 0.0]))(X)
    assert (by_row[0] == 1).all()
    assert torch.equal(by_row[1], X[1])


def test_the_closed_form_of_transport_between_two_normals_is_an_affine_edit() -> None:
    """N(1, 4) becomes N(4, 9) by z -> 1.5 z + 2.5."""
    edit = Affine(torch.tensor([[1.5]]), torch.tensor([2.5]), torch.eye(WIDTH)[:, :1]).double()
    torch.testing.assert_close(edit(X)[..., 0], 1.5 * X[..., 0] + 2.5)
    assert torch.equal(edit(X)[..., 1:], X[..., 1:])


def test_single_units_are_scaled_and_the_others_bit_identical() -> None:
    out = ScaleUnits([4, 1], torch.tensor([-1.0, 0.5]))(X)
    assert torch.equal(out[..., 4], torch.zeros_like(X[..., 4]))
    assert torch.equal(out[..., 1], 1.5 * X[..., 1])
    assert torch.equal(out[..., [0, 2, 3, 5]], X[..., [0, 2, 3, 5]])


def test_clamping_bounds_its_units_only() -> None:
    high = torch.tensor([0.1, 0.2], dtype=torch.float64)
    out = Clamp(low=0.0, high=high, units=[2, 0])(X)
    assert torch.equal(out[..., 2], X[..., 2].clamp(0.0, 0.1))
    assert torch.equal(out[..., 0], X[..., 0].clamp(0.0, 0.2))
    assert torch.equal(out[..., [1, 3, 4, 5]], X[..., [1, 3, 4, 5]])
    assert torch.equal(Clamp(high=0.0)(X), X.clamp(max=0.0))


def test_a_gate_mixes_with_its_reference_and_is_exact_at_both_ends() -> None:
    gate = torch.tensor([0.0, 1.0, 0.25, 0.5, 1.0, 0.0], dtype=torch.float64)
    out = Gate(gate, CENTER)(X)
    torch.testing.assert_close(out, gate * X + (1 - gate) * CENTER)
    assert torch.equal(out[..., [1, 4]], X[..., [1, 4]])
    assert torch.equal(out[..., [0, 5]], CENTER[[0, 5]].expand(2, 5, 2))


def test_replacing_broadcasts_over_the_activation() -> None:
    assert torch.equal(Replace(CENTER)(X), CENTER.expand_as(X))
    assert torch.equal(Replace(X.mean(1, keepdim=True))(X), X.mean(1, keepdim=True).expand_as(X))


def test_interchange_takes_the_other_value_where_it_has_one() -> None:
    other = draw(2, 3, WIDTH, seed=9)
    out = Interchange(other)(X)
    assert torch.equal(out[:, :3], other)
    assert torch.equal(out[:, 3:], X[:, 3:])
    one_for_all = Interchange(other[:1])(X)
    assert torch.equal(one_for_all[:, :3], other[:1].expand(2, 3, WIDTH))


def test_interchange_in_a_subspace_leaves_the_rest() -> None:
    other = draw(2, 5, WIDTH, seed=9)
    out = Interchange(other, basis=P)(X)
    torch.testing.assert_close(out @ P, other @ P)
    torch.testing.assert_close(Project(P)(out), Project(P)(X))


def dictionary(activation: str) -> Dictionary:
    extra = {"topk": {"k": 3}, "jumprelu": {"threshold": draw(20, seed=12).abs()}}
    return Dictionary(
        draw(20, WIDTH, seed=10),
        draw(20, WIDTH, seed=11),
        draw(20, seed=13),
        draw(WIDTH, seed=14),
        activation=activation,
        **extra.get(activation, {}),
    )


@pytest.mark.parametrize("activation", ["relu", "topk", "jumprelu"])
def test_latents_are_added_and_clamped_and_what_is_not_reconstructed_stays(activation) -> None:
    sae = dictionary(activation)
    features, w = sae.encode(X), sae.decoder
    out = Latents(sae, add={2: 1.5}, clamp={7: 0.0, 9: 3.0})(X)
    expected = X + 1.5 * w[2] - features[..., 7:8] * w[7] + (3.0 - features[..., 9:10]) * w[9]
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("activation", ["relu", "topk", "jumprelu"])
def test_encoding_some_latents_equals_encoding_all(activation: str) -> None:
    sae, some = dictionary(activation), torch.tensor([3, 11, 0])
    torch.testing.assert_close(sae.encode(X, some), sae.encode(X)[..., some])


def test_topk_leaves_k_latents_active_and_jumprelu_those_above_their_threshold() -> None:
    assert ((dictionary("topk").encode(X) != 0).sum(-1) <= 3).all()
    sae = dictionary("jumprelu")
    active = sae.encode(X)
    assert sae.threshold is not None
    assert ((active == 0) | (active > sae.threshold)).all()


def test_latents_may_be_read_after_the_step() -> None:
    sae = dictionary("relu")
    w = sae.decoder
    out = Latents(sae, add={2: 1.5}, clamp={7: 0.0}, read="after")(X)
    stepped = X + 1.5 * w[2]
    torch.testing.assert_close(out, stepped - sae.encode(stepped)[..., 7:8] * w[7])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Add(torch.tensor([1.0, float("nan")])), r"Add: vector of shape \(2,\) holds NaN"),
        (lambda: Add(torch.ones(2), float("nan")), "Add: scale is nan"),
        (lambda: Add(torch.ones(2), strength=float("inf")), "Add: strength is inf"),
        (lambda: Add(torch.zeros(2), norm_dims=(-1,)), "no direction"),
        (lambda: Project(torch.ones(4, 2)), "linearly dependent"),
        (lambda: Project(torch.zeros(4)), "zero or linearly dependent"),
        (lambda: Project(torch.eye(2), keep="both"), "'complement' or 'subspace'"),
        (
            lambda: Affine(torch.eye(2), basis=torch.ones(4, 3)),
            r"basis has shape \(4, 3\), expected",
        ),
        (lambda: Affine(torch.ones(2, 3)), r"matrix has shape \(2, 3\), expected \(2, 2\)"),
        (lambda: ScaleUnits([1, 1], 0.5), "distinct"),
        (lambda: ScaleUnits([1, 2], torch.ones(3)), "2 units but gains of shape"),
        (lambda: Clamp(), "lower bound, an upper bound or both"),
        (lambda: Clamp(1.0, 0.0), "above its upper bound"),
        (lambda: Interchange(torch.ones(4, 6)), r"\(rows, positions, \.\.\.\), got \(4, 6\)"),
        (lambda: Interchange(torch.ones(1, 2, 3), torch.ones(1, 3)), "mask of shape"),
        (lambda: Dictionary(torch.ones(4, 2), torch.ones(2, 4)), r"both \(latents, width\)"),
        (lambda: Dictionary(torch.ones(4, 2), torch.ones(4, 2), k=3), "k goes with"),
        (lambda: Dictionary(torch.ones(4, 2), torch.ones(4, 2), activation="tanh"), "known are"),
        (lambda: Latents(dictionary("relu"), add={2: float("nan")}), "Latent 2 cannot be moved"),
        (lambda: Latents(dictionary("relu"), add={20: 1.0}), "no latent 20: the dictionary has 20"),
    ],
)
def test_an_edit_is_valid_or_does_not_exist(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Gate(torch.ones(5)), "does not broadcast over"),
        (Replace(torch.ones(5)), "does not broadcast over"),
        (Affine(torch.eye(4)), "made for 4 features, but 6 flow here"),
        (Clamp(0.0, units=[6]), "no unit 6 among 6 features"),
        (Interchange(torch.ones(2, 5, 4)), "source of shape"),
        (Add(torch.ones(6), tokens=[1]), "called with input_ids"),
    ],
)
def test_an_activation_of_another_shape_is_refused(edit, message: str) -> None:
    with pytest.raises(InputError, match=message):
        edit(X)


@pytest.mark.parametrize("subspace", [True, False])
def test_an_affine_edit_follows_its_parameters_and_lets_gradients_through(subspace: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    basis = torch.linalg.qr(torch.randn(6, 2, generator=generator)).Q if subspace else None
    k = 2 if subspace else 6
    matrix, bias = torch.randn(k, k, generator=generator), torch.randn(k, generator=generator)
    center, x = torch.randn(6, generator=generator), torch.randn(3, 4, 6, generator=generator)

    def expected(edit: Affine) -> torch.Tensor:
        z = (x - center) if basis is None else (x - center) @ basis
        step = z @ edit.matrix.mT + bias - z
        return x + (step if basis is None else step @ basis.mT)

    edit = Affine(matrix, bias, basis, center=center)
    torch.testing.assert_close(edit(x), expected(edit), atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        edit.matrix.mul_(2.0)
    torch.testing.assert_close(edit(x), expected(edit), atol=1e-5, rtol=1e-5)
    edit.requires_grad_()
    edit(x).sum().backward()
    assert edit.matrix.grad is not None
    torch.testing.assert_close(edit(x), expected(edit), atol=1e-5, rtol=1e-5)
    with torch.inference_mode():
        inside = Affine(matrix, bias, basis, center=center)
        first = inside(x)
        inside.matrix.mul_(3.0)
        assert not torch.allclose(inside(x), first)


def test_a_function_of_positions_may_say_all_or_none() -> None:
    from axonal.activations import Add, Call

    x, call = torch.zeros(2, 3, 4), Call(2, 3, prompt_columns=3)
    for answer in (True, False):
        moved = Add(torch.ones(4), positions=lambda _, answer=answer: answer)(x, call)
        assert bool((moved == float(answer)).all())


def test_an_affine_edit_follows_a_parameter_that_is_replaced_or_written_to() -> None:
    one = Affine(torch.zeros(3, 3), torch.ones(3))
    x = torch.randn(1, 2, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(one(x), torch.ones_like(x))
    with torch.no_grad():
        one.bias.add_(1.0)  # pyright: ignore[reportOptionalMemberAccess]
    torch.testing.assert_close(one(x), torch.full_like(x, 2.0))
    one.bias = nn.Parameter(torch.full((3,), 5.0), requires_grad=False)
    torch.testing.assert_close(one(x), torch.full_like(x, 5.0))
    assert one.double()(x.double()).dtype == torch.float64
    with torch.inference_mode():
        one(x)
    grown = x.clone().requires_grad_()
    one(grown).sum().backward()  # what was prepared in inference mode serves in a graph
    assert grown.grad is not None
