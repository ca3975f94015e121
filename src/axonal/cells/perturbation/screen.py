"""A perturbation screen as AnnData holds it: which cells had which treatment, and what is wrong."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from axonal.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

#: Fewer cells than this say little of a population.
FEWEST = 30


@dataclass(frozen=True, order=True)
class Treatment:
    """What was done to a population of cells.

    Parameters
    ----------
    drugs
        Names; several make a combination, whose order means nothing.
    dose
        In the unit of the screen (nM by convention); None where it is not varied.
    time
        In the unit of the screen; None where it is not varied.
    """

    drugs: tuple[str, ...]
    dose: float | None = None
    time: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "drugs", tuple(sorted(self.drugs)))
        if not self.drugs or not all(self.drugs):
            raise InputError(f"A treatment names its drugs, got {self.drugs!r}.")

    @property
    def label(self) -> str:
        """The treatment in words: ``"givinostat-100"``, ``"a+b"``, with `` t=24`` for a time."""
        dose = "" if self.dose is None else f"-{self.dose:g}"
        time = "" if self.time is None else f" t={self.time:g}"
        return "+".join(self.drugs) + dose + time


@dataclass(frozen=True, eq=False)
class Screen:
    """The cells of a screen by treatment.

    Parameters
    ----------
    control
        Rows of the untreated cells, ascending.
    treated
        Rows of each treatment, ascending; treatments are sorted.
    """

    control: np.ndarray
    treated: dict[Treatment, np.ndarray]

    @classmethod
    def of(
        cls,
        adata: AnnData,
        *,
        perturbation_key: str = "perturbation",
        control: str = "control",
        dose_key: str | None = None,
        time_key: str | None = None,
        separator: str | None = None,
        log_dose: bool = False,
        fewest: int = FEWEST,
    ) -> Screen:
        """Read a screen from ``adata.obs``.

        Parameters
        ----------
        adata
            Cells in rows.
        perturbation_key, dose_key, time_key
            Columns of ``obs``: the drug, and the numbers that are varied.
        control
            What the column says of untreated cells.
        separator
            What joins the drugs of a combination, as ``"+"``; None: each label is one drug.
        log_dose
            Doses will be taken the logarithm of, so those of treated cells must be positive.
        fewest
            Cells that a treatment needs.
        """
        require_anndata(adata)
        drug: Any = _column(adata, perturbation_key, "perturbation_key").astype(str)
        numbers = {
            name: _numbers(adata, key, name)
            for name, key in (("dose", dose_key), ("time", time_key))
            if key is not None
        }
        is_control = (drug == control).to_numpy()
        if not is_control.any():
            raise InputError(
                f"control: no cell is labelled {control!r} in obs[{perturbation_key!r}]: "
                f"{nearest(control, drug.unique())}"
            )
        _check_names(drug[~is_control].unique())
        _check_doses(drug, is_control, numbers.get("dose"), log_dose)
        treated: dict[Treatment, np.ndarray] = {}
        groups: dict[tuple[Any, ...], list[int]] = {}
        names = drug.to_numpy()
        for row in np.flatnonzero(~is_control):
            key = (names[row], *(values[row] for values in numbers.values()))
            groups.setdefault(key, []).append(int(row))
        for (name, *values), rows in groups.items():
            drugs = tuple(name.split(separator)) if separator else (name,)
            treatment = Treatment(
                tuple(part.strip() for part in drugs),
                **dict(zip(numbers, map(float, values), strict=True)),
            )
            before = treated.get(treatment, np.empty(0, int))
            treated[treatment] = np.sort(np.concatenate([before, rows]))
        rows_of_control = np.flatnonzero(is_control)
        small = {t.label: len(r) for t, r in treated.items() if len(r) < fewest}
        if len(rows_of_control) < fewest:
            small = {control: len(rows_of_control), **small}
        if small:
            listed = ", ".join(f"{label} ({count})" for label, count in list(small.items())[:5])
            listed += f" and {len(small) - 5} more" if len(small) > 5 else ""
            raise InputError(
                f"Fewer than {fewest} cells in {listed}: leave these out, or lower fewest= knowing "
                "that so few cells say little of a population."
            )
        return cls(rows_of_control, dict(sorted(treated.items(), key=lambda item: _order(item[0]))))

    def without(self, rows: np.ndarray) -> Screen:
        """Return the screen without some cells (a mask); treatments with no cell left are gone."""
        left = {t: r[~rows[r]] for t, r in self.treated.items()}
        return Screen(self.control[~rows[self.control]], {t: r for t, r in left.items() if len(r)})


def require_anndata(adata: Any) -> None:
    """Refuse what is no AnnData, such as a bare matrix."""
    if not all(hasattr(adata, name) for name in ("obs", "var_names", "X")):
        raise InputError(
            f"adata: expected an AnnData, got {type(adata).__name__}; a matrix becomes one by "
            "anndata.AnnData(X, obs=..., var=...)."
        )


def feature_names(adata: AnnData) -> tuple[str, ...]:
    """Return the names of the features, each of which is there once."""
    require_anndata(adata)
    names = tuple(map(str, adata.var_names))
    if len(set(names)) < len(names):
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        raise InputError(
            f"adata.var_names: {len(twice)} names stand for several features: {', '.join(twice[:5])}. "
            "Sum these, keep one of each, or call adata.var_names_make_unique()."
        )
    return names


def dense(adata: AnnData) -> np.ndarray:
    """Return X as a dense array of finite numbers ``(cells, features)``."""
    require_anndata(adata)
    if adata.X is None:
        raise InputError("adata.X is empty: the cells have no measured features.")
    X: Any = adata.X
    values = np.asarray(X.toarray() if hasattr(X, "toarray") else X)
    if not np.issubdtype(values.dtype, np.number):
        raise InputError(f"adata.X: expected numbers, got {values.dtype}.")
    return finite(values.astype(np.float32, copy=False), "adata.X")


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a copy whose texts are categories of Python objects.

    AnnData as it is today cannot write pandas' own strings.
    """
    import pandas as pd

    copy = frame.copy()
    for name, kind in frame.dtypes.items():
        if isinstance(kind, pd.StringDtype | pd.CategoricalDtype) or pd.api.types.is_object_dtype(
            kind
        ):
            values = pd.Categorical(frame[name])
            categories = pd.Index(list(values.categories), dtype=object)
            copy[name] = pd.Categorical.from_codes(values.codes, categories=categories)
    copy.index = copy.index.astype(object)
    return copy


