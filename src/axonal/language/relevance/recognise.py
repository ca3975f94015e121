"""Recognise the layers of a language model by what they compute, not by what they are called.

A propagation rule on a layer that computes something else would be silently wrong, so each layer is
run on random numbers and compared with the formula that its rule assumes. What fits no formula is
an error that names the module.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from axonal.errors import InputError
from axonal.language.relevance.backward import ACTIVATIONS, NormForm

FAMILIES = "GPT-2, GPT-NeoX (Pythia), Llama, Mistral, Qwen2, Qwen3, Gemma 2, Gemma 3 and Phi-3"

Gate = Literal["plain", "gated"]
"""How the hidden units of an MLP arise: ``f(a)``, or ``f(a) * b``."""

_TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-5, torch.bfloat16: 3e-2, torch.float16: 4e-3}


def is_norm(module: nn.Module) -> bool:
    """Tell whether a module's class calls itself a normalisation layer."""
    return "Norm" in type(module).__name__


def is_linear(module: nn.Module) -> bool:
    """Tell linear layers: ``nn.Linear`` and GPT-2's transposed ``Conv1D``."""
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def is_inert(module: nn.Module) -> bool:
    """Tell layers that need no rule: embeddings, dropout outside training, rotary tables."""
    inert = (nn.Embedding, nn.Dropout, nn.Identity)
    return isinstance(module, inert) or type(module).__name__.endswith("RotaryEmbedding")


def norm_form(module: nn.Module, path: str) -> NormForm:
    """Find the formula of a LayerNorm or RMSNorm by trying it on random numbers."""
    weight = getattr(module, "weight", None)
    eps = getattr(module, "eps", getattr(module, "variance_epsilon", None))
    if not isinstance(weight, Tensor) or weight.ndim != 1 or not isinstance(eps, float):
        raise InputError(
            f"The normalisation layer {path} ({type(module).__name__}) has no weight vector or no "
            f"eps, so the LN-rule can't be placed on it; supported are {FAMILIES}."
        )
    bias = getattr(module, "bias", None)
    # An offset and a spread away from (0, 1) tell centred from uncentred layers.
    x = 1.5 * _random(weight, 4, weight.numel()) + 0.7
    with torch.no_grad():
        actual = module(x)
        for centred in (False, True):
            for unit_offset in (False, True):
                form = NormForm(centred, unit_offset, eps)
                if _close(form.apply(x, weight, bias), actual):
                    return form
    raise InputError(
        f"The normalisation layer {path} ({type(module).__name__}) is neither a LayerNorm nor an "
        f"RMSNorm: its output on random numbers fits neither formula, so the LN-rule can't be "
        f"placed on it; supported are {FAMILIES}."
    )


def activation_name(module: nn.Module, path: str) -> str:
    """Find which elementwise activation a module is by trying it on a grid."""
    grid = torch.linspace(-8, 8, 161, dtype=torch.float64)
    try:
        with torch.no_grad():
            actual = module(grid)
    except Exception as error:
        raise InputError(_unknown_activation(module, path)) from error
    if isinstance(actual, Tensor) and actual.shape == grid.shape:
        for name, function in ACTIVATIONS.items():
            # GELU and its tanh form differ by 5e-4; variants of one form by less than 1e-6.
            if torch.allclose(actual, function(grid), rtol=0, atol=1e-6):
                return name
    raise InputError(_unknown_activation(module, path))


def _unknown_activation(module: nn.Module, path: str) -> str:
    return (
        f"The activation {path} ({type(module).__name__}) is none of {', '.join(ACTIVATIONS)}, so "
        f"the Identity-rule has no coefficient for it; supported are {FAMILIES}."
    )


def gate_of(mlp: nn.Module, down: nn.Module, path: str) -> Gate:
    """Find out whether the input of an MLP's down projection is gated, from one random run.

    The hidden units must equal the output of the activation (plain), or its product with the output
    of a linear layer or with one half of it (gated, also when gate and value are fused).
    """
    linears = [m for m in mlp.modules() if is_linear(m) and m is not down]
    others = [m for m in mlp.modules() if not list(m.children()) and not is_linear(m)]
    activations = [m for m in others if not is_inert(m) and not is_norm(m)]
    opaque = InputError(
        f"The MLP {path} ({type(mlp).__name__}) is opaque: the input of its down projection is "
        f"neither an activation nor an activation times a linear layer, so the Half-rule can't be "
        f"placed; supported are {FAMILIES}."
    )
    if len(activations) != 1 or not linears:
        raise opaque
    seen: dict[nn.Module, Tensor] = {}

    def keep_output(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        seen[module] = output

    def keep_input(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[down] = inputs[0]

    handles = [m.register_forward_hook(keep_output) for m in [*linears, *activations]]
    handles.append(down.register_forward_pre_hook(keep_input))
    try:
        with torch.no_grad():
            mlp(_random(next(mlp.parameters()), 4, _width_in(linears[0])))
    except Exception as error:
        raise opaque from error
    finally:
        for handle in handles:
            handle.remove()
    hidden, active = seen.get(down), seen.get(activations[0])
    if hidden is None or active is None or hidden.shape != active.shape:
        raise opaque
    if torch.equal(hidden, active):
        return "plain"
    for linear in linears:
        value = seen.get(linear)
        if value is None:
            continue
        parts = (value,) if value.shape == hidden.shape else value.chunk(2, dim=-1)
        if any(p.shape == hidden.shape and torch.equal(hidden, active * p) for p in parts):
            return "gated"
    raise opaque


def _width_in(linear: nn.Module) -> int:
    """Return the input width of a linear layer; ``Conv1D`` keeps its weight transposed."""
    weight = linear.weight
    assert isinstance(weight, Tensor)
    return weight.shape[1] if isinstance(linear, nn.Linear) else weight.shape[0]


def _random(like: Tensor, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(like.device, like.dtype)


def _close(expected: Tensor, actual: Tensor) -> bool:
    tolerance = _TOLERANCE.get(actual.dtype, 1e-5)
    return torch.allclose(
        expected.to(torch.float64), actual.to(torch.float64), rtol=tolerance, atol=tolerance
    )
