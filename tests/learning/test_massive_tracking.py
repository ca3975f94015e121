"""Following a training: checkpoints one at a time, a table that survives a kill, monitors."""

from __future__ import annotations

import gc
import json
import weakref

import numpy as np
import pytest
import torch
from massive_models import Plain, gpt2, tokens

from axonal.errors import InputError
from axonal.learning.massive import (
    Checkpoint,
    Monitor,
    aggregate,
    checkpoints_in,
    checkpoints_of,
    checkpoints_on_hub,
    fit_layers,
    layer_series,
    layer_statistics,
    track,
)
from axonal.training import Observe, Shuffled, Snapshots, train

IDS = tokens(3, 16)


def next_token(model, ids):
    logits = model(input_ids=ids, use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


@pytest.fixture
def folder(tmp_path):
    for step in (10, 0, 200):
        gpt2(layers=2, width=16, seed=step).save_pretrained(tmp_path / f"checkpoint-{step}")
    (tmp_path / "logs").mkdir()
    return tmp_path


# Checkpoints


def test_a_folder_of_checkpoints_is_tracked_in_the_order_of_steps(folder):
    series = track(checkpoints_in(folder), IDS)
    assert series["step"].tolist() == [0, 0, 10, 10, 200, 200]
    expected = aggregate(layer_statistics(gpt2(layers=2, width=16, seed=200), IDS))
    np.testing.assert_allclose(layer_series(series, 2)["ratio"][2], expected["ratio"][1], rtol=1e-6)


def test_one_model_is_in_memory_at_a_time():
    alive: list[weakref.ref[Plain]] = []

    def load():
        gc.collect()
        assert not any(one() for one in alive)
        model = Plain()
        alive.append(weakref.ref(model))
        return model

    track([(step, load) for step in range(4)], IDS)
    assert len(alive) == 4


def test_state_dicts_of_snapshots_are_tracked_in_one_model():
    model, kept = gpt2(layers=2, width=16), Snapshots(at=[0, 3, 6])
    monitor = Monitor(IDS)
    history = train(
        model,
        next_token,
        Shuffled(tokens(32, 16), 8),
        steps=6,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-2),
        observers=[kept, Observe("massive", monitor, at=[0, 3, 6])],
    )
    series = track(kept, IDS, model=gpt2(layers=2, width=16, seed=9))
    np.testing.assert_allclose(series["ratio"], monitor.series()["ratio"], rtol=1e-6)
    np.testing.assert_allclose(
        history.observed["massive"]["ratio"].ravel(), series["ratio"], rtol=1e-6
    )


def test_finished_checkpoints_are_not_measured_again(tmp_path):
    path, loaded = tmp_path / "table.jsonl", []

    def loader(step):
        def load():
            loaded.append(step)
            return gpt2(layers=2, width=16, seed=step)

        return load

    listed = [(step, loader(step)) for step in (0, 1, 2)]
    first = track(listed[:2], IDS, table=path)
    whole = path.read_text()
    path.write_text(whole + whole.splitlines()[2][:100])  # a kill in the middle of a line
    series = track(listed, IDS, table=path)
    assert loaded == [0, 1, 2]
    assert track(listed, IDS, table=path).equals(series)
    assert series[series["step"] < 2].equals(first)
    assert loaded == [0, 1, 2]
    for line in path.read_text().splitlines():
        json.loads(line)


def test_a_table_of_other_tokens_or_of_something_else_is_refused(tmp_path):
    path = tmp_path / "table.jsonl"
    track([(0, gpt2())], IDS, table=path)
    with pytest.raises(InputError, match="other tokens"):
        track([(0, gpt2())], IDS + 1, table=path)
    path.write_text("step,ratio\n")
    with pytest.raises(InputError, match="is not a table of massive activations"):
        track([(0, gpt2())], IDS, table=path)


