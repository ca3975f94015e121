"""Exact patching is exact, and estimates are exact where the model is linear."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from relevance_models import DEPTH, FAMILIES, HEADS, build, build_exact, hooks_on, random_pairs
from torch import Tensor, nn

from axonal.activations import Sites, record
from axonal.activations.site import Site
from axonal.errors import AxonalError, InputError
from axonal.language.prompts import PromptPairs
from axonal.language.relevance import (
    LogitFunction,
    activation_patching,
    attribution_patching,
    relevance_patching,
)

pytestmark = pytest.mark.filterwarnings("ignore:The model fails this task")

KINDS = ("residual_pre", "attention", "mlp", "heads", "neurons")


def logit_difference(model: nn.Module, ids: Tensor, pairs: PromptPairs) -> Tensor:
    logits = model(ids).logits[torch.arange(len(pairs)), pairs.last]
    return (
        logits.gather(1, pairs.answers[:, None])[:, 0]
        - (logits.gather(1, pairs.distractors[:, None])[:, 0])
    )


def patched_by_hand(
    model: nn.Module, pairs: PromptPairs, kind: str, layer: int, position: int, unit: int | None
) -> Tensor:
    """Replace one component by the clean run's in a whole run of the corrupted prompts."""
    site = getattr(Sites.of(model), kind)(layer)
    site = Site(site.path, site.side)
    clean = record(model, {"input_ids": pairs.clean}, [site])[site]
    width = clean.shape[-1] // (HEADS if kind == "heads" else clean.shape[-1])
    units = slice(None) if unit is None else slice(unit * width, (unit + 1) * width)

    def replace(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, position, units] = clean[:, position, units]
        return x

    handle = site.attach(model, replace)
    try:
        return logit_difference(model, pairs.corrupt, pairs)
    finally:
        handle.remove()


@pytest.mark.parametrize("family", FAMILIES)
def test_activation_patching_equals_a_whole_patched_run(family):
    model, pairs = build_exact(family), random_pairs()
    scores = activation_patching(model, pairs, kinds=KINDS, copies=50)
    clean, corrupt = (logit_difference(model, ids, pairs) for ids in (pairs.clean, pairs.corrupt))
    unit = (clean.mean() - corrupt.mean()).item()
    for kind, index in (
        ("residual_pre", None),
        ("attention", None),
        ("mlp", None),
        ("heads", 2),
        ("neurons", 11),
    ):
        for layer in range(DEPTH):
            for position in (3, 5, 6):
                effect = patched_by_hand(model, pairs, kind, layer, position, index) - corrupt
                score = scores[kind][:, layer, position]
                score = score if index is None else score[:, index]
                # Gemma 2's eager attention rounds its pattern to float32.
                np.testing.assert_allclose(score, effect / unit, rtol=0, atol=1e-6)
    assert hooks_on(model) == 0


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt-neox", "gemma3"])
def test_patching_the_whole_first_difference_restores_the_clean_run(family):
    pairs = random_pairs()
    scores = activation_patching(build_exact(family), pairs, kinds=["residual_pre"])
    first = scores["residual_pre"].mean("pair")[0]
    np.testing.assert_allclose(first[3], 1, atol=1e-9)
    np.testing.assert_allclose(first[[0, 1, 2, 4, 5, 6]], 0, atol=1e-9)


def test_scores_vanish_wherever_activations_agree():
    model, pairs = build_exact("llama"), random_pairs()
    for method in (activation_patching, attribution_patching, relevance_patching):
        scores = method(model, pairs, kinds=KINDS)
        for kind in KINDS:
            assert float(abs(scores[kind].sel(position=slice(0, 2))).max()) == 0.0


def test_noising_is_denoising_of_the_swapped_pairs():
    model, pairs = build_exact("llama"), random_pairs()
    for method in (activation_patching, relevance_patching):
        noising = method(model, pairs, direction="noising")
        denoising = method(model, pairs.swapped(), direction="denoising")
        for kind in noising:
            # The swapped metric has the opposite sign and so has its unit: effects are opposite.
            np.testing.assert_allclose(noising[kind], -denoising[kind], atol=1e-12)


