"""What was written on one line of WAL: by a primary while it executed commits, and before it by those it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.bulk import all_written
from mrsim.sim.wal import Written
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrsim.sim.nodes import Node
    from mrsim.sim.wal import Load
    from mrsim.trace import History


class Line(Written):
    """The WAL of one history, by commit time: its ancestors' up to where it forked, then its own primary's.

    Nothing is written between the fork and the promotion, while the primary is down or read-only, and while its commits
    wait for standbys and all connections are taken.

    Parameters
    ----------
    load
        The commits that clients attempt, and what else is written with them.
    node, history
        Who writes it, and its index.
    parent, forked_at_s, began_s
        The line it was forked from, at which commit time, and when the promoted node became writable.
    """

    def __init__(
        self,
        load: Load,
        node: Node,
        history: int,
        parent: Line | None = None,
        forked_at_s: float = -INF,
        began_s: float = -INF,
    ) -> None:
        # A bulk load ends with the primary that it was begun on.
        self._load: Written = all_written(load) if history == 0 else load
        self.peak_bytes_per_s = all_written(load).peak_bytes_per_s
        self._node = node
        self._history = history
        self._parent = parent
        self._forked_at_s = forked_at_s
        self._began_s = began_s

    def piece(self, at_s: float) -> tuple[float, float]:
        """Return the WAL rate at ``at_s`` in bytes per second, and until when it holds, as far as is known."""
        node = self._node
        if at_s >= self._began_s and at_s >= node.open_since_s and node.history == self._history:
            return self._load.piece(at_s)
        if at_s < self._forked_at_s and self._parent is not None:
            rate, until = self._parent.piece(at_s)
            return rate, min(until, self._forked_at_s)
        if at_s < self._began_s:
            return 0.0, self._began_s
        start, end = self._executing(at_s)
        if at_s < start:
            return 0.0, start
        rate, until = self._load.piece(at_s)
        return rate, min(until, end)

    def _executing(self, at_s: float) -> tuple[float, float]:
        """Return the first stretch that ends after ``at_s`` in which commits were executed on this line."""
        for span in self._node.acks:
            if span.history == self._history and span.end_s > at_s:
                return span.start_s, span.end_s
        if self._node.history == self._history:
            return self._node.open_since_s, INF
        return INF, INF


def agreed_s(histories: Sequence[History], history: int, position_s: float, line: int) -> float:
    """Return up to which commit time whoever holds a history up to a position holds another line of WAL too."""
    shared = {line: INF}
    at, until_s = line, INF
    while histories[at].parent >= 0:
        until_s = min(until_s, histories[at].forked_at_s)
        at = histories[at].parent
        shared[at] = until_s
    while history not in shared:
        position_s = min(position_s, histories[history].forked_at_s)
        history = histories[history].parent
    return min(position_s, shared[history])
