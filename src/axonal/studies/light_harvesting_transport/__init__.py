"""Excitation transfer in LH1-RC models: the study (declared in :mod:`.study`)."""

from axonal.studies.light_harvesting_transport.study import study

__all__ = ["study"]
