"""The study on one model: the sweep, the choices, one or two blocks or all, how strongly."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from axonal.activations import Edit, Project, Site, edit
from axonal.language.organisms import DeclineOdds
from axonal.language.steering import NeutralTexts
from axonal.studies.gaussian_transport_steering.comparison import (
    BASELINES,
    SUMMARIES,
    Bench,
    Case,
    anew,
    summary,
    sweep,
)
from axonal.studies.gaussian_transport_steering.last_token import LastTokens, Tokens
from axonal.studies.gaussian_transport_steering.pools import Draw
from axonal.studies.gaussian_transport_steering.selection import Choice, Chooser
from axonal.transport.subspace import mean_difference

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel
    from axonal.studies.gaussian_transport_steering.study import Config

EVERYWHERE = ("Gaussian 2", "pooled 2", "Linear-AcT", "directional ablation")
"""Maps that are also tried at every block at once, each block's fitted after those below it."""

ALONE = "Gaussian 2, each by itself"
"""The first of them with every block's map fitted as if it were the only one."""

DOSED = (
    "Gaussian 2",
    "Gaussian, full",
    "mean shift",
    "Linear-AcT",
    "directional ablation",
    "LEACE",
)
"""Maps that are also tried at other strengths."""

LIKELY = 10
"""A first token is that of an answer if it is among so many likeliest ones of the base model."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One resample on one model, with everything that later measurements need."""

    bench: Bench
    chooser: Chooser
    found: xr.Dataset
    best: Choice


def leaders(components: Sequence[int]) -> dict[str, tuple[str, ...]]:
    """Return the contests that are decided on validation prompts, by name."""
    few = [k for k in components if k <= 2] or [min(components)]
    many = max(components)
    return {
        "transport": tuple(f"{basis} {k}" for basis in ("pooled", "Gaussian") for k in few),
        "baseline": BASELINES,
        "few components": tuple(f"Gaussian {k}" for k in few),
        "many components": (f"Gaussian {many}",),
        "mean shift": ("mean shift",),
    }


def case_of(
    language_model: LanguageModel, config: Config, draw: Draw, base: LanguageModel | None
) -> Case:
    """Put the prompts of a draw to an organism."""
    tokenizer = language_model.tokenizer
    yes = DeclineOdds(config.openings).tokens(language_model, draw.source)
    groups = {
        "validation": draw.validation,
        "source": draw.test_source,
        "target": draw.test_target,
        **({"look_alikes": draw.look_alikes} if draw.look_alikes is not None else {}),
    }
    rows = {name: prompts.encode(tokenizer) for name, prompts in groups.items()}
    acceptable = {} if base is None else _answers(base, rows, ("validation", "source"))
    return Case(
        language_model,
        Tokens(tuple(yes)),
        draw.source.encode(tokenizer),
        draw.target.encode(tokenizer),
        rows,
        config.blocks_of(language_model.model.config.num_hidden_layers),
        config.components,
        acceptable,
    )


def examine(case: Case, config: Config, neutral: NeutralTexts | None = None) -> Trial:
    """Sweep, choose, and compare one block with two and with all."""
    bench = Bench(case)
    found = sweep(bench)
    chooser = Chooser(bench, found, neutral, config.perplexity_cap)
    best = chooser.best(leaders(case.components)["transport"])
    found = xr.merge(
        [
            found,
            _chosen(chooser, found, leaders(case.components)),
            _wider(bench, chooser, best),
            _costs(bench, best, chooser),
        ]
    )
    found = xr.merge([found, _doses(bench, chooser, found, config.strengths)])
    return Trial(bench, chooser, found, best)


def _chosen(
    chooser: Chooser, found: xr.Dataset, contests: dict[str, tuple[str, ...]]
) -> xr.Dataset:
    """Each map at its own best block, and the winner of each contest."""
    singles = [chooser.best([name]) for name in found["map"].values.tolist()]
    winners = [chooser.best(names) for names in contests.values()]

    def of(choices: list[Choice], dim: str, prefix: str) -> dict[str, Any]:
        at = [found.sel(map=c.name, block=c.block) for c in choices]
        return {
            **{
                f"{prefix}_{name}": ((dim, "group"), np.stack([x[name].to_numpy() for x in at]))
                for name in SUMMARIES
            },
            f"{prefix}_block": (dim, [c.block for c in choices]),
            f"{prefix}_depth": (dim, [float(x["depth"]) for x in at]),
            f"{prefix}_perplexity": (dim, [c.perplexity for c in choices]),
            f"{prefix}_neutral_kl": (dim, [c.kl for c in choices]),
        }

    return xr.Dataset(
        {
            **of(singles, "map", "chosen"),
            **of(winners, "contest", "won"),
            "won_perplexity_last": ("contest", [chooser.harm_once(c) for c in winners]),
            "won_map": ("contest", [c.name for c in winners]),
        },
        coords={"contest": list(contests)},
    )


