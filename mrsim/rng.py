"""Named random draws: the only place that makes generators.

A draw is a pure function of (seed, trial, name, occasion). The name is hashed into the key of a Philox generator, the
occasion and the trial are its counter: neighbouring trials are neighbouring counter blocks, so one generator call fills
the draws of a whole chunk of trials, and a chunk of one gives the same numbers. Nothing depends on who drew before.

References
----------
J. K. Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, SC '11 (Philox).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Philox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

UNIFORMS_PER_BLOCK = 4
"""A Philox4x64 block holds four 64-bit words, so one occasion of a name is worth four uniforms."""

_TO_UNIT = 2.0**-53
_OPEN = 2.0**-54


def key_of(seed: int, name: str) -> NDArray[np.uint64]:
    """Return the two-word Philox key of a random stream.

    Parameters
    ----------
    seed
        The study's seed, a non-negative integer of any size.
    name
        The stream's name, made of the user's ids, never of list positions.
    """
    digest = blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64)


class Draws:
    """The random draws of ``count`` consecutive trials, by name and occasion.

    Parameters
    ----------
    seed
        The study's seed.
    first
        Number of the first trial of the chunk.
    count
        Number of trials in the chunk.
    """

    def __init__(self, seed: int, first: int, count: int) -> None:
        self.seed = seed
        self.first = first
        self.count = count
        self._blocks: dict[tuple[str, int], NDArray[np.float64]] = {}

    def block(self, name: str, occasion: int = 0) -> NDArray[np.float64]:
        """Return uniforms in (0, 1), shape ``(count, 4)``: row *i* belongs to trial ``first + i``."""
        key = (name, occasion)
        if key not in self._blocks:
            bits = Philox(key=key_of(self.seed, name), counter=np.array([self.first, 0, occasion, 0], dtype=np.uint64))
            raw = bits.random_raw(UNIFORMS_PER_BLOCK * self.count).reshape(self.count, UNIFORMS_PER_BLOCK)
            self._blocks[key] = (raw >> np.uint64(11)).astype(np.float64) * _TO_UNIT + _OPEN
        return self._blocks[key]

    def uniform(self, name: str, occasion: int = 0) -> NDArray[np.float64]:
        """Return one uniform in (0, 1) per trial, shape ``(count,)``."""
        return self.block(name, occasion)[:, 0]

    def mapped(
        self, name: str, quantile: Callable[[NDArray[np.float64]], NDArray[np.float64]], occasion: int = 0
    ) -> NDArray[np.float64]:
        """Return one value per trial of the distribution that ``quantile`` inverts, shape ``(count,)``."""
        return quantile(self.uniform(name, occasion))

    def uniforms(self, name: str, width: int, occasion: int = 0) -> NDArray[np.float64]:
        """Return ``width`` uniforms per trial, shape ``(count, width)``; occasions from ``occasion`` on are used up."""
        blocks = -(-width // UNIFORMS_PER_BLOCK)
        parts = [self.block(name, occasion + index) for index in range(blocks)]
        return np.concatenate(parts, axis=1)[:, :width] if blocks > 1 else parts[0][:, :width]


def resample_counts(seed: int, name: str, size: int, rounds: int) -> Iterator[NDArray[np.int64]]:
    """Yield for each of ``rounds`` bootstrap samples how often each of ``size`` things is in it, shape ``(size,)``."""
    bits = Philox(key=key_of(seed, name))
    for _ in range(rounds):
        drawn = ((bits.random_raw(size) >> np.uint64(11)).astype(np.float64) * _TO_UNIT * size).astype(np.int64)
        yield np.bincount(drawn, minlength=size)


def other_seed(seed: int, name: str) -> int:
    """Return a seed that follows from another one and a name, for a study that is to share no draw with the first."""
    return int(key_of(seed, name)[0] & np.uint64(0xFFFFFFFF))


def fresh_seed() -> int:
    """Return a seed from the operating system, small enough to type again; record it with every result."""
    return int(np.random.SeedSequence().generate_state(1, dtype=np.uint32)[0])
