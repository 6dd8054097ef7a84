"""A distribution as lines of a scenario file."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from mrsim.distributions import written_s
from mrsim.mixtures import Empirical

if TYPE_CHECKING:
    from mrsim.distributions import Distribution

WIDTH = 100
"""Longer lines are broken: inside braces YAML lets them go on, further in."""


def snippet(key: str, distribution: Distribution, weights: tuple[int, ...] = ()) -> str:
    """Return ``key: value`` for a scenario file.

    Parameters
    ----------
    key
        Such as ``takes``.
    distribution
        What may stand there.
    weights
        Of the values of an empirical distribution, if they are whole numbers; those of its own otherwise.
    """
    value = str(distribution)
    if isinstance(distribution, Empirical) and len(weights) == len(distribution.values):
        values = ", ".join(written_s(one) for one in distribution.values)
        alike = len(set(weights)) == 1
        value = f"{{values: [{values}]" + ("}" if alike else f", weights: [{', '.join(map(str, weights))}]}}")
    lines = textwrap.wrap(
        f"{key}: {value}", WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines)
