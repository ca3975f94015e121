"""Simulated cells under real molecules: which unseen drugs, and combinations, are predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from axonal.cells.perturbation import (
    ConditionalMongeMap,
    DrugContext,
    MeanRegressor,
    PrincipalComponents,
    ReferencePredictions,
    Screen,
    SimulatedScreen,
    Treatment,
    effect_embedding,
    marker_genes,
    molecule_descriptors,
    molecule_sets,
    perturbation_metrics,
    simulate_screen,
    specificity,
    split_cells,
    two_samples,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from axonal.lab import Session
    from axonal.studies.conditional_monge_gap.config import Config

MEASURES = ("r2", "mmd", "wasserstein", "spread", "signature")
MODELS = (
    "descriptors",
    "effects",
    "no_gap",
    "means",
    "specific",
    "identity",
    "mean_shift",
    "gaussian_map",
    "nearest",
    "floor",
)
KEYS: dict[str, Any] = {"perturbation_key": "drug", "dose_key": "dose"}
SHOWN = 150  # cells in a picture
MARKERS = 50


def measure(ligands: str, config: Config, session: Session, number: int) -> xr.Dataset:
    """Simulate a screen, hold out a drug of each mechanism, and predict it in every way."""
    seed = session.seed_for(f"drugs {number}")
    molecules = molecule_sets(config.molecules, ligands=ligands, seed=seed)
    simulated = simulate_screen(molecules, cells=config.cells, genes=config.genes, seed=seed)
    work = Split(simulated, [f"{m}_{config.molecules - 1}" for m in molecules], config, seed)
    descriptors = molecule_descriptors(simulated.smiles)
    effects = effect_embedding(
        work.latent,
        work.screen,
        cells=config.effect_cells,
        dimensions=min(10, len(work.screen.treated) - 1),
        seed=seed,
    )
    options = map_options(config)
    maps = {
        "descriptors": work.fit(ConditionalMongeMap(**options), descriptors),
        "effects": work.fit(ConditionalMongeMap(**options), effects),
        "no_gap": work.fit(ConditionalMongeMap(**options, gap_weight=0.0), descriptors),
        "means": work.fit(MeanRegressor(**options), descriptors),
    }
    held_out = [t for t in work.screen.treated if t.drugs[0] in work.held_out]
    first = {f"{mechanism}_0" for mechanism in molecules}
    known = [t for t in work.screen.treated if t.drugs[0] in first]
    specific = {
        t: _specific(work, t, config) for t in known if t.dose == max(t.dose or 0 for t in known)
    }
    references = ReferencePredictions(
        work.latent, work.training, maps["descriptors"].encoding_, seed=seed
    )
    unseen = np.full((len(MODELS), len(held_out), len(MEASURES)), np.nan)
    seen = np.full((len(MODELS), len(known), len(MEASURES)), np.nan)
    for values, treatments in ((unseen, held_out), (seen, known)):
        for column, treatment in enumerate(treatments):
            predictions = _predictions(work, maps, references, treatment)
            if treatment in specific:
                predictions["specific"] = specific[treatment].transport(work.control, treatment)
            for name, prediction in predictions.items():
                values[MODELS.index(name), column] = work.measure(treatment, prediction)
            values[MODELS.index("floor"), column] = work.floor(treatment)
    found = xr.Dataset(
        {
            "unseen": (("model", "held_out", "measure"), unseen),
            "seen": (("model", "known", "measure"), seen),
            **_cellwise(work, maps, held_out),
            **_pictures(work, maps["descriptors"], effects, held_out),
            **_epsilons(work, descriptors, held_out, config if number == 0 else None),
            **_specificity(work, maps, held_out),
            **_combinations(ligands, config, seed),
        },
        {
            "model": list(MODELS),
            "measure": list(MEASURES),
            "held_out": [t.label for t in held_out],
            "known": [t.label for t in known],
        },
    )
    history = maps["descriptors"].history_
    assert history is not None
    for name in ("gap", "fit"):
        found[name] = ("step", history.metrics[name])
    return found


def map_options(config: Config) -> dict[str, Any]:
    """Return the options of every map of the study."""
    return {
        "steps": config.steps,
        "batch_size": config.batch_size,
        "conditions_per_step": config.conditions_per_step,
        "learning_rate": config.learning_rate,
        "epsilon_fit": config.epsilon_fit,
        "epsilon_gap": config.epsilon_gap,
    }


class Split:
    """A simulated screen with drugs held out, its latent space, and how predictions are judged."""

    def __init__(
        self,
        simulated: SimulatedScreen,
        held_out: list[str],
        config: Config,
        seed: int,
        separator: str | None = None,
    ) -> None:
        self.simulated, self.config, self.seed = simulated, config, seed
        self.adata, self.held_out, self.separator = simulated.adata, set(held_out), separator
        self.screen = Screen.of(self.adata, **KEYS, separator=separator)
        names = {t: "+".join(t.drugs) for t in self.screen.treated}
        self.adata.obs["split"] = split_cells(
            self.adata,
            self.screen,
            held_out=lambda t: names[t] in self.held_out or t.label in self.held_out,
            seed=seed,
        )
        self.unseen = (self.adata.obs["split"] != "train").to_numpy()
        self.training = self.screen.without(self.unseen)
        self.space = PrincipalComponents(min(config.components, config.genes))
        genes = np.asarray(self.adata.X)
        self.space.fit(genes[~self.unseen])
        self.latent = self.space.encode(genes)
        self.control = self.cells_of(self.screen.control)
        self._markers: dict[Treatment, np.ndarray] = {}

    def fit(self, model: ConditionalMongeMap, context: DrugContext) -> ConditionalMongeMap:
        """Fit a map to the training cells."""
        return model.fit(
            self.adata,
            **KEYS,
            context=context,
            separator=self.separator,
            representation=self.space,
            split_key="split",
            fewest=20,
            seed=self.seed,
        )

    def cells_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the latent cells among these that no training saw."""
        return self.latent[rows[self.unseen[rows]]]

    def markers(self, treatment: Treatment) -> np.ndarray:
        """Return the columns of a drug's marker genes, by the cells at its largest dose."""
        if treatment not in self._markers:
            doses = [t for t in self.screen.treated if t.drugs == treatment.drugs]
            strongest = max(doses, key=lambda t: t.dose or 0)
            genes = np.asarray(self.adata.X)
            treated, control = genes[self.screen.treated[strongest]], genes[self.screen.control]
            self._markers[treatment] = marker_genes(treated, control, MARKERS)
        return self._markers[treatment]

    def measure(self, treatment: Treatment, latent: np.ndarray) -> list[float]:
        """Return the measures of a prediction, in the space of the genes."""
        target = self.space.decode(self.cells_of(self.screen.treated[treatment]))
        return self._compare(treatment, target, self.space.decode(latent))

    def floor(self, treatment: Treatment) -> list[float]:
        """Return the measures of one half of the measured cells against the other."""
        halves = two_samples(self.latent[self.screen.treated[treatment]], seed=self.seed)
        return self._compare(treatment, *map(self.space.decode, halves))

    def _compare(self, treatment: Treatment, target: np.ndarray, other: np.ndarray) -> list[float]:
        found = perturbation_metrics(
            target,
            other,
            markers=self.markers(treatment),
            batches=self.config.metric_batches,
            cells=self.config.metric_cells,
            seed=self.seed,
            only=("mmd", "wasserstein"),
        )
        return [getattr(found, name) for name in MEASURES]