def _wider(bench: Bench, chooser: Chooser, best: Choice) -> xr.Dataset:
    """The best map with a second block, maps at all blocks, and ablation in every write."""
    groups = list(bench.case.groups)
    method = chooser.method(best.name)
    others = [b for b in bench.case.blocks if b != best.block]
    pairs = [summary(bench.pair(method, best.block, other), groups) for other in others]
    at = groups.index("validation")
    first = min(range(len(others)), key=lambda i: (-pairs[i]["changed"][at], pairs[i]["odds"][at]))
    names, found, harm = [], [], []
    every = {n: bench.in_sequence(chooser.method(n)) for n in EVERYWHERE if n in bench.names}
    alone = chooser.method(EVERYWHERE[0] if EVERYWHERE[0] in bench.names else best.name)
    every[ALONE] = {b: bench.fit(alone, b) for b in range(bench.depth)}
    for name, fitted in every.items():
        edits = {bench.sites.residual(b): one.edit() for b, one in fitted.items()}
        names.append(name)
        found.append(summary(bench.edited(edits), groups))
        harm.append(chooser.damage(fitted))
    block = chooser.best(["directional ablation"]).block
    edits = _every_write(bench, block)
    names.append("ablation of every write")
    rows = [row for prompts in bench.case.groups.values() for row in prompts]
    with edit(bench.case.language_model.model, edits):
        predicted = LastTokens(bench.case.language_model, rows, []).log_probabilities
    found.append(summary(bench.scores(predicted), groups))
    harm.append(chooser.harm_of(edits))
    return xr.Dataset(
        {
            **{f"pair_{n}": (("second", "group"), _column(pairs, n)) for n in SUMMARIES},
            "pair_best": others[first],
            **{f"all_{n}": (("wide", "group"), _column(found, n)) for n in SUMMARIES},
            "all_perplexity": ("wide", [h[0] for h in harm]),
            "all_neutral_kl": ("wide", [h[1] for h in harm]),
        },
        coords={"second": others, "wide": names},
    )


def _doses(
    bench: Bench, chooser: Chooser, found: xr.Dataset, strengths: Sequence[float]
) -> xr.Dataset:
    """Some maps at their own best blocks, at several strengths."""
    groups = list(bench.case.groups)
    names = [name for name in DOSED if name in bench.names]
    doses = {n: np.empty((len(names), len(strengths), len(groups))) for n in SUMMARIES}
    for i, name in enumerate(names):
        block = int(found["chosen_block"].sel({"map": name}))
        fitted = bench.fit(chooser.method(name), block)
        for j, strength in enumerate(strengths):
            if strength == 1.0:  # the sweep has it
                scores = {n: found[n].sel({"map": name, "block": block}) for n in SUMMARIES}
            else:
                fitted = fitted.set_params(strength=strength)
                scores = summary(bench.moved(fitted, block), groups)
            for n, values in scores.items():
                doses[n][i, j] = values
    return xr.Dataset(
        {f"dose_{n}": (("dosed", "strength", "group"), values) for n, values in doses.items()},
        coords={"dosed": names, "strength": list(strengths)},
    )


def _costs(bench: Bench, best: Choice, chooser: Chooser) -> xr.Dataset:
    """Seconds to fit the best map, and what its edit costs of one decoding step."""
    fits, edits = [], []
    one = bench.fit(chooser.method(best.name), best.block)
    row = bench.held_out.activations[best.block][:1].unsqueeze(1)
    step = bench.held_out.step_seconds()
    on = one.edit()
    for _ in range(5):
        began = time.process_time()
        anew(chooser.method(best.name), bench.source[best.block], bench.target[best.block])
        fits.append(time.process_time() - began)
        began = time.process_time()
        for _ in range(20):
            on(row)
        edits.append((time.process_time() - began) / 20)
    return xr.Dataset(
        {
            "fit_once_seconds": float(np.median(fits)),
            "edit_time_share": float(np.median(edits)) / step,
        }
    )


def _every_write(bench: Bench, block: int) -> dict[Site, Edit]:
    """Take the direction between the means at a block out of all that is added to the stream."""
    delta = mean_difference(bench.source[block].double(), bench.target[block].double())
    direction = (delta / torch.linalg.vector_norm(delta)).float()
    # The first token is an attention sink, which stays as it is.
    edits: dict[Site, Edit] = {
        bench.sites.residual_pre(0): Project(direction, positions=slice(1, None))
    }
    for b in range(bench.depth):
        edits[bench.sites.attention(b)] = Project(direction, positions=slice(1, None))
        edits[bench.sites.mlp(b)] = Project(direction, positions=slice(1, None))
    return edits


def _answers(
    base: LanguageModel, rows: dict[str, list[Tensor]], names: Sequence[str]
) -> dict[str, Tensor]:
    """Which first tokens the base model finds likely, ``(prompts, vocabulary)`` for each group."""
    found = {}
    for name in names:
        predicted = LastTokens(base, rows[name], []).log_probabilities
        likely = predicted.topk(LIKELY, dim=-1).indices
        found[name] = torch.zeros_like(predicted, dtype=torch.bool).scatter_(1, likely, True)
    return found


def _column(found: Sequence[dict[str, np.ndarray]], name: str) -> np.ndarray:
    return np.stack([one[name] for one in found])
