"""From curves and trained models to measurements and notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from axonal.learning.induction import rank_one_phase_change
from axonal.studies.induction_head_formation.afterwards import PREVIOUS_TOKEN_HEADS
from axonal.studies.induction_head_formation.trainings import CLAMPS, SCALED

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.induction_head_formation.config import Config

LN2 = float(np.log(2))
BAND = (LN2 - 0.1, LN2 + 0.1)  # what counts as near the plateau
TOY_REPEATS = 40
TOY = {"none": (), "c": ("c",), "b_c": ("b", "c")}
Curves = Mapping[str, xr.Dataset]


def record(
    session: Session, config: Config, curves: Curves, trained: xr.Dataset, toy: xr.Dataset
) -> None:
    """Record every measurement that the claims and the report name."""
    _shape_of_the_curve(session, curves["all heads"])
    _trained(session, trained)
    _times(session, curves)
    _progress(session, curves, trained)
    _data(session, config, curves)
    for name in TOY:
        time = np.nan_to_num(toy["time"].sel(clamp=name).to_numpy(), nan=float(toy["budget"]))
        session.measure(f"toy_time_{name}", time, "iterations")
    session.measure("toy_exponential_error", float(toy["exponential_error"]), exact=True)


def times(curve: xr.Dataset) -> np.ndarray:
    """Return learning times; a censored one counts as the budget, which it exceeds."""
    return np.nan_to_num(curve["time"].to_numpy(), nan=float(curve["budget"]))


def train_loss(curve: xr.Dataset) -> np.ndarray:
    """Return ``(evaluations, members)``."""
    return curve["loss"].sel(evaluator="train").to_numpy()


def near_plateau(curve: xr.Dataset) -> np.ndarray:
    """Return how many sequences each member spends with a loss within 0.1 of ln 2."""
    return crossing(curve, BAND[0]) - crossing(curve, BAND[1])


def crossing(curve: xr.Dataset, level: float) -> np.ndarray:
    """Return when each member's loss first falls below a level, interpolated between evaluations."""
    return np.array(
        [_crossing(curve["sequences"].to_numpy(), one, level) for one in train_loss(curve).T]
    )


def _crossing(sequences: np.ndarray, losses: np.ndarray, level: float) -> float:
    below = losses < level
    if not below.any():
        return float(sequences[-1])
    after = int(below.argmax())
    if after == 0:
        return 0.0
    high, low = losses[after - 1], losses[after]
    share = (high - level) / (high - low)
    return float(sequences[after - 1] + share * (sequences[after] - sequences[after - 1]))


def _shape_of_the_curve(session: Session, curve: xr.Dataset) -> None:
    """Compare slopes before, at and after the plateau, in nats per thousand sequences."""
    levels = {"before": (1.3, 0.85), "at_plateau": (0.85, 0.65), "after": (0.65, 0.25)}
    slopes = {}
    for name, (high, low) in levels.items():
        length = np.maximum(crossing(curve, low) - crossing(curve, high), 1.0)
        slopes[name] = (high - low) / length * 1000
    session.measure("slope_before", slopes["before"], "nats per 1000 sequences")
    session.measure("slope_at_plateau", slopes["at_plateau"], "nats per 1000 sequences")
    session.measure("slope_after", slopes["after"], "nats per 1000 sequences")
    losses, strength = train_loss(curve), curve["strength"].mean("head").to_numpy()
    together = []
    for one, strong in zip(losses.T, strength.T, strict=True):
        late = one < BAND[1] if (one < BAND[1]).sum() > 2 else np.ones(len(one), dtype=bool)
        together.append(np.corrcoef(one[late], strong[late])[0, 1])
    session.measure("loss_strength_correlation", together, "r", bounds=(-1, 1))


