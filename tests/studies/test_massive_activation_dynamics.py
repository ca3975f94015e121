"""The study of massive activations: its trainings, its tasks, its own checkpoints."""

from __future__ import annotations

import numpy as np
import pytest

from axonal.lab.registry import load
from axonal.studies.massive_activation_dynamics.config import architecture_recipes, main_recipes
from axonal.studies.massive_activation_dynamics.curves import regular
from axonal.studies.massive_activation_dynamics.tasks import (
    BOS,
    TRIGGERS,
    backcopy_pool,
    bigram_table,
    byte_pool,
)
from axonal.studies.massive_activation_dynamics.trained import (
    Recipe,
    checkpoint_steps,
    grow,
    regular_steps,
)


def test_a_trigger_is_followed_by_the_token_before_it():
    ids = backcopy_pool(200, 32, np.random.default_rng(0)).numpy()
    assert (ids[:, 0] == BOS).all()
    assert (ids[:, 1:] > 0).all()
    trigger = np.isin(ids[:, 2:-1], TRIGGERS)  # two or more tokens after BOS
    assert (ids[:, 3:][trigger] == ids[:, 1:-2][trigger]).all()
    assert trigger.sum() > 100


def test_other_tokens_follow_the_bigram_table():
    table = bigram_table()
    np.testing.assert_allclose(table.sum(1), 1)
    ids = backcopy_pool(4000, 32, np.random.default_rng(1)).numpy()
    before, after = ids[:, 2:-1].ravel(), ids[:, 3:].ravel()
    letter = 5
    found = np.bincount(after[before == letter], minlength=32)[1:] / (before == letter).sum()
    assert np.abs(found - table[letter - 1]).max() < 0.03


def test_bytes_are_windows_of_source():
    ids = byte_pool(3, 40, np.random.default_rng(0))
    assert ids.shape == (3, 40)
    assert bytes(ids[0].tolist()).isascii()


def test_curves_are_fitted_at_regularly_spaced_steps():
    steps = regular_steps(1800)
    assert len(steps) == 37
    assert set(np.diff(steps)) == {50}
    assert set(steps) < set(checkpoint_steps(1800))
    assert {1, 2, 4, 8} < set(checkpoint_steps(1800))


def test_as_many_trainings_as_the_scale_says():
    config = load("massive-activation-dynamics").configuration()
    names = [one["name"] for one in [*main_recipes(config), *architecture_recipes(config)]]
    assert len(set(names)) == len(names)
    assert f"{config.seeds} + {len(architecture_recipes(config))} small decoders" in load(
        "massive-activation-dynamics"
    ).scale(config)


def test_a_decoder_starts_at_the_null_and_learns(session):
    recipe = Recipe("one", layers=2, width=16, heads=2, steps=40, batch=8, points=8)
    found = grow(recipe, session)
    start = (found["ratio"] / found["null"]).isel(step=0).to_numpy()
    assert np.all(np.abs(start - 1) < 0.4)
    assert float(found["loss_end"]) < float(found["loss_start"])
    assert found["sink_importance"].sizes == {"step": found.sizes["step"]}
    assert regular(found)["step"].to_numpy().tolist() == regular_steps(40, 8)


@pytest.fixture
def session(tmp_path):
    from axonal.lab.session import Session

    return Session(tmp_path)


def test_checkpoints_of_ones_own_are_tracked(session, tmp_path, smollm2):
    import transformers

    from axonal.studies.massive_activation_dynamics.tracked import follow, sources

    for step in (0, 10):
        config = transformers.LlamaConfig(
            vocab_size=len(smollm2.tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
        )
        folder = tmp_path / f"step{step}"
        transformers.LlamaForCausalLM(config).save_pretrained(folder)
        smollm2.tokenizer.save_pretrained(folder)
    study = load("massive-activation-dynamics")
    listed = tuple((step, str(tmp_path / f"step{step}")) for step in (0, 10))
    config = study.configuration("smoke", checkpoints=listed)
    (tmp_path / "data").mkdir()
    (name, found), *_ = sources(config).items()
    run = follow(name, found, config, session)
    assert dict(run.sizes) == {"step": 2, "layer": 2}
    assert (run.attrs["width"], run.attrs["mlp_width"]) == (16, 32)
    assert "1 trainings tracked" in study.scale(config)