@pytest.mark.parametrize("method", [activation_patching, relevance_patching])
def test_pairs_of_several_lengths_score_as_they_do_alone(method):
    model = build_exact("llama")
    long, short = random_pairs(1, 7), random_pairs(1, 5, differ_at=2, seed=4)
    pad = torch.zeros(1, 2, dtype=torch.long)
    both = PromptPairs(
        clean=torch.cat([long.clean, torch.cat([short.clean, pad], 1)]),
        corrupt=torch.cat([long.corrupt, torch.cat([short.corrupt, pad], 1)]),
        lengths=torch.tensor([7, 5]),
        answers=torch.cat([long.answers, short.answers]),
        distractors=torch.cat([long.distractors, short.distractors]),
        tokens=long.tokens,
    )
    together = method(model, both)
    for row, alone in enumerate((method(model, long), method(model, short))):
        for kind in together:
            length = int(both.lengths[row])
            expected = alone[kind][0] * alone.attrs["unit"]
            measured = together[kind][row, :, :length] * together.attrs["unit"]
            np.testing.assert_allclose(measured, expected, atol=1e-12)
            assert np.isnan(together[kind][row, :, length:]).all()


def test_scores_of_a_batch_are_those_of_its_pairs():
    model, pairs = build_exact("gpt2"), random_pairs(3)
    together = relevance_patching(model, pairs, batch=2)
    for row in range(3):
        alone = relevance_patching(model, pairs[[row]])
        for kind in together:
            np.testing.assert_allclose(
                together[kind][row] * together.attrs["unit"],
                alone[kind][0] * alone.attrs["unit"],
                atol=1e-12,
            )


def test_an_affine_change_of_the_metric_changes_its_unit_only():
    model, pairs = build_exact("llama"), random_pairs()

    def scaled(logits: Tensor, pairs: PromptPairs) -> Tensor:
        rows = torch.arange(len(pairs))
        return -3 * (logits[rows, pairs.answers] - logits[rows, pairs.distractors]) + 5

    for method in (activation_patching, attribution_patching, relevance_patching):
        plain = method(model, pairs)
        affine = method(model, pairs, metric=LogitFunction(scaled))
        assert affine.attrs["unit"] == pytest.approx(-3 * plain.attrs["unit"])
        for kind in plain:
            np.testing.assert_allclose(plain[kind], affine[kind], atol=1e-12)


def test_chosen_layers_score_as_they_do_among_all():
    model, pairs = build_exact("qwen3"), random_pairs()
    for method in (activation_patching, relevance_patching):
        every, some = method(model, pairs), method(model, pairs, layers=[2, 0])
        for kind in every:
            np.testing.assert_allclose(some[kind], every[kind].sel(layer=[2, 0]), atol=1e-12)


def test_gradients_equal_finite_differences():
    model, pairs = build_exact("llama"), random_pairs()
    scores = attribution_patching(model, pairs, kinds=["mlp", "heads"])
    sites = Sites.of(model)
    for kind, layer in (("mlp", 1), ("heads", 0)):
        site = Site(getattr(sites, kind)(layer).path, getattr(sites, kind)(layer).side)
        clean, corrupt = (
            record(model, {"input_ids": ids}, [site])[site] for ids in (pairs.clean, pairs.corrupt)
        )
        change = torch.zeros_like(clean)
        change[:, 4] = (clean - corrupt)[:, 4]
        step, values = 1e-5, []
        for move in (step * change, -step * change):
            handle = site.attach(model, lambda x, move=move: x + move)
            values.append(logit_difference(model, pairs.corrupt, pairs))
            handle.remove()
        slope = (values[0] - values[1]) / (2 * step) / scores.attrs["unit"]
        measured = scores[kind][:, layer, 4]
        measured = measured.sum("head") if kind == "heads" else measured
        np.testing.assert_allclose(measured, slope, atol=1e-6)