def _trained(session: Session, trained: xr.Dataset) -> None:
    for name in ("accuracy", "accuracy_without_direct_path"):
        session.measure(name, trained[name].to_numpy(), bounds=(0, 1))
    strength = trained["strength"]
    session.measure("induction_heads", (strength > 0.2).sum("head").to_numpy())
    session.measure("strength_range", (strength.max("head") - strength.min("head")).to_numpy())
    for name in ("ablate_one", "keep_one", "perfect_match"):
        mean = trained[name].mean("head").to_numpy()
        session.measure(f"{name}_accuracy", mean, bounds=(0, 1))
    losses = trained["loss_by_heads"].to_numpy()[:, :4]
    session.measure(
        "loss_by_heads", losses, "nats", along=np.arange(1, losses.shape[1] + 1), along_name="heads"
    )
    for name in ("previous", "rest"):
        for kept in ("patterns", "values"):
            values = trained[f"without_{name}_{kept}_kept"].to_numpy()
            session.measure(f"without_{name}_{kept}_kept", values, bounds=(0, 1))
    of_induction, of_previous = partners(trained)
    session.measure("partners_of_induction_heads", of_induction)
    session.measure("partners_of_previous_token_heads", of_previous)
    for read in trained["read"].to_numpy():
        score = trained["composition"].sel(read=read).mean(("second", "first")).to_numpy()
        session.measure(f"composition_{read}", score)


