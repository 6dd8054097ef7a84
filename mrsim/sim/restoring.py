"""What a standby restores from an archive: the next segment that has landed, at a look now and then."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from mrsim.sim.relays import Receipts
from mrsim.sim.supplies import Supply
from mrsim.trace import INF

if TYPE_CHECKING:
    from mrsim.scenario.stores import Archive
    from mrsim.sim.shipping import Shipped


class Restored(Supply):
    """What a standby has fetched of a primary's segments.

    Parameters
    ----------
    archive
        Times of polling and restoring.
    segments
        What is in the archive.
    poll_phase_s
        When the standby looked for the next segment first; from then on every ``poll``.
    start_s
        Up to which commit time it holds the primary's WAL to begin with.
    since_s
        Since when it has fetched segments.
    """

    def __init__(
        self, archive: Archive, segments: Shipped, poll_phase_s: float, start_s: float, since_s: float
    ) -> None:
        self._archive = archive
        self.segments = segments
        self._poll_s = archive.poll
        self._poll_phase_s = poll_phase_s
        self._since_s = since_s
        self._done_s = -INF
        self._got = 0
        self._position_s = start_s
        self.fetching = True
        """Whether it reaches the archive."""
        self.receipts = Receipts()
        """What it has fetched, for those that follow it."""

    def received(self, now_s: float) -> float:
        """Return the position up to which the standby holds the source's WAL."""
        self.segments.advance(now_s)
        while self.fetching and self._more():
            done_s = self._start_s() + self._archive.restore
            if done_s > now_s:
                break
            self._take(done_s)
        return self._position_s

    @property
    def source_end_s(self) -> float:
        """When the source stopped writing."""
        return self.segments.source_end_s

    @source_end_s.setter
    def source_end_s(self, at_s: float) -> None:
        """Note when the source stopped writing."""
        self.segments.source_end_s = at_s

    def fetch(self, now_s: float, *, on: bool, from_s: float = -INF) -> None:
        """Open or cut the way out of the archive; a segment is fetched whole or not at all.

        Parameters
        ----------
        now_s
            Now.
        on
            Whether the standby reaches the archive, and looks.
        from_s
            When it begins to look, if that is later.
        """
        if on != self.fetching:
            self.received(now_s)
            self.fetching = on
            self._since_s = max(now_s, from_s)

    def look_every(self, poll_s: float, phase_s: float) -> None:
        """Look for the next segment at another pace, at ``phase_s`` and every ``poll_s`` before and after."""
        self._poll_s, self._poll_phase_s = poll_s, phase_s

    def stand_at(self, position_s: float) -> None:
        """Take note of what the standby holds to begin with."""
        self._position_s = position_s

    def hold(self, position_s: float) -> None:
        """Take note that the standby holds more, which came another way."""
        self._position_s = max(self._position_s, position_s)

    def end_recovery_s(self, now_s: float) -> float:
        """Restore all that has landed, as a standby does that is being promoted; return how long that takes."""
        self.received(now_s)
        ready_s = now_s
        while self.fetching and self._more():
            # One may be under way; nobody waits for a poll any more.
            ready_s = min(self._start_s(), ready_s) + self._archive.restore
            self._take(ready_s)
        return ready_s - now_s

    def _more(self) -> bool:
        """Return whether a segment has landed that holds what the standby lacks; those before it are passed over."""
        positions_s = self.segments.positions_s
        while self._got < len(positions_s) and positions_s[self._got] <= self._position_s:
            self._got += 1
        return self._got < len(positions_s)

    def _start_s(self) -> float:
        """Return when the next segment begins to be restored: right after the one before it, or at a poll."""
        ready_s = max(self.segments.landed_s[self._got], self._since_s)
        if ready_s <= self._done_s:
            return self._done_s
        return self._poll_phase_s + ceil((ready_s - self._poll_phase_s) / self._poll_s) * self._poll_s

    def _take(self, done_s: float) -> None:
        self._position_s = self.segments.positions_s[self._got]
        self._done_s = done_s
        self._got += 1
        self.receipts.note(done_s, self._position_s)
