"""A sparse autoencoder that knows what it was trained on, ready to record, steer and clamp with.

The maths is that of `axonal.activations.Dictionary`: latents ``f = activation(W_enc (x - b_dec) +
b_enc)``, reconstruction ``b_dec + sum_k f_k W_k``. Conventions of other libraries (a scale on the
input, a bias that is not subtracted, norms of decoder rows) are folded into these weights when a
file is read, so that nothing downstream needs to know them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from axonal.activations import Dictionary, Site
from axonal.errors import InputError
from axonal.language.dictionaries.places import site_at


@dataclass(frozen=True, eq=False)
class SparseAutoencoder:
    """A dictionary of directions with its provenance.

    Parameters
    ----------
    dictionary
        Encoder, decoder and activation; the input is the activation as it flows in the model.
    place
        Where it belongs, as TransformerLens spells it (``"blocks.18.hook_resid_post"``) or as a
        module's path; None when the file does not say.
    model
        Name of the model, None when the file does not say.
    skip
        First tokens of a sequence that it was not trained on. In many models the first token has a
        norm a hundred times that of others, and latents read there mean nothing.

    Examples
    --------
    >>> sae = load_dictionary("my-sae")
    >>> latents = sae.encode(residuals)            # (tokens, latents)
    >>> residuals - sae.decode(latents)            # what it does not explain
    """

    dictionary: Dictionary
    place: str | None = None
    model: str | None = None
    skip: int = 0

    def __post_init__(self) -> None:
        for name in ("encoder", "decoder", "encoder_bias", "decoder_bias", "threshold"):
            value = getattr(self.dictionary, name)
            if value is not None and not bool(value.isfinite().all()):
                raise InputError(
                    f"The {name} of this sparse autoencoder holds numbers that are not finite: the "
                    "file is damaged, or the training diverged."
                )
        if self.skip < 0:
            raise InputError(f"skip counts tokens, got {self.skip}.")

    @property
    def width(self) -> int:
        """Features of the activation."""
        return self.dictionary.decoder.shape[1]

    @property
    def latents(self) -> int:
        """How many latents there are."""
        return self.dictionary.decoder.shape[0]

    @property
    def positions(self) -> slice:
        """The tokens that it may be read at: all but the first ``skip``."""
        return slice(self.skip, None)

    def encode(self, x: Tensor) -> Tensor:
        """Return latents ``(..., latents)`` of activations ``(..., width)``."""
        self.check_width(x)
        with torch.no_grad():
            return self.dictionary.encode(x)

    def decode(self, latents: Tensor) -> Tensor:
        """Return the reconstruction ``(..., width)`` of latents ``(..., latents)``."""
        with torch.no_grad():
            bias = self.dictionary.decoder_bias.to(latents)
            return bias + latents @ self.dictionary.decoder.to(latents)

    def direction(self, latent: int) -> Tensor:
        """Return the decoder row of a latent, ``(width,)``; a dead one is an error."""
        if not 0 <= latent < self.latents:
            raise InputError(
                f"There is no latent {latent}: this dictionary has {self.latents}, numbered from 0."
            )
        row = self.dictionary.decoder[latent].detach()
        if not bool(row.any()):
            raise InputError(f"Latent {latent} is dead: its decoder row is zero.")
        return row

    def site_in(self, model: nn.Module) -> Site:
        """Return the site of a model at which it was trained."""
        if self.place is None:
            raise InputError(
                "This sparse autoencoder does not say where it was trained: pass site=..., for "
                "instance Sites.of(model).residual(18)."
            )
        return site_at(self.place, model)

    def check_width(self, x: Tensor) -> None:
        """Raise when activations have another number of features."""
        if x.shape[-1] != self.width:
            raise InputError(
                f"This sparse autoencoder was made for {self.width} features, but the activation "
                f"has {x.shape[-1]}: it belongs to another model or site."
            )
