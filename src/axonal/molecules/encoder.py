"""What a search asks of an encoder, and the encoders there are by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from axonal.errors import InputError, nearest

if TYPE_CHECKING:
    from rdkit.Chem import Mol

    from axonal.molecules.tokens import TokenReport


class Encoder(Protocol):
    """A module that turns molecules into unit vectors, in two steps.

    ``featurise`` does once what is slow (conformers, fingerprints); ``forward`` is what is trained.
    ``prepare`` makes of features what a training step sees (a conformer drawn, atoms masked).
    """

    kind: str

    @property
    def dimension(self) -> int:
        """Of the embedding."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return what makes an encoder like this one, as JSON has it."""
        ...

    def featurise(
        self,
        mols: Sequence[Mol],
        *,
        seed: int = 0,
        report: TokenReport | None = None,
        progress: Callable[[int, int], Any] | None = None,
    ) -> tuple[dict[str, Tensor], list[int]]:
        """Return features by name, rows of molecules, and the positions of those that have any."""
        ...

    def prepare(self, features: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Return what one training step sees of some molecules."""
        ...

    def __call__(self, features: dict[str, Tensor]) -> Tensor:
        """Return unit vectors, ``(molecules, dimension)``."""
        ...


def make_encoder(kind: str, settings: dict[str, Any]) -> Any:
    """Make an encoder of its kind and settings, as a saved search names them."""
    from axonal.molecules.descriptors import DescriptorEncoder
    from axonal.molecules.unimol import UniMolEncoder

    kinds: dict[str, Any] = {one.kind: one for one in (DescriptorEncoder, UniMolEncoder)}
    if kind not in kinds:
        raise InputError(f"There is no encoder {kind!r}: {nearest(kind, kinds)}")
    return kinds[kind].of_settings(settings)


@torch.inference_mode()
def embed_features(encoder: Any, features: dict[str, Tensor], block: int = 256) -> Tensor:
    """Return the embeddings of features, on the CPU, in blocks of molecules.

    The result of a molecule does not depend on the block: no layer mixes molecules.
    """
    module: nn.Module = encoder
    was = module.training
    device = next(module.parameters()).device
    module.eval()
    try:
        count = len(next(iter(features.values())))
        parts = [
            encoder({k: v[i : i + block].to(device) for k, v in features.items()}).float().cpu()
            for i in range(0, count, block)
        ]
    finally:
        module.train(was)
    return torch.cat(parts)
