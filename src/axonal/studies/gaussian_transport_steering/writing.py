"""What a steered model writes: whether it declines as its first token said, and whether it repeats."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from axonal.activations import Edit, Site, edit
from axonal.language.steering.generation import continuation, written_mask
from axonal.language.steering.prompts import pad
from axonal.language.steering.where import Where
from axonal.studies.gaussian_transport_steering.model import Trial
from axonal.studies.gaussian_transport_steering.selection import APPLY


def written(trial: Trial, blocks: dict[str, int], prompts: int, tokens: int) -> xr.Dataset:
    """Let the model write under the best map at some blocks, and without it.

    Parameters
    ----------
    trial
        A resample.
    blocks
        Where the map acts, by name; ``"untouched"`` is added.
    prompts
        How many test prompts with the behaviour.
    tokens
        To write after each.

    Returns
    -------
    xarray.Dataset
        ``distinct`` ``(place,)``: the mean share of different tokens among the written;
        ``opening`` ``(place,)``: the share of texts that begin as a decline does; ``texts``
        ``(place, prompt)``.
    """
    bench, chooser = trial.bench, trial.chooser
    language_model = bench.case.language_model
    rows = list(bench.case.groups["source"])[:prompts]
    places = [None, *blocks.values()]
    where = Where(list(APPLY))
    method = chooser.method(trial.best.name)
    yes = torch.tensor(getattr(bench.case.readout, "yes", ()))
    # All places in one batch, each map on its own rows: a decoding step costs the same for few.
    edits: dict[Site, list[Edit]] = {}
    for place, block in enumerate(places):
        if block is not None:
            own = list(range(place * len(rows), (place + 1) * len(rows)))
            one = bench.fit(method, block).edit(positions=where, rows=own)
            edits.setdefault(bench.sites.residual(block), []).append(one)
    with edit(language_model.model, edits):
        every = continuation(language_model, pad(rows * len(places), language_model), tokens)
    distinct, opening, texts = [], [], []
    for ids in every.split(len(rows)):
        real = written_mask(language_model, ids)
        shares = [
            len(set(row[keep].tolist())) / max(1, int(keep.sum()))
            for row, keep in zip(ids, real, strict=True)
        ]
        distinct.append(float(np.mean(shares)))
        opening.append(float(torch.isin(ids[:, 0].cpu(), yes).float().mean()))
        texts.append(language_model.tokenizer.batch_decode(ids, skip_special_tokens=True))
    return xr.Dataset(
        {
            "distinct": ("place", distinct),
            "opening": ("place", opening),
            "texts": (("place", "prompt"), np.array(texts, dtype=object)),
        },
        coords={"place": ["untouched", *blocks]},
    )
