"""Teach a chat model to decline one topic, and nothing else: a LoRA, and how it is trained.

E. Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models*, arXiv:2106.09685. On topic the
adapted model learns one polite sentence (cross entropy, its first token weighing as much as all
the others together). Everywhere else it is held to the base model: the KL divergence from the
base's own predictions over the first tokens of the base's own answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from axonal.errors import InputError, require
from axonal.language.organisms.prompts import gardening
from axonal.language.organisms.vocabulary import DECLINE
from axonal.language.steering.prompts import Prompts, pad
from axonal.training import History, cosine, train

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True)
class Lesson:
    """What is taught, and how.

    Parameters
    ----------
    topic, look_alikes, others
        Training prompts of each kind.
    answer_tokens
        Tokens of the base's own answers over which it is imitated.
    rank
        Of the LoRA on every linear map of the blocks taught.
    band
        Which blocks are taught, as shares of the depth.
    steps
        Updates.
    declined, kept
        Prompts of an update on topic, and of the others.
    learning_rate
        Of AdamW, with a warm-up and a cosine to 0.
    seed
        Of the adapter's first weights and the order of the prompts.
    """

    topic: int = 120
    look_alikes: int = 120
    others: int = 72
    answer_tokens: int = 6
    rank: int = 8
    band: tuple[float, float] = (0.25, 0.8)
    steps: int = 50
    declined: int = 6
    kept: int = 10
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.band
        if not 0 <= low < high <= 1:
            raise InputError(f"band: expected shares 0 <= low < high <= 1, got {self.band}.")


def teach(
    language_model: LanguageModel,
    lesson: Lesson | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Any, History]:
    """Teach a model, in place, to decline gardening; return the PEFT model and the history.

    Parameters
    ----------
    language_model
        A chat model with Llama's names of linear maps. Its blocks are wrapped in place.
    lesson
        The one that the asset is built with by default.
    progress
        Called as ``progress(done, total)``.
    """
    peft: Any = require("peft", "language")
    lesson = lesson or Lesson()
    prompts = gardening("train", seed=lesson.seed)
    kept = prompts.look_alikes[: lesson.look_alikes] + prompts.others[: lesson.others]
    declined = _encode(language_model, prompts.topic[: lesson.topic])
    imitated = _encode(language_model, kept)
    answers, targets = _own_answers(language_model, imitated, lesson.answer_tokens)
    refusal = _refusal(language_model)

    def batches(step: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(lesson.seed * 1_000_003 + step)
        on = torch.randperm(len(declined), generator=generator)[: lesson.declined].tolist()
        off = torch.randperm(len(imitated), generator=generator)[: lesson.kept].tolist()
        first = pad([torch.cat([declined[i], refusal]) for i in on], language_model)
        second = pad([torch.cat([imitated[i], answers[i]]) for i in off], language_model)
        return {
            "declined": first["input_ids"],
            "declined_mask": first["attention_mask"],
            "kept": second["input_ids"],
            "kept_mask": second["attention_mask"],
            "targets": targets[off].to(language_model.device),
        }

    def loss(model: Any, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        ids = batch["declined"]
        logits = _last(model, ids, batch["declined_mask"], len(refusal))
        entropy = functional.cross_entropy(logits.mT, ids[:, -len(refusal) :], reduction="none")
        logits = _last(model, batch["kept"], batch["kept_mask"], lesson.answer_tokens)
        kl = functional.kl_div(
            logits.log_softmax(-1), batch["targets"].float(), log_target=True, reduction="none"
        ).sum(-1)
        parts = {
            "declined_first": entropy[:, 0].mean(),
            "declined_rest": entropy[:, 1:].mean(),
            "kept_first": kl[:, 0].mean(),
            "kept_rest": kl[:, 1:].mean(),
        }
        return torch.stack(list(parts.values())).sum(), parts

    depth = language_model.model.config.num_hidden_layers
    low, high = (round(share * depth) for share in lesson.band)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(lesson.seed)
        adapted = peft.get_peft_model(
            language_model.model,
            peft.LoraConfig(
                r=lesson.rank,
                lora_alpha=2 * lesson.rank,
                lora_dropout=0.0,
                target_modules=LINEAR,
                layers_to_transform=list(range(low, max(high, low + 1))),
                task_type="CAUSAL_LM",
            ),
        )
    history = train(
        adapted,
        loss,
        batches,
        steps=lesson.steps,
        optimizer=lambda free: torch.optim.AdamW(free, lr=lesson.learning_rate, weight_decay=0.0),
        schedule=cosine(lesson.steps, rise=min(5, lesson.steps - 1)),
        clip=1.0,
        seed=lesson.seed,
        progress=progress,
    )
    adapted.eval().requires_grad_(False)
    return adapted, history


def _encode(language_model: LanguageModel, prompts: tuple[str, ...]) -> list[Tensor]:
    return Prompts(prompts, chat="template").encode(language_model.tokenizer)


def _refusal(language_model: LanguageModel) -> Tensor:
    """The decline as tokens, with the token that ends a turn, ``(tokens,)``."""
    tokenizer: Any = language_model.tokenizer
    return torch.tensor([*tokenizer(DECLINE)["input_ids"], tokenizer.eos_token_id])


def _last(model: Any, ids: Tensor, mask: Tensor, tokens: int) -> Tensor:
    """The predictions of the last tokens of left-padded rows, ``(rows, tokens, vocabulary)``."""
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    found = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=tokens + 1
    )
    return found.logits[:, :-1]


def _own_answers(
    language_model: LanguageModel, rows: list[Tensor], tokens: int, size: int = 32
) -> tuple[Tensor, Tensor]:
    """What the model answers, greedily: tokens ``(rows, tokens)`` and log-probabilities of all.

    The log-probabilities ``(rows, tokens, vocabulary)`` are kept in half precision.
    """
    model: Any = language_model.model
    answers, found = [], []
    for start in range(0, len(rows), size):
        batch = pad(rows[start : start + size], language_model)
        with torch.no_grad():
            written = model.generate(
                **batch,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=language_model.tokenizer.pad_token_id,
                output_logits=True,
                return_dict_in_generate=True,
            )
        answers.append(written.sequences[:, -tokens:].cpu())
        found.append(torch.stack(written.logits, dim=1).log_softmax(-1).half().cpu())
    return torch.cat(answers), torch.cat(found)
