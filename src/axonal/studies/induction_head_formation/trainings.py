"""The trainings of the study: each a stage, streamed to a folder of its own inside the run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from axonal.learning.induction import (
    THRESHOLD,
    AttentionOnlyTransformer,
    Clamp,
    FewShotTask,
    Grafted,
    Heads,
    Run,
    all_but,
    correlated_features,
    fixed_pattern,
    gaussian_features,
    glyph_features,
    induction,
    induction_strength,
    per_seed,
    previous_token,
    previous_token_score,
    read_features,
    subcircuit,
    train,
)

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from axonal.lab import Session
    from axonal.studies.induction_head_formation.config import Config

CLAMPS = ("none", "previous token", "layer 1", "match", "copy", "layer 1 + copy")
SCALED = {"none": "whole", "layer 1 + copy": "match", "match": "copy", "layer 1": "both"}
"""Clamps of the runs with other data, and the subcircuits whose learning they show."""

LEARNT = 0.1  # nats: a training ends when every seed is below
BATCH = 32


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: the models are too small to share among more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Laboratory:
    """Everything that the trainings share: features, tasks, seeds, and the heads that are kept."""

    def __init__(self, config: Config, session: Session) -> None:
        self.config, self.session = config, session
        self.members = tuple(100 * session.seed + i for i in range(config.seeds))
        self.folder: Path = session.folder / "trainings"

    # What is trained on

    def features(self, kind: str, classes: int) -> Tensor:
        """Return features of so many classes; of a file, all that it has."""
        seed, dim = self.session.seed_for("features"), self.config.dim
        if kind == "gaussian":
            return gaussian_features(classes, dim, seed=seed)
        if kind == "correlated":
            return correlated_features(classes, dim, seed=seed)
        if kind == "glyphs":
            return glyph_features(classes, dim, seed=seed)
        return read_features(kind)

    def task(self, *, labels: int = 0, classes: int = 0, kind: str | None = None) -> FewShotTask:
        """Return the standard task, or one with other numbers of labels or classes."""
        labels, classes = labels or self.config.labels[0], classes or self.config.classes[0]
        features = self.features(kind or self.config.features, classes + self.config.unseen)
        seed = self.session.seed_for("task")
        return FewShotTask(features, labels, classes, unseen=self.config.unseen, seed=seed)

    @cached_property
    def standard(self) -> FewShotTask:
        """The task with the first number of labels and of classes."""
        return self.task()

    def model(self, task: FewShotTask, members: int | None = None) -> AttentionOnlyTransformer:
        """Return untrained models."""
        seeds = self.members[:members]
        return AttentionOnlyTransformer(task.dim, task.n_labels, seeds=seeds)

    # Trainings

    def curves(
        self,
        name: str,
        clamp: Clamp,
        sequences: int,
        *,
        model: nn.Module | None = None,
        task: FewShotTask | None = None,
        streams: tuple[int, ...] | None = None,
        until: float | None = LEARNT,
        every: int | None = None,
        **options: Any,
    ) -> xr.Dataset:
        """Train, as a stage that a resumed run finds finished or takes up."""
        task = task or self.standard
        model = self.model(task) if model is None else model
        streams = self.members if streams is None else streams
        steps = max(1, sequences // BATCH)

        def compute() -> xr.Dataset:
            with self.session.progress(name, steps) as advance:
                settings: dict[str, Any] = {"evaluators": ("train",), **options}
                run = train(
                    model,
                    task,
                    sequences=sequences,
                    clamp=clamp,
                    lr=self.config.learning_rate,
                    streams=streams,
                    evaluations=max(1, sequences // (every or self.config.every)),
                    evaluation_size=self.config.evaluation,
                    until=until,
                    folder=self.folder / _folder(name),
                    checkpoint_every=2000,
                    progress=lambda _, of: advance(1, of=of),
                    **settings,
                )
            return dataset(run)

        return self.session.stage(_folder(name), compute)

    def all_curves(self) -> dict[str, xr.Dataset]:
        """Return the curves of every training."""
        config = self.config
        steps = config.sequences // BATCH
        found = {
            "all heads": self.curves(
                "all heads",
                Clamp(),
                config.sequences,
                until=None,
                evaluators=None,
                checkpoints=(steps,),
            )
        }
        kept = np.linspace(0, config.budget // BATCH, config.checkpoints).astype(int)
        for clamp in CLAMPS:
            slow = clamp in ("none", "previous token")
            found[clamp] = self.curves(
                clamp,
                subcircuit(clamp, self.strongest, self.previous),
                config.budget if slow else config.clamped_budget,
                every=None if slow else max(BATCH, config.every // 4),
                checkpoints=kept.tolist() if clamp == "none" else (),
            )
        everywhere = Clamp().pattern("layer1", previous_token())
        found["all previous token"] = self.curves(
            "all previous token",
            subcircuit("none", self.strongest) + everywhere,
            config.budget,
            until=THRESHOLD,
        )
        for name, ideal in (("wrong match", induction(0.0)), ("fixed pattern", fixed_pattern())):
            clamp = subcircuit("none", self.strongest)
            clamp = clamp.heads_of("layer2.pattern", ideal, self.strongest)
            found[name] = self.curves(name, clamp, config.clamped_budget // 4)
        return found | self._single_heads() | self._grafts() | self._data() | self._letters()

    def _single_heads(self) -> dict[str, xr.Dataset]:
        """Train each head of layer 2 alone, in copies of the first seed."""
        heads = list(range(self.config.single_heads))
        model = self.model(self.standard, 1).select([0] * len(heads))
        clamp = Clamp().ablate("layer2", all_but(per_seed(heads)))
        streams = (self.members[0],) * len(heads)
        found = self.curves(
            "single heads",
            clamp,
            self.config.budget,
            model=model,
            streams=streams,
            until=THRESHOLD,
        )
        return {"single heads": found}

    def _grafts(self) -> dict[str, xr.Dataset]:
        """Train all heads on a trained layer 1: the seed's own, and its neighbour's."""
        found, count = {}, len(self.members)
        orders = {"own layer 1": range(count), "another layer 1": [*range(1, count), 0]}
        for name, order in orders.items():
            grafted = Grafted(self.trained.select(list(order)), self.model(self.standard))
            found[name] = self.curves(
                name,
                Clamp(),
                self.config.sequences,
                model=grafted,
                strength_at="upper.layer2.pattern",
                every=max(BATCH, self.config.every // 2),
                until=THRESHOLD,
            )
        return found

    def _data(self) -> dict[str, xr.Dataset]:
        """Train with more labels and with more classes, under the clamps that isolate subcircuits."""
        config = self.config
        found: dict[str, xr.Dataset] = {}
        tasks: dict[str, dict[str, Any]]
        tasks = {f"{labels} labels": {"labels": labels} for labels in config.labels[1:]}
        tasks |= {f"{classes} classes": {"classes": classes} for classes in config.classes[1:]}
        count = config.data_seeds
        heads = Heads(self.strongest.chosen[:count])
        for data, options in tasks.items():
            task = self.task(**options)
            for clamp in SCALED:
                name = f"{data}, {clamp}"
                slow = clamp == "none"
                found[name] = self.curves(
                    name,
                    subcircuit(clamp, heads),
                    config.data_budget if slow else 2 * config.clamped_budget,
                    model=self.model(task, count),
                    task=task,
                    streams=self.members[:count],
                    every=config.every * 2 if slow else max(BATCH, config.every // 4),
                    until=THRESHOLD,
                )
        return found

    def _letters(self) -> dict[str, xr.Dataset]:
        """Train four clamps on letters of real fonts."""
        if not self.config.letters:
            return {}
        task = self.task(kind="glyphs")
        return {
            f"letters, {clamp}": self.curves(
                f"letters, {clamp}",
                subcircuit(clamp, self.strongest),
                self.config.clamped_budget,
                model=self.model(task),
                task=task,
                every=max(BATCH, self.config.every // 4),
                until=THRESHOLD,
            )
            for clamp in ("layer 1", "match", "copy", "layer 1 + copy")
        }

    # What the trained models are

    @cached_property
    def trained(self) -> AttentionOnlyTransformer:
        """The models with all heads, at the end of their training."""
        model = self.model(self.standard)
        run = Run.read(self.folder / _folder("all heads"))
        assert run.checkpoints is not None
        model.load_state_dict(run.checkpoints.weights(max(run.checkpoints.steps)))
        return model

    @cached_property
    def batch(self) -> Mapping[str, Any]:
        """Training sequences to measure trained models on."""
        return self.standard.sample("train", self.config.afterwards)

    @cached_property
    def strengths(self) -> Tensor:
        """Induction strengths of the trained models, ``(seeds, heads)``."""
        return induction_strength(self.trained, dict(self.batch))

    @cached_property
    def strongest(self) -> Heads:
        """The strongest induction head of each seed: the one that single-head trainings keep."""
        return per_seed(self.strengths.argmax(1).tolist())

    @cached_property
    def previous(self) -> Heads:
        """The strongest previous-token head of each seed."""
        return per_seed(previous_token_score(self.trained, dict(self.batch)).argmax(1).tolist())

    def tidy(self) -> None:
        """Remove weights; the histories stay."""
        for folder in self.folder.iterdir():
            for inside in folder.iterdir():
                if inside.is_dir():
                    shutil.rmtree(inside)


def dataset(run: Run) -> xr.Dataset:
    """Return the evaluations of a run."""
    losses = np.stack([run.observed(f"{name}_loss") for name in run.evaluators])
    found = xr.Dataset(
        {
            "loss": (("evaluator", "evaluation", "member"), losses),
            "time": ("member", run.learning_time()),
            "budget": float(run.sequences[-1]),
        },
        coords={"evaluator": list(run.evaluators), "sequences": ("evaluation", run.sequences)},
    )
    found["strength"] = (("evaluation", "member", "head"), run.observed("strength"))
    return found


def _folder(name: str) -> str:
    return name.replace(" + ", "_").replace(", ", "_").replace(" ", "_")
