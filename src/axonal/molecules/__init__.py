"""Which molecules may bind, given some that do: ligand-based screening by learned embeddings.

S-MolSearch (Zhou et al., NeurIPS 2024, arXiv:2409.07462), what it must beat, and how it is judged.
"""

from axonal.molecules.affinities import Affinities, check_pk, read_affinities, to_pk
from axonal.molecules.baselines import BASELINES, baseline_scores, shape_similarity
from axonal.molecules.chemistry import identity, largest_fragment, neutral
from axonal.molecules.conformers import Conformer, embed, embed_all, heavy_atoms
from axonal.molecules.decoys import Decoys, properties, property_auroc, property_matched_decoys
from axonal.molecules.descriptors import DescriptorEncoder
from axonal.molecules.encoder import Encoder, embed_features
from axonal.molecules.fingerprints import counts, ecfp, tanimoto, usr_similarity, usrcat
from axonal.molecules.folders import ScreeningTarget, read_target, read_targets
from axonal.molecules.index import Entry, LibraryIndex
from axonal.molecules.leaks import LeakReport, leak_report
from axonal.molecules.metrics import (
    Scores,
    attainable_enrichment,
    enrichment_curve,
    screening_metrics,
)
from axonal.molecules.objective import Objective, lbfgs_labels
from axonal.molecules.pairs import PairBatches, ViewBatches
from axonal.molecules.purity import neighbour_purity
from axonal.molecules.reading import Molecule, Problem, ReadingReport, read_molecules
from axonal.molecules.screening import Screening, screen
from axonal.molecules.search import MoleculeSearch
from axonal.molecules.tokens import VOCABULARY, TokenReport, corrupt, tokenise
from axonal.molecules.two_encoders import TwoEncoders
from axonal.molecules.unimol import UniMolEncoder, UniMolShape
from axonal.molecules.unimol_weights import load_unimol

__all__ = [
    "BASELINES",
    "VOCABULARY",
    "Affinities",
    "Conformer",
    "Decoys",
    "DescriptorEncoder",
    "Encoder",
    "Entry",
    "LeakReport",
    "LibraryIndex",
    "Molecule",
    "MoleculeSearch",
    "Objective",
    "PairBatches",
    "Problem",
    "ReadingReport",
    "Scores",
    "Screening",
    "ScreeningTarget",
    "TokenReport",
    "TwoEncoders",
    "UniMolEncoder",
    "UniMolShape",
    "ViewBatches",
    "attainable_enrichment",
    "baseline_scores",
    "check_pk",
    "corrupt",
    "counts",
    "ecfp",
    "embed",
    "embed_all",
    "embed_features",
    "enrichment_curve",
    "heavy_atoms",
    "identity",
    "largest_fragment",
    "lbfgs_labels",
    "leak_report",
    "load_unimol",
    "neighbour_purity",
    "neutral",
    "properties",
    "property_auroc",
    "property_matched_decoys",
    "read_affinities",
    "read_molecules",
    "read_target",
    "read_targets",
    "screen",
    "screening_metrics",
    "shape_similarity",
    "tanimoto",
    "to_pk",
    "tokenise",
    "usr_similarity",
    "usrcat",
]
