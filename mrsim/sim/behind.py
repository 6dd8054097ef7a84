"""A stream with the archive behind it: while it does not run, the standby restores what is archived.

A standby that loses its stream looks into the archive, takes all that it finds, tries to stream again, and so on in
turn. So a cut between it and the primary leaves it a segment or two behind instead of ever further, as long as both
reach the archive. It follows a new primary there too, whose history is archived beside the segments.

References
----------
PostgreSQL 15, ``xlogrecovery.c``, ``WaitForWALToBecomeAvailable`` (archive, then stream, each tried when the other has
failed, no faster than ``wal_retrieve_retry_interval``; a promoted standby first takes what is in the archive). A silent
primary is given up after ``wal_receiver_timeout``, an attempt to connect to it when the kernel has sent its last SYN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.shipping import Archived
from mrsim.sim.tcp import SYN_GIVES_UP_S
from mrsim.trace import INF

if TYPE_CHECKING:
    from mrsim.scenario.stores import Replication
    from mrsim.sim.restoring import Restored
    from mrsim.sim.wal import Pace, Written


class Backed(Archived):
    """A stream to a standby that restores from the archive while it does not run.

    Parameters
    ----------
    written, pace, start_s
        As for :class:`~mrsim.sim.wal.Stream`.
    behind
        What it finds in the archive.
    timers
        When a silent stream is given up, and the wait between two attempts.
    """

    def __init__(self, written: Written, pace: Pace, start_s: float, behind: Restored, timers: Replication) -> None:
        super().__init__(written, pace, start_s, behind.segments)
        self.behind = behind
        self._timers = timers
        self._cut_s = self._given_up_s = INF

    def received(self, now_s: float) -> float:
        """Return the position up to which the standby holds the source's WAL, whichever way it came."""
        if self.flowing:
            return super().received(now_s)
        self._sent.s = max(self._sent.s, self.behind.received(now_s))
        return self._sent.s

    def end_recovery_s(self, now_s: float) -> float:
        """Return how long the standby needs to take what is in the archive, and to replay what it has, in seconds."""
        if self.flowing:
            return super().end_recovery_s(now_s)
        restored_s = self.behind.end_recovery_s(now_s)
        return restored_s + super().end_recovery_s(now_s)

    def broken(self, now_s: float, *, in_flight_lost: bool) -> None:
        """Cut the stream; what is on the wire dies, or still arrives."""
        super().broken(now_s, in_flight_lost=in_flight_lost)
        self.behind.hold(self._sent.s)
        self._cut_s, self._given_up_s = now_s, INF

    def apart(self, now_s: float) -> None:
        """Begin over a path that is cut: there is nothing to give up before it looks into the archive."""
        self._given_up_s = now_s

    def resumed(self, now_s: float, bandwidth: float, latency_s: float) -> None:
        """Let it flow again from where the standby stands."""
        self.received(now_s)
        self.behind.fetch(now_s, on=False)
        super().resumed(now_s, bandwidth, latency_s)

    def stand_at(self, now_s: float, position_s: float, replayed_s: float) -> None:
        """Stand, at this instant, where a standby is that holds and has replayed the source's WAL up to two points."""
        super().stand_at(now_s, position_s, replayed_s)
        self.behind.stand_at(position_s)

    def look(self, now_s: float, *, on: bool, silent: bool) -> bool:
        """Let the standby look into the archive while the stream does not run, or hinder it; return whether it begins.

        Parameters
        ----------
        now_s
            Now.
        on
            Whether it reaches the archive.
        silent
            Whether an attempt to stream waits for an answer that does not come; else it fails at once.
        """
        if self.flowing:
            return False
        self.received(now_s)
        begins = on and not self.behind.fetching
        if self._given_up_s == INF:
            self._given_up_s = self._cut_s + (self._timers.receiver_timeout if silent else 0.0)
        self.behind.look_every(self._timers.retry_interval + (SYN_GIVES_UP_S if silent else 0.0), self._given_up_s)
        self.behind.fetch(now_s, on=on, from_s=self._given_up_s)
        return begins
