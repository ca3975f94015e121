"""Molecule search: the study of arXiv:2409.07462 (declared in :mod:`.study`)."""

from axonal.studies.molecule_search.study import study

__all__ = ["study"]
