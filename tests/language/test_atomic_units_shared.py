"""Questions that begin alike, as one tree of tokens."""

from __future__ import annotations

import pytest
import torch
from unit_models import fresh, some_choices, some_pairs

from axonal.activations import ScaleUnits
from axonal.language.atomic_units import Choices, KeptRun, logit_gaps, unit_site
from axonal.language.atomic_units.shared import takes_trees, trees
from model_families import FAMILIES
from steering_models import tiny

ROWS = [[1, 2, 3], [1, 2, 4, 5], [7], [1, 2, 3], [1, 2]]


def test_a_tree_holds_every_beginning_once():
    (tree,) = trees(ROWS)
    assert len(tree.ids) == len({tuple(row[:n]) for row in ROWS for n in range(1, len(row) + 1)})
    assert sorted(tree.items.tolist()) == list(range(len(ROWS)))
    for item, end in zip(tree.items.tolist(), tree.ends.tolist(), strict=True):
        before = tree.ancestors[end].nonzero().flatten()
        assert tree.ids[before].tolist() == ROWS[item]
        assert tree.depth[before].tolist() == list(range(len(ROWS[item])))


def test_trees_stay_small_and_keep_every_question():
    rows = [[1, 2, n, n + 1] for n in range(3, 40)]
    made = trees(rows, most=10)
    assert all(len(tree.ids) <= 10 for tree in made)
    assert sorted(i for tree in made for i in tree.items.tolist()) == list(range(len(rows)))
    assert [len(tree.ids) for tree in trees([list(range(50))], most=10)] == [50]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_tree_gives_what_separate_rows_give_or_is_not_used(family):
    language_model = tiny(family)
    choices = some_choices(language_model)
    kept = KeptRun(language_model, choices)
    torch.testing.assert_close(kept.base, logit_gaps(language_model, choices), rtol=0, atol=1e-5)
    edits = {unit_site(language_model.model, "attention", 1): ScaleUnits([3, 9], 6.0)}
    whole = logit_gaps(language_model, choices, edits)
    torch.testing.assert_close(kept.gaps(edits), whole, rtol=0, atol=1e-4)
    if family in ("llama", "gpt2", "qwen3"):
        assert kept.shares
    if "gemma" in family or family == "mistral":  # questions are longer than their window
        assert not kept.shares


def test_edits_that_ask_which_token_they_see_are_run_in_rows():
    language_model = tiny()
    choices = some_choices(language_model)
    kept = KeptRun(language_model, choices)
    place = unit_site(language_model.model, "layer", 0)
    edits = {place: ScaleUnits([1, 2], 9.0, positions=slice(1, None))}
    whole = logit_gaps(language_model, choices, edits)
    torch.testing.assert_close(kept.gaps(edits), whole, rtol=0, atol=1e-5)
    everywhere = {place: ScaleUnits([1, 2], 9.0)}
    assert float((kept.gaps(everywhere) - whole).abs().max()) > 1e-3


def test_half_precision_and_questions_with_nothing_in_common_are_run_in_rows():
    half = fresh(dtype=torch.bfloat16)
    assert not takes_trees(half.model)
    assert not KeptRun(half, some_choices(half)).shares
    language_model = tiny()
    alone = some_pairs()[:1]
    one = Choices.of(language_model.tokenizer, alone.prompts, alone.positives, alone.negatives)
    assert not KeptRun(language_model, one).shares
