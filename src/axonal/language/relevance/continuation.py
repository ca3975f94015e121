"""Run a language model on from the middle: many patched copies of one run, exactly and cheaply.

A patch at layer ``l`` and position ``p`` leaves everything below ``l`` and everything before ``p``
as it was. So the unpatched run is kept once (`BaseRun`): the residual stream into each layer and
every layer's keys and values. A patched copy starts at its own layer with the tokens from ``p`` on,
and attends to the kept keys and values. Copies that share ``p`` travel together: a wave goes up the
layers once, and copies join where their patch lies.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from axonal.activations.recording import recording
from axonal.activations.site import Site
from axonal.activations.sites import Sites
from axonal.errors import AxonalError

_PER_TOKEN = {"position_embeddings": -2, "position_ids": -1, "cache_position": -1}
"""Arguments of a block that hold one entry a token, and along which dimension."""


@dataclass(frozen=True)
class Patch:
    """One replacement in one copy of the run.

    Parameters
    ----------
    layer
        The layer it lies in.
    site
        Where inside the layer; None replaces the residual stream that enters the layer.
    value
        What stands there instead, ``(tokens, units)``, from the patched position on.
    first_unit
        The first of the units that are replaced, for a part of the site (one head, one neuron).
    """

    layer: int
    site: Site | None
    value: Tensor
    first_unit: int = 0


class BaseRun:
    """One unpatched run of a prompt, from which patched copies can start.

    Parameters
    ----------
    model
        A causal language model whose sites have names.
    ids
        Token ids of one prompt, ``(positions,)``.
    """

    def __init__(self, model: nn.Module, ids: Tensor) -> None:
        from transformers import Cache, DynamicCache

        self.sites = Sites.of(model)
        self.blocks = [model.get_submodule(self._path(i)) for i in range(self.sites.blocks)]
        self.model = model
        self.length = len(ids)
        self._calls: list[dict[str, Any]] = []  # what each block was called with, by name
        self._cache_type = Cache
        cache: Any = DynamicCache()  # without a configuration: no layer forgets tokens
        # transformers 5.24 renamed the argument.
        has_new_name = "cache" in inspect.signature(model.forward).parameters
        arguments: dict[str, Any] = {"cache" if has_new_name else "past_key_values": cache}
        names = list(inspect.signature(self.blocks[0].forward).parameters)

        def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            call = {**dict(zip(names, args, strict=False)), **kwargs}
            del call[names[0]]  # the residual stream
            self._calls.append(call)

        residual = [self.sites.residual_pre(i) for i in range(self.sites.blocks)]
        last = self.sites.residual(self.sites.blocks - 1)
        handles = [block.register_forward_pre_hook(note, with_kwargs=True) for block in self.blocks]
        try:
            with torch.no_grad(), recording(model, [*residual, last]) as states:
                model(input_ids=ids.unsqueeze(0), use_cache=True, logits_to_keep=1, **arguments)
        finally:
            for handle in handles:
                handle.remove()
        self.residual = [states[site][0] for site in [*residual, last]]
        self._keys = [layer.keys[0] for layer in cache.layers]
        self._values = [layer.values[0] for layer in cache.layers]

    def _path(self, layer: int) -> str:
        return self.sites.residual(layer).path

    def final_states(self, position: int, patches: Sequence[Patch]) -> Tensor:
        """Return the output of the last block at the last position of each patched copy.

        Gradients flow to patch values that require them.

        Parameters
        ----------
        position
            Where every patch begins; what stands before it is shared.
        patches
            One a copy.

        Returns
        -------
        Tensor
            ``(patches, width)``.
        """
        order = sorted(range(len(patches)), key=lambda i: patches[i].layer)
        first = patches[order[0]].layer
        # Row 0 is never patched: it must arrive where the kept run did.
        state = self.residual[first][position:].unsqueeze(0)
        joined = 0
        for layer in range(first, len(self.blocks)):
            joining = [patches[i] for i in order[joined:] if patches[i].layer == layer]
            joined += len(joining)
            start = self.residual[layer][position:].expand(len(joining), -1, -1)
            state = torch.cat([state, start]) if joining else state
            state = self._block(layer, state, position, joining)
        self._check(state[0, -1].detach())
        place = torch.empty(len(order), dtype=torch.long)
        place[order] = torch.arange(1, len(order) + 1)
        return state[place, -1]

    def _block(self, layer: int, state: Tensor, position: int, joining: list[Patch]) -> Tensor:
        """Run one block on all copies; the last ``len(joining)`` rows are patched inside it."""
        handles = []
        offset = len(state) - len(joining)
        groups: dict[tuple[Site | None, torch.Size], list[int]] = {}
        for row, patch in enumerate(joining, start=offset):
            groups.setdefault((patch.site, patch.value.shape), []).append(row)
        for (site, _), rows in groups.items():
            write = partial(_replace, rows=rows, patches=[joining[row - offset] for row in rows])
            if site is None:
                state = write(state)
            else:
                handles.append(site.attach(self.model, write))
        try:
            output = self.blocks[layer](state, **self._arguments(layer, position))
        finally:
            for handle in handles:
                handle.remove()
        return output if isinstance(output, Tensor) else output[0]

    def _arguments(self, layer: int, position: int) -> dict[str, Any]:
        """Return what the block was called with, cut to the tokens from ``position`` on."""
        prefix = _Prefix(self._keys[layer][:, :position], self._values[layer][:, :position])
        arguments: dict[str, Any] = {}
        for name, value in self._calls[layer].items():
            if isinstance(value, self._cache_type):
                value = prefix
            elif name in _PER_TOKEN:
                value = _from(value, position, _PER_TOKEN[name])
            elif name == "attention_mask":
                value = self._mask(value, position)
            arguments[name] = value
        return arguments

    def _mask(self, whole: Tensor | None, position: int) -> Tensor | None:
        """Cut a mask to the tokens from ``position`` on; where it was left implicit, spell it out."""
        if whole is not None:
            return whole[..., position:, :]
        count = self.length - position
        if count == 1:
            return None  # one token may look at all before it
        ones = torch.ones(count, self.length, dtype=torch.bool, device=self.residual[0].device)
        return ones.tril(position)[None, None]

    def _check(self, arrived: Tensor) -> None:
        expected = self.residual[-1][-1]
        tolerance = 1e-3 if arrived.dtype in (torch.float32, torch.float64) else 0.1
        if not torch.allclose(
            arrived, expected, rtol=tolerance, atol=tolerance * expected.std().item()
        ):
            raise AxonalError(
                f"Continuing {type(self.model).__name__} from the middle of a prompt does not give "
                "what the whole run gives, so patched copies can't be trusted: its blocks carry "
                "state beside keys and values."
            )


class _Prefix:
    """Keys and values before the patch, in the place of transformers' cache; never grows."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys = keys
        self.values = values

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Return the prefix followed by the new keys and values, for each row."""
        rows = len(keys)
        return (
            torch.cat([self.keys.expand(rows, -1, -1, -1), keys], dim=2),
            torch.cat([self.values.expand(rows, -1, -1, -1), values], dim=2),
        )

    def get_seq_length(self, *_: Any) -> int:
        """Tokens before the patch."""
        return self.keys.shape[1]


def _replace(x: Tensor, rows: list[int], patches: list[Patch]) -> Tensor:
    """Return ``x`` with the first tokens of some rows patched."""
    values = torch.stack([patch.value for patch in patches]).to(x.dtype)
    _, tokens, width = values.shape
    first = torch.tensor([patch.first_unit for patch in patches], device=x.device)
    units = first[:, None, None] + torch.arange(width, device=x.device)
    row = torch.tensor(rows, device=x.device)[:, None, None]
    x = x.clone()
    x[row, torch.arange(tokens, device=x.device)[:, None], units] = values
    return x


def _from(value: Any, position: int, dim: int) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(_from(item, position, dim) for item in value)
    if isinstance(value, dict):
        return {key: _from(item, position, dim) for key, item in value.items()}
    if isinstance(value, Tensor):
        return value.narrow(dim, position, value.shape[dim] - position)
    return value
