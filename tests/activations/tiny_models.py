"""Small randomly initialised models of every family, built from their configuration classes."""

from __future__ import annotations

from functools import cache

import torch
import transformers
from torch import nn

from model_families import DEPTH as DEPTH
from model_families import FAMILIES as FAMILIES
from model_families import HEADS as HEADS
from model_families import VOCABULARY
from model_families import WIDTH as WIDTH


@cache
def build(family: str) -> nn.Module:
    config_class, sizes = FAMILIES[family]
    config = config_class(
        vocab_size=VOCABULARY, pad_token_id=0, bos_token_id=1, eos_token_id=None, **sizes
    )
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():  # wide enough that activations matter
        if parameter.ndim > 1:
            parameter.normal_(std=0.3)
        elif "norm" in name or "ln_" in name:
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def random_ids(rows: int, length: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, VOCABULARY, (rows, length), generator=generator)


def pad(rows: list[torch.Tensor], side: str) -> dict[str, torch.Tensor]:
    """Pad rows of token ids to one length, as a tokenizer does."""
    length = max(map(len, rows))
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        where = slice(length - len(row), length) if side == "left" else slice(0, len(row))
        ids[index, where], mask[index, where] = row, 1
    return {"input_ids": ids, "attention_mask": mask}


def hooks_on(model: nn.Module) -> int:
    """Count what this library left on a model: hooks, and a wrapped ``generate``."""
    hooks = [
        hook
        for module in model.modules()
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
        if hook.__module__.startswith("axonal")
    ]
    return len(hooks) + ("generate" in vars(model))
