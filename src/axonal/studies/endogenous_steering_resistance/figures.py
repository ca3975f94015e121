"""The pictures that a reader of the paper expects."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

from axonal.lab.figures import PALETTE, style
from axonal.studies.endogenous_steering_resistance.organism import AGAIN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from axonal.lab import Session

BLUE, ORANGE, GREEN, PINK, SKY, AMBER, GREY = PALETTE
BARS = {
    "unsteered": ("not steered", GREY),
    "steered": ("steered", BLUE),
    "detectors x0": ("detectors\nablated", ORANGE),
    "random": ("random latents\nablated", SKY),
    "detectors x2": ("detectors\nx 2", GREEN),
    "detectors x4": ("detectors\nx 4", AMBER),
}


def draw(
    session: Session, roots: xr.Dataset, toys: Sequence[xr.Dataset], model: xr.Dataset
) -> None:
    """Draw and save every figure."""
    with style():
        session.figure(
            "conditions",
            conditions(toys),
            caption="The organisms, steered at calibrated boosts: how many answers start over, how "
            "many end better, and what first attempts score. The same latents, boosts, questions and "
            "seeds in every condition; dots are organisms, bars their mean.",
            alt="Three bar charts. The multi-attempt rate is near zero unsteered, high when steered, "
            "low with off-topic detectors ablated, unchanged with random latents ablated.",
        )
        session.figure(
            "boosts",
            boosts(toys),
            caption="One boost for all latents, in standard deviations of the thresholds around their "
            "mean: starting over and improving rise and fall again while first attempts only "
            "get worse. Bands span the organisms.",
            alt="Curves against the boost: multi-attempt and resistance rates have a maximum in the "
            "middle, the first score falls from 100 to near 0.",
        )
        session.figure(
            "teaching",
            teaching(toys),
            caption="What teaching with more corrections does: more attempts; and whether they are "
            "better ones. Every organism is calibrated anew.",
            alt="Three stacked curves against the share of corrections in training: multi-attempt "
            "rate, resistance rate, improvement rate.",
        )
        session.figure(
            "drift",
            drift(toys),
            caption="Mean activation of off-topic detectors, read without steering, around the first "
            "word of the correction (left; thin lines are organisms), and in the segments that are "
            "compared (right; dots are organisms).",
            alt="A curve that is high before the correction and falls after it; bars for off topic, "
            "after and baseline.",
        )
        session.figure(
            "episode",
            episode(toys),
            caption="One steered answer of an organism, word by word: grey is on topic, orange off "
            "topic, green the restart.",
            alt="A line of coloured words: off-topic words, the word again, on-topic words.",
        )
        session.figure(
            "model",
            of_model(model),
            caption="The real model: what first attempts score, by the local judge (left), and how "
            "many answers start over in each condition with Wilson intervals (right).",
            alt="A histogram of first-attempt scores, and bars of multi-attempt rates near zero.",
        )
        session.figure(
            "bisection",
            posterior(roots),
            caption="The belief about a boost while a score that falls linearly is bisected; the root "
            "is at 14. Each row is the belief after one more response.",
            alt="A strip of densities that narrows to the root at 14.",
        )


def conditions(toys: Sequence[xr.Dataset]) -> Figure:
    """Bars of multi, resistance and first score by condition."""
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 7.2), sharex=True)
    titles = {
        "multi": "Answers that start over, %",
        "resistance": "Answers that end better (ESR), %",
        "first_score": "Score of the first attempt",
    }
    for axis, (rate, title) in zip(axes, titles.items(), strict=True):
        factor = 1 if rate == "first_score" else 100
        for place, (name, (_, colour)) in enumerate(BARS.items()):
            values = np.array([factor * _rate(toy, name, rate) for toy in toys])
            axis.bar(place, values.mean(), color=colour, width=0.65)
            spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else [0.0]
            axis.plot(place + np.asarray(spread), values, "o", color="#222222", markersize=3.5)
        axis.set_title(title)
        axis.set_ylim(0, max(1.0, axis.get_ylim()[1]))
    axes[-1].set_xticks(range(len(BARS)), [words for words, _ in BARS.values()], fontsize=8)
    return figure


def boosts(toys: Sequence[xr.Dataset]) -> Figure:
    """Rates and first score against the boost."""
    figure, axes = plt.subplots(2, 1, figsize=(5.8, 5.6), sharex=True)
    x = toys[0]["deviation"].to_numpy()
    lines = {
        "multi": ("starts over", BLUE, axes[0], 100),
        "resistance": ("ends better (ESR)", ORANGE, axes[0], 100),
        "first_score": ("score of the first attempt", GREEN, axes[1], 1),
    }
    for rate, (words, colour, axis, factor) in lines.items():
        curves = factor * np.stack([toy["sweep"].sel(rate=rate).to_numpy() for toy in toys])
        axis.plot(x, curves.mean(0), "o-", color=colour, label=words)
        axis.fill_between(x, curves.min(0), curves.max(0), color=colour, alpha=0.15, linewidth=0)
        axis.legend()
    axes[0].set_ylabel("% of answers")
    axes[1].set(ylabel="score", xlabel="boost, deviations from the mean threshold", ylim=(0, 104))
    return figure


def teaching(toys: Sequence[xr.Dataset]) -> Figure:
    """Three stacked panels against the share of corrections."""
    figure, axes = plt.subplots(3, 1, figsize=(5.4, 6.8), sharex=True)
    x = 100 * toys[0]["ratio"].to_numpy()
    titles = {
        "multi": "Starts over, %",
        "resistance": "Ends better (ESR), %",
        "improvement": "Of those that start over, end better, %",
    }
    for axis, (rate, title), colour in zip(axes, titles.items(), PALETTE, strict=False):
        for toy in toys:
            curve = 100 * toy["teaching"].sel(rate=rate).to_numpy()
            axis.plot(x, curve, "o-", color=colour, alpha=0.45, linewidth=1.2)
        curves = np.stack([100 * toy["teaching"].sel(rate=rate).to_numpy() for toy in toys])
        seen = np.isfinite(curves).any(0)
        axis.plot(x[seen], np.nanmean(curves[:, seen], axis=0), color=colour, linewidth=2.6)
        axis.set_title(title)
        axis.set_ylim(0, max(1.0, axis.get_ylim()[1]))
    axes[-1].set_xlabel("share of corrections in the teaching, %")
    return figure


def drift(toys: Sequence[xr.Dataset]) -> Figure:
    """Time course of detectors, and segments."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.4), width_ratios=(3, 2))
    x = toys[0]["offset"].to_numpy()
    courses = np.stack([toy["course"].to_numpy() for toy in toys])
    for course in courses:
        left.plot(x, course, color=BLUE, alpha=0.35, linewidth=1)
    seen = np.isfinite(courses).any(0)
    left.plot(x[seen], np.nanmean(courses[:, seen], axis=0), "o-", color=BLUE, markersize=3)
    left.axvline(0, color="#888888", linewidth=1, linestyle=":")
    left.set(xlabel="words from the correction", ylabel="mean activation of detectors")
    segments = toys[0]["segment"].to_numpy().tolist()
    values = np.stack([toy["drift"].to_numpy() for toy in toys])
    right.bar(range(len(segments)), values.mean(0), color=(ORANGE, GREEN, GREY), width=0.65)
    for column in range(len(segments)):
        right.plot(
            np.full(len(toys), column), values[:, column], "o", color="#222222", markersize=3.5
        )
    right.set_xticks(range(len(segments)), [s.replace(" ", "\n") for s in segments])
    return figure


