"""Massive-activation dynamics: when do they come, by which curve, and can it be foretold?

Gallego-Feliciano et al., "Hidden Dynamics of Massive Activations in Transformer Training", arXiv
2508.03616. Part A reads a real language model and sets its largest scalar to zero; part B trains
small decoders and fits the curve of every layer; part C fits curves whose parameters are known.
"""

from __future__ import annotations

from datetime import date

from axonal.lab import All, Claim, Equals, Greater, Less, Paper, Session, Study, Within
from axonal.studies.massive_activation_dynamics.config import Config

PYTHIA = ("14m", "70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b")

study = Study(
    slug="massive-activation-dynamics",
    paper=Paper(
        title="Hidden Dynamics of Massive Activations in Transformer Training",
        arxiv="2508.03616",
        published=date(2025, 8, 5),
        authors=(
            "Jorge Gallego-Feliciano",
            "S. Aaron McClendon",
            "Juan Morinelli",
            "Stavros Zervoudakis",
            "Antonios Saravanos",
        ),
        code="https://github.com/Aimpoint-Digital/massive-activations-fork",
    ),
    area="learning",
    config=Config,
    presets={
        "smoke": {
            "texts": 8,
            "tokens": 24,
            "text_groups": 2,
            "perplexity_texts": 2,
            "seeds": 2,
            "steps": 40,
            "points": 12,
            "batch": 8,
            "contrasts": False,
            "depths": (4,),
            "widths": (16,),
            "heads": (1, 4),
            "architecture_seeds": 1,
            "architecture_steps": 40,
            "architecture_batch": 4,
            "splits": 2,
            "trees": 5,
            "regressors": ("ridge", "forest"),
            "simulated": 6,
        },
        "full": {
            "device": "cuda",
            "texts": 200,
            "tokens": 2048,
            "perplexity_texts": 50,
            "models": tuple(f"EleutherAI/pythia-{size}" for size in PYTHIA),
            "revisions": tuple(f"step{step}" for step in (0, *range(1000, 143_001, 4000), 143_000)),
        },
    },
    claims=[
        Claim(
            "learned",
            "Massive activations are learned: before training the ratio is that of Gaussian "
            "numbers, and at the end the largest layer's is more than twice that",
            reported="absent at step 0; final ratios 83 (Pythia-14M) to 3200 (Pythia-12B)",
            source="figure 3",
            test=All(
                Within("initial_ratio_over_null", 0.7, 1.3), Greater("final_ratio_over_null", 2)
            ),
        ),
        Claim(
            "in-a-language-model",
            "In a trained language model the largest activation is more than 1000 times the median, "
            "and above 100",
            reported="final ratios 2350 (Pythia-1.4B) and 3200 (Pythia-12B)",
            source="figure 3",
            test=All(Greater("language_model_ratio", 1000), Greater("language_model_largest", 100)),
        ),
        Claim(
            "needed",
            "Setting that one scalar to zero destroys the model, setting it to its mean over other "
            "texts does not, and neither does zeroing a scalar of median size",
            reported="zeroed, LLaMA2-7B's perplexity explodes; set to their means it is unchanged "
            "(Sun et al. 2024, on which the paper builds)",
            source="Sun et al., table 3",
            test=All(
                Greater("loss_zero", "loss_none", by=1),
                Equals("loss_mean", "loss_none", tolerance=0.02),
                Equals("loss_control", "loss_none", tolerance=0.02),
            ),
        ),
        Claim(
            "few-texts-suffice",
            "The ratio varies little with the text: coefficient of variation at most 7 %, so ten "
            "texts give it to 2.2 %",
            reported="CV 4.2 to 7.0 %, SEM 1.3 to 2.2 % (Pythia, 10 sequences of 2048 tokens)",
            source="table 2",
            test=All(Within("input_cv", 0, 7.0), Within("input_sem", 0, 2.2)),
        ),
        Claim(
            "curve-fits",
            "The exponentially modulated logarithm describes a layer's ratio over training with R² "
            "above 0.95",
            reported="mean R² 0.984 over 188 layers of 9 Pythia models",
            source="table 1",
            test=Greater("emergence_r2", 0.95),
        ),
        Claim(
            "better-than-steps",
            "It fits better than the step responses of first and second order, by R² and by AIC",
            reported="mean R² -0.68 to 0.80 (first order) and 0.63 to 0.98 (second order)",
            source="table 5",
            test=All(
                Greater("emergence_r2", "first_order_r2"),
                Greater("emergence_r2", "second_order_r2"),
                Less("emergence_aic", "first_order_aic"),
                Less("emergence_aic", "second_order_aic"),
            ),
        ),
        Claim(
            "two-classes-by-depth",
            "First and last layers peak early more often than the layers between them, in models of "
            "four layers or more",
            reported="layers 1-3 and 16 of Pythia-1B peak early, 4-15 rise; stark from 410M on",
            source="figures 4 and 5b",
            test=Greater("early_peak_share_ends", "early_peak_share_middle"),
        ),
        Claim(
            "middle-layers-largest",
            "Layers in the middle reach larger ratios than the first and the last",
            reported="qualitative",
            source="figure 5a",
            test=Greater("peak_ratio_middle", "peak_ratio_ends"),
        ),
        Claim(
            "peaks-are-early",
            "Layers that peak in training do so within its first 42 %",
            reported="within 60,000 of 143,000 steps",
            source="page 8",
            test=Less("peak_time", 0.42),
        ),
        Claim(
            "predicted-on-layers",
            "From the architecture K and lambda of layers held out at random are predicted with R² "
            "above 0.5",
            reported="R² 0.847 (K) and 0.664 (lambda) on a random fifth of the layers",
            source="table 3",
            test=All(Greater("random_split_r2_K", 0.5), Greater("random_split_r2_lam", 0.5)),
        ),
        Claim(
            "predicted-before-training",
            "For an architecture that was never seen, K and lambda are predicted better than by the "
            "mean of the others",
            reported="prediction of the dynamics from architecture alone, before training (scored on "
            "layers of models that were seen)",
            source="abstract",
            test=All(
                Less("left_out_error_K", "left_out_baseline_K"),
                Less("left_out_error_lam", "left_out_baseline_lam"),
            ),
        ),
        Claim(
            "fewer-heads-larger",
            "At equal depth and width, fewer heads end in larger ratios",
            reported="lower H/d goes with larger K (SHAP)",
            source="figure 9",
            test=Greater("final_ratio_few_heads", "final_ratio_many_heads"),
        ),
        Claim(
            "depth-raises-decay",
            "The decay lambda increases with layer times depth",
            reported="layer * L raises lambda (SHAP)",
            source="figure 10",
            test=Greater("decay_depth_correlation", 0),
        ),
        Claim(
            "grows-with-size",
            "The largest Pythia model ends in larger ratios than the smallest",
            reported="83 at 14M, 3200 at 12B, with a plateau between 1B and 6B",
            source="figure 2",
            test=Greater("final_ratio_largest", "final_ratio_smallest"),
            needs="full",
        ),
    ],
    scale=lambda config: (
        f"{config.model} ({config.texts} texts of {config.tokens} tokens) and "
        + (
            f"{len(config.models) + bool(config.checkpoints)} trainings tracked from checkpoints"
            if config.models or config.checkpoints
            else f"{config.seeds} + {_architectures(config)} small decoders trained here"
        )
    ),
    minutes={"smoke": 0.4, "laptop": 7.5},
    requires=("smollm2-135m-instruct",),
    data="Bigram-backcopy sequences (Guo et al. 2024) drawn from a bigram table counted in the "
    "source of the Python standard library; texts are the standard library's help topics (PSF "
    "licence). SmolLM2-135M-Instruct: Apache-2.0. Pythia (full preset): Apache-2.0.",
    example="""
    from axonal.language.models import load
    from axonal.learning.massive import aggregate, fit_emergence, intervene, layer_statistics

    model = load("smollm2-135m-instruct")
    ids = model.tokenizer("Summer is warm. Winter is cold.", return_tensors="pt").input_ids
    print(aggregate(layer_statistics(model.model, ids))[["layer", "ratio", "null", "channel"]])
    with intervene(model.model, layer=12, where=[(0, 507)], value="zero"):
        model.model(ids)
    steps, ratios = [0, 1, 2, 4, 8, 16, 32, 64], [6, 7, 8, 11, 15, 20, 24, 27]
    print(fit_emergence(steps, ratios).summary()["regime"])
    """,
    untested=("full",),
)


