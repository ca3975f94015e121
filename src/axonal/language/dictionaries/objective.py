r"""What a sparse autoencoder is trained on: reconstruction, and the sparsity of its kind.

``"topk"``
    The k largest latents are kept. Latents that have not fired for a while also reconstruct what
    the others leave over, or they would stay dead (Gao et al. 2024, arXiv:2406.04093).
``"relu"``
    :math:`\lambda \sum_k f_k` with decoder rows of unit norm (Bricken et al. 2023).
``"jumprelu"``
    :math:`\lambda \sum_k H(z_k - \theta_k)`, the number of active latents, with the straight-through
    estimator of Rajamanoharan et al. 2024 (arXiv:2407.14435) for the thresholds.

Decoder rows are of unit norm by construction, so no step has to restore it. The input is scaled to
a mean squared norm of `width`; `Autoencoder.dictionary` folds the scale into the weights.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, normalize

from axonal.activations import Dictionary
from axonal.errors import InputError, nearest

Kind = Literal["topk", "relu", "jumprelu"]
KINDS = ("topk", "relu", "jumprelu")

AUXILIARY = 1 / 32
"""Weight of the dead latents' reconstruction of what is left over."""

BANDWIDTH = 0.05
"""Of the kernel that stands for the derivative of a step, in units of the scaled input."""


class Autoencoder(nn.Module):
    """The trainable form of a `Dictionary`.

    Parameters
    ----------
    width, latents
        Sizes.
    kind
        ``"topk"``, ``"relu"`` or ``"jumprelu"``.
    k
        Latents kept by ``"topk"``.
    penalty
        The weight of sparsity of the two others.
    center, scale
        The input's mean ``(width,)`` and the factor that brings it to unit mean square.
    dead_after
        Tokens after which a latent that has not fired counts as dead.
    seed
        Of the initial directions.
    """

    center: Tensor
    silent: Tensor

    def __init__(
        self,
        width: int,
        latents: int,
        *,
        kind: Kind = "topk",
        k: int = 32,
        penalty: float = 1e-3,
        center: Tensor | None = None,
        scale: float = 1.0,
        dead_after: int = 100_000,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise InputError(f"No kind of dictionary is called {kind!r}; {nearest(kind, KINDS)}")
        if kind == "topk" and not 1 <= k <= latents:
            raise InputError(f"topk keeps between 1 and all {latents} latents, got k={k}.")
        if kind != "topk" and not penalty > 0:
            raise InputError(f"{kind} needs a positive penalty, got {penalty}.")
        self.kind, self.k, self.penalty, self.scale = kind, k, penalty, scale
        self.dead_after = dead_after
        generator = torch.Generator().manual_seed(seed)
        rows = normalize(torch.randn(latents, width, generator=generator), dim=-1)
        self.rows = nn.Parameter(rows.clone())
        self.encoder = nn.Parameter(rows.clone())
        self.encoder_bias = nn.Parameter(torch.zeros(latents))
        self.decoder_bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("center", torch.zeros(width) if center is None else center.clone())
        self.register_buffer("silent", torch.zeros(latents, dtype=torch.long))
        if kind == "jumprelu":
            self.log_threshold = nn.Parameter(torch.full((latents,), 0.1).log())

    @property
    def decoder(self) -> Tensor:
        """``(latents, width)``: rows of unit norm."""
        return normalize(self.rows, dim=-1)

    def loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of activations ``(tokens, width)``, and what is worth following.

        The reconstruction error is relative to the variance of the batch, so 1 is what a
        constant reaches.
        """
        x = (x - self.center) * self.scale
        decoder = self.decoder
        # W (x - b) + c = W x + (c - W b), which spares the gradient of every centred input.
        raw = x @ self.encoder.mT + (self.encoder_bias - self.encoder @ self.decoder_bias)
        variance = (x - x.mean(0)).square().sum(-1).mean()
        if self.kind == "topk":
            top = raw.topk(self.k, dim=-1, sorted=False)
            values = top.values.relu()
            made = embedding_bag(top.indices, decoder, per_sample_weights=values, mode="sum")
            count = (values > 0).sum(-1)
            self._note(top.indices[values > 0], len(x))
            left = x - made - self.decoder_bias
            error = left.square().sum(-1).mean() / variance
            loss = error + AUXILIARY * self._revival(left.detach(), raw, decoder, variance)
        else:
            active, sparsity = self._active(raw)
            self._note((active > 0).any(0).nonzero().squeeze(-1), len(x))
            left = x - active @ decoder - self.decoder_bias
            error = left.square().sum(-1).mean() / variance
            count = (active > 0).sum(-1)
            loss = error + self.penalty * sparsity
        dead = (self.silent > self.dead_after).sum()
        return loss, {"error": error.detach(), "active": count.float().mean(), "dead": dead}

    def dictionary(self) -> Dictionary:
        """Return the weights with centre and scale folded in: for activations as they flow."""
        with torch.no_grad():
            options: dict[str, Any] = {"activation": self.kind}
            if self.kind == "topk":
                options["k"] = self.k
            if self.kind == "jumprelu":
                options["threshold"] = self.log_threshold.exp().clone()
            return Dictionary(
                self.encoder * self.scale,
                self.decoder / self.scale,
                self.encoder_bias.clone(),
                self.center + self.decoder_bias / self.scale,
                **options,
            )

    def _active(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents and how sparse they are, averaged over tokens."""
        if self.kind == "relu":
            active = raw.relu()
            return active, active.sum(-1).mean()
        threshold = self.log_threshold.exp()
        step = _Step.apply(raw, threshold)
        # The latent itself moves with its input, the jump with the threshold alone.
        return raw.relu() * step, step.sum(-1).mean()

    def _note(self, fired: Tensor, tokens: int) -> None:
        """Count, for each latent, the tokens since it fired."""
        with torch.no_grad():
            self.silent += tokens
            self.silent[fired] = 0

    def _revival(self, left: Tensor, raw: Tensor, decoder: Tensor, variance: Tensor) -> Tensor:
        """Return how well dead latents reconstruct what is left over; 0 while there are none."""
        dead = (self.silent > self.dead_after).nonzero().squeeze(-1)
        if len(dead) == 0:
            return left.new_zeros(())
        chosen = raw[:, dead].topk(min(len(dead), max(1, left.shape[1] // 2)), dim=-1, sorted=False)
        made = embedding_bag(
            dead[chosen.indices],
            decoder,
            per_sample_weights=chosen.values.relu(),
            mode="sum",
        )
        return (left - made).square().sum(-1).mean() / variance


class _Step(torch.autograd.Function):
    """``H(z - threshold)``, whose derivative by the threshold is that of a step of finite width."""

    @staticmethod
    def forward(ctx: Any, raw: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(raw, threshold)
        return (raw > threshold).to(raw)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raw, threshold = ctx.saved_tensors
        near = ((raw - threshold).abs() < BANDWIDTH / 2).to(raw) / BANDWIDTH
        return None, -(grads[0] * near).sum(0)
