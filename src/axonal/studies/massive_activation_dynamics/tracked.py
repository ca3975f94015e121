"""The paper's scale: real trainings, from hub revisions or folders of the user's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from axonal.learning.massive import Checkpoint, checkpoints_of, checkpoints_on_hub, track
from axonal.studies.massive_activation_dynamics.static import texts

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.massive_activation_dynamics.config import Config


def sources(config: Config) -> dict[str, Iterable[Checkpoint]]:
    """Return what is tracked, by name; every model is loaded when its turn comes."""
    found: dict[str, Iterable[Checkpoint]] = {
        name.split("/")[-1]: checkpoints_on_hub(name, config.revisions, device=config.device)
        for name in config.models
    }
    if config.checkpoints:
        found["own"] = checkpoints_of(list(config.checkpoints), device=config.device)
    return found


def follow(
    name: str, checkpoints: Iterable[Checkpoint], config: Config, session: Session
) -> xr.Dataset:
    """Track one training; what is finished is kept in the run folder."""
    from axonal.language.models import load

    listed = list(checkpoints)
    source = next((one for one in config.models if one.split("/")[-1] == name), None)
    language = load(
        source or config.checkpoints[-1][1], revision=config.revisions[-1] if source else None
    )
    ids = texts(language, config, session.rng("texts"))[:10]  # the paper's ten sequences
    architecture: Any = language.model.config
    del language
    series = track(listed, ids, table=session.folder / "data" / f"{name}.jsonl")
    wide = {
        column: series.pivot(index="step", columns="layer", values=column)
        for column in ("ratio", "sem", "top1", "median", "null", "cv")
    }
    mlp = getattr(architecture, "intermediate_size", None) or 4 * architecture.hidden_size
    return xr.Dataset(
        {column: (("step", "layer"), table.to_numpy()) for column, table in wide.items()},
        coords={"step": np.array(wide["ratio"].index), "layer": np.array(wide["ratio"].columns)},
        attrs={
            "layers": int(architecture.num_hidden_layers),
            "width": int(architecture.hidden_size),
            "heads": int(architecture.num_attention_heads),
            "mlp_width": int(mlp),
            "group": "tracked",
            "task": "pre-training",
        },
    )
