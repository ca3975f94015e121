"""The study's settings: what is simulated, at how many points, with how many records."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, PositiveFloat, field_validator

from axonal.lab import StudyConfig

Grid = tuple[PositiveFloat, ...]


class Config(StudyConfig):
    """Lengths in µm, times in s, concentrations in 1/µm²; alpha is r/r' and chi is c0/c_t."""

    binding: PositiveFloat = Field(0.01, description="on-rate constant k of both ligands (µm²/s)")
    unbinding: PositiveFloat = Field(1.0, description="off-rate r of the correct ligand (1/s)")
    correct: PositiveFloat = Field(100.0, description="concentration c0 of correct ligand (1/µm²)")
    edge: PositiveFloat = Field(1.0, description="width omega of a contact's edge (µm)")
    perimeter: PositiveFloat = Field(100.0, description="length of the cell's perimeter (µm)")
    spacing: PositiveFloat = Field(0.01, description="distance between receptors (µm)")
    stop: Literal["exceed", "censor"] = Field(
        "exceed",
        description="how a simulated record ends: 'exceed' as in the paper, with the last pair kept "
        "whole, or 'censor' exactly at T",
    )
    batches: int = Field(10, ge=2, description="independent repeats of every simulated quantity")
    trials: int = Field(28, ge=2, description="records in each batch where errors are measured")
    decisions: int = Field(
        14, ge=2, description="records with a contact, and as many without, in each batch"
    )
    alphas: Grid = Field(
        (0.15, 0.35, 0.65, 0.95), description="alpha where errors are simulated, ascending"
    )
    fractions: Grid = Field((0.1, 0.5), description="chi where errors are simulated, ascending")
    curves: Grid = Field(
        (0.5, 1.0), description="alpha of the curves along width and time; 0.5 and 1 among them"
    )
    widths: Grid = Field(
        (1.0, 3.0, 10.0, 30.0), description="half-widths where errors are simulated, ascending"
    )
    gaussian_widths: Grid = Field(
        (2.0, 5.0, 15.0), description="widths of Gaussian contacts, ascending"
    )
    detection_widths: Grid = Field(
        (1.0, 3.58, 8.74, 24.21, 42.26, 47.42, 50.0),
        description="half-widths where contacts are detected, ascending",
    )
    times: Grid = Field(
        (0.1, 0.398, 2.51, 25.1),
        description="measuring times of the variance, ascending",
    )
    detection_times: Grid = Field(
        (0.1, 0.464, 1.29), description="measuring times of the detection, ascending"
    )
    rare_alphas: Grid = Field(
        (0.25, 0.35, 0.45, 1.0), description="alpha of the detection at chi = 0.01"
    )
    map_alphas: Grid = Field(
        (0.2342, 0.4384, 0.6426, 1.0), description="alpha of the false-negative map"
    )
    map_fractions: Grid = Field(
        (0.01, 0.0611, 0.1121, 0.2142), description="chi of the false-negative map"
    )
    threshold: PositiveFloat = Field(7.0, description="threshold lambda_c of the likelihood ratio")

    @field_validator("curves")
    @classmethod
    def _has_both_ends(cls, curves: Grid) -> Grid:
        if not {0.5, 1.0} <= set(curves):
            raise ValueError("0.5 and 1 among them, of which the claims speak")
        return curves

    @field_validator("widths", "detection_widths", "gaussian_widths", "alphas", "times")
    @classmethod
    def _ascends(cls, values: Grid) -> Grid:
        if len(values) < 2 or any(b <= a for a, b in pairwise(values)):
            raise ValueError("two values or more that ascend")
        return values


FULL = {
    "batches": 20,
    "trials": 500,
    "decisions": 5000,
    "fractions": (0.1, 0.2, 0.5),
    "curves": (0.5, 0.8, 1.0),
    "alphas": tuple(round(0.05 + 0.1 * i, 2) for i in range(10)),
    "widths": tuple(float(i) for i in range(1, 31)),
    "gaussian_widths": tuple(float(i) for i in range(1, 16)),
    "detection_widths": tuple(round(1 + 49 / 19 * i, 4) for i in range(20)),
    "times": tuple(round(10 ** (-1 + 0.2 * i), 4) for i in range(16)),
    "detection_times": tuple(round(10 ** (-1 + 2 / 9 * i), 4) for i in range(6)),
    "rare_alphas": tuple(round(0.05 * i, 2) for i in range(1, 21)),
    "map_alphas": tuple(round(0.03 + 0.97 / 39 * i, 5) for i in range(40)),
    "map_fractions": tuple(round(0.01 + 0.97 / 39 * i, 5) for i in range(40)),
}
SMOKE = {
    "spacing": 0.1,
    "batches": 2,
    "trials": 3,
    "decisions": 3,
    "alphas": (0.25, 0.95),
    "fractions": (0.1, 0.5),
    "widths": (3.0, 30.0),
    "gaussian_widths": (5.0, 15.0),
    "detection_widths": (1.0, 24.21, 50.0),
    "times": (0.1, 10.0),
    "detection_times": (0.1, 1.29),
    "rare_alphas": (0.25, 1.0),
    "map_alphas": (0.2342, 1.0),
    "map_fractions": (0.01, 0.3163),
}
