"""Small random models of every family and prompt pairs for them; exact ones in float64."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import Tensor, nn

from axonal.language.prompts import PromptPairs
from model_families import DEPTH as DEPTH
from model_families import FAMILIES as FAMILIES
from model_families import HEADS as HEADS
from model_families import VOCABULARY
from model_families import WIDTH as WIDTH

WITHOUT_BIAS = ("llama", "mistral", "qwen3", "gemma2", "gemma3", "phi3")
WITH_BIAS = ("gpt2", "gpt-neox", "gpt-neox-sequential", "qwen2")


class ExactRMSNorm(nn.Module):
    """An RMSNorm that stays in float64, where transformers' own go through float32."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.weight = norm.weight
        self.eps = float(getattr(norm, "eps", getattr(norm, "variance_epsilon", 0)))
        self.offset = 1.0 if "Gemma" in type(norm).__name__ else 0.0

    def forward(self, x: Tensor) -> Tensor:
        scaled = x * (x.square().mean(-1, keepdim=True) + self.eps).rsqrt()
        return scaled * (self.offset + self.weight)


def build(family: str, *, seed: int = 0, **changes: Any) -> nn.Module:
    """Build a model with random weights, wide enough that every part matters."""
    config_class, sizes = FAMILIES[family]
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": None}
    config = config_class(vocab_size=VOCABULARY, **special, **{**sizes, **changes})
    model = transformers.AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            parameter.copy_(0.2 * noise)
        elif name.endswith("bias"):
            parameter.copy_(0.1 * noise)
        else:
            parameter.add_(0.1 * noise)
    return model


def build_exact(family: str, *, seed: int = 0, **changes: Any) -> nn.Module:
    """Build a model that computes in float64 throughout (attention softmax of Gemma 2 apart)."""
    model = build(family, seed=seed, **changes).double()
    for path, module in list(model.named_modules()):
        if type(module).__name__.endswith("RMSNorm"):
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, ExactRMSNorm(module))
    return model


def random_pairs(
    count: int = 2, length: int = 7, *, differ_at: int = 3, seed: int = 1
) -> PromptPairs:
    """Return pairs of random tokens that differ at one position."""
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randint(3, VOCABULARY, (count, length), generator=generator)
    corrupt = clean.clone()
    corrupt[:, differ_at] = (clean[:, differ_at] - 3 + 1) % (VOCABULARY - 3) + 3
    answers, distractors = torch.randint(3, VOCABULARY, (2, count), generator=generator)
    return PromptPairs(
        clean=clean,
        corrupt=corrupt,
        lengths=torch.full((count,), length),
        answers=answers,
        distractors=distractors,
        tokens=tuple(f"t{i}" for i in range(length)),
    )


def hooks_on(model: nn.Module) -> int:
    """Count the hooks on a model."""
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()
    )
