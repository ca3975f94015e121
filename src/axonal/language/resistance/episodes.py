"""Self-correction episodes that a model writes itself, to be taught with: no text from elsewhere.

The model answers questions, and says a few sentences about topics that nobody asked for. Put together
with an admission these are episodes of drifting and coming back
(`axonal.language.resistance.teaching`), in the model's own words and style, so that a fine-tuning
teaches the return and as little else as can be. Any causal model of Hugging Face will do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from axonal.errors import InputError
from axonal.language.models import LanguageModel
from axonal.language.resistance.sampling import Sampling, conversation, sample
from axonal.language.resistance.teaching import ADMISSIONS, Example, correction_examples
from axonal.language.resistance.topics import TOPICS

ASKED_TO_DRIFT = "Write four sentences about {topic}."


def own_episodes(
    language_model: LanguageModel,
    questions: Sequence[str],
    *,
    topics: Sequence[str] = TOPICS,
    admissions: Sequence[str] = ADMISSIONS,
    sentences: tuple[int, int] = (2, 4),
    sampling: Sampling | None = None,
    seed: int = 0,
    batch: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Example], list[Example]]:
    """Let a model write an episode of correction and a plain answer to each question.

    Parameters
    ----------
    language_model
        Who writes, and will be taught.
    questions
        None of those that resistance is to be measured on.
    topics
        What answers drift to; as many as there are questions, taken in turn.
    admissions, sentences
        See `correction_examples`.
    sampling
        Length and temperature of what is written; 64 tokens when None.
    seed
        Of all draws.
    batch
        Texts that are written together; changes none of them.
    progress
        Called as ``progress(done, total)``.

    Returns
    -------
    corrections, plain
        One of each a question, for `mixed`.
    """
    if not questions or len(set(questions)) != len(questions):
        raise InputError(f"Episodes need questions, none of them twice; got {len(questions)}.")
    if not topics:
        raise InputError("Episodes need topics to drift to.")
    asked = [ASKED_TO_DRIFT.format(topic=topic) for topic in topics[: len(questions)]]
    prompts = [*questions, *asked]
    sampling = sampling or Sampling(64, 0.6, 1.1)
    written: list[str] = []
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch]
        rows = [conversation(language_model, prompt)[0] for prompt in part]
        seeds = [seed + start + number for number in range(len(part))]
        for row in sample(language_model, rows, seeds, sampling):
            text = language_model.tokenizer.decode(row, skip_special_tokens=True)
            written.append(str(text).strip())
        if progress is not None:
            progress(len(written), len(prompts))
    answers = {question: text for question, text in zip(questions, written, strict=False) if text}
    drifts = [text for text in written[len(questions) :] if text]
    corrections = correction_examples(
        answers, drifts, admissions=admissions, sentences=sentences, seed=seed
    )
    return corrections, [Example(question, "", text) for question, text in answers.items()]
