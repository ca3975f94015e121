"""The built-in judge: restart phrases part the attempts, sentence similarity scores them.

An attempt's raw score is its mean cosine similarity to a reference answer (an unsteered one of the
same model) and to the question. It is mapped linearly so that other unsteered answers to the same
question average 90, and answers to other questions 5, and is cut to 0..100. It knows topics and knows
nothing of quality or truth: it is stated, free and repeatable, and no replacement for a judge that
reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.language.resistance.attempts import AttemptRule
from axonal.language.resistance.detectors import derangement
from axonal.language.resistance.judges import Attempt, Judgement, Response

MATCHED, SHUFFLED = 90.0, 5.0
Encoder = Callable[[Sequence[str]], Tensor]


@dataclass(frozen=True, eq=False)
class LocalJudge:
    """Judges without a network; make it with `LocalJudge.calibrated`.

    Parameters
    ----------
    encoder
        Texts to unit vectors ``(texts, width)``, such as a `SentenceEncoder`.
    references
        An unsteered answer to each question.
    slope, offset
        From raw similarity to score.
    rule
        When an answer starts over.
    separation
        Share of the spread between matched and shuffled scores that is not noise: their difference of
        means in units of the pooled standard deviation.
    """

    encoder: Encoder
    references: Mapping[str, str]
    slope: float
    offset: float
    rule: AttemptRule = field(default_factory=AttemptRule)
    separation: float = float("nan")

    @classmethod
    def calibrated(
        cls,
        encoder: Encoder,
        answers: Mapping[str, Sequence[str]],
        *,
        rule: AttemptRule | None = None,
        seed: int = 0,
    ) -> LocalJudge:
        """Make a judge from unsteered answers, at least two a question.

        Parameters
        ----------
        encoder
            See above.
        answers
            For each question several unsteered answers. The first is the reference, the others are
            the matched ones; the answers of a derangement are the shuffled ones.
        rule
            When an answer starts over.
        seed
            Of the derangement.
        """
        prompts = list(answers)
        few = [prompt for prompt in prompts if len(answers[prompt]) < 2]
        if few or len(prompts) < 2:
            raise InputError(
                "A judge is calibrated on two questions or more with two unsteered answers each; "
                f"got {len(prompts)} questions"
                + (f", and {few[0]!r} has {len(answers[few[0]])}." if few else ".")
            )
        references = {prompt: answers[prompt][0] for prompt in prompts}
        order = derangement(len(prompts), seed)
        judge = cls(encoder, references, 1.0, 0.0, rule or AttemptRule())
        matched = [(p, text) for p in prompts for text in answers[p][1:]]
        shuffled = [
            (p, text)
            for p, other in zip(prompts, order, strict=True)
            for text in answers[prompts[other]]
        ]
        same = judge.similarity(*zip(*matched, strict=True))
        apart = judge.similarity(*zip(*shuffled, strict=True))
        gap = float(same.mean() - apart.mean())
        if not gap > 0:
            raise InputError(
                "The encoder does not tell answers to a question from answers to others (mean "
                f"similarity {same.mean():.3f} against {apart.mean():.3f}), so it cannot judge."
            )
        slope = (MATCHED - SHUFFLED) / gap
        spread = np.sqrt((same.var() + apart.var()) / 2)
        return cls(
            encoder,
            references,
            slope,
            MATCHED - slope * float(same.mean()),
            judge.rule,
            gap / float(spread) if spread > 0 else float("inf"),
        )

    def similarity(self, prompts: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        """Return the raw similarity of each text to its question and reference, ``(texts,)``."""
        unknown = [prompt for prompt in prompts if prompt not in self.references]
        if unknown:
            raise InputError(f"The judge has no reference answer to {unknown[0]!r}.")
        known = list(dict.fromkeys(prompts))
        place = {prompt: number for number, prompt in enumerate(known)}
        questions = self.encoder(known)
        answers = self.encoder([self.references[prompt] for prompt in known])
        rows = torch.tensor([place[prompt] for prompt in prompts])
        target = (questions + answers) / 2
        return (self.encoder(list(texts)) * target[rows]).sum(-1).double().numpy()

    def __call__(self, responses: Sequence[Response]) -> list[Judgement]:
        """Judge responses to questions that have a reference."""
        parted = [self.rule.split(response.text) for response in responses]
        texts = [text for parts in parted for text in parts]
        if not texts:
            return [Judgement() for _ in responses]
        prompts = [r.prompt for r, parts in zip(responses, parted, strict=True) for _ in parts]
        raw = self.similarity(prompts, texts) * self.slope + self.offset
        scores = iter(np.clip(raw, 0, 100).tolist())
        return [Judgement(tuple(Attempt(text, next(scores)) for text in parts)) for parts in parted]