def _predictions(
    work: Split,
    maps: Mapping[str, ConditionalMongeMap],
    references: ReferencePredictions,
    treatment: Treatment,
) -> dict[str, np.ndarray]:
    control = work.control
    predictions = {name: model.transport(control, treatment) for name, model in maps.items()}
    return predictions | {
        "identity": references.identity(control),
        "mean_shift": references.mean_shift(control, treatment),
        "gaussian_map": references.gaussian_map(control, treatment),
        "nearest": references.nearest_condition(control, treatment),
    }


def _specific(work: Split, treatment: Treatment, config: Config) -> ConditionalMongeMap:
    """Return a map of one treatment alone, without condition."""
    rows = np.concatenate([work.screen.control, work.screen.treated[treatment]])
    options: dict[str, Any] = map_options(config)
    options |= {"steps": config.specific_steps, "conditions_per_step": 1}
    model = ConditionalMongeMap(**options)
    return model.fit(
        work.adata[np.sort(rows)].copy(),
        perturbation_key="drug",
        representation=work.space,
        split_key="split",
        fewest=20,
        seed=work.seed,
    )


def _cellwise(
    work: Split, maps: Mapping[str, ConditionalMongeMap], held_out: list[Treatment]
) -> dict[str, Any]:
    """Compare each predicted cell with what that very cell became: the simulator knows."""
    untreated = work.space.encode(np.asarray(work.adata.obsm["untreated"]))
    names = ("descriptors", "no_gap", "means")
    error, rank = (np.empty((len(names), len(held_out))) for _ in range(2))
    from scipy.stats import spearmanr

    for column, treatment in enumerate(held_out):
        rows = work.screen.treated[treatment]
        before, after = untreated[rows], work.latent[rows]
        moved = np.linalg.norm(after - before, axis=1)
        for row, name in enumerate(names):
            predicted = maps[name].transport(before, treatment)
            error[row, column] = np.linalg.norm(predicted - after, axis=1).mean()
            response = np.linalg.norm(predicted - before, axis=1)
            correlation: Any = spearmanr(response, moved)
            rank[row, column] = np.nan_to_num(correlation.statistic)
    dims = ("cellwise", "held_out")
    return {"cell_error": (dims, error), "cell_rank": (dims, rank), "cellwise": list(names)}


