"""TCP as it paces and repairs what goes over a connection: retransmissions, slow start, attempts to connect."""

from __future__ import annotations

from math import ceil, floor, log1p, log2, sqrt

from mrsim.trace import INF

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


def tcp_bytes_per_s(loss: float, rtt_s: float) -> float:
    """Return what one TCP connection carries over a path that loses segments, in bytes per second.

    Parameters
    ----------
    loss
        Share of segments lost, above 0 and at most 1.
    rtt_s
        Round trip.

    References
    ----------
    Padhye, Firoiu, Towsley, Kurose, *Modeling TCP Throughput*, SIGCOMM 1998, eq. 30, with one segment per
    acknowledgement, segments of 1448 bytes, and Linux's least retransmission timeout of 200 ms beyond the round trip.
    """
    timeout_s = rtt_s + RTO_MIN_S
    fast = rtt_s * sqrt(2.0 * loss / 3.0)
    slow = timeout_s * min(1.0, 3.0 * sqrt(3.0 * loss / 8.0)) * loss * (1.0 + 32.0 * loss**2)
    return SEGMENT_BYTES * (1.0 - loss) / (fast + slow)
