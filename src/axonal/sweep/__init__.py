"""Labelled parameter grids and repeats, in parallel: reproducible, resumable, failures as data."""

from axonal.sweep.continuation import Curve, Fold, continue_curve
from axonal.sweep.dispatch import SweepError
from axonal.sweep.engine import failures, sweep
from axonal.sweep.estimates import Until, bootstrap, summarize
from axonal.sweep.grid import Follow
from axonal.sweep.plan import Plan, plan
from axonal.sweep.refine import crossings
from axonal.sweep.seeding import Streams, point_rng

__all__ = [
    "Curve",
    "Fold",
    "Follow",
    "Plan",
    "Streams",
    "SweepError",
    "Until",
    "bootstrap",
    "continue_curve",
    "crossings",
    "failures",
    "plan",
    "point_rng",
    "summarize",
    "sweep",
]
