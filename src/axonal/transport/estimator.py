"""What every member of the family shares: scikit-learn's verbs, kinds in and out, one map, one edit.

A member says only how its map follows from two populations (:meth:`AffineTransport.learn`).
"""

from __future__ import annotations

import inspect
import math
from numbers import Real
from typing import Any, Generic, Self, TypeVar

from torch import Tensor

from axonal.activations import Edit
from axonal.errors import InputError, nearest
from axonal.transport.affine import Map
from axonal.transport.arrays import Array, populations, tensor_of

MapT = TypeVar("MapT", bound=Map)


class AffineTransport(Generic[MapT]):
    """A map from a source population to a target population, fitted on rows of both.

    Constructors keep their parameters and nothing else; what :meth:`fit` learns ends in an
    underscore. scikit-learn's ``clone`` and ``Pipeline`` work with it: the target takes the place
    of ``y``.

    Attributes
    ----------
    map_
        The fitted map, in float64 tensors.
    n_features_in_
        The number of units.
    """

    strength: float
    map_: MapT
    n_features_in_: int

    def fit(self, source: Array, target: Array) -> Self:
        """Learn the map.

        Parameters
        ----------
        source, target
            Rows ``(samples, units)``: NumPy arrays or tensors, of any floating type; the two need
            not have equally many rows.
        """
        self._check_strength()
        x, y, _ = populations(source, target)
        self.map_ = self.learn(x, y)
        self.n_features_in_ = x.shape[1]
        return self

    def learn(self, source: Tensor, target: Tensor) -> MapT:
        """Return the map for float64 rows of equal width that differ."""
        raise NotImplementedError

    def transform(self, rows: Array) -> Any:
        """Return rows ``(..., units)`` moved ``strength`` of the way; gradients flow through."""
        x, kind = self._rows(rows)
        return kind.back(self._map_at(x).apply(x, self._check_strength()))

    def fit_transform(self, source: Array, target: Array) -> Any:
        """Fit, and return the source moved."""
        return self.fit(source, target).transform(source)

    def inverse_transform(self, rows: Array) -> Any:
        """Return the rows that :meth:`transform` maps to these; refused where they are lost."""
        x, kind = self._rows(rows)
        return kind.back(self._map_at(x).undo(x, self._check_strength()))

    def edit(self, **limits: Any) -> Edit:
        """Return the fitted map as an edit, for :func:`axonal.activations.edit`.

        Parameters
        ----------
        limits
            ``positions``, ``tokens``, ``rows`` and ``strength`` (this estimator's by default).
        """
        self._check_fitted()
        return self.map_.edit(**{"strength": self._check_strength(), **limits})

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002  scikit-learn's
        """Return the constructor's parameters."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters by name; the map stays until the next :meth:`fit`."""
        for name, value in parameters.items():
            if name not in self._names():
                raise InputError(
                    f"{type(self).__name__} has no parameter {name!r}: "
                    f"{nearest(name, self._names())}"
                )
            setattr(self, name, value)
        return self

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def _check_strength(self) -> float:
        strength = self.strength
        number = isinstance(strength, Real) and not isinstance(strength, bool)
        if not number or not math.isfinite(strength):
            raise InputError(f"strength: expected a finite number, got {strength!r}.")
        return float(strength)

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise InputError(f"This {type(self).__name__} is not fitted: call fit first.")

    def _rows(self, rows: Array) -> tuple[Tensor, Any]:
        self._check_fitted()
        x, kind = tensor_of(rows, "rows")
        if x.ndim == 0 or x.shape[-1] != self.n_features_in_:
            raise InputError(
                f"rows: this map was fitted on {self.n_features_in_} units, but shape "
                f"{tuple(x.shape)} came."
            )
        return x, kind

    def _map_at(self, x: Tensor) -> MapT:
        return self.map_.to(x.device)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "map_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=True, two_d_labels=True),
            transformer_tags=TransformerTags(),
        )

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({given})"
