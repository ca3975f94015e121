"""The latent spaces by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from axonal.cells.perturbation.autoencoder import Autoencoder
from axonal.cells.perturbation.latent import Features, LatentSpace, PrincipalComponents
from axonal.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

KINDS: dict[str, Callable[..., LatentSpace]] = {
    space.kind: space for space in (Features, PrincipalComponents, Autoencoder)
}


def space_of(representation: LatentSpace | str, adata: AnnData) -> LatentSpace:
    """Return the space that a user names: ``"X"`` are the features, ``"X_pca"`` scanpy's components."""
    if isinstance(representation, LatentSpace):
        return representation
    if representation == "X":
        return Features()
    if representation == "X_pca":
        return PrincipalComponents.from_scanpy(adata)
    raise InputError(
        "representation: expected 'X', 'X_pca', PrincipalComponents(...) or Autoencoder(...), got "
        f"{representation!r}: what is predicted there has to be decoded again."
    )
