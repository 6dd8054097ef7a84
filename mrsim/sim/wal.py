"""WAL on its way: how far each standby is behind its source.

Positions are *commit times on the source*: a standby at position s holds everything that was committed on its source
before s. Lag in seconds is then ``t - s``, which is t − A⁻¹(delivered bytes); it goes on growing after a burst ends,
because the bytes of the burst's start are still being delivered. Bytes matter only where a path or the replay is slower
than the WAL.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import ceil, floor, log1p, log2
from typing import TYPE_CHECKING

from mrsim.trace import INF

if TYPE_CHECKING:
    from mrsim.scenario.stores import Wal

RTO_MIN_S = 0.2
"""Linux TCP_RTO_MIN; the first retransmission timeout is about RTT + 0.2 s (RFC 6298 with Linux's minimum)."""

JIFFY_S = 0.004
"""A tick of the kernel's clock (CONFIG_HZ=250, the default of Debian's and Ubuntu's kernels)."""

LARGEST_TICK_S = 8**4 * JIFFY_S
"""Coarsest grid that timers of up to two minutes are rounded to."""

RTO_MAX_S = 120.0
"""Linux TCP_RTO_MAX: the backoff stops doubling here."""

SEGMENT_BYTES = 1448.0
"""Payload of a TCP segment on Ethernet: 1,500 bytes less the headers and the timestamp option."""

SYN_RETRY_S = (0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0)
"""When a connection attempt sends its SYNs (tcp_syn_retries = 6, initial RTO 1 s); it is given up after 127 s."""

SYN_GIVES_UP_S = 127.0

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
            self.s = until if abs(reached - until) < 1e-9 else min(reached, self.t)
            if self.t - self.s < 1e-9:
                self.s = self.t


def fires_s(now_s: float, delay_s: float, grid_s: float) -> float:
    """Return when a kernel timer set at ``now_s`` fires: late, on a grid that is coarser the longer it runs.

    Parameters
    ----------
    now_s, delay_s
        When it is set, and for how long.
    grid_s
        Time of a tick of the host's clock; every grid contains it.

    References
    ----------
    Linux kernel/time/timer.c: a timer of 63 · 8ⁿ⁻¹ ticks or more is rounded up to 8ⁿ ticks (12.5 % at most).
    """
    ticks = ceil(delay_s / JIFFY_S - 1e-9)
    step, limit = JIFFY_S, 63
    while ticks >= limit:
        step *= 8.0
        limit *= 8
    return grid_s + (floor((now_s - grid_s + ticks * JIFFY_S) / step + 1e-9) + 1) * step


def timer_starts_s(cut_s: float, rtt_s: float, rate_per_s: float, acked: float, sent: float) -> float:
    """Return when the retransmission timer that a cut leaves running was last started.

    It restarts with every acknowledgement of new data (RFC 6298, 5.3) and starts with the first segment in flight, so
    a busy connection starts it just before the cut and a quiet one with the first segment that goes unanswered.

    Parameters
    ----------
    cut_s, rtt_s
        When the path was cut, and its round-trip time.
    rate_per_s
        Segments per second, at random instants.
    acked, sent
        Independent coordinates in (0, 1): the last acknowledgement before the cut, the first segment unanswered.
    """
    return max(cut_s + log1p(-acked) / rate_per_s, cut_s - rtt_s - log1p(-sent) / rate_per_s)


def next_retransmission_s(started_s: float, heal_s: float, rtt_s: float, grid_s: float | None = None) -> float:
    """Return when TCP next resends after the heal: retries stand at RTO·2ᵏ after the timer's start.

    The first timer sends a tail loss probe, which takes the place of the first retransmission and does not count
    towards the backoff; then the timeout doubles.

    Parameters
    ----------
    started_s, heal_s
        When the retransmission timer was started, and when the path was whole again.
    rtt_s
        Round-trip time of the path.
    grid_s
        Time of a tick of the sender's clock, to which its timers are rounded up; None for timers that are exact.

    References
    ----------
    RFC 6298, section 5 (exponential backoff); RFC 8985, section 7 (tail loss probe, sent no later than the timeout);
    Linux net/ipv4/tcp_timer.c and tcp_output.c for the bounds. Measured: ``docs/validation.md``, partition and heal.
    """
    rto = rtt_s + RTO_MIN_S
    at = started_s
    probed = False
    while at < heal_s:
        at = at + rto if grid_s is None else fires_s(at, rto, grid_s)
        rto = min(2.0 * rto, RTO_MAX_S) if probed else rto
        probed = True
    return at


def slow_start_s(backlog_bytes: float, rtt_s: float, bandwidth: float = INF) -> float:
    """Return how long after a retry the last of a backlog arrives: windows that double every round trip.

    After a retransmission timeout the congestion window is one segment: the retry, with what had been sent before. The
    backlog follows in 2, 4, 8 … segments per round trip, until it is through or the window fills the path. What the
    path's rate adds is not in it.

    Parameters
    ----------
    backlog_bytes
        What waits behind the retry.
    rtt_s
        Round-trip time of the path.
    bandwidth
        Of the path, in bytes per second.

    References
    ----------
    RFC 5681, sections 3.1 and 4.1. Left out: the slow start threshold, beyond which a Reno sender grows by a segment
    per round trip. Measured: ``docs/validation.md``, a healed partition.
    """
    segments = ceil(min(backlog_bytes, bandwidth * rtt_s) / SEGMENT_BYTES)
    return rtt_s * (ceil(log2(segments + 2)) - 1)


def next_connection_s(first_attempt_s: float, heal_s: float, retry_interval_s: float) -> float:
    """Return when a standby that keeps trying to connect sends the first SYN after the heal.

    Parameters
    ----------
    first_attempt_s
        Start of the first attempt.
    heal_s
        When the path was whole again.
    retry_interval_s
        Wait between attempts (``wal_retrieve_retry_interval``).
    """
    start = first_attempt_s
    while True:
        for offset in SYN_RETRY_S:
            if start + offset >= heal_s:
                return start + offset
        start += SYN_GIVES_UP_S + retry_interval_s
        if start >= heal_s:
            return start


class Stream:
    """One streaming connection from a source to a standby.

    Parameters
    ----------
    written
        What the source writes.
    bandwidth, apply_rate
        Bytes per second of the path and of the replay.
    latency_s
        One-way latency.
    start_s
        Where both ends stand when the stream begins.
    """

    def __init__(self, written: Written, bandwidth: float, apply_rate: float, latency_s: float, start_s: float) -> None:
        self._written = written
        self._apply_rate = apply_rate
        self.latency_s = latency_s
        self._sent = Fluid(written, bandwidth, start_s)
        self._applied = Fluid(written, min(bandwidth, apply_rate), start_s)
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
        behind = received - applied > 1e-9
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
