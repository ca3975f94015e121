"""Where the residual stream leaves the blocks of a decoder, whoever wrote it, and how to run it.

Layer l is "after block l", counted from 1; layer 0 is what enters the first block. Hidden states
that a model returns are not used: the last of them has passed the final norm in most families.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from axonal.activations import Site, Sites
from axonal.activations.recording import run
from axonal.activations.site import check_module
from axonal.errors import InputError


def block_sites(model: nn.Module) -> list[Site]:
    """Return the output of every block, in order.

    A transformers model is known by its family's names; in any other the blocks are the longest
    ``nn.ModuleList`` of one class that lies in no other such list.
    """
    check_module(model)
    try:
        sites = Sites.of(model)
    except InputError:
        return [Site(path) for path in _block_paths(model)]
    return [sites.residual(block) for block in range(sites.blocks)]


def layer_sites(
    model: nn.Module, sites: Sequence[Site] | None, *, embeddings: bool = False
) -> dict[int, Site]:
    """Return the sites by layer number; with ``embeddings`` layer 0 too."""
    blocks = block_sites(model) if sites is None else list(sites)
    if not blocks or not all(isinstance(site, Site) for site in blocks):
        raise InputError(f"sites: expected a list of Site objects in layer order, got {sites!r}.")
    layers = dict(enumerate(blocks, start=1))
    if embeddings:
        layers = {0: Site(blocks[0].path, "input"), **layers}
    return layers


def token_batch(input_ids: Any, attention_mask: Any = None) -> tuple[Tensor, Tensor]:
    """Return ids and mask, both ``(sequences, positions)``, or say what is wrong with them."""
    try:
        ids = torch.as_tensor(input_ids)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            "input_ids: expected integers of shape (sequences, positions), got "
            f"{type(input_ids).__name__} of unequal rows or no numbers; pad the rows and pass "
            "attention_mask."
        ) from error
    ids = ids.unsqueeze(0) if ids.ndim == 1 else ids
    if ids.ndim != 2 or ids.numel() == 0 or ids.is_floating_point() or ids.dtype == torch.bool:
        raise InputError(
            "input_ids: expected integers of shape (sequences, positions), got "
            f"{ids.dtype} of shape {tuple(ids.shape)}."
        )
    mask = torch.ones_like(ids) if attention_mask is None else torch.as_tensor(attention_mask)
    mask = mask.unsqueeze(0) if mask.ndim == 1 else mask
    if mask.shape != ids.shape:
        raise InputError(
            f"attention_mask: expected the shape of input_ids, {tuple(ids.shape)}, got "
            f"{tuple(mask.shape)}."
        )
    mask = mask.bool()
    empty = (~mask.any(-1)).nonzero()
    if len(empty):
        raise InputError(
            f"attention_mask: sequence {int(empty[0])} is all padding; remove it from the batch."
        )
    return ids.long(), mask


def with_first_token(input_ids: Any, token: int) -> Tensor:
    """Put a token (BOS) before every sequence: where spikes sit depends on it."""
    ids, _ = token_batch(input_ids)
    return torch.cat([torch.full((len(ids), 1), int(token), dtype=ids.dtype), ids], dim=1)


def call(model: nn.Module, ids: Tensor, mask: Tensor) -> Any:
    """Call a decoder with token ids, and with a mask where it takes one and it matters."""
    known = inspect.signature(model.forward).parameters
    device = next((parameter.device for parameter in model.parameters()), ids.device)
    ids, mask = ids.to(device), mask.to(device)
    if "input_ids" not in known:
        return model(ids)
    batch: dict[str, Any] = {"input_ids": ids}
    if "attention_mask" in known and not bool(mask.all()):
        batch["attention_mask"] = mask.long()
    if "use_cache" in known:
        batch["use_cache"] = False
    return run(model, batch)


def check_vocabulary(model: nn.Module, ids: Tensor) -> None:
    """Refuse ids that the model's embedding does not hold."""
    embedding: Any = None
    if hasattr(model, "get_input_embeddings"):
        with contextlib.suppress(NotImplementedError):  # it has none, says transformers
            embedding = model.get_input_embeddings()  # pyright: ignore[reportCallIssue]
    if not isinstance(embedding, nn.Embedding):
        return
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= embedding.num_embeddings:
        raise InputError(
            f"input_ids: expected ids from 0 to {embedding.num_embeddings - 1}, got {low} to "
            f"{high}; was another tokenizer used?"
        )


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Run in evaluation mode without gradients; every module's mode is put back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def _block_paths(model: nn.Module) -> list[str]:
    found: list[list[str]] = []
    inside: list[str] = []
    for path, module in model.named_modules():
        if any(path.startswith(outer) for outer in inside):
            continue
        if isinstance(module, nn.ModuleList) and len(module):
            inside.append(f"{path}.")
            if len({type(child) for child in module}) == 1:
                found.append([f"{path}.{index}" for index in range(len(module))])
    if not found:
        raise InputError(
            f"{type(model).__name__} has no nn.ModuleList of equal blocks: pass sites=[Site(path), "
            "...], the modules whose outputs are the residual stream, in order."
        )
    return found[int(np.argmax([len(paths) for paths in found]))]
