"""Responsive membranes: the study of arXiv:2212.00537 (declared in :mod:`.study`)."""

from axonal.studies.responsive_membrane.study import study

__all__ = ["study"]