@study.run
def run(config: Config, session: Session) -> None:
    """Measure; the lab judges."""
    from axonal.studies.massive_activation_dynamics import (
        curves,
        figures,
        static,
        summary,
        tracked,
        trained,
        validation,
    )
    from axonal.studies.massive_activation_dynamics.config import (
        architecture_recipes,
        main_recipes,
    )

    read = session.stage("language_model", lambda: static.read_model(config, session))
    runs = {}
    for given in [*main_recipes(config), *architecture_recipes(config)]:
        recipe = trained.Recipe(**given)  # pyright: ignore[reportArgumentType]
        runs[recipe.name] = session.stage(
            recipe.name, lambda recipe=recipe: trained.grow(recipe, session)
        )
    followed = {
        name: session.stage(
            f"tracked_{name}", lambda n=name, c=found: tracked.follow(n, c, config, session)
        )
        for name, found in tracked.sources(config).items()
    }
    fits = session.stage("fits", lambda: curves.fit_all({**runs, **followed}))
    judged = summary.judged(fits, runs, followed)
    predicted = session.stage("predictor", lambda: curves.predict_all(judged, config, session))
    simulated = session.stage("simulated", lambda: validation.simulate(config.simulated, session))
    summary.record(session, config, read, runs, followed, fits, predicted, simulated)
    figures.draw(session, read, {**runs, **followed}, fits, predicted)
    summary.notes(session, config, read, fits)


def _architectures(config: Config) -> int:
    from axonal.studies.massive_activation_dynamics.config import architecture_recipes

    return len(architecture_recipes(config))
