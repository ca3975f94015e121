"""The learned score of active particles: which network, fitted, kept and carried over.

Boffi & Vanden-Eijnden 2024. A score of all variables (:meth:`ScoreModel.transformer`) sees every
particle; a local one (:meth:`ScoreModel.local`, :meth:`ScoreModel.pair`) is of the activities, sees
a particle's nearest neighbours, and serves any number of particles at any packing.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
import xarray as xr
from torch import Tensor, nn

from axonal.errors import InputError
from axonal.files import whole_folder, write_tensors
from axonal.physics.active_matter import score_training
from axonal.physics.active_matter.local_networks import (
    BareTransformer,
    ContactPairs,
    ContactTransformer,
    Scales,
)
from axonal.physics.active_matter.networks import ByVariable, ParticleTransformer
from axonal.physics.active_matter.springs import score_of_springs
from axonal.physics.active_matter.states import checked
from axonal.physics.active_matter.surroundings import Surroundings, surround
from axonal.physics.active_matter.systems import ActiveOrnsteinUhlenbeck
from axonal.training import History

Tokens: TypeAlias = Literal["bare", "forces"]
Shift: TypeAlias = Literal["rest", "springs"]

_LOCAL = {"local-bare": BareTransformer, "local": ContactTransformer, "pair": ContactPairs}
_CARD, _WEIGHTS = "score.json", "weights.safetensors"


class ScoreModel:
    """A score of a system of particles. Build it with one of the class methods.

    Parameters
    ----------
    system
        Whose stationary density it is of.
    kind
        ``"shift"``, ``"transformer"``, ``"local"``, ``"local-bare"`` or ``"pair"``.
    options
        Of the network: what a saved score is built from again.
    network
        None for the shift alone.
    """

    def __init__(
        self,
        system: ActiveOrnsteinUhlenbeck,
        kind: str,
        options: dict[str, Any],
        network: nn.Module | None,
    ) -> None:
        self.system, self.kind, self.options = system, kind, options
        self.network: Any = network

    @classmethod
    def shift(cls, system: ActiveOrnsteinUhlenbeck, shift: Shift = "rest") -> ScoreModel:
        """Return a closed form without weights, the baseline.

        Parameters
        ----------
        system
            Any.
        shift
            ``"rest"``: the score at speed 0, ``((kF - A x)/eps, -g)``, as in the paper.
            ``"springs"``: that of contacts as springs (:func:`.score_of_springs`).
        """
        _check_choice("shift", shift, ("rest", "springs"))
        return cls(system, "shift", {"shift": shift}, None)

    @classmethod
    def transformer(
        cls,
        system: ActiveOrnsteinUhlenbeck,
        *,
        width: int = 256,
        blocks: int = 4,
        heads: int = 4,
        tokens: Tokens = "bare",
        shift: Shift = "rest",
        seed: int = 0,
    ) -> ScoreModel:
        """Return the all-particle transformer, one for each variable, on top of a shift.

        Parameters
        ----------
        system
            Any.
        width, blocks, heads
            The paper's are the defaults.
        tokens
            ``"bare"``: position and activity, as in the paper. ``"forces"``: also the force.
        shift
            As for :meth:`shift`.
        seed
            Of the weights.
        """
        _check_choice("tokens", tokens, ("bare", "forces"))
        _check_choice("shift", shift, ("rest", "springs"))
        options = {"width": width, "blocks": blocks, "heads": heads, "tokens": tokens}
        options |= {"shift": shift}
        return cls._built(system, "transformer", options, seed)

    @classmethod
    def local(
        cls,
        system: ActiveOrnsteinUhlenbeck,
        *,
        neighbours: int = 12,
        width: int = 48,
        blocks: int = 2,
        heads: int = 4,
        tokens: Tokens = "forces",
        seed: int = 0,
    ) -> ScoreModel:
        """Return the spatially local transformer, of the activities' score.

        Parameters
        ----------
        system
            With activity, and more particles than neighbours.
        neighbours
            That a particle sees; the paper has 64.
        width, blocks, heads
            The paper has 256, 4 and 4.
        tokens
            ``"bare"``: the paper's, activities and relative positions. ``"forces"``: also relative
            velocities and accelerations (:mod:`.surroundings`).
        seed
            Of the weights.
        """
        _check_choice("tokens", tokens, ("bare", "forces"))
        options = {"neighbours": neighbours, "width": width, "blocks": blocks, "heads": heads}
        return cls._built(system, "local" if tokens == "forces" else "local-bare", options, seed)

    @classmethod
    def pair(
        cls,
        system: ActiveOrnsteinUhlenbeck,
        *,
        neighbours: int = 12,
        width: int = 48,
        hidden: int = 3,
        seed: int = 0,
    ) -> ScoreModel:
        """Return a local score without attention: a sum over pairs, the baseline for interactions."""
        options = {"neighbours": neighbours, "width": width, "hidden": hidden}
        return cls._built(system, "pair", options, seed)

    @classmethod
    def _built(
        cls, system: ActiveOrnsteinUhlenbeck, kind: str, options: dict[str, Any], seed: int
    ) -> ScoreModel:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(system, kind, options, _network(system, kind, options))

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables whose score it has: ``("x", "g")``, or ``("g",)``."""
        return ("g",) if self.is_local or self.system.diffusion == 0 else ("x", "g")

    @property
    def is_local(self) -> bool:
        """Whether it looks at neighbours only, and so serves other numbers of particles."""
        return self.kind in _LOCAL

    def __call__(self, x: Tensor, g: Tensor) -> dict[str, Tensor]:
        """Return the score by variable, ``(S, N, 2)`` each, at positions and activities."""
        return self.of(self.variables, x, g)

    def of(self, variables: Sequence[str], x: Tensor, g: Tensor) -> dict[str, Tensor]:
        """Return the score of some of its variables, ``(S, N, 2)`` each."""
        if self.is_local:
            weight = next(self.network.parameters())
            around = self.surroundings(x, g).to(weight)
            return {"g": self.network(around).reshape(g.shape).to(g)}
        shift = self.shift_at(x, g)
        if self.network is None:
            return {name: shift[name] for name in variables}
        weight = next(self.network.parameters())
        learned = self.network([v.to(weight) for v in self.vectors(x, g)], variables)
        return {name: shift[name] + learned[name].to(g) for name in variables}

    def surroundings(self, x: Tensor, g: Tensor, index: Tensor | None = None) -> Surroundings:
        """Return what a local score sees of each particle, sample after sample."""
        return surround(self.system, x, g, self.options["neighbours"], index=index)

    def vectors(self, x: Tensor, g: Tensor) -> list[Tensor]:
        """Return what an all-particle score sees of each particle, ``(S, N, 2)`` each."""
        if self.options["tokens"] == "bare":
            return [x, g]
        return [x, g, self.system.drift(x, torch.zeros_like(g))[0]]

    def shift_at(self, x: Tensor, g: Tensor) -> dict[str, Tensor]:
        """Return what the network's answer is added to, by variable, ``(S, N, 2)`` each."""
        if self.options.get("shift") == "springs":
            in_x, in_g = score_of_springs(self.system, x, g)
        else:
            in_x, in_g = self.system.score_without_activity(x, g)
        return {"g": in_g} if in_x is None else {"x": in_x, "g": in_g}

    def fit(
        self,
        states: xr.DataArray,
        *,
        loss: Literal["implicit", "denoising"] = "implicit",
        stationarity: float = 0.0,
        noise: float | None = None,
        noise_on: Literal["own", "all"] = "own",
        steps: int = 3000,
        batch: int | None = None,
        lr: float = 2e-3,
        decay: float = 0.999,
        seed: int = 0,
        held_out: xr.DataArray | None = None,
        every: int | None = None,
        folder: Path | str | None = None,
        checkpoint_every: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> History:
        """Learn the score from stationary states, and return the history of the training.

        Parameters
        ----------
        states
            Of this system.
        loss
            ``"implicit"``, or ``"denoising"`` at a noise.
        stationarity
            Weight of the stationarity residual; for the all-particle score and ``"implicit"``.
        noise
            For ``"denoising"``: well below the narrowest width of the density.
        noise_on
            For a local score: ``"own"`` perturbs the particle's activity (ours), ``"all"`` every
            position and activity (the paper's), which smooths contacts too.
        steps, batch, lr, decay, seed
            Of the training; a batch is of states for the all-particle score (16 by default), of
            particles for a local one (512).
        held_out
            States on which the averaged score is measured on the way, as "held_out" of the history.
        every, folder, checkpoint_every, progress
            When, and as for :func:`axonal.training.train`.
        """
        checked(states, self.system)
        if self.network is None:
            raise InputError("The shift alone has nothing to fit.")
        held = None if held_out is None else checked(held_out, self.system)

        def observe(network: nn.Module, step: int) -> dict[str, Any]:
            from axonal.physics.active_matter.entropy import measures

            del step
            assert held is not None
            return asdict(measures(self.system, self.with_network(network), held))

        options = {
            "steps": steps,
            "lr": lr,
            "decay": decay,
            "seed": seed,
            "observe": None if held is None else observe,
            "every": every,
            "folder": folder,
            "checkpoint_every": checkpoint_every,
            "progress": progress,
        }
        score_training.check(self, loss, stationarity, noise, noise_on)
        if noise is not None:
            score_training.warn_if_coarse(self.system, states, noise)
        if self.is_local:
            return score_training.fit_local(self, states, noise, noise_on, batch or 512, options)
        return score_training.fit_all(self, states, noise, stationarity, batch or 16, options)

    def with_network(self, network: nn.Module) -> ScoreModel:
        """Return this score with another network of the same build."""
        return ScoreModel(self.system, self.kind, self.options, network)

    def on(self, system: ActiveOrnsteinUhlenbeck) -> ScoreModel:
        """Return the same weights as the score of another number of particles or packing.

        Raises
        ------
        InputError
            The score is not local, or the systems differ in more.
        """
        if not self.is_local:
            raise InputError(
                f"A score of kind {self.kind!r} is of its own {self.system.particles} particles; "
                "a local one can be carried over."
            )
        _same(self.system, system, but=("particles", "packing"))
        return ScoreModel(system, self.kind, self.options, self.network)

    def copy(self) -> ScoreModel:
        """Return a score with weights of its own."""
        return self.with_network(copy.deepcopy(self.network))

    def save(self, folder: Path | str) -> Path:
        """Keep the score in a folder: its weights, its build and its system."""
        card = {
            "kind": self.kind,
            "options": self.options,
            "system": asdict(self.system),
        }
        place = Path(folder)
        with whole_folder(place, holds=(_CARD, _WEIGHTS), what="score") as draft:
            weights = {} if self.network is None else self.network.state_dict()
            write_tensors(weights, draft / _WEIGHTS)
            (draft / _CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        return place

    @classmethod
    def load(cls, folder: Path | str, system: ActiveOrnsteinUhlenbeck | None = None) -> ScoreModel:
        """Return a score that was saved; of another system only if it may be carried over to it."""
        from safetensors.torch import load_file

        place = Path(folder)
        if not (place / _CARD).is_file() or not (place / _WEIGHTS).is_file():
            raise InputError(f"{place} holds no saved score: {_CARD} and {_WEIGHTS} are expected.")
        card = json.loads((place / _CARD).read_text(encoding="utf-8"))
        own = ActiveOrnsteinUhlenbeck(**card["system"])
        score = cls._built(own, card["kind"], card["options"], 0)
        if score.network is not None:
            score.network.load_state_dict(load_file(place / _WEIGHTS))
        if system is None or system == own:
            return score
        if score.is_local:
            return score.on(system)
        _same(own, system, but=())
        return score


def _network(
    system: ActiveOrnsteinUhlenbeck, kind: str, options: dict[str, Any]
) -> nn.Module | None:
    if kind == "shift":
        return None
    if kind == "transformer":
        build = {k: options[k] for k in ("width", "blocks", "heads")}
        count = 2 if options["tokens"] == "bare" else 3
        names = ("x", "g") if system.diffusion else ("g",)
        return ByVariable({name: ParticleTransformer(count, **build) for name in names})
    if kind not in _LOCAL:
        raise InputError(f"kind is shift, transformer or one of {list(_LOCAL)}, got {kind!r}.")
    neighbours = options["neighbours"]
    if not 1 <= neighbours < system.particles:
        raise InputError(
            f"neighbours: {system.particles} particles have between 1 and "
            f"{system.particles - 1} neighbours each, got {neighbours}."
        )
    if system.speed == 0 or system.stiffness == 0:
        raise InputError("A local score needs activity and contacts: speed and stiffness over 0.")
    build = {k: v for k, v in options.items() if k != "neighbours"}
    if kind == "local-bare":
        return BareTransformer(**build)
    scales = Scales(system.speed, system.persistence_rate, system.stiffness, system.steepness)
    return _LOCAL[kind](scales, **build)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InputError(f"{name} is {' or '.join(map(repr, choices))}, got {value!r}.")


def _same(
    own: ActiveOrnsteinUhlenbeck, other: ActiveOrnsteinUhlenbeck, *, but: tuple[str, ...]
) -> None:
    there = asdict(other)
    for name, value in asdict(own).items():
        if name not in but and there[name] != value:
            raise InputError(
                f"The score is of a system with {name} {value}, and this one has {there[name]}: "
                "learn one for it."
            )
