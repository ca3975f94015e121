"""The few-shot task that only in-context learning solves (Singh et al. 2024, section 2.1).

A sequence is ``x_1 y_1 ... x_m y_m x_q``: exemplars with their labels, then a query of one of the
classes shown. Which classes are shown, in which order and with which labels is drawn anew for each
sequence, so no class has a label of its own; the target is the label shown beside the query's class.
The paper has m = 2 pairs. Label *sets* (unordered pairs there) are split into those used in training
and those held out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from axonal.errors import InputError, nearest
from axonal.learning.induction.features import check_features
from axonal.training.batches import step_seed

Batch = dict[str, Tensor]
"""``examples (..., m + 1, dim)`` and ``labels (..., m + 1)``; the last label is the target."""

_BLOCK = 64  # steps whose sequences are drawn at once


class FewShotTask:
    """The task on a set of features.

    Parameters
    ----------
    features
        ``(classes, exemplars, dim)``; training shows the first exemplar of a class alone.
    n_labels
        Labels in all, C.
    n_classes
        Training classes, K; the classes left over are unseen ones to evaluate on.
    n_pairs
        Exemplar-label pairs in the context, m.
    held_out
        Fraction of the label sets that training never shows.
    unseen
        At most so many classes to evaluate on.
    seed
        Of the order of the classes and of the split of the label sets.
    """

    def __init__(
        self,
        features: Tensor,
        n_labels: int = 5,
        n_classes: int = 50,
        *,
        n_pairs: int = 2,
        held_out: float = 0.2,
        unseen: int = 100,
        seed: int = 0,
    ) -> None:
        features = check_features(features)
        if n_pairs < 2:
            raise InputError(f"A context holds at least 2 pairs, got n_pairs={n_pairs}.")
        if n_labels < max(2, n_pairs):
            raise InputError(
                f"{n_pairs} pairs need at least {n_pairs} labels to tell apart, got n_labels={n_labels}."
            )
        if not n_pairs <= n_classes <= len(features):
            raise InputError(
                f"n_classes lies between the {n_pairs} of a context and the {len(features)} that the "
                f"features have, got {n_classes}."
            )
        if not 0 <= held_out < 1:
            raise InputError(f"held_out is a fraction in [0, 1), got {held_out}.")
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(features), generator=generator)
        self.features = features[order]
        self.n_labels, self.n_classes, self.n_pairs = n_labels, n_classes, n_pairs
        self.training_classes = torch.arange(n_classes)
        self.unseen_classes = torch.arange(n_classes, min(len(features), n_classes + unseen))
        self.training_labels, self.held_out_labels = _split(n_labels, n_pairs, held_out, generator)

    @property
    def length(self) -> int:
        """Tokens of a sequence: ``2 m + 1``."""
        return 2 * self.n_pairs + 1

    @property
    def dim(self) -> int:
        """Width of the features."""
        return self.features.shape[-1]

    @property
    def n_sequences(self) -> int:
        """How many distinct training sequences there are.

        ``K! / (K - m)!`` ordered contexts, ``m`` queries, ``P m!`` ordered label sets: for pairs
        ``K (K - 1) 2 (2 P)``.
        """
        contexts = 1
        for used in range(self.n_pairs):
            contexts *= self.n_classes - used
        orders = 1
        for one in range(2, self.n_pairs + 1):
            orders *= one
        return contexts * self.n_pairs * len(self.training_labels) * orders

    @property
    def evaluators(self) -> tuple[str, ...]:
        """What :meth:`sample` can draw: training sequences, and those that training never shows.

        ``relabel`` has held-out label sets, ``unseen`` other classes, ``exemplars`` other exemplars.
        """
        held = ("relabel",) if len(self.held_out_labels) else ()
        unseen = ("unseen",) if len(self.unseen_classes) >= self.n_pairs else ()
        others = ("exemplars",) if self.features.shape[1] > 1 else ()
        return ("train", *held, *unseen, *others)

    def batches(
        self, size: int = 32, seed: int = 0, streams: tuple[int, ...] | None = None
    ) -> Callable[[int], Batch]:
        """Return the training batches as a pure function of the step.

        Parameters
        ----------
        size
            Sequences a batch.
        seed
            Of the stream.
        streams
            None gives one stream, ``(size, ...)``, which every member of an ensemble sees. Seeds
            give one stream each, ``(streams, size, ...)``.
        """
        if size < 1:
            raise InputError(f"A batch holds at least one sequence, got {size}.")
        return _Stream(self, size, seed, streams)

    def sample(self, evaluator: str, sequences: int, seed: int = 1) -> Batch:
        """Draw sequences of one of the :attr:`evaluators`."""
        if evaluator not in self.evaluators:
            raise InputError(f"No evaluator {evaluator!r}: {nearest(evaluator, self.evaluators)}")
        generator = torch.Generator().manual_seed(step_seed(seed, len(evaluator)))
        classes = self.unseen_classes if evaluator == "unseen" else self.training_classes
        labels = self.held_out_labels if evaluator == "relabel" else self.training_labels
        drawn, shown = self._draw(sequences, classes, labels, generator)
        if evaluator != "exemplars":
            return self.sequences(drawn, shown)
        others = self.features.shape[1]
        which = torch.randint(1, others, drawn.shape, generator=generator)
        return self.sequences(drawn, shown, which)

    def sequences(self, classes: Tensor, labels: Tensor, exemplars: Tensor | int = 0) -> Batch:
        """Return sequences by their classes and labels, ``(..., m + 1)`` each."""
        return {"examples": self.features[classes, exemplars], "labels": labels}

    def enumerate(self) -> tuple[Tensor, Tensor]:
        """Return classes and labels of every training sequence, ``(n_sequences, m + 1)`` each."""
        if self.n_sequences > 5_000_000:
            raise InputError(
                f"There are {self.n_sequences:,} training sequences, too many to list: use sample()."
            )
        contexts = torch.tensor(list(itertools.permutations(range(self.n_classes), self.n_pairs)))
        ordered = [
            torch.tensor(list(itertools.permutations(s.tolist()))) for s in self.training_labels
        ]
        labels = torch.cat(ordered)
        query = torch.arange(self.n_pairs)
        c, q, s = (
            grid.flatten()
            for grid in torch.meshgrid(
                torch.arange(len(contexts)), query, torch.arange(len(labels)), indexing="ij"
            )
        )
        shown, named = contexts[c], labels[s]
        return (
            torch.cat([shown, shown.gather(1, q[:, None])], dim=1),
            torch.cat([named, named.gather(1, q[:, None])], dim=1),
        )

    def _draw(
        self, count: int, classes: Tensor, label_sets: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        m = self.n_pairs
        if m == 2:  # the second class is any but the first
            first = torch.randint(len(classes), (count,), generator=generator)
            step = torch.randint(1, len(classes), (count,), generator=generator)
            context = torch.stack([first, (first + step) % len(classes)], dim=1)
        else:
            context = torch.rand(count, len(classes), generator=generator).topk(m, dim=1).indices
        sets = label_sets[torch.randint(len(label_sets), (count,), generator=generator)]
        labels = sets.gather(1, torch.rand(count, m, generator=generator).argsort(dim=1))
        query = torch.randint(m, (count, 1), generator=generator)
        context = classes[context]
        return (
            torch.cat([context, context.gather(1, query)], dim=1),
            torch.cat([labels, labels.gather(1, query)], dim=1),
        )


class _Stream:
    """Training batches, drawn many steps at a time from a generator of their own."""

    def __init__(
        self, task: FewShotTask, size: int, seed: int, streams: tuple[int, ...] | None
    ) -> None:
        self.task, self.size, self.seed, self.streams = task, size, seed, streams
        self.block, self.classes, self.labels = -1, torch.empty(0), torch.empty(0)

    def __call__(self, step: int) -> Batch:
        block, within = divmod(step, _BLOCK)
        if block != self.block:
            self.block = block
            drawn = [self._drawn(one, block) for one in self.streams or (0,)]
            self.classes, self.labels = (
                torch.stack(part, dim=1) for part in zip(*drawn, strict=True)
            )
        classes, labels = self.classes[within], self.labels[within]
        if self.streams is None:
            classes, labels = classes[0], labels[0]
        return self.task.sequences(classes, labels)

    def _drawn(self, stream: int, block: int) -> tuple[Tensor, Tensor]:
        task = self.task
        generator = torch.Generator().manual_seed(step_seed(step_seed(self.seed, stream), block))
        drawn = task._draw(
            _BLOCK * self.size, task.training_classes, task.training_labels, generator
        )
        classes, labels = (part.view(_BLOCK, self.size, -1) for part in drawn)
        return classes, labels


def _split(
    n_labels: int, n_pairs: int, held_out: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Split the label sets; each label must occur in training."""
    every = torch.tensor(list(itertools.combinations(range(n_labels), n_pairs)))
    held = int(len(every) * held_out + 1e-9)
    for _ in range(100):
        order = every[torch.randperm(len(every), generator=generator)]
        if len(order[held:].unique()) == n_labels:
            return order[held:], order[:held]
    raise InputError(
        f"{n_labels} labels make {len(every)} label sets; with {held} of them held out, the "
        f"{len(every) - held} left never show some label. Lower held_out={held_out:g}."
    )
