"""Tasks whose answer turns on one word: indirect object identification, subject-verb agreement.

Both draw their words from lists that are filtered to single tokens of the tokenizer at hand, so that
a pair's prompts have equally many tokens and the answer is one token. Within one template every pair
puts the same roles at the same positions, and scores may be averaged over pairs.

Indirect object identification (IOI): Wang et al. 2023. Subject-verb agreement (SVA): the task of
Marks et al. 2024, with templates of our own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from axonal.errors import InputError
from axonal.language.prompts import PromptPairs, is_single_token

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_NAMES = """
    Mary John Tom James Dan Martin Amy Alice Anna Paul Peter Sarah Laura Emma Kate Michael David
    Robert William Mark Jack Henry George Simon Adam Chris Kevin Brian Steve Andrew Richard Thomas
    Daniel Matthew Joseph Charles Edward Scott Eric Ryan Jason Alex Ben Sam Max Luke Rachel Jessica
    Julia Maria Susan Karen Lisa Helen Linda Elizabeth Jennifer Amanda Michelle Ruth Claire Jane Rose
    Lucy Grace Sophie Olivia Ella Lily Eva
"""
NAMES = tuple(_NAMES.split())
PLACES = ("shop", "park", "school", "station", "garden", "office", "hospital", "museum", "library")
OBJECTS = ("book", "ball", "key", "letter", "drink", "bag", "ticket", "ring", "gift", "map")

IOI_TEMPLATES = (
    "When {a} and {b} went to the {place}, {s} gave the {object} to",
    "After {a} and {b} arrived at the {place}, {s} handed a {object} to",
    "Then {a} and {b} had a long talk at the {place}. Afterwards {s} gave a {object} to",
    "While {a} and {b} were working at the {place}, {s} offered the {object} to",
    "Yesterday {a} and {b} met near the {place}, and {s} sold the {object} to",
    "As {a} and {b} were leaving the {place}, {s} passed a {object} to",
)
"""Sentences in which ``{s}`` repeats one of the names ``{a}`` and ``{b}``; the other is the answer."""

NOUNS = (
    ("key", "keys"), ("book", "books"), ("letter", "letters"), ("picture", "pictures"),
    ("teacher", "teachers"), ("student", "students"), ("doctor", "doctors"), ("farmer", "farmers"),
    ("car", "cars"), ("house", "houses"), ("dog", "dogs"), ("cat", "cats"), ("boy", "boys"),
    ("girl", "girls"), ("friend", "friends"), ("author", "authors"), ("road", "roads"),
    ("river", "rivers"), ("table", "tables"), ("window", "windows"), ("child", "children"),
)  # fmt: skip
VERBS = ((" is", " are"), (" has", " have"), (" was", " were"))

SVA_TEMPLATES = {
    "simple": "The {noun}",
    "prepositional": "The {noun} near the {other}",
    "relative": "The {noun} that the {other} liked",
}
"""Sentences that end before the verb, after nothing, a prepositional phrase or a relative clause."""

Agreement = Literal["simple", "prepositional", "relative"]


@dataclass(frozen=True)
class _Words:
    """Words of one tokenizer, each a single token."""

    names: tuple[str, ...]
    places: tuple[str, ...]
    objects: tuple[str, ...]


def ioi(
    tokenizer: PreTrainedTokenizerBase, count: int, *, seed: int, template: int = 0
) -> PromptPairs:
    """Draw indirect-object prompts; the counterfactual repeats the other name.

    "When John and Mary went to the shop, John gave the book to" is answered by " Mary"; with the
    second "John" replaced by "Mary" the answer is " John".

    Parameters
    ----------
    tokenizer
        Words that it splits are not drawn.
    count
        Pairs.
    seed
        Of the draw.
    template
        Which of `IOI_TEMPLATES`.
    """
    if not 0 <= template < len(IOI_TEMPLATES):
        raise InputError(f"template must be 0 to {len(IOI_TEMPLATES) - 1}; got {template}.")
    rng = np.random.default_rng([seed, template])
    words = _Words(*(_single(tokenizer, group, "IOI") for group in (NAMES, PLACES, OBJECTS)))
    clean: list[str] = []
    corrupt: list[str] = []
    answers: list[str] = []
    distractors: list[str] = []
    for _ in range(count):
        a, b = (str(name) for name in rng.choice(words.names, 2, replace=False))
        place, thing = str(rng.choice(words.places)), str(rng.choice(words.objects))
        subject, indirect = (a, b) if rng.random() < 0.5 else (b, a)
        sentence = IOI_TEMPLATES[template]
        clean.append(sentence.format(a=a, b=b, place=place, object=thing, s=subject))
        corrupt.append(sentence.format(a=a, b=b, place=place, object=thing, s=indirect))
        answers.append(f" {indirect}")
        distractors.append(f" {subject}")
    pairs = PromptPairs.from_text(tokenizer, clean, corrupt, answers, distractors)
    sentence = IOI_TEMPLATES[template]
    return replace(pairs, tokens=_roles(pairs.tokens, sentence, clean[0]))


def sva(
    tokenizer: PreTrainedTokenizerBase,
    count: int,
    *,
    seed: int,
    structure: Agreement = "prepositional",
) -> PromptPairs:
    """Draw subject-verb agreement prompts; the counterfactual flips the subject's number.

    "The keys near the table" is answered by " are"; "The key near the table" by " is".

    Parameters
    ----------
    tokenizer
        Words that it splits are not drawn.
    count
        Pairs; half of them have a plural subject in the clean prompt.
    seed
        Of the draw.
    structure
        What stands between subject and verb, a key of `SVA_TEMPLATES`.
    """
    if structure not in SVA_TEMPLATES:
        raise InputError(f"structure must be one of {', '.join(SVA_TEMPLATES)}; got {structure!r}.")
    rng = np.random.default_rng([seed, list(SVA_TEMPLATES).index(structure)])
    nouns = [pair for pair in NOUNS if all(is_single_token(tokenizer, word) for word in pair)]
    if len(nouns) < 2:
        raise InputError("This tokenizer splits nearly all nouns of the SVA task.")
    clean: list[str] = []
    corrupt: list[str] = []
    answers: list[str] = []
    distractors: list[str] = []
    for number in range(count):
        first, second = rng.choice(len(nouns), 2, replace=False)
        plural = number % 2
        other = nouns[second][int(rng.integers(2))]
        verbs = VERBS[int(rng.integers(len(VERBS)))]
        sentence = SVA_TEMPLATES[structure]
        clean.append(sentence.format(noun=nouns[first][plural], other=other))
        corrupt.append(sentence.format(noun=nouns[first][1 - plural], other=other))
        answers.append(verbs[plural])
        distractors.append(verbs[1 - plural])
    return PromptPairs.from_text(tokenizer, clean, corrupt, answers, distractors)


def _single(
    tokenizer: PreTrainedTokenizerBase, words: tuple[str, ...], task: str
) -> tuple[str, ...]:
    kept = tuple(word for word in words if is_single_token(tokenizer, word))
    if len(kept) < 2:
        raise InputError(
            f"This tokenizer splits nearly all words of the {task} task ({', '.join(words[:3])}, "
            "...): build PromptPairs from prompts of your own."
        )
    return kept


def _roles(tokens: tuple[str, ...], template: str, sentence: str) -> tuple[str, ...]:
    """Label the tokens that fill a placeholder by the placeholder: ``[a]``, ``[place]``."""
    names = {"a": "A", "b": "B", "s": "S", "place": "place", "object": "object"}
    fields = template.replace(",", "").replace(".", "").split()
    words = sentence.replace(",", "").replace(".", "").split()
    filled = [
        (word, f"[{names[field[1:-1]]}]")
        for field, word in zip(fields, words, strict=True)
        if field.startswith("{")
    ]
    labels: list[str] = []
    for token in tokens:
        if filled and token.strip() == filled[0][0]:
            labels.append(filled.pop(0)[1])
        else:
            labels.append(token.strip() or token)
    return tuple(labels)
