from __future__ import annotations

import pytest
import torch
from tiny_models import FAMILIES, build, random_ids
from torch import nn


@pytest.fixture(params=FAMILIES)
def family_model(request: pytest.FixtureRequest) -> nn.Module:
    return build(request.param)


@pytest.fixture
def llama() -> nn.Module:
    return build("llama")


@pytest.fixture
def gpt2() -> nn.Module:
    return build("gpt2")


@pytest.fixture
def ids() -> torch.Tensor:
    return random_ids(2, 7)
