"""The door of the room: NumPy arrays and tensors come in, float64 tensors work, the same kind leaves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from axonal.errors import InputError

Array: TypeAlias = NDArray[Any] | Tensor
"""What the functions of this room take and give back."""


@dataclass(frozen=True)
class Kind:
    """What an array was before it became a float64 tensor.

    Parameters
    ----------
    numpy
        Whether it was a NumPy array (or a list); else a tensor.
    dtype
        Its floating type (NumPy's or torch's); float64 if it held integers.
    device
        Where it lay.
    """

    numpy: bool
    dtype: Any
    device: torch.device

    def back(self, tensor: Tensor) -> Any:
        """Give a result the kind, dtype and device of what came in."""
        if self.numpy:
            return tensor.detach().cpu().numpy().astype(self.dtype)
        return tensor.to(device=self.device, dtype=self.dtype)

    def number(self, tensor: Tensor) -> Any:
        """Give a single number as a float where an array came in, else as a tensor with its graph."""
        return float(tensor) if self.numpy and tensor.ndim == 0 else self.back(tensor)

    def exact(self, tensor: Tensor) -> Any:
        """Give a result the kind of what came in, and keep it in float64."""
        return tensor.detach().cpu().numpy() if self.numpy else tensor


def tensor_of(values: Any, name: str, *, dimensions: int | None = None) -> tuple[Tensor, Kind]:
    """Return finite real numbers as a float64 tensor, and what they were.

    Parameters
    ----------
    values
        A NumPy array, a tensor, or what NumPy makes an array of.
    name
        What the caller calls it; errors begin with it.
    dimensions
        The number of dimensions expected; None for any.
    """
    if isinstance(values, Tensor):
        if values.is_complex():
            raise InputError(f"{name}: expected real numbers, got {values.dtype}.")
        dtype = values.dtype if values.is_floating_point() else torch.float64
        kind = Kind(False, dtype, values.device)
        # Apple's GPUs have no float64: there the work is done on the CPU.
        tensor = (values.cpu() if values.device.type == "mps" else values).double()
    else:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise InputError(
                f"{name}: expected a NumPy array or a tensor of real numbers, got "
                f"{type(values).__name__} of {array.dtype}."
            )
        dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
        kind = Kind(True, dtype, torch.device("cpu"))
        wide = np.ascontiguousarray(array, dtype=np.float64).reshape(array.shape)
        # No copy where none is needed; torch shares no memory that it must not write to.
        tensor = torch.from_numpy(wide if wide.flags.writeable else wide.copy())
    if dimensions is not None and tensor.ndim != dimensions:
        raise InputError(
            f"{name}: expected {dimensions} dimension(s), got shape {tuple(tensor.shape)}."
        )
    if tensor.numel() == 0:
        raise InputError(f"{name}: expected at least one value, got shape {tuple(tensor.shape)}.")
    # A finite sum is quicker than a look at every value, and only finite values have one.
    if not math.isfinite(float(tensor.detach().sum())) and not bool(torch.isfinite(tensor).all()):
        if tensor.ndim < 2:
            where = f"{int((~torch.isfinite(tensor)).sum())} of its {tensor.numel()} values"
        else:
            bad = (~torch.isfinite(tensor)).flatten(1).any(dim=1)
            where = f"{int(bad.sum())} of its {len(tensor)} rows"
        raise InputError(f"{name}: {where} hold NaN or infinity; remove them first.")
    return tensor, kind


def populations(source: Any, target: Any) -> tuple[Tensor, Tensor, Kind]:
    """Return two sets of rows, ``(samples, units)`` each, that a map can be fitted on.

    Refuses sets of different widths, sets of fewer than two rows, and two sets that are the same
    rows (in any order).
    """
    x, kind = tensor_of(source, "source", dimensions=2)
    y, _ = tensor_of(target, "target", dimensions=2)
    x, y = x.detach(), y.detach().to(x.device)
    if x.shape[1] != y.shape[1]:
        raise InputError(
            f"source has {x.shape[1]} units but target has {y.shape[1]}: record both at one site."
        )
    for name, rows in (("source", x), ("target", y)):
        if len(rows) < 2:
            raise InputError(f"{name}: expected at least 2 rows, got {len(rows)}.")
    if _same_rows(x, y):
        raise InputError(
            f"source and target are the same {len(x)} rows: there is nothing to transport."
        )
    return x, y, kind


def require_spread(rows: Tensor, name: str) -> None:
    """Refuse rows that are all equal."""
    if bool((rows == rows[0]).all()):
        raise InputError(
            f"{name}: all {len(rows)} rows are equal, so it has no spread to transport; check what "
            "was recorded."
        )


def _same_rows(x: Tensor, y: Tensor) -> bool:
    if x.shape != y.shape:
        return False
    if not torch.allclose(x.sum(dim=1).sort().values, y.sum(dim=1).sort().values, rtol=1e-12):
        return False  # sums tell most sets apart without sorting whole rows
    x_rows, x_counts = torch.unique(x, dim=0, return_counts=True)
    y_rows, y_counts = torch.unique(y, dim=0, return_counts=True)
    return torch.equal(x_rows, y_rows) and torch.equal(x_counts, y_counts)
