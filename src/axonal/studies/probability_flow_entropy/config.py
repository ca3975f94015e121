"""What the probability-flow study can be asked: sizes and lengths of its four parts."""

from __future__ import annotations

from typing import Any

from pydantic import Field, PositiveFloat, PositiveInt

from axonal.lab import StudyConfig


class Config(StudyConfig):
    """Lengths in particle radii, times in the models' own unit."""

    seeds: int = Field(3, ge=2, description="independent samples and trainings of parts A and B")
    # A: harmonic swimmers
    chain_samples: PositiveInt = Field(100_000, description="states of each harmonic chain")
    chain_steps: PositiveInt = Field(
        800, description="training steps of a linear score of a chain; an MLP takes half of them"
    )
    chain_noises: tuple[PositiveFloat, ...] = Field(
        (0.05, 0.1, 0.2, 0.4), description="noises of the denoising loss, ascending"
    )
    # B: the ring of two swimmers
    ring_cells: tuple[PositiveInt, PositiveInt] = Field(
        (480, 200), description="grid of the exact density over x and g"
    )
    ring_trajectories: PositiveInt = Field(3000, description="simulated trajectories of the ring")
    ring_snapshots: PositiveInt = Field(20, description="states kept of each")
    ring_steps: PositiveInt = Field(350, description="training steps of a score of the ring")
    ring_batch: PositiveInt = Field(512, description="states in a training step")
    ring_width: PositiveInt = Field(48, description="width of the network's three hidden layers")
    ring_rate: PositiveFloat = Field(4e-3, description="learning rate")
    # C: particles in a trap
    trap_particles: int = Field(64, ge=2, description="particles in the trap")
    trap_speeds: tuple[PositiveFloat, ...] = Field(
        (0.1, 0.2, 0.3), min_length=2, description="v0, ascending"
    )
    trap_trajectories: PositiveInt = Field(16, description="simulated trajectories at each speed")
    trap_snapshots: PositiveInt = Field(20, description="states kept of each")
    trap_held_out: PositiveInt = Field(80, description="states on which scores are measured")
    trap_seeds: int = Field(3, ge=2, description="trainings at each speed")
    trap_steps: PositiveInt = Field(300, description="training steps")
    trap_batch: PositiveInt = Field(8, description="states in a training step")
    trap_width: PositiveInt = Field(32, description="width of the transformer")
    trap_blocks: PositiveInt = Field(1, description="its blocks")
    trap_rate: PositiveFloat = Field(8e-3, description="learning rate")
    # D: phase separation
    mips_particles: int = Field(1024, ge=60, description="N that is trained on")
    mips_trajectories: int = Field(3, ge=2, description="trajectories; the last is held out")
    mips_snapshots: PositiveInt = Field(20, description="states kept of each")
    mips_burn_in: PositiveFloat = Field(6.0, description="burn-in, in persistence times")
    mips_held_out: PositiveInt = Field(8, description="states on which regions are measured")
    mips_steps: PositiveInt = Field(800, description="training steps")
    mips_batch: PositiveInt = Field(256, description="particles in a training step")
    mips_width: PositiveInt = Field(32, description="width of the networks")
    mips_blocks: PositiveInt = Field(1, description="blocks of the transformers")
    mips_rate: PositiveFloat = Field(4e-3, description="learning rate")
    mips_neighbours: PositiveInt = Field(8, description="neighbours that a particle sees")
    mips_packings: tuple[PositiveFloat, ...] = Field(
        (0.25, 0.75), description="packings that the network is carried to"
    )
    mips_apart: PositiveFloat = Field(
        0.5, description="persistence times for which the copies of a larger box are run"
    )
    mips_copies: tuple[PositiveInt, ...] = Field(
        (1, 2, 4), description="sides, in copies of the box, for which the score is timed"
    )


SMOKE: dict[str, Any] = {
    "seeds": 2,
    "chain_samples": 500,
    "chain_steps": 4,
    "chain_noises": (0.1, 0.4),
    "ring_cells": (40, 30),
    "ring_trajectories": 50,
    "ring_snapshots": 2,
    "ring_steps": 4,
    "ring_batch": 64,
    "ring_width": 16,
    "trap_particles": 8,
    "trap_speeds": (0.1, 0.3),
    "trap_trajectories": 4,
    "trap_snapshots": 3,
    "trap_held_out": 4,
    "trap_steps": 4,
    "trap_batch": 4,
    "trap_width": 8,
    "mips_particles": 64,
    "mips_trajectories": 2,
    "mips_snapshots": 3,
    "mips_burn_in": 0.5,
    "mips_held_out": 2,
    "mips_steps": 4,
    "mips_batch": 32,
    "mips_width": 8,
    "mips_apart": 0.05,
    "mips_copies": (1, 2),
}

# The paper's ring: 10^6 states, 200,000 steps of batches of 4096, four layers of 256.
FULL: dict[str, Any] = {
    "ring_trajectories": 10_000,
    "ring_snapshots": 100,
    "ring_steps": 200_000,
    "ring_batch": 4096,
    "ring_width": 256,
    "ring_rate": 1e-6,
    "trap_speeds": (0.1, 0.2, 0.3, 0.4, 0.5),
    "trap_trajectories": 512,
    "trap_snapshots": 100,
    "trap_steps": 250_000,
    "trap_batch": 64,
    "trap_width": 256,
    "trap_blocks": 4,
    "trap_rate": 1e-4,
    "mips_particles": 4096,
    "mips_trajectories": 65,
    "mips_snapshots": 200,
    "mips_burn_in": 20.0,
    "mips_steps": 500_000,
    "mips_batch": 1024,
    "mips_width": 256,
    "mips_blocks": 4,
    "mips_rate": 1e-6,
    "mips_neighbours": 64,
}
