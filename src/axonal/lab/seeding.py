"""Seed the global random streams that a study's libraries may draw from unasked.

Our own code draws from none of them. torch is seeded too, without importing it for a study that
never uses it: where it is not loaded yet, it is seeded at the moment it is.
"""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python's, NumPy's and torch's global streams for a block."""
    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
        yield
        return
    finder = _SeedTorch(seed)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        finder.leave()


class _SeedTorch(MetaPathFinder):
    """Finds torch as everyone else would, and seeds it once it is loaded."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  the signature is the import system's
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname != "torch":
            return None
        self.leave()
        spec = importlib.util.find_spec("torch")
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_seed(module: ModuleType) -> None:
            load(module)
            module.manual_seed(self._seed)

        spec.loader.exec_module = load_and_seed
        return spec

    def leave(self) -> None:
        """Stop looking."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
