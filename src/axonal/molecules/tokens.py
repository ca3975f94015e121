"""Atoms as tokens, the way Uni-Mol reads a molecule: heavy atoms between [CLS] and [SEP].

The dictionary has the order of the public one, in which weights were trained; [MASK] comes last.
Coordinates are centred on the atoms' mean, where [CLS] and [SEP] stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.molecules.conformers import Conformer

SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")
ELEMENTS = [
    "C",
    "N",
    "O",
    "S",
    "H",
    "Cl",
    "F",
    "Br",
    "I",
    "Si",
    "P",
    "B",
    "Na",
    "K",
    "Al",
    "Ca",
    "Sn",
    "As",
    "Hg",
    "Fe",
    "Zn",
    "Cr",
    "Se",
    "Gd",
    "Au",
    "Li",
]  # in the order of the public dictionary
VOCABULARY = (*SPECIAL, *ELEMENTS, "[MASK]")
PAD, CLS, SEP, UNK = range(4)
MASK = len(VOCABULARY) - 1
MOST_ATOMS = 256

_INDEX = {symbol: index for index, symbol in enumerate(VOCABULARY)}


@dataclass
class TokenReport:
    """What did not fit the dictionary or the length.

    Parameters
    ----------
    unknown
        Atoms of an element that has no token; they became [UNK].
    cropped
        Molecules of which only ``MOST_ATOMS`` atoms, drawn at random, were kept.
    """

    unknown: int = 0
    cropped: int = 0


def tokenise(
    conformers: Sequence[Conformer],
    *,
    most_atoms: int = MOST_ATOMS,
    seed: int = 0,
    report: TokenReport | None = None,
) -> dict[str, Tensor]:
    """Return tokens and coordinates of molecules, padded to the longest.

    Parameters
    ----------
    conformers
        One a molecule; a molecule with fewer conformers than another repeats its own.
    most_atoms
        Of a larger molecule that many atoms are kept, drawn at random, as Uni-Mol does.
    seed
        Of that draw.
    report
        Filled with what did not fit.

    Returns
    -------
    dict
        ``tokens (molecules, length)`` and ``coordinates (molecules, conformers, length, 3)`` in
        ångström.
    """
    if not conformers:
        raise InputError("conformers: expected at least one molecule, got none.")
    report = TokenReport() if report is None else report
    rng = np.random.default_rng(seed)
    count = max(len(conformer.coordinates) for conformer in conformers)
    length = 2 + min(most_atoms, max(len(conformer.symbols) for conformer in conformers))
    tokens = np.full((len(conformers), length), PAD)
    coordinates = np.zeros((len(conformers), count, length, 3), np.float32)
    for row, conformer in enumerate(conformers):
        atoms = np.arange(len(conformer.symbols))
        if len(atoms) == 0:
            raise InputError(f"conformers: molecule {row} has no heavy atom.")
        if len(atoms) > most_atoms:
            atoms = rng.choice(atoms, most_atoms, replace=False)
            report.cropped += 1
        ids = [_INDEX.get(conformer.symbols[atom], UNK) for atom in atoms]
        report.unknown += ids.count(UNK)
        end = 1 + len(atoms)
        tokens[row, 0], tokens[row, 1:end], tokens[row, end] = CLS, ids, SEP
        places = conformer.coordinates[:, atoms]
        places = places - places.mean(axis=1, keepdims=True)
        coordinates[row, :, 1:end] = places[np.arange(count) % len(places)]
    return {"tokens": torch.from_numpy(tokens), "coordinates": torch.from_numpy(coordinates)}


def corrupt(
    tokens: Tensor,
    coordinates: Tensor,
    generator: torch.Generator,
    *,
    share: float = 0.15,
    noise: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Corrupt a batch as Uni-Mol's training does: mask atoms and shake them.

    Of the atoms ``share`` is chosen: 90 % become [MASK], 5 % a random element, 5 % stay as they
    are; those that do not stay move by uniform noise of up to ``noise`` ångström in each
    coordinate.

    Parameters
    ----------
    tokens, coordinates
        ``(batch, length)`` and ``(batch, length, 3)``.
    generator
        Where the randomness comes from.
    """
    atoms = (tokens != PAD) & (tokens != CLS) & (tokens != SEP)
    chosen = atoms & (torch.rand(tokens.shape, generator=generator) < share)
    fate = torch.rand(tokens.shape, generator=generator)
    elements = torch.randint(len(SPECIAL), len(VOCABULARY) - 1, tokens.shape, generator=generator)
    changed = chosen & (fate >= 0.05)
    new = torch.where(chosen & (fate >= 0.10), MASK, tokens)
    new = torch.where(changed & (fate < 0.10), elements, new)
    shake = (2 * torch.rand(coordinates.shape, generator=generator) - 1) * noise
    return new, coordinates + shake * changed[..., None]
