"""The authors' own code computes the same losses and gradients, under every clamp.

``data/induction_parity.json`` was written by ``python -m benchmarks.induction_heads --official CLONE
--numbers FILE`` with github.com/aadityasingh/icl-dynamics at commit 47eba1d and JAX 0.10.2: weights of
a small model, six sequences, and for each clamp the loss and the norm of its gradient by part.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from axonal.learning.induction import (
    SUBCIRCUITS,
    AttentionOnlyTransformer,
    Clamp,
    Clamped,
    subcircuit,
)
from axonal.learning.induction.evaluation import losses_by_seed

FOUND = json.loads((Path(__file__).parent / "data" / "induction_parity.json").read_text())


@pytest.fixture(scope="module")
def model():
    model = AttentionOnlyTransformer(6, 3, d_model=8, n_heads=2)
    model.load_state_dict({n: torch.tensor([w]) for n, w in FOUND["weights"].items()})
    return model


@pytest.mark.parametrize("name", ["plain", *SUBCIRCUITS])
def test_losses_and_gradients_are_those_of_the_authors_code(model, name):
    batch = {key: torch.tensor(value) for key, value in FOUND["batch"].items()}
    clamp = Clamp() if name == "plain" else subcircuit(name, head=1, previous=0)
    model.zero_grad(set_to_none=True)
    with Clamped(model, clamp) as run:
        loss = losses_by_seed(run(**batch), batch["labels"]).sum()
    loss.backward()
    expected = FOUND["clamps"][name]
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-5)
    for part, norm in expected["gradient"].items():
        slopes = [
            p.grad.square().sum() if p.grad is not None else torch.zeros(())
            for n, p in model.named_parameters()
            if n.split(".")[0] == part
        ]
        assert float(torch.stack(slopes).sum().sqrt()) == pytest.approx(norm, rel=1e-4, abs=1e-7)
