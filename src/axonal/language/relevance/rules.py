"""Propagation rules of layer-wise relevance propagation, laid over any supported language model.

Inside ``with propagation_rules(model, "relp"):`` every backward pass propagates relevance
coefficients ``ρ = R / a`` instead of gradients; the forward pass stays bit-identical and the model's
own code is untouched. Rules are hooks and one attention function, all removed on leaving the
context, whatever is raised inside.

Paper: Rezaei Jafari et al., "RelP: Faithful and Efficient Circuit Discovery via Relevance
Patching", arXiv 2508.21258 (LN-, Identity-, Half- and AH-rule); the uniform attention rule is that
of Achtibat et al. 2024 (AttnLRP), for comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakSet

from torch import Tensor, nn

from axonal.activations.sites import Sites
from axonal.errors import InputError, nearest
from axonal.language.models import LanguageModel
from axonal.language.relevance import recognise
from axonal.language.relevance.attention import AttentionRule, attention_rule
from axonal.language.relevance.backward import (
    IDENTITY_COEFFICIENTS,
    FrozenScale,
    IdentityRule,
    NormForm,
    ScaledGradient,
    applied,
)


@dataclass(frozen=True)
class Rules:
    """Which operations propagate relevance by a rule; the others propagate the gradient.

    Parameters
    ----------
    norms
        LN-rule: the scale of LayerNorm and RMSNorm is a constant.
    activations
        Identity-rule: an activation is the constant slope ``f(x) / x``.
    gates
        Half-rule: each factor of a gated MLP's product receives half of the relevance.
    attention
        ``"frozen"`` is the AH-rule (the attention pattern is a constant); ``"uniform"`` is AttnLRP
        (half to the values, a quarter to queries and keys each); ``"gradient"`` is no rule.
    """

    norms: bool = False
    activations: bool = False
    gates: bool = False
    attention: AttentionRule = "gradient"

    @classmethod
    def named(cls, name: str) -> Rules:
        """Return a preset (``"relp"``) or a sum of single rules (``"ln+half"``)."""
        if name in PRESETS:
            return PRESETS[name]
        rules = cls()
        for part in name.split("+"):
            if part not in SINGLE_RULES:
                known = [*PRESETS, *SINGLE_RULES]
                raise InputError(f"There are no propagation rules {name!r}; {nearest(part, known)}")
            rules = replace(rules, **SINGLE_RULES[part])
        return rules


SINGLE_RULES: dict[str, dict[str, Any]] = {
    "ln": {"norms": True},
    "identity": {"activations": True},
    "half": {"gates": True},
    "ah": {"attention": "frozen"},
}
"""The four rules by the names of the literature; join them with ``+``."""

PRESETS: dict[str, Rules] = {
    "none": Rules(),
    "relp": Rules(norms=True, activations=True, gates=True),
    "conservative": Rules(norms=True, activations=True, gates=True, attention="frozen"),
    "attnlrp": Rules(norms=True, activations=True, gates=True, attention="uniform"),
}
"""``none`` is the gradient (attribution patching), ``relp`` the paper's choice, ``conservative`` the
set that conserves relevance from layer to layer, ``attnlrp`` for comparison."""


@dataclass(frozen=True)
class Coverage:
    """What the rules were placed on: dotted module paths and what each was recognised as."""

    rules: Rules
    norms: dict[str, NormForm] = field(default_factory=dict)
    activations: dict[str, str] = field(default_factory=dict)
    gates: tuple[str, ...] = ()
    attention: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.norms) + len(self.activations) + len(self.gates) + len(self.attention)

    def __str__(self) -> str:
        return (
            f"{len(self.norms)} norms, {len(self.activations)} activations, "
            f"{len(self.gates)} gates, {len(self.attention)} attention layers"
        )


_ruled_models: WeakSet[nn.Module] = WeakSet()


@contextmanager
def propagation_rules(
    model: LanguageModel | nn.Module, rules: Rules | str = "relp"
) -> Iterator[Coverage]:
    """Propagate relevance instead of gradients in every backward pass inside the context.

    Parameters
    ----------
    model
        A causal language model of a supported family, in evaluation mode.
    rules
        A preset's name, single rules joined by ``+`` (``"ln+half"``), or `Rules`.

    Yields
    ------
    Coverage
        The modules that the rules were placed on.

    Raises
    ------
    InputError
        A norm, activation or gate fits no known formula (its dotted path is named), the model is
        quantised, compiled or in training mode, or the rules apply to nothing in this model.
    """
    module = hf_model(model)
    rules = Rules.named(rules) if isinstance(rules, str) else rules
    if module in _ruled_models:
        raise InputError(
            f"This {type(module).__name__} is under propagation rules already: leave that context "
            "first, or join the rules with '+'."
        )
    coverage = survey(module, rules)
    if rules != Rules() and len(coverage) == 0:
        raise InputError(f"{rules} apply to nothing in this {type(module).__name__}.")
    with ExitStack() as stack:
        _ruled_models.add(module)
        stack.callback(_ruled_models.discard, module)
        for path, form in coverage.norms.items():
            norm = module.get_submodule(path)
            # Prepended, so that a recorder on the same module sees the ruled output.
            handle = norm.register_forward_hook(_norm_hook(norm, form), prepend=True)
            stack.callback(handle.remove)
        for path, name in coverage.activations.items():
            activation = module.get_submodule(path)
            handle = activation.register_forward_hook(_activation_hook(name), prepend=True)
            stack.callback(handle.remove)
        for path in coverage.gates:
            down = module.get_submodule(path)
            stack.callback(down.register_forward_pre_hook(_halve_input, prepend=True).remove)
        if coverage.attention:
            layers = [module.get_submodule(path) for path in coverage.attention]
            stack.enter_context(attention_rule(layers, rules.attention))
        yield coverage


def survey(module: nn.Module, rules: Rules) -> Coverage:
    """Recognise every layer that the rules concern, and refuse what can't be recognised."""
    check_differentiable(module)
    sites = Sites.of(module)
    layers = range(sites.blocks)
    mlp_inputs = [sites.neurons(layer).path for layer in layers]  # paths of the down projections
    mlps = {path.rpartition(".")[0]: path for path in mlp_inputs}
    attention = tuple(sites.heads(layer).path.rpartition(".")[0] for layer in layers)
    norms: dict[str, NormForm] = {}
    activations: dict[str, str] = {}
    for path, leaf in module.named_modules():
        if list(leaf.children()) or recognise.is_linear(leaf) or recognise.is_inert(leaf):
            continue
        if recognise.is_norm(leaf):
            if rules.norms:
                norms[path] = recognise.norm_form(leaf, path)
        elif rules.activations:
            activations[path] = recognise.activation_name(leaf, path)
    gates: list[str] = []
    if rules.gates or rules.activations:
        for path, down_path in mlps.items():
            mlp, down = module.get_submodule(path), module.get_submodule(down_path)
            if recognise.gate_of(mlp, down, path) == "gated" and rules.gates:
                gates.append(down_path)
    return Coverage(
        rules=rules,
        norms=norms,
        activations=activations,
        gates=tuple(gates),
        attention=attention if rules.attention != "gradient" else (),
    )