def finite(values: np.ndarray, name: str) -> np.ndarray:
    """Return the values, or say which rows are not finite."""
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise InputError(
            f"{name}: NaN or infinite values in {len(bad)} cells, the first of them number "
            f"{bad[0]}: leave them out or impute them."
        )
    return values


def looks_like_counts(values: np.ndarray) -> bool:
    """Whether the values are whole numbers as large as logarithms never are."""
    return bool(
        values.size and values.max() > 50 and (values >= 0).all() and (values % 1 == 0).all()
    )


def warn_of_counts(values: np.ndarray) -> None:
    """Warn where the values look like raw counts rather than logarithms."""
    if looks_like_counts(values):
        warnings.warn(
            f"adata.X holds whole numbers up to {values.max():g}: raw counts? The method expects "
            "normalised, log-transformed data (scanpy: sc.pp.normalize_total, then sc.pp.log1p).",
            stacklevel=3,
        )


def _column(adata: AnnData, key: str, argument: str) -> pd.Series:
    if key not in adata.obs:
        raise InputError(
            f"{argument}: obs has no column {key!r}: {nearest(key, adata.obs.columns)}"
        )
    column: Any = adata.obs[key]
    missing = int(column.isna().sum())
    if missing:
        raise InputError(f"{argument}: obs[{key!r}] is missing for {missing} cells.")
    return column


def _numbers(adata: AnnData, key: str, name: str) -> np.ndarray:
    column = _column(adata, key, f"{name}_key")
    try:
        values = column.astype(float).to_numpy()
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name}_key: obs[{key!r}] is not a column of numbers: {error}."
        ) from error
    return values


def _check_names(names: Any) -> None:
    """Refuse names that are surely one drug twice: they differ in case, white space or separators."""
    seen: dict[str, list[str]] = {}
    for name in names:
        seen.setdefault(re.sub(r"[\s_\-()]+", "", str(name)).lower(), []).append(str(name))
    twice = [" and ".join(map(repr, same)) for same in seen.values() if len(same) > 1]
    if twice:
        raise InputError(
            f"Some drugs have two names that differ in case or separators only: {'; '.join(twice)}. "
            "Give each drug one name."
        )


def _check_doses(
    drug: pd.Series, is_control: np.ndarray, dose: np.ndarray | None, log_dose: bool
) -> None:
    if dose is None or not log_dose:
        return
    bad = np.flatnonzero(~is_control & ~(dose > 0))
    if len(bad):
        rows = ", ".join(f"{drug.index[row]} ({drug.iloc[row]}, {dose[row]:g})" for row in bad[:5])
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise InputError(
            f"A dose whose logarithm is taken is positive, but these treated cells have none: {rows}"
            f"{more}. Dose 0 is for control only; dose_scale='linear' takes any."
        )


def _order(treatment: Treatment) -> tuple[Any, ...]:
    def number(value: float | None) -> float:
        return -np.inf if value is None else value

    return treatment.drugs, number(treatment.dose), number(treatment.time)
