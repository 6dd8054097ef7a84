"""How far a consumer has read a store's changes: one connection after another, each of one line of WAL.

Everything committed before a position has been read. What a connection carries is as many bytes as WAL: one that is
slower than the commits leaves a queue.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

from mrsim.sim.lines import agreed_s
from mrsim.sim.slot_copies import Ticks
from mrsim.sim.wal import Fluid, Stream
from mrsim.trace import INF, Delivered

if TYPE_CHECKING:
    from mrsim.scenario.feeds import ChangeFeed
    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.wal import Load, Written
    from mrsim.sim.world import World


class Track:
    """How far somebody had come, at instants that were looked at, and straight in between."""

    def __init__(self) -> None:
        self._times_s: list[float] = []
        self._positions_s: list[float] = []

    @property
    def until_s(self) -> float:
        """The last instant that was looked at."""
        return self._times_s[-1] if self._times_s else -INF

    def add(self, at_s: float, position_s: float) -> None:
        """Note a position, not before the last one noted."""
        self._times_s.append(at_s)
        self._positions_s.append(position_s)

    def at(self, at_s: float) -> float:
        """Return the position at an instant before the last one noted."""
        after = bisect_right(self._times_s, at_s)
        if after == len(self._times_s):
            return self._positions_s[-1]
        if after == 0:
            return self._positions_s[0]
        start_s, end_s = self._times_s[after - 1 : after + 1]
        start, end = self._positions_s[after - 1 : after + 1]
        return start + (end - start) * (at_s - start_s) / (end_s - start_s)


@dataclass(slots=True)
class Session:
    """A connection: to whom, which line it reads from where, what has been sent of it, and how late that is."""

    source: Node
    history: int
    from_s: float
    sent: Fluid
    latency_s: float


class Progress:
    """Where one consumer stands.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, model
        Name of its draws, and the feed.
    database, load
        The store's nodes, and what is written.

    Attributes
    ----------
    session
        The connection that it reads from; None while it reads nothing.
    history, position_s, confirmed_s
        As it last stopped: which line, how far it had read, and how far it had noted and confirmed that.
    """

    def __init__(
        self, world: World, network: Network, name: str, model: ChangeFeed, database: Database, load: Load
    ) -> None:
        self._world = world
        self._network = network
        self._database = database
        self._region = model.region
        self._reads_s = world.sample(f"{name}/reads", model.reads_after)
        self.shows_s = world.sample(f"{name}/shows", model.shows_after)
        self._confirms = Ticks(model.confirms_every, world.uniform(f"{name}/confirms"))
        slot = model.slot
        self._waits_for = slot.waits_for if slot is not None else ()
        self._track = Track()
        self._delivered: list[Delivered] = []
        self.history = 0
        self.position_s = self.confirmed_s = -INF
        primary = database.current
        latency_s = self._latency_s(primary)
        sent = Fluid(self.line(0), self._bandwidth(primary), _empty_before(load, -latency_s - self.shows_s))
        self.session: Session | None = Session(primary, 0, -INF, sent, latency_s)

    def line(self, history: int) -> Written:
        """Return what was written on a line."""
        return self._database.streaming.lines[history]

    def agreed_s(self, line: int, position_s: float) -> float:
        """Return up to where another line holds what it last read up to a position."""
        return agreed_s(self._database.histories, self.history, position_s, line)

    def next_written_s(self, history: int, position_s: float) -> float:
        """Return when the first commit of a line after a position was made; infinite if there is none."""
        line = self.line(history)
        rate, until_s = line.piece(position_s)
        while rate <= 0.0 and until_s < INF:
            position_s = until_s
            rate, until_s = line.piece(position_s)
        return position_s if rate > 0.0 else INF

    def gates(self, source: Node) -> list[Node]:
        """Return the nodes that have to hold what a primary sends, before it does."""
        return [self._database.nodes[site] for site in self._waits_for if site != source.region]

    @property
    def held(self) -> bool:
        """Whether nothing is sent because a node that is waited for receives nothing."""
        session = self.session
        return session is not None and not all(
            gate.upstream is not None and gate.upstream.source is session.source and gate.upstream.flowing
            for gate in self.gates(session.source)
        )

    @property
    def level_s(self) -> float:
        """When all that is written shows, if it is being read."""
        session, limit_s = self.session, self._world.horizon_s
        if session is None:
            return INF
        level_s = max(self._world.now, session.sent.level_s(limit_s))
        for gate in self.gates(session.source):
            stream = gate.upstream.stream if gate.upstream is not None else None
            level_s = max(level_s, stream.level_s(limit_s)) if isinstance(stream, Stream) else level_s
        return level_s + session.latency_s + self.shows_s

    def read_at(self, at_s: float) -> float:
        """Return the commit time up to which it had read at an instant; what is to come of it, without any change."""
        session = self.session
        if session is None:
            return self.position_s
        if at_s < self._track.until_s:
            return self._track.at(at_s)
        position_s = session.sent.advance(at_s - session.latency_s)
        for gate in self.gates(session.source):
            held = self._database.streaming.position(gate)
            position_s = min(position_s, agreed_s(self._database.histories, *held, session.history))
        position_s = max(position_s, session.from_s)
        if at_s <= self._world.now:
            self._track.add(at_s, position_s)
        return position_s

    def confirmed_at(self, at_s: float) -> tuple[int, float]:
        """Return which line it reads, and up to where it had confirmed at an instant that it has read."""
        if self.session is None:
            return self.history, self.confirmed_s
        return self.session.history, max(self.read_at(self._confirms.last_s(at_s)), self.confirmed_s)

    @property
    def lag_s(self) -> float:
        """How old the newest of what it shows is."""
        return self._world.now - self.read_at(self._world.now - self.shows_s)

    def follow_paths(self) -> None:
        """Go on over a path whose bandwidth or latency may have changed."""
        session = self.session
        if session is not None:
            self.read_at(self._world.now)
            session.latency_s = self._latency_s(session.source)
            session.sent.set_capacity(self._bandwidth(session.source))

    def begin(self, node: Node, start_s: float) -> None:
        """Read a primary's line from a commit time on."""
        now = self._world.now
        sent = Fluid(self.line(node.history), self._bandwidth(node), start_s)
        sent.t = max(now, start_s)
        self.confirmed_s = start_s
        self._track = Track()
        self.session = Session(node, node.history, start_s, sent, self._latency_s(node))

    def stop(self, *, in_flight_lost: bool) -> None:
        """Lose the connection: what was on its way dies with it, or arrives."""
        session, now = self.session, self._world.now
        if session is None:
            return
        _, self.confirmed_s = self.confirmed_at(now)
        arrives_s = now if in_flight_lost else now + session.latency_s - self._reads_s
        self.position_s = max(self.read_at(now), self.read_at(arrives_s))
        self.history = session.history
        self._delivered.append(Delivered(session.history, session.from_s, self.position_s))
        self.session = None

    def end(self) -> None:
        """Be told that there is no more: the primary is shut down, which ends once all that it sent is confirmed.

        References
        ----------
        PostgreSQL, ``walsender.c``, ``WalSndDone``: a sender waits for the answer to what it sent last.
        """
        self.stop(in_flight_lost=False)
        self.confirmed_s = self.position_s

    def copy_all(self, history: int, at_s: float) -> None:
        """Stand where everything committed on a line before an instant will have been copied."""
        self.history, self.position_s, self.confirmed_s = history, at_s, at_s

    def copied(self) -> None:
        """Hold the copy, and nothing that was there before."""
        self._delivered.append(Delivered(self.history, -INF, self.position_s, fresh=True))

    def finish(self) -> list[Delivered]:
        """Return what it got."""
        session = self.session
        if session is None:
            return self._delivered
        to_s = self.read_at(self._world.horizon_s)
        return [*self._delivered, Delivered(session.history, session.from_s, to_s, open=True)]

    def _bandwidth(self, source: Node) -> float:
        return self._network.bandwidth(source.region, self._region)

    def _latency_s(self, source: Node) -> float:
        """Return how long after a commit the consumer has read it, if nothing queues."""
        waits_s = max((self._network.rtt_s(source.region, gate.region) for gate in self.gates(source)), default=0.0)
        return self._network.one_way_s(source.region, self._region) + self._reads_s + waits_s


def _empty_before(load: Load, at_s: float) -> float:
    """Return an instant before another, both in the past, at which a stationary queue is empty."""
    every_s = load.every_s
    return at_s if every_s == INF else load.empty_at_s + floor((at_s - load.empty_at_s) / every_s) * every_s
