"""Whether more training drugs narrow the gap between vectors of effects and of molecules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from axonal.cells.perturbation import (
    ConditionalMongeMap,
    DrugContext,
    effect_embedding,
    molecule_descriptors,
    molecule_sets,
    simulate_screen,
)
from axonal.studies.conditional_monge_gap.drugs import MEASURES, Split, map_options

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.conditional_monge_gap.config import Config

DOSES = (300.0, 3000.0)
HELD_OUT = 2  # drugs a mechanism


def measure(ligands: str, config: Config, session: Session, number: int) -> xr.Dataset:
    """Predict the same held-out drugs from ever more training drugs, with either kind of vector."""
    seed = session.seed_for(f"scaling {number}")
    most = max(config.scaling)
    molecules = molecule_sets(most + HELD_OUT, ligands=ligands, seed=seed)
    simulated = simulate_screen(
        molecules, doses=DOSES, cells=config.cells // 2, genes=config.genes, seed=seed
    )
    held_out = [f"{m}_{most + i}" for m in molecules for i in range(HELD_OUT)]
    whole = Split(simulated, held_out, config, seed)
    contexts: dict[str, DrugContext] = {
        "effects": effect_embedding(
            whole.latent,
            whole.screen,
            cells=config.effect_cells,
            dimensions=min(10, len(whole.screen.treated) - 1),
            seed=seed,
        ),
        "descriptors": molecule_descriptors(simulated.smiles),
    }
    held = [t for t in whole.screen.treated if t.drugs[0] in whole.held_out]
    values = np.empty((len(config.scaling), len(contexts), len(held), len(MEASURES)))
    split = simulated.adata.obs["split"].astype(str)
    for row, count in enumerate(config.scaling):
        kept = [f"{m}_{i}" for m in molecules for i in range(count)] + ["control"]
        left_out = (split == "train") & ~simulated.adata.obs["drug"].isin(kept)
        simulated.adata.obs["split"] = split.mask(left_out, "not used")
        for column, context in enumerate(contexts.values()):
            model = whole.fit(ConditionalMongeMap(**map_options(config)), context)
            for k, treatment in enumerate(held):
                moved = model.transport(whole.control, treatment)
                values[row, column, k] = whole.measure(treatment, moved)
    return xr.Dataset(
        {"unseen": (("drugs", "context", "held_out", "measure"), values)},
        {
            "drugs": [len(molecules) * count for count in config.scaling],
            "context": list(contexts),
            "held_out": [t.label for t in held],
            "measure": list(MEASURES),
        },
    )
