r"""Which neighbours a local transformer looks at: attention rolled out through its blocks.

Abnar & Zuidema 2020: with the pattern :math:`P_b` of block ``b``, averaged over heads, and the
residual stream as the identity,

.. math:: A = \prod_b \tfrac12 (P_b + 1) .

The row of the particle's own token says how much each token is in what the score is read from.
"""

from __future__ import annotations

import torch
import xarray as xr

from axonal.activations import Site, record
from axonal.errors import InputError
from axonal.physics.active_matter.neighbours import nearest
from axonal.physics.active_matter.score import ScoreModel
from axonal.physics.active_matter.states import checked, tensors_of


def attention_rollout(score: ScoreModel, states: xr.DataArray) -> xr.Dataset:
    """Return the rolled-out attention of every particle over itself and its neighbours.

    Parameters
    ----------
    score
        A local transformer.
    states
        ``(sample, particle, variable, axis)``.

    Returns
    -------
    xr.Dataset
        ``weight`` ``(sample, particle, token)``, sums of 1 over tokens, and ``who``, the particle
        that a token is of; token 0 is the particle itself.
    """
    checked(states, score.system)
    if not score.is_local or score.kind == "pair":
        raise InputError(
            f"A score of kind {score.kind!r} has no attention over neighbours; a local one has."
        )
    x, g = tensors_of(states)
    index = nearest(x, score.options["neighbours"], score.system.half_width)
    around = score.surroundings(x, g, index).to(next(score.network.parameters()))
    blocks = len(score.network.encoder.blocks)
    sites = [Site(f"encoder.blocks.{b}.pattern") for b in range(blocks)]
    patterns = record(score.network, (around,), sites, stop=False)
    rolled = torch.eye(index.shape[-1]).expand(len(around), -1, -1)
    for site in sites:
        mean = patterns[site].mean(dim=1)
        rolled = (mean + torch.eye(mean.shape[-1])) / 2 @ rolled
    weight = rolled[:, 0].reshape(index.shape)
    dims = ("sample", "particle", "token")
    return xr.Dataset({"weight": (dims, weight.numpy()), "who": (dims, index.numpy())})
