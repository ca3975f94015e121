"""A fitted map as a folder: tensors in safetensors, everything else in a JSON card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from axonal.cells.perturbation.context import DrugContext
from axonal.cells.perturbation.encoding import Encoding
from axonal.cells.perturbation.screen import Treatment
from axonal.cells.perturbation.spaces import KINDS
from axonal.errors import AxonalError, InputError
from axonal.files import whole_folder, write_tensors

if TYPE_CHECKING:
    from axonal.cells.perturbation.monge import ConditionalMongeMap

CARD, TENSORS, FORMAT = "card.json", "map.safetensors", "axonal conditional monge map 1"


def save(model: ConditionalMongeMap, folder: Path) -> None:
    """Write the map; a folder that is there is replaced if it holds one."""
    from axonal import __version__

    encoding = model.encoding_
    tensors = {f"network.{k}": v for k, v in model.network_.state_dict().items()}
    tensors |= {f"space.{k}": v for k, v in model.space_.tensors().items()}
    context = None
    if encoding.context is not None:
        table = encoding.context.table
        tensors["context"] = torch.tensor(table.to_numpy(dtype=float))
        context = {
            "source": encoding.context.source,
            "rows": list(map(str, table.index)),
            "columns": [c if isinstance(c, str) else int(c) for c in table.columns],
        }
    card = {
        "format": FORMAT,
        "axonal": __version__,
        "paper": "arXiv:2504.08328",
        "settings": model.settings(),
        "fit": model.fit_,
        "features": list(model.features_),
        "width": int(model.network_.out.out_features),
        "space": {"kind": model.space_.kind, **model.space_.parameters_as_numbers()},
        "context": context,
        "encoding": {
            "dose": encoding.dose,
            "time": encoding.time,
            "dose_unit": encoding.dose_unit,
            "time_unit": encoding.time_unit,
            "pooled": encoding.pooled,
        },
        "treatments": [[list(t.drugs), t.dose, t.time] for t in model.treatments_],
    }
    with whole_folder(folder, holds=(CARD, TENSORS), what="conditional Monge map") as draft:
        write_tensors(tensors, draft / TENSORS)
        (draft / CARD).write_text(json.dumps(card, indent=1), encoding="utf-8")


def load(kind: type[ConditionalMongeMap], folder: Path) -> ConditionalMongeMap:
    """Read the map; what is not one is said."""
    import pandas as pd
    from safetensors.torch import load_file

    if not (folder / CARD).is_file():
        raise InputError(f"{folder} holds no conditional Monge map: there is no {CARD}.")
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if card.get("format") != FORMAT:
            raise InputError(
                f"{folder}: expected the format {FORMAT!r}, got {card.get('format')!r}."
            )
        tensors = load_file(folder / TENSORS)
        model = kind(**card["settings"])
        context = None
        if (about := card["context"]) is not None:
            values = tensors["context"].numpy()
            table = pd.DataFrame(values, index=about["rows"], columns=about["columns"])
            context = DrugContext(table, about["source"])
        model.encoding_ = Encoding(context, **card["encoding"])
        space = dict(card["space"])
        model.space_ = KINDS[space.pop("kind")](**space)
        model.space_.restore(_below(tensors, "space."))
        model.treatments_ = tuple(
            Treatment(tuple(drugs), dose, time) for drugs, dose, time in card["treatments"]
        )
        model.features_, model.fit_ = tuple(card["features"]), card["fit"]
        model.network_ = model.build(card["width"])
        model.network_.load_state_dict(_below(tensors, "network."))
    except InputError:
        raise
    except Exception as error:  # safetensors, JSON and torch raise many kinds
        raise AxonalError(
            f"The map in {folder} cannot be read ({type(error).__name__}: {error})."
        ) from error
    model.network_.eval()
    model.history_ = None
    return model


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
