"""Sobol indices of a function: which share of its variance each of its arguments has, alone and in company.

References
----------
A. Saltelli et al., *Variance based sensitivity analysis of model output*, Computer Physics Communications 181, 2010, as
implemented in :func:`scipy.stats.sobol_indices`. R. Cranley, T. N. L. Patterson, *Randomization of number theoretic
methods for multiple integration*, SIAM Journal on Numerical Analysis 13, 1976 (the shift of the points).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from mrsim.rng import Draws, resample_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 200
"""Bootstrap samples of the points."""


def sobol(
    value: Callable[[NDArray[np.float64]], float], width: int, points: int, seed: int
) -> NDArray[np.float64] | None:
    """Return first-order and total indices of a function of independent uniform numbers.

    Parameters
    ----------
    value
        The function, of an array of shape ``(width,)`` in [0, 1).
    width
        Number of arguments.
    points
        A power of two: base points, a shifted Sobol sequence; the function is called ``points * (width + 2)`` times.
    seed
        Of the shift and of the bootstrap.

    Returns
    -------
    ndarray
        Shape ``(3, 2, width)``: estimate, lower and upper end of a 90 % bootstrap interval over the points; of the
        first-order and the total indices. None if the function is the same at all points.
    """
    from scipy.stats.qmc import Sobol

    shift = Draws(seed, 0, 1).uniforms("study/sobol", 2 * width)[0]
    both = np.mod(Sobol(2 * width, scramble=False).random_base2(points.bit_length() - 1) + shift, 1.0)
    a, b = both[:, :width], both[:, width:]
    of_a, of_b = (np.array([value(row) for row in rows]) for rows in (a, b))
    of_ab = np.array(
        [[value(np.where(np.arange(width) == i, rb, ra)) for ra, rb in zip(a, b, strict=True)] for i in range(width)]
    )
    if np.ptp(np.concatenate([of_a, of_b])) == 0.0:
        return None
    resampled = []
    for counts in resample_counts(seed, "study/sobol/bootstrap", points, RESAMPLES):
        chosen = np.repeat(np.arange(points), counts)
        if np.ptp(np.concatenate([of_a[chosen], of_b[chosen]])) > 0.0:
            resampled.append(_shares(of_a[chosen], of_b[chosen], of_ab[:, chosen]))
    ends = np.quantile(np.array(resampled), [0.05, 0.95], axis=0)
    return np.concatenate([_shares(of_a, of_b, of_ab)[None], ends])


def _shares(of_a: NDArray[np.float64], of_b: NDArray[np.float64], of_ab: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import sobol_indices

    values: dict[Literal["f_A", "f_B", "f_AB"], NDArray[np.float64]]
    values = {"f_A": of_a[None], "f_B": of_b[None], "f_AB": of_ab[:, None]}
    found = sobol_indices(func=values, n=len(of_a))
    return np.array([np.ravel(found.first_order), np.ravel(found.total_order)])
