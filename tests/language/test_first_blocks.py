"""A model of fewer blocks, to try settings quickly."""

from __future__ import annotations

import pytest
import torch
from unit_models import fresh

from axonal.activations import Sites, record
from axonal.errors import InputError
from axonal.language.models import first_blocks


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_the_first_blocks_give_what_they_gave(family):
    whole = fresh(family)
    ids = torch.tensor([[5, 6, 7, 8]])
    site = Sites.of(whole.model).residual(1)
    before = record(whole.model, {"input_ids": ids}, [site])[site]
    short = first_blocks(whole, 2)
    assert Sites.of(short.model).blocks == 2
    after = record(short.model, {"input_ids": ids}, [site])[site]
    assert torch.equal(after, before)
    assert short.model(input_ids=ids).logits.isfinite().all()
    assert Sites.of(first_blocks(short, 9).model).blocks == 2


def test_a_model_without_blocks_is_refused():
    with pytest.raises(InputError, match="at least one block"):
        first_blocks(fresh(), 0)
