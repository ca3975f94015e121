"""Steering with units: exact where it must be, the same folded into the weights, kept in a file."""

from __future__ import annotations

import pytest
import torch
from unit_models import SITES, fresh, some_choices, some_pairs

from axonal.activations import edit, record
from axonal.language.atomic_units import (
    Choices,
    KeptRun,
    Units,
    accuracy,
    best,
    first_token_movement,
    fold_into_weights,
    logit_gaps,
    measure,
    select,
    sweep,
    unit_site,
)
from steering_models import FAMILIES, tiny

IDS = torch.tensor([[3, 5, 7, 9, 11, 13, 15, 8, 6, 4]])


def units_of(language_model, site, k=6, alpha=0.8) -> Units:
    return select(measure(language_model, some_pairs(), site), k, alpha, warn=False)


def logits(model, units=None, ids=IDS, **options):
    edits = {} if units is None else units.edits(model)
    with torch.no_grad(), edit(model, edits):
        return model(input_ids=ids, **options).logits


def by_steps(model, units=None):
    """Logits of the same tokens, one at a time with a cache."""
    edits = {} if units is None else units.edits(model)
    cache, steps = None, []
    with torch.no_grad(), edit(model, edits):
        for column in range(IDS.shape[1]):
            out = model(input_ids=IDS[:, [column]], cache=cache, use_cache=True)
            cache = out.past_key_values
            steps.append(out.logits)
    return torch.cat(steps, dim=1)


# Exact


@pytest.mark.parametrize("site", SITES)
def test_no_units_and_no_gain_change_no_bit(site):
    model = tiny().model
    units = units_of(tiny(), site)
    base = logits(model)
    assert torch.equal(logits(model, units[:0]), base)
    assert torch.equal(logits(model, units.scaled(0)), base)
    assert not torch.equal(logits(model, units), base)


def test_a_gain_adds_the_units_column_times_its_activation():
    model = fresh(dtype=torch.float64).model
    layer, unit, gain = 1, 5, 3.0
    units = one_unit("attention", layer, unit, gain, width=32)
    place = unit_site(model, "attention", layer)
    output = type(place)(place.path)  # what the projection returns
    batch = {"input_ids": IDS}
    x = record(model, batch, [place])[place]
    before = record(model, batch, [output], stop=False)[output]
    with edit(model, units.edits(model)):
        after = record(model, batch, [output], stop=False)[output]
    column = place.module(model).weight[:, unit]
    expected = before + gain * x[..., unit, None] * column
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-5)


def one_unit(site, layer, unit, gain, width) -> Units:
    real = [torch.tensor([value], dtype=torch.float64) for value in (gain, 1.0, 0.0)]
    return Units(site, torch.tensor([layer]), torch.tensor([unit]), *real, width=width)


def test_the_inverse_restores_and_the_reverse_opposes():
    model = fresh(dtype=torch.float64).model
    units = units_of(fresh(dtype=torch.float64), "down_proj_in")
    both = {
        site: [one, units.inverse().edits(model)[site]] for site, one in units.edits(model).items()
    }
    with torch.no_grad(), edit(model, both):
        restored = model(input_ids=IDS).logits
    torch.testing.assert_close(restored, logits(model), rtol=0, atol=1e-5)
    assert torch.equal(units.reversed().gain, -units.gain)
    assert torch.equal(units.reversed().reversed().gain, units.gain)


def test_the_first_token_can_be_left_as_it_is():
    language_model = tiny()
    units = units_of(language_model, "layer")
    place = unit_site(language_model.model, "layer", int(units.layer.max()))
    batch = {"input_ids": IDS}
    before = record(language_model.model, batch, [place], positions=0)[place]
    with edit(language_model.model, units.edits(language_model.model, skip_first=True)):
        after = record(language_model.model, batch, [place], positions=0)[place]
    assert torch.equal(before, after)
    moved = first_token_movement(language_model, units, "the film was good")
    first = int(units.layer.min())
    assert moved.shape == (3,)
    assert bool((moved[:first] == 0).all())
    assert float(moved[first]) > 0


# Folded


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("site", ["attention", "mlp_out", "down_proj_in"])
def test_the_folded_model_is_the_steered_one(family, site):
    language_model = fresh(family)
    units = units_of(tiny(family), site)
    steered, stepped = logits(language_model.model, units), by_steps(language_model.model, units)
    base = logits(language_model.model)
    fold_into_weights(language_model.model, units)
    assert float((logits(language_model.model) - steered).abs().max()) < 1e-3
    assert float((by_steps(language_model.model) - stepped).abs().max()) < 1e-3
    assert float((steered - base).abs().max()) > 1e-2
    fold_into_weights(language_model.model, units.inverse())
    assert float((logits(language_model.model) - base).abs().max()) < 1e-3


