"""From the stages of a run to its measurements and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from axonal.lab import Session

SHARE = (0.0, 1.0)
CONDITIONS = {
    "base": "unsteered",
    "austeer": "AUSteer",
    "random": "random units",
    "activation_difference": "activation difference",
    "fixed_strength": "fixed strength",
    "fixed_vector": "fixed vector",
    "promotion": "promotion only",
    "suppression": "suppression only",
    "all_units": "all units",
    "causal_ranking": "causal ranking",
    "mean_shift": "mean shift",
    "head_shift": "head shift",
    "head_scaling": "head scaling",
    "reversed": "reversed",
    "restored": "reversed, restored",
    "doubled": "doubled",
}
"""Measurements, and the conditions that they are means of."""


def record(
    session: Session,
    tasks: Sequence[xr.Dataset],
    block: xr.Dataset,
    laws: xr.Dataset,
    confound: xr.Dataset,
    organism: xr.Dataset,
    cost: xr.Dataset,
) -> None:
    """Record every measurement that the claims and the report name."""
    for name, condition in CONDITIONS.items():
        session.measure(f"accuracy_{name}", _mean(tasks, condition, "accuracy"), bounds=SHARE)
        session.measure(f"gap_{name}", _mean(tasks, condition, "gap"), "logits")
        units = np.mean([float(t["units"].sel(condition=condition)) for t in tasks])
        session.measure(f"units_{name}", units, "units", exact=True)
    for site in tasks[0]["site"].to_numpy():
        accuracy = _mean(tasks, f"AUSteer, {site}", "accuracy")
        session.measure(f"accuracy_austeer_{site}", accuracy, bounds=SHARE)
    for task in tasks:
        for name in ("base", "austeer"):
            chosen = task["test"].sel(condition=CONDITIONS[name], measure="accuracy")
            session.measure(
                f"accuracy_{name}_{task.attrs['task']}", chosen.to_numpy(), bounds=SHARE
            )
    _curves(session, tasks)
    _overlaps(session, tasks)
    _one_block(session, block)
    for name, quantity in (("own_limit", "own"), ("between_units", "across")):
        curve = laws[quantity].mean("unit" if quantity == "own" else "pair")
        curve = (curve / float(laws[quantity].max())).transpose("group", "strength")
        if quantity == "own":
            curve = curve[:, :-1]  # the last is the limit itself
        prefix = "divergence_from_" if quantity == "own" else "divergence_"
        session.measure(
            f"{prefix}{name}", curve.to_numpy(), along=curve["strength"], along_name="strength"
        )
    planted = organism["precision"].sel(growth=100.0)
    for name in ("momentum", "difference"):
        values = planted.sel(ranking=name).to_numpy()
        session.measure(f"planted_precision_{name}", values, bounds=SHARE)
    correlation = np.mean([t["score_effect_correlation"].to_numpy() for t in tasks], axis=0)
    session.measure("score_effect_correlation", correlation, "rho", bounds=(-1, 1))
    over = [float(t["best_score"] - t["chance_score"]) for t in tasks]
    session.measure("best_score_over_chance", over)
    for ranked in confound["ranked"].to_numpy():
        words = str(ranked).replace(" ", "_")
        for name, quantity in (("near_certain_units", "above"), ("shared_with_balanced", "shared")):
            value = float(confound[quantity].sel(ranked=ranked))
            session.measure(f"{name}_{words}", value, exact=True)
    times = cost["times"]
    bare = times.sel(run="bare")
    session.measure("steered_time_over_bare", (times.sel(run="steered") / bare).to_numpy())
    session.measure("folded_time_over_bare", (times.sel(run="folded") / bare).to_numpy())
    shifted = times.sel(run="steered") / times.sel(run="mean shift")
    session.measure("steered_time_over_shifted", shifted.to_numpy())
    session.measure("ranking_seconds_a_pair", float(cost["pair_seconds"]), "s", exact=True)
    session.measure("fold_difference", float(cost["fold_difference"]), "logits", exact=True)
    for way in tasks[0]["way"].to_numpy():
        words = str(way).lower().replace(" ", "_")
        harm = [float(t["harm"].sel(way=way)) for t in tasks]
        session.measure(f"neutral_kl_{words}", harm, "nats")


def _curves(session: Session, tasks: Sequence[xr.Dataset]) -> None:
    numbers = sorted(set.intersection(*({int(n) for n in t["number"]} for t in tasks)))
    by_units = np.mean([t["by_units"].sel(number=numbers).to_numpy() for t in tasks], axis=0)
    session.measure(
        "accuracy_by_units", by_units.T, along=numbers, along_name="units", bounds=SHARE
    )
    by_pairs = np.mean([t["by_pairs"].to_numpy() for t in tasks], axis=0)
    pairs = tasks[0]["pairs"].to_numpy()
    session.measure("accuracy_by_pairs", by_pairs.T, along=pairs, along_name="pairs", bounds=SHARE)
    half = int(np.abs(pairs - pairs[-1] / 2).argmin())
    session.measure("accuracy_half_of_pairs", by_pairs[half], bounds=SHARE)
    session.measure("accuracy_all_pairs", by_pairs[-1], bounds=SHARE)


def _overlaps(session: Session, tasks: Sequence[xr.Dataset]) -> None:
    tops = [t["top_attention"].to_numpy() for t in tasks]
    repeats = len(tops[0])
    between = [
        np.mean([jaccard(tops[a][r], tops[b][r]) for a in range(len(tops)) for b in range(a)])
        for r in range(repeats)
    ]
    within = [
        np.mean([jaccard(top[r], top[s]) for top in tops for s in range(repeats) if s != r])
        for r in range(repeats)
    ]
    session.measure("overlap_between_tasks", between, bounds=SHARE)
    session.measure("overlap_within_task", within, bounds=SHARE)
    depth, width = tasks[0]["score"].shape
    beyond = [
        np.mean([np.mean(top[r] // width >= depth / 3) for top in tops]) for r in range(repeats)
    ]
    session.measure("share_beyond_first_third", beyond, bounds=SHARE)


def _one_block(session: Session, block: xr.Dataset) -> None:
    ways = {
        "accuracy_head_base": "unsteered",
        "accuracy_best_unit": "best unit",
        "accuracy_best_units": "best units together",
        "accuracy_with_harmful": "with harmful units",
        "accuracy_head_scaled": "whole head scaled",
        "accuracy_head_shifted": "whole head shifted",
    }
    for name, way in ways.items():
        values = block["test"].sel(way=way, measure="accuracy").to_numpy()
        session.measure(name, values, bounds=SHARE)


def notes(
    session: Session, tasks: Sequence[xr.Dataset], block: xr.Dataset, confound: xr.Dataset
) -> None:
    """Say what a reader must know to read the numbers."""
    for task in tasks:
        about, name = task.attrs, task.attrs["task"]
        base = 100 * float(task["test"].sel(condition="unsteered", measure="accuracy").mean())
        steered = 100 * float(task["test"].sel(condition="AUSteer", measure="accuracy").mean())
        equal = float(task["equal_effect_units"])
        reached = (
            "no number of units reaches the best block's validation accuracy"
            if np.isnan(equal)
            else f"{equal:.0f} units reach the best block's validation accuracy"
        )
        session.note(
            f"{name}: {base:.1f} % right unsteered, {steered:.1f} % with {about['chosen_k']} units at "
            f"{about['chosen_site']} and alpha {about['chosen_alpha']:g}, chosen on validation; "
            f"{reached}."
        )
        best, chance = float(task["best_score"]), float(task["chance_score"])
        session.note(
            f"{name}: the best unit scores {best:.3f}; of as many units that mean nothing the best "
            f"is expected to score {chance:.3f}."
        )
        session.note(
            f"{name}: of the best units, {100 * float(task['right_sign']):.0f} % have the sign that "
            f"helps the right answer, to first order; the first token's residual stream moves by up "
            f"to {100 * float(task['first_token'].max()):.0f} % of its norm."
        )
    one = float(confound["above"].sel(ranked="one answer"))
    balanced = float(confound["above"].sel(ranked="balanced"))
    session.note(
        f"Where one answer is always the right one, {100 * one:.1f} % of the units score 0.95 or more, "
        f"because they tell the two answer tokens apart; with balanced answers {100 * balanced:.2f} % do."
    )
    session.note(
        f"Single units are those of head {block.attrs['head']} of layer {block.attrs['layer']}, the "
        f"head that stands out most on {block.attrs['task']}."
    )
    session.note(
        "Settings are chosen on validation questions and every number is of test questions; the "
        "released script chooses on the test questions."
    )
    session.note(
        "Promotion steers only units that are larger in good texts, suppression only those that are "
        "smaller: a reading of the paper's words, whose code has neither."
    )


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Return the share of common members among all members of two sets."""
    one, other = set(a.tolist()), set(b.tolist())
    return len(one & other) / len(one | other)


def _mean(tasks: Sequence[xr.Dataset], condition: str, measure: str) -> np.ndarray:
    """Return the mean over tasks, one number a resample."""
    at = {"condition": condition, "measure": measure}
    return np.mean([t["test"].sel(at).to_numpy() for t in tasks], axis=0)
