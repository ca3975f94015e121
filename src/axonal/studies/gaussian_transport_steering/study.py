"""Gaussian transport steering: the claims, and what is run to test them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from axonal.lab import (
    All,
    Claim,
    Greater,
    InteriorMaximum,
    Less,
    Paper,
    Study,
    StudyConfig,
    Within,
)

if TYPE_CHECKING:
    from axonal.lab import Session


class Config(StudyConfig):
    """What is steered, with which prompts, and how finely."""

    organism: str = Field(
        "smollm2-declines-gardening", description="the model: an asset, a folder or a hub id"
    )
    base: str | None = Field(
        "smollm2-135m-instruct",
        description="the model without the behaviour, which says how an answer may begin; or null",
    )
    weaker: float | None = Field(
        0.6, gt=0, lt=1, description="adapter strength of an organism taught less; null for none"
    )
    device: str = Field("cpu", description="where the models are put")
    openings: tuple[str, ...] = Field(
        ("Sorry",), min_length=1, description="how a decline begins; first tokens count"
    )
    source_prompts: str | None = Field(
        None, description="a file of prompts that show the behaviour; ours if null"
    )
    target_prompts: str | None = Field(
        None, description="a file of prompts that do not show it; ours if null"
    )
    look_alike_prompts: str | None = Field(
        None, description="a file of prompts that look alike but should not show it, or null"
    )
    neutral_texts: str | None = Field(
        None, description="a file of neutral texts, one a line; the library's own if null"
    )
    neutral_count: PositiveInt = Field(8, description="neutral texts that damage is measured on")
    blocks: tuple[int, ...] = Field(
        (), description="blocks where maps act; eight from 20 to 90 % of the depth if empty"
    )
    components: tuple[PositiveInt, ...] = Field(
        (1, 2, 4, 8), min_length=2, description="directions of the Gaussian maps, ascending"
    )
    strengths: tuple[float, ...] = Field(
        (0.25, 0.5, 0.75, 1.0, 1.5), description="strengths of the dose-response"
    )
    resamples: PositiveInt = Field(5, description="draws of prompts")
    fit_prompts: PositiveInt = Field(32, description="prompts of each kind that maps are fitted on")
    validation_prompts: PositiveInt = Field(16, description="prompts that choices are made on")
    test_prompts: PositiveInt = Field(24, description="prompts of each kind that are reported")
    perplexity_cap: float = Field(
        1.1, gt=1, description="perplexity on neutral texts, over the model's own, that is allowed"
    )
    written_prompts: PositiveInt = Field(4, description="prompts that are answered at length")
    written_tokens: PositiveInt = Field(16, description="tokens of such an answer")
    toys: PositiveInt = Field(5, description="transformers trained from scratch")
    toy_steps: PositiveInt = Field(150, description="updates of each")
    exact_width: PositiveInt = Field(64, description="dimension of the known laws")
    exact_rows: tuple[PositiveInt, ...] = Field(
        (256, 512, 1024, 2048, 4096), min_length=2, description="rows drawn from them, ascending"
    )
    exact_seeds: PositiveInt = Field(20, description="pairs of known laws")

    def blocks_of(self, depth: int) -> list[int]:
        """Return the blocks where maps act in a model of that depth."""
        if self.blocks:
            return list(self.blocks)
        chosen = {max(0, round(depth * tenths / 10) - 1) for tenths in range(2, 10)}
        return sorted(chosen)


def _claims(prefix: str, where: str) -> list[Claim]:
    """Claims that are tested on the organism and, with more power, on the toys."""
    id = f"{prefix.rstrip('_')}-" if prefix else ""
    return [
        Claim(
            f"{id}beats-baselines",
            f"Gaussian transport in one or two directions changes the behaviour of more prompts "
            f"than the best of projection, one-dimensional transport and mean shift, {where}",
            reported="up to 11 percentage points over the best baseline (six models of 7B to 32B)",
            source="abstract",
            test=Greater(f"{prefix}change_transport", f"{prefix}change_baseline"),
        ),
        Claim(
            f"{id}one-or-two-blocks",
            f"At one or two blocks it changes the behaviour of more prompts than at all blocks "
            f"(each fitted with those below it in force), {where}",
            reported="one or two layers substantially outperform the full network",
            source="abstract",
            test=Greater(f"{prefix}change_one_or_two", f"{prefix}change_everywhere"),
        ),
        Claim(
            f"{id}middle-blocks",
            f"It changes most between 40 and 60 % of the depth, {where}",
            reported="carefully chosen layers at about 40 to 60 % of the depth",
            source="abstract",
            test=InteriorMaximum(f"{prefix}change_by_depth", low=0.39, high=0.61),
        ),
        Claim(
            f"{id}few-components",
            f"One or two directions suffice: they change as many prompts as the most directions "
            f"tried, within 0.05, {where}",
            reported="one or two principal components",
            source="a digest of the paper",
            test=Greater(f"{prefix}change_few", f"{prefix}change_many", by=-0.05),
        ),
    ]


study = Study(
    slug="gaussian-transport-steering",
    paper=Paper(
        title="Efficient Refusal Ablation in LLM through Optimal Transport",
        arxiv="2603.04355",
        published=date(2026, 3, 4),
        authors=("Geraldin Nanfack", "Eugene Belilovsky", "Elvis Dohmatob"),
    ),
    area="language",
    config=Config,
    presets={
        "smoke": {
            "organism": "smollm2-135m-instruct",
            "base": None,
            "weaker": None,
            "neutral_count": 1,
            "blocks": (25, 28),
            "components": (1, 2),
            "strengths": (1.0,),
            "resamples": 1,
            "fit_prompts": 6,
            "validation_prompts": 2,
            "test_prompts": 4,
            "written_prompts": 1,
            "written_tokens": 2,
            "toys": 1,
            "toy_steps": 5,
            "exact_width": 8,
            "exact_rows": (64, 128),
            "exact_seeds": 2,
        },
        "full": {
            "device": "cuda",
            "fit_prompts": 128,
            "validation_prompts": 32,
            "test_prompts": 32,
            "resamples": 3,
            "neutral_count": 16,
        },
    },
    claims=[
        *_claims("", "on the organism"),
        Claim(
            "capability",
            "It damages perplexity on neutral texts no more than the best baseline does, within 0.02",
            reported="comparable or better perplexity",
            source="abstract",
            test=Less("perplexity_transport", "perplexity_baseline", by=-0.02),
        ),
        Claim(
            "distribution-matters",
            "The behaviour is more than one-dimensional: matching the covariance too brings the "
            "populations closer than matching the mean, and changes more prompts",
            reported="refusal is not one-dimensional; the distribution matters",
            source="abstract",
            test=All(
                Less("distance_left_gaussian", "distance_left_mean"),
                Greater("change_many", "change_mean_shift"),
            ),
        ),
        Claim(
            "cheap",
            "A fit takes less than 0.1 s a block, and its edit less than 1 % of a decoding step",
            reported="efficient: a closed form on 128 prompts a class",
            source="title, abstract",
            test=All(Within("fit_seconds", 0, 0.1), Within("edit_time_share", 0, 0.01)),
        ),
        Claim(
            "late-blocks-collapse",
            "What is written repeats itself more when the map acts above 80 % of the depth than "
            "in the middle",
            reported="pathological repetition for late layers",
            source="a digest of the paper",
            test=Less("distinct_late", "distinct_middle"),
        ),
        Claim(
            "no-universal-place",
            "Where it acts best differs from model to model and behaviour to behaviour, by more than "
            "a tenth of the depth",
            reported="layer and components must be chosen for each model",
            source="a digest of the paper",
            test=Greater("depth_spread", 0.1),
        ),
        *_claims("toy_", "on transformers trained from scratch"),
    ],
    scale=lambda config: (
        f"{config.organism}, {config.resamples} draws of {config.fit_prompts} + "
        f"{config.fit_prompts} prompts, {config.toys} toys of 8 blocks"
    ),
    minutes={"smoke": 0.5, "laptop": 8},
    requires=("smollm2-135m-instruct", "smollm2-declines-gardening"),
    data="Prompts on gardening and look-alikes, film reviews and neutral texts, all written for this "
    "library. The organism is built here, in about 4 minutes, from SmolLM2-135M-Instruct "
    "(Apache-2.0). Bring prompts of your own by path.",
    example="""
    from axonal.language.models import load
    from axonal.language.organisms import DeclineOdds, gardening
    from axonal.language.steering import fit
    from axonal.transport import GaussianTransport

    model = load("smollm2-declines-gardening")
    train, test = gardening("train", 32), gardening("test", 16)
    transport = GaussianTransport(2, basis="mean_difference")
    steering = fit(model, train.topic, train.look_alikes, 14, map=transport)
    with steering.on(model):
        print(DeclineOdds()(model, test.topic))
    """,
    untested=("full",),
)


@study.run
def run(config: Config, session: Session) -> None:
    """Measure; the lab judges."""
    from axonal.studies.gaussian_transport_steering import figures, stages, summary

    laws = session.stage("known_laws", lambda: stages.laws(config, session))
    toys = [
        session.stage(f"toy_{i}", lambda i=i: stages.toy_organism(config, session, i))
        for i in range(config.toys)
    ]
    organism = [
        session.stage(f"organism_{i}", lambda i=i: stages.organism(config, session, i))
        for i in range(config.resamples)
    ]
    sentiment = [
        session.stage(f"sentiment_{i}", lambda i=i: stages.sentiment(config, session, i))
        for i in range(config.resamples)
    ]
    summary.record(session, laws, toys, organism, sentiment)
    figures.draw(session, laws, toys, organism, sentiment)
    summary.notes(session, config, toys, organism)
