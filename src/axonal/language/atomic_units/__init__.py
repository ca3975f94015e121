"""Atomic-unit steering: rank single units by the sign of their change, and scale the best few.

Feng et al., "Fine-Grained Activation Steering: Steering Less, Achieving More", arXiv 2602.04428.
"""

from axonal.language.atomic_units.choices import Choices, accuracy, logit_gaps
from axonal.language.atomic_units.effects import gain_effects, single_unit_sweep
from axonal.language.atomic_units.first_token import first_token_movement
from axonal.language.atomic_units.folding import fold_into_weights
from axonal.language.atomic_units.kept import KeptRun
from axonal.language.atomic_units.momentum import Momentum, measure, measure_sites
from axonal.language.atomic_units.null import expected_best_score, expected_score, score_law
from axonal.language.atomic_units.pairs import (
    ContrastivePairs,
    multiple_choice,
    nearest_answers,
    preference,
)
from axonal.language.atomic_units.questions import Questions, Task, task
from axonal.language.atomic_units.ranking import norm_growth, select
from axonal.language.atomic_units.sites import UNIT_SITES, UnitSite, unit_site
from axonal.language.atomic_units.token_law import TokenLaws, token_laws
from axonal.language.atomic_units.tuning import best, sweep
from axonal.language.atomic_units.units import Units

__all__ = [
    "UNIT_SITES",
    "Choices",
    "ContrastivePairs",
    "KeptRun",
    "Momentum",
    "Questions",
    "Task",
    "TokenLaws",
    "UnitSite",
    "Units",
    "accuracy",
    "best",
    "expected_best_score",
    "expected_score",
    "first_token_movement",
    "fold_into_weights",
    "gain_effects",
    "logit_gaps",
    "measure",
    "measure_sites",
    "multiple_choice",
    "nearest_answers",
    "norm_growth",
    "preference",
    "score_law",
    "select",
    "single_unit_sweep",
    "sweep",
    "task",
    "token_laws",
    "unit_site",
]
