"""WAL on its way: how far each standby is behind its source.

Positions are *commit times on the source*: a standby at position s holds everything that was committed on its source
before s. Lag in seconds is then ``t - s``, which is t − A⁻¹(delivered bytes); it goes on growing after a burst ends,
because the bytes of the burst's start are still being delivered. Bytes matter only where a path or the replay is slower
than the WAL.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from mrsim.trace import INF

if TYPE_CHECKING:
    from mrsim.scenario.stores import Wal

LEVEL_S = 1e-9
"""Lags below this are rounding."""


class Written(ABC):
    """WAL written over time, at a rate that is constant from piece to piece."""

    peak_bytes_per_s: float
    """No piece is faster."""

    @abstractmethod
    def piece(self, at_s: float) -> tuple[float, float]:
        """Return the WAL rate at ``at_s`` in bytes per second, and until when it holds."""

    def bytes_between(self, start_s: float, end_s: float) -> float:
        """Return the WAL written between two times, in bytes."""
        total = 0.0
        at = start_s
        while at < end_s:
            rate, until = self.piece(at)
            step = min(until, end_s)
            total += rate * (step - at)
            at = step
        return total

    def end_s(self, start_s: float, size_bytes: float) -> float:
        """Return by when as much has been written since ``start_s``; infinite if it never is."""
        at = start_s
        while True:
            rate, until = self.piece(at)
            if rate > 0.0 and size_bytes <= rate * (until - at):
                return at + size_bytes / rate
            if until == INF:
                return INF
            size_bytes -= rate * (until - at)
            at = until


class Load(Written):
    """The commits that all clients together attempt: a steady rate with periodic bursts.

    Parameters
    ----------
    wal
        Rates and sizes.
    phase_s
        Time since the current burst period began, at t = 0.
    """

    def __init__(self, wal: Wal, phase_s: float) -> None:
        self.commits_per_s = wal.commits
        self.bytes_per_commit = wal.bytes_per_commit
        self.phase_s = phase_s
        bursts = wal.bursts
        self.every_s = bursts.every if bursts else INF
        self.last_s = bursts.last if bursts else 0.0
        self.factor = bursts.rate if bursts else 1.0
        self.peak_bytes_per_s = self.commits_per_s * self.bytes_per_commit * self.factor

    def piece(self, at_s: float) -> tuple[float, float]:
        """Return the WAL rate at ``at_s`` in bytes per second, and until when it holds."""
        steady = self.commits_per_s * self.bytes_per_commit
        if self.every_s == INF:
            return steady, INF
        turn, inside = divmod(at_s + self.phase_s, self.every_s)
        start = turn * self.every_s - self.phase_s
        # A knot belongs to the piece on its right, also when rounding puts `at_s` an instant before it.
        if inside < self.last_s and start + self.last_s > at_s:
            return steady * self.factor, start + self.last_s
        if start + self.every_s > at_s:
            return steady, start + self.every_s
        return steady * self.factor, start + self.every_s + self.last_s

    @property
    def empty_at_s(self) -> float:
        """A time at or before t = 0 at which a stationary queue is empty: the start of the current burst period.

        A periodic load below capacity drains its burst before the next begins (Lindley's recursion from empty).
        """
        return -self.phase_s if self.every_s < INF else 0.0


class Fluid:
    """A queue of WAL served at a finite rate, advanced in closed form from piece to piece.

    At clock time ``t`` everything committed before ``s`` has been served; ``s == t`` means no backlog.
    """

    def __init__(self, written: Written, capacity: float, start_s: float) -> None:
        self._written = written
        self._capacity = capacity
        self.t = start_s
        self.s = start_s

    def set_capacity(self, capacity: float) -> None:
        """Change the service rate from the time last advanced to."""
        self._capacity = capacity

    def advance(self, to_s: float, ceiling_s: float = INF) -> float:
        """Advance the clock to ``to_s`` and return the position; never beyond ``ceiling_s``."""
        if to_s <= self.t:
            return self.s
        if self._capacity >= self._written.peak_bytes_per_s and self.s == self.t:
            self.t = to_s
            self.s = min(to_s, ceiling_s)
            return self.s
        if self._capacity == INF:
            self.t = to_s
            self.s = max(self.s, min(to_s, ceiling_s))
            return self.s
        self._walk(to_s, ceiling_s)
        return self.s

    def level_s(self, limit_s: float) -> float:
        """Return when nothing is left to serve, if that is before ``limit_s``; infinite otherwise."""
        written, capacity, t, s = self._written, self._capacity, self.t, self.s
        while t - s > LEVEL_S and t < limit_s:
            if capacity == INF:
                return t
            rate, until = written.piece(s)
            if rate == 0.0:
                s = min(until, t)
                continue
            speed = capacity / rate
            lasts = (until - s) / speed if speed > 0.0 else INF
            if speed > 1.0:
                lasts = min(lasts, (t - s) / (speed - 1.0))
            if lasts == INF:
                return INF
            reached = s + lasts * speed
            t += lasts
            s = until if abs(reached - until) < LEVEL_S else reached
        return t if t - s <= LEVEL_S else INF

    def _walk(self, to_s: float, ceiling_s: float) -> None:
        written, capacity = self._written, self._capacity
        while self.t < to_s:
            rate, until = written.piece(self.s)
            if self.s >= ceiling_s:
                self.t = to_s
                return
            if rate == 0.0 and self.s < self.t:
                # There is nothing to serve.
                self.s = min(until, self.t, ceiling_s)
                continue
            if self.s >= self.t and rate <= capacity:
                step = min(until, to_s, ceiling_s)
                self.t = self.s = step
                continue
            speed = capacity / rate
            if speed <= 0.0:
                self.t = to_s
                return
            # Position moves at `speed` until the WAL rate changes at `until`, the backlog is gone, or the ceiling.
            lasts = (min(until, ceiling_s) - self.s) / speed
            if speed > 1.0:
                lasts = min(lasts, (self.t - self.s) / (speed - 1.0))
            if self.t + lasts >= to_s:
                self.s = min(self.s + (to_s - self.t) * speed, to_s)
                self.t = to_s
                return
            reached = self.s + lasts * speed
            self.t += lasts
            self.s = until if abs(reached - until) < LEVEL_S else min(reached, self.t)
            if self.t - self.s < LEVEL_S:
                self.s = self.t


class Pace(NamedTuple):
    """How fast a stream is: bytes per second of the path and of the replay, and the one-way latency."""

    bandwidth: float
    apply_rate: float
    latency_s: float


class Stream:
    """One streaming connection from a source to a standby.

    Parameters
    ----------
    written
        What the source writes.
    pace
        How fast it is.
    start_s
        Where both ends stand when the stream begins.
    """

    def __init__(self, written: Written, pace: Pace, start_s: float) -> None:
        self._written = written
        self._apply_rate = pace.apply_rate
        self.latency_s = pace.latency_s
        self._sent = Fluid(written, pace.bandwidth, start_s)
        self._applied = Fluid(written, min(pace.bandwidth, pace.apply_rate), start_s)
        self.flowing = True
        self.source_end_s = INF
        """When the source stopped writing."""

    def received(self, now_s: float) -> float:
        """Return the position up to which the standby holds the source's WAL."""
        if self.flowing:
            return self._sent.advance(min(now_s - self.latency_s, self.source_end_s))
        return self._sent.s

    def replayed(self, now_s: float) -> float:
        """Return the position up to which the standby has replayed the source's WAL."""
        return self._applied.advance(now_s - self.latency_s, self.received(now_s))

    def end_recovery_s(self, now_s: float) -> float:
        """Return how long the standby needs to replay what it has received, in seconds."""
        received = self.received(now_s)
        applied = self.replayed(now_s)
        # Two queues that have caught up may differ in the last place.
        behind = received - applied > LEVEL_S
        return self._written.bytes_between(applied, received) / self._apply_rate if behind else 0.0

    def broken(self, now_s: float, *, in_flight_lost: bool) -> None:
        """Cut the stream; what is on the wire dies, or still arrives."""
        if self.flowing:
            self._sent.advance(min(now_s - (self.latency_s if in_flight_lost else 0.0), self.source_end_s))
            self.flowing = False

    def resumed(self, now_s: float, bandwidth: float, latency_s: float) -> None:
        """Let it flow again from where the standby stands."""
        self.latency_s = latency_s
        self._applied.advance(now_s, self._sent.s)
        self.source_end_s = INF
        self._sent.t = max(self._sent.t, now_s)
        self._sent.set_capacity(bandwidth)
        self._applied.set_capacity(min(bandwidth, self._apply_rate))
        self.flowing = True

    def level_s(self, limit_s: float) -> float:
        """Return when all that was written has been sent, if that is before ``limit_s``; infinite otherwise."""
        return self._sent.level_s(limit_s)

    def stand_at(self, now_s: float, position_s: float, replayed_s: float) -> None:
        """Stand, at this instant, where a standby is that holds and has replayed the source's WAL up to two points."""
        self._sent.t = self._applied.t = now_s
        self._sent.s, self._applied.s = position_s, replayed_s

    def repath(self, now_s: float, bandwidth: float, latency_s: float) -> None:
        """Go on over a path whose bandwidth or latency changed."""
        self._applied.advance(now_s - self.latency_s, self.received(now_s))
        self.latency_s = latency_s
        self._sent.set_capacity(bandwidth)
        self._applied.set_capacity(min(bandwidth, self._apply_rate))
