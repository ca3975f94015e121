"""Massive activations: measure them, follow them through training, fit and forecast, intervene."""

from axonal.learning.massive.blocks import block_sites, with_first_token
from axonal.learning.massive.causal import causal_check, intervene, next_token_loss, values_at
from axonal.learning.massive.checkpoints import (
    Checkpoint,
    checkpoints_in,
    checkpoints_of,
    checkpoints_on_hub,
    load_decoder,
)
from axonal.learning.massive.curve import EmergenceCurve, LinearisedCurve, stationary_x
from axonal.learning.massive.emergence import EmergenceFit
from axonal.learning.massive.fitting import fit_emergence
from axonal.learning.massive.gaussian import null_ratio
from axonal.learning.massive.layers import is_massive, layer_statistics
from axonal.learning.massive.monitor import Monitor
from axonal.learning.massive.regimes import REGIMES
from axonal.learning.massive.rivals import RIVALS, RivalFit, compare_models, fit_rival
from axonal.learning.massive.series import aggregate, fit_layers, layer_series
from axonal.learning.massive.sinks import sink_rate, sink_statistics
from axonal.learning.massive.tracking import track

__all__ = [
    "REGIMES",
    "RIVALS",
    "Checkpoint",
    "EmergenceCurve",
    "EmergenceFit",
    "LinearisedCurve",
    "Monitor",
    "RivalFit",
    "aggregate",
    "block_sites",
    "causal_check",
    "checkpoints_in",
    "checkpoints_of",
    "checkpoints_on_hub",
    "compare_models",
    "fit_emergence",
    "fit_layers",
    "fit_rival",
    "intervene",
    "is_massive",
    "layer_series",
    "layer_statistics",
    "load_decoder",
    "next_token_loss",
    "null_ratio",
    "sink_rate",
    "sink_statistics",
    "stationary_x",
    "track",
    "values_at",
    "with_first_token",
]
