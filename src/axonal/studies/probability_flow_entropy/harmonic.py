"""Part A: harmonic swimmers, where score, flow and entropy production are closed forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr

from axonal.lab import Session
from axonal.physics.active_matter import (
    FieldScore,
    harmonic_swimmers,
    irreversibility,
    pairs_of,
    production_from_pairs,
)
from axonal.studies.probability_flow_entropy import figures_exact as figures
from axonal.transport import LinearDiffusion

if TYPE_CHECKING:
    from axonal.studies.probability_flow_entropy.config import Config

#: A coordinate of a swimmer in a trap, and two joined by a spring (2.7777... k_B over time).
PARAMETERS = {"speed": 1.0, "persistence_rate": 0.7, "diffusion": 0.3, "trap": 0.5}
#: Between the states of a pair, for the estimator from pairs alone: a twentieth of the fastest time.
INTERVAL = 0.05
CHAINS = {"one": {"particles": 1}, "two": {"particles": 2, "coupling": 0.8}}


def harmonic(config: Config, session: Session) -> None:
    """Learn linear scores by both losses, an MLP, and from pairs alone; compare with closed forms."""
    cases = ["implicit", "mlp", "pairs", *(f"noise {noise:g}" for noise in config.chain_noises)]
    swept = session.sweep(
        "harmonic",
        learned_ratio,
        over={"chain": list(CHAINS), "case": cases},
        fixed={"samples": config.chain_samples, "steps": config.chain_steps},
        repeats=config.seeds,
    )
    session.data("harmonic", swept)
    for name in CHAINS:
        found = swept.ratio.sel(chain=name)
        session.measure(f"chain_{name}_production_ratio", found.sel(case="implicit").values)
        session.measure(f"chain_{name}_production_ratio_mlp", found.sel(case="mlp").values)
        session.measure(f"chain_{name}_production_ratio_pairs", found.sel(case="pairs").values)
        best = irreversibility(chain_of(name), INTERVAL) / chain_of(name).entropy_production
        session.measure(f"chain_{name}_best_of_pairs", best, exact=True)
        noisy = found.sel(case=cases[3:]).transpose("repeat", "case").values
        expected = [smoothed_ratio(chain_of(name), noise) for noise in config.chain_noises]
        session.measure(
            f"chain_{name}_denoising_ratio",
            noisy,
            along=config.chain_noises,
            along_name="noise",
        )
        session.measure(f"chain_{name}_denoising_error", np.abs(noisy / expected - 1).max(axis=1))
    session.figure(
        "harmonic",
        figures.draw_denoising(swept, config.chain_noises, smoothed_curves()),
        caption="Entropy production from a linear score over the exact one, learned by denoising at "
        "some noise. Lines: closed form of the smoothed density. At the left: the implicit loss, "
        "without noise. Each seed is a dot.",
        alt="Learned over exact entropy production against the noise of the denoising loss",
    )


def chain_of(name: str) -> LinearDiffusion:
    """Return one of the harmonic systems."""
    return harmonic_swimmers(**PARAMETERS, **CHAINS[name])


def learned_ratio(
    chain: str, case: str, samples: int, steps: int, rng: np.random.Generator
) -> dict[str, float]:
    """Return the entropy production of a learned score over the exact one."""
    seed = int(rng.integers(2**31))
    system = chain_of(chain)
    generator = torch.Generator().manual_seed(seed)
    if case == "pairs":
        pairs = pairs_of(system, samples, INTERVAL, generator)
        found = production_from_pairs(*pairs, INTERVAL, steps=max(1, steps // 2), seed=seed)
        return {"ratio": found.rate / system.entropy_production}
    z = system.sample(samples, generator)
    process = system.process()
    if case == "mlp":
        score = FieldScore.mlp(process, odd=True, width=32, hidden=2, seed=seed)
    else:
        score = FieldScore.linear(process, seed=seed)
    noise = float(case.removeprefix("noise ")) if case.startswith("noise") else None
    score.fit(
        z,
        loss="implicit" if noise is None else "denoising",
        noise=noise,
        steps=max(1, steps // 2) if case == "mlp" else steps,
        batch=256 if case == "mlp" else 1024,
        lr=1e-2 if case == "mlp" else 3e-2,
        decay=0.98,
        seed=seed,
    )
    rate = float(process.entropy_production(score, z).total.sum(dim=1).mean())
    return {"ratio": rate / system.entropy_production}


def smoothed_ratio(system: LinearDiffusion, noise: float) -> float:
    """Return what a perfect score of the density smoothed by a noise gives, over the exact rate."""
    covariance = system.covariance
    smoothed = covariance + noise**2 * torch.eye(len(covariance), dtype=covariance.dtype)
    # With s = -(S + noise^2)^-1 z, averaged over the density itself
    flow = system.drift + torch.diag(system.diffusion) @ torch.linalg.inv(smoothed)
    rate = ((flow @ covariance @ flow.mT).diagonal() / system.diffusion).sum()
    return float(rate) / system.entropy_production


def smoothed_curves() -> xr.Dataset:
    """Return the closed form over noises, by chain."""
    noises = np.linspace(0, 0.45, 46)
    values = [[smoothed_ratio(chain_of(name), noise) for noise in noises] for name in CHAINS]
    return xr.Dataset(
        {"ratio": (("chain", "noise"), values)}, coords={"chain": list(CHAINS), "noise": noises}
    )
