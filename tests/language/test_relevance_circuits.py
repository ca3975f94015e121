"""Circuits are faithful at their ends, and what is ablated is what was asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from relevance_models import DEPTH, HEADS, build, build_exact, hooks_on, random_pairs

from axonal.errors import InputError
from axonal.language.relevance import relevance_patching
from axonal.language.relevance.circuits import Circuit, MeanAblation, top_circuit, unit_scores

pytestmark = pytest.mark.filterwarnings("ignore:The model fails this task")


@pytest.fixture
def ablation() -> MeanAblation:
    return MeanAblation(build_exact("llama"), random_pairs(4))


def whole(ablation: MeanAblation) -> Circuit:
    return Circuit(*(np.ones(shape, dtype=bool) for shape in ablation.shapes))


def test_the_whole_model_is_faithful_and_nothing_is_not(ablation):
    everything = whole(ablation)
    assert ablation.faithfulness(everything) == pytest.approx(1)
    assert ablation.faithfulness(everything.complement()) == pytest.approx(0)
    assert ablation.completeness(everything) == pytest.approx(0)


def test_ablating_one_head_sets_it_to_its_mean_at_every_position():
    model, pairs = build_exact("llama"), random_pairs(4)
    ablation = MeanAblation(model, pairs)
    circuit = whole(ablation)
    circuit.heads[1, 2] = False
    projection = model.model.layers[1].self_attn.o_proj
    kept = []
    handle = projection.register_forward_pre_hook(lambda _m, args: kept.append(args[0]))
    model(torch.cat([pairs.clean, pairs.corrupt]))
    handle.remove()
    mean = kept[0].mean(0)[:, 16:24]

    def ablate(_module, args):
        x = args[0].clone()
        x[..., 16:24] = mean
        return (x,)

    handle = projection.register_forward_pre_hook(ablate)
    logits = model(pairs.clean).logits[torch.arange(4), -1]
    handle.remove()
    expected = logits.gather(1, pairs.answers[:, None]) - logits.gather(
        1, pairs.distractors[:, None]
    )
    torch.testing.assert_close(ablation.metric(circuit), expected[:, 0])
    assert hooks_on(model) == 0


def test_faithfulness_is_the_mean_over_pairs(ablation):
    circuit = whole(ablation)
    circuit.neurons[:, ::2] = False
    assert ablation.faithfulness(circuit) == pytest.approx(float(ablation.per_pair(circuit).mean()))


def test_the_top_circuit_holds_the_largest_absolute_scores_of_both_kinds():
    heads = np.array([[0.1, -5.0], [0.0, 0.2]])
    neurons = np.array([[3.0, 0.0, -0.3], [0.0, -4.0, 0.0]])
    circuit = top_circuit(heads, neurons, 3)
    assert len(circuit) == 3
    rows = circuit.table().to_numpy().tolist()
    assert rows == [["head", 0, 1], ["neuron", 0, 0], ["neuron", 1, 1]]
    assert len(circuit.complement()) == 10 - 3


def test_unit_scores_sum_positions_and_average_pairs():
    scores = relevance_patching(build("llama"), random_pairs(), kinds=["heads", "neurons"])
    heads, neurons = unit_scores(scores)
    assert heads.shape == (DEPTH, HEADS)
    assert neurons.shape == (DEPTH, 48)
    np.testing.assert_allclose(heads, scores["heads"].to_numpy().sum(2).mean(0))


def test_scores_without_units_and_sizes_beyond_the_model_are_refused():
    scores = relevance_patching(build("llama"), random_pairs())
    with pytest.raises(InputError, match=r"pass kinds=\['heads', 'neurons'\]"):
        unit_scores(scores)
    with pytest.raises(InputError, match="has 0 to 4 units; got 5"):
        top_circuit(np.zeros((1, 2)), np.zeros((1, 2)), 5)
