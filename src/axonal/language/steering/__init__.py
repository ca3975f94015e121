"""Steer a language model: from two sets of prompts to a map of activations, and what it does."""

from axonal.language.steering.auditing import Audit, audit
from axonal.language.steering.collecting import collect
from axonal.language.steering.control_vector import export_control_vector
from axonal.language.steering.damage import Damage, NeutralTexts, damage, neutral_texts
from axonal.language.steering.evaluation import Effect, Evaluation
from axonal.language.steering.fitting import fit
from axonal.language.steering.generation import generate, token_variety
from axonal.language.steering.hardening import (
    AdversarialBatch,
    Drift,
    DriftMonitor,
    adversarial_batch,
    drift_monitor,
)
from axonal.language.steering.prompts import Prompts, read_prompts
from axonal.language.steering.readouts import LogitGap, Rate, Readout
from axonal.language.steering.reporting import draw_front, points, write_report
from axonal.language.steering.searching import Search, search
from axonal.language.steering.steering_map import SteeringMap
from axonal.language.steering.sweeping import default_layers, sweep

__all__ = [
    "AdversarialBatch",
    "Audit",
    "Damage",
    "Drift",
    "DriftMonitor",
    "Effect",
    "Evaluation",
    "LogitGap",
    "NeutralTexts",
    "Prompts",
    "Rate",
    "Readout",
    "Search",
    "SteeringMap",
    "adversarial_batch",
    "audit",
    "collect",
    "damage",
    "default_layers",
    "draw_front",
    "drift_monitor",
    "export_control_vector",
    "fit",
    "generate",
    "neutral_texts",
    "points",
    "read_prompts",
    "search",
    "sweep",
    "token_variety",
    "write_report",
]
