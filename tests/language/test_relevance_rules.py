"""Propagation rules: the forward pass is untouched, relevance is conserved, nothing is left behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from relevance_models import (
    FAMILIES,
    WITH_BIAS,
    WITHOUT_BIAS,
    build,
    build_exact,
    hooks_on,
    random_pairs,
)
from torch import nn

from axonal.activations import Site
from axonal.errors import AxonalError, InputError
from axonal.language.relevance import (
    PRESETS,
    Rules,
    activation_patching,
    attribution_patching,
    check_conservation,
    conservation_error,
    propagation_rules,
    relevance,
    relevance_patching,
)
from axonal.language.relevance.backward import (
    ACTIVATIONS,
    IDENTITY_COEFFICIENTS,
    ScaledGradient,
)

pytestmark = pytest.mark.filterwarnings("ignore:The model fails this task")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("preset", PRESETS)
def test_forward_pass_is_bit_identical_under_every_preset(family, preset):
    model = build(family)
    ids = random_pairs().clean
    plain = model(ids).logits
    with propagation_rules(model, preset):
        assert torch.equal(model(ids).logits, plain)


@pytest.mark.parametrize("family", WITHOUT_BIAS)
def test_relevance_without_biases_sums_to_the_metric_at_every_layer(family):
    result = relevance(build_exact(family), random_pairs(), rules="conservative")
    # Gemma 2's eager attention rounds its pattern to float32, which is held constant.
    assert float(conservation_error(result).max()) < 1e-11
    check_conservation(result, 1e-11)
    assert np.all(result["biases"] == 0)


@pytest.mark.parametrize("family", WITH_BIAS)
def test_relevance_and_what_biases_absorb_sum_to_the_metric_at_every_layer(family):
    result = relevance(build_exact(family), random_pairs(), rules="conservative")
    assert abs(float(result["biases"][0])) > 1e-3
    assert float(conservation_error(result).max()) < 1e-10


@pytest.mark.parametrize("family", FAMILIES)
def test_relevance_is_not_conserved_while_attention_propagates_gradients(family):
    result = relevance(build_exact(family), random_pairs(), rules="relp")
    assert float(conservation_error(result)[0]) > 1e-3
    with pytest.raises(AxonalError, match="not conserved"):
        check_conservation(result)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3", "qwen3"])
def test_gradient_times_input_of_a_norm_is_zero(family):
    model = build_exact(family)
    for module in model.modules():
        if hasattr(module, "eps"):
            module.eps = 1e-14
    result = relevance(model, random_pairs(), rules="none")
    assert abs(float(result["relevance"][:, -1].sum())) < 1e-10 * float(abs(result["metric"]).sum())
    ruled = relevance(model, random_pairs(), rules="ln")
    assert float(conservation_error(ruled)[-1]) < 1e-10


def test_on_rectifiers_without_norms_relevance_is_the_gradient():
    model = build_exact("gpt2", activation_function="relu")
    pairs = random_pairs()
    gradient = attribution_patching(model, pairs)
    ruled = relevance_patching(model, pairs, rules="identity")
    for kind in gradient:
        np.testing.assert_array_equal(gradient[kind], ruled[kind])


def test_identity_rule_differs_from_the_gradient_of_smooth_activations():
    model = build_exact("gpt2")
    pairs = random_pairs()
    gradient = attribution_patching(model, pairs)["mlp"]
    ruled = relevance_patching(model, pairs, rules="identity")["mlp"]
    assert float(abs(gradient - ruled).max()) > 1e-3


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_identity_coefficient_is_the_activation_over_its_input(name):
    x = torch.linspace(-9, 9, 1801, dtype=torch.float64)
    x = x[x.abs() > 1e-9]
    torch.testing.assert_close(IDENTITY_COEFFICIENTS[name](x) * x, ACTIVATIONS[name](x))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_identity_coefficient_is_finite_and_continuous_at_zero(name):
    x = torch.tensor([-1e-5, 0.0, 1e-5], dtype=torch.float64)
    below, at, above = IDENTITY_COEFFICIENTS[name](x)
    assert torch.isfinite(at)
    assert torch.minimum(below, above) - 1e-4 <= at <= torch.maximum(below, above) + 1e-4


def test_half_rule_splits_the_relevance_of_a_product_and_conserves_it():
    generator = torch.Generator().manual_seed(0)
    u, v, seed = torch.randn(3, 50, generator=generator, dtype=torch.float64)
    u.requires_grad_()
    v.requires_grad_()
    y = u * v
    rho_u, rho_v = torch.autograd.grad(ScaledGradient.apply(y, 0.5), [u, v], seed)
    torch.testing.assert_close(u * rho_u + v * rho_v, y * seed)
    torch.testing.assert_close(u * rho_u, 0.5 * y * seed)


@pytest.mark.parametrize(
    ("attention", "shares"),
    [("frozen", {"v": 1}), ("uniform", {"q": 0.25, "k": 0.25, "v": 0.5})],
)
def test_attention_rules_scale_what_reaches_queries_keys_and_values(attention, shares):
    from axonal.language.relevance.problem import coefficients, prepare

    model, pairs = build_exact("llama"), random_pairs()
    problem = prepare(model, pairs, ("mlp",), None, None, "denoising")
    # In the last layer nothing else stands between the projections and the metric.
    sites = [Site(f"model.layers.2.self_attn.{name}_proj") for name in shares]
    rows = torch.arange(len(pairs))
    _, gradient, _ = coefficients(problem, rows, Rules(), sites)
    _, ruled, _ = coefficients(problem, rows, Rules(attention=attention), sites)
    for site, share in zip(sites, shares.values(), strict=True):
        torch.testing.assert_close(ruled[site], share * gradient[site])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_norm_activation_gate_and_attention_is_covered(family):
    model = build(family)
    with propagation_rules(model, "conservative") as coverage:
        norms = [p for p, m in model.named_modules() if "Norm" in type(m).__name__]
        assert list(coverage.norms) == norms
        assert len(coverage.activations) == len(coverage.attention) == 3
        gated = family not in ("gpt2", "gpt-neox", "gpt-neox-sequential")
        assert len(coverage.gates) == (3 if gated else 0)
    assert all(form.unit_offset == family.startswith("gemma") for form in coverage.norms.values())
    centred = family in ("gpt2", "gpt-neox", "gpt-neox-sequential")
    assert all(form.centred == centred for form in coverage.norms.values())


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_everything_is_restored_when_the_context_is_left_by_an_exception(family):
    model = build(family)
    backend = model.config._attn_implementation
    hooks = hooks_on(model)

    def fail_inside():
        with propagation_rules(model, "conservative"):
            assert hooks_on(model) > hooks
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail_inside()
    assert hooks_on(model) == hooks
    assert model.config._attn_implementation == backend
    assert not any("forward" in vars(module) for module in model.modules())
    with propagation_rules(model, "conservative"):
        pass


def test_gradients_are_the_models_own_after_the_context():
    model, pairs = build_exact("llama"), random_pairs()
    before = attribution_patching(model, pairs)
    relevance_patching(model, pairs, rules="attnlrp")
    after = attribution_patching(model, pairs)
    for kind in before:
        np.testing.assert_array_equal(before[kind], after[kind])


def test_rules_on_one_model_leave_another_alone_even_with_a_shared_configuration():
    model = build_exact("llama")
    other = type(model)(model.config).double().eval().requires_grad_(False)
    other.load_state_dict(model.state_dict(), strict=False)
    pairs = random_pairs()
    plain = attribution_patching(other, pairs)
    with propagation_rules(model, "conservative"):
        within = attribution_patching(other, pairs)
    for kind in plain:
        np.testing.assert_array_equal(plain[kind], within[kind])


def test_rules_do_not_nest_on_one_model():
    model = build("llama")
    with propagation_rules(model), pytest.raises(InputError, match="already"):
        relevance_patching(model, random_pairs())
    assert hooks_on(model) == 0


def test_single_rules_add_up_to_the_preset():
    assert Rules.named("ln+identity+half") == PRESETS["relp"]
    assert Rules.named("ln+identity+half+ah") == PRESETS["conservative"]
    with pytest.raises(InputError, match="did you mean half"):
        Rules.named("ln+halve")


def test_in_half_precision_scores_stay_close():
    model = build("llama").to(torch.bfloat16)
    full = build("llama")
    for method in (relevance_patching, activation_patching):
        half, whole = method(model, random_pairs()), method(full, random_pairs())
        for kind in half:
            # The unit, a difference of logits, is rounded too.
            assert (
                np.corrcoef(half[kind].to_numpy().ravel(), whole[kind].to_numpy().ravel())[0, 1]
                > 0.98
            )
    assert np.isfinite(relevance(model, random_pairs())["relevance"]).all()


class OddNorm(nn.Module):
    """Divides by the largest entry."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width), requires_grad=False)
        self.eps = 1e-6

    def forward(self, x):
        return x / (x.abs().amax(-1, keepdim=True) + self.eps) * self.weight


