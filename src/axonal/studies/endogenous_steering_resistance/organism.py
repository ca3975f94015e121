"""A toy language whose answers can be judged exactly, and a transformer that learns it here.

A question names a topic; a good answer is words of that topic. Some training answers drift: words of
another topic, then ``again``, then the topic asked for. As in the paper's fine-tuning the loss leaves
out question and drift, so that the model is taught to come back and not to drift. Whether a model
resists, and how often, is then known by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from axonal.language.models import LanguageModel
from axonal.language.resistance import Attempt, Judgement, Response
from axonal.language.resistance.teaching import IGNORED, masked_loss
from axonal.training import cosine, train

PAD, BEGIN, END, ASK, AGAIN = "<pad>", "<s>", "</s>", "?", "again"


@dataclass(frozen=True)
class ToyLanguage:
    """Its vocabulary and its sentences.

    Parameters
    ----------
    topics, words
        How many topics, and words of each.
    length
        Words of an answer.
    drift
        Shortest and longest drift, in words.
    """

    topics: int = 12
    words: int = 16
    length: int = 40
    drift: tuple[int, int] = (3, 8)

    @property
    def vocabulary(self) -> list[str]:
        """Tokens in order: special ones, topics, words topic by topic."""
        names = [f"topic{t}" for t in range(self.topics)]
        words = [f"t{t}w{w}" for t in range(self.topics) for w in range(self.words)]
        return [PAD, BEGIN, END, ASK, AGAIN, *names, *words]

    def questions(self) -> list[str]:
        """Return one question a topic."""
        return [f"topic{t}" for t in range(self.topics)]

    def first_word(self, topic: int) -> int:
        """Return the token of a topic's first word."""
        return 5 + self.topics + topic * self.words

    def tokenizer(self) -> Any:
        """Return a tokenizer of transformers; a chat is ``<s> topic3 ?``."""
        from tokenizers import Tokenizer
        from tokenizers.models import WordLevel
        from tokenizers.pre_tokenizers import WhitespaceSplit
        from transformers import PreTrainedTokenizerFast

        held = Tokenizer(WordLevel({word: i for i, word in enumerate(self.vocabulary)}, PAD))
        held.pre_tokenizer = WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=held, pad_token=PAD, bos_token=BEGIN, eos_token=END
        )
        tokenizer.chat_template = (
            "{% for m in messages %}" + BEGIN + " {{ m['content'] }} " + ASK + "{% endfor %}"
        )
        return tokenizer

    def batch(self, rng: np.random.Generator, size: int, ratio: float) -> dict[str, Tensor]:
        """Draw sentences: a share ``ratio`` drifts and comes back.

        Returns
        -------
        dict
            ``input_ids`` and ``labels``, ``(size, 3 + length)``; labels are -100 where nothing is
            learned.
        """
        columns = 3 + self.length
        topic = rng.integers(self.topics, size=size)
        ids = np.empty((size, columns), dtype=np.int64)
        ids[:, 0], ids[:, 2] = 1, 3
        ids[:, 1] = 5 + topic
        start = 5 + self.topics + topic * self.words
        ids[:, 3:] = start[:, None] + rng.integers(self.words, size=(size, self.length))
        labels = ids.copy()
        labels[:, :3] = IGNORED
        for row in np.flatnonzero(rng.random(size) < ratio):
            other = (topic[row] + 1 + rng.integers(self.topics - 1)) % self.topics
            long = int(rng.integers(self.drift[0], self.drift[1] + 1))
            begin = 3 + int(rng.integers(0, self.length - long - 4))
            words = self.first_word(int(other)) + rng.integers(self.words, size=long)
            ids[row, begin : begin + long] = words
            ids[row, begin + long] = 4
            labels[row] = ids[row]
            labels[row, : begin + long] = IGNORED
        return {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}

    def judge(self, responses: Sequence[Response]) -> list[Judgement]:
        """Judge exactly: an attempt's score is its share of words of the topic asked for."""
        found = []
        for response in responses:
            prefix = f"t{response.prompt.removeprefix('topic')}w"
            attempts = []
            for part in f" {response.text} ".split(f" {AGAIN} "):
                words = [word for word in part.split() if word != AGAIN]
                if words:
                    share = sum(word.startswith(prefix) for word in words) / len(words)
                    attempts.append(Attempt(" ".join(words), 100 * share))
            found.append(Judgement(tuple(attempts)))
        return found


def build(language: ToyLanguage, *, width: int, blocks: int, seed: int) -> LanguageModel:
    """Return an untrained Llama of this language."""
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=len(language.vocabulary),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=blocks,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=128,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = transformers.LlamaForCausalLM(config)
    return LanguageModel(model.eval(), language.tokenizer(), "toy organism", None)


def teach(
    organism: LanguageModel,
    language: ToyLanguage,
    *,
    ratio: float,
    steps: int,
    learning_rate: float,
    batch: int,
    seed: int,
) -> list[float]:
    """Train in place on sentences of which a share drifts and comes back; return the losses."""
    model = organism.model
    model.requires_grad_(True)
    history = train(
        model,
        masked_loss,
        lambda step: language.batch(np.random.default_rng([seed, step]), batch, ratio),
        steps=steps,
        optimizer=lambda parameters: torch.optim.AdamW(
            parameters, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01
        ),
        schedule=cosine(steps, rise=steps // 10),
        clip=1.0,
        seed=seed,
    )
    model.requires_grad_(False)
    return [float(x) for x in history.loss]
