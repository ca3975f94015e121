"""How well a cell can sense a touching neighbour: the study (declared in :mod:`.study`)."""

from axonal.studies.contact_sensing_limits.study import study

__all__ = ["study"]