class Snake(nn.Module):
    def forward(self, x):
        return x + torch.sin(x) ** 2


class OpaqueMLP(nn.Module):
    """A gate that goes through a sigmoid which is no module."""

    def __init__(self, mlp: nn.Module) -> None:
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = mlp.gate_proj, mlp.up_proj, mlp.down_proj
        self.act_fn = mlp.act_fn

    def forward(self, x):
        hidden = self.act_fn(self.gate_proj(x)) * torch.sigmoid(self.up_proj(x))
        return self.down_proj(hidden)


def test_an_unknown_norm_is_refused_by_its_path():
    model = build("llama")
    model.model.layers[1].input_layernorm = OddNorm(32)
    with pytest.raises(InputError, match=r"model\.layers\.1\.input_layernorm \(OddNorm\)"):
        relevance_patching(model, random_pairs())


def test_an_unknown_activation_is_refused_by_its_path():
    model = build("llama")
    model.model.layers[2].mlp.act_fn = Snake()
    with pytest.raises(InputError, match=r"model\.layers\.2\.mlp\.act_fn \(Snake\)"):
        relevance_patching(model, random_pairs())


def test_an_opaque_gate_is_refused_by_its_path():
    model = build("llama")
    model.model.layers[0].mlp = OpaqueMLP(model.model.layers[0].mlp)
    with pytest.raises(InputError, match=r"model\.layers\.0\.mlp \(OpaqueMLP\) is opaque"):
        relevance_patching(model, random_pairs())
    assert hooks_on(model) == 0


def test_rules_that_apply_to_nothing_are_refused():
    with pytest.raises(InputError, match="apply to nothing"):
        relevance_patching(build("gpt2"), random_pairs(), rules="half")


def test_a_model_in_training_mode_is_refused():
    with pytest.raises(InputError, match=r"call model\.eval\(\)"):
        relevance_patching(build("gpt2").train(), random_pairs())


def test_a_compiled_model_is_refused():
    model = build("llama")
    model.compile()
    with pytest.raises(InputError, match="compiled"), propagation_rules(model):
        pass


def test_quantised_weights_are_refused():
    model = build("llama")
    projection = model.model.layers[0].mlp.up_proj
    integers = projection.weight.to(torch.int8)
    projection.weight = nn.Parameter(integers, requires_grad=False)
    with pytest.raises(InputError, match=r"up_proj\.weight are torch\.int8"):
        relevance_patching(model, random_pairs())


def test_an_attention_kernel_without_rules_is_refused():
    model = build("llama")
    model.config._attn_implementation_internal = "flash_attention_2"
    with (
        pytest.raises(InputError, match=r"set_attn_implementation\('sdpa'\)"),
        propagation_rules(model, "conservative"),
    ):
        pass
