"""Record activations: one forward pass, any sites, any tokens."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from axonal.activations.positions import Positions, gather
from axonal.activations.site import Site, Visit, check_module
from axonal.activations.watch import Watch
from axonal.errors import AxonalError, InputError


def record(
    model: nn.Module,
    batch: Any,
    sites: Iterable[Site],
    positions: Positions = None,
    *,
    gradients: bool = False,
    stop: bool = True,
) -> dict[Site, Tensor]:
    """Run the model once and return the activations at the sites.

    Parameters
    ----------
    model
        Any module.
    batch
        What the model is called with: a mapping (by keyword), a tuple (by position) or a tensor.
        A left-padded batch without position ids is given those that ``generate`` would use.
    sites
        Where to record.
    positions
        Which tokens: -1 is the last real token of each row, whatever the padding. None is the whole
        tensor. See ``axonal.activations.positions``, and ``gather`` there for the shapes.
    gradients
        Keep the tensors in the live graph and retain their gradients; they then come whole. Use
        ``recording`` where the model's output is wanted with them.
    stop
        End the forward pass once every site has fired, which saves the blocks after the last site
        and the unembedding.

    Returns
    -------
    dict
        A tensor a site: with ``positions=None`` in a language model ``(batch, positions, width)``.
    """
    sites = _checked(sites, positions, gradients)
    recorder = _Recorder(model, sites, positions, gradients, stop)
    grad = torch.enable_grad() if gradients else torch.no_grad()
    with recorder, grad, contextlib.suppress(_AllRecorded):
        run(model, batch)
    return recorder.cache


@contextlib.contextmanager
def recording(
    model: nn.Module,
    sites: Iterable[Site],
    positions: Positions = None,
    *,
    gradients: bool = False,
) -> Iterator[dict[Site, Tensor]]:
    """Record during the model calls inside the context; the latest call's activations are kept.

    For where the output is wanted too:

    >>> with recording(model, sites, gradients=True) as cache:
    ...     metric(model(**batch).logits).backward()
    >>> cache[site].grad

    Parameters
    ----------
    model, sites, positions, gradients
        As for ``record``.
    """
    recorder = _Recorder(model, _checked(sites, positions, gradients), positions, gradients, False)
    with recorder:
        yield recorder.cache


def run(model: nn.Module, batch: Any) -> Any:
    """Call the model with a batch: a mapping, a tuple or a single tensor."""
    if isinstance(batch, Mapping):
        return model(**{**_left_padded_positions(model, batch), **batch})
    if isinstance(batch, tuple | list):
        return model(*batch)
    return model(batch)


class _Recorder:
    """Hooks at the sites that fill ``cache``, for as long as the context is open."""

    def __init__(
        self,
        model: nn.Module,
        sites: list[Site],
        positions: Positions,
        gradients: bool,
        stop: bool,
    ) -> None:
        check_module(model)
        self.cache: dict[Site, Tensor] = {}
        self._model, self._sites, self._positions = model, sites, positions
        self._gradients, self._stop = gradients, stop
        self._watch = Watch(model)
        self._fired: dict[Site, int] = {}  # in which call
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> _Recorder:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._watch)
            for site in self._sites:
                stack.callback(site.attach(self._model, self._keep(site)).remove)
            self._watch.end_after_hooks()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._stack.close()
        if kind is None and self._watch.count and len(self._fired) < len(self._sites):
            silent = next(site for site in self._sites if site not in self._fired)
            raise AxonalError(
                f"The model ran, but nothing flowed through {silent}: it is not on the way of this "
                "call."
            )

    def _keep(self, site: Site) -> Visit:
        def visit(x: Tensor) -> Tensor:
            if self._watch.count and self._fired.get(site) == self._watch.count:
                raise AxonalError(
                    f"{site} fired twice in one call (shared or recurrent weights), and a recording "
                    "holds one tensor a site: record at the module that contains the loop."
                )
            self._fired[site] = self._watch.count
            if self._gradients:
                self.cache[site] = x = _in_graph(x)
            elif self._positions is None:
                self.cache[site] = x.detach().clone()  # later modules may work in place
            else:
                self.cache[site] = gather(self._watch.call_of(x), x.detach(), self._positions)
            if self._stop and len(self._fired) == len(self._sites):
                raise _AllRecorded
            return x

        return visit


class _AllRecorded(Exception):  # noqa: N818 - no error: it ends a forward pass early
    """Every site has fired."""


def _in_graph(x: Tensor) -> Tensor:
    """Return ``x`` as a tensor that keeps its gradient; without a graph before it, it is a root."""
    if not x.requires_grad:
        return x.detach().requires_grad_(True)
    x = x.view_as(x)
    x.retain_grad()
    return x


def _checked(sites: Iterable[Site], positions: Positions, gradients: bool) -> list[Site]:
    unique = list(dict.fromkeys(sites))
    if not unique:
        raise InputError("There is nothing to record: sites is empty.")
    for site in unique:
        if not isinstance(site, Site):
            raise InputError(
                f"Sites to record are Site objects, got {site!r}: wrap it in Site(...)."
            )
    if gradients and positions is not None:
        raise InputError("With gradients=True the tensors come whole: leave positions=None.")
    return unique


def _left_padded_positions(model: nn.Module, batch: Mapping[str, Any]) -> dict[str, Tensor]:
    mask = batch.get("attention_mask")
    if not isinstance(mask, Tensor) or mask.ndim != 2 or bool(mask[:, 0].all()):
        return {}
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return {}
    length = (batch["input_ids"] if "input_ids" in batch else batch["inputs_embeds"]).shape[1]
    return {"position_ids": (mask.long().cumsum(-1) - 1).clamp(min=0)[:, -length:]}
