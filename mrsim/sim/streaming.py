"""Who streams from whom: connections between nodes, how they break, and when they work again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.hops import Hops
from mrsim.sim.lines import Line
from mrsim.sim.nodes import Node, Upstream
from mrsim.sim.senders import Senders
from mrsim.sim.signals import nobody_listens
from mrsim.sim.supplies import Supply
from mrsim.sim.tcp import (
    LARGEST_TICK_S,
    next_connection_s,
    next_retransmission_s,
    slow_start_s,
    timer_starts_s,
)
from mrsim.sim.wal import Pace, Stream
from mrsim.sim.ways import Ways
from mrsim.sim.world import NETWORK
from mrsim.trace import INF, NO_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrsim.scenario.stores import Store
    from mrsim.sim.network import Network
    from mrsim.sim.wal import Load
    from mrsim.sim.world import Timer, World

STATUS_INTERVAL_S = 10.0
"""wal_receiver_status_interval, PostgreSQL's default: how old the primary's last report can be."""


class Streaming:
    """The streaming connections of one store.

    Parameters
    ----------
    world, network
        The trial and its paths.
    store
        Timers, speeds and cascade sources.
    load
        What the primary writes.
    nodes
        The store's nodes by region.
    """

    def __init__(self, world: World, network: Network, store: Store, load: Load, nodes: Mapping[str, Node]) -> None:
        self._world = world
        self._network = network
        self._timers = store.replication
        self._applies = store.commit.level == "remote_apply"
        self._synchronous = store.commit.any is not None or store.commit.first is not None
        self._load = load
        self._nodes = nodes
        self.lines = [Line(load, nodes[store.primary], 0)]
        """What was written on each history."""
        self._ways = Ways(world, network, nodes[store.primary].name, store, nodes)
        self._stalls: set[str] = set()
        self._remote_flush_s = world.sample(f"{nodes[store.primary].name}/remote_flush", self._timers.remote_flush)
        self._work_s = store.standby_work_s(self._remote_flush_s)
        self.hops = Hops(network, store, self._remote_flush_s)
        self.on_change: Callable[[int], None] = nobody_listens
        timeout_s, told = self._timers.sender_timeout, self._dropped if self._synchronous else None
        self._senders = Senders(world, network, nodes, self._stalls, timeout_s, told)

    # Positions -----------------------------------------------------------------------------------------------------

    def position(self, node: Node) -> tuple[int, float]:
        """Return the history a standby is on, and the commit time up to which it holds it."""
        if node.upstream is not None and node.upstream.began:
            return node.history, node.upstream.source.written_s(node.upstream.stream.received(self._world.now))
        return node.history, node.position_s

    def reported_lag_s(self, node: Node, seen_s: float) -> float:
        """Return the lag of a standby as known outside: against the primary's last report, not its true position.

        Parameters
        ----------
        node
            The standby, which can be asked now.
        seen_s
            When the primary could last be asked; not in the past if it can be asked now.
        """
        now = node.upstream.source.written_s(self._world.now) if node.upstream is not None else self._world.now
        if seen_s < now:
            now = seen_s - self._world.uniform(f"{node.name}/report") * STATUS_INTERVAL_S
        _, position_s = self.position(node)
        # A primary that has written nothing since is no further.
        return now - position_s if self.lines[-1].bytes_between(position_s, now) > 0.0 else 0.0

    def confirmed_s(self, node: Node) -> tuple[int, float]:
        """Return the history a standby is on, and up to when it has done what commits wait for."""
        upstream = node.upstream
        if self._applies and upstream is not None and upstream.began:
            return node.history, upstream.stream.replayed(self._world.now)
        return self.position(node)

    def full_s(self, acked_until_s: float) -> float:
        """Return up to when commits are executed while none is acknowledged: until all connections wait."""
        load = self._load
        return load.end_s(acked_until_s, self._timers.connections * load.bytes_per_commit)

    def bytes_behind(self, node: Node, at_s: float) -> float:
        """Return the WAL that its source had written up to ``at_s`` and that a standby does not hold, in bytes."""
        written_s = min(at_s, node.upstream.stream.source_end_s) if node.upstream is not None else at_s
        history, position_s = self.position(node)
        return self.lines[history].bytes_between(position_s, written_s)

    def wait_s(self, stream: Stream) -> float:
        """Return how long an acknowledgement over this connection takes: a round trip and what the standby does.

        Standbys that lag are not in it: see :meth:`confirmed_s`.
        """
        return 2.0 * stream.latency_s + self._work_s

    # Connections ---------------------------------------------------------------------------------------------------

    def fork(self, node: Node, parent: int, forked_at_s: float) -> None:
        """Begin a history at this instant: what ``node`` writes as a primary, after its parent's up to the fork."""
        self.lines.append(Line(self._load, node, len(self.lines), self.lines[parent], forked_at_s, self._world.now))

    def connection(self, primary: Node, node: Node) -> Upstream | None:
        """Return the connection over which a primary sees, or last saw, a standby; None if there was none."""
        upstream = node.upstream
        if upstream is not None and upstream.source is primary:
            return upstream
        return self._senders.left(primary, node)

    def connect(self, node: Node, primary: Node, copied_s: float | None = None, cause: int = NO_EVENT) -> bool:
        """Let a standby follow a primary; return whether the path is whole already.

        Parameters
        ----------
        node, primary
            Who follows whom. All that the standby holds must be part of the primary's history.
        copied_s
            When it became a fresh copy of the primary; None: it goes on from where it stands, and first receives what
            it lacks.
        cause
            The event that it follows from.
        """
        now = self._world.now
        old = node.upstream
        node.history, node.position_s = self.position(node)
        node.copied = None
        replayed = old.stream.replayed(now) if old is not None and old.began else node.position_s
        supplier = self._ways.suppliers.get(node.region)
        if supplier is not None:
            held = node.position_s if copied_s is None else copied_s
            steady = copied_s if primary.history == 0 and now <= 0.0 else None
            return supplier.connect(node, primary, self.lines[primary.history], held, steady)
        bandwidth, latency = self.hops.path(primary, node)
        start = now if copied_s is None else copied_s
        pace = Pace(bandwidth, self._timers.apply_rate, latency)
        stream = self._ways.stream(node, primary, self.lines[primary.history], pace, start)
        if copied_s is None:
            stream.stand_at(now, node.position_s, replayed)
        if old is not None:
            self._leave(node, old, cause)
        node.upstream = upstream = Upstream(primary, stream)
        if self._synchronous and copied_s is None:
            upstream.streaming = upstream.level = stream.level_s(self._world.horizon_s) <= now
        if self.whole(node, upstream):
            node.history = primary.history
            return True
        stream.broken(now, in_flight_lost=True)
        upstream.began = upstream.flowing = upstream.whole = False
        self._ways.begin_behind(node, upstream, stalled=node.region in self._stalls, cause=cause)
        return False

    def reconnect(self, node: Node, cause: int) -> None:
        """Let a standby close its connection and open another: it gets its WAL through somebody else now."""
        upstream = node.upstream
        if upstream is None or isinstance(upstream.stream, Supply):
            return
        upstream.closed = True
        upstream.whole = False
        upstream.attempt += 1
        self._break(node, cause, in_flight_lost=True)

    def detach(self, node: Node, cause: int) -> None:
        """Stop receiving, for good: the node keeps what it has."""
        node.history, node.position_s = self.position(node)
        if node.upstream is not None:
            if isinstance(node.upstream.stream, Supply):
                node.copied = node.upstream.stream.copied(self._world.now)
            self._leave(node, node.upstream, cause)
        node.upstream = None

    def writing_ended(self, source: Node) -> None:
        """Note that a node has stopped writing WAL, and knows of no connection any more."""
        for other in self._nodes.values():
            if other.upstream is not None and other.upstream.source is source:
                other.upstream.stream.source_end_s = self._world.now
                other.upstream.dropped_s = -INF
        self._senders.forget(source)

    def can_promote(self, node: Node) -> bool:
        """Return whether a node has, or can get, what it would be primary with."""
        stream = node.upstream.stream if node.upstream is not None else None
        return stream.usable(self._world.now) if isinstance(stream, Supply) else node.made

    def end_segment(self, primary: Node) -> None:
        """Archive what a primary has written since the last segment's end."""
        for supplier in dict.fromkeys(self._ways.suppliers.values()):
            supplier.end_segment(primary)

    def stall(self, region: str, *, stalled: bool) -> None:
        """Stop a standby from receiving, or let it receive again."""
        (self._stalls.add if stalled else self._stalls.discard)(region)

    def follow_paths(self, cause: int) -> None:
        """Break, resume or re-path every connection after a change of paths or nodes."""
        for node in self._nodes.values():
            upstream = node.upstream
            if upstream is None or node.role != "standby":
                continue
            if isinstance(upstream.stream, Supply):
                stalled = node.region in self._stalls
                self._ways.suppliers[node.region].follow(node, upstream, stalled=stalled, cause=cause)
                continue
            whole = self.whole(node, upstream)
            if upstream.flowing and not whole:
                self._break(node, cause, in_flight_lost=self._network.in_flight_lost)
            elif not upstream.flowing and whole and not upstream.whole and not upstream.lost:
                self._resume_later(node, upstream, cause)
            elif upstream.flowing:
                upstream.stream.repath(self._world.now, *self.hops.path(upstream.source, node))
            upstream.whole = whole
            self._ways.follow_behind(node, upstream, stalled=node.region in self._stalls, cause=cause)
        if self._synchronous:
            self._senders.follow_paths([(region, up) for region, up, _ in self._current()], cause)

    def whole(self, node: Node, upstream: Upstream) -> bool:
        """Return whether WAL can flow from a primary to a standby."""
        source = upstream.source
        if node.region in self._stalls or not node.running or not source.is_primary:
            return False
        for a, b in self.hops.between(source, node):
            # A primary that received nothing as a standby sends all the same.
            stalled = a in self._stalls and a != source.region
            if not self._network.both_ways(a, b) or stalled or not self._nodes[a].passes_on:
                return False
        return True

    def streams(self, node: Node) -> bool:
        """Return whether a node receives a stream now."""
        return node.upstream is not None and isinstance(node.upstream.stream, Stream) and node.upstream.flowing

    def can_copy(self, node: Node, source: Node) -> bool:
        """Return whether a node can be rebuilt from a primary; one that does not stream is rebuilt by its supplier."""
        if node.region in self._ways.suppliers:
            return True
        ways = self.hops.between(source, node)
        return node.running and source.is_primary and all(self._network.both_ways(a, b) for a, b in ways)

    def _break(self, node: Node, cause: int, *, in_flight_lost: bool) -> None:
        upstream = node.upstream
        if upstream is None or not isinstance(upstream.stream, Stream) or not upstream.flowing:
            return
        now = self._world.now
        upstream.stream.broken(now, in_flight_lost=in_flight_lost)
        upstream.flowing = False
        upstream.cut_s = now
        upstream.attempt += 1
        if upstream.leveling is not None:
            upstream.leveling.cancel()
        self._world.stirred += 1
        self._senders.broken(node, upstream, cause)

    def _leave(self, node: Node, upstream: Upstream, cause: int) -> None:
        """Close a standby's end of a connection."""
        if isinstance(upstream.stream, Supply):
            return
        upstream.closed = True
        if upstream.flowing:
            self._break(node, cause, in_flight_lost=True)
        else:
            self._senders.closed(node, upstream, cause)
        self._senders.leave(node, upstream)

    def _dropped(self, event: int) -> None:
        self.on_change(event)

    def _current(self) -> list[tuple[str, Upstream, Stream]]:
        connected = [(region, node.upstream) for region, node in self._nodes.items() if node.upstream is not None]
        return [(region, up, up.stream) for region, up in connected if isinstance(up.stream, Stream)]

    # Catching up ---------------------------------------------------------------------------------------------------

    def follow_backlogs(self, cause: int) -> None:
        """Work out again when each connection will have sent everything: the WAL or the path may have changed."""
        if not self._synchronous:
            return
        for region, upstream, stream in self._current():
            if upstream.level or not upstream.flowing:
                continue
            if upstream.event == NO_EVENT:
                upstream.event = cause
            if upstream.leveling is not None:
                upstream.leveling.cancel()
            at = stream.level_s(self._world.horizon_s)
            upstream.leveling = None
            if at < self._world.horizon_s:
                upstream.leveling = self._level_at(at, self._nodes[region], upstream)

    def _level_at(self, at_s: float, node: Node, upstream: Upstream) -> Timer:
        return self._world.at(at_s, NETWORK, f"{node.name}/level", lambda: self._leveled(node, upstream))

    def _leveled(self, node: Node, upstream: Upstream) -> None:
        if not upstream.flowing or node.upstream is not upstream:
            return
        upstream.level = upstream.streaming = True
        note = "everything written has been sent to it"
        self.on_change(self._world.emit("standby-caught-up", node.name, upstream.event, "data_wait", note))

    # Working again -------------------------------------------------------------------------------------------------

    def _resume_later(self, node: Node, upstream: Upstream, cause: int) -> None:
        """Schedule when the connection works again: a TCP retry, or a new connection once a side has given up."""
        now, timers = self._world.now, self._timers
        cut, fresh = upstream.cut_s, True
        rtt = 2.0 * self.hops.path(upstream.source, node)[1]
        acked, sent = self._world.uniforms(f"{node.name}/first-unanswered", 2, upstream.attempt)
        grid = self._world.uniform(f"{node.name}/timer-grid") * LARGEST_TICK_S
        retry = self._world.uniform(f"{node.name}/reconnect", upstream.attempt) * timers.retry_interval
        gives_up = cut + min(timers.receiver_timeout, timers.sender_timeout)
        if upstream.stream.source_end_s < INF or upstream.closed or not upstream.began:
            # One of the two processes has been restarted: the standby's next attempt to connect is answered.
            at = now + retry
        elif now < gives_up:
            started = timer_starts_s(cut, rtt, self._load.commits_per_s, acked, sent)
            resent = next_retransmission_s(started, now, rtt, grid)
            fresh = gives_up + retry < resent
            at = min(resent, gives_up + retry)
            behind = self.lines[upstream.source.history].bytes_between(upstream.stream.received(now), at)
            at += slow_start_s(behind, rtt, self.hops.path(upstream.source, node)[0])
        else:
            at = next_connection_s(gives_up + retry, now, timers.retry_interval)
        attempt = upstream.attempt
        self._world.at(
            at, NETWORK, f"{node.name}/resume", lambda: self._resume(node, upstream, attempt, cause, fresh=fresh)
        )

    def _resume(self, node: Node, upstream: Upstream, attempt: int, cause: int, *, fresh: bool) -> None:
        stale = node.upstream is not upstream or upstream.attempt != attempt or upstream.flowing or upstream.lost
        if stale or isinstance(upstream.stream, Supply) or not self.whole(node, upstream):
            return
        if not upstream.began:
            upstream.began = True
            if node.rebuilding:
                upstream.stream.stand_at(self._world.now, self._world.now, self._world.now)
        event = self._world.emit("stream-resumed", node.name, cause, "reconnect", "WAL flows again")
        upstream.stream.resumed(self._world.now, *self.hops.path(upstream.source, node))
        upstream.flowing = True
        upstream.closed = False
        upstream.event = event
        if self._synchronous:
            upstream.level = upstream.stream.level_s(self._world.horizon_s) <= self._world.now
            upstream.streaming = upstream.level or (upstream.streaming and not fresh)
        node.history = upstream.source.history
        if node.rebuilding:
            node.rebuilding = False
            node.reads.set(self._world.now, on=True, event=event)
        self.on_change(event)
