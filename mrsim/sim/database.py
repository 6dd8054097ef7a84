"""One store's nodes: what they believe, who streams from whom, and who can acknowledge a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.commit import Acknowledgement, Member, acknowledge
from mrsim.sim.nodes import Node, Upstream
from mrsim.sim.signals import Signal
from mrsim.sim.wal import Load, Stream, next_connection_s, next_retransmission_s
from mrsim.sim.world import DATABASE, NETWORK
from mrsim.trace import INF, NO_EVENT, History

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.stores import Store
    from mrsim.sim.network import Network
    from mrsim.sim.world import World

STATUS_INTERVAL_S = 10.0
"""wal_receiver_status_interval, PostgreSQL's default: how old the primary's last report can be."""


class Database:
    """The nodes of one store in one trial.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, store
        The store's id and its scenario.
    load
        The commits that clients attempt.
    """

    def __init__(self, world: World, network: Network, name: str, store: Store, load: Load) -> None:
        self._world = world
        self._network = network
        self.name = name
        self._store = store
        self._timers = store.replication
        self.load = load
        self.nodes = {store.primary: Node(name, store.primary, "primary")}
        for standby in store.standbys:
            self.nodes[standby.region] = Node(name, standby.region, "standby")
        self._sources = {standby.region: standby.source for standby in store.standbys if standby.source}
        self.histories = [History(self.nodes[store.primary].name, -1, INF, -INF)]
        self.redundant = Signal()
        self._stalls: set[str] = set()
        self._listeners: list[Callable[[int], None]] = []
        self._coordinator: Callable[[str], str | None] = lambda _: None
        self._flush_s = world.sample(f"{name}/local_flush", self._timers.local_flush)
        self._remote_flush_s = world.sample(f"{name}/remote_flush", self._timers.remote_flush)
        primary = self.nodes[store.primary]
        for standby in store.standbys:
            node = self.nodes[standby.region]
            node.upstream = Upstream(primary, self._new_stream(primary, node, load.empty_at_s))
        rule = self._rule(primary)
        primary.open(-INF, NO_EVENT, rule.wait_s + self._flush_s, rule.members)
        if not rule.possible:
            primary.close(-INF, NO_EVENT, -INF, -INF)
        self._note_redundancy(NO_EVENT)

    # What others may ask -------------------------------------------------------------------------------------------

    def listen(self, listener: Callable[[int], None]) -> None:
        """Call ``listener(cause)`` whenever a node's state has changed."""
        self._listeners.append(listener)

    def coordinate(self, coordinator: Callable[[str], str | None]) -> None:
        """Set whom a returning node asks for the current primary: ``coordinator(region)``, None if unreachable."""
        self._coordinator = coordinator

    @property
    def current(self) -> Node:
        """The node that was promoted last."""
        return self._by_name(self.histories[-1].node)

    def position(self, node: Node) -> tuple[int, float]:
        """Return the history a standby is on, and the commit time up to which it holds it."""
        upstream = node.upstream
        if upstream is not None:
            return node.history, upstream.stream.received(self._world.now)
        return node.history, node.position_s

    def reported_lag_s(self, node: Node) -> float:
        """Return the lag of a standby as known outside: against the primary's last report, not its true position."""
        now = self._world.now
        upstream = node.upstream
        if upstream is None:
            return 0.0
        if upstream.flowing:
            return now - upstream.stream.received(now)
        age = self._world.uniform(f"{node.name}/report") * STATUS_INTERVAL_S
        return max(0.0, upstream.cut_s - age - upstream.stream.received(now))

    # What happens to nodes -----------------------------------------------------------------------------------------

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """React to a change of paths."""
        changed = False
        for region, node in self.nodes.items():
            if region not in touched:
                continue
            alive = self._network.alive(region)
            if not alive and node.running:
                self.stop(region, cause, "its host is gone", quiet=True)
                changed = True
            elif alive and not node.running and node.process_up and not node.fenced:
                self._restart_later(node, cause)
        self._follow_paths(touched, cause)
        self._reconsider(cause)
        self._refresh(cause)
        if changed:
            self._tell(cause)

    def stop(self, region: str, cause: int, why: str, *, quiet: bool = False) -> int:
        """Stop a node; return the event."""
        node = self.nodes[region]
        event = self._world.emit("node-down", node.name, cause, "", why)
        if node.running:
            self._close(node, event, executing_until_s=self._world.now)
            node.running = False
            node.halt(self._world.now)
            node.reads.set(self._world.now, on=False, event=event)
            self._end_of_writing(node)
            self._world.stirred += 1
        if not quiet:
            self._follow_paths(frozenset(self.nodes), event)
            self._refresh(event)
            self._tell(event)
        return event

    def crash(self, region: str, cause: int) -> None:
        """Kill the database process; its host lives and refuses connections."""
        self.nodes[region].process_up = False
        self.stop(region, cause, "the process died")

    def recover(self, region: str, cause: int) -> None:
        """Let a crashed process be started again."""
        node = self.nodes[region]
        node.process_up = True
        if self._network.alive(region) and not node.fenced:
            self._restart_later(node, cause)

    def fence(self, region: str, cause: int) -> int:
        """Power a node off for good."""
        node = self.nodes[region]
        node.fenced = True
        event = self._world.emit("fenced", node.name, cause, "fencing", "powered off through its control point")
        self.stop(region, event, "fenced")
        return event

    def demote(self, region: str, cause: int, why: str) -> None:
        """Make a primary read-only."""
        node = self.nodes[region]
        if node.role != "primary":
            return
        event = self._world.emit("demoted", node.name, cause, "", why)
        self._close(node, event, executing_until_s=self._world.now)
        node.halt(self._world.now)
        node.role = "demoted"
        self._end_of_writing(node)
        self._follow_paths(frozenset(self.nodes), event)
        self._refresh(event)
        self._tell(event)

    def resume_primary(self, region: str, cause: int, why: str) -> int:
        """Let a demoted primary accept writes again on its own history."""
        node = self.nodes[region]
        event = self._world.emit("resumed-as-primary", node.name, cause, "repair", why)
        node.role = "primary"
        self._follow_paths(frozenset(self.nodes), event)
        self._refresh(event)
        self._tell(event)
        return event

    def stall(self, region: str, cause: int) -> None:
        """Stop a standby from receiving."""
        self._stalls.add(region)
        self._follow_paths(frozenset((region,)), cause)
        self._refresh(cause)

    def unstall(self, region: str, cause: int) -> None:
        """Undo :meth:`stall`."""
        self._stalls.discard(region)
        self._follow_paths(frozenset((region,)), cause)
        self._refresh(cause)

    # Promotion -----------------------------------------------------------------------------------------------------

    def promote(self, region: str, cause: int, occasion: int, done: Callable[[bool, int], None]) -> None:
        """Make a standby primary: replay what it has, fork, become writable; ``done(success, event)`` afterwards."""
        promote = self._store.failover.promote  # type: ignore[union-attr]
        node = self.nodes[region]
        now = self._world.now
        wait = node.upstream.stream.replay_backlog_s(now) if node.upstream is not None else 0.0
        if node.upstream is not None:
            node.history, node.position_s = self.position(node)
            self._break(node, cause, in_flight_lost=True)
            node.upstream = None
        node.promoting = True
        started = cause
        if self._world.uniform(f"{node.name}/promote/fails", occasion) < promote.fails:
            gives_up = now + promote.attempt_timeout

            def failed() -> None:
                node.promoting = False
                event = self._world.emit("promotion-failed", node.name, started, "promotion", "the attempt failed")
                self._attach_later(node, event)
                done(False, event)  # noqa: FBT003

            self._world.at(gives_up, DATABASE, f"{node.name}/promotion-failed", failed)
            return
        takes = self._world.sample(f"{node.name}/promote", promote.takes, occasion)

        def replayed() -> None:
            event = started
            if wait > 0.0:
                event = self._world.emit("replayed", node.name, started, "data_wait", "received WAL is applied")
            self._world.at(
                self._world.now + takes, DATABASE, f"{node.name}/writable", lambda: self._writable(node, event, done)
            )

        if wait > 0.0:
            self._world.at(now + wait, DATABASE, f"{node.name}/replayed", replayed)
        else:
            replayed()

    def _writable(self, node: Node, cause: int, done: Callable[[bool, int], None]) -> None:
        node.promoting = False
        if not node.running:
            event = self._world.emit("promotion-failed", node.name, cause, "promotion", "the node went down")
            done(False, event)  # noqa: FBT003
            return
        now = self._world.now
        event = self._world.emit("promoted", node.name, cause, "promotion", "out of recovery, accepts writes")
        self.histories.append(History(node.name, node.history, node.position_s, now, event))
        node.history = len(self.histories) - 1
        node.role = "primary"
        self._world.stirred += 1
        for other in self.nodes.values():
            if other is not node and other.role == "standby":
                self._attach_later(other, event)
        self._reconsider(event)
        self._refresh(event)
        self._tell(event)
        done(True, event)  # noqa: FBT003

    def _attach_later(self, node: Node, cause: int) -> None:
        """Point a standby at the current primary: at its next attempt to connect, or after being rebuilt if ahead."""
        now = self._world.now
        occasion = len(self.histories)
        pause = self._world.uniform(f"{node.name}/attach", occasion) * self._timers.retry_interval
        history, position = self.position(node)
        latest = self.histories[-1]
        ahead = not self._on_line(history, position)
        failover = self._store.failover
        if ahead and failover is not None:
            pause += self._world.sample(f"{node.name}/rebuild", failover.old_primary.rebuild, occasion)
            if node.running:
                node.rebuilding = True
                node.reads.set(now, on=False, event=cause)
        note = "it was ahead of the fork and is rebuilt" if ahead else "its position is behind the fork"
        self._world.at(
            now + pause, DATABASE, f"{node.name}/attach", lambda: self._attach(node, cause, latest.node, note)
        )

    def _on_line(self, history: int, position_s: float) -> bool:
        """Return whether a position lies on the surviving history."""
        line = len(self.histories) - 1
        while line != history and line >= 0:
            if self.histories[line].parent == history:
                return position_s <= self.histories[line].forked_at_s
            line = self.histories[line].parent
        return line == history

    def _attach(self, node: Node, cause: int, primary_name: str, note: str) -> None:
        primary = self._by_name(primary_name)
        if primary is not self.current or node is primary or node.role == "primary" or node.promoting:
            return
        if not (node.running and primary.running and self._network.both_ways(node.region, primary.region)):
            # Tried again when the paths change.
            node.history, node.position_s = self.position(node)
            node.upstream = Upstream(primary, self._new_stream(primary, node, self._world.now))
            node.upstream.stream.broken(self._world.now, in_flight_lost=True)
            node.upstream.flowing = node.upstream.whole = False
            node.upstream.cut_s = -INF
            return
        node.upstream = Upstream(primary, self._new_stream(primary, node, self._world.now))
        node.history = primary.history
        node.rebuilding = False
        event = self._world.emit("standby-attached", node.name, cause, "restore", note)
        node.reads.set(self._world.now, on=True, event=event)
        self._refresh(event)

    # Return of nodes -----------------------------------------------------------------------------------------------

    def _restart_later(self, node: Node, cause: int) -> None:
        failover = self._store.failover
        wait = 0.0
        if failover is not None:
            wait = self._world.sample(f"{node.name}/start", failover.old_primary.starts_after)
        self._world.at(self._world.now + wait, DATABASE, f"{node.name}/start", lambda: self._start(node, cause))

    def _start(self, node: Node, cause: int) -> None:
        if node.running or node.fenced or not node.process_up or not self._network.alive(node.region):
            return
        failover = self._store.failover
        on_return = failover.old_primary.on_return if failover is not None else "starts-as-primary"
        rebuild = False
        if node.role != "standby" and node is not self.current:
            if on_return == "stays-down":
                return
            rebuild = on_return == "rejoins"
        if node.role != "standby" and on_return == "rejoins":
            known = self._coordinator(node.region)
            if known is None:
                return
            rebuild = known != node.name
        event = self._world.emit("node-up", node.name, cause, "repair", f"starts as {'standby' if rebuild else node.role}")
        node.running = True
        self._world.stirred += 1
        if rebuild:
            self._rejoin(node, event)
        else:
            if node.role == "demoted":
                node.role = "primary"
            node.reads.set(self._world.now, on=True, event=event)
        self._follow_paths(frozenset(self.nodes), event)
        self._refresh(event)
        self._tell(event)

    def _rejoin(self, node: Node, cause: int) -> None:
        """Turn a superseded primary into a standby: it is rebuilt if it is ahead of the fork, and attached."""
        node.position_s = self._world.now if node.position_s == INF else node.position_s
        node.role = "standby"
        node.upstream = None
        self._attach_later(node, cause)
        if not node.rebuilding:
            node.reads.set(self._world.now, on=True, event=cause)

    def _reconsider(self, cause: int) -> None:
        """Let a running primary that was superseded, or a node waiting for its coordinator, learn who is primary."""
        failover = self._store.failover
        if failover is None or failover.old_primary.on_return == "starts-as-primary":
            return
        for node in self.nodes.values():
            if node.fenced or not node.agent_alive or node is self.current or node.role == "standby":
                continue
            known = self._coordinator(node.region)
            if known is None or known == node.name:
                continue
            wait = self._world.sample(f"{node.name}/start", failover.old_primary.starts_after)
            self._world.at(
                self._world.now + wait, DATABASE, f"{node.name}/superseded", lambda node=node: self._superseded(node, cause)
            )

    def _superseded(self, node: Node, cause: int) -> None:
        if node.fenced or node is self.current or node.role == "standby" or not self._network.alive(node.region):
            return
        known = self._coordinator(node.region)
        if known is None or known == node.name:
            return
        if not node.running:
            self._start(node, cause)
            return
        if self._store.failover.old_primary.on_return == "stays-down":  # type: ignore[union-attr]
            self.stop(node.region, cause, f"{known} is primary now")
            return
        self.demote(node.region, cause, f"{known} is primary now")
        self._rejoin(node, cause)
        self._refresh(cause)
        self._tell(cause)

    # Streams -------------------------------------------------------------------------------------------------------

    def _hops(self, source: Node, node: Node) -> list[tuple[str, str]]:
        """Return the regions that the WAL passes between, from the primary to a standby (cascades included)."""
        hops = []
        at = node.region
        while source.region == self._store.primary and at in self._sources:
            hops.append((self._sources[at], at))
            at = self._sources[at]
        return [*hops, (source.region, at)]

    def _new_stream(self, source: Node, node: Node, start_s: float) -> Stream:
        bandwidth, latency = self._path(source, node)
        return Stream(self.load, bandwidth, self._timers.apply_rate, latency, start_s)

    def _path(self, source: Node, node: Node) -> tuple[float, float]:
        hops = self._hops(source, node)
        return (
            min(self._network.bandwidth(a, b) for a, b in hops),
            sum(self._network.one_way_s(a, b) for a, b in hops) + self._remote_flush_s * (len(hops) - 1),
        )

    def _whole(self, node: Node, upstream: Upstream) -> bool:
        if node.region in self._stalls or not node.running or not upstream.source.running:
            return False
        if upstream.source.role != "primary":
            return False
        for a, b in self._hops(upstream.source, node):
            if not self._network.both_ways(a, b) or a in self._stalls:
                return False
            if a in self.nodes and not self.nodes[a].running:
                return False
        return True

    def _follow_paths(self, touched: frozenset[str], cause: int) -> None:
        for node in self.nodes.values():
            upstream = node.upstream
            if upstream is None or node.role != "standby":
                continue
            whole = self._whole(node, upstream)
            if upstream.flowing and not whole:
                self._break(node, cause, in_flight_lost=self._network.last_in_flight_lost)
            elif not upstream.flowing and whole and not upstream.whole:
                self._resume_later(node, upstream, cause)
            elif upstream.flowing and touched:
                upstream.stream.repath(self._world.now, *self._path(upstream.source, node))
            upstream.whole = whole

    def _break(self, node: Node, cause: int, *, in_flight_lost: bool) -> None:
        upstream = node.upstream
        if upstream is None or not upstream.flowing:
            return
        now = self._world.now
        upstream.stream.broken(now, in_flight_lost=in_flight_lost)
        upstream.flowing = False
        upstream.cut_s = now
        upstream.attempt += 1
        self._world.stirred += 1
        if self._store.commit.any is not None or self._store.commit.first is not None:
            self._world.at(
                now + self._timers.sender_timeout,
                NETWORK,
                f"{node.name}/sender-timeout",
                lambda: self._refresh(self._sender_timeout(node, upstream, cause)),
            )

    def _sender_timeout(self, node: Node, upstream: Upstream, cause: int) -> int:
        if upstream.flowing or not upstream.source.running:
            return cause
        return self._world.emit("standby-dropped", node.name, cause, "detection", "silent for the sender timeout")

    def _resume_later(self, node: Node, upstream: Upstream, cause: int) -> None:
        """Schedule when the connection works again: a TCP retry, or a new connection once a side has given up."""
        now, timers = self._world.now, self._timers
        cut = upstream.cut_s
        rtt = 2.0 * self._path(upstream.source, node)[1]
        first = cut + self._world.uniform(f"{node.name}/first-unanswered", upstream.attempt) / self.load.commits_per_s
        retry = self._world.uniform(f"{node.name}/reconnect", upstream.attempt) * timers.retry_interval
        gives_up = cut + min(timers.receiver_timeout, timers.sender_timeout)
        restarted = upstream.stream.source_end_s < INF or cut == -INF
        if restarted:
            at = now + retry
        elif now < gives_up:
            at = min(next_retransmission_s(first, now, rtt), max(now, gives_up) + retry)
        else:
            at = next_connection_s(gives_up + retry, now, timers.retry_interval)
        attempt = upstream.attempt
        self._world.at(at, NETWORK, f"{node.name}/resume", lambda: self._resume(node, upstream, attempt, cause))

    def _resume(self, node: Node, upstream: Upstream, attempt: int, cause: int) -> None:
        if node.upstream is not upstream or upstream.attempt != attempt or upstream.flowing:
            return
        if not self._whole(node, upstream):
            return
        event = self._world.emit("stream-resumed", node.name, cause, "reconnect", "WAL flows again")
        upstream.stream.resumed(self._world.now, *self._path(upstream.source, node))
        upstream.flowing = True
        node.history = upstream.source.history
        if node.rebuilding:
            node.rebuilding = False
            node.reads.set(self._world.now, on=True, event=event)
        self._refresh(event)

    def _end_of_writing(self, node: Node) -> None:
        for other in self.nodes.values():
            if other.upstream is not None and other.upstream.source is node:
                other.upstream.stream.source_end_s = self._world.now

    # Acknowledgements ----------------------------------------------------------------------------------------------

    def _rule(self, primary: Node) -> Acknowledgement:
        rule = self._store.commit
        if rule.any is None and rule.first is None:
            return acknowledge(rule, ())
        now = self._world.now
        members = []
        for region in rule.of:
            # Once a listed standby has become primary, the old primary takes its place on the list.
            node = self.nodes[region if region != primary.region else self._store.primary]
            upstream = node.upstream
            connected = upstream is not None and upstream.source is primary
            flowing = connected and upstream.flowing  # type: ignore[union-attr]
            silent = connected and not flowing and now < upstream.cut_s + self._timers.sender_timeout  # type: ignore[union-attr]
            wait = 0.0
            if connected:
                wait = 2.0 * upstream.stream.latency_s + self._remote_flush_s  # type: ignore[union-attr]
            members.append(Member(node.region, flowing, silent, wait))
        return acknowledge(rule, members)

    def _refresh(self, cause: int) -> None:
        """Open and close acknowledgement spans after any change."""
        now = self._world.now
        for node in self.nodes.values():
            able = node.running and node.role == "primary"
            rule = self._rule(node) if able else None
            if rule is not None and rule.possible:
                if node.acknowledging and node.watchers == rule.members:
                    continue
                if node.acknowledging:
                    # The set changed without a stall: the same span goes on under the new set.
                    node.wait_s, node.watchers = rule.wait_s + self._flush_s, rule.members
                else:
                    node.open(now, cause, rule.wait_s + self._flush_s, rule.members)
                    self._world.stirred += 1
            elif node.acknowledging:
                waiting = self._timers.connections / self.load.commits_per_s if able else 0.0
                self._close(node, cause, executing_until_s=now + waiting)
        self._note_redundancy(cause)

    def _close(self, node: Node, cause: int, *, executing_until_s: float) -> None:
        if not node.acknowledging:
            return
        now = self._world.now
        until = now - node.wait_s
        if node.watchers:
            # What was acknowledged had been received by every member that was waited for.
            held = [self.nodes[region].upstream for region in node.watchers]
            until = min([until, *(item.stream.received(now) for item in held if item is not None)])
        node.close(now, cause, until, executing_until_s)
        self._world.stirred += 1

    def _note_redundancy(self, cause: int) -> None:
        rule = self._store.commit
        needed = rule.any or rule.first or 1
        primary = self.current
        flowing = sum(
            node.upstream is not None and node.upstream.source is primary and node.upstream.flowing
            for node in self.nodes.values()
        )
        self.redundant.set(self._world.now, on=primary.running and flowing >= needed, event=cause)

    def _tell(self, cause: int) -> None:
        for listener in self._listeners:
            listener(cause)

    def _by_name(self, name: str) -> Node:
        return self.nodes[name.rpartition("@")[2]]
