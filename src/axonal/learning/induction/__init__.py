"""How an induction head forms: activations clamped all through training (Singh et al. 2024)."""

from axonal.learning.induction.ablation import (
    ablate,
    ablate_one,
    ablation,
    keep_one,
    keep_strongest,
    perfect_match,
    wiring,
)
from axonal.learning.induction.clamping import Clamped, Seen
from axonal.learning.induction.clamps import Clamp, Heads, Ideal, all_but, per_seed
from axonal.learning.induction.composition import composition_scores
from axonal.learning.induction.evaluation import (
    THRESHOLD,
    Evaluation,
    evaluate,
    induction_strength,
    learning_time,
    previous_token_score,
    progress_measure,
)
from axonal.learning.induction.features import (
    correlated_features,
    gaussian_features,
    read_features,
)
from axonal.learning.induction.glyphs import glyph_features
from axonal.learning.induction.grafting import Grafted
from axonal.learning.induction.ideals import (
    SUBCIRCUITS,
    copied_from,
    fixed_pattern,
    induction,
    matching,
    perfect_previous_tokens,
    previous_token,
    subcircuit,
)
from axonal.learning.induction.model import AttentionOnlyTransformer
from axonal.learning.induction.phase_change import PhaseChange, rank_one_phase_change
from axonal.learning.induction.replay import small_multiples
from axonal.learning.induction.task import FewShotTask
from axonal.learning.induction.training import Run, train

__all__ = [
    "SUBCIRCUITS",
    "THRESHOLD",
    "AttentionOnlyTransformer",
    "Clamp",
    "Clamped",
    "Evaluation",
    "FewShotTask",
    "Grafted",
    "Heads",
    "Ideal",
    "PhaseChange",
    "Run",
    "Seen",
    "ablate",
    "ablate_one",
    "ablation",
    "all_but",
    "composition_scores",
    "copied_from",
    "correlated_features",
    "evaluate",
    "fixed_pattern",
    "gaussian_features",
    "glyph_features",
    "induction",
    "induction_strength",
    "keep_one",
    "keep_strongest",
    "learning_time",
    "matching",
    "per_seed",
    "perfect_match",
    "perfect_previous_tokens",
    "previous_token",
    "previous_token_score",
    "progress_measure",
    "rank_one_phase_change",
    "read_features",
    "small_multiples",
    "subcircuit",
    "train",
    "wiring",
]
