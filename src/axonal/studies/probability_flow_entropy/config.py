"""What the probability-flow study can be asked: sizes and lengths of its four parts."""

from __future__ import annotations

from typing import Any

from pydantic import Field, PositiveFloat, PositiveInt

from axonal.lab import StudyConfig


class Config(StudyConfig):
    """Lengths in particle radii, times in the models' own unit."""

    seeds: int = Field(3, ge=2, description="independent samples and trainings of parts A and B")
    # A: harmonic swimmers
    chain_samples: PositiveInt = Field(20_000, description="states of each harmonic chain")
    chain_steps: PositiveInt = Field(400, description="training steps of a score of a chain")
    chain_noises: tuple[PositiveFloat, ...] = Field(
        (0.05, 0.1, 0.2, 0.4), description="noises of the denoising loss, ascending"
    )
    # B: the ring of two swimmers
    ring_cells: tuple[PositiveInt, PositiveInt] = Field(
        (480, 200), description="grid of the exact density over x and g"
    )
    ring_trajectories: PositiveInt = Field(2000, description="simulated trajectories of the ring")
    ring_snapshots: PositiveInt = Field(20, description="states kept of each")
    ring_steps: PositiveInt = Field(700, description="training steps of a score of the ring")
    ring_batch: PositiveInt = Field(512, description="states in a training step")
    ring_width: PositiveInt = Field(64, description="width of the network's three hidden layers")


SMOKE: dict[str, Any] = {
    "seeds": 2,
    "chain_samples": 500,
    "chain_steps": 10,
    "chain_noises": (0.1, 0.4),
    "ring_cells": (60, 40),
    "ring_trajectories": 50,
    "ring_snapshots": 2,
    "ring_steps": 10,
    "ring_batch": 64,
    "ring_width": 16,
}

# The paper's ring: 10^6 states, 200,000 steps of batches of 4096, four layers of 256.
FULL: dict[str, Any] = {
    "ring_trajectories": 10_000,
    "ring_snapshots": 100,
    "ring_steps": 200_000,
    "ring_batch": 4096,
    "ring_width": 256,
}
