r"""How far two sets of points are apart, and how far a map is from optimal, by entropic transport.

The Sinkhorn divergence (Genevay, Peyré & Cuturi 2018; Feydy et al. 2019)

.. math::

    S_\varepsilon(\mu, \nu) = \mathrm{OT}_\varepsilon(\mu, \nu)
        - \tfrac12 \mathrm{OT}_\varepsilon(\mu, \mu) - \tfrac12 \mathrm{OT}_\varepsilon(\nu, \nu)

is 0 exactly where the two are equal. The Monge gap of a map (Uscidda & Cuturi 2023)

.. math::

    M_\varepsilon(T) = \frac1n \sum_i c(x_i, T(x_i)) - W_\varepsilon(\mu_n, T_\# \mu_n), \qquad
    W_\varepsilon = \langle P, C \rangle - \varepsilon H(P)

is least where no other pairing of the same points would be cheaper.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.transport.arrays import Array
from axonal.transport.costs import Cost, paired, points
from axonal.transport.exact import exact_transport
from axonal.transport.sinkhorn import transport_points


def sinkhorn_divergence(
    x: Array,
    y: Array,
    epsilon: float | Literal["auto"] = "auto",
    *,
    cost: Cost = "sqeuclidean",
    a: Array | None = None,
    b: Array | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 2000,
    block: int | None = None,
) -> Any:
    """Return the Sinkhorn divergence of two sets of points.

    Parameters
    ----------
    x, y
        ``(..., n, d)`` and ``(..., m, d)``; gradients flow to both.
    epsilon
        In the units of the cost; ``"auto"`` is 5 % of the mean cost between ``x`` and ``y``.
    cost, a, b, tolerance, max_iterations, block
        As for :func:`transport_points`.

    Returns
    -------
    Array
        One number a problem of the batch, in the units of the cost; not negative, up to the
        tolerance.
    """
    options: dict[str, Any] = {
        "cost": cost,
        "tolerance": tolerance,
        "max_iterations": max_iterations,
        "block": block,
    }
    between = transport_points(x, y, epsilon, a=a, b=b, **options)
    strength = between.epsilon
    within_x = transport_points(x, x, strength, a=a, b=a, **options)
    within_y = transport_points(y, y, strength, a=b, b=b, **options)
    return between.value - (within_x.value + within_y.value) / 2


def monge_gap(
    source: Array,
    mapped: Array,
    epsilon: float = 0.01,
    *,
    cost: Cost = "euclidean",
    groups: Array | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 2000,
    block: int | None = None,
) -> Any:
    r"""Return the Monge gap of a map, from points and where it takes them.

    It is at least :math:`\varepsilon \log n`, whatever the map; with ``epsilon=0`` it is the exact
    gap: at least 0, and 0 where the pairing is optimal.

    Parameters
    ----------
    source, mapped
        ``(n, d)``, row by row; gradients flow to both.
    epsilon
        In the units of the cost; 0 asks for exact transport, which needs POT.
    cost
        The ground cost.
    groups
        A label for each row: the mean over the groups of their own gaps, which is the conditional
        Monge gap.
    tolerance, max_iterations, block
        As for :func:`transport_points`.
    """
    if groups is not None:
        return _grouped(
            source,
            mapped,
            groups,
            epsilon=epsilon,
            cost=cost,
            tolerance=tolerance,
            max_iterations=max_iterations,
            block=block,
        )
    x, y, kind = points(source, mapped, cost)
    if x.shape != y.shape:
        raise InputError(
            "source and mapped: a map takes each row to one row, but shapes "
            f"{tuple(x.shape)} and {tuple(y.shape)} came."
        )
    moved = paired(x, y, cost).mean(-1)
    if epsilon == 0:
        least = exact_transport(x, y, cost=cost).value
    else:
        coupling = transport_points(
            x,
            y,
            epsilon,
            cost=cost,
            tolerance=tolerance,
            max_iterations=max_iterations,
            block=block,
        )
        least = coupling.entropy_value
    gap = moved - least
    return kind.number(gap)


def _grouped(source: Array, mapped: Array, groups: Array, **options: Any) -> Any:
    import numpy as np

    labels = groups.cpu().numpy() if isinstance(groups, Tensor) else np.asarray(groups)
    if labels.shape != (len(source),):
        raise InputError(
            f"groups: expected one label for each of the {len(source)} rows, got shape "
            f"{labels.shape}."
        )
    gaps = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        chosen: Any = torch.as_tensor(rows) if isinstance(source, Tensor) else rows
        other: Any = torch.as_tensor(rows) if isinstance(mapped, Tensor) else rows
        gaps.append(monge_gap(source[chosen], mapped[other], **options))
    return sum(gaps) / len(gaps)
