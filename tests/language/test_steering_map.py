"""A map is saved whole, comes back the same, and refuses what it was not fitted with."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from accelerate import cpu_offload, dispatch_model

from axonal.errors import AxonalError, InputError
from axonal.language.models import LanguageModel
from axonal.language.steering import LogitGap, SteeringMap, collect, fit, generate
from axonal.transport import UnitTransport
from steering_models import NEGATIVE, POSITIVE, make_tokenizer, tiny

GAP = LogitGap(" positive", " negative")


def fitted(**options) -> SteeringMap:
    return fit(tiny(), NEGATIVE, POSITIVE, [0, 2], **options)


@pytest.mark.parametrize(
    "map", ["Gaussian, subspace", "Gaussian, full", "Linear-AcT", "mean shift"]
)
@pytest.mark.parametrize("apply", ["last", slice(-3, None), [2, "generated"]], ids=str)
def test_a_saved_map_comes_back_the_same(tmp_path, map, apply) -> None:
    steering = fitted(map=map, apply=apply)
    model = tiny()
    loaded = SteeringMap.load(steering.save(tmp_path / "map"), model=model)
    assert loaded.apply == apply
    assert loaded.origin == steering.origin
    assert loaded.sites == steering.sites
    with steering.on(model):
        expected = GAP(model, NEGATIVE)
    with loaded.on(model):
        assert (GAP(model, NEGATIVE) == expected).all()
    assert not (GAP(model, NEGATIVE) == expected).all()


def test_saving_again_replaces_the_map_and_nothing_else(tmp_path) -> None:
    fitted().save(tmp_path / "map")
    fitted(map="mean shift").save(tmp_path / "map")
    assert SteeringMap.load(tmp_path / "map").origin.method.startswith("MeanShift")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no steering map: choose another folder"):
        fitted().save(tmp_path / "other")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map", "other"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(AxonalError, match="a file is in its way"):
        fitted().save(tmp_path / "file" / "map")


def test_a_folder_that_is_no_map_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="holds no steering map"):
        SteeringMap.load(tmp_path)
    path = fitted().save(tmp_path / "map")
    card = json.loads((path / "card.json").read_text())
    (path / "card.json").write_text(json.dumps({**card, "sha256": "0"}))
    with pytest.raises(InputError, match=r"is not the file that card.json belongs to"):
        SteeringMap.load(path)
    (path / "card.json").write_text(json.dumps({**card, "format": 2}))
    with pytest.raises(InputError, match="update axonal"):
        SteeringMap.load(path)
    (path / "card.json").write_text("{")
    with pytest.raises(InputError, match="no readable steering map"):
        SteeringMap.load(path)


def test_a_mask_belongs_to_one_batch_and_is_not_saved(tmp_path) -> None:
    steering = dataclasses.replace(fitted(), apply=torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(InputError, match="belongs to one batch"):
        steering.save(tmp_path / "map")
    assert not (tmp_path / "map").exists()


# Refusals


def test_another_model_is_refused_with_both_named(tmp_path) -> None:
    steering = fitted()
    other = tiny(seed=1)
    with (
        pytest.raises(InputError, match=r"fingerprint \w+\), but this model is .*fingerprint"),
        steering.on(other.model),
    ):
        pass
    with pytest.raises(InputError, match=r"The map in .* was made with"):
        SteeringMap.load(steering.save(tmp_path / "map"), model=other)


def test_another_hidden_size_is_refused() -> None:
    steering = dataclasses.replace(fitted(), origin=dataclasses.replace(fitted().origin, width=64))
    with (
        pytest.raises(InputError, match="hidden size 64, but this model has 32"),
        steering.on(tiny()),
    ):
        pass


def test_a_tokenizer_of_another_model_is_refused_with_both_hashes() -> None:
    model = tiny()
    other = LanguageModel(model.model, make_tokenizer(extra="more words"), "other", None)
    with (
        pytest.raises(InputError, match=r"fitted with tokenizer \w{16}, but this one is \w{16}"),
        fitted().on(other),
    ):
        pass


def test_another_revision_is_refused() -> None:
    model = tiny()
    at = LanguageModel(model.model, model.tokenizer, "m", "abc")
    steering = fit(at, NEGATIVE, POSITIVE, 1)
    with steering.on(at):
        pass
    other = LanguageModel(model.model, model.tokenizer, "m", "def")
    with pytest.raises(InputError, match="revision abc, but this is def"), steering.on(other):
        pass


def test_a_site_that_is_not_there_is_refused_with_the_nearest_names() -> None:
    steering = fitted()
    model = tiny()
    (first, second) = steering.sites
    moved = {dataclasses.replace(first, path="model.layer.0"): steering.maps[first]}
    wrong = dataclasses.replace(steering, maps=moved)
    with (
        pytest.raises(InputError, match=r"has no module at 'model.layer.0'; did you mean"),
        wrong.on(model),
    ):
        pass
    assert second in steering.maps


def test_a_map_needs_a_site_and_a_known_rule() -> None:
    with pytest.raises(InputError, match="at least one site"):
        dataclasses.replace(fitted(), maps={})
    with pytest.raises(InputError, match="did you mean last"):
        dataclasses.replace(fitted(), apply="lasst")


def test_no_hook_outlives_the_context_even_when_something_is_raised() -> None:
    model = tiny()
    before = GAP(model, NEGATIVE)
    with pytest.raises(RuntimeError, match="inside"), fitted().on(model):
        raise RuntimeError("inside")
    assert (GAP(model, NEGATIVE) == before).all()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.model.modules())


# Models that are spread over devices


@pytest.mark.parametrize("how", ["dispatched", "offloaded"])
def test_a_model_that_accelerate_spreads_is_fitted_and_steered_alike(how: str) -> None:
    whole, spread = (
        tiny(),
        tiny(seed=0).__class__(_copy(tiny().model), tiny().tokenizer, "spread", None),
    )
    if how == "dispatched":
        parts = {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu",
                 "lm_head": "cpu", **{f"model.layers.{i}": "cpu" for i in range(3)}}  # fmt: skip
        dispatch_model(spread.model, parts, main_device="cpu", force_hooks=True)
    else:
        cpu_offload(spread.model, execution_device=torch.device("cpu"))
    steering = fit(spread, NEGATIVE, POSITIVE, [0, 2])
    expected = fit(whole, NEGATIVE, POSITIVE, [0, 2])
    assert steering.origin.model["fingerprint"] == expected.origin.model["fingerprint"]
    with steering.on(spread):
        gap, text = GAP(spread, NEGATIVE), generate(spread, NEGATIVE[:3], max_new_tokens=4)
    with expected.on(whole):
        assert gap == pytest.approx(GAP(whole, NEGATIVE), abs=1e-5)
        assert text == generate(whole, NEGATIVE[:3], max_new_tokens=4)


def _copy(model):
    import copy

    return copy.deepcopy(model)


def test_unit_maps_keep_their_support_on_disk(tmp_path) -> None:
    steering = fit(tiny(), NEGATIVE, POSITIVE, 1, map=UnitTransport("linear"), apply="last")
    (site,) = steering.sites
    loaded = SteeringMap.load(steering.save(tmp_path / "map"))
    rows = collect(tiny(), NEGATIVE, [site])[site].double() * 3  # far outside
    assert torch.equal(loaded.maps[site].apply(rows), steering.maps[site].apply(rows))
