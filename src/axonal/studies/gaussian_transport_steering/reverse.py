"""The other way: give a behaviour back, bring it about, and notice that it was moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from axonal.language.steering import DriftMonitor
from axonal.statistics import auc
from axonal.studies.gaussian_transport_steering.comparison import anew, calm, summary
from axonal.studies.gaussian_transport_steering.last_token import LastTokens
from axonal.studies.gaussian_transport_steering.model import Trial
from axonal.transport import NoveltyDetector

if TYPE_CHECKING:
    from axonal.language.models import LanguageModel

WINDOW = 12
"""Rows of a window of traffic, where there are enough for it."""


def restore(trial: Trial, block: int) -> xr.Dataset:
    """Undo the map at its own block, and repair what it did at a later one.

    The repair is fitted on the moved activations of the fitted prompts and their own ones.
    """
    bench, best = trial.bench, trial.best
    groups = list(bench.case.groups)
    method = trial.chooser.method(best.name)
    fitted = bench.fit(method, best.block)
    x = bench.held_out.activations[best.block]
    with calm():
        back = fitted.inverse_transform(fitted.transform(x))
    undone = bench.scores(bench.held_out.moved(best.block, back))
    gap = max(float(np.abs(undone[g]["odds"] - bench.before[g]["odds"]).max()) for g in groups)
    with calm():
        moved, held_out = (fitted.transform(rows) for rows in (bench.source[best.block], x))
    carried = bench.read_source.carried(best.block, moved, block)
    repair = anew(method, carried, bench.source[block])
    edits = {bench.sites.residual(block): repair.edit()}
    repaired = bench.scores(bench.held_out.moved(best.block, held_out, edits))
    return xr.Dataset(
        {
            "undone_odds_gap": gap,
            "restore_block": block,
            **{
                f"restored_{n}": ("group", values)
                for n, values in summary(repaired, groups).items()
            },
        },
        coords={"group": groups},
    )


def strengthen(trial: Trial, weaker: LanguageModel | None) -> xr.Dataset:
    """Bring the behaviour about: in prompts that are answered, and in an organism taught less.

    In the first the map goes from answered to declined prompts, in the second from the weaker
    organism's activations to the organism's own, for the same prompts.
    """
    bench, best = trial.bench, trial.best
    groups = list(bench.case.groups)
    method = trial.chooser.method(best.name)
    other_way = anew(method, bench.target[best.block], bench.source[best.block])
    found = {
        f"provoked_{n}": ("group", v)
        for n, v in summary(bench.moved(other_way, best.block), groups).items()
    }
    if weaker is not None:
        fit = LastTokens(weaker, [*bench.case.source], [best.block])
        held_out = LastTokens(weaker, [*bench.case.groups["source"]], [best.block])
        raised = anew(method, fit.activations[best.block], bench.source[best.block])
        moved = held_out.moved(best.block, raised.transform(held_out.activations[best.block]))
        for name, predicted in (("weak", held_out.log_probabilities), ("raised", moved)):
            odds = bench.case.readout(predicted).cpu().numpy()
            found |= {f"{name}_rate": ((), (odds > 0).mean()), f"{name}_odds": ((), odds.mean())}
    return xr.Dataset(found, coords={"group": groups})


def monitor(trial: Trial, rng: np.random.Generator, windows: int = 100) -> xr.Dataset:
    """Tell transported prompts from ordinary traffic by their activations, where they were moved.

    Ordinary traffic is declined and answered prompts in equal parts; in attacked traffic every
    declined prompt is transported.

    - ``rows``: a transported prompt against ordinary ones, by a detector of all traffic.
    - ``answered``: against the answered ones, among which it was put, by a detector of these.
    - ``windows``: a window of attacked traffic against one of ordinary traffic.
    - ``quiet``: against one in which nobody asked what is declined, which is no attack.
    """
    bench, best = trial.bench, trial.best
    found: dict[str, Any] = {}
    x = bench.held_out.activations[best.block]
    source, target = x[bench.slices["source"]], x[bench.slices["target"]]
    answered = bench.target[best.block]
    reference = torch.cat([bench.source[best.block], answered])
    rows, among = (
        NoveltyDetector(max(1, min(8, len(r) - 3))).fit(r) for r in (reference, answered)
    )
    window = max(3, min(WINDOW, len(reference) // 4))
    watch = DriftMonitor(reference, window=window, seed=int(rng.integers(2**31)))

    def distances(declined: Tensor) -> np.ndarray:
        told = []
        for _ in range(windows):
            on = rng.integers(len(declined), size=window // 2)
            off = rng.integers(len(target), size=window - window // 2)
            watch.reset()
            drift = watch.update(torch.cat([declined[on], target[off]]))
            told.append(np.nan if drift is None else drift.distance)
        return np.array(told)

    ordinary, quiet = distances(source), distances(target)
    for name in (best.name, "mean shift", "directional ablation", "Gaussian, full"):
        fitted = bench.fit(trial.chooser.method(name), best.block)
        with calm():
            moved = fitted.transform(source)
        attacked = distances(moved)
        found[name] = [
            _area(rows.score(moved), rows.score(torch.cat([source, target]))),
            _area(among.score(moved), among.score(target)),
            _area(attacked, ordinary),
            _area(attacked, quiet),
        ]
    return xr.Dataset(
        {"area": (("monitored", "against"), np.array(list(found.values())))},
        coords={
            "monitored": ["transport", *list(found)[1:]],
            "against": ["rows", "answered", "windows", "quiet"],
        },
    )


def _area(positives: Any, negatives: Any) -> float:
    scores = np.concatenate([np.asarray(positives), np.asarray(negatives)])
    return auc([1] * len(positives) + [0] * len(negatives), scores).value


def later(blocks: Sequence[int], block: int, depth: int) -> int:
    """Return a block to repair at: the next of those studied, or the last but one."""
    after = [b for b in blocks if b > block]
    return after[0] if after else min(block + 1, depth - 1)