def test_the_folded_model_writes_what_the_steered_one_writes():
    language_model = fresh()
    model = language_model.model
    units = units_of(tiny(), "attention", alpha=2.0)
    settings = {"max_new_tokens": 50, "do_sample": False, "pad_token_id": 0}
    model.config.max_position_embeddings = 128
    with edit(model, units.edits(model)):
        cached = model.generate(IDS, **settings)
        whole = model.generate(IDS, use_cache=False, **settings)
    fold_into_weights(model, units)
    assert torch.equal(cached, whole)
    assert torch.equal(model.generate(IDS, **settings), cached)


# Questions


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
def test_gaps_are_the_same_in_any_batches(family):
    language_model = tiny(family)
    choices = some_choices(language_model)
    one = logit_gaps(language_model, choices, batch_size=1)
    torch.testing.assert_close(
        logit_gaps(language_model, choices, batch_size=24), one, atol=1e-4, rtol=0
    )
    index = 5
    ids = choices.ids[index, -int(choices.lengths[index]) :].unsqueeze(0)
    last = logits(language_model.model, ids=ids)[0, -1]
    expected = last[choices.right[index]] - last[choices.wrong[index]]
    assert float(one[index]) == pytest.approx(float(expected), abs=1e-4)


def test_answers_are_compared_where_they_first_differ():
    tokenizer = tiny().tokenizer
    choices = Choices.of(tokenizer, ["the film"], [" was very good"], [" was very bad"])
    assert tokenizer.decode(choices.ids[0]) == "the film was very"
    assert tokenizer.decode(choices.right) == "good"
    assert tokenizer.decode(choices.wrong) == "bad"


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3", "gpt-neox"])
def test_a_kept_run_gives_what_a_whole_run_gives(family):
    language_model = tiny(family)
    choices = some_choices(language_model)
    kept = KeptRun(language_model, choices, batch_size=7)
    whole = logit_gaps(language_model, choices, batch_size=7)
    torch.testing.assert_close(kept.base, whole, rtol=0, atol=1e-5)
    for site in SITES:
        for layer in range(3):
            width = measure(language_model, some_pairs()[:2], site).width
            edits = one_unit(site, layer, 3, 4.0, width).edits(language_model.model)
            whole = logit_gaps(language_model, choices, edits, batch_size=7)
            torch.testing.assert_close(kept.gaps(edits), whole, rtol=0, atol=1e-4)
            assert not torch.equal(whole, kept.base)
    assert torch.equal(kept.gaps({}), kept.base)


def test_a_sweep_is_what_its_points_are_alone():
    language_model = tiny()
    kept = KeptRun(language_model, some_choices(language_model))
    momentum = measure(language_model, some_pairs(), "attention")
    points = []
    grid = sweep(kept, momentum, k=(1, 8), alpha=(0.5, 4.0), progress=lambda: points.append(1))
    assert len(points) == 4
    units = select(momentum, 8, 4.0, warn=False)
    gaps = logit_gaps(language_model, kept.choices, units.edits(language_model.model))
    assert float(grid["gap"].sel(k=8, alpha=4.0)) == pytest.approx(float(gaps.mean()), abs=1e-4)
    assert float(grid["accuracy"].sel(k=8, alpha=4.0)) == accuracy(gaps)
    assert grid.attrs["base_accuracy"] == accuracy(kept.base)
    k, alpha = best(grid)
    assert float(grid["accuracy"].sel(k=k, alpha=alpha)) == float(grid["accuracy"].max())


# Files


def test_units_come_back_from_their_file(tmp_path):
    units = units_of(tiny(), "attention", k=7, alpha=3.3)
    units.save(tmp_path / "units.json")
    again = Units.load(tmp_path / "units.json")
    for name in ("layer", "unit", "gain", "positive_rate", "negative_rate", "score", "head"):
        assert torch.equal(getattr(again, name), getattr(units, name))
    assert (again.alpha, again.pairs, again.model, again.width) == (3.3, 24, "tiny-llama", 32)
    lines = (tmp_path / "units.json").read_text().splitlines()
    assert sum('"layer"' in line for line in lines) == 7  # a line a unit
    assert units.table().shape == (7, 7)
