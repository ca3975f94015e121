"""A trained search as a folder: ``search.json`` says what it is, ``model.safetensors`` holds weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from axonal.errors import AxonalError, InputError
from axonal.files import whole_folder, write_tensors
from axonal.molecules.encoder import make_encoder
from axonal.molecules.objective import Objective
from axonal.molecules.two_encoders import TwoEncoders

if TYPE_CHECKING:
    from axonal.molecules.search import MoleculeSearch

CARD, TENSORS = "search.json", "model.safetensors"
FOLDER = (CARD, TENSORS)


def save(search: MoleculeSearch, folder: Path) -> None:
    """Write a search; a folder that is there is replaced if it holds one."""
    weights = {
        f"{which}.{name}": value
        for which in ("supervised", "unsupervised")
        for name, value in search.branch(which).state_dict().items()
    }
    card = {
        "encoder": search.encoder.kind,
        "settings": search.encoder.settings(),
        "objective": asdict(search.objective),
        "report": search.report_,
        "training": sorted(search.training_),
    }
    with whole_folder(folder, holds=FOLDER, what="search") as draft:
        write_tensors(weights, draft / TENSORS)
        (draft / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def load(kind: type[MoleculeSearch], folder: Path) -> MoleculeSearch:
    """Read a search; what is not one, or half of one, is said."""
    from safetensors.torch import load_file

    for name in FOLDER:
        if not (folder / name).is_file():
            raise InputError(f"{folder} holds no search: there is no {name}.")
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        encoder = make_encoder(card["encoder"], card["settings"])
        found = kind(encoder, Objective(**card["objective"]))
        encoders = TwoEncoders(encoder, found.objective)
        encoders.load_state_dict(load_file(folder / TENSORS))
        found.training_, found.report_ = frozenset(card["training"]), card["report"]
    except InputError:
        raise
    except Exception as error:  # safetensors, JSON and torch raise many kinds
        raise AxonalError(
            f"The search in {folder} cannot be read ({type(error).__name__}: "
            f"{str(error).splitlines()[0]})."
        ) from error
    encoders.eval()
    found.encoders_ = encoders
    return found