@pytest.mark.parametrize("rules", ["none", "relp", "conservative"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_coefficients_add_along_the_residual_stream_of_sequential_blocks(family, rules):
    """rho(mlp_l) = rho(residual_{l+1}), so a stream's score is that of what was added to it."""
    from axonal.language.relevance.problem import activations, coefficients, prepare
    from axonal.language.relevance.rules import Rules

    model, pairs = build_exact(family), random_pairs()
    problem = prepare(model, pairs, ("residual_pre", "attention", "mlp"), None, None, "denoising")
    rows = torch.arange(len(pairs))
    base, rho, _ = coefficients(problem, rows, Rules.named(rules), problem.components)
    source, _ = activations(problem, problem.source, rows, problem.components)
    for layer in range(DEPTH - 1):
        stream, attention, mlp = (
            problem.site(kind, layer) for kind in ("residual_pre", "attention", "mlp")
        )
        above = problem.site("residual_pre", layer + 1)
        torch.testing.assert_close(rho[mlp], rho[above])
        added = sum((source[site] - base[site]) for site in (stream, attention, mlp))
        torch.testing.assert_close(added, source[above] - base[above])


def test_in_parallel_blocks_stream_attention_and_mlp_share_their_coefficient():
    from axonal.language.relevance.problem import coefficients, prepare
    from axonal.language.relevance.rules import Rules

    model, pairs = build_exact("gpt-neox"), random_pairs()
    problem = prepare(model, pairs, ("residual_pre", "attention", "mlp"), None, None, "denoising")
    rows = torch.arange(len(pairs))
    _, rho, _ = coefficients(problem, rows, Rules.named("relp"), problem.components)
    for layer in range(DEPTH - 1):
        above = rho[problem.site("residual_pre", layer + 1)]
        torch.testing.assert_close(rho[problem.site("mlp", layer)], above)
        torch.testing.assert_close(rho[problem.site("attention", layer)], above)


def linear_gpt2() -> nn.Module:
    """A GPT-2 without norms, with a linear activation and uniform attention: a linear network."""
    model = build_exact("gpt2", activation_function="linear")
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.LayerNorm):
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, nn.Identity())
    for block in model.transformer.h:
        block.attn.c_attn.weight[:, : 2 * 32] = 0
        block.attn.c_attn.bias[: 2 * 32] = 0
    return model


def test_in_a_linear_network_every_method_is_exact():
    model, pairs = linear_gpt2(), random_pairs()
    exact = activation_patching(model, pairs, kinds=KINDS)
    for rules in ("none", "identity", "identity+ah"):
        estimate = relevance_patching(model, pairs, kinds=KINDS, rules=rules)
        for kind in KINDS:
            np.testing.assert_allclose(estimate[kind], exact[kind], atol=1e-10)
        assert float(abs(exact["mlp"]).max()) > 1e-3


