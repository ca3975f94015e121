"""Labelled data in a run folder: netCDF, written whole, complex numbers included."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axonal.errors import InputError
from axonal.lab.files import whole

if TYPE_CHECKING:
    import xarray as xr


def save_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset so that a killed process leaves it whole or not at all."""
    import xarray as xr

    if isinstance(dataset, xr.DataArray):
        dataset = dataset.to_dataset(name=dataset.name or path.stem)
    if not isinstance(dataset, xr.Dataset):
        raise InputError(
            f"{path.stem}: expected an xarray.Dataset to store; got {type(dataset).__name__}"
        )
    plain = dataset.copy(deep=False)
    plain.attrs = _plain_attributes(plain.attrs)
    for name in plain.variables:
        plain[name].attrs = _plain_attributes(plain[name].attrs)
    with whole(path) as temporary:
        try:
            plain.to_netcdf(temporary, engine="netcdf4", auto_complex=True)
        except RuntimeError as error:  # netCDF does not say that a disk is full
            if shutil.disk_usage(path.parent).free < plain.nbytes + 1_000_000:
                raise OSError(errno.ENOSPC, "no space left") from error
            raise


def load_dataset(path: Path) -> xr.Dataset:
    """Read a dataset into memory."""
    import xarray as xr

    return xr.load_dataset(path, engine="netcdf4", auto_complex=True)


def _plain_attributes(attributes: Any) -> dict[str, Any]:
    """NetCDF keeps text and numbers; everything else becomes JSON text."""
    plain: dict[str, Any] = {}
    for name, value in attributes.items():
        kept = isinstance(value, str | int | float) and not isinstance(value, bool)
        plain[str(name)] = (
            value if kept or hasattr(value, "dtype") else json.dumps(value, default=str)
        )
    return plain
