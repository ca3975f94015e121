"""Gaussian transport steering: the study of arXiv:2603.04355 (declared in :mod:`.study`)."""

from axonal.studies.gaussian_transport_steering.study import study

__all__ = ["study"]
