"""Off-topic detectors: latents that fire when an answer belongs to another question.

Every question is paired with its own answer and, by a derangement, with another's. Latents are
max-pooled over the tokens of each conversation. Three rules choose among them:

``"silent"``
    Never active on matched pairs, and active on at least 80 % of the shuffled ones (the released
    code of the paper).
``"auc"``
    The Mann-Whitney AUC of shuffled against matched pairs is at least 0.95 (the separability by which
    an earlier list was chosen; it asked for 1).
``"difference"``
    The largest differences of means (the contrastive search of the paper, which is a closed service).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from axonal.activations import Site, record
from axonal.errors import InputError, nearest
from axonal.language.dictionaries import SparseAutoencoder
from axonal.language.dictionaries.harvest import padded, padding
from axonal.language.models import LanguageModel
from axonal.language.resistance.sampling import conversation
from axonal.language.resistance.steering import steering_site

RULES = ("silent", "auc", "difference")
ZERO = 1e-8
Rule = Literal["silent", "auc", "difference"]


def derangement(n: int, seed: int) -> list[int]:
    """Return a permutation without fixed point, each as likely as any other.

    Permutations are drawn until one has no fixed point, which takes about e of them.
    """
    if n < 2:
        raise InputError(f"A derangement needs two things or more, got {n}.")
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(n)
        if not np.any(order == np.arange(n)):
            return [int(place) for place in order]


@dataclass(frozen=True, eq=False)
class Contrast:
    """Latents of matched and shuffled conversations, max-pooled over their tokens.

    Parameters
    ----------
    matched, shuffled
        ``(prompts, latents)`` each.
    prompts
        The questions.
    """

    matched: NDArray[np.float64]
    shuffled: NDArray[np.float64]
    prompts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.matched.shape != self.shuffled.shape or self.matched.ndim != 2:
            raise InputError(
                "A contrast has (prompts, latents) twice, got "
                f"{self.matched.shape} and {self.shuffled.shape}."
            )

    def auc(self) -> NDArray[np.float64]:
        """``(latents,)``: how surely a shuffled pair outscores a matched one; ties count half."""
        from scipy.stats import rankdata

        n, m = len(self.matched), len(self.shuffled)
        ranks = rankdata(np.concatenate([self.shuffled, self.matched]), axis=0)
        return (ranks[:m].sum(axis=0) - m * (m + 1) / 2) / (m * n)

    def difference(self) -> NDArray[np.float64]:
        """``(latents,)``: mean of the shuffled pairs minus mean of the matched ones."""
        return self.shuffled.mean(axis=0) - self.matched.mean(axis=0)


@dataclass(frozen=True)
class Detectors:
    """Latents that a rule chose, the strongest first.

    Parameters
    ----------
    latents
        Their numbers.
    rule
        Which rule chose them.
    strength
        What it ordered them by, for each.
    prompts
        What they were chosen on.
    """

    latents: tuple[int, ...]
    rule: str
    strength: tuple[float, ...]
    prompts: tuple[str, ...] = ()


def contrast(
    language_model: LanguageModel,
    sae: SparseAutoencoder,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    site: Site | None = None,
    allow_site_mismatch: bool = False,
    pool: Literal["all", "answer"] = "all",
    seed: int = 0,
    batch: int = 8,
) -> Contrast:
    """Run matched and shuffled conversations and read the latents.

    Parameters
    ----------
    language_model, sae, site, allow_site_mismatch
        See `steering_site`.
    prompts, answers
        Questions and the model's own unsteered answers, paired by their order.
    pool
        Tokens that are pooled: all, as the paper does, or those of the answer. Those of the question
        are the same in both pairings.
    seed
        Of the derangement.
    batch
        Conversations a forward pass.
    """
    if len(prompts) != len(answers):
        raise InputError(f"{len(prompts)} prompts need as many answers, got {len(answers)}.")
    site = steering_site(language_model, sae, site, allow_site_mismatch=allow_site_mismatch)
    order = derangement(len(prompts), seed)
    pairs: list[tuple[str, str | None]] = [*zip(prompts, answers, strict=True)]
    pairs += [(prompt, answers[other]) for prompt, other in zip(prompts, order, strict=True)]
    every = activity(language_model, sae, pairs, site=site, pool=pool, batch=batch)
    return Contrast(every[: len(prompts)], every[len(prompts) :], tuple(prompts))


def activity(
    language_model: LanguageModel,
    sae: SparseAutoencoder,
    conversations: Sequence[tuple[str, str | None]],
    *,
    site: Site | None = None,
    pool: Literal["all", "answer"] = "all",
    batch: int = 8,
) -> NDArray[np.float64]:
    """Return the largest activation of each latent in each conversation, ``(conversations, latents)``.

    Parameters
    ----------
    language_model, sae, site
        Whose latents, and where; None is where the dictionary was trained.
    conversations
        Question and answer, or question and None.
    pool
        All tokens, or those of the answer.
    batch
        Conversations a forward pass.
    """
    site = site or sae.site_in(language_model.model)
    pooled = []
    for start in range(0, len(conversations), batch):
        part = [conversation(language_model, *one) for one in conversations[start : start + batch]]
        ids, mask = padded([row for row, _ in part], padding(language_model))
        kept = mask.bool()
        for number, (_, length) in enumerate(part):
            kept[number, : length if pool == "answer" else sae.skip] = False
        inputs = {"input_ids": ids, "attention_mask": mask}
        inputs = {name: x.to(language_model.device) for name, x in inputs.items()}
        latents = sae.encode(record(language_model.model, inputs, [site])[site].float()).cpu()
        latents = latents.masked_fill(~kept.unsqueeze(-1), 0)
        pooled.append(latents.max(dim=1).values.double())
    return torch.cat(pooled).numpy()


def find_detectors(
    found: Contrast,
    rule: Rule = "silent",
    *,
    share: float = 0.8,
    least_auc: float = 0.95,
    most: int | None = 26,
) -> Detectors:
    """Choose off-topic detectors by a rule.

    Parameters
    ----------
    found
        From `contrast`.
    rule
        ``"silent"``, ``"auc"`` or ``"difference"``, see the module.
    share
        Of shuffled pairs on which a latent fires, for ``"silent"``.
    least_auc
        For ``"auc"``.
    most
        Keep so many, the strongest; None keeps all that pass (``"difference"`` then keeps every
        latent with a positive difference).
    """
    if rule not in RULES:
        raise InputError(f"No rule {rule!r} chooses detectors; {nearest(rule, RULES)}")
    if rule == "silent":
        quiet = (found.matched < ZERO).all(axis=0)
        strength = (found.shuffled >= ZERO).mean(axis=0)
        passed = quiet & (strength >= share)
    elif rule == "auc":
        strength = found.auc()
        passed = strength >= least_auc
    else:
        strength = found.difference()
        passed = strength > 0
    # Equally strong ones, as with an AUC of 1, are ordered by their difference.
    order = np.lexsort((-found.difference(), -strength))
    chosen = [int(latent) for latent in order if passed[latent]][:most]
    return Detectors(
        tuple(chosen), rule, tuple(float(strength[latent]) for latent in chosen), found.prompts
    )
