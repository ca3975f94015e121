"""Where a dictionary belongs: TransformerLens's hook names, which SAELens files use, and our sites."""

from __future__ import annotations

import re

from torch import nn

from axonal.activations import Site, Sites
from axonal.errors import InputError

#: What a hook is called, and the method of `Sites` that finds the same tensor.
HOOKS = {
    "hook_resid_pre": "residual_pre",
    "hook_resid_post": "residual",
    "hook_attn_out": "attention",
    "hook_mlp_out": "mlp",
    "mlp.hook_post": "neurons",
}
_HOOK = re.compile(r"blocks\.(\d+)\.(.+)")


def site_at(place: str, model: nn.Module) -> Site:
    """Return the site that a hook name or a module's path means in a model.

    >>> site_at("blocks.18.hook_resid_post", model)
    Site(path='model.layers.18', side='output', heads=None, head=None)
    """
    match = _HOOK.fullmatch(place)
    if match is None:
        site = Site(place)
        site.module(model)  # names the nearest path where there is none
        return site
    block, hook = int(match[1]), match[2]
    if hook not in HOOKS:
        raise InputError(
            f"A dictionary at {place!r} cannot be placed; known hooks are {', '.join(HOOKS)}."
        )
    return getattr(Sites.of(model), HOOKS[hook])(block)


def place_of(site: Site, model: nn.Module) -> str:
    """Return the hook name of a site, or its module path where it has none."""
    sites = Sites.of(model)
    for block in range(sites.blocks):
        for hook, method in HOOKS.items():
            if hook == "mlp.hook_post" and sites.layout.down_projection is None:
                continue
            if getattr(sites, method)(block) == site:
                return f"blocks.{block}.{hook}"
    if site.side == "output" and site.heads is None:
        return site.path
    raise InputError(f"{site} has no name that a dictionary's file could keep: use an output.")
