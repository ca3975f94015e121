"""Endogenous steering resistance: does a model notice that it is steered, and turn back?"""

from axonal.language.resistance.attempts import AttemptRule
from axonal.language.resistance.calibration import (
    Bisection,
    Bracket,
    Threshold,
    calibrate,
    calibrate_together,
)
from axonal.language.resistance.controls import matched_random_latents
from axonal.language.resistance.detectors import (
    Contrast,
    Detectors,
    activity,
    contrast,
    derangement,
    find_detectors,
)
from axonal.language.resistance.endpoint import EndpointJudge
from axonal.language.resistance.judges import Attempt, Judgement, Response, judge_each
from axonal.language.resistance.local import LocalJudge
from axonal.language.resistance.report import Rates, mcnemar, rates, resistance_report
from axonal.language.resistance.sampling import Sampling, conversation, sample
from axonal.language.resistance.selection import concrete_latents, irrelevant_latents
from axonal.language.resistance.similarity import SentenceEncoder
from axonal.language.resistance.steering import (
    Boosts,
    Condition,
    ablate,
    scale_latents,
    steering_edits,
    steering_site,
)
from axonal.language.resistance.thresholds import boost_levels, calibrate_boosts
from axonal.language.resistance.time_course import compare_samples, time_course
from axonal.language.resistance.trials import (
    Plan,
    Trial,
    plan_trials,
    read_trials,
    rejudge,
    replay,
    run_trials,
)

__all__ = [
    "Attempt",
    "AttemptRule",
    "Bisection",
    "Boosts",
    "Bracket",
    "Condition",
    "Contrast",
    "Detectors",
    "EndpointJudge",
    "Judgement",
    "LocalJudge",
    "Plan",
    "Rates",
    "Response",
    "Sampling",
    "SentenceEncoder",
    "Threshold",
    "Trial",
    "ablate",
    "activity",
    "boost_levels",
    "calibrate",
    "calibrate_boosts",
    "calibrate_together",
    "compare_samples",
    "concrete_latents",
    "contrast",
    "conversation",
    "derangement",
    "find_detectors",
    "irrelevant_latents",
    "judge_each",
    "matched_random_latents",
    "mcnemar",
    "plan_trials",
    "rates",
    "read_trials",
    "rejudge",
    "replay",
    "resistance_report",
    "run_trials",
    "sample",
    "scale_latents",
    "steering_edits",
    "steering_site",
    "time_course",
]
