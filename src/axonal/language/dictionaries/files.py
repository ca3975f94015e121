"""Read and write dictionaries: SAELens folders, GemmaScope's ``params.npz``, plain safetensors.

Nothing is unpickled. A folder that this writes is one that SAELens loads:
``SAE.load_from_disk(folder)``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from axonal.errors import InputError
from axonal.files import whole_file, write_tensors
from axonal.language.dictionaries.autoencoder import SparseAutoencoder
from axonal.language.dictionaries.conventions import Convention, build, refuse_per_token

FORMAT = "6.0.0"
"""The version of SAELens whose layout of ``cfg.json`` is written."""

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
_ARCHITECTURES = {"standard": "relu", "relu": "relu", "topk": "topk", "jumprelu": "jumprelu"}


def load_dictionary(
    path: str | Path, *, place: str | None = None, model: str | None = None, skip: int | None = None
) -> SparseAutoencoder:
    """Load a sparse autoencoder.

    Parameters
    ----------
    path
        A folder with ``cfg.json`` and ``sae_weights.safetensors`` (SAELens); a ``params.npz``
        (GemmaScope) or the folder of one; or a safetensors file with ``W_enc``, ``W_dec`` and
        optionally ``b_enc``, ``b_dec``, ``threshold``, whose metadata may say ``kind``, ``k``,
        ``place``, ``model``, ``skip``, ``scale`` and ``subtract_bias``.
    place, model, skip
        Where it belongs, in which model, and the first tokens it is not meant for, where the file
        does not say; see `SparseAutoencoder`.
    """
    path = Path(path)
    if path.is_dir():
        names = [CONFIG, "params.npz"]
        found = next((path / name for name in names if (path / name).is_file()), None)
        if found is None:
            raise InputError(f"{path} holds no dictionary: there is neither {' nor '.join(names)}.")
        path = found
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    if path.name == CONFIG:
        read = _read_saelens(path.parent)
    elif path.suffix == ".npz":
        read = _read_npz(path)
    elif path.suffix == ".safetensors":
        read = _read_plain(path)
    else:
        raise InputError(
            f"{path.name} is no format of dictionaries that is read here: cfg.json with "
            "sae_weights.safetensors, .npz or .safetensors. Pickled files (.pt, .pth, .bin) are not "
            "opened: save their tensors as safetensors first."
        )
    weights, convention, said = read
    return SparseAutoencoder(
        build(weights, convention, str(path)),
        place if place is not None else said.get("place"),
        model if model is not None else said.get("model"),
        skip if skip is not None else int(said.get("skip") or 0),
    )


def save_dictionary(sae: SparseAutoencoder, folder: str | Path) -> Path:
    """Write a SAELens folder, all or nothing; a dictionary saved there before is replaced."""
    folder = Path(folder)
    if folder.exists() and not (folder / CONFIG).is_file() and any(folder.iterdir()):
        raise InputError(f"{folder} exists and holds no dictionary: choose another folder.")
    dictionary = sae.dictionary
    kinds = {"relu": "standard", "topk": "topk", "jumprelu": "jumprelu"}
    config: dict[str, Any] = {
        "architecture": kinds[dictionary.activation],
        "d_in": sae.width,
        "d_sae": sae.latents,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {
            "model_name": sae.model,
            "hook_name": sae.place,
            "seqpos_slice": [sae.skip, None],
            "sae_lens_version": FORMAT,
            "written_by": "axonal",
        },
    }
    if dictionary.activation == "topk":
        config |= {"k": dictionary.k, "rescale_acts_by_decoder_norm": False}
    tensors = {
        "W_enc": dictionary.encoder.detach().mT,
        "W_dec": dictionary.decoder.detach(),
        "b_enc": dictionary.encoder_bias.detach(),
        "b_dec": dictionary.decoder_bias.detach(),
    }
    if dictionary.threshold is not None:
        tensors["threshold"] = dictionary.threshold.detach()
    ready = {name: x.float().cpu().clone() for name, x in tensors.items()}
    # Both are written before either takes its place, the card last.
    with whole_file(folder / CONFIG) as card, whole_file(folder / WEIGHTS) as weights:
        write_tensors(ready, weights)
        card.write_text(json.dumps(config, indent=2), encoding="utf-8")
    return folder


Read = tuple[Mapping[str, Tensor], Convention, Mapping[str, Any]]


def _read_saelens(folder: Path) -> Read:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"{folder} is no readable SAELens folder: {error}.") from error
    architecture = str(config.get("architecture", "standard"))
    options = config.get("activation_fn_kwargs") or {}
    if config.get("activation_fn_str", config.get("activation_fn")) == "topk":
        architecture = "topk"  # how versions before 6 said it
    if architecture not in _ARCHITECTURES:
        raise InputError(
            f"{folder} is a {architecture!r} dictionary; those of kind standard, topk and jumprelu "
            "are read."
        )
    if config.get("finetuning_scaling_factor"):
        raise InputError(f"{folder} scales latents by a finetuned factor, which is not supported.")
    said_so = config.get("normalize_activations") or "none"  # a flag, before version 3
    normalisation = "expected_average_only_in" if said_so is True else str(said_so)
    refuse_per_token(normalisation, str(folder))
    if normalisation == "expected_average_only_in" and "norm_scaling_factor" not in config:
        raise InputError(
            f"{folder} was trained on scaled activations and does not say by how much: put "
            "norm_scaling_factor into its cfg.json, or fold the scale into the weights with SAELens."
        )
    if config.get("reshape_activations", "none") != "none":
        raise InputError(f"{folder} reads attention heads side by side, which is not supported.")
    metadata = {**config, **(config.get("metadata") or {})}
    after = metadata.get("seqpos_slice") or metadata.get("seqpos") or [0]
    said = {
        "place": metadata.get("hook_name", metadata.get("hook_point")),
        "model": metadata.get("model_name"),
        "skip": after[0] or 0,
    }
    convention = Convention(
        kind=_ARCHITECTURES[architecture],
        k=config.get("k", options.get("k")),
        subtract_bias=bool(config.get("apply_b_dec_to_input", True)),
        scale=float(config.get("norm_scaling_factor") or 1.0) if normalisation != "none" else 1.0,
        decoder_norms=bool(config.get("rescale_acts_by_decoder_norm", False)),
    )
    return weights, convention, said


def _read_npz(path: Path) -> Read:
    try:
        with np.load(path, allow_pickle=False) as archive:
            weights = {name: torch.from_numpy(archive[name]) for name in archive.files}
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} is no readable npz archive: {error}.") from error
    # GemmaScope encodes the activation as it is: relu(x W + b) above the threshold.
    kind = "jumprelu" if "threshold" in weights else "relu"
    return weights, Convention(kind, subtract_bias=False), {}


def _read_plain(path: Path) -> Read:
    try:
        with safe_open(path, "pt") as opened:
            said = dict(opened.metadata() or {})
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is no readable safetensors file: {error}.") from error
    kind = said.get("kind") or ("jumprelu" if "threshold" in weights else None)
    kind = kind or ("topk" if "k" in said else "relu")
    if kind not in _ARCHITECTURES.values():
        raise InputError(f"{path} is of kind {kind!r}; known are relu, topk and jumprelu.")
    try:
        convention = Convention(
            kind,
            k=int(said["k"]) if "k" in said else None,
            subtract_bias=said.get("subtract_bias", "true").lower() != "false",
            scale=float(said.get("scale", 1.0)),
        )
    except ValueError as error:
        raise InputError(f"{path} has metadata that does not fit: {error}.") from error
    return weights, convention, said
