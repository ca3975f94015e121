"""Atomic-unit steering: the study of arXiv:2602.04428 (declared in :mod:`.study`)."""

from axonal.studies.atomic_unit_steering.study import study

__all__ = ["study"]
