"""Readers of the files that the paper uses, and of flow cytometry.

``sciplex3`` and ``4i`` are the preprocessed files of the ETH research collection
(handle 20.500.11850/609681), which users bring themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.cells.perturbation.screen import plain
from axonal.errors import InputError, require

if TYPE_CHECKING:
    from anndata import AnnData

#: Doses of the plate's wells, in descending order from B1 (the example's file names; as Chen & Weiss
#: 2005 give no unit in the source, they are micromolar by its convention).
YEAST_DOSES = (
    5.0, 3.75, 2.8125, 2.109, 1.582, 1.1865, 0.8899, 0.6674, 0.5, 0.3754, 0.2816, 0.2112,
    0.1584, 0.1188, 0.0892, 0.0668, 0.05, 0.0376, 0.0282, 0.0211, 0.0159,
)  # fmt: skip
_CHANNELS = ("FSC-A", "SSC-A", "FITC-A", "PerCP-Cy5-5-A")


def read_sciplex(path: Path | str, *, smiles: Mapping[str, str] | None = None) -> AnnData:
    """Read ``hvg.h5ad`` of sciplex3 as CellOT and cmonge have it.

    ``obs["drug-dose"]`` (or ``condition``) holds labels like ``"givinostat-100"`` and
    ``"control-0"``, X log-normalised expression of 1000 genes, and ``uns["rank_genes_groups"]``
    each drug's marker genes. Added are ``obs`` columns ``drug`` and ``dose`` (nM), and
    ``uns["markers"]``: columns of each drug's 50 first markers.

    Parameters
    ----------
    path
        Of the file.
    smiles
        By drug, to be put into ``obs["smiles"]``; drugs without one are an error.
    """
    adata = _read(path)
    column = next((c for c in ("drug-dose", "drug_dose", "condition") if c in adata.obs), None)
    if column is None:
        raise InputError(
            f"{path}: expected a column 'drug-dose' in obs, as sciplex3's hvg.h5ad has it; there are "
            f"{', '.join(map(str, adata.obs.columns))}."
        )
    labels: Any = adata.obs[column].astype(str)
    parts: Any = labels.str.extract(r"^(.*)-([0-9.]+)$")
    if parts.isna().to_numpy().any():
        bad = labels[parts.isna().any(axis=1)].unique()[:3]
        raise InputError(
            f"{path}: obs[{column!r}] holds {', '.join(map(repr, bad))}; expected drug-dose, such as "
            "'givinostat-100'."
        )
    adata.obs["drug"] = parts[0].str.lower().to_numpy()
    adata.obs["dose"] = parts[1].astype(float).to_numpy()
    if smiles is not None:
        known = {name.lower(): one for name, one in smiles.items()}
        lacking = sorted(set(adata.obs["drug"]) - set(known) - {"control"})
        if lacking:
            raise InputError(f"smiles: none is given for {', '.join(lacking)}.")
        adata.obs["smiles"] = adata.obs["drug"].map(lambda drug: known.get(drug, "")).to_numpy()
    adata.uns["markers"] = _markers(adata)
    return adata


def read_4i(
    path: Path | str,
    *,
    features: Iterable[str] | Path | None = None,
    drugs: Iterable[str] | Path | None = None,
) -> AnnData:
    """Read ``8h.h5ad`` of the 4i melanoma screen.

    ``obs["drug"]`` holds ``"control"``, single drugs and combinations joined by ``_``
    (``"trametinib_erlotinib"``). Read it with ``separator="_"`` and ``pooling="mean"``.

    Parameters
    ----------
    path
        Of the file.
    features, drugs
        The 48 features and the treatments that are used, or the text files (one a line) that list
        them; None: all.
    """
    adata = _read(path)
    if "drug" not in adata.obs:
        raise InputError(f"{path}: expected a column 'drug' in obs, as 4i's 8h.h5ad has it.")
    if features is not None:
        wanted = _lines(features)
        missing = [name for name in wanted if name not in adata.var_names]
        if missing:
            raise InputError(f"{path}: lacks the features {', '.join(missing[:5])}.")
        adata = adata[:, wanted].copy()
    if drugs is not None:
        wanted = [*_lines(drugs), "control"]
        adata = adata[adata.obs["drug"].astype(str).isin(wanted)].copy()
    return adata


def read_yeast(folder: Path | str) -> AnnData:
    """Read the dose-response experiment of yeast with a GFP reporter (asset ``yeast-dose-response``).

    Wells C10 to C12 are not documented; their fluorescence is that of no inducer, and they serve as
    control. Features are ``asinh(x / 150)`` of four channels, standardised on the control.

    Parameters
    ----------
    folder
        With files like ``B1_B01.fcs``.
    """
    import anndata
    import pandas as pd

    files = {}
    for path in sorted(Path(folder).glob("*.fcs")):
        if match := re.search(r"([BC]\d+)_[BC]\d+\.fcs$", path.name):
            files[match.group(1)] = path
    wells = [f"{row}{column}" for row in "BC" for column in range(1, 13)]
    if missing := [well for well in wells if well not in files]:
        raise InputError(f"{folder}: no FCS file of the wells {', '.join(missing)}.")
    doses = dict(zip(wells, [*YEAST_DOSES, 0.0, 0.0, 0.0], strict=True))
    parts = [read_fcs(files[well], _CHANNELS) for well in wells]
    values = np.arcsinh(np.concatenate(parts) / 150)
    well = np.repeat(wells, [len(part) for part in parts])
    dose = np.array([doses[name] for name in well])
    control = dose == 0
    values = (values - values[control].mean(0)) / values[control].std(0)
    obs = pd.DataFrame(
        {
            "perturbation": np.where(control, "control", "isopentenyladenine"),
            "dose": dose,
            "well": well,
        },
        index=[f"cell{i}" for i in range(len(well))],
    )
    var = pd.DataFrame(index=["FSC", "SSC", "GFP", "PerCP"])
    return anndata.AnnData(values.astype(np.float32), obs=plain(obs), var=plain(var))


def read_fcs(path: Path | str, channels: Iterable[str]) -> np.ndarray:
    """Return channels of a flow-cytometry file ``(events, channels)``."""
    flowio: Any = require("flowio", extra="cells")
    try:
        data = flowio.FlowData(str(path))
    except Exception as error:  # FlowIO raises many kinds
        raise InputError(f"{path} is no readable FCS file: {error}.") from error
    names = list(data.pnn_labels)
    channels = list(channels)
    if missing := [name for name in channels if name not in names]:
        raise InputError(
            f"{path} lacks the channels {', '.join(missing)}; it has {', '.join(names)}."
        )
    events = np.reshape(np.asarray(data.events, dtype=float), (-1, data.channel_count))
    return events[:, [names.index(name) for name in channels]]


def _read(path: Path | str) -> AnnData:
    anndata: Any = require("anndata", extra="cells")
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist.")
    try:
        return anndata.read_h5ad(path)
    except Exception as error:  # h5py and anndata raise many kinds
        raise InputError(f"{path} is no readable h5ad file: {error}.") from error


def _markers(adata: AnnData, count: int = 50) -> dict[str, list[int]]:
    """Return the columns of each drug's first marker genes; empty where the file has none."""
    ranked = adata.uns.get("rank_genes_groups", {})
    names = ranked.get("names") if hasattr(ranked, "get") else None
    if names is None:
        return {}
    columns = {gene: number for number, gene in enumerate(map(str, adata.var_names))}
    drugs = names.dtype.names if getattr(names, "dtype", None) is not None else list(names)
    return {
        str(drug).lower(): [columns[str(g)] for g in names[drug] if str(g) in columns][:count]
        for drug in drugs
    }


def _lines(source: Iterable[str] | Path) -> list[str]:
    if isinstance(source, Path | str):
        return [line.strip() for line in Path(source).read_text().splitlines() if line.strip()]
    return list(source)
