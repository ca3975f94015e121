"""The study of steering resistance: its toy language, its judge, and what a run leaves behind."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from axonal.errors import InputError
from axonal.lab import run_study
from axonal.lab.registry import load
from axonal.language.resistance import Response, conversation, read_trials
from axonal.language.resistance.teaching import IGNORED
from axonal.studies.endogenous_steering_resistance.organism import AGAIN, ToyLanguage, build, teach
from axonal.studies.endogenous_steering_resistance.real import one_sided_upper


def test_drifts_come_back_and_are_not_learned():
    language = ToyLanguage(length=32)
    batch = language.batch(np.random.default_rng(0), 300, 0.5)
    again = language.vocabulary.index(AGAIN)
    drifted = (batch["input_ids"] == again).any(1)
    assert 0.4 < float(drifted.float().mean()) < 0.6
    for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        topic = int(ids[1]) - 5
        first = language.first_word(topic)
        own = (ids >= first) & (ids < first + language.words)
        restart = (ids == again).nonzero().flatten().tolist()
        if not restart:
            assert own[3:].all()
            assert (labels[3:] == ids[3:]).all()
            continue
        (place,) = restart
        long = int((~own[3:place]).sum())
        assert language.drift[0] <= long <= language.drift[1]
        assert own[place + 1 :].all()
        assert (labels[:place] == IGNORED).all()
        assert (labels[place:] == ids[place:]).all()
    plain = language.batch(np.random.default_rng(1), 50, 0.0)
    assert not (plain["input_ids"] == again).any()


def test_the_exact_judge_counts_words_of_the_topic():
    language = ToyLanguage()
    texts = [
        "t3w1 t3w2 t5w1 t3w4",
        f"t5w1 t5w2 {AGAIN} t3w1 t3w3",
        f"{AGAIN} {AGAIN} t13w1",
        AGAIN,
        "",
    ]
    found = language.judge([Response("topic3", text) for text in texts])
    scores = [[attempt.score for attempt in one.attempts] for one in found]
    assert scores == [[75], [0, 100], [0], [], []]


def test_questions_are_read_as_they_are_taught():
    language = ToyLanguage()
    organism = build(language, width=16, blocks=1, seed=0)
    row, length = conversation(organism, "topic3", "t3w0 again")
    taught = language.batch(np.random.default_rng(0), 1, 0.0)["input_ids"][0]
    assert row[0] == int(taught[0])
    assert row[2] == int(taught[2])
    assert row[1] == 5 + 3
    assert (length, row[3:]) == (3, [language.first_word(3), language.vocabulary.index(AGAIN)])


def test_teaching_is_repeatable_and_leaves_the_model_frozen():
    language = ToyLanguage(topics=4, length=16)
    made = []
    for _ in range(2):
        organism = build(language, width=16, blocks=1, seed=3)
        losses = teach(organism, language, ratio=0.5, steps=4, learning_rate=1e-2, batch=8, seed=1)
        made.append(organism.model.state_dict())
    assert losses[-1] < losses[0]
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert not any(parameter.requires_grad for parameter in organism.model.parameters())


def test_the_upper_bound_is_clopper_and_pearsons():
    assert one_sided_upper(0, 256) == pytest.approx(1 - 0.05 ** (1 / 256))
    assert one_sided_upper(0, 256) < 0.012 < one_sided_upper(1, 256)
    assert one_sided_upper(5, 5) == 1


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = {"seeds": 1, "model_trials": 1, "model_prompts": 2, "new_tokens": 4}
    home = tmp_path_factory.mktemp("runs")
    return run_study(load("endogenous-steering-resistance"), "smoke", settings, home=home)


def test_trials_stay_in_the_run_folder_and_replay_one_another(run):
    kept = {p.stem: read_trials(p) for p in (run.folder / "trials").glob("*.jsonl")}
    assert set(kept) == {"steered", "detectors-ablated", "random-ablated", "asked-to-resist"}
    steered = {trial.plan for trial in kept["steered"]}
    assert all({t.plan for t in trials} <= steered for trials in kept.values())


def test_the_reader_is_told_what_the_numbers_depend_on(run):
    notes = " ".join(json.loads((run.folder / "notes.json").read_text()))
    for words in (
        "54 %",
        "selection rule, layer and calibration",
        "upper bound",
        "The judge is local",
    ):
        assert words in notes


def test_a_judge_behind_an_address_needs_a_name():
    with pytest.raises(InputError, match="judge_url needs judge_model"):
        load("endogenous-steering-resistance").configuration(
            "smoke", judge_url="http://localhost:1/v1"
        )


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    settings = {
        "seeds": 1,
        "model_trials": 1,
        "model_prompts": 2,
        "new_tokens": 4,
        "taught": 0.5,
        "lessons": 2,
        "lora_rank": 2,
        "lora_epochs": 1,
    }
    home = tmp_path_factory.mktemp("taught")
    return run_study(load("endogenous-steering-resistance"), "smoke", settings, home=home)


def test_a_model_is_taught_and_measured_again_if_that_is_asked_for(run, taught):
    assert not [name for name in run.measurements if "taught_multi" in name and "model" in name]
    for rate in ("multi", "resistance"):
        assert 0 <= taught.measurements[f"model_taught_{rate}"]["values"][0] <= 1
    assert len(read_trials(taught.folder / "trials" / "taught.jsonl")) == 2
    notes = " ".join(json.loads((taught.folder / "notes.json").read_text()))
    assert "Fine-tuned on corrections of its own" in notes
    same = "model_multi", "model_multi_compared", "toy_multi_steered"
    for name in same:  # what came before the lessons is as without them
        assert taught.measurements[name]["values"] == run.measurements[name]["values"]
