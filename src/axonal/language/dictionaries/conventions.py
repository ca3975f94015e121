"""Fold the conventions of other libraries into plain encoder and decoder weights.

Libraries differ in whether the decoder's bias is subtracted from the input, in a scale on the input,
and in whether latents are measured in units of their decoder rows. Each has an exact equivalent
without it; normalising every token by its own norm has none, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from axonal.activations import Dictionary
from axonal.errors import InputError

PER_TOKEN = ("layer_norm", "constant_norm_rescale")


@dataclass(frozen=True)
class Convention:
    """How a file's weights are meant.

    Parameters
    ----------
    kind
        ``"relu"``, ``"topk"`` or ``"jumprelu"``.
    k
        Of ``"topk"``.
    subtract_bias
        Whether the decoder's bias is subtracted from the input before it is encoded.
    scale
        The factor on the input before anything else.
    decoder_norms
        Whether latents count in units of their decoder row's norm, as if rows were of unit norm.
    """

    kind: str
    k: int | None = None
    subtract_bias: bool = True
    scale: float = 1.0
    decoder_norms: bool = False


def build(weights: Mapping[str, Tensor], convention: Convention, where: str) -> Dictionary:
    """Return a `Dictionary` for activations as they flow.

    Parameters
    ----------
    weights
        ``W_enc`` (width, latents), ``W_dec`` (latents, width), ``b_enc``, ``b_dec``, and
        ``threshold`` of a JumpReLU.
    convention
        How they are meant.
    where
        The file, for errors.
    """
    encoder, decoder = _matrices(weights, where)
    latents, width = decoder.shape
    encoder_bias = _vector(weights, "b_enc", latents, where)
    decoder_bias = _vector(weights, "b_dec", width, where)
    options: dict[str, Any] = {"activation": convention.kind}
    if convention.kind == "topk":
        if convention.k is None or not 1 <= convention.k <= latents:
            raise InputError(f"{where} is a TopK dictionary with k={convention.k}.")
        options["k"] = int(convention.k)
    if convention.kind == "jumprelu":
        if "threshold" not in weights:
            raise InputError(f"{where} is a JumpReLU dictionary without a threshold.")
        # The rectified latent is 0 below 0, so a negative threshold acts as 0 does.
        options["threshold"] = _vector(weights, "threshold", latents, where).clamp(min=0)
    if not convention.scale > 0:
        raise InputError(f"{where} scales its input by {convention.scale}.")
    if not convention.subtract_bias:  # W x + b = W (x - d) + (b + W d)
        encoder_bias = encoder_bias + encoder @ decoder_bias
    if convention.decoder_norms:
        norms = torch.linalg.vector_norm(decoder, dim=-1).clamp(min=1e-8)
        encoder, encoder_bias = encoder * norms[:, None], encoder_bias * norms
        decoder = decoder / norms[:, None]
    return Dictionary(
        encoder * convention.scale,
        decoder / convention.scale,
        encoder_bias,
        decoder_bias / convention.scale,
        **options,
    )


def refuse_per_token(normalisation: str, where: str) -> None:
    """Raise for a normalisation that depends on the token."""
    if normalisation in PER_TOKEN:
        raise InputError(
            f"{where} normalises every token by its own norm ({normalisation}), so its latents are no "
            "function of the activation that could be steered; known are none and "
            "expected_average_only_in."
        )
    if normalisation not in ("none", "expected_average_only_in"):
        raise InputError(f"{where} normalises its input by {normalisation!r}, which is not known.")


def _matrices(weights: Mapping[str, Tensor], where: str) -> tuple[Tensor, Tensor]:
    """Return encoder and decoder, ``(latents, width)`` both."""
    for name in ("W_enc", "W_dec"):
        if name not in weights:
            raise InputError(
                f"{where} has no {name}; it holds {', '.join(sorted(weights)) or 'nothing'}."
            )
    encoder, decoder = weights["W_enc"].float(), weights["W_dec"].float()
    if encoder.ndim == 2 and encoder.mT.shape == decoder.shape:
        return encoder.mT.contiguous(), decoder
    if encoder.ndim == 2 and encoder.shape == decoder.shape:
        return encoder, decoder
    raise InputError(
        f"{where}: W_enc {tuple(encoder.shape)} and W_dec {tuple(decoder.shape)} do not belong "
        "together; expected (width, latents) and (latents, width)."
    )


def _vector(weights: Mapping[str, Tensor], name: str, length: int, where: str) -> Tensor:
    value = weights[name].float() if name in weights else torch.zeros(length)
    if value.shape != (length,):
        raise InputError(f"{where}: {name} has shape {tuple(value.shape)}, expected ({length},).")
    return value
