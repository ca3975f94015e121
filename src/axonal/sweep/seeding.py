"""Randomness that depends on a point's coordinates and nothing else.

Each point and repeat draws from ``SeedSequence(entropy=seed, spawn_key=(hash, repeat))`` with the
hash of its coordinates. So the number of workers, the order of computing, the order of the axes and
points added to the grid change no other point's numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

SpawnKey = tuple[int, ...]


def coordinate_hash(name: str, value: Any) -> NDArray[np.uint64]:
    """Return 128 bits for one coordinate, as two uint64: equal numbers hash equally (1, 1.0)."""
    if isinstance(value, bool):
        data = b"b1" if value else b"b0"
    elif isinstance(value, int | float | complex) and value == complex(value):
        data = b"n" + struct.pack("<dd", value.real + 0.0, value.imag + 0.0)  # -0.0 is 0.0
    else:
        data = b"s" + str(value).encode()
    digest = blake2b(name.encode() + b"=" + data, digest_size=16).digest()
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64)


def spawn_key(key: NDArray[np.uint64], repeat: int) -> SpawnKey:
    """Return the spawn key of a point: its hash as four 32-bit words, then the repeat."""
    first, second = int(key[0]), int(key[1])
    low = 0xFFFFFFFF
    return (first & low, first >> 32, second & low, second >> 32, int(repeat))


def generator(seed: int, key: SpawnKey) -> np.random.Generator:
    """Return the generator of one point and repeat."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def point_rng(seed: int, coordinates: Mapping[str, Any], repeat: int = 0) -> np.random.Generator:
    """Return the generator that a sweep hands to one point, to run that point alone.

    Parameters
    ----------
    seed
        The sweep's seed.
    coordinates
        The swept parameters of the point by name, without those in ``common``.
    repeat
        Number of the repeat.
    """
    total = np.zeros(2, dtype=np.uint64)
    for name, value in coordinates.items():
        total += coordinate_hash(name, value)
    return generator(seed, spawn_key(total, repeat))


class Streams(Sequence[np.random.Generator]):
    """The generators of a vectorised block, one a row.

    Every method of ``numpy.random.Generator`` draws from each row's own generator and stacks:
    ``rng.normal(size=8)`` has shape (rows, 8), ``rng.normal()`` has shape (rows,). Arguments are the
    same for all rows; shift and scale by a row's parameters afterwards.
    """

    def __init__(self, generators: Sequence[np.random.Generator]) -> None:
        self._generators = tuple(generators)

    @overload
    def __getitem__(self, index: int) -> np.random.Generator: ...
    @overload
    def __getitem__(self, index: slice) -> Streams: ...
    def __getitem__(self, index: int | slice) -> np.random.Generator | Streams:
        if isinstance(index, slice):
            return Streams(self._generators[index])
        return self._generators[index]

    def __len__(self) -> int:
        return len(self._generators)

    def __iter__(self) -> Iterator[np.random.Generator]:
        return iter(self._generators)

    def __getattr__(self, name: str) -> Callable[..., NDArray[Any]]:
        if name.startswith("_") or not hasattr(np.random.Generator, name):
            raise AttributeError(f"numpy.random.Generator has no method {name!r}")
        return lambda *args, **kwargs: np.stack(
            [np.asarray(getattr(one, name)(*args, **kwargs)) for one in self._generators]
        )
