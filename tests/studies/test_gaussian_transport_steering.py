"""Gaussian transport steering: the study measures what it says, with maps that do what they must."""

from __future__ import annotations

import copy
import dataclasses
import json

import numpy as np
import pytest
import torch

from axonal.activations import Add, Sites, edit, record
from axonal.errors import InputError
from axonal.lab import run_study
from axonal.lab.registry import load
from axonal.language.organisms.readout import log_odds
from axonal.studies.gaussian_transport_steering import pools, toy
from axonal.studies.gaussian_transport_steering.comparison import Bench, methods, sweep
from axonal.studies.gaussian_transport_steering.exact import known_laws
from axonal.studies.gaussian_transport_steering.last_token import Gap, LastTokens, Tokens
from axonal.studies.gaussian_transport_steering.model import examine
from axonal.studies.gaussian_transport_steering.reverse import monitor, restore, strengthen
from axonal.studies.gaussian_transport_steering.selection import Chooser
from axonal.transport import MeanShift

SLUG = "gaussian-transport-steering"


@pytest.fixture(scope="module")
def config():
    return load(SLUG).configuration(
        "smoke", components=(1, 2), fit_prompts=16, test_prompts=16, validation_prompts=8
    )


@pytest.fixture(scope="module")
def grown():
    """A narrow toy that has learnt its grammar."""
    return toy.grow(0, width=48, depth=3, steps=150)


@pytest.fixture(scope="module")
def bench(grown, config):
    model, grammar, _ = grown
    return Bench(toy.case_of(model, grammar, config))


@pytest.fixture(scope="module")
def trial(grown, config):
    model, grammar, _ = grown
    return examine(toy.case_of(model, grammar, config), config)


# Known laws


def test_the_fitted_map_nears_the_closed_form_as_one_over_the_root_of_the_rows():
    found = known_laws(8, (200, 3200), 10, torch.Generator().manual_seed(0))
    error = found["map_error"].mean("seed").to_numpy()
    assert np.log(error[1] / error[0]) / np.log(16) == pytest.approx(-0.5, abs=0.1)


def test_two_moments_meet_and_clusters_keep_their_shape():
    found = known_laws(4, (2000,), 3, torch.Generator().manual_seed(0)).mean("seed")
    assert found["gaussian_left"].max() < 1e-6
    shape = found["shape_left"].to_numpy()
    assert shape[0] < 0.05
    assert shape[-1] > 3 * shape[0]


# The toy


def test_the_toy_learns_its_grammar_and_pairs_are_held_out(grown):
    _, grammar, accuracy = grown
    assert accuracy > 0.95
    for kind, held_out in grammar.held_out.items():
        pairs = {tuple(row[2:4].tolist()) for row in held_out.prompts}
        assert not pairs & {tuple(row[2:4].tolist()) for row in grammar.train[kind].prompts}
    topic, alike = (grammar.held_out[kind].answers for kind in ("topic", "look_alikes"))
    assert (topic == toy.DECLINE).all()
    assert (alike != toy.DECLINE).all()


def test_the_same_seed_grows_the_same_toy():
    one, two = (toy.grow(3, width=16, depth=2, steps=3)[0] for _ in range(2))
    for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert torch.equal(a, b)


# One token at a time


@pytest.fixture(scope="module")
def rows(grown):
    """Prompts of different lengths, so that batches are padded."""
    grammar = grown[1]
    prompts = grammar.train["topic"].prompts[:7]
    return [prompt[: 3 + index % 3] for index, prompt in enumerate(prompts)]


