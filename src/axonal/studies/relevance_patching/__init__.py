"""Relevance patching: the study of arXiv:2508.21258 (declared in :mod:`.study`)."""

from axonal.studies.relevance_patching.study import study

__all__ = ["study"]
