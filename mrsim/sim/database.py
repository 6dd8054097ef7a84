"""One store's nodes: what they believe, and who can acknowledge a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.commit import Acknowledgement, Member, acknowledge
from mrsim.sim.signals import Signal, nobody_listens
from mrsim.sim.wal import LEVEL_S, Stream
from mrsim.sim.world import DATABASE
from mrsim.trace import INF, NO_EVENT, Asked, History, site_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.distributions import Distribution
    from mrsim.scenario.stores import Store
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.storage import Storage
    from mrsim.sim.streaming import Streaming
    from mrsim.sim.world import World


class Database:
    """The nodes of one store in one trial.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, store
        The store's id and its scenario.
    nodes
        Its nodes by region, the primary first.
    streaming
        The connections between them.
    storage
        Where they keep what they write; None: beside each, and it knows of no epochs.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        store: Store,
        nodes: dict[str, Node],
        streaming: Streaming,
        storage: Storage | None = None,
    ) -> None:
        self._world = world
        self._network = network
        self.name = name
        self._store = store
        self._timers = store.replication
        self.nodes = nodes
        self.streaming = streaming
        self.storage = storage
        self.current = primary = nodes[store.primary]
        """The node that was promoted last, but for those promoted in a cluster that had been given up."""
        self.histories = [History(primary.name, -1, INF, -INF)]
        self.redundant = Signal()
        self._listeners: list[Callable[[int], None]] = []
        self._flush_s = world.sample(f"{name}/local_flush", self._timers.local_flush)
        streaming.on_change = self.changed
        rule = self._rule(primary)
        primary.open(-INF, NO_EVENT, self._wait_s(primary, rule), rule.members)
        if not rule.possible:
            primary.close(-INF, NO_EVENT, -INF, -INF)
        self._note_redundancy(NO_EVENT)

    def listen(self, listener: Callable[[int], None]) -> None:
        """Call ``listener(cause)`` whenever a node's state has changed."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Forget who listens."""
        self._listeners.clear()
        self.streaming.on_change = nobody_listens

    @property
    def receiver_timeout_s(self) -> float:
        """How long a standby waits for a silent primary, in seconds."""
        return self._timers.receiver_timeout

    @property
    def surviving(self) -> int:
        """Index of the history that survives: that of the node which was promoted last by who decides over all."""
        return self.current.history

    def on_line(self, history: int, position_s: float, line: int | None = None) -> bool:
        """Return whether a position lies on a history, the surviving one if none is named."""
        line, until = self.surviving if line is None else line, INF
        while line not in {history, -1}:
            until = min(until, self.histories[line].forked_at_s)
            line = self.histories[line].parent
        return line == history and position_s <= until + LEVEL_S

    # What happens to nodes -----------------------------------------------------------------------------------------

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """React to a change of paths: nodes die with their hosts, connections break or resume."""
        changed = False
        for region, node in self.nodes.items():
            if region in touched and node.running and not self._network.alive(region):
                self._stop(node, cause, "its host is gone")
                changed = True
        self.streaming.follow_paths(cause)
        self.refresh(cause)
        if changed:
            self._tell(cause)

    def stop(self, region: str, cause: int, why: str) -> None:
        """Stop a node's process."""
        node = self.nodes[region]
        if node.running:
            self.changed(self._stop(node, cause, why))

    def _stop(self, node: Node, cause: int, why: str) -> int:
        event = self._world.emit("node-down", node.name, cause, "", why)
        now = self._world.now
        self._close(node, event)
        node.running = False
        if not node.handed_over:
            node.end_drain(now)
        node.halt(now)
        node.reads.set(now, on=False, event=event)
        self.streaming.writing_ended(node)
        if node.upstream is not None:
            node.upstream.closed = True
        self._world.stirred += 1
        return event

    def start(self, region: str, cause: int, role: str) -> int:
        """Start a node's process in a role; return the event.

        A primary whose shutdown to hand over is complete stays as it was: writes are refused, and it lets in whom it
        let in when it died.
        """
        node = self.nodes[region]
        event = self._world.emit("node-up", node.name, cause, "repair", f"starts as {role}")
        node.running = True
        node.role = role  # type: ignore[assignment]
        if not (node.is_primary and node.handed_over):
            node.answers.set(self._world.now, on=True, event=event)
        if node.made and not node.rebuilding:
            node.reads.set(self._world.now, on=True, event=event)
        self._world.stirred += 1
        return event

    def fence(self, region: str, cause: int) -> None:
        """Power a node off for good."""
        node = self.nodes[region]
        node.fenced = True
        event = self._world.emit("fenced", node.name, cause, "fencing", "powered off through its control point")
        self.stop(region, event, "fenced")

    def demote(self, region: str, cause: int, why: str) -> int:
        """Make a primary read-only; return the event."""
        node = self.nodes[region]
        event = self._world.emit("demoted", node.name, cause, "", why)
        self._close(node, event)
        node.halt(self._world.now)
        node.role = "demoted"
        self.streaming.writing_ended(node)
        self.changed(event)
        return event

    def resume_primary(self, region: str, cause: int, why: str) -> None:
        """Let a demoted primary accept writes again on its own history."""
        node = self.nodes[region]
        event = self._world.emit("resumed-as-primary", node.name, cause, "repair", why)
        node.role = "primary"
        node.end_drain(self._world.now)
        node.answers.set(self._world.now, on=True, event=event)
        self.changed(event)

    def changed(self, cause: int) -> None:
        """Work out what follows from a node's change, and tell whoever listens."""
        self.streaming.follow_paths(cause)
        self.refresh(cause)
        self._tell(cause)

    def _tell(self, cause: int) -> None:
        for listener in self._listeners:
            listener(cause)

    # Promotion -----------------------------------------------------------------------------------------------------

    def promote(
        self,
        region: str,
        cause: int,
        occasion: int,
        done: Callable[[bool, int], None],
        inside: frozenset[str] | None = None,
    ) -> None:
        """Make a standby primary: replay what it has, fork, become writable.

        Parameters
        ----------
        region
            Where the standby is.
        cause
            The command's event.
        occasion
            Number of the attempt, for its draws.
        done
            Called with ``(success, event)``.
        inside
            Regions and zones over which whoever commands it decides; None: over all.
        """
        takes_dist, fails, attempt_timeout_s = self._promotion(inside is not None)
        node, now = self.nodes[region], self._world.now
        wait = node.upstream.stream.end_recovery_s(now) if node.upstream is not None else 0.0
        self.streaming.detach(node, cause)
        node.promoting = True
        # From here on it acknowledges nothing of the old primary's.
        self.changed(cause)
        if self._world.uniform(f"{node.name}/promote/fails", occasion) < fails:
            name = f"{node.name}/promotion-failed"
            self._world.at(now + attempt_timeout_s, DATABASE, name, lambda: self._failed(node, cause, done))
            return
        takes = self._world.sample(f"{node.name}/promote", takes_dist, occasion)

        def replayed() -> None:
            event = cause
            if not node.made:
                note = "made from the last snapshot"
                event = self._world.emit("restored", node.name, cause, "restore", note)
            elif wait > 0.0:
                event = self._world.emit("replayed", node.name, cause, "data_wait", "received WAL is applied")
            name, writable = f"{node.name}/writable", self._world.now + takes
            self._world.at(writable, DATABASE, name, lambda: self._writable(node, event, done, inside))

        self._world.at(now + wait, DATABASE, f"{node.name}/replayed", replayed)

    def _promotion(self, inside: bool) -> tuple[Distribution, float, float]:
        """Return how long a promotion takes, how often it fails, and when a failed attempt is given up."""
        rule = self._store.in_region
        if inside and rule is not None:
            return rule.takes, rule.fails_to_promote, rule.attempt_timeout
        promote = self._store.failover.promote  # type: ignore[union-attr]
        return promote.takes, promote.fails, promote.attempt_timeout

    def _failed(self, node: Node, cause: int, done: Callable[[bool, int], None]) -> None:
        node.promoting = False
        why = "the attempt failed" if node.running else "the node went down"
        event = self._world.emit("promotion-failed", node.name, cause, "promotion", why)
        fresh = None if self.on_line(*self.streaming.position(node)) else self._world.now
        self.streaming.connect(node, self.current, fresh, cause)
        self.changed(event)
        done(False, event)

    def _writable(
        self, node: Node, cause: int, done: Callable[[bool, int], None], inside: frozenset[str] | None
    ) -> None:
        if not node.running:
            self._failed(node, cause, done)
            return
        node.promoting = False
        event = self._world.emit("promoted", node.name, cause, "promotion", "out of recovery, accepts writes")
        self.histories.append(History(node.name, node.history, node.forks_s, self._world.now, event, node.copied))
        self.streaming.fork(node, node.history, node.forks_s)
        node.history = len(self.histories) - 1
        node.role = "primary"
        node.end_drain(self._world.now)
        if self.storage is not None:
            # A manager inside a region knows of no epochs: its new primary goes on with the old one's.
            parent = self.histories[self.histories[-1].parent].node
            node.epoch = self.storage.issue() if inside is None else self.nodes[site_of(parent)].epoch
        if inside is None or self.current.region in inside:
            self.current = node
        node.made = True
        for signal in (node.reads, node.answers):
            signal.set(self._world.now, on=True, event=event)
        self._world.stirred += 1
        self.changed(event)
        done(True, event)

    # Acknowledgements ----------------------------------------------------------------------------------------------

    def _rule(self, primary: Node) -> Acknowledgement:
        rule = self._store.commit
        if rule.any is None and rule.first is None:
            return acknowledge(rule, ())
        now = self._world.now
        members = []
        # In a cluster of standbys it is the leader that the primary hears of.
        leaders, heard = self.streaming.hops.leaders if rule.of != "in-region" else {}, set()
        for listed in self._store.synchronous(primary.region, self._network.geometry.home.__getitem__):
            site = leaders.get(listed, listed)
            node = self.nodes[site]
            upstream = self.streaming.connection(primary, node) if site not in heard else None
            heard.add(site)
            if upstream is None or not isinstance(upstream.stream, Stream):
                members.append(Member(node.region, flowing=False, silent=False, wait_s=0.0))
                continue
            wait_s = self.streaming.wait_s(upstream.stream)
            members.append(Member(node.region, upstream.answering, upstream.silent(now), wait_s))
        return acknowledge(rule, members)

    def asked(self) -> dict[str, Asked]:
        """Return whose answers commits wait for now, per node that acknowledges and waits for any."""
        rules = {node.name: self._rule(node) for node in self.nodes.values() if node.acknowledging}
        return {name: Asked(len(rule.members), rule.among) for name, rule in rules.items() if rule.among}

    def refresh(self, cause: int) -> None:
        """Open and close acknowledgement spans after any change."""
        now = self._world.now
        for node in self.nodes.values():
            why = self.storage.follow(node, cause) if self.storage is not None else cause
            able = node.is_primary and not node.draining
            rule = self._rule(node) if able else None
            if rule is not None and rule.possible:
                wait_s = self._wait_s(node, rule)
                if not node.acknowledging:
                    node.open(now, why, wait_s, rule.members)
                    self._world.stirred += 1
                elif (wait_s, rule.members) != (node.wait_s, node.watchers):
                    # The set has changed without a stall: the same span goes on under the new set, and what was
                    # acknowledged under the old one stays so, however long the new one takes.
                    node.told_s = max(node.told_s, self._acknowledged_until_s(node))
                    node.wait_s, node.watchers = wait_s, rule.members
            elif node.acknowledging:
                self._close(node, why, blocked=able)
            self._note_blocked(node, rule, why)
        self._note_redundancy(cause)
        self.streaming.follow_backlogs(cause)

    def _wait_s(self, node: Node, rule: Acknowledgement) -> float:
        """Return how long a commit of a primary takes: its own flush, and then the standbys that it waits for."""
        stored_s = self.storage.wait_s(node) if self.storage is not None else 0.0
        return rule.wait_s + self._flush_s + stored_s

    def _note_blocked(self, node: Node, rule: Acknowledgement | None, cause: int) -> None:
        """Say in the trace why a primary's commits wait, once."""
        blocked = rule is not None and not rule.possible
        if rule is not None and blocked and not node.blocked:
            self._world.emit("commits-blocked", node.name, cause, "", rule.why)
        node.blocked = blocked

    def _close(self, node: Node, cause: int, *, blocked: bool = False) -> None:
        """End a span: the node stops executing commits, or goes on until all connections wait if it is blocked.

        Commits that wait for standbys are a closed loop: each connection executes the next once the last has been
        acknowledged, so no more are in doubt than there are connections, and clients queue for the rest.
        """
        if not node.acknowledging:
            return
        now = self._world.now
        until = max(node.open_since_s, node.told_s, self._acknowledged_until_s(node))
        executing_until_s = now
        if blocked or node.watchers:
            full_s = self.streaming.full_s(until)
            executing_until_s = full_s if blocked else min(now, full_s)
        node.close(now, cause, until, executing_until_s)
        self._world.stirred += 1

    def _acknowledged_until_s(self, node: Node) -> float:
        """Return the commit time before which commits have been acknowledged by the set that is waited for now."""
        now = self._world.now
        until = now - node.wait_s
        # What was acknowledged had been received by every member that was waited for.
        for region in node.watchers:
            history, position = self.streaming.confirmed_s(self.nodes[region])
            if history == node.history:
                until = min(until, position)
        return until

    def _note_redundancy(self, cause: int) -> None:
        rule = self._store.commit
        primary = self.current
        flowing = 0
        for node in self.nodes.values():
            upstream = node.upstream
            flowing += upstream is not None and upstream.source is primary and upstream.answering
        enough = primary.running and flowing >= (rule.any or rule.first or 1)
        self.redundant.set(self._world.now, on=enough, event=cause)
