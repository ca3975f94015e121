"""Steer a language model: from two sets of prompts to a map of activations, and what it does."""

from axonal.language.steering.collecting import collect
from axonal.language.steering.damage import Damage, NeutralTexts, damage, neutral_texts
from axonal.language.steering.fitting import fit
from axonal.language.steering.generation import generate
from axonal.language.steering.prompts import Prompts, read_prompts
from axonal.language.steering.readouts import LogitGap, Rate, Readout
from axonal.language.steering.steering_map import SteeringMap

__all__ = [
    "Damage",
    "LogitGap",
    "NeutralTexts",
    "Prompts",
    "Rate",
    "Readout",
    "SteeringMap",
    "collect",
    "damage",
    "fit",
    "generate",
    "neutral_texts",
    "read_prompts",
]
