"""Probability flows and entropy production in active matter: the study (in :mod:`.study`)."""

from axonal.studies.probability_flow_entropy.study import study

__all__ = ["study"]
