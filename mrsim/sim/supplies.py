"""Ways by which WAL, or what stands for it, comes to a standby that does not stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrsim.sim.nodes import Node, Upstream
    from mrsim.sim.wal import Written
    from mrsim.trace import Copied


class Supply(ABC):
    """What one standby has of one primary's history."""

    source_end_s: float
    """When the source stopped writing."""

    @abstractmethod
    def received(self, now_s: float) -> float:
        """Return the position up to which the standby holds everything that its source wrote."""

    def replayed(self, now_s: float) -> float:
        """Return the position up to which it can be read."""
        return self.received(now_s)

    def end_recovery_s(self, now_s: float) -> float:
        """Return how long the standby needs before it can be promoted with what it has."""
        return 0.0

    def usable(self, now_s: float) -> bool:
        """Return whether a node can be promoted with it."""
        return True

    def copied(self, now_s: float) -> Copied | None:
        """Return how it came by what lies beyond :meth:`received`, if it has some of that; None if it has nothing."""
        return None


class Supplier(ABC):
    """Brings WAL to all standbys of a store that get it in the same way."""

    @abstractmethod
    def connect(self, node: Node, primary: Node, written: Written, position_s: float, steady_s: float | None) -> bool:
        """Let a standby follow a primary; return whether the way is open.

        Parameters
        ----------
        node, primary
            Who follows whom.
        written
            What the primary writes.
        position_s
            How far the standby holds the primary's history.
        steady_s
            At the start of a trial: when the primary's queues were last empty; things have gone on for ever.
        """

    @abstractmethod
    def follow(self, node: Node, upstream: Upstream, *, stalled: bool, cause: int) -> None:
        """Look again whether the way is open.

        Parameters
        ----------
        node, upstream
            Who follows, and whom.
        stalled
            Whether the standby receives nothing, whatever the paths are.
        cause
            What may have changed that.
        """

    @abstractmethod
    def end_segment(self, primary: Node) -> None:
        """Bring away at once what a primary has written before it ends."""