def episode(toys: Sequence[xr.Dataset]) -> Figure:
    """The answer that came back after the longest drift, its words coloured by topic."""

    def drifted(example: tuple[str, list[str]]) -> int:
        return example[1].index(AGAIN) if AGAIN in example[1] else -1

    examples = (str(toy.attrs["example"]).split("|", 1) for toy in toys)
    question, words = max(((asked, text.split()) for asked, text in examples), key=drifted)
    prefix = f"t{question.removeprefix('topic')}w"
    columns = 8
    rows = -(-len(words) // columns)
    figure, axis = plt.subplots(figsize=(6.4, 0.42 * rows + 0.6))
    for number, word in enumerate(words):
        row, column = divmod(number, columns)
        colour = GREEN if word == AGAIN else "#DDDDDD" if word.startswith(prefix) else "#F2B48A"
        axis.text(
            column,
            -row,
            word,
            ha="center",
            va="center",
            fontsize=9,
            color="white" if word == AGAIN else "#222222",
            bbox={"boxstyle": "round,pad=0.25", "facecolor": colour, "edgecolor": "none"},
        )
    axis.set(xlim=(-0.6, columns - 0.4), ylim=(-rows + 0.4, 0.6))
    axis.set_title(f"Asked: {question}")
    axis.axis("off")
    return figure


def of_model(model: xr.Dataset) -> Figure:
    """First scores and multi-attempt rates of the real model."""
    from axonal.statistics import wilson_interval

    figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.6))
    scores = model["scores"].to_numpy()
    scores = scores[np.isfinite(scores)]
    left.hist(scores, bins=np.linspace(0, 100, 21), color=BLUE)
    left.axvline(scores.mean(), color=ORANGE, linewidth=2)
    left.annotate(
        f"mean {scores.mean():.0f}",
        (scores.mean(), left.get_ylim()[1]),
        xytext=(5, -4),
        textcoords="offset points",
        va="top",
        color=ORANGE,
    )
    left.set(xlabel="score of the first attempt", ylabel="answers")
    names = model["condition"].to_numpy().tolist()
    for place, name in enumerate(names[::-1]):
        n = int(model["trials"].sel(condition=name))
        count = round(float(model["multi"].sel(condition=name)) * n)
        interval: Any = wilson_interval(count, n)
        right.plot(
            [100 * interval.low, 100 * interval.high], [place] * 2, color=BLUE, linewidth=2.5
        )
        right.plot(100 * interval.value, place, "o", color=BLUE)
        right.annotate(
            f"{count} of {n}",
            (100 * interval.high, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    right.axvline(1.2, color="#888888", linewidth=1, linestyle=":")
    right.set_yticks(range(len(names)), [textwrap.fill(n, 12) for n in names[::-1]])
    right.set(xlabel="answers that start over, %", ylim=(-0.5, len(names) - 0.5))
    low, high = right.get_xlim()
    right.set_xlim(min(low, -0.2), high * 1.35)
    return figure


def posterior(roots: xr.Dataset) -> Figure:
    """The belief after each response."""
    figure, axis = plt.subplots(figsize=(5.8, 3.4))
    strip = roots["strip"].to_numpy()
    strip = strip / strip.max(axis=1, keepdims=True)
    boost = roots["boost"].to_numpy()
    image = axis.imshow(
        strip,
        aspect="auto",
        extent=(boost[0], boost[-1], len(strip) - 0.5, -0.5),
        cmap="Blues",
        interpolation="nearest",
    )
    axis.plot(
        roots["median"], np.arange(1, len(strip)), "o-", color=ORANGE, markersize=4, label="median"
    )
    axis.axvline(14, color="#222222", linewidth=1, linestyle=":", label="root")
    axis.set(xlabel="boost", ylabel="responses", xlim=(0, 30))
    axis.legend()
    figure.colorbar(image, ax=axis, label="belief / its maximum", shrink=0.9)
    return figure


def _rate(toy: xr.Dataset, condition: str, rate: str) -> float:
    if condition != "random":
        return float(toy["rates"].sel(condition=condition, rate=rate))
    names = [n for n in toy["condition"].to_numpy() if str(n).startswith("random")]
    return float(toy["rates"].sel(condition=names, rate=rate).mean())
