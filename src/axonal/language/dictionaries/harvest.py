"""Collect the activations of texts at one site, a row a token, for training and for statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from axonal.activations import Site, record
from axonal.errors import InputError
from axonal.language.dictionaries.places import place_of
from axonal.language.models import LanguageModel


@dataclass(frozen=True, eq=False)
class Harvest:
    """Activations of a corpus, a row a token.

    Parameters
    ----------
    activations
        ``(tokens, width)``.
    tokens, pieces
        ``(tokens,)``: the token's id, and which piece of text it comes from.
    place, model, skip
        Where they were read, in which model, and how many first tokens of a piece were left out.
    """

    activations: Tensor
    tokens: Tensor
    pieces: Tensor
    place: str | None = None
    model: str | None = None
    skip: int = 0

    def __len__(self) -> int:
        return len(self.activations)


def harvest(
    language_model: LanguageModel,
    texts: Iterable[str],
    site: Site,
    *,
    limit: int | None = None,
    length: int = 128,
    batch: int = 16,
    skip: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Harvest:
    """Run texts through a model and keep the activations at a site.

    Parameters
    ----------
    language_model, site
        Which activations.
    texts
        Any; long ones are cut into pieces, what is shorter than a piece ends one.
    limit
        Stop after so many tokens.
    length
        Tokens a piece.
    batch
        Pieces a forward pass.
    skip
        First tokens of a piece to leave out. The first token attracts attention from everywhere and
        has a norm of its own in many models.
    progress
        Called as ``progress(tokens done, limit or tokens in all)``.
    """
    if skip >= length:
        raise InputError(f"skip={skip} leaves nothing of pieces of {length} tokens.")
    pieces = _pieces(language_model, texts, length, skip, limit)
    if not pieces:
        raise InputError(f"There is no text of more than {skip} tokens to collect from.")
    total = sum(len(piece) - skip for piece in pieces)
    activations, tokens, sources = [], [], []
    done = 0
    for start in range(0, len(pieces), batch):
        part = pieces[start : start + batch]
        ids, mask = padded(part, padding(language_model))
        ids, mask = ids.to(language_model.device), mask.to(language_model.device)
        inputs = {"input_ids": ids, "attention_mask": mask}
        found = record(language_model.model, inputs, [site])[site]
        kept = mask.bool().clone()
        kept[:, :skip] = False
        activations.append(found[kept].float().cpu())
        tokens.append(ids[kept].cpu())
        sources.append((kept.nonzero()[:, 0] + start).cpu())
        done += int(kept.sum())
        if progress is not None:
            progress(done, total)
    return Harvest(
        torch.cat(activations),
        torch.cat(tokens),
        torch.cat(sources),
        place_of(site, language_model.model),
        language_model.name,
        skip,
    )


def padding(language_model: LanguageModel) -> int:
    """Return the token that fills rows up; which one it is makes no difference."""
    token = language_model.tokenizer.pad_token_id
    return token if isinstance(token, int) else 0


def padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Return ids and attention mask ``(rows, longest)``, padded on the right."""
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
    return ids, mask


def _pieces(
    language_model: LanguageModel, texts: Iterable[str], length: int, skip: int, limit: int | None
) -> list[list[int]]:
    pieces: list[list[int]] = []
    total = 0
    for text in texts:
        ids = list(language_model.tokenizer(text, truncation=False)["input_ids"])
        for start in range(0, len(ids), length):
            piece = ids[start : start + length]
            if limit is not None:
                piece = piece[: max(0, limit - total) + skip]
            if len(piece) > skip:
                pieces.append(piece)
                total += len(piece) - skip
            if limit is not None and total >= limit:
                return pieces
    return pieces
