"""The conditional Monge gap: the study of arXiv:2504.08328 (declared in :mod:`.study`)."""

from axonal.studies.conditional_monge_gap.study import study

__all__ = ["study"]