def _pictures(
    work: Split, model: ConditionalMongeMap, effects: DrugContext, held_out: list[Treatment]
) -> dict[str, Any]:
    """Return cells for the pictures, and the map of effects in two dimensions."""
    strongest = [t for t in held_out if t.dose == max(t.dose or 0 for t in held_out)]
    rng = np.random.default_rng(work.seed)

    def some(cells: np.ndarray) -> np.ndarray:
        return cells[rng.choice(len(cells), SHOWN)][:, :2]

    control = work.control[rng.choice(len(work.control), SHOWN)]
    moved = np.stack([model.transport(control, t)[:, :2] for t in strongest])
    measured = np.stack([some(work.cells_of(work.screen.treated[t])) for t in strongest])
    centred = effects.table.to_numpy() - effects.table.to_numpy().mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    labels = [t for t in work.screen.treated if t.label in set(effects.table.index)]
    return {
        "shown_control": (("cell", "axis"), control[:, :2]),
        "shown_predicted": (("shown", "cell", "axis"), moved),
        "shown_measured": (("shown", "cell", "axis"), measured),
        "shown": [t.label for t in strongest],
        "effect_map": (("effect", "axis"), centred @ axes.T),
        "effect_mechanism": ("effect", [work.simulated.mechanism[t.drugs[0]] for t in labels]),
        "effect_dose": ("effect", [t.dose for t in labels]),
    }


def _epsilons(
    work: Split, context: DrugContext, held_out: list[Treatment], config: Config | None
) -> dict[str, Any]:
    """Return the measures at other entropies of the fit."""
    if config is None or not config.epsilons:
        return {}
    values = np.empty((len(config.epsilons), len(held_out), len(MEASURES)))
    for row, epsilon in enumerate(config.epsilons):
        options: dict[str, Any] = {**map_options(config), "epsilon_fit": epsilon}
        model = work.fit(ConditionalMongeMap(**options), context)
        for column, treatment in enumerate(held_out):
            values[row, column] = work.measure(treatment, model.transport(work.control, treatment))
    return {
        "by_epsilon": (("epsilon", "held_out", "measure"), values),
        "epsilon": list(config.epsilons),
    }


def _specificity(
    work: Split, maps: Mapping[str, ConditionalMongeMap], held_out: list[Treatment]
) -> dict[str, Any]:
    strongest = [t for t in held_out if t.dose == max(t.dose or 0 for t in held_out)]
    base = work.control.mean(0)
    measured = np.stack([work.latent[work.screen.treated[t]].mean(0) - base for t in strongest])
    predicted = np.stack(
        [maps["descriptors"].transport(work.control, t).mean(0) - base for t in strongest]
    )
    return {"specificity": ("side", list(specificity(predicted, measured)))}


def _combinations(ligands: str, config: Config, seed: int) -> dict[str, Any]:
    """Train on single drugs and half of the pairs, predict the other half."""
    molecules = molecule_sets(2, ligands=ligands, seed=seed)
    drugs = [f"{mechanism}_{i}" for mechanism in molecules for i in range(2)]
    rng = np.random.default_rng(seed)
    every = [(a, b) for i, a in enumerate(drugs) for b in drugs[i + 1 :] if a[:-2] != b[:-2]]
    pairs = [every[i] for i in rng.permutation(len(every))[: config.combinations]]
    simulated = simulate_screen(
        molecules,
        doses=(300.0, 3000.0),
        cells=config.cells,
        genes=config.genes,
        combinations=pairs,
        seed=seed,
    )
    held = ["+".join(sorted(pair)) for pair in pairs[: len(pairs) // 2]]
    work = Split(simulated, held, config, seed, separator="+")
    context = molecule_descriptors(simulated.smiles)
    values = {}
    for pooling in ("mean", "attention"):
        model = work.fit(ConditionalMongeMap(**map_options(config), pooling=pooling), context)
        values[pooling] = model
    treatments = [t for t in work.screen.treated if "+".join(t.drugs) in work.held_out]
    names = ("mean", "attention", "identity", "floor")
    found = np.empty((len(names), len(treatments), len(MEASURES)))
    for column, treatment in enumerate(treatments):
        for row, name in enumerate(names):
            if name == "floor":
                found[row, column] = work.floor(treatment)
                continue
            cells = work.control
            if name != "identity":
                cells = values[name].transport(cells, treatment)
            found[row, column] = work.measure(treatment, cells)
    return {
        "combined": (("pooled", "pair", "measure"), found),
        "pooled": list(names),
        "pair": [t.label for t in treatments],
    }
