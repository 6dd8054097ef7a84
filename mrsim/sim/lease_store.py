"""The store that keeps a lease, as agents see it: who can use it, and when candidates look at it."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrsim.scenario.control import DecideLease
    from mrsim.sim.network import Network

JITTER = 1.2
"""client-go, tools/leaderelection, JitterFactor: a candidate's polls are 1 to 2.2 retry periods apart."""


class LeaseStore:
    """The members of a lease store and the paths to them.

    Parameters
    ----------
    network
        The trial's paths.
    lease
        The lease that it keeps.
    """

    def __init__(self, network: Network, lease: DecideLease) -> None:
        self._network = network
        self._voters = lease.voters
        self._majority = len(lease.voters) // 2 + 1

    def usable_from(self, region: str) -> bool:
        """Return whether an agent there gets answers: from a member that is itself connected to a majority."""
        network = self._network
        return any(network.both_ways(region, voter) and self._led(voter) for voter in self._voters)

    def _led(self, voter: str) -> bool:
        return sum(self._network.both_ways(voter, other) for other in self._voters) >= self._majority


def poll_after_s(now_s: float, period_s: float, length: float, inside: float) -> float:
    """Return when a candidate that has polled for long polls next: the interval around an instant is a long one.

    Parameters
    ----------
    now_s
        The instant.
    period_s
        The retry period; intervals are uniform on [period, 2.2 periods].
    length, inside
        Independent coordinates in (0, 1): how long the interval around the instant is, and how much of it is left.

    References
    ----------
    client-go, tools/leaderelection: ``wait.JitterUntil`` with ``RetryPeriod`` and ``JitterFactor``. An instant falls
    into an interval with a probability that grows with its length (the inspection paradox).
    """
    shortest, longest = period_s, period_s * (1.0 + JITTER)
    return now_s + inside * sqrt(shortest**2 + length * (longest**2 - shortest**2))


def takeover_s(renewed_s: float, ttl_s: float, period_s: float, points: Sequence[float]) -> float:
    """Return when a polling candidate finds the lease over.

    It knows the last renewal from its first poll after it, counts the ttl from there by its own clock, and finds the
    lease over at its first poll after that: up to two polls later than the lease.

    Parameters
    ----------
    renewed_s
        The last renewal.
    ttl_s, period_s
        Life of the lease, and the retry period.
    points
        Independent coordinates in (0, 1): two for the first poll, one for each further one; at least 3 + ttl / period.

    References
    ----------
    client-go, tools/leaderelection, ``tryAcquireOrRenew``: ``observedTime`` is set when a changed record is read.
    """
    seen = at = poll_after_s(renewed_s, period_s, points[0], points[1])
    for point in points[2:]:
        if at >= seen + ttl_s:
            break
        at += period_s * (1.0 + JITTER * point)
    return at
