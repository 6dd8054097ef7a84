"""Points that fill a cube evenly, however many of them there are.

References
----------
R. Cools, F. Y. Kuo, D. Nuyens, *Constructing embedded lattice rules for multivariate integration*, SIAM J. Sci. Comput.
28(6), 2006 (generating vector ``exod2_base2_m20``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

GENERATING_VECTOR = (1, 182667, 469891, 498753, 110745, 446247, 250185, 118627, 245333, 283199)
"""Head of the embedded lattice's generating vector, built for up to 2**20 points."""

GOLDEN = 0.6180339887498949
"""Rotation of a coordinate from one change to the next (golden ratio, the most even of rotations)."""

_LOWEST = 2.0**-54
_HIGHEST = 1.0 - 2.0**-53


def wrapped(coordinate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring coordinates, in place, into the open interval from 0 to 1 by whole numbers."""
    coordinate -= np.floor(coordinate)
    return np.clip(coordinate, _LOWEST, _HIGHEST, out=coordinate)


def rotated(coordinate: NDArray[np.float64], rotation: int) -> NDArray[np.float64]:
    """Return coordinates for a later occasion; the first occasion, 0, has them as they are."""
    return wrapped(coordinate + rotation * GOLDEN) if rotation else coordinate


def lattice(points: int, dimensions: int) -> NDArray[np.float64]:
    """Return the first ``points`` points of the embedded lattice sequence, shape ``(dimensions, points)``, in [0, 1).

    For a power of two it is the rank-1 lattice {j z / K}; the order by radical inverse makes the first K points of a
    larger lattice the lattice of K points, and keeps other numbers of points even.
    """
    index = np.arange(points, dtype=np.uint64)
    radical = np.zeros(points)
    scale = 0.5
    while index.any():
        radical += scale * (index & np.uint64(1))
        index >>= np.uint64(1)
        scale *= 0.5
    vector = np.array(GENERATING_VECTOR[:dimensions], dtype=np.float64)
    product = vector[:, None] * radical[None, :]
    return np.asarray(product - np.floor(product))
