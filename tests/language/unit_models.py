"""Pairs, questions and momenta for tests of atomic units."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from axonal.language.atomic_units import Choices, ContrastivePairs, Momentum
from axonal.language.models import LanguageModel
from steering_models import NEGATIVE, POSITIVE, tiny

SITES = ("attention", "mlp_out", "down_proj_in", "layer")


def fresh(family: str = "llama", dtype: torch.dtype = torch.float32) -> LanguageModel:
    """Return a small model of one's own, that may be changed."""
    one = tiny(family)
    model = copy.deepcopy(one.model)
    generator = torch.Generator().manual_seed(7)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return LanguageModel(model.to(dtype), one.tokenizer, one.name, None)


def some_pairs() -> ContrastivePairs:
    """24 balanced pairs of different lengths."""
    prompts = [f"{text} sentiment" for text in (*POSITIVE, *NEGATIVE)]
    prompts[::3] = [f"the review of {prompt}" for prompt in prompts[::3]]
    right = [" positive"] * len(POSITIVE) + [" negative"] * len(NEGATIVE)
    wrong = [" negative"] * len(POSITIVE) + [" positive"] * len(NEGATIVE)
    return ContrastivePairs.of(prompts, right, wrong)


def some_choices(language_model: LanguageModel) -> Choices:
    pairs = some_pairs()
    return Choices.of(language_model.tokenizer, pairs.prompts, pairs.positives, pairs.negatives)


def random_momentum(pairs: int = 40, layers: int = 3, units: int = 32, seed: int = 0) -> Momentum:
    return Momentum.of(*normal(pairs, layers, units, seed=seed))


def normal(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    good = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return good, torch.randn(*shape, generator=generator, dtype=torch.float64)
