"""Relevance patching, the patching methods that it stands beside, and what they are judged by."""

from axonal.language.relevance.accuracy import accuracy
from axonal.language.relevance.circuits import Circuit, MeanAblation, top_circuit, unit_scores
from axonal.language.relevance.conservation import (
    check_conservation,
    conservation_error,
    relevance,
)
from axonal.language.relevance.edges import edge_patching
from axonal.language.relevance.features import feature_patching, load_dictionary
from axonal.language.relevance.gradients import input_integrated_gradients, integrated_gradients
from axonal.language.relevance.metric import LogitDifference, LogitFunction
from axonal.language.relevance.patching import (
    activation_patching,
    attribution_patching,
    relevance_patching,
)
from axonal.language.relevance.rules import PRESETS, Rules, propagation_rules
from axonal.language.relevance.scores import compare, tidy

__all__ = [
    "PRESETS",
    "Circuit",
    "LogitDifference",
    "LogitFunction",
    "MeanAblation",
    "Rules",
    "accuracy",
    "activation_patching",
    "attribution_patching",
    "check_conservation",
    "compare",
    "conservation_error",
    "edge_patching",
    "feature_patching",
    "input_integrated_gradients",
    "integrated_gradients",
    "load_dictionary",
    "propagation_rules",
    "relevance",
    "relevance_patching",
    "tidy",
    "top_circuit",
    "unit_scores",
]
