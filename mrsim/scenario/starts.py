"""When a fault can start: the rule behind ``at: random``."""

from __future__ import annotations

from collections.abc import Iterable

from mrsim.distributions import Distribution
from mrsim.scenario.faults import Fault
from mrsim.scenario.stores import Store

WITHOUT_BURSTS_S = 1800.0
"""A random start is uniform over this where no store has bursts."""

NEARLY_ALL = 0.999
"""The latest start of a distribution without end is taken at this level."""


def random_start_period_s(stores: Iterable[Store]) -> float:
    """Return the period over which a random start is uniform: the longest burst period, else 30 min."""
    periods = [store.wal.bursts.every for store in stores if store.wal.bursts is not None]
    return max(periods, default=WITHOUT_BURSTS_S)


def latest_start_s(fault: Fault, stores: Iterable[Store]) -> float:
    """Return the latest start of a fault: the end of its range, or its 99.9th percentile where there is no end."""
    if not isinstance(fault.at, Distribution):
        return random_start_period_s(stores)
    end = float(fault.at.quantile([1.0 - 2.0**-53])[0])
    usual = float(fault.at.quantile([NEARLY_ALL])[0])
    return end if end <= 2.0 * usual else usual


def earliest_start_s(fault: Fault) -> float:
    """Return the earliest start of a fault: the lower end of its range, 0 if it is random."""
    return float(fault.at.quantile([0.0])[0]) if isinstance(fault.at, Distribution) else 0.0
