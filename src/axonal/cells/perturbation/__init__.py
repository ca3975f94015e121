"""Responses of cells to drugs: conditional Monge maps.

Towards generalizable single-cell perturbation modeling via the Conditional Monge Gap, Driessen,
Harsanyi, Rapsomaniki and Born 2025 (arXiv:2504.08328).

    model = ConditionalMongeMap(steps=2000, batch_size=256)
    model.fit(adata, perturbation_key="drug", dose_key="dose", control="control",
              context=molecule_descriptors(smiles), representation=PrincipalComponents(50))
    predicted = model.predict(control_cells, "new-drug", dose=1000,
                              context=molecule_descriptors({"new-drug": "CCO"}))
"""

from axonal.cells.perturbation.autoencoder import Autoencoder
from axonal.cells.perturbation.baselines import MeanRegressor, ReferencePredictions, two_samples
from axonal.cells.perturbation.context import DrugContext
from axonal.cells.perturbation.effects import effect_distances, effect_embedding
from axonal.cells.perturbation.encoding import Encoding
from axonal.cells.perturbation.latent import Features, LatentSpace, PrincipalComponents
from axonal.cells.perturbation.metrics import (
    PerturbationMetrics,
    exact_wasserstein,
    marker_genes,
    perturbation_metrics,
    specificity,
)
from axonal.cells.perturbation.molecules import background_of, molecule_descriptors
from axonal.cells.perturbation.monge import ConditionalMongeMap
from axonal.cells.perturbation.network import ConditionalPerturbationNetwork
from axonal.cells.perturbation.objective import MongeObjective
from axonal.cells.perturbation.readers import read_4i, read_fcs, read_sciplex, read_yeast
from axonal.cells.perturbation.screen import Screen, Treatment
from axonal.cells.perturbation.simulation import SimulatedScreen, molecule_sets, simulate_screen
from axonal.cells.perturbation.splits import drug_folds, split_cells

__all__ = [
    "Autoencoder",
    "ConditionalMongeMap",
    "ConditionalPerturbationNetwork",
    "DrugContext",
    "Encoding",
    "Features",
    "LatentSpace",
    "MeanRegressor",
    "MongeObjective",
    "PerturbationMetrics",
    "PrincipalComponents",
    "ReferencePredictions",
    "Screen",
    "SimulatedScreen",
    "Treatment",
    "background_of",
    "drug_folds",
    "effect_distances",
    "effect_embedding",
    "exact_wasserstein",
    "marker_genes",
    "molecule_descriptors",
    "molecule_sets",
    "perturbation_metrics",
    "read_4i",
    "read_fcs",
    "read_sciplex",
    "read_yeast",
    "simulate_screen",
    "specificity",
    "split_cells",
    "two_samples",
]
