"""Estimates with intervals, paired and permutation tests, ROC, correlation, streaming moments.

NumPy in, frozen dataclasses out; SciPy is imported where it is used, so importing this is quick.
"""

from axonal.statistics.correlation import Correlation, pearson, spearman
from axonal.statistics.estimates import Estimate, estimate, paired_difference
from axonal.statistics.intervals import Interval, bootstrap, wilson_interval
from axonal.statistics.moments import Moments
from axonal.statistics.permutation import PermutationTest, permutation_test
from axonal.statistics.roc import RocCurve, auc, roc_curve

__all__ = [
    "Correlation",
    "Estimate",
    "Interval",
    "Moments",
    "PermutationTest",
    "RocCurve",
    "auc",
    "bootstrap",
    "estimate",
    "paired_difference",
    "pearson",
    "permutation_test",
    "roc_curve",
    "spearman",
    "wilson_interval",
]
