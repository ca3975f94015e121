r"""Semi-synthetic screens: real molecules, simulated cells whose true answers are known.

Each drug is a real molecule with a known target. A cell is a point z of K latent programmes: one of
three lines (weights 0.40, 0.35, 0.25, means 2 N(0,1), spread 0.6), the first two coordinates on the
circle of the cell cycle (radius 1.2). Drug d of mechanism m moves it along
:math:`e_d = \mathrm{unit}(e_m + \text{noise})` by

.. math:: h\, E_{max}\, r(z), \qquad r(z) = \sigma(0.75\, w_m \cdot z), \quad
          h = \frac{x^n}{x^n + EC_{50}^n}

and contracts its cell-cycle angle by :math:`0.8\, h\, r`; so subpopulations respond differently.
What is measured are genes, random orthonormal combinations of the programmes, with noise. The
untreated state of every treated cell is kept, which no experiment can give.

Assumed is that molecules of one target act alike up to noise. Real drugs do not always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.cells.perturbation.screen import plain
from axonal.errors import InputError, require

if TYPE_CHECKING:
    from anndata import AnnData

LINES, LINE_WEIGHTS, WITHIN = 3, (0.40, 0.35, 0.25), 0.6
RADIUS, CONTRACTION, NOISE = 1.2, 0.8, 0.05
SENSITIVITY = 0.75


@dataclass(frozen=True, eq=False)
class SimulatedScreen:
    """A screen and what is true of it.

    Parameters
    ----------
    adata
        ``obs``: ``drug``, ``dose`` (nM), ``mechanism``, ``line``; ``obsm["untreated"]``: the genes of
        the same cell without treatment; ``obsm["programmes"]``: z after treatment.
    smiles, mechanism
        Of each drug.
    """

    adata: AnnData
    smiles: dict[str, str]
    mechanism: dict[str, str]


def simulate_screen(
    molecules: Mapping[str, Sequence[str]],
    *,
    doses: Sequence[float] = (30.0, 300.0, 3000.0),
    cells: int = 400,
    controls: int = 2000,
    programmes: int = 8,
    genes: int = 60,
    variety: float = 0.35,
    combinations: Sequence[tuple[str, str]] = (),
    seed: int = 0,
) -> SimulatedScreen:
    """Simulate a screen of real molecules.

    Parameters
    ----------
    molecules
        SMILES by mechanism; the drugs of mechanism ``"EGFR"`` are called ``"EGFR_0"``, ...
    doses
        In nM.
    cells, controls
        Treated cells a condition, and untreated ones.
    programmes, genes
        Latent and measured dimensions.
    variety
        Length of the noise by which drugs of one mechanism differ in direction.
    combinations
        Pairs of drugs that are also given together, at each dose; their displacements add.
    seed
        Of everything.
    """
    if genes < programmes or programmes < 3:
        raise InputError(
            f"programmes is at least 3 and at most genes, got {programmes} and {genes}."
        )
    import anndata
    import pandas as pd

    rng = np.random.default_rng(seed)
    centres = 2 * rng.normal(size=(LINES, programmes))
    loadings = np.linalg.qr(rng.normal(size=(genes, programmes)))[0].T
    offset = rng.uniform(1, 4, genes)
    drugs: dict[str, _Drug] = {}
    smiles, mechanism = {}, {}
    for name, members in molecules.items():
        direction, sensitivity = _unit(rng.normal(size=programmes)), rng.normal(size=programmes)
        for number, text in enumerate(members):
            drug = f"{name}_{number}"
            smiles[drug], mechanism[drug] = text, name
            drugs[drug] = _Drug(
                _unit(direction + variety * _unit(rng.normal(size=programmes))),
                sensitivity,
                rng.uniform(2.5, 4.5),
                10 ** rng.uniform(1.5, 3),
                rng.uniform(1, 2),
            )
    groups: list[tuple[tuple[str, ...], float]] = [((), 0.0)]
    given = [(drug,) for drug in drugs] + [tuple(pair) for pair in combinations]
    groups += [(names, float(dose)) for names in given for dose in doses]
    before, after, lines, rows = [], [], [], []
    for names, dose in groups:
        count = cells if names else controls
        z, line = _untreated(rng, centres, count)
        moved = z
        for name in names:
            moved = moved + drugs[name].displacement(z, dose)
        before.append(z)
        after.append(moved + NOISE * rng.normal(size=z.shape))
        lines.append(line)
        label = "+".join(names) or "control"
        own = "+".join(mechanism[name] for name in names) or "none"
        rows += [(label, dose, own)] * count
    z, treated = np.concatenate(before), np.concatenate(after)
    obs = pd.DataFrame(rows, columns=["drug", "dose", "mechanism"])
    obs["line"] = np.concatenate(lines)
    obs.index = [f"cell{i}" for i in range(len(obs))]
    measured = treated @ loadings + offset + NOISE * rng.normal(size=(len(z), genes))
    obsm: Any = {
        "untreated": (z @ loadings + offset).astype(np.float32),
        "programmes": treated,
    }
    adata = anndata.AnnData(
        measured.astype(np.float32),
        obs=plain(obs),
        var=plain(pd.DataFrame(index=[f"gene{i}" for i in range(genes)])),
        obsm=obsm,
    )
    return SimulatedScreen(adata, smiles, mechanism)


@dataclass(frozen=True)
class _Drug:
    direction: np.ndarray
    sensitivity: np.ndarray
    largest: float
    half: float
    hill: float

    def displacement(self, z: np.ndarray, dose: float) -> np.ndarray:
        """Return how far cells go, ``(cells, programmes)``."""
        response = dose**self.hill / (dose**self.hill + self.half**self.hill)
        sensitive = 1 / (1 + np.exp(-SENSITIVITY * (z @ self.sensitivity)))
        strength = (response * sensitive)[:, None]
        angle = np.arctan2(z[:, 1], z[:, 0])
        radius = np.hypot(z[:, 0], z[:, 1])
        turned = angle * (1 - CONTRACTION * strength[:, 0])
        cycle = np.stack([radius * np.cos(turned), radius * np.sin(turned)], axis=1)
        moved = self.largest * strength * self.direction
        moved[:, :2] += cycle - z[:, :2]
        return moved


def molecule_sets(count: int, *, ligands: Path | str, seed: int = 0) -> dict[str, list[str]]:
    """Return real molecules of five targets, ``count`` of each.

    EGFR and CDK2 ligands and sulfonamides on a sodium channel come with RDKit's wheel (BSD-3-Clause);
    5-HT1A and 5-HT4 ligands are those of the asset ``serotonin-ligands`` (MIT).

    Parameters
    ----------
    count
        Of each target; there are 47 CDK2 ligands.
    ligands
        The folder of ``serotonin-ligands``.
    seed
        Of the choice.
    """
    rng = np.random.default_rng(seed)
    chosen = {}
    for name, unique in _sources(str(ligands)).items():
        if count > len(unique):
            raise InputError(f"{name} has {len(unique)} molecules, {count} were asked for.")
        chosen[name] = [unique[i] for i in rng.permutation(len(unique))[:count]]
    return chosen


@cache
def _sources(ligands: str) -> dict[str, list[str]]:
    """Return the distinct molecules of each target, sorted."""
    config: Any = require("rdkit.RDConfig", extra="cells")
    contrib = Path(config.RDContribDir)
    sources = {
        "EGFR": _of_sdf(contrib / "PBF/testData/egfr.sdf"),
        "CDK2": _of_sdf(contrib / "Fastcluster/testdata/cdk2.sdf"),
        "NaV": _of_smi(contrib / "FreeWilson/data/CHEMBL2321810.smi"),
        "5HT1A": _of_csv(Path(ligands) / "AS1.csv"),
        "5HT4": _of_csv(Path(ligands) / "A4.csv"),
    }
    return {name: sorted(set(molecules)) for name, molecules in sources.items()}


def _untreated(
    rng: np.random.Generator, centres: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    line = rng.choice(LINES, size=count, p=LINE_WEIGHTS)
    z = centres[line] + WITHIN * rng.normal(size=(count, centres.shape[1]))
    angle = rng.uniform(-np.pi, np.pi, count)
    z[:, 0], z[:, 1] = RADIUS * np.cos(angle), RADIUS * np.sin(angle)
    return z, line


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _of_sdf(path: Path) -> list[str]:
    chem: Any = require("rdkit.Chem", extra="cells")
    return [chem.MolToSmiles(one) for one in chem.SDMolSupplier(str(path)) if one is not None]


def _of_smi(path: Path) -> list[str]:
    chem: Any = require("rdkit.Chem", extra="cells")
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    read = [chem.MolFromSmiles(line[0]) for line in lines]
    return [chem.MolToSmiles(one) for one in read if one is not None]


def _of_csv(path: Path) -> list[str]:
    import pandas as pd

    return list(pd.read_csv(path)["smiles"])
