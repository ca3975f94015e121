r"""The conditional Monge map: one optimal-transport map for every treatment of a screen.

A. Driessen, B. Harsanyi, M. Rapsomaniki, J. Born, *Towards generalizable single-cell perturbation
modeling via the Conditional Monge Gap*, arXiv:2504.08328 (2025). Untreated cells x and a
description c of the treatment go in, treated cells come out:

.. math::

    \min_\theta \; \mathbb E_{k} \Bigl[ S_{\varepsilon_1}\bigl(T_\theta(\cdot, c_k)_\# \mu, \nu_k\bigr)
    + \lambda\, M_{\varepsilon_2}\bigl(T_\theta(\cdot, c_k)\bigr) \Bigr]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from axonal.cells.perturbation import saving
from axonal.cells.perturbation.checks import (
    check_settings,
    training_cells,
    warn_of_extrapolation,
    warn_of_other_scale,
    warn_of_skipped,
)
from axonal.cells.perturbation.context import DrugContext
from axonal.cells.perturbation.encoding import DoseScale, Encoding
from axonal.cells.perturbation.fitting import train_network
from axonal.cells.perturbation.latent import LatentSpace
from axonal.cells.perturbation.network import ConditionalPerturbationNetwork, Pooling
from axonal.cells.perturbation.objective import MongeObjective
from axonal.cells.perturbation.prediction import aligned, as_treated, require_described
from axonal.cells.perturbation.screen import (
    Screen,
    Treatment,
    dense,
    feature_names,
    finite,
    looks_like_counts,
    warn_of_counts,
)
from axonal.cells.perturbation.spaces import space_of
from axonal.errors import InputError
from axonal.transport.costs import Cost

if TYPE_CHECKING:
    from accelerate import Accelerator
    from anndata import AnnData

    from axonal.training import History


class ConditionalMongeMap:
    """Predict how untreated cells would be after a treatment, also one that was never measured.

    Parameters
    ----------
    hidden
        Widths of the hidden layers.
    context_width
        Outputs of the layer that embeds a drug (of the only layer, where doses alone vary).
    pooling
        How the drugs of a combination are put together: ``"mean"``, ``"attention"``; ``"none"``
        where each treatment is one drug.
    layer_norm
        Normalise what enters the first hidden layer.
    epsilon_fit, epsilon_gap
        Entropies of the fit and of the gap, in units of the latent space; ``"auto"`` is 5 % of the
        mean distance between control and treated cells.
    gap_weight
        λ, the weight of the Monge gap.
    cost
        ``"euclidean"`` (the paper's; not squared) or ``"sqeuclidean"``.
    steps, batch_size, learning_rate, weight_decay
        Of AdamW, the rate falling along a cosine to 1 %; ``batch_size`` cells, drawn with
        replacement, of control and of treatment.
    conditions_per_step
        Treatments whose losses are averaged in a step (the paper's trainer takes one, and can
        accumulate gradients over several).
    clip
        The largest norm of the gradient.

    Attributes
    ----------
    network_
        The map in the latent space.
    space_, encoding_
        The latent space, and how treatments become context vectors.
    treatments_
        Those seen in training.
    history_
        Loss, fit and gap of every step.
    """

    network_: ConditionalPerturbationNetwork
    space_: LatentSpace
    encoding_: Encoding
    objective_: MongeObjective
    treatments_: tuple[Treatment, ...]
    history_: History | None
    features_: tuple[str, ...]
    fit_: dict[str, Any]

    def __init__(
        self,
        hidden: Sequence[int] = (64, 64, 64, 64),
        *,
        context_width: int = 50,
        pooling: Pooling = "none",
        layer_norm: bool = False,
        epsilon_fit: float | Literal["auto"] = 1.0,
        epsilon_gap: float | Literal["auto"] = 0.01,
        gap_weight: float = 1.0,
        cost: Cost = "euclidean",
        steps: int = 10_000,
        batch_size: int = 512,
        conditions_per_step: int = 1,
        learning_rate: float = 1e-4,
        weight_decay: float = 1e-5,
        clip: float | None = None,
    ) -> None:
        self.hidden, self.context_width = tuple(hidden), context_width
        self.pooling: Pooling = pooling
        self.layer_norm, self.gap_weight = layer_norm, gap_weight
        self.cost: Cost = cost
        self.epsilon_fit, self.epsilon_gap = epsilon_fit, epsilon_gap
        self.steps, self.batch_size = steps, batch_size
        self.conditions_per_step = conditions_per_step
        self.learning_rate, self.weight_decay, self.clip = learning_rate, weight_decay, clip
        check_settings(self)

    def fit(
        self,
        adata: AnnData,
        *,
        perturbation_key: str = "perturbation",
        control: str = "control",
        dose_key: str | None = None,
        dose_scale: DoseScale = "log",
        time_key: str | None = None,
        separator: str | None = None,
        context: Any = None,
        representation: LatentSpace | str = "X",
        split_key: str | None = None,
        fewest: int = 30,
        seed: int = 0,
        folder: Path | str | None = None,
        checkpoint_every: int | None = None,
        accelerator: Accelerator | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> ConditionalMongeMap:
        """Learn the map from a screen.

        Parameters
        ----------
        adata
            Cells in rows, untreated and treated, on a logarithmic scale.
        perturbation_key, control, dose_key, time_key, separator, fewest
            What the columns of ``obs`` mean, see :meth:`Screen.of`.
        dose_scale
            ``"log"`` reads the natural logarithm of a dose, ``"linear"`` its part of the largest.
        context
            What describes a drug: :func:`molecule_descriptors`, :func:`effect_embedding`, a
            DataFrame with a row a drug, or ``"learned"``. None where there is one drug.
        representation
            The space in which cells move: ``"X"``, ``"X_pca"``, or a space that is fitted on the
            training cells.
        split_key
            A column of ``obs``: only cells that it says ``"train"`` of are seen.
        seed
            Of weights, batches and dropout.
        folder, checkpoint_every, accelerator, progress
            See :func:`axonal.training.train`; what is found in the folder is continued.
        """
        features = feature_names(adata)
        screen = Screen.of(
            adata,
            perturbation_key=perturbation_key,
            control=control,
            dose_key=dose_key,
            time_key=time_key,
            separator=separator if self.pooling != "none" else None,
            log_dose=dose_scale == "log",
            fewest=fewest,
        )
        kept = training_cells(adata, split_key)
        screen = screen.without(~kept)
        if not len(screen.control) or not screen.treated:
            raise InputError(
                f"split_key: of control {len(screen.control)} cells and of {len(screen.treated)} "
                "treatments are in 'train'; training needs both."
            )
        cells = dense(adata)
        warn_of_counts(cells)
        self.features_ = features
        self.space_ = space_of(representation, adata)
        rows = np.concatenate([screen.control, *screen.treated.values()])
        place = None if folder is None else Path(folder)
        self.space_.fit(
            cells[np.sort(rows)],
            seed=seed,
            folder=None if place is None else place / "space",
            accelerator=accelerator,
        )
        latent = finite(self.space_.encode(cells), "the latent space")
        self.treatments_ = tuple(screen.treated)
        self.encoding_ = Encoding.of(
            self.treatments_,
            context,
            dose=dose_scale if dose_key else None,
            time="linear" if time_key else None,
            pooled=self.pooling != "none",
        )
        warn_of_skipped(self.encoding_, self.treatments_)
        self.fit_ = {
            "perturbation_key": perturbation_key,
            "control": control,
            "dose_key": dose_key,
            "time_key": time_key,
            "separator": separator,
            "seed": seed,
            "counts": looks_like_counts(cells),
        }
        train_network(
            self,
            latent,
            screen,
            seed=seed,
            folder=None if place is None else place / "map",
            checkpoint_every=checkpoint_every,
            accelerator=accelerator,
            progress=progress,
        )
        return self

    def predict(
        self,
        adata: AnnData,
        perturbation: str | Sequence[str],
        *,
        dose: float | None = None,
        time: float | None = None,
        context: Any = None,
    ) -> AnnData:
        """Return untreated cells as they would be after a treatment, in the same order.

        Parameters
        ----------
        adata
            Untreated cells with the features of training (in any order).
        perturbation
            A drug, or several of a combination.
        dose, time
            As in training.
        context
            A row for a drug that was not in training: from :func:`molecule_descriptors`, or an array
            or Series. Nothing else is needed for a new one.

        Returns
        -------
        AnnData
            X predicted, ``obs`` that of the untreated cells with the treatment's columns set,
            ``obsm["X_latent"]`` where the map took them.
        """
        self._require_fitted()
        drugs = (perturbation,) if isinstance(perturbation, str) else tuple(perturbation)
        require_described(self, drugs)
        treatment = Treatment(drugs, dose, time)
        warn_of_skipped(self.encoding_, [treatment])
        coordinates = self.transport(self.encode(adata), treatment, context=context)
        warn_of_extrapolation(self.treatments_, treatment)
        return as_treated(self, adata, treatment, coordinates)

    def encode(self, adata: AnnData) -> np.ndarray:
        """Return the latent coordinates of cells ``(cells, width)``."""
        self._require_fitted()
        cells = aligned(adata, self.features_)
        warn_of_other_scale(cells, bool(self.fit_.get("counts", False)))
        return self.space_.encode(cells)

    @torch.no_grad()
    def transport(
        self, coordinates: np.ndarray, treatment: Treatment, *, context: Any = None
    ) -> np.ndarray:
        """Return where latent coordinates ``(cells, width)`` go under a treatment."""
        self._require_fitted()
        encoding = self._encoding_with(context, treatment)
        tokens, present = encoding.encode([treatment])
        self.network_.eval()
        cells = torch.from_numpy(np.ascontiguousarray(coordinates, dtype=np.float32))
        moved = [self.network_(part[None], tokens, present)[0] for part in cells.split(65_536)]
        return torch.cat(moved).numpy()

    @property
    def parameters(self) -> int:
        """The number of trained numbers of the map."""
        self._require_fitted()
        return sum(tensor.numel() for tensor in self.network_.parameters())

    def save(self, folder: Path | str) -> None:
        """Write ``map.safetensors`` and ``card.json`` into a folder."""
        self._require_fitted()
        saving.save(self, Path(folder))

    @classmethod
    def load(cls, folder: Path | str) -> ConditionalMongeMap:
        """Read a map that :meth:`save` wrote."""
        return saving.load(cls, Path(folder))

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = (
            "hidden context_width pooling layer_norm epsilon_fit epsilon_gap gap_weight cost steps "
            "batch_size conditions_per_step learning_rate weight_decay clip"
        )
        return {name: getattr(self, name) for name in names.split()}

    def build(self, width: int) -> ConditionalPerturbationNetwork:
        """Return an untrained network for cells of ``width`` coordinates."""
        slices = self.encoding_.slices
        widths = [self.context_width] + [1] * (len(slices) - 1) if slices else []
        return ConditionalPerturbationNetwork(
            width,
            slices,
            widths,
            self.hidden,
            pooling=self.pooling if slices else "none",
            layer_norm=self.layer_norm,
        )

    def loss(self, network: Any, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and its parts."""
        mapped = network(batch["source"], batch["context"], batch["present"])
        fit, gap = self.objective_(batch["source"], mapped, batch["target"])
        return fit + self.gap_weight * gap, {"fit": fit, "gap": gap}

    def _encoding_with(self, context: Any, treatment: Treatment) -> Encoding:
        if context is None:
            return self.encoding_
        if self.encoding_.context is None:
            raise InputError("context: the map was fitted without one, so it cannot read it.")
        from dataclasses import replace

        new = DrugContext.of(context, treatment.drugs)
        return replace(self.encoding_, context=self.encoding_.context.with_rows(new))

    def _require_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise InputError("The map is not fitted yet: call fit, or load one.")
