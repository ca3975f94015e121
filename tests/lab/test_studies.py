"""A study is valid or does not exist; a configuration that does not fit is explained."""

from __future__ import annotations

from datetime import date
from typing import Literal

import pytest
from pydantic import Field

from axonal.errors import InputError
from axonal.lab import Claim, Greater, Paper, StudyConfig
from axonal.lab.settings import parse_settings


class Detailed(StudyConfig):
    model: str = Field("small", description="Which model.")
    prompts: int = Field(16, ge=2, le=64, description="how many prompts")
    scale: float = Field(1.0, gt=0, allow_inf_nan=False, description="a factor")
    method: Literal["exact", "fast"] = Field("exact", description="which map")
    layers: tuple[int, ...] = Field((0, 1), min_length=1, description="which layers")
    bounds: tuple[float, float] | None = Field(None, description="a range")
    verbose: bool = Field(False, description="say more")


@pytest.fixture
def detailed(make_study):
    return make_study(
        slug="detailed", config=Detailed, presets={"smoke": {}}, scale=lambda config: "x"
    )


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"slug": "Two Means"}, "lower-case words"),
        ({"presets": {"laptop": {}}}, "no smoke preset"),
        ({"presets": {"smoke": {"repeat": 3}}}, "no setting 'repeat': did you mean repeats"),
        ({"presets": {"smoke": {"repeats": 0}}}, "must be at least 2"),
        ({"minutes": {"huge": 3}}, "preset 'huge'"),
        ({"untested": ("huge",)}, "preset 'huge'"),
        ({"claims": []}, "no claim"),
        ({"config": dict}, "derived from StudyConfig"),
        (
            {"claims": [Claim("same", "s", "r", "x", Greater("a", "b"))] * 2},
            "declares the claim 'same' twice",
        ),
    ],
)
def test_a_study_that_does_not_fit_does_not_exist(make_study, overrides, words):
    with pytest.raises(InputError, match=words):
        make_study(**overrides)


def test_every_setting_has_a_description(make_study):
    class Silent(StudyConfig):
        repeats: int = 3

    with pytest.raises(InputError, match="'repeats' has no description"):
        make_study(config=Silent, presets={"smoke": {}}, scale=lambda config: "x")


def test_a_study_has_exactly_one_run_function(make_study):
    with pytest.raises(InputError, match="no run function"):
        _ = make_study(run=None).function
    with pytest.raises(InputError, match="exactly one"):
        make_study().run(lambda config, session: None)


def test_a_study_has_no_way_to_set_a_verdict(study):
    from axonal.lab import Session

    public = {name for name in dir(Session) if not name.startswith("_")}
    assert not [name for name in public if "verdict" in name or "claim" in name]
    with pytest.raises(AttributeError):
        study.claims[0].verdict = "supported"


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Claim("Bad id", "s", "r", "x", Greater("a", "b")), "hyphens"),
        (lambda: Claim("c", "s", "r", "x", "a > b"), "one of the lab's tests"),
        (lambda: Claim("c", "s", "r", "x", Greater("a", "b"), needs="gpu"), "None or 'full'"),
        (lambda: Paper("t", "arxiv:2508", date(2025, 1, 1), 2), "identifier"),
    ],
)
def test_a_claim_or_paper_that_makes_no_sense_does_not_exist(build, words):
    with pytest.raises(InputError, match=words):
        build()


def test_a_paper_knows_where_to_read_it():
    assert Paper("t", "2508.21258", date(2025, 1, 1), 2).link == "https://arxiv.org/abs/2508.21258"
    assert Paper("t", None, date(2025, 1, 1), 2).link is None
    assert Paper("t", None, date(2025, 1, 1), 2, url="https://x.org").link == "https://x.org"


def test_a_preset_replaces_defaults_and_an_override_replaces_a_preset(study):
    assert study.configuration().repeats == 20
    assert study.configuration("smoke").repeats == 8
    assert study.configuration("smoke", repeats=3).repeats == 3


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("promts=3", "no setting 'promts': did you mean prompts"),
        ("prompts=1", "prompts = '1' does not fit: it must be at least 2 (how many prompts)"),
        ("prompts=100", "must be at most 64"),
        ("prompts=many", "must be a whole number"),
        ("prompts=2.5", "must be a whole number"),
        ("scale=0", "must be greater than 0"),
        ("scale=inf", "must be a finite number"),
        ("method=quick", "must be 'exact' or 'fast'"),
        ("layers=[]", "a list of at least 1 value"),
        ("layers=1,b", "layers.1 = 'b' does not fit: it must be a whole number"),
        ("verbose=maybe", "must be true or false"),
        ("bounds=[1]", "bounds"),
        ("prompts", "--set takes key=value"),
        ("=3", "--set takes key=value"),
        ("model.name=x", "must be text"),
    ],
)
def test_a_setting_that_does_not_fit_names_the_key_what_came_and_what_is_allowed(
    detailed, setting, words
):
    with pytest.raises(InputError) as caught:
        detailed.configuration("laptop", **parse_settings([setting], Detailed))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("prompts=8", "prompts", 8),
        ("scale=1e-3", "scale", 1e-3),
        ("model=3", "model", "3"),
        ("model=a=b", "model", "a=b"),
        ("verbose=true", "verbose", True),
        ("layers=[3, 4]", "layers", (3, 4)),
        ("layers=3,4", "layers", (3, 4)),
        ("layers=3", "layers", (3,)),
        ("bounds=1,2", "bounds", (1.0, 2.0)),
        ("bounds=null", "bounds", None),
    ],
)
def test_a_setting_is_read_as_its_type(detailed, setting, name, value):
    config = detailed.configuration("laptop", **parse_settings([setting], Detailed))
    assert getattr(config, name) == value


def test_a_configuration_is_frozen_and_the_same_after_json(study):
    config = study.configuration("smoke")
    with pytest.raises(ValueError, match="frozen"):
        config.repeats = 3
    assert type(config).model_validate_json(config.model_dump_json()) == config
