"""What a manager hears of a host: signs of life, and that the database process on it has ended."""

from __future__ import annotations

from functools import partial
from math import ceil, floor
from typing import TYPE_CHECKING

from mrsim.sim.health import Outcome, ProberGroup, Timing
from mrsim.sim.looks import look_at_node
from mrsim.sim.world import HEALTH
from mrsim.trace import INF, NO_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.distributions import Distribution
    from mrsim.scenario.control import InRegion
    from mrsim.sim.control import Control
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.reach import Brownouts
    from mrsim.sim.succession import Succession
    from mrsim.sim.world import Timer, World


class Heartbeats:
    """The signs of life of one host, as a manager sees them.

    The host sends one every ``heartbeat``. The manager looks every ``poll`` whether the last one is older than
    ``grace``. A host that is lost is missed after the grace period less the age of its last sign of life at that
    instant, plus the wait for the next look.

    Parameters
    ----------
    world
        The trial.
    name, subject
        Name of the draws, and the host for the trace.
    rule
        The three times.
    arrives
        Whether a heartbeat sent now would arrive.
    on_verdict
        Called with ``(missed, event)``.

    References
    ----------
    Kubernetes documentation, *Nodes*, heartbeats: node leases are renewed every 10 s, and the node controller marks a
    node whose lease was not renewed for ``node-monitor-grace-period``, looking every ``node-monitor-period`` of 5 s.
    """

    def __init__(
        self,
        world: World,
        name: str,
        subject: str,
        rule: InRegion,
        arrives: Callable[[], bool],
        on_verdict: Callable[[bool, int], None],
    ) -> None:
        self._world = world
        self._name = name
        self._subject = subject
        self._rule = rule
        self._arrives = arrives
        self._on_verdict = on_verdict
        self._arriving = True
        self._first_s: float | None = None
        self._timer: Timer | None = None
        self.missed = False

    def look(self, cause: int = NO_EVENT) -> None:
        """Follow a change: heartbeats may have stopped, or begun again."""
        arriving = self._arrives()
        if arriving == self._arriving:
            return
        self._arriving = arriving
        self.retire()
        now, every = self._world.now, self._rule.heartbeat
        if self._first_s is None:
            self._first_s = now - self._world.uniform(f"{self._name}/heartbeat") * every
        if arriving:
            next_s = self._first_s + ceil((now - self._first_s) / every) * every
            if self.missed:
                self._at(next_s, cause, missed=False)
            return
        last_s = self._first_s + floor((now - self._first_s) / every) * every
        look_s = last_s + self._rule.grace + self._world.uniform(f"{self._name}/poll") * self._rule.poll
        self._at(max(now, look_s), cause, missed=True)

    def retire(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _at(self, when_s: float, cause: int, *, missed: bool) -> None:
        self._timer = self._world.at(when_s, HEALTH, self._name, lambda: self._tell(cause, missed=missed))

    def _tell(self, cause: int, *, missed: bool) -> None:
        self._timer = None
        if missed == self.missed:
            return
        self.missed = missed
        kind, note = ("host-missed", "no sign of life for too long") if missed else ("host-back", "it is heard again")
        self._on_verdict(missed, self._world.emit(kind, self._subject, cause, "detection", note))


class Exits:
    """A host's notice that the database process on it has ended: at once, unless the host is gone too.

    Parameters
    ----------
    world
        The trial.
    name, node
        Name of the draws, and whose process it is.
    notice
        From the end of the process to the manager knowing; as long from its start to the manager knowing that.
    arrives
        Whether a notice sent now would arrive.
    on_verdict
        Called with ``(ended, event)``.
    """

    def __init__(
        self,
        world: World,
        name: str,
        node: Node,
        notice: Distribution,
        arrives: Callable[[], bool],
        on_verdict: Callable[[bool, int], None],
    ) -> None:
        self._world = world
        self._name = name
        self._node = node
        self._notice = notice
        self._arrives = arrives
        self._on_verdict = on_verdict
        self._ended = False
        self._notices = 0
        self._timer: Timer | None = None

    def look(self, cause: int = NO_EVENT) -> None:
        """Follow a change: the process may have ended or started."""
        ended = not self._node.running
        if not self._arrives() or (self._timer is None and ended == self._ended):
            return
        if self._timer is not None:
            if ended != self._ended:
                return
            self.retire()
            return
        self._notices += 1
        when = self._world.now + self._world.sample(f"{self._name}/exit", self._notice, self._notices)
        self._timer = self._world.at(when, HEALTH, f"{self._name}/exit", lambda: self._tell(cause))

    def retire(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self, cause: int) -> None:
        self._timer = None
        if not self._arrives() or self._node.running != self._ended:
            return
        self._ended = not self._ended
        kind, note = ("process-ended", "its host reports its end") if self._ended else ("process-back", "it runs again")
        self._on_verdict(self._ended, self._world.emit(kind, self._node.name, cause, "detection", note))


class HostWatch:
    """A host's reports of its database and of itself; the database is down for the manager if either says so.

    Parameters
    ----------
    world, network, brownouts
        The trial, its paths and its slow regions.
    label, node
        Name of the draws, and whose host it is.
    rule
        How the host probes and reports.
    told
        Who decides by it.
    cause
        The event that made somebody watch.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        brownouts: Brownouts,
        label: str,
        node: Node,
        rule: InRegion,
        told: Control | Succession,
        cause: int,
    ) -> None:
        def arrives() -> bool:
            return node.host_up and not node.fenced and network.open(node.region, told.place)

        def delay(place: str) -> float:
            return network.one_way_s(place, told.place) if arrives() else INF

        def look(place: str) -> Outcome:
            return look_at_node(network, brownouts, "process", rule.timeout, node, place)

        self._down = {"database": False, "process": False, "host": False}
        self._told = told
        timing = Timing(rule.every, False, rule.fails, 1, rule.timeout, 1)
        self._database = ProberGroup(
            world, label, node.name, (node.region,), timing, look, delay, partial(self._hear, "database"), cause=cause
        )
        self._host = Heartbeats(world, label, node.name, rule, arrives, partial(self._hear, "host"))
        self._exits = Exits(world, label, node, rule.exit_notice, arrives, partial(self._hear, "process"))
        self._host.look(cause)
        self._exits.look(cause)

    def look(self, cause: int) -> None:
        """Follow a change."""
        self._database.reassess(cause)
        self._host.look(cause)
        self._exits.look(cause)

    def retire(self) -> None:
        """Stop watching."""
        self._database.retire()
        self._host.retire()
        self._exits.retire()

    def _hear(self, what: str, down: bool, event: int) -> None:
        before = any(self._down.values())
        self._down[what] = down
        after = any(self._down.values())
        if after != before:
            self._told.on_verdict(after, event)
