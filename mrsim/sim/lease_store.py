"""The store that keeps a lease, as agents see it: who can use it, and when candidates look at it."""

from __future__ import annotations

from math import ceil, floor, sqrt
from typing import TYPE_CHECKING

from mrsim.sim.tcp import RTO_MIN_S
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrsim.scenario.control import DecideLease, SiteLease
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.world import World

JITTER = 1.2
"""client-go, tools/leaderelection, JitterFactor: a candidate's polls are 1 to 2.2 retry periods apart."""


class LeaseStore:
    """The members of a lease store and the paths to them.

    Parameters
    ----------
    network
        The trial's paths.
    voters
        Where its members are.
    lease
        The lease that it keeps.
    """

    def __init__(self, network: Network, voters: Sequence[str], lease: DecideLease | SiteLease) -> None:
        self._network = network
        self._voters = voters
        self._majority = len(voters) // 2 + 1
        self._tries, self._patience_s = tries(lease.retry_timeout, len(voters), lease.product)
        self._changes = -1
        self._quorums: dict[str, float] = {}
        self._answers: dict[str, list[str]] = {}

    def works(self) -> bool:
        """Return whether a majority of the members is connected, so that somebody counts the lease's time."""
        self._follow_paths()
        return any(takes < INF for takes in self._quorums.values())

    def usable_from(self, region: str) -> bool:
        """Return whether an agent there gets answers in time: from a member that is connected to a majority."""
        return bool(self._answering(region))

    def fails_from(self, region: str) -> float:
        """Return the chance that packet loss spoils all tries of one renewal from there."""
        chance = 1.0
        for voter in self._answering(region):
            chance *= (1.0 - self._passes(region, voter) * self._quorum_passes(voter)) ** self._tries
            if not chance:
                break
        return chance

    def _follow_paths(self) -> None:
        if self._changes != self._network.changes:
            self._changes = self._network.changes
            self._quorums = {voter: self._quorum_s(voter) for voter in self._voters}
            self._answers.clear()

    def _answering(self, region: str) -> list[str]:
        """Return the members that answer an agent there in time."""
        self._follow_paths()
        found = self._answers.get(region)
        if found is None:
            network = self._network
            found = self._answers[region] = [
                voter
                for voter, takes in self._quorums.items()
                if network.both_ways(region, voter) and network.rtt_s(region, voter) + takes <= self._patience_s
            ]
        return found

    def _quorum_s(self, voter: str) -> float:
        """Return how long a member needs to hear from a majority, itself included."""
        network = self._network
        if not network.alive(voter):
            return INF
        heard = [
            0.0 if other == voter else network.rtt_s(voter, other)
            for other in self._voters
            if other == voter or network.both_ways(voter, other)
        ]
        return sorted(heard)[self._majority - 1] if len(heard) >= self._majority else INF

    def _passes(self, a: str, b: str) -> float:
        network = self._network
        if a == b or not network.probe_loss(a, b):
            return 1.0
        return 1.0 - exchange_fails(network.loss(a, b), network.loss(b, a), network.rtt_s(a, b), self._patience_s)

    def _quorum_passes(self, voter: str) -> float:
        """Return the chance that a member hears from enough others."""
        heard = [1.0]
        for other in self._voters:
            if other != voter and self._network.both_ways(voter, other):
                one = self._passes(voter, other)
                heard = [x * (1.0 - one) + y * one for x, y in zip([*heard, 0.0], [0.0, *heard], strict=True)]
        return sum(heard[self._majority - 1 :])


def tries(retry_timeout_s: float, members: int, product: str) -> tuple[int, float]:
    """Return how often each member of the store is tried for one renewal, and how long one try may take.

    The time for all retries is divided among the members and up to three tries at each, of a second or more; who has
    less than a second for each member goes to fewer members. client-go's callers give each call half of the deadline.

    Parameters
    ----------
    retry_timeout_s
        Time for all of them.
    members
        Number of the store's members.
    product
        Whose rule it is.

    References
    ----------
    Patroni 4.1, ``patroni/dcs/etcd.py``, ``_calculate_timeouts``; client-go, ``resourcelock.NewFromKubeconfig``.
    """
    if product == "kubernetes":
        return 1, max(1.0, retry_timeout_s / 2.0)
    asked = max(1, min(members, floor(retry_timeout_s)))
    each_s = retry_timeout_s / asked
    most = 4 - min(members, 3) if asked == members else 1
    count = max(1, min(most, floor(each_s)))
    return count, each_s / count


def exchange_fails(lost_there: float, lost_back: float, rtt_s: float, patience_s: float) -> float:
    """Return the chance that a request over a TCP connection gets no answer in time.

    Request and answer are each sent again until they arrive: a timeout after they were first sent, and again after
    waits that double.

    Parameters
    ----------
    lost_there, lost_back
        Share of packets lost in each direction.
    rtt_s, patience_s
        Round-trip time, and how long the asker waits.

    References
    ----------
    RFC 6298, section 5; RFC 8985, section 7 (the first repetition is a probe, which does not count for the doubling).
    """
    rto = rtt_s + RTO_MIN_S
    sent = [0.0, rto]
    while sent[-1] < patience_s:
        sent.append(sent[-1] * 2.0)
    arrives = 0.0
    for i, there in enumerate(sent):
        for k, back in enumerate(sent):
            if there + back + rtt_s <= patience_s:
                arrives += lost_there**i * (1.0 - lost_there) * lost_back**k * (1.0 - lost_back)
    return 1.0 - arrives


def silence_s(network: Network, region: str, others: Sequence[Node], timeout_s: float) -> float:
    """Return how long a candidate waits for the other members' positions before it takes the lease.

    It asks all at once, over new connections; one that does not answer costs the whole timeout, one whose host
    refuses costs a round trip. An agent that is dead beside a living database is silent: so it was in four of four
    measured takeovers (Patroni 4.1.5), each 2.0 s later than those whose node was gone and refused.

    References
    ----------
    Patroni 4.1, ``patroni/ha.py``, ``fetch_node_status``: 2 s, not configurable.
    """
    longest = 0.0
    for other in others:
        takes = 2.0 * network.rtt_s(region, other.region)
        if network.refuses(other.region):
            takes /= 2.0
        elif not network.both_ways(region, other.region) or not other.agent_alive:
            takes = timeout_s
        longest = max(longest, takes)
    return min(longest, timeout_s)


def look_s(world: World, lease: DecideLease, name: str, renewed_s: float, race: int) -> float:
    """Return when a candidate sees that the lease is free: at once if it watches the key, else at a poll.

    Parameters
    ----------
    world, lease
        The trial and the lease.
    name
        The candidate, which its draws are named by.
    renewed_s
        The last renewal.
    race
        Number of the race.
    """
    now = world.now
    if lease.product != "kubernetes":
        return now
    points = world.uniforms(f"{name}/polls", ceil(lease.ttl / lease.loop_wait) + 3, race)
    over = takeover_s(renewed_s, lease.ttl, lease.loop_wait, points)
    return over if over >= now else poll_after_s(now, lease.loop_wait, points[0], points[1])


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
