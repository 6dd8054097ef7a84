"""Segments on their way into an archive: one after the other, whoever ships them.

References
----------
PostgreSQL 15, ``checkpointer.c``, ``CheckArchiveTimeout`` (an idle server switches no segment, and looks again a
timeout later); ``pgarch.c`` (one segment after the other).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from mrsim.sim.wal import Stream
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.stores import Archive
    from mrsim.sim.wal import Pace, Written


class Shipped(ABC):
    """Segments that one node ships: those that wait, and when each has landed in the archive.

    Parameters
    ----------
    free_s
        From when on the archiver has nothing else to do.
    upload_s
        ``upload_s(k)`` is how long the k-th upload takes.
    """

    source_end_s: float
    """When the primary stopped writing."""

    def __init__(self, free_s: float, upload_s: Callable[[int], float]) -> None:
        self._free_s = free_s
        self._upload_s = upload_s
        self._waiting: list[tuple[float, float]] = []
        self.open = True
        """Whether the node can ship."""
        self.landed_s: list[float] = []
        """When each segment landed."""
        self.positions_s: list[float] = []
        """Up to which commit time each reaches."""

    @abstractmethod
    def _complete(self, now_s: float) -> None:
        """Let segments become whole up to an instant: each then waits, as its time and its position."""

    def advance(self, now_s: float) -> None:
        """Let segments become whole, and land, up to an instant."""
        self._complete(now_s)
        while self._waiting and self.open:
            ready_s, position_s = self._waiting[0]
            lands = max(ready_s, self._free_s) + self._upload_s(len(self.landed_s))
            if lands > now_s:
                return
            self._free_s = lands
            self.landed_s.append(lands)
            self.positions_s.append(position_s)
            del self._waiting[0]

    def ship(self, now_s: float, *, on: bool, retry_s: float) -> None:
        """Open or cut the way into the archive: an upload that is cut off is lost, and made again ``retry_s`` later."""
        if on == self.open:
            return
        self.advance(now_s)
        self.open = on
        if on:
            self._free_s = max(self._free_s, now_s + self._pause_s(now_s, retry_s))

    def _pause_s(self, now_s: float, retry_s: float) -> float:
        """Return how long the archiver waits now that the way is open again."""
        return retry_s

    def take_over(self, before: Shipped, now_s: float) -> None:
        """Go on with what the same node's archiver had shipped, and had still to ship, before it was promoted."""
        before.advance(now_s)
        self.open, self._free_s = before.open, before._free_s
        self._waiting = [*before._waiting, *self._waiting]
        self.landed_s, self.positions_s = [*before.landed_s], [*before.positions_s]


class Segments(Shipped):
    """The segments that one primary writes on one line: when each ends, and when it has landed in the archive.

    Parameters
    ----------
    archive
        Sizes and times.
    written
        What the primary writes.
    began_s
        When the segment in progress was begun.
    upload_s
        ``upload_s(k)`` is how long the k-th upload takes.
    """

    def __init__(self, archive: Archive, written: Written, began_s: float, upload_s: Callable[[int], float]) -> None:
        super().__init__(began_s, upload_s)
        self._archive = archive
        self._written = written
        self._timer_s = self._position_s = began_s
        self._next = self._end_after()
        self.source_end_s = INF
        """When the primary stopped writing."""
        self.ends_s: list[float] = []
        """When each segment ended."""

    def _complete(self, now_s: float) -> None:
        """Let segments end up to an instant; none ends once the primary has stopped writing."""
        while self._next <= min(now_s, self.source_end_s):
            # What was blocked meanwhile has filled less than was foreseen.
            later = self._end_after()
            if later > self._next:
                self._next = later
                continue
            if self._written.bytes_between(self._position_s, self._next) > 0.0:
                self._end(self._next)
            self._timer_s = self._next
            self._next = self._end_after()

    def _end(self, at_s: float) -> None:
        self._waiting.append((at_s, at_s))
        self.ends_s.append(at_s)
        self._position_s = at_s

    def end_now(self, now_s: float) -> None:
        """End the segment in progress: a shutdown checkpoint is written to it, and it is archived."""
        self.advance(now_s)
        self._end(now_s)
        self._timer_s = now_s
        self._next = self._end_after()

    def restart(self, now_s: float) -> None:
        """Let a server that has started write on: it counts its timeout anew."""
        if self.source_end_s < INF:
            self._complete(now_s)
            self.source_end_s = INF
            self._timer_s = now_s
            self._next = self._end_after()

    def _pause_s(self, now_s: float, retry_s: float) -> float:
        # The archiver of a server that starts begins at once.
        started = self.source_end_s < INF
        self.restart(now_s)
        return 0.0 if started else retry_s

    def _end_after(self) -> float:
        """Return when the segment in progress ends: full, or old."""
        due = self._timer_s + self._archive.timeout
        left, at = self._archive.segment, self._position_s
        while at < due:
            rate, until = self._written.piece(at)
            step = min(until, due)
            if rate * (step - at) >= left:
                return max(at + left / rate, self._timer_s)
            left -= rate * (step - at)
            at = step
        return due


class Archived(Stream):
    """A stream from a primary that archives as well: when it stops writing, it ends no segment from there on.

    Parameters
    ----------
    written, pace, start_s
        As for :class:`~mrsim.sim.wal.Stream`.
    segments
        Those that the primary ends.
    """

    def __init__(self, written: Written, pace: Pace, start_s: float, segments: Shipped) -> None:
        self._segments = segments
        super().__init__(written, pace, start_s)

    @property
    def source_end_s(self) -> float:
        """When the source stopped writing."""
        return self._ended_s

    @source_end_s.setter
    def source_end_s(self, at_s: float) -> None:
        """Note when the source stopped writing."""
        self._ended_s = at_s
        if at_s < INF:
            self._segments.source_end_s = at_s
