"""A transformer trained from scratch on a grammar in which one topic is declined.

A prompt is ``[begin] [ask] [word] [word] [end]``. Two words of one topic are answered by a token for
that topic and ask; those of topic 0 by DECLINE. In a look-alike one of the words belongs to topic 0
and the other is a frame ("crossword", "song"): it is answered by a token for that frame and ask. So
to decline, both words have to be read together. Pairs of words are held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from axonal.language.models import LanguageModel
from axonal.studies.gaussian_transport_steering.comparison import Case
from axonal.studies.gaussian_transport_steering.last_token import Tokens
from axonal.training import cosine, train

if TYPE_CHECKING:
    from axonal.studies.gaussian_transport_steering.study import Config

TOPICS, WORDS, ASKS, FRAMES = 8, 12, 4, 6
BEGIN, END, DECLINE = 0, 1, 2
_ASK = 3
_WORD = _ASK + ASKS
_FRAME = _WORD + TOPICS * WORDS
_ANSWER = _FRAME + FRAMES
VOCABULARY = _ANSWER + (TOPICS + FRAMES) * ASKS


@dataclass(frozen=True, eq=False)
class Examples:
    """Prompts of one kind with what should be answered.

    Parameters
    ----------
    prompts
        ``(examples, 5)`` token ids.
    answers
        ``(examples,)``.
    """

    prompts: Tensor
    answers: Tensor

    def part(self, low: int, high: int) -> Examples:
        """Return some of them."""
        return Examples(self.prompts[low:high], self.answers[low:high])


@dataclass(frozen=True, eq=False)
class Grammar:
    """All examples of a seed, by kind, each in a random order; training and held out."""

    train: dict[str, Examples]
    held_out: dict[str, Examples]

    @classmethod
    def of(cls, seed: int) -> Grammar:
        """Draw which pairs of words are held out: a quarter."""
        rng = np.random.default_rng(seed)
        kinds = {
            "topic": _topics([0]),
            "look_alikes": _look_alikes(),
            "others": _topics(range(1, 8)),
        }
        train, held_out = {}, {}
        for kind, (pairs, answers) in kinds.items():
            order = rng.permutation(len(pairs))
            cut = len(pairs) // 4
            held_out[kind] = _asked(pairs[order[:cut]], answers[order[:cut]], rng)
            train[kind] = _asked(pairs[order[cut:]], answers[order[cut:]], rng)
        return cls(train, held_out)


def grow(
    seed: int, *, width: int = 96, depth: int = 8, steps: int = 300, size: int = 48
) -> tuple[LanguageModel, Grammar, float]:
    """Train one organism; return it, its examples, and its accuracy on held-out ones."""
    import transformers

    grammar = Grammar.of(seed)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=depth,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=16,
        pad_token_id=None,
        bos_token_id=BEGIN,
        eos_token_id=END,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = transformers.LlamaForCausalLM(config)
    kinds = list(grammar.train.values())

    def batches(step: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        chosen = [torch.randint(len(k.answers), (size // 3,), generator=generator) for k in kinds]
        return {
            "prompts": torch.cat([k.prompts[i] for k, i in zip(kinds, chosen, strict=True)]),
            "answers": torch.cat([k.answers[i] for k, i in zip(kinds, chosen, strict=True)]),
        }

    def loss(model: Any, batch: dict[str, Tensor]) -> Tensor:
        logits = model(input_ids=batch["prompts"], use_cache=False, logits_to_keep=1).logits
        return functional.cross_entropy(logits[:, -1], batch["answers"])

    train(
        model,
        loss,
        batches,
        steps=steps,
        optimizer=lambda free: torch.optim.AdamW(free, lr=2e-3, weight_decay=0.01),
        schedule=cosine(steps, rise=min(20, steps - 1)),
        clip=1.0,
        seed=seed,
    )
    model.eval().requires_grad_(False)
    tokenizer: Any = SimpleNamespace(pad_token_id=END)  # prompts are ids, all of one length
    language_model = LanguageModel(model, tokenizer, f"toy {seed}", None)
    return language_model, grammar, accuracy(model, grammar)


def case_of(language_model: LanguageModel, grammar: Grammar, config: Config) -> Case:
    """Put the examples of a toy organism as the prompts of a language model are put."""
    n, m = config.fit_prompts, config.test_prompts
    train, test = grammar.train, grammar.held_out
    mixed = [
        *train["look_alikes"].prompts[: n // 2],
        *train["others"].prompts[: n - n // 2],
    ]
    groups = {
        "validation": list(train["topic"].prompts[n : n + m]),
        "source": list(test["topic"].prompts[:m]),
        "target": [*test["look_alikes"].prompts[: m // 2], *test["others"].prompts[: m // 2]],
        "look_alikes": list(test["look_alikes"].prompts[m // 2 : m // 2 + m]),
    }
    answers = torch.arange(VOCABULARY) >= _ANSWER
    acceptable = {g: answers.expand(len(groups[g]), -1) for g in ("validation", "source")}
    depth = language_model.model.config.num_hidden_layers
    return Case(
        language_model,
        Tokens((DECLINE,)),
        list(train["topic"].prompts[:n]),
        mixed,
        groups,
        list(range(depth)),
        config.components,
        acceptable,
    )


def accuracy(model: Any, grammar: Grammar) -> float:
    """Return the share of right answers on held-out examples, the mean over the kinds."""
    shares = []
    for examples in grammar.held_out.values():
        with torch.no_grad():
            logits = model(input_ids=examples.prompts, logits_to_keep=1).logits[:, -1]
        shares.append(float((logits.argmax(-1) == examples.answers).float().mean()))
    return float(np.mean(shares))


def _topics(topics: Any) -> tuple[np.ndarray, np.ndarray]:
    """All ordered pairs of different words of each topic, and the topic of each."""
    pairs, found = [], []
    for topic in topics:
        words = _WORD + topic * WORDS + np.arange(WORDS)
        pairs += [(a, b) for a in words for b in words if a != b]
        found += [topic] * (WORDS * (WORDS - 1))
    return np.array(pairs), np.array(found)


def _look_alikes() -> tuple[np.ndarray, np.ndarray]:
    """All pairs, in both orders, of a word of topic 0 and a frame, and the frame of each."""
    pairs, found = [], []
    for frame in range(FRAMES):
        for word in _WORD + np.arange(WORDS):
            pairs += [(word, _FRAME + frame), (_FRAME + frame, word)]
            found += [TOPICS + frame] * 2
    return np.array(pairs), np.array(found)


def _asked(pairs: np.ndarray, of: np.ndarray, rng: np.random.Generator) -> Examples:
    """Put each pair under every ask, in a random order."""
    pairs, of = np.repeat(pairs, ASKS, axis=0), np.repeat(of, ASKS)
    asks = np.tile(np.arange(ASKS), len(of) // ASKS)
    ends = np.ones((len(of), 1), dtype=int)
    prompts = np.hstack([BEGIN * ends, _ASK + asks[:, None], pairs, END * ends])
    answers = np.where(of == 0, DECLINE, _ANSWER + of * ASKS + asks)
    order = rng.permutation(len(of))
    return Examples(torch.tensor(prompts[order]), torch.tensor(answers[order]))
