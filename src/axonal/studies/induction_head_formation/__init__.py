"""Induction-head formation: the study of arXiv:2404.07129 (declared in :mod:`.study`)."""

from axonal.studies.induction_head_formation.study import study

__all__ = ["study"]
