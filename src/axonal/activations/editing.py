"""Edit activations while a model runs, inside a context that leaves nothing behind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from torch import Tensor, nn

from axonal.activations.edits import Edit
from axonal.activations.site import Site, Visit, check_module
from axonal.activations.watch import Watch
from axonal.errors import AxonalError, InputError

EditsBySite: TypeAlias = Mapping[Site, Edit | Sequence[Edit]]


@contextlib.contextmanager
def edit(
    model: nn.Module, edits: EditsBySite, *, prompt_length: int | None = None
) -> Iterator[None]:
    """Apply edits at sites of the model in every call inside the context.

    Edits at one site apply in their order, those of an outer context before those of an inner one.
    Every hook is gone when the context is left, whatever was raised inside. A context in which the
    model ran but nothing flowed through one of its sites raises an ``AxonalError`` on leaving; one
    in which the model did not run does not. One thread at a time.

    Parameters
    ----------
    model
        The module that will be called, or whose ``generate`` will.
    edits
        An edit, or a list of edits, for each site.
    prompt_length
        Columns of the prompt, padding included. Only a decoding loop of one's own that uses no
        cache or splits its prompt needs it: ``generate`` is understood by itself.
    """
    check_module(model)
    chains = {site: _as_list(site, chain) for site, chain in edits.items()}
    silent = set(chains)
    watch = Watch(model, prompt_length)
    with contextlib.ExitStack() as stack:
        stack.enter_context(watch)
        for site, chain in chains.items():
            stack.callback(site.attach(model, _apply(site, chain, watch, silent)).remove)
        watch.end_after_hooks()
        yield
    if watch.count and silent:
        first = next(site for site in chains if site in silent)
        raise AxonalError(
            f"The model ran, but nothing flowed through {first}, so its edit did nothing."
        )


def _apply(site: Site, chain: list[Edit], watch: Watch, silent: set[Site]) -> Visit:
    # A module's own machinery is only needed where somebody has put a hook on the edit.
    steps = [
        (one if one._forward_hooks or one._forward_pre_hooks else one.forward, one.needs_call)
        for one in chain
    ]
    heard = False

    def visit(x: Tensor) -> Tensor:
        nonlocal heard
        if not heard:
            heard = True
            silent.discard(site)
        try:
            for step, needs_call in steps:
                x = step(x, (watch.call or watch.call_of(x)) if needs_call else None)
        except InputError as error:
            raise InputError(f"At {site}: {error}") from None
        return x

    return visit


def _as_list(site: object, chain: object) -> list[Edit]:
    if not isinstance(site, Site):
        raise InputError(f"Edits are given for sites, got {site!r} as a key: wrap it in Site(...).")
    listed = [chain] if isinstance(chain, Edit) else chain
    if not isinstance(listed, Sequence) or not all(isinstance(one, Edit) for one in listed):
        raise InputError(f"The edit at {site} is an Edit or a list of Edits, got {chain!r}.")
    for one in listed:
        if one.made_for not in (None, site):
            raise InputError(
                f"This {type(one).__name__} was made for {one.made_for}, not for {site}."
            )
    return list(listed)
