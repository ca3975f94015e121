"""Endogenous steering resistance: the study of arXiv:2602.06941 (declared in :mod:`.study`)."""

from axonal.studies.endogenous_steering_resistance.study import study

__all__ = ["study"]
