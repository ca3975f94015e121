"""What lies below the edited layer is computed once, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from axonal.activations import Add, Sites, edit
from axonal.language.steering import LogitGap, NeutralTexts, generate
from axonal.language.steering.prefix import Prefix
from steering_models import FAMILIES, NEGATIVE, POSITIVE, tiny

GAP = LogitGap(" positive", " negative", batch_size=5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_remembered_prefix_gives_the_same_bits_in_every_family(family: str) -> None:
    model = tiny(family)
    site = Sites.of(model.model).residual(1)
    step = Add(torch.linspace(-1, 1, 32), scale=3.0)
    with edit(model.model, {site: step}):
        whole = GAP(model, NEGATIVE)
    with Prefix(model, [site]) as prefix:
        GAP(model, NEGATIVE)
        prefix.starting_at([site])
        with edit(model.model, {site: step}):
            again = GAP(model, NEGATIVE)
    assert prefix.reused == 3
    np.testing.assert_array_equal(whole, again)


def test_edited_activations_are_never_remembered() -> None:
    model = tiny()
    sites = [Sites.of(model.model).residual(i) for i in range(3)]
    step = Add(torch.ones(32), scale=2.0)
    own = GAP(model, NEGATIVE)
    with Prefix(model, sites) as prefix:
        for _ in range(2):
            prefix.starting_at(sites[:1])
            with edit(model.model, {sites[0]: step}):
                first = GAP(model, NEGATIVE)
        prefix.starting_at(sites[2:])
        with edit(model.model, {sites[2]: Add(torch.zeros(32))}):
            np.testing.assert_array_equal(GAP(model, NEGATIVE), own)
            np.testing.assert_array_equal(GAP(model, NEGATIVE), own)
    assert not np.allclose(first, own)
    np.testing.assert_array_equal(GAP(model, NEGATIVE), own)


def test_generation_and_other_sites_run_whole() -> None:
    model = tiny()
    named = Sites.of(model.model)
    step = Add(torch.linspace(-1, 1, 32), scale=3.0)
    with edit(model.model, {named.residual(1): step}):
        text = generate(model, NEGATIVE[:2], max_new_tokens=4)
    with Prefix(model, [named.residual(1)]) as prefix:
        GAP(model, NEGATIVE)
        prefix.starting_at([named.residual(1)])
        with edit(model.model, {named.residual(1): step}):
            assert generate(model, NEGATIVE[:2], max_new_tokens=4) == text
        prefix.starting_at([named.mlp(1)])
        with edit(model.model, {named.mlp(1): step}):
            GAP(model, NEGATIVE)
        assert prefix.reused == 0


def test_damage_profits_too_and_a_full_memory_is_no_error() -> None:
    model = tiny()
    site = Sites.of(model.model).residual(1)
    texts = [" ".join([*NEGATIVE[0].split(), *POSITIVE[0].split(), *POSITIVE[1].split()])] * 2
    edits = {site: Add(torch.ones(32))}
    expected = NeutralTexts(model, texts, context=4).damage(edits).kl
    for limit, reused in ((2**30, 1), (0, 0)):
        with Prefix(model, [site], limit=limit) as prefix:
            neutral = NeutralTexts(model, texts, context=4)
            prefix.starting_at([site])
            assert neutral.damage(edits).kl == expected
            assert prefix.reused == reused


def test_other_tokens_of_the_same_shape_have_a_prefix_of_their_own() -> None:
    model = tiny()
    site = Sites.of(model.model).residual(1)
    step = Add(torch.linspace(-1, 1, 32), scale=3.0)
    with edit(model.model, {site: step}):
        expected = [GAP(model, prompts) for prompts in (NEGATIVE, POSITIVE)]
    with Prefix(model, [site]) as prefix:
        for _ in range(2):
            prefix.starting_at([site])
            with edit(model.model, {site: step}):
                found = [GAP(model, prompts) for prompts in (NEGATIVE, POSITIVE)]
            np.testing.assert_array_equal(found, expected)
    assert prefix.reused == 6
