r"""Does a dictionary fit the activations at hand? Variance explained, and latents active a token.

A dictionary that is used with another normalisation, at another site or in another model than it was
trained for still runs; it reconstructs badly, or nothing fires. So it is measured before it is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.language.dictionaries.autoencoder import SparseAutoencoder
from axonal.language.dictionaries.harvest import Harvest

LEAST_EXPLAINED = 0.5


@dataclass(frozen=True)
class Quality:
    """How well a dictionary describes activations.

    Parameters
    ----------
    explained
        Share of the variance that is reconstructed,
        :math:`1 - \\sum |x - \\hat x|^2 / \\sum |x - \\bar x|^2`; negative where the reconstruction is
        worse than the mean.
    active
        Latents active a token (L0).
    dead
        Share of the latents that no token activates.
    tokens
        How many tokens this was measured on.
    """

    explained: float
    active: float
    dead: float
    tokens: int

    def __str__(self) -> str:
        return (
            f"{100 * self.explained:.1f} % of the variance explained, {self.active:.1f} latents "
            f"active a token, {100 * self.dead:.0f} % of the latents silent on {self.tokens:,} tokens"
        )

    def require(self, explained: float = LEAST_EXPLAINED) -> Quality:
        """Return itself, or raise when the dictionary does not describe these activations."""
        if self.active == 0 or not self.explained >= explained:
            raise InputError(
                f"This sparse autoencoder does not fit these activations ({self}; at least "
                f"{100 * explained:.0f} % and one active latent expected): wrong normalisation, "
                "site or model?"
            )
        return self


def quality(sae: SparseAutoencoder, activations: Tensor | Harvest, *, chunk: int = 4096) -> Quality:
    """Measure a dictionary on activations ``(tokens, width)``."""
    rows = activations.activations if isinstance(activations, Harvest) else activations
    sae.check_width(rows)
    if rows.ndim != 2 or len(rows) < 2:
        raise InputError(f"Activations are (tokens, width), two or more; got {tuple(rows.shape)}.")
    mean = rows.double().mean(0)
    left, spread, active = 0.0, 0.0, 0
    fired = torch.zeros(sae.latents, dtype=torch.bool)
    for part in rows.split(chunk):
        latents = sae.encode(part)
        left += float((part - sae.decode(latents)).double().square().sum())
        spread += float((part.double() - mean).square().sum())
        active += int((latents > 0).sum())
        fired |= (latents > 0).any(0).cpu()
    return Quality(
        explained=1 - left / spread if spread > 0 else float("nan"),
        active=active / len(rows),
        dead=float((~fired).double().mean()),
        tokens=len(rows),
    )
