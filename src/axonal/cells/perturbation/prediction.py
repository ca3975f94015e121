"""From AnnData and back: cells with the genes of the training in, cells as they would be out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.cells.perturbation.screen import Treatment, dense, feature_names, plain
from axonal.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

    from axonal.cells.perturbation.monge import ConditionalMongeMap


def aligned(adata: AnnData, features: Sequence[str]) -> np.ndarray:
    """Return the values of the map's features in their order ``(cells, features)``.

    Features that are missing are named; others that cells have are passed over.
    """
    names = set(feature_names(adata))
    missing = [name for name in features if name not in names]
    if missing:
        shown = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
        raise InputError(
            f"adata lacks {len(missing)} of the {len(features)} features that the map was fitted on: "
            f"{shown}. Genes must carry the same names (symbols or Ensembl ids)."
        )
    return dense(adata[:, list(features)])


def require_described(model: ConditionalMongeMap, drugs: Sequence[str]) -> None:
    """Refuse another drug where the map was fitted without a description of drugs."""
    if model.encoding_.context is not None:
        return
    known = {treatment.drugs for treatment in model.treatments_}
    if tuple(sorted(drugs)) not in known:
        listed = " or ".join("+".join(one) for one in sorted(known))
        raise InputError(
            f"The map knows no drug but {listed}, got {'+'.join(drugs)}: fit with context= to tell "
            "drugs apart."
        )


def as_treated(
    model: ConditionalMongeMap, adata: AnnData, treatment: Treatment, coordinates: np.ndarray
) -> AnnData:
    """Return predicted cells with the ``obs`` of the untreated ones and the treatment's columns."""
    import anndata

    obs: Any = adata.obs.copy()
    var: Any = adata.var
    obsm: Any = {"X_latent": coordinates}
    fitted = model.fit_
    obs[fitted["perturbation_key"]] = (fitted["separator"] or "+").join(treatment.drugs)
    for name, value in (("dose", treatment.dose), ("time", treatment.time)):
        if value is not None and fitted[f"{name}_key"] is not None:
            obs[fitted[f"{name}_key"]] = float(value)
    predicted = anndata.AnnData(
        model.space_.decode(coordinates),
        obs=plain(obs),
        var=plain(var.loc[list(model.features_)]),
        obsm=obsm,
    )
    predicted.uns["conditional_monge"] = {"treatment": treatment.label}
    return predicted
