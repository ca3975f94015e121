"""Massive-activation dynamics: the study of arXiv:2508.03616 (declared in :mod:`.study`)."""

from axonal.studies.massive_activation_dynamics.study import study

__all__ = ["study"]