def hf_model(model: LanguageModel | nn.Module) -> nn.Module:
    """Return the torch module of a loaded language model, or the module itself."""
    return model.model if isinstance(model, LanguageModel) else model


def check_differentiable(module: nn.Module) -> None:
    """Refuse models whose backward pass the rules can't reach."""
    name = type(module).__name__
    if module.training:
        raise InputError(
            f"This {name} is in training mode, where dropout and gradient checkpointing change "
            "what is propagated: call model.eval() first."
        )
    if hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None:
        raise InputError(
            f"This {name} is compiled, and a compiled graph runs no rules: pass the model as it "
            "was before torch.compile."
        )
    for path, parameter in module.named_parameters():
        if not parameter.is_floating_point():
            raise InputError(
                f"The weights {path} are {parameter.dtype}, so no gradient flows through them: "
                "load the model in float32 or bfloat16 instead of quantised."
            )


def _norm_hook(norm: nn.Module, form: NormForm) -> Callable[..., Tensor]:
    weight, bias = norm.weight, getattr(norm, "bias", None)

    def freeze(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return applied(FrozenScale, inputs[0], weight, bias, output.detach(), form)

    return freeze


def _activation_hook(name: str) -> Callable[..., Tensor]:
    coefficient = IDENTITY_COEFFICIENTS[name]

    def identity(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return applied(IdentityRule, inputs[0], output.detach(), coefficient)

    return identity


def _halve_input(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (applied(ScaledGradient, inputs[0], 0.5), *inputs[1:])
