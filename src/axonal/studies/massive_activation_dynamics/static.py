"""Part A: one trained language model, as it is. Where its massive activations sit, and are they needed?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from axonal.activations import Sites, record
from axonal.errors import InputError
from axonal.language.models import LanguageModel, load
from axonal.learning.massive import (
    aggregate,
    causal_check,
    intervene,
    layer_statistics,
    sink_statistics,
    values_at,
    with_first_token,
)
from axonal.studies.massive_activation_dynamics.tasks import english

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.massive_activation_dynamics.config import Config

SHOWN_TOKENS, SHOWN_CHANNELS = 24, 64
SINK_TEXTS, SINK_TOKENS = 2, 96
SHOWN_TOP = 3


def read_model(config: Config, session: Session) -> xr.Dataset:
    """Measure every layer on texts, then set the largest scalar to zero, to its mean, or leave it."""
    language = load(config.model, device=config.device)
    model = language.model
    ids = texts(language, config, session.rng("texts"))
    table = layer_statistics(model, ids, embeddings=True, k=SHOWN_TOP)
    names = ("ratio", "top1", "top2", "top3", "median", "value", "token", "channel", "scalars")
    found: dict[str, Any] = {
        name: (
            ("layer", "text"),
            table.pivot(index="layer", columns="sequence", values=name).to_numpy(),
        )
        for name in names
    }
    series = aggregate(table).set_index("layer")
    found["null"] = ("layer", series["null"].to_numpy())
    bos: Any = language.tokenizer.bos_token_id
    if bos is not None:
        again = layer_statistics(model, with_first_token(ids[:4], bos), embeddings=True, k=1)
        found["ratio_with_bos"] = ("layer", aggregate(again)["ratio"].to_numpy())
    layer = int(series.loc[1:, "ratio"].idxmax())
    place = int(series.loc[layer, "token"]), int(series.loc[layer, "channel"])  # pyright: ignore[reportArgumentType]
    half = len(ids) // 2
    means = values_at(model, ids[half:], layer, [place])
    tested = ids[: min(config.perplexity_texts, half)]
    losses = causal_check(
        model, tested, layer, [place], means=means, seed=session.seed_for("control")
    ).pivot(index="condition", columns="sequence", values="loss")
    losses = losses.loc[["none", "zero", "mean", "control"]]
    found["loss"] = (("condition", "tested"), losses.to_numpy())
    stream = record(model, ids[:1], [Sites.of(model).residual(layer - 1)])
    surface = next(iter(stream.values()))[0].abs().float()
    first = max(0, min(place[1] - SHOWN_CHANNELS // 2, surface.shape[1] - SHOWN_CHANNELS))
    surface = surface[:SHOWN_TOKENS, first : first + SHOWN_CHANNELS]
    found["surface"] = (("token_shown", "channel_shown"), surface.numpy())
    short = ids[:SINK_TEXTS, :SINK_TOKENS]
    with_spike = sink_statistics(model, short)
    with intervene(model, layer, [place], "zero"):
        without = sink_statistics(model, short)
    for name, sinks in (("sink", with_spike), ("sink_without", without)):
        wide = sinks.pivot(index="layer", columns="head", values="importance")
        found[name] = (("block", "head"), wide.to_numpy())
    return xr.Dataset(
        found,
        coords={
            "layer": series.index.to_numpy(),
            "condition": losses.index.to_numpy(dtype=str),
            "channel_shown": np.arange(first, first + surface.shape[1]),
        },
        attrs={"spike_layer": layer, "spike_token": place[0], "spike_channel": place[1]},
    )


def texts(language: LanguageModel, config: Config, rng: np.random.Generator) -> Tensor:
    """Cut texts of equal length out of the help topics, ``(texts, tokens)``, none of them twice."""
    needed = config.texts * config.tokens
    prose = english()
    encoded: Any = language.tokenizer(
        prose[: 8 * needed], return_tensors="pt", add_special_tokens=False, verbose=False
    )
    ids = encoded["input_ids"][0]
    windows = len(ids) // config.tokens
    if windows < config.texts:
        raise InputError(
            f"texts: there is prose for {windows} texts of {config.tokens} tokens, not for "
            f"{config.texts}."
        )
    cut = ids[: windows * config.tokens].view(windows, config.tokens)
    return cut[torch.from_numpy(rng.permutation(windows)[: config.texts])]
