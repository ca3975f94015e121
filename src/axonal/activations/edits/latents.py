"""Steer and clamp the latents of a dictionary (a sparse autoencoder) inside an activation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from axonal.activations.call import Call
from axonal.activations.edits.base import Edit
from axonal.errors import InputError, nearest

_ACTIVATIONS = ("relu", "topk", "jumprelu")


class Dictionary(nn.Module):
    """A sparse autoencoder: ``f = activation(W_enc (x - b_dec) + b_enc)`` and decoder rows.

    Parameters
    ----------
    encoder, decoder
        ``(latents, width)`` each; row k of the decoder is the direction of latent k.
    encoder_bias, decoder_bias
        ``(latents,)`` and ``(width,)``; zero by default.
    activation
        ``"relu"``, ``"topk"`` (the ``k`` largest, rectified) or ``"jumprelu"`` (above a threshold).
    k
        How many latents ``"topk"`` leaves active.
    threshold
        ``(latents,)`` for ``"jumprelu"``.
    """

    encoder: Tensor
    decoder: Tensor
    encoder_bias: Tensor
    decoder_bias: Tensor
    threshold: Tensor | None

    def __init__(
        self,
        encoder: Tensor,
        decoder: Tensor,
        encoder_bias: Tensor | None = None,
        decoder_bias: Tensor | None = None,
        *,
        activation: Literal["relu", "topk", "jumprelu"] = "relu",
        k: int | None = None,
        threshold: Tensor | None = None,
    ) -> None:
        super().__init__()
        if encoder.ndim != 2 or encoder.shape != decoder.shape:
            raise InputError(
                "A dictionary's encoder and decoder are both (latents, width), got "
                f"{tuple(encoder.shape)} and {tuple(decoder.shape)}."
            )
        if activation not in _ACTIVATIONS:
            raise InputError(f"No activation {activation!r}; {nearest(activation, _ACTIVATIONS)}")
        if (activation == "topk") != (k is not None):
            raise InputError("k goes with activation='topk', and only with it.")
        if (activation == "jumprelu") != (threshold is not None):
            raise InputError("threshold goes with activation='jumprelu', and only with it.")
        latents, width = encoder.shape
        self.activation, self.k = activation, k
        given = {
            "encoder": (encoder, encoder.shape),
            "decoder": (decoder, decoder.shape),
            "encoder_bias": (encoder.new_zeros(latents), (latents,)),
            "decoder_bias": (encoder.new_zeros(width), (width,)),
            "threshold": (threshold, (latents,)),
        }
        if encoder_bias is not None:
            given["encoder_bias"] = (encoder_bias, (latents,))
        if decoder_bias is not None:
            given["decoder_bias"] = (decoder_bias, (width,))
        for name, (value, shape) in given.items():
            if value is not None and value.shape != shape:
                raise InputError(f"{name} has shape {tuple(value.shape)}, expected {tuple(shape)}.")
            held = None if value is None else nn.Parameter(value.detach(), requires_grad=False)
            self.register_parameter(name, held)

    def encode(self, x: Tensor, latents: Tensor | None = None) -> Tensor:
        """Return the activations ``(..., latents)``, of the named latents only where given."""
        # Only "topk" compares latents with one another; the others are computed one by one.
        rows = slice(None) if latents is None or self.activation == "topk" else latents
        raw = (x - self.decoder_bias.to(x)) @ self.encoder[rows].to(x).mT
        raw = raw + self.encoder_bias[rows].to(x)
        if self.activation == "relu":
            return raw.relu()
        if self.threshold is not None:
            return raw * (raw > self.threshold[rows].to(x))
        top = raw.topk(self.k or 0, dim=-1)
        active = torch.zeros_like(raw).scatter(-1, top.indices, top.values.relu())
        return active if latents is None else active[..., latents]


class Latents(Edit):
    """Move latents of a dictionary: ``x + sum_j a_j W_j + sum_k (v_k - f_k(x)) W_k``.

    What the dictionary does not reconstruct stays in, so moving nothing is the identity.

    Parameters
    ----------
    dictionary
        The sparse autoencoder whose latents are moved.
    add
        ``{latent: amount}``: steps along decoder rows.
    clamp
        ``{latent: value}``: the activation that the latent is brought to; 0 ablates it.
    read
        Whether clamped latents are read ``"before"`` the steps of ``add`` or ``"after"``.
    limits
        ``positions``, ``tokens``, ``rows`` and ``strength``, as for every edit.
    """

    _added: Tensor
    _added_numbers: Tensor
    _clamped: Tensor
    _clamped_numbers: Tensor

    def __init__(
        self,
        dictionary: Dictionary,
        add: Mapping[int, float] | None = None,
        clamp: Mapping[int, float] | None = None,
        *,
        read: Literal["before", "after"] = "before",
        **limits: Any,
    ) -> None:
        super().__init__(**limits)
        if read not in ("before", "after"):
            raise InputError(f"read is 'before' or 'after', got {read!r}.")
        self.dictionary, self.read = dictionary, read
        self.add, self.clamp = dict(add or {}), dict(clamp or {})
        count = len(dictionary.decoder)
        for latent, number in (*self.add.items(), *self.clamp.items()):
            if not 0 <= latent < count:
                raise InputError(f"There is no latent {latent}: the dictionary has {count}.")
            if not math.isfinite(number):
                raise InputError(f"Latent {latent} cannot be moved by or to {number}.")
        for name, moved in (("added", self.add), ("clamped", self.clamp)):
            latents, numbers = list(moved), list(moved.values())
            self.register_buffer(f"_{name}", torch.tensor(latents, dtype=torch.long))
            self.register_buffer(f"_{name}_numbers", torch.tensor(numbers))

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        self.check_width(x, self.dictionary.decoder.shape[1])
        steered = x
        if self.add:
            steered = x + self._added_numbers.to(x) @ self._rows(self._added, x)
        if self.clamp:
            read = x if self.read == "before" else steered
            active = self.dictionary.encode(read, self._clamped)
            moved = self._clamped_numbers.to(x) - active
            steered = steered + moved @ self._rows(self._clamped, x)
        return steered

    def _rows(self, latents: Tensor, x: Tensor) -> Tensor:
        """``(n, width)``: decoder rows."""
        return self.dictionary.decoder[latents].to(x)
