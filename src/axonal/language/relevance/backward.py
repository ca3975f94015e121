"""The modified backward passes of layer-wise relevance propagation.

Dividing relevance by activation, ``ρ = R / a``, turns every propagation rule into a modified
gradient: the chain rule with one factor replaced. Each function here passes the value of the
forward pass through untouched, so the model's output stays bit-identical, and replaces the factor.
No activation is ever divided by: where a rule needs ``f(x) / x``, the coefficient is analytic and
finite at zero (`IDENTITY_COEFFICIENTS`).

Norms: Ali et al. 2022 (LN-rule). Activations: Jafari et al. 2024 (Identity-rule). Gates: Arras et
al. 2019 (Half-rule).
"""

# pyright: reportIncompatibleMethodOverride=false, reportUnknownParameterType=false
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


@dataclass(frozen=True)
class NormForm:
    """What a normalisation layer computes: ``y = (x - centre) / scale * gain + bias``.

    Parameters
    ----------
    centred
        Whether the mean is subtracted (LayerNorm) or not (RMSNorm).
    unit_offset
        Whether the gain is ``1 + weight`` (Gemma) or ``weight``.
    eps
        Added to the variance or mean square under the root.
    """

    centred: bool
    unit_offset: bool
    eps: float

    def gain(self, weight: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the factor that multiplies the normalised input, shape ``(width,)``."""
        return weight.to(dtype) + 1 if self.unit_offset else weight.to(dtype)

    def normalise(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normalised input and the inverse scale, at float32 precision or better."""
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        if self.centred:
            x = x - x.mean(-1, keepdim=True)
        inverse_scale = (x.square().mean(-1, keepdim=True) + self.eps).rsqrt()
        return x * inverse_scale, inverse_scale

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute the layer itself, to compare with the module that is to be recognised."""
        normalised, _ = self.normalise(x)
        y = normalised * self.gain(weight, normalised.dtype)
        return y if bias is None else y + bias.to(y.dtype)


class FrozenScale(torch.autograd.Function):
    """LN-rule: the scale of a LayerNorm or RMSNorm is a constant, the centring stays.

    ``y = (x - mean(x)) / [sqrt(var(x) + eps)]_constant * gain + bias``
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        output: Tensor,
        form: NormForm,
    ) -> Tensor:
        """Return ``output``, which the module itself has computed from ``x``."""
        ctx.save_for_backward(x, weight)
        ctx.form = form  # pyright: ignore[reportAttributeAccessIssue]
        ctx.has_bias = bias is not None  # pyright: ignore[reportAttributeAccessIssue]
        return output.view_as(output)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        """Propagate through the linear map that is left when the scale is held."""
        x, weight = ctx.saved_tensors
        form: NormForm = ctx.form
        normalised, inverse_scale = form.normalise(x)
        gradient = gradient.to(normalised.dtype)
        to_weight = to_bias = None
        leading = tuple(range(x.ndim - 1))
        if ctx.needs_input_grad[1]:
            to_weight = (gradient * normalised).sum(leading).to(weight.dtype)
        if ctx.has_bias and ctx.needs_input_grad[2]:
            to_bias = gradient.sum(leading).to(weight.dtype)
        to_x = gradient * form.gain(weight, gradient.dtype) * inverse_scale
        if form.centred:
            to_x = to_x - to_x.mean(-1, keepdim=True)
        return to_x.to(x.dtype), to_weight, to_bias, None, None


class IdentityRule(torch.autograd.Function):
    """Identity-rule: an elementwise activation is a constant slope, ``y = x [f(x) / x]_constant``."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, output: Tensor, coefficient: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Return ``output = f(x)``, which the module itself has computed."""
        ctx.save_for_backward(x)
        ctx.coefficient = coefficient  # pyright: ignore[reportAttributeAccessIssue]
        return output.view_as(output)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        """Multiply by ``f(x) / x``, evaluated at float32 precision or better."""
        (x,) = ctx.saved_tensors
        slope = ctx.coefficient(x.to(torch.promote_types(x.dtype, torch.float32)))
        return (gradient * slope).to(gradient.dtype), None, None


class ScaledGradient(torch.autograd.Function):
    """The identity whose gradient is multiplied by a constant.

    With 1/2 behind a product ``u v`` it is the Half-rule ``y = 0.5 u v + 0.5 [u v]_constant``: each
    factor receives half of the relevance.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, factor: float) -> Tensor:
        """Return ``x``."""
        ctx.factor = factor  # pyright: ignore[reportAttributeAccessIssue]
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        """Scale the gradient."""
        return gradient * ctx.factor, None


def applied(function: type[torch.autograd.Function], *arguments: object) -> Tensor:
    """Apply one of these functions; they return one tensor each."""
    result = function.apply(*arguments)
    assert isinstance(result, Tensor)
    return result


def _tanh_over_x(x: Tensor) -> Tensor:
    small = x.abs() < 1e-4
    safe = torch.where(small, torch.ones_like(x), x)
    return torch.where(small, 1 - x.square() / 3, torch.tanh(safe) / safe)


def _gelu_tanh_coefficient(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": torch.nn.functional.silu,
    "gelu": torch.nn.functional.gelu,
    "gelu-tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "gelu-quick": lambda x: x * torch.sigmoid(1.702 * x),
    "relu": torch.relu,
    "relu-squared": lambda x: torch.relu(x).square(),
    "tanh": torch.tanh,
    "linear": lambda x: x,
}
"""The elementwise activations that are recognised, by name."""

IDENTITY_COEFFICIENTS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": torch.sigmoid,
    "gelu": lambda x: 0.5 * (1 + torch.erf(x / math.sqrt(2))),
    "gelu-tanh": _gelu_tanh_coefficient,
    "gelu-quick": lambda x: torch.sigmoid(1.702 * x),
    "relu": lambda x: (x > 0).to(x.dtype),
    "relu-squared": torch.relu,
    "tanh": _tanh_over_x,
    "linear": torch.ones_like,
}
"""``f(x) / x`` of each activation, continued analytically to zero."""
