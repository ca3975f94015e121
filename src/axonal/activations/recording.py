"""Record activations: one forward pass, any sites, any tokens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from axonal.activations.call import Positions
from axonal.activations.calls import Calls
from axonal.activations.site import Site, Visit, check_model
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
    sites
        Where to record.
    positions
        Which tokens, as :meth:`Call.gather` reads them: -1 is the last real token of each row,
        whatever the padding.
    gradients
        Keep the tensors in the live graph and retain their gradients. They then come whole
        (``positions=None``); see :func:`recording` for the output that goes with them.
    stop
        End the forward pass once every site has fired, which saves the rest of the blocks and the
        unembedding.

    Returns
    -------
    dict
        A tensor a site, ``(batch, positions, width)`` in a language model.
    """
    with recording(model, sites, positions, gradients=gradients, _stop=stop) as cache:
        with contextlib.suppress(_AllRecorded):
            grad = torch.enable_grad() if gradients else torch.no_grad()
            with grad:
                run(model, batch)
    return cache


@contextlib.contextmanager
def recording(
    model: nn.Module,
    sites: Iterable[Site],
    positions: Positions = None,
    *,
    gradients: bool = False,
    _stop: bool = False,
) -> Iterator[dict[Site, Tensor]]:
    """Record during the model calls inside the context; the latest call's activations are kept.

    Use it where the output is wanted too, as for gradients:

    >>> with recording(model, sites, gradients=True) as cache:
    ...     loss = metric(model(**batch).logits)
    >>> loss.backward()
    >>> cache[site].grad
    """
    sites = list(sites)
    if not sites:
        raise InputError("Nothing to record: sites is empty.")
    if gradients and positions is not None:
        raise InputError("With gradients=True the tensors come whole: leave positions=None.")
    check_model(model)
    cache: dict[Site, Tensor] = {}
    fired: set[Site] = set()
    calls = Calls(model)

    def keep(site: Site) -> Visit:
        def visit(x: Tensor) -> Tensor:
            if gradients:
                x = _rooted(x)
                cache[site] = x
            else:
                taken = x if positions is None else calls.of(x).gather(x, positions)
                cache[site] = taken.detach().clone() if positions is None else taken.detach()
            fired.add(site)
            if _stop and len(fired) == len(sites):
                raise _AllRecorded
            return x

        return visit

    with contextlib.ExitStack() as stack:
        stack.enter_context(calls)
        for site in sites:
            stack.callback(site.visit(model, keep(site)).remove)
        calls.watch_end()
        yield cache
    if calls.count and len(cache) < len(set(sites)):
        silent = next(site for site in sites if site not in cache)
        raise AxonalError(
            f"The model ran, but {silent} never fired: nothing flows through that module here."
        )


def run(model: nn.Module, batch: Any) -> Any:
    """Call the model with a batch: a mapping, a tuple or a single tensor."""
    if isinstance(batch, Mapping):
        return model(**batch)
    if isinstance(batch, tuple | list):
        return model(*batch)
    return model(batch)


def _rooted(x: Tensor) -> Tensor:
    """Return ``x`` in a graph that keeps its gradient; where none leads to it, it becomes a root."""
    if x.requires_grad:
        x = x.view_as(x)
        x.retain_grad()
        return x
    return x.detach().requires_grad_(True)


class _AllRecorded(Exception):  # noqa: N818 - not an error: it ends a forward pass early
    """Every site has fired."""
