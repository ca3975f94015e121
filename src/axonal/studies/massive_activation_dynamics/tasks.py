"""What the small decoders learn: bigram-backcopy, and bytes of Python's own source.

Bigram-backcopy (Guo et al., "Active-Dormant Attention Heads", arXiv 2410.13835) is the smallest task
known to make attention sinks and massive activations: the next token follows a bigram table, except
after a trigger, where the token before the trigger is copied. The table is counted from the
characters of the Python standard library, which is there wherever Python is.
"""

from __future__ import annotations

import sysconfig
from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

VOCABULARY = 32
BOS = 0
TRIGGERS = (1, 2)  # the two most frequent characters
SMOOTHING = 0.1
BYTES = 4_000_000


def backcopy_pool(sequences: int, length: int, rng: np.random.Generator) -> Tensor:
    """Draw sequences of the bigram-backcopy task, ``(sequences, length)``, each beginning with BOS."""
    table = bigram_table().cumsum(1)
    ids = np.zeros((sequences, length), dtype=np.int64)
    start = bigram_table().mean(0).cumsum()
    ids[:, 1] = 1 + np.searchsorted(start, rng.random(sequences), side="right").clip(0, 30)
    for place in range(2, length):
        before, two_before = ids[:, place - 1], ids[:, place - 2]
        drawn = rng.random(sequences)
        following = (drawn[:, None] > table[before - 1]).sum(1).clip(0, VOCABULARY - 2) + 1
        copies = np.isin(before, TRIGGERS) & (two_before != BOS)
        ids[:, place] = np.where(copies, two_before, following)
    return torch.from_numpy(ids)


@lru_cache(maxsize=1)
def bigram_table() -> np.ndarray:
    """Return how characters follow one another in Python's source, ``(31, 31)``, rows sum to 1.

    The 31 most frequent characters in order of frequency; others are left out.
    """
    text = standard_library()
    common = [letter for letter, _ in Counter(text).most_common(VOCABULARY - 1)]
    lookup = np.full(256, -1)
    lookup[common] = np.arange(VOCABULARY - 1)
    letters = lookup[np.frombuffer(text, dtype=np.uint8)]
    both = (letters[:-1] >= 0) & (letters[1:] >= 0)
    counts = np.full((VOCABULARY - 1, VOCABULARY - 1), SMOOTHING)
    np.add.at(counts, (letters[:-1][both], letters[1:][both]), 1)
    return counts / counts.sum(1, keepdims=True)


def byte_pool(sequences: int, length: int, rng: np.random.Generator) -> Tensor:
    """Cut windows of bytes out of the standard library's source, ``(sequences, length)``."""
    text = np.frombuffer(standard_library(), dtype=np.uint8)
    starts = rng.integers(0, len(text) - length, sequences)
    return torch.from_numpy(text[starts[:, None] + np.arange(length)].astype(np.int64))


@lru_cache(maxsize=1)
def standard_library() -> bytes:
    """Return the source of the standard library's modules, in alphabetical order."""
    folder = Path(sysconfig.get_path("stdlib"))
    parts, size = [], 0
    for path in sorted(folder.glob("*.py")):
        parts.append(path.read_bytes())
        size += len(parts[-1])
        if size > BYTES:
            break
    return b"\n".join(parts)


def english() -> str:
    """Return the standard library's help topics: half a megabyte of English prose on Python."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))
