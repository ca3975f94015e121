"""A small corpus that needs no download: what a chat model writes, and Python's own reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from axonal.errors import InputError
from axonal.language.models import LanguageModel


def own_texts(
    language_model: LanguageModel,
    questions: Sequence[str],
    *,
    new_tokens: int = 140,
    batch: int = 34,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Let a chat model answer questions; return whole conversations as it reads them.

    Parameters
    ----------
    language_model
        Has a chat template.
    questions
        What it is asked.
    new_tokens, batch, seed
        Tokens an answer, questions a batch, and the seed of the draw.
    progress
        Called as ``progress(done, total)``, in questions.
    """
    import torch
    from transformers import set_seed

    tokenizer, model = language_model.tokenizer, language_model.model
    if tokenizer.chat_template is None:
        raise InputError(f"{language_model.name} has no chat template: bring texts of your own.")
    tokenizer_side, tokenizer.padding_side = tokenizer.padding_side, "left"
    texts: list[str] = []
    try:
        for start in range(0, len(questions), batch):
            part = questions[start : start + batch]
            begun = [
                str(
                    tokenizer.apply_chat_template(
                        [{"role": "user", "content": question}],
                        tokenize=False,
                        add_generation_prompt=True,
                    )
                )
                for question in part
            ]
            inputs = tokenizer(
                begun, return_tensors="pt", padding=True, add_special_tokens=False
            ).to(language_model.device)
            with torch.no_grad(), torch.random.fork_rng():
                set_seed(seed + start)
                made = model.generate(  # pyright: ignore[reportCallIssue]
                    **inputs, max_new_tokens=new_tokens, do_sample=True, temperature=0.8, top_p=0.95
                )
            answers = made[:, inputs["input_ids"].shape[1] :]
            for question, answer in zip(begun, answers, strict=True):
                texts.append(question + str(tokenizer.decode(answer, skip_special_tokens=True)))
            if progress is not None:
                progress(len(texts), len(questions))
    finally:
        tokenizer.padding_side = tokenizer_side
    return texts


def python_reference() -> list[str]:
    """Return the sections of the Python reference that come with every Python."""
    from pydoc_data.topics import topics

    return [topics[name] for name in sorted(topics)]