class LocallyLinearLlama:
    """A Llama written out by hand, whose norms, slopes, gates and patterns can be held constant."""

    def __init__(self, model: Any, ids: Tensor) -> None:
        self.model, self.frozen = model, False
        self.kept: dict[tuple[str, int], Tensor] = {}
        self.plain = self.run(ids)
        self.frozen = True

    def hold(self, name: str, layer: int, value: Tensor) -> Tensor:
        if self.frozen:
            return self.kept[name, layer]
        return self.kept.setdefault((name, layer), value)

    def norm(self, name: str, layer: int, norm: Any, x: Tensor) -> Tensor:
        scale = (x.square().mean(-1, keepdim=True) + norm.eps).rsqrt()
        return x * self.hold(name, layer, scale) * norm.weight

    def attention(self, layer: int, block: Any, x: Tensor) -> Tensor:
        attention = block.self_attn
        rows, length, _ = x.shape

        def heads(y: Tensor) -> Tensor:
            return y.view(rows, length, -1, attention.head_dim).transpose(1, 2)

        query, key, value = (
            heads(project(x)) for project in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        positions = torch.arange(length)[None]
        cos, sin = self.model.model.rotary_emb(x, positions)

        def rotate(y: Tensor) -> Tensor:
            half = y.shape[-1] // 2
            return y * cos[:, None] + torch.cat([-y[..., half:], y[..., :half]], -1) * sin[:, None]

        groups = attention.num_key_value_groups
        key = rotate(key).repeat_interleave(groups, 1)
        value = value.repeat_interleave(groups, 1)
        logits = rotate(query) @ key.mT * attention.scaling
        logits = logits.masked_fill(~torch.ones(length, length, dtype=torch.bool).tril(), -np.inf)
        pattern = self.hold("pattern", layer, logits.softmax(-1))
        return attention.o_proj((pattern @ value).transpose(1, 2).reshape(rows, length, -1))

    def mlp(self, layer: int, block: Any, x: Tensor) -> Tensor:
        gate, up = block.mlp.gate_proj(x), block.mlp.up_proj(x)
        active = gate * self.hold("slope", layer, torch.sigmoid(gate))
        hidden = active * up
        other_active, other_up = self.hold("active", layer, active), self.hold("up", layer, up)
        if self.frozen:  # half of each partial
            hidden = 0.5 * (active * other_up + other_active * up)
        return block.mlp.down_proj(hidden)

    def run(self, ids: Tensor, patch: tuple[str, int, int, Tensor] | None = None) -> Tensor:
        x = self.model.model.embed_tokens(ids)

        def patched(kind: str, layer: int, y: Tensor) -> Tensor:
            if patch is None or patch[:2] != (kind, layer):
                return y
            y = y.clone()
            y[:, patch[2]] = patch[3]
            return y

        for layer, block in enumerate(self.model.model.layers):
            x = patched("residual_pre", layer, x)
            read = self.norm("input", layer, block.input_layernorm, x)
            x = x + patched("attention", layer, self.attention(layer, block, read))
            read = self.norm("middle", layer, block.post_attention_layernorm, x)
            x = x + patched("mlp", layer, self.mlp(layer, block, read))
        return self.model.lm_head(self.norm("final", 0, self.model.model.norm, x))


def test_relevance_is_the_exact_effect_in_the_locally_linear_model():
    model, pairs = build_exact("llama"), random_pairs()
    linear = LocallyLinearLlama(model, pairs.corrupt)
    torch.testing.assert_close(linear.plain, model(pairs.corrupt).logits)
    scores = relevance_patching(model, pairs, rules="conservative")
    rows = torch.arange(len(pairs))

    def difference(logits: Tensor) -> Tensor:
        return logits[rows, -1, pairs.answers] - logits[rows, -1, pairs.distractors]

    for kind in ("residual_pre", "attention", "mlp"):
        for layer in range(DEPTH):
            site = getattr(Sites.of(model), kind)(layer)
            clean = record(model, {"input_ids": pairs.clean}, [site])[site]
            for position in (3, 6):
                patch = (kind, layer, position, clean[:, position])
                effect = difference(linear.run(pairs.corrupt, patch)) - difference(linear.plain)
                np.testing.assert_allclose(
                    scores[kind][:, layer, position], effect / scores.attrs["unit"], atol=1e-11
                )


def test_blocks_with_state_of_their_own_are_refused():
    """A block that looks at the whole prompt beside attention can't be continued from the middle."""
    model, pairs = build_exact("llama"), random_pairs()
    mlp = model.model.layers[1].mlp
    mlp.register_forward_hook(lambda _m, _i, output: output + output.mean(1, keepdim=True))
    with pytest.raises(AxonalError, match="carry state beside keys and values"):
        activation_patching(model, pairs)


def test_a_metric_of_the_wrong_shape_is_refused():
    metric = LogitFunction(lambda logits, _: logits[:, 0].mean())
    with pytest.raises(InputError, match=r"one number for each of the 2 pairs.*got \(\)"):
        relevance_patching(build("llama"), random_pairs(), metric=metric)


def test_a_metric_that_does_not_depend_on_the_logits_is_refused():
    metric = LogitFunction(lambda _, pairs: pairs.answers.float())
    with pytest.raises(InputError, match="does not depend on the logits"):
        relevance_patching(build("llama"), random_pairs(), metric=metric)


def test_prompts_that_do_not_move_the_metric_are_refused():
    metric = LogitFunction(lambda logits, _: 0 * logits[:, 0])
    for method in (activation_patching, relevance_patching):
        with pytest.raises(InputError, match="scores have no unit"):
            method(build("llama"), random_pairs(), metric=metric)


@pytest.mark.filterwarnings("default")
def test_a_model_that_fails_the_task_is_named_with_its_values():
    pairs = random_pairs()
    model = build("llama")
    logits = model(pairs.clean).logits[:, -1]
    wrong = PromptPairs(
        pairs.clean,
        pairs.corrupt,
        pairs.lengths,
        logits.argmin(1),
        logits.argmax(1),
        pairs.tokens,
    )
    with pytest.warns(UserWarning, match=r"fails this task: .* -\d+\.\d+"):
        relevance_patching(model, wrong)


def test_wrong_names_are_answered_with_the_nearest():
    model, pairs = build("llama"), random_pairs()
    with pytest.raises(InputError, match="did you mean neurons"):
        relevance_patching(model, pairs, kinds=["neuron"])
    with pytest.raises(InputError, match="layers must lie in 0 to 2; got"):
        relevance_patching(model, pairs, layers=[3])
    with pytest.raises(InputError, match="direction must be"):
        relevance_patching(model, pairs, direction="up")
    with pytest.raises(InputError, match="kinds is empty"):
        relevance_patching(model, pairs, kinds=[])


def test_a_head_that_is_more_than_norm_and_unembedding_is_refused():
    model = build("llama")
    model.register_forward_hook(lambda _m, _i, output: type(output)(logits=output.logits * 3))
    with pytest.raises(InputError, match="more than a final norm"):
        relevance_patching(model, random_pairs())