def partners(trained: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return how many partners induction and previous-token heads have, on average, by member.

    With one head of each layer active and the values of layer 2 kept, a pair's gain is its accuracy
    over that of the induction head's worst pair. A partner gives at least half of the gain that the
    head's best partner gives. Counted for heads of layer 2 with a strength above 0.2, and for the
    strongest previous-token heads.
    """
    table = trained["wiring"].sel(preserved="values").to_numpy()
    gain = table - table.min(axis=2, keepdims=True)
    inducing = trained["strength"].to_numpy() > 0.2
    order = np.argsort(-trained["previous_token_score"].to_numpy(), axis=1)
    of_induction, of_previous = [], []
    for one, strong, previous in zip(gain, inducing, order, strict=True):
        rows = one[strong] if strong.any() else one
        of_induction.append((rows >= rows.max(axis=1, keepdims=True) / 2).sum(axis=1).mean())
        columns = one[:, previous[:PREVIOUS_TOKEN_HEADS]]
        of_previous.append((columns >= columns.max(axis=0) / 2).sum(axis=0).mean())
    return np.array(of_induction), np.array(of_previous)


def _times(session: Session, curves: Curves) -> None:
    for clamp in CLAMPS:
        session.measure(f"time_{_word(clamp)}", times(curves[clamp]), "sequences")
    session.measure("time_all_heads", times(curves["all heads"]), "sequences")
    session.measure("time_all_previous_token", times(curves["all previous token"]), "sequences")
    for name in ("wrong match", "fixed pattern"):
        session.measure(f"final_loss_{_word(name)}", train_loss(curves[name])[-1], "nats")
    plateau = near_plateau(curves["none"])
    for clamp in ("match", "copy", "layer 1 + copy"):
        left = near_plateau(curves[clamp]) / np.maximum(plateau, 1.0)
        session.measure(f"plateau_left_{_word(clamp)}", left)
    own, other = curves["own layer 1"], curves["another layer 1"]
    whole = np.maximum(near_plateau(curves["all heads"]), 1.0)
    session.measure("plateau_left_graft", near_plateau(own) / whole)
    session.measure("time_own_graft", times(own), "sequences")
    session.measure("time_other_graft", times(other), "sequences")
    session.measure("other_graft_delay", times(other) / np.maximum(times(own), 1.0))
    alone = curves["single heads"]
    learnt = np.isfinite(alone["time"].to_numpy()).astype(float)
    session.measure("single_heads_learnt", learnt, bounds=(0, 1))
    first = max(times(curves["all heads"])[0], 1.0)
    session.measure("single_head_delay", times(alone) / first)
    if "letters, match" in curves:
        for clamp in ("layer 1", "match", "copy", "layer 1 + copy"):
            found = times(curves[f"letters, {clamp}"])
            session.measure(f"letters_time_{_word(clamp)}", found, "sequences")


def _progress(session: Session, curves: Curves, trained: xr.Dataset) -> None:
    """Measure when half of a curve's fall has happened, for progress measures and for clamps."""
    at = trained["progress_sequences"].to_numpy()
    for clamp in ("layer 1", "match", "copy", "layer 1 + copy"):
        measured = trained["progress"].sel(clamp=clamp).to_numpy()
        clamped = train_loss(curves[clamp])
        sequences = curves[clamp]["sequences"].to_numpy()
        session.measure(
            f"progress_half_time_{_word(clamp)}",
            [_half_time(at, one) for one in measured.T],
            "sequences",
        )
        session.measure(
            f"clamp_half_time_{_word(clamp)}",
            [_half_time(sequences, one) for one in clamped.T],
            "sequences",
        )


def _half_time(sequences: np.ndarray, losses: np.ndarray) -> float:
    return _crossing(sequences, losses, (losses[0] + losses.min()) / 2)


def _data(session: Session, config: Config, curves: Curves) -> None:
    count = config.data_seeds
    for clamp, part in SCALED.items():
        base = times(curves[clamp])[:count]
        for kind, numbers in (("labels", config.labels), ("classes", config.classes)):
            more = [times(curves[f"{number} {kind}, {clamp}"]) for number in numbers[1:]]
            series = np.stack([base, *more], axis=1)
            name = "time" if part == "whole" else f"{part}_time"
            session.measure(
                f"{name}_by_{kind}", series, "sequences", along=numbers, along_name=kind
            )
            delay = "delay" if part == "whole" else f"{part}_delay"
            session.measure(f"{delay}_by_{kind}", series[:, -1] / np.maximum(base, 1.0))


def toy(session: Session) -> xr.Dataset:
    """Train the toy model under its three clamps."""
    seeds = [session.seed_for("toy") + i for i in range(TOY_REPEATS)]
    runs = {name: rank_one_phase_change(clamp=clamp, seeds=seeds) for name, clamp in TOY.items()}
    both = runs["b_c"]
    dim = both.truth["a"].shape[1]
    rate = (both.truth["b"] ** 2).sum(1) * (both.truth["c"] ** 2).sum(1) / dim**3
    iteration = np.arange(both.loss.shape[1])
    exact = both.loss[:, :1] * (1 - rate[:, None]) ** (2 * iteration)
    shown = exact > 1e-10 * both.loss[:, :1]
    return xr.Dataset(
        {
            "loss": (
                ("clamp", "repeat", "iteration"),
                np.stack([run.loss / run.plateau[:, None] for run in runs.values()]),
            ),
            "misalignment": (("repeat", "iteration"), runs["none"].misalignment),
            "time": (
                ("clamp", "repeat"),
                np.stack([run.learning_time() for run in runs.values()]),
            ),
            "exponential_error": float(np.abs(both.loss / exact - 1)[shown].max()),
            "budget": float(both.loss.shape[1]),
        },
        coords={"clamp": list(runs), "iteration": iteration},
    )


def notes(session: Session, config: Config, curves: Curves) -> None:
    """Say what a reader must know to read the numbers."""
    if config.learning_rate != 1e-5:
        session.note(
            f"The learning rate is {config.learning_rate:g}, the paper's 1e-5: all times are about "
            f"{config.learning_rate / 1e-5:.0f} times shorter, in the same order."
        )
    if config.features == "gaussian":
        session.note(
            "Exemplars are independent normal vectors, which are told apart sooner than the paper's "
            "image features: the plateau at ln 2 is a shoulder. With features that share a mean "
            "(features=correlated) it is a plateau several times as long."
        )
    session.note(
        "A seed has its own initial weights and its own stream of sequences; the paper varies the "
        "weights alone."
    )
    censored = [
        f"{name} ({int(np.isnan(curve['time']).sum())} of {curve.sizes['member']})"
        for name, curve in curves.items()
        if bool(np.isnan(curve["time"]).any()) and name not in ("wrong match", "fixed pattern")
    ]
    if censored:
        session.note(
            "Not learnt within the budget, and counted as the budget, which is less than the truth: "
            f"{'; '.join(censored)}."
        )
    session.note(
        "Learning with the copy clamped is a choice between the two labels shown, not among all: its "
        "loss starts at ln 2."
    )


def _word(name: str) -> str:
    return name.replace(" + ", "_").replace(" ", "_")