def test_progress_is_told():
    told = []
    track(
        [(0, Plain()), (5, Plain())], IDS, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(0, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([(3, "a"), (1, "b")], "order of their steps"),
        ([(1, "a"), (1, "b")], "step 1 comes twice"),
        ([("1", "a")], "integer from 0 on"),
        ([(-1, "a")], "integer from 0 on"),
        ([(1, 2.5)], "expected a model, a path"),
        ([(1, {})], "pass model="),
        ([5], "pairs"),
    ],
)
def test_bad_lists_of_checkpoints_are_refused(given, words):
    with pytest.raises(InputError, match=words):
        checkpoints_of(given)


def test_bad_folders_and_revisions_are_refused(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        checkpoints_in(tmp_path / "no")
    with pytest.raises(InputError, match="holds no checkpoints"):
        checkpoints_in(tmp_path)
    (tmp_path / "step5").mkdir()
    with pytest.raises(InputError, match="config"):
        track(checkpoints_in(tmp_path), IDS)
    with pytest.raises(InputError, match="'main' does not end in a step"):
        checkpoints_on_hub("EleutherAI/pythia-14m", ["main"])
    listed = checkpoints_on_hub("EleutherAI/pythia-14m", ["step512", "step0"])
    assert [one.step for one in listed] == [0, 512]
    with pytest.raises(InputError, match="there is none"):
        track([], IDS)
    with pytest.raises(InputError, match="At step 4: input_ids"):
        track([Checkpoint(4, gpt2)], IDS + 90)
    with pytest.raises(InputError, match="weights of step 0 do not fit"):
        track([(0, {"x": torch.ones(1)})], IDS, model=gpt2())


# Monitors


def test_a_monitor_looks_when_it_is_time_in_any_loop(tmp_path):
    model, path = Plain(), tmp_path / "seen.jsonl"
    monitor = Monitor(IDS, at=[0, 2], table=path)
    with pytest.raises(InputError, match="has seen nothing yet"):
        monitor.rows()
    seen = [monitor(model, step) for step in range(4)]
    assert [bool(values) for values in seen] == [True, False, True, False]
    assert len(seen[0]["ratio"]) == 3
    assert Monitor(IDS, at=[0, 2], table=path).series().equals(monitor.series())
    assert set(monitor.rows()["step"]) == {0, 2}


def test_a_monitor_rides_along_in_the_trainer_of_transformers(tmp_path):
    import transformers

    model, monitor = gpt2(layers=2, width=16), Monitor(IDS, at=[0, 2, 4])
    rows = [{"input_ids": row, "labels": row} for row in tokens(16, 8)]
    trainer = transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=str(tmp_path),
            max_steps=4,
            per_device_train_batch_size=4,
            report_to=[],
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=rows,  # pyright: ignore[reportArgumentType]
        callbacks=[monitor.callback()],
    )
    trainer.train()
    series = monitor.series()
    assert sorted(set(series["step"])) == [0, 2, 4]
    ratio = layer_series(series, 1)["ratio"]
    assert ratio.nunique() == 3
    expected = aggregate(layer_statistics(model, IDS))["ratio"][0]
    assert ratio.iloc[-1] == pytest.approx(expected, rel=1e-6)


# From series to fits


def test_every_layer_is_fitted_in_a_row():
    steps = np.arange(0, 400, 20)
    import pandas as pd

    series = pd.DataFrame(
        [(s, layer, 6 + layer * np.log1p(s), 0.1) for s in steps for layer in (1, 2)],
        columns=["step", "layer", "ratio", "sem"],
    )
    table = fit_layers(series)
    assert table["layer"].tolist() == [1, 2]
    assert (table["r2"] > 1 - 1e-9).all()
    assert not table["identified_K"].any()
    assert (fit_layers(series, weighted=True)["r2"] > 1 - 1e-9).all()
    with pytest.raises(InputError, match="no layer 7"):
        layer_series(series, 7)
    with pytest.raises(InputError, match="no steps"):
        layer_series(series.drop(columns="step"), 1)
