"""Where atomic units live: four sites of every block.

For a linear map ``y = W x`` the atomic unit i is the column ``W[:, i]`` and its coefficient is
``x_i``, so that scaling ``x_i`` scales the unit. That is the input of the attention's output
projection (``attention``) and of the MLP's down projection (``down_proj_in``). The released code
steers the *output* of the MLP instead (``mlp_out``), whose units are rows, and offers the output of
the block (``layer``).
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

from axonal.activations import Site, Sites
from axonal.errors import InputError, nearest

UnitSite = Literal["attention", "mlp_out", "down_proj_in", "layer"]
UNIT_SITES: tuple[UnitSite, ...] = get_args(UnitSite)


def check_site(name: str) -> None:
    """Refuse a site that has no name."""
    if name not in UNIT_SITES:
        raise InputError(f"There is no unit site {name!r}; {nearest(str(name), UNIT_SITES)}")


def unit_site(model: nn.Module, name: UnitSite, layer: int) -> Site:
    """Return the site of a layer's units in a model."""
    check_site(name)
    sites = Sites.of(model)
    if name == "attention":
        return Site(sites.heads(layer).path, "input")  # the flat form: (..., heads * head_dim)
    if name == "down_proj_in":
        return sites.neurons(layer)
    if name == "mlp_out":  # before the norm that some families put after their MLP
        return Site(f"{sites.residual(layer).path}.{sites.layout.mlp}")
    return sites.residual(layer)


def layer_of(model: nn.Module, site: Site) -> int | None:
    """Return the block that a site lies in; None outside of the blocks."""
    prefix = Sites.of(model).layout.blocks + "."
    if not site.path.startswith(prefix):
        return None
    return int(site.path.removeprefix(prefix).partition(".")[0])
