"""Labelled parameter grids and repeats, in parallel: reproducible, resumable, failures as data."""

from axonal.sweep.engine import failures, sweep
from axonal.sweep.estimates import Until, bootstrap, summarize
from axonal.sweep.grid import Follow
from axonal.sweep.run import SweepError
from axonal.sweep.seeding import Streams, point_rng

__all__ = [
    "Follow",
    "Streams",
    "SweepError",
    "Until",
    "bootstrap",
    "failures",
    "point_rng",
    "summarize",
    "sweep",
]