def test_the_last_token_alone_gives_what_the_whole_prompt_gives(grown, rows):
    model = grown[0].model
    read = LastTokens(grown[0], rows, [1], batch_size=3)
    for index, row in enumerate(rows):
        logits = model(row[None]).logits[0, -1].log_softmax(-1)
        torch.testing.assert_close(read.log_probabilities[index], logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("block", [0, 1, 2])
def test_moving_a_block_is_editing_the_last_token_there(grown, rows, block):
    model = grown[0].model
    read = LastTokens(grown[0], rows, [block], batch_size=3)
    x = read.activations[block]
    shift = MeanShift().fit(x[:3], x[3:])
    moved = read.moved(block, shift.transform(x))
    site = Sites.of(model).residual(block)
    torch.testing.assert_close(moved, read.edited({site: shift.edit()}), atol=1e-4, rtol=1e-4)
    for index, row in enumerate(rows):
        with edit(model, {site: shift.edit(positions="last")}):
            logits = model(row[None]).logits[0, -1].log_softmax(-1)
        torch.testing.assert_close(moved[index], logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("cut", [slice(1, 4), slice(0, 1), slice(0, 7)])
def test_what_prompts_begin_with_is_run_once_and_changes_nothing(grown, rows, cut):
    model = grown[0].model
    opening = torch.tensor([0, 7, 8])
    prompts = [torch.cat([opening, row]) for row in rows[cut]]
    read = LastTokens(grown[0], prompts, [])
    assert read._batches[0].last.shape == (len(prompts), 1)
    for index, prompt in enumerate(prompts):
        logits = model(prompt[None]).logits[0, -1].log_softmax(-1)
        torch.testing.assert_close(read.log_probabilities[index], logits, atol=1e-4, rtol=1e-4)


def test_what_is_carried_from_a_block_is_what_an_edit_there_makes_above(grown, rows):
    model = grown[0].model
    read = LastTokens(grown[0], rows, [0], batch_size=3)
    carried = read.carried(0, read.activations[0] + 1.0, 2)
    low, high = (Sites.of(model).residual(block) for block in (0, 2))
    for index, row in enumerate(rows):
        step = Add(torch.ones(read.activations[0].shape[1]), positions="last")
        with edit(model, {low: step}):
            found = record(model, {"input_ids": row[None]}, [high], "last")[high][0]
        torch.testing.assert_close(carried[index], found, atol=1e-4, rtol=1e-4)


def test_maps_in_sequence_reach_the_target_at_every_block_together(bench):
    fitted = bench.in_sequence(MeanShift())
    assert list(fitted) == list(range(bench.depth))
    edits = {bench.sites.residual(b): one.edit(positions="last") for b, one in fitted.items()}
    rows = torch.stack(list(bench.case.source))  # prompts of a toy have one length
    with edit(bench.case.language_model.model, edits):
        found = record(bench.case.language_model.model, {"input_ids": rows}, list(edits), "last")
    for block, x in enumerate(found.values()):
        torch.testing.assert_close(x.mean(0), bench.target[block].mean(0), atol=1e-4, rtol=1e-3)
    alone = bench.fit(MeanShift(), bench.depth - 1)
    late = fitted[bench.depth - 1]
    steps = [one.map_.apply(torch.zeros_like(x[0]).double()).norm() for one in (late, alone)]
    assert steps[0] < 0.9 * steps[1]  # the blocks below have done most of it


def test_reading_leaves_model_and_cache_as_they_were(grown, rows):
    read = LastTokens(grown[0], rows, [1])
    read.moved(1, read.activations[1] + 1)
    again = read.edited({})
    torch.testing.assert_close(again, read.log_probabilities)
    assert all("forward" not in vars(block) for block in grown[0].model.model.layers)


def test_moving_to_where_it_is_changes_nothing(grown, rows):
    read = LastTokens(grown[0], rows, [1])
    same = read.moved(1, read.activations[1])
    torch.testing.assert_close(same, read.log_probabilities, atol=1e-5, rtol=1e-5)


def test_readouts():
    logits = 5 * torch.randn(3, 7, generator=torch.Generator().manual_seed(0))
    predicted = logits.log_softmax(-1)
    found = Tokens((1, 2))(predicted)
    torch.testing.assert_close(found, log_odds(logits, [1, 2]), atol=1e-4, rtol=1e-4)
    gap = (logits[:, 1] - logits[:, 2]).double()
    torch.testing.assert_close(Gap(1, 2)(predicted), gap, atol=1e-5, rtol=1e-5)


def test_scores_hold_the_divergence_from_the_models_own_predictions(bench):
    other = bench.own.roll(1, 0)
    expected = (bench.own.exp() * (bench.own - other)).sum(-1)
    found = bench.scores(other)
    kl = np.concatenate([found[group]["kl"] for group in bench.slices])
    np.testing.assert_allclose(kl, expected, atol=1e-4)
    assert all((scores["kl"] < 1e-5).all() for scores in bench.before.values())


# The comparison


def test_a_map_changes_the_toys_behaviour_and_a_wrong_way_map_does_not(bench):
    found = sweep(bench)
    assert float(found["rate_before"].sel(group="source")) > 0.9
    changed = found["changed"].sel(group="source")
    assert float(changed.sel(map="Gaussian 2").max()) > 0.7
    assert set(found["map"].values) == set(methods((1, 2)))
    method = methods((1, 2))["Gaussian 2"]
    away = type(method)(**method.get_params()).fit(bench.target[1], bench.source[1])
    assert bench.moved(away, 1)["source"]["changed"].mean() < 0.1


def test_a_broken_model_has_not_changed_its_behaviour(bench):
    own = bench.own.clone()
    broken = torch.full_like(own, -20.0)
    broken[:, toy.BEGIN] = 0.0  # it neither declines nor answers
    scores = bench.scores(broken.log_softmax(-1))
    assert (scores["source"]["odds"] < 0).all()
    assert scores["source"]["changed"].sum() == 0


def test_distances_fall_under_transport_and_stay_without_it(bench):
    before, after, step = bench.distance(bench.fit(methods((1, 2))["Gaussian 2"], 1), 1)
    assert after < before
    assert step > 0
    still = bench.fit(MeanShift(strength=0.0), 1)
    before, after, step = bench.distance(still, 1)
    assert after == pytest.approx(before)
    assert step == 0


def test_the_cap_on_perplexity_decides(bench):
    found = sweep(bench)
    chooser = Chooser(bench, found, None)
    harms = {}

    def harm(fitted, positions=()):
        block = next(iter(fitted))
        return harms.setdefault(block, (1.5 if not harms else 1.05, 0.1))

    chooser.damage = harm
    choice = chooser.best(["Gaussian 2"])
    first = next(iter(harms))
    assert choice.block != first
    assert choice.perplexity == 1.05


# The other ways


def test_the_inverse_undoes_the_map_and_a_later_map_restores(trial):
    found = restore(trial, 2)
    assert float(found["undone_odds_gap"]) < 1e-3
    assert float(found["restored_rate"].sel(group="source")) > 0.5


def test_the_map_the_other_way_brings_the_behaviour_about(trial):
    found = strengthen(trial, None)
    before = float(trial.found["rate_before"].sel(group="target"))
    assert float(found["provoked_rate"].sel(group="target")) > before + 0.3
    assert "weak_rate" not in found


def test_an_organism_taught_less_is_raised_by_the_ones_activations(trial, grown):
    model = copy.deepcopy(grown[0].model)
    for block in model.model.layers:
        block.mlp.down_proj.weight.mul_(0.3)
    found = strengthen(trial, dataclasses.replace(grown[0], model=model))
    assert float(found["raised_odds"]) > float(found["weak_odds"])


def test_the_monitor_is_repeatable_and_its_areas_are_areas(trial):
    one, two = (monitor(trial, np.random.default_rng(0), windows=10)["area"] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert ((one >= 0) & (one <= 1)).all()


# Prompts


def test_tests_of_two_draws_share_no_prompt():
    config = load(SLUG).configuration()
    drawn = [pools.draw(config, i, np.random.default_rng(i)) for i in range(config.resamples)]
    for part in ("validation", "test_source", "test_target", "look_alikes"):
        prompts = [p for d in drawn for p in getattr(d, part)]
        assert len(prompts) == len(set(prompts))
    one = drawn[0]
    assert not set(one.source) & {*one.validation, *one.test_source}
    assert not set(one.test_target) & set(one.look_alikes)


def test_a_users_files_are_cut_into_parts_that_share_nothing(tmp_path):
    paths = {}
    for name in ("source", "target"):
        paths[f"{name}_prompts"] = str(tmp_path / f"{name}.jsonl")
        lines = [json.dumps({"prompt": f"{name} number {i}"}) for i in range(12)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    settings = {**paths, "fit_prompts": 6, "validation_prompts": 3, "test_prompts": 4}
    config = load(SLUG).configuration("smoke", **settings)
    drawn = pools.draw(config, 0, np.random.default_rng(0))
    parts = [drawn.source, drawn.validation, drawn.test_source]
    assert sorted(p for part in parts for p in part) == sorted(
        f"source number {i}" for i in range(12)
    )
    assert drawn.look_alikes is None
    with pytest.raises(InputError, match="holds 12 prompts; fit_prompts=9 and validation"):
        pools.draw(
            load(SLUG).configuration("smoke", **{**settings, "fit_prompts": 9}),
            0,
            np.random.default_rng(0),
        )


def test_more_draws_than_there_are_prompts_are_refused():
    config = load(SLUG).configuration(resamples=50)
    with pytest.raises(InputError, match="resamples x test_prompts: fold 41 of 36 needs"):
        pools.draw(config, 40, np.random.default_rng(0))


def test_reviews_of_training_and_test_share_no_adjective():
    drawn = pools.reviews(load(SLUG).configuration(), np.random.default_rng(0))
    words = set(pools._BAD)
    train = {w for text in drawn.source for w in words if f" {w} " in text or f" {w}." in text}
    test = {w for text in drawn.test_source for w in words if f" {w} " in text or f" {w}." in text}
    assert train
    assert test
    assert not train & test


# The run


def test_a_users_own_prompts_run_whole(tmp_path, smollm2):
    """The full preset's way, on a slice: a folder, two files, no base, no look-alikes."""
    import transformers

    folder = tmp_path / "model"
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=len(smollm2.tokenizer), hidden_size=16, intermediate_size=32,
            num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
            eos_token_id=smollm2.tokenizer.eos_token_id,
        )
    ).save_pretrained(folder)  # fmt: skip
    smollm2.tokenizer.save_pretrained(folder)
    for name, word in (("a", "rivers"), ("b", "stars")):
        lines = [f"Tell me about {word} number {i}" for i in range(12)]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    settings = {
        "organism": str(folder),
        "source_prompts": str(tmp_path / "a.txt"),
        "target_prompts": str(tmp_path / "b.txt"),
        "blocks": (),
        "openings": ("No", "Sorry"),
        "fit_prompts": 6,
    }
    run = run_study(load(SLUG), "smoke", settings, home=tmp_path / "runs")
    assert np.shape(run.measurements["change_by_depth"]["values"]) == (1, 4)
    assert "look_alikes_before" not in run.measurements
    assert run.measurements["undone_odds_gap"]["mean"] < 1e-3
    assert all(claim["verdict"] != "not tested" for claim in run.claims)


def test_configurations_name_blocks_by_depth():
    config = load(SLUG).config()
    assert config.blocks_of(30) == [5, 8, 11, 14, 17, 20, 23, 26]
    assert config.blocks_of(8)[0] == 1
