"""Relevance patching, the patching methods that it stands beside, and what they are judged by."""

from axonal.language.relevance.accuracy import accuracy
from axonal.language.relevance.conservation import (
    check_conservation,
    conservation_error,
    relevance,
)
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
    "LogitDifference",
    "LogitFunction",
    "Rules",
    "accuracy",
    "activation_patching",
    "attribution_patching",
    "check_conservation",
    "compare",
    "conservation_error",
    "input_integrated_gradients",
    "integrated_gradients",
    "propagation_rules",
    "relevance",
    "relevance_patching",
    "tidy",
]
