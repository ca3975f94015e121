"""Load the public weights of Uni-Mol, or those of the paper's own training, from a file.

``mol_pre_no_h_220816.pt`` holds ``{"model": {...}, "args": ...}`` with pre-training heads beside the
encoder; a checkpoint of the paper's code holds two encoders, ``sup_model.*`` and ``unsup_model.*``.
Only tensors are read: the file is opened by torch's restricted unpickler, which runs no code.
"""

from __future__ import annotations

import argparse
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.molecules.tokens import VOCABULARY
from axonal.molecules.unimol import UniMolEncoder, UniMolShape

PRETRAINING = ("lm_head.", "pair2coord_proj.", "dist_head.", "encoder.final_head_layer_norm.",
               "classification_heads.")  # fmt: skip
NEW = ("mol_linear.",)  # not in pre-trained weights: starts fresh


def load_unimol(
    path: Path | str,
    *,
    branch: Literal["unsup", "sup"] = "unsup",
    dimension: int = 768,
    seed: int = 0,
    **options: Any,
) -> UniMolEncoder:
    """Return an encoder of the file's size with the file's weights.

    Parameters
    ----------
    path
        ``.pt`` or ``.safetensors``.
    branch
        Which encoder of a checkpoint that holds both.
    dimension
        Of the embedding, where the file has no map to one (pre-trained weights have none).
    seed
        Of that map's start.
    options
        Passed to :class:`UniMolEncoder`.
    """
    weights = _branch(_read(Path(path)), branch)
    found = _shape(weights, Path(path), dimension)
    encoder = UniMolEncoder(found, seed=seed, **options)
    kept = {k: v.float() for k, v in weights.items() if not k.startswith(PRETRAINING)}
    own = encoder.state_dict()
    missing = [name for name in own if name not in kept and not name.startswith(NEW)]
    strange = [name for name in kept if name not in own]
    wrong = [n for n, v in kept.items() if n in own and v.shape != own[n].shape]
    for names, what in (
        (missing, "lacks"), (strange, "holds unknown"), (wrong, "has other shapes for")
    ):  # fmt: skip
        if names:
            raise InputError(
                f"{Path(path).name} {what} {len(names)} parameters of Uni-Mol, such as "
                f"{', '.join(names[:3])}."
            )
    encoder.load_state_dict(kept, strict=False)
    return encoder


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise InputError(f"There are no weights at {path}.")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(
            f"{path.name} is no checkpoint that can be read without running code from it: "
            f"{str(error).splitlines()[0]}"
        ) from error
    model = state.get("model", state) if isinstance(state, Mapping) else None
    if not isinstance(model, Mapping) or not all(isinstance(v, Tensor) for v in model.values()):
        raise InputError(f"{path.name}: expected a state dict of Uni-Mol, as it is or at 'model'.")
    return model


def _branch(weights: Mapping[str, Tensor], branch: str) -> dict[str, Tensor]:
    if branch not in ("sup", "unsup"):
        raise InputError(f"branch: expected 'unsup' or 'sup', got {branch!r}.")
    prefix = f"{branch}_model."
    if any(name.startswith(prefix) for name in weights):
        return {n.removeprefix(prefix): v for n, v in weights.items() if n.startswith(prefix)}
    return dict(weights)


def _shape(weights: Mapping[str, Tensor], path: Path, dimension: int) -> UniMolShape:
    needed = ("embed_tokens.weight", "encoder.layers.0.fc1.weight", "gbf.means.weight",
              "gbf_proj.linear2.weight")  # fmt: skip
    if lacking := [name for name in needed if name not in weights]:
        raise InputError(f"{path.name} is no Uni-Mol encoder: it lacks {', '.join(lacking)}.")
    words, width = weights["embed_tokens.weight"].shape
    if words != len(VOCABULARY):
        raise InputError(
            f"{path.name} was trained with a dictionary of {words} tokens, expected "
            f"{len(VOCABULARY)} (30 and [MASK]): use the weights without hydrogens."
        )
    layers = {int(m[1]) for n in weights if (m := re.match(r"encoder\.layers\.(\d+)\.", n))}
    projection = weights.get("mol_linear.weight")
    return UniMolShape(
        layers=max(layers) + 1,
        width=width,
        feed_forward=weights["encoder.layers.0.fc1.weight"].shape[0],
        heads=weights["gbf_proj.linear2.weight"].shape[0],
        kernels=weights["gbf.means.weight"].shape[1],
        dimension=dimension if projection is None else projection.shape[0],
    )
