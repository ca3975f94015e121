"""Endogenous steering resistance: do models notice that they are steered, and turn back?

McKenzie, Pepper, Servaes, Leitgab, Cubuktepe, Vaiana, de Lucena, Rosenblatt, Graziano, "Endogenous
Resistance to Activation Steering in Language Models", arXiv 2602.06941. Three scales: bisection of
known functions, a toy organism whose ground truth is known, and SmolLM2-135M-Instruct.
"""

from __future__ import annotations

from datetime import date
from functools import partial

from axonal.lab import (
    All,
    Claim,
    Equals,
    Greater,
    InteriorMaximum,
    Less,
    Paper,
    Session,
    Study,
    Within,
)
from axonal.studies.endogenous_steering_resistance.config import FULL, SMOKE, Config

study = Study(
    slug="endogenous-steering-resistance",
    paper=Paper(
        title="Endogenous Resistance to Activation Steering in Language Models",
        arxiv="2602.06941",
        published=date(2026, 2, 6),
        authors=(
            "Alex McKenzie",
            "Keenan Pepper",
            "Stijn Servaes",
            "Martin Leitgab",
            "Murat Cubuktepe",
            "Mike Vaiana",
            "Diogo de Lucena",
            "Judd Rosenblatt",
            "Michael S. A. Graziano",
        ),
        code="https://github.com/agencyenterprise/endogenous-steering-resistance",
    ),
    area="language",
    config=Config,
    presets={"smoke": SMOKE, "full": FULL},
    claims=[
        Claim(
            "calibration",
            "Bisection finds boosts at which first attempts score 30 of 100, to within 10, in the "
            "organism and in the model",
            reported="target 30; first attempts score 26.3 (Llama-3.3-70B)",
            source="section 3, appendix A.2; figure 5",
            test=All(Within("toy_first_score", 20, 40), Within("model_first_score", 20, 40)),
        ),
        Claim(
            "small-models-rarely",
            "Fewer than 1.2 % of the steered answers of a small model start over (one-sided 95 % "
            "bound)",
            reported="at most 1.2 % in models of 2B to 27B (n = 4,512 to 4,948)",
            source="figure 2",
            test=Within("model_multi_upper", 0, 0.012),
        ),
        Claim(
            "untaught-rarely",
            "An organism that was never taught to come back starts over in fewer than 1 % of its "
            "steered answers",
            reported="at most 1.2 % in Llama-3.1-8B before fine-tuning",
            source="figures 2 and 6",
            test=Within("toy_multi_untaught", 0, 0.01),
        ),
        Claim(
            "induced-by-steering",
            "Starting over is induced by steering: without it fewer than 1 % of the answers do, and "
            "fewer than with it",
            reported="0 % of 7,892 unsteered answers",
            source="appendix A.3.1",
            test=All(
                Within("toy_multi_unsteered", 0, 0.01),
                Less("toy_multi_unsteered", "toy_multi_steered"),
            ),
        ),
        Claim(
            "non-monotonic",
            "The rate of starting over rises and falls again as the boost grows",
            reported="highest, 2.7 %, at 0.3 deviations below the mean threshold",
            source="figure 3",
            test=InteriorMaximum("toy_multi_by_boost"),
        ),
        Claim(
            "detector-ablation",
            "Ablating off-topic detectors lowers both the multi-attempt rate and the resistance rate",
            reported="7.4 to 5.5 % and 3.8 to 2.8 % (z = 3.83 and 2.72)",
            source="figure 5",
            test=All(
                Less("toy_multi_ablated", "toy_multi_steered"),
                Less("toy_resistance_ablated", "toy_resistance_steered"),
            ),
        ),
        Claim(
            "random-ablation",
            "Ablating as many random latents, matched in frequency and magnitude, lowers the "
            "multi-attempt rate by less than a tenth, and less than ablating detectors",
            reported="7.9 % against 7.4 % (n = 14,450)",
            source="figure 19",
            test=All(
                Greater("toy_multi_random_over_steered", 0.9),
                Greater("toy_multi_random", "toy_multi_ablated"),
            ),
        ),
        Claim(
            "training-attempts",
            "Teaching with more corrections makes more attempts and no better ones: the improvement "
            "rate changes by less than 10 points from the smallest share to the largest",
            reported="multi-attempt rate rises with the share, improvement rate stays flat",
            source="figure 6",
            test=All(
                Greater("toy_multi_most_taught", "toy_multi_least_taught"),
                Within("toy_improvement_change", -0.1, 0.1),
            ),
        ),
        Claim(
            "detectors-track-drift",
            "Off-topic detectors are more active while an answer is off topic than in answers that "
            "never were, and less again once it is back, above the baseline still",
            reported="0.0119 off topic, 0.0058 after, 0.0027 baseline",
            source="appendix A.4",
            test=All(
                Greater("toy_detectors_off_topic", "toy_detectors_baseline"),
                Greater("toy_detectors_off_topic", "toy_detectors_after"),
                Greater("toy_detectors_after", "toy_detectors_baseline"),
            ),
        ),
        Claim(
            "large-model-resists",
            "A large model starts over in more than 5 % of its steered answers, and improves in more "
            "than 2 %",
            reported="7.4 % and 3.8 % (Llama-3.3-70B, n = 4,877)",
            source="figure 2",
            test=All(Greater("model_multi", 0.05), Greater("model_resistance", 0.02)),
            needs="full",
        ),
        Claim(
            "model-detector-ablation",
            "In a large model, too, ablating off-topic detectors lowers the multi-attempt rate, and "
            "ablating random latents does not",
            reported="7.4 to 5.5 %; 7.9 % for random latents",
            source="figures 5 and 19",
            test=All(
                Less("model_multi_ablated", "model_multi_compared"),
                Greater("model_multi_random", "model_multi_ablated"),
            ),
            needs="full",
        ),
        Claim(
            "meta-prompt",
            "Asking a model to stop when it goes off topic at least doubles the multi-attempt rate",
            reported="7.4 to 31.7 % (Llama-3.3-70B)",
            source="figure 4",
            test=Greater("model_multi_asked_over_steered", 2),
            needs="full",
        ),
        Claim(
            "judges-agree",
            "Judges agree on whether an answer starts over",
            reported="90 to 96 % of 1,000 answers, five judges",
            source="appendix A.2.2",
            test=Equals("judge_agreement", 0.95, tolerance=0.05),
            needs="full",
        ),
    ],
    scale=lambda config: (
        f"{config.seeds} toy organisms with {config.steered_latents} latents x {config.toy_trials} "
        f"trials, and {config.model} with {config.model_latents} x {config.model_trials} trials"
    ),
    minutes={"smoke": 0.2, "laptop": 9},
    requires=("smollm2-135m-instruct", "smollm2-135m-sae-18", "minilm-l6-v2"),
    data="The toy language is simulated: questions name a topic, answers are words of it, and a share "
    "of the training answers drifts and comes back. The model's questions were written for this "
    "library; its dictionary is trained here on its own answers and on Python's reference. "
    "SmolLM2-135M-Instruct and all-MiniLM-L6-v2: Apache-2.0.",
    example="""
    from axonal.language.dictionaries import load_dictionary
    from axonal.language.models import load
    from axonal.language.resistance import (
        AttemptRule, Response, Sampling, judge_each, plan_trials, resistance_report, run_trials,
    )
    from axonal import assets

    model, sae = load("smollm2-135m-instruct"), load_dictionary(assets.path("smollm2-135m-sae-18"))
    rule = AttemptRule()
    judge = judge_each(lambda response: [(text, 50) for text in rule.split(response.text)])
    plans = plan_trials([421], ["How do I cook rice?"], boosts=40.0, per_latent=2)
    trials = run_trials(model, sae, plans, judge=judge, sampling=Sampling(24), out="trials.jsonl")
    print(resistance_report({"steered": trials}).T)
    """,
    untested=("full",),
)


@study.run
def run(config: Config, session: Session) -> None:
    """Measure; the lab judges."""
    from axonal.studies.endogenous_steering_resistance import figures, known, real, summary, toy

    roots = session.stage("bisection", lambda: known.measure(session.seed_for("bisection")))
    toys = session.stages(
        {
            f"toy_{number}": partial(toy.measure, config, session.seed_for(f"toy {number}"))
            for number in range(config.seeds)
        }
    )
    model = session.stage("model", lambda: real.measure(config, session))
    summary.record(session, roots, toys, model)
    summary.notes(session, config, toys, model)
    figures.draw(session, roots, toys, model)
