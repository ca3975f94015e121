"""The paper's ideal activations, and the six clamps that isolate its subcircuits.

Singh et al. 2024, sections 3.3 and 4.2. An induction head takes five steps: (1) a previous-token head
attends to the token before, (2) copies it; (3) queries and keys (3qk) and values (3v) are routed to
the induction head, which (4) matches and (5) copies the label to the logits. Subcircuit A is {1, 2},
B the match {3qk, 4}, C the copy {3v, 5}.

In a context of m pairs the labels sit at positions 1, 3, ... 2m - 1 and the query at 2m.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from axonal.errors import InputError, nearest
from axonal.learning.induction.clamping import Seen
from axonal.learning.induction.clamps import Clamp, HeadsLike, Ideal, all_but, as_heads

QUERY = (-1,)


@dataclass(frozen=True)
class PatternIdeal(Ideal):
    """An attention pattern, meant for some query positions (None: for all)."""

    rows: tuple[int, ...] | None = None


def previous_token(strength: float = 1.0, *, only_labels: bool = False) -> PatternIdeal:
    """Attend to the token before with ``strength``, to oneself with the rest; the first to itself.

    Parameters
    ----------
    strength
        In [0, 1].
    only_labels
        Whether rows other than the labels' stay as they are (contexts of two pairs).
    """
    _check_strength(strength)

    def pattern(seen: Seen, x: Tensor) -> Tensor:
        del seen
        length = x.shape[-1]
        rows = torch.eye(length) * (1 - strength) + strength * torch.eye(length).roll(-1, dims=1)
        rows[0] = torch.eye(length)[0]
        return rows[length - x.shape[-2] :].to(x)

    return PatternIdeal(pattern, rows=(1, 3) if only_labels else None)


def induction(strength: float = 1.0) -> PatternIdeal:
    """Let the query attend to the right label with ``strength``, to the others with the rest.

    With two pairs the head's induction strength is then ``2 strength - 1``; 0 is the *wrong* clamp,
    which serves as a control.
    """
    _check_strength(strength)

    def pattern(seen: Seen, x: Tensor) -> Tensor:
        labels = seen["labels"]
        right = labels[..., :-1] == labels[..., -1:]
        others = (1 - strength) / max(right.shape[-1] - 1, 1)
        return _at_labels(torch.where(right, strength, others), x)

    return PatternIdeal(pattern, reads=("labels",), rows=QUERY)


def matching(temperature: float = 0.0) -> PatternIdeal:
    """Let the query attend to labels by the cosine similarity of the raw exemplars before them.

    Parameters
    ----------
    temperature
        Of a softmax over the cosines; 0 takes the most similar.
    """
    if temperature < 0:
        raise InputError(f"temperature is not negative, got {temperature}.")

    def pattern(seen: Seen, x: Tensor) -> Tensor:
        unit = functional.normalize(seen["examples"], dim=-1)
        cosine = (unit[..., :-1, :] * unit[..., -1:, :]).sum(-1)
        if temperature > 0:
            return _at_labels((cosine / temperature).softmax(-1), x)
        return _at_labels(functional.one_hot(cosine.argmax(-1), cosine.shape[-1]), x)

    return PatternIdeal(pattern, reads=("examples",), rows=QUERY)


def fixed_pattern(seed: int = 0) -> PatternIdeal:
    """Let the query attend to a fixed random mixture of all positions: a control that knows nothing."""

    def pattern(seen: Seen, x: Tensor) -> Tensor:
        del seen
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(x.shape[-1], generator=generator).softmax(-1).to(x)

    return PatternIdeal(pattern, rows=QUERY)


def copied_from(scores: str, head: HeadsLike) -> Ideal:
    """Make logits of a head's scores at the labels; labels that are not shown get minus infinity.

    The gradient flows through the scores. With two pairs the loss is
    ``softplus(score of the wrong label - score of the right one)``.

    Parameters
    ----------
    scores
        The node of the head's scores before the softmax.
    head
        One head, or one for each seed.
    """
    chosen = as_heads(head)
    if chosen.others or any(len(one) != 1 for one in chosen.chosen):
        raise InputError("The logits are copied from one head, or from one for each seed.")

    def logits(seen: Seen, x: Tensor) -> Tensor:
        every, labels = seen[scores], seen["labels"]
        chosen.mask(every.shape[2])  # says which heads there are
        which = torch.tensor([one[0] for one in chosen.chosen], device=x.device)
        which = which.expand(len(every))
        own = every[torch.arange(len(every), device=x.device), :, which, -1, 1::2]
        shown = labels[..., :-1].expand(*own.shape)
        return torch.full_like(x, -math.inf).scatter(-1, shown, own)

    return Ideal(logits, reads=(scores, "labels"))


def _shifted(seen: Seen, x: Tensor) -> Tensor:
    """Return the embeddings with labels and later exemplars replaced by the token before."""
    del x
    plain = seen["embedding"]
    return torch.cat([plain[:, :, :1], plain[:, :, :-2], plain[:, :, -1:]], dim=2)


def _plain(seen: Seen, x: Tensor) -> Tensor:
    del x
    return seen["embedding"]


def perfect_previous_tokens(layer: int = 2) -> Clamp:
    """Give a layer what perfect previous-token heads below it would (subcircuit A).

    Queries and keys read ``[h0, h0, h1, ..., h_q]``, each token replaced by the one before it except
    the first and the query; values and the residual stream are the plain embeddings. The layers
    below are bypassed.
    """
    if layer < 2:
        raise InputError(f"Previous tokens are given to layer 2 or later, got layer={layer}.")
    return (
        Clamp()
        .set(f"layer{layer - 1}.residual", Ideal(_plain, reads=("embedding",)))
        .set(f"layer{layer}.qk_input", Ideal(_shifted, reads=("embedding",)))
    )


def _none(head: HeadsLike, previous: HeadsLike) -> Clamp:
    del previous
    return Clamp().ablate("layer2", heads=all_but(head))


def _previous_token(head: HeadsLike, previous: HeadsLike) -> Clamp:
    return _none(head, previous).heads_of("layer1.pattern", previous_token(), previous)


def _layer1(head: HeadsLike, previous: HeadsLike) -> Clamp:
    return _none(head, previous) + perfect_previous_tokens()


def _match(head: HeadsLike, previous: HeadsLike) -> Clamp:
    return _none(head, previous).heads_of("layer2.pattern", induction(), head)


def _copy(head: HeadsLike, previous: HeadsLike) -> Clamp:
    del previous
    return Clamp().set("logits", copied_from("layer2.scores", head))


def _layer1_and_copy(head: HeadsLike, previous: HeadsLike) -> Clamp:
    return perfect_previous_tokens() + _copy(head, previous)


SUBCIRCUITS: dict[str, Callable[[HeadsLike, HeadsLike], Clamp]] = {
    "none": _none,
    "previous token": _previous_token,
    "layer 1": _layer1,
    "match": _match,
    "copy": _copy,
    "layer 1 + copy": _layer1_and_copy,
}
"""The six clamps of the paper's table: each leaves other steps to be learnt."""


