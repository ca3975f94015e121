r"""What a map does to activations that it was not fitted on.

- displacement :math:`E|x' - x| / E|x|`, and the root mean square of the move, which for an optimal
  map is the Wasserstein-2 distance that it bridges
- the Wasserstein-2 distance between the normal laws of source and target, before and after, in the
  leading principal axes of the prompts that the map was fitted on
- the area under the ROC curve of a linear probe (Fisher's discriminant, learned anew before and
  after on the fitting half): 0.5 finds nothing
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from axonal.errors import InputError
from axonal.statistics import auc
from axonal.transport import Gaussian, wasserstein
from axonal.transport.affine import Map
from axonal.transport.subspace import principal_axes, subspace

#: Principal axes at most in which laws are compared.
AXES = 8


@dataclass(frozen=True)
class Audit:
    """A map seen on a held-out half.

    Parameters
    ----------
    displacement
        How far it moves the source, in parts of the length of the activations.
    move
        Root mean square of the move, in units of the activations.
    distance_before, distance_after
        Wasserstein-2 distance between source and target.
    probe_before, probe_after
        Area under the ROC curve of a linear probe.
    """

    displacement: float
    move: float
    distance_before: float
    distance_after: float
    probe_before: float
    probe_after: float


def audit(
    steering: Map,
    fitted: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    *,
    strength: float = 1.0,
) -> Audit:
    """Look at a map through activations that it was not fitted on.

    Parameters
    ----------
    steering
        The map of one site.
    fitted, held_out
        Source and target rows ``(samples, width)`` that it was fitted on, and others.
    strength
        Of the map.
    """
    source, target = (x.double() for x in fitted)
    new_source, new_target = (x.double() for x in held_out)
    for name, rows in (("source", new_source), ("target", new_target)):
        if len(rows) < 3:
            raise InputError(f"{name}: {len(rows)} held-out rows are too few, expected at least 3.")
    moved, new_moved = (steering.apply(x, strength) for x in (source, new_source))
    step = torch.linalg.vector_norm(new_moved - new_source, dim=1)
    both = torch.cat([source, target])
    count = min(AXES, both.shape[1], max(1, min(len(new_source), len(new_target)) // 2))
    axes = principal_axes(both - both.mean(dim=0), min(count, len(both) - 1))
    return Audit(
        displacement=float(step.mean() / torch.linalg.vector_norm(new_source, dim=1).mean()),
        move=float(step.square().mean().sqrt()),
        distance_before=_distance(new_source @ axes, new_target @ axes),
        distance_after=_distance(new_moved @ axes, new_target @ axes),
        probe_before=_probe((source, target), (new_source, new_target)),
        probe_after=_probe((moved, target), (new_moved, new_target)),
    )


def _distance(source: Tensor, target: Tensor) -> float:
    return wasserstein(Gaussian.of(source, "auto"), Gaussian.of(target, "auto"))


def _probe(fitted: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor]) -> float:
    try:
        direction = subspace(*fitted, 1, "fisher")[:, 0]
    except InputError:  # equal means, or no spread to look along: a probe finds nothing
        return 0.5
    scores = torch.cat(held_out) @ direction
    labels = [0] * len(held_out[0]) + [1] * len(held_out[1])
    return auc(labels, scores.numpy()).value