def subcircuit(clamp: str, head: HeadsLike = 3, previous: HeadsLike = 2) -> Clamp:
    """Return one of the paper's six clamps of a two-layer model with a single induction head.

    Parameters
    ----------
    clamp
        ``"none"`` leaves everything to be learnt, ``"previous token"`` steps 2 to 5, ``"layer 1"``
        subcircuits B and C, ``"match"`` C, ``"copy"`` A and B, ``"layer 1 + copy"`` B.
    head
        The one head of layer 2 that is active (the others are ablated), or one for each seed.
    previous
        The heads of layer 1 whose pattern the previous-token clamp holds.
    """
    if clamp not in SUBCIRCUITS:
        raise InputError(f"There is no clamp {clamp!r}: {nearest(clamp, SUBCIRCUITS)}")
    return SUBCIRCUITS[clamp](head, previous)


def _at_labels(weights: Tensor, x: Tensor) -> Tensor:
    """Spread ``(..., batch, m)`` over positions 1, 3, ...: ``(seeds or 1, batch, 1, 1, T)``."""
    if weights.shape[-1] * 2 + 1 != x.shape[-1]:
        raise InputError(
            f"A pattern over {weights.shape[-1]} labels needs {2 * weights.shape[-1] + 1} tokens "
            f"(exemplar, label, ..., query), but {x.shape[-1]} flow here."
        )
    pairs = torch.stack([torch.zeros_like(weights), weights], dim=-1).flatten(-2)
    row = functional.pad(pairs, (0, 1)).to(x)
    row = row if row.ndim == 3 else row[None]
    return row[:, :, None, None]


def _check_strength(strength: float) -> None:
    if not 0 <= strength <= 1:
        raise InputError(f"A pattern's strength lies in [0, 1], got {strength}.")
