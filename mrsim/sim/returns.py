"""Nodes that come back: when a fault ends, or when another node has become primary meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.world import DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrsim.scenario.stores import Store
    from mrsim.sim.cluster import Cluster
    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.world import World


class Returns:
    """Decides in which role a node starts, and what superseded primaries and other standbys do after a promotion.

    A node restarts in the role it last held and believes it, unless its product asks a coordinator first. A fenced node
    is never restarted.

    Parameters
    ----------
    world, network
        The trial and its paths.
    store
        The store's scenario.
    database
        Its nodes.
    coordinator
        ``coordinator(region)`` tells a node there who is primary now; None if it cannot be asked.
    clusters
        Clusters with managers of their own, by the regions and zones of their nodes. A node of one asks its manager
        first, and becomes a standby if another of them is primary.
    leased
        Whether a primary only acts as one while its agent holds a lease.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        store: Store,
        database: Database,
        coordinator: Callable[[str], str | None],
        clusters: Mapping[str, Cluster],
        *,
        leased: bool,
    ) -> None:
        self._world = world
        self._network = network
        self._clusters = clusters
        self._inside = store.in_region
        self._retry_s = store.replication.retry_interval
        self._policy = store.failover.old_primary if store.failover is not None else None
        on_return = self._policy.on_return if self._policy is not None else "starts-as-primary"
        self._on_return = "rejoins" if leased and on_return == "starts-as-primary" else on_return
        self._leased = leased
        self._database = database
        self._coordinator = coordinator
        self._known = len(database.histories)
        self._managed = list(dict.fromkeys(clusters.values()))
        self._led = [cluster.primary for cluster in self._managed]
        self._heading: dict[str, Node] = {}
        """Primaries that standbys are about to connect to, by the standbys' regions."""
        self._cut_off: dict[str, Node] = {}
        """Primaries that standbys have to follow and do not reach, by the standbys' regions."""
        self.turn_s: Callable[[Node], float] = _at_once
        """How long it takes until whoever starts a node's database has its turn."""
        self.needs_agent: Callable[[Node], bool] = lambda _node: leased
        """Whether it is the agent beside a database that starts it."""

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """React to a change of paths: hosts that are back start their databases, cut-off primaries hear the news."""
        self._follow_again(cause)
        self._consult(cause)
        for region, node in self._database.nodes.items():
            if region in touched and not node.running:
                self.restart(region, cause)
        self._spread_news(cause)

    def on_change(self, cause: int) -> None:
        """React to a change of the database: after a promotion, everybody else has to follow."""
        if len(self._database.histories) > self._known:
            self._known = len(self._database.histories)
            for node in self._database.nodes.values():
                upstream = node.upstream
                if node.role != "standby" or self._out_of_service(node):
                    continue
                if upstream is None or upstream.source is not self._leader(node):
                    self._follow(node, cause)
        elif self._led != [cluster.primary for cluster in self._managed]:
            self._follow_leaders(cause)
        self._follow_again(cause)
        self._led = [cluster.primary for cluster in self._managed]
        self._consult(cause)
        self._spread_news(cause)

    def on_news(self, cause: int) -> None:
        """React to the coordinator naming another primary than before."""
        self._consult(cause)
        self._spread_news(cause)

    def restart(self, region: str, cause: int) -> None:
        """Start a node's database again, if its host is there, its process may run, and nobody has fenced it."""
        node = self._database.nodes[region]
        if node.running and self.needs_agent(node):
            # Its agent is back beside a database that went on alone.
            self._spread_news(cause)
        if node.running or not node.may_run or not self._network.alive(region):
            return
        self._later(node, "start", cause, self._start)

    def reboot(self, region: str, cause: int) -> None:
        """Boot a host that was reset: its agent comes up with it, and starts the database."""
        self._later(self._database.nodes[region], "boot", cause, self._boot)

    def _boot(self, node: Node, cause: int) -> None:
        node.agent_alive = True
        self._start(node, cause)

    def _later(self, node: Node, name: str, cause: int, action: Callable[[Node, int], None]) -> None:
        rule = self._inside if node.region in self._clusters else self._policy
        wait = self._world.sample(f"{node.name}/start", rule.starts_after) if rule is not None else 0.0
        if name != "boot":
            wait += self.turn_s(node)
        self._world.at(self._world.now + wait, DATABASE, f"{node.name}/{name}", lambda: action(node, cause))

    def _start(self, node: Node, cause: int) -> None:
        if node.running or not node.may_run or not self._network.alive(node.region):
            return
        if self.needs_agent(node) and not node.agent_alive:
            # Under a lease it is the agent that starts the database.
            return
        database = self._database
        if self._out_of_service(node):
            return
        if node.role == "standby":
            database.changed(database.start(node.region, cause, "standby"))
            if self._clusters:
                self._follow_leaders(cause)
            else:
                self._lead(node, cause)
            return
        cluster = self._clusters.get(node.region)
        if cluster is not None and cluster.primary is not None:
            known = cluster.primary_known_in(node.region)
            if known is not None and known != node.name:
                self.rejoin(node, database.start(node.region, cause, "standby"))
            if known != node.name:
                return
        superseded = node is not database.current
        if superseded and self._on_return == "stays-down":
            return
        if self._on_return == "rejoins":
            known = self._coordinator(node.region)
            if known is None and not self._leased:
                return
            if known is not None and known != node.name:
                self.rejoin(node, database.start(node.region, cause, "standby"))
                return
        # Under a lease the database starts read-only, and accepts writes once its agent holds the lease.
        database.changed(database.start(node.region, cause, "demoted" if self._leased else "primary"))

    def rejoin(self, node: Node, cause: int) -> None:
        """Turn a superseded primary into a standby."""
        node.position_s = max((span.end_s for span in node.acks), default=self._world.now)
        node.role = "standby"
        node.upstream = None
        self._follow(node, cause)
        self._database.changed(cause)

    # After a promotion ---------------------------------------------------------------------------------------------

    def follow(self, node: Node, cause: int) -> None:
        """Point a standby that has started again at its primary, if it does not follow that one still."""
        if node.role == "standby" and not node.promoting and not self._out_of_service(node):
            self._lead(node, cause)

    def _leader(self, node: Node) -> Node:
        """Return the primary that a standby follows: its cluster's own, or the one over all."""
        cluster = self._clusters.get(node.region)
        own = cluster.primary if cluster is not None else None
        return self._database.current if own is None or own.role == "standby" else own

    def _replacement(self, node: Node) -> str | None:
        """Return the primary of a node's cluster if its manager can be asked and names another."""
        cluster = self._clusters.get(node.region)
        known = cluster.primary_known_in(node.region) if cluster is not None else None
        return known if known != node.name else None

    def _follow(self, node: Node, cause: int) -> None:
        """Point a standby at the current primary: at its next attempt to connect, or once rebuilt if it is ahead.

        One that is shut down to hand over follows once it has started again; one that streams from another, and is cut
        off with that, goes on until it can be told.
        """
        if not node.answers.on:
            return
        now, database, primary = self._world.now, self._database, self._leader(node)
        if database.streaming.streams(node) and self._is_cut_off(node, primary):
            return
        self._heading[node.region] = primary
        self._cut_off.pop(node.region, None)
        occasion = len(database.histories)
        pause = self._world.uniform(f"{node.name}/attach", occasion) * self._retry_s
        note = "its position is behind the fork"
        cluster = self._clusters.get(node.region)
        rule = self._inside if cluster is not None and primary.region in cluster.sites else self._policy
        if not database.on_line(*database.streaming.position(node), primary.history) and rule is not None:
            stops_s = now + pause
            pause += self._world.sample(f"{node.name}/rebuild", rule.rebuild, occasion)
            note = "it was ahead of the fork and has been rebuilt"
            node.rebuilding = True
            node.reads.set(now, on=False, event=cause)
            if self._is_cut_off(node, primary):
                return
            self._world.at(stops_s, DATABASE, f"{node.name}/stops", lambda: self._let_go(node, primary, cause))
        self._world.at(now + pause, DATABASE, f"{node.name}/attach", lambda: self._attach(node, primary, cause, note))

    def _attach(self, node: Node, primary: Node, cause: int, note: str) -> None:
        database = self._database
        if self._heading.get(node.region) is primary:
            del self._heading[node.region]
        if primary is not self._leader(node) or node is primary or node.role != "standby" or node.promoting:
            return
        if node.rebuilding and self._is_cut_off(node, primary):
            return
        if not database.streaming.connect(node, primary, self._world.now if node.rebuilding else None, cause):
            # The connection is made when the path is whole.
            return
        event = self._world.emit("standby-attached", node.name, cause, "restore", note)
        if node.rebuilding:
            node.rebuilding = False
            node.reads.set(self._world.now, on=node.made, event=event)
        database.changed(event)

    def _let_go(self, node: Node, primary: Node, cause: int) -> None:
        """Let a node that is being rebuilt stop answering the primary that it had."""
        if node.rebuilding and primary is self._leader(node) and self._database.streaming.streams(node):
            self._database.streaming.detach(node, cause)
            self._database.changed(cause)

    def _is_cut_off(self, node: Node, primary: Node) -> bool:
        """Return whether a node does not reach a primary now, and note that it has to follow it once it does."""
        if self._database.streaming.can_copy(node, primary):
            return False
        self._cut_off[node.region] = primary
        return True

    def _follow_again(self, cause: int) -> None:
        """Let those follow who reach the primary again: a copy that broke off, or had no way, begins anew."""
        for region, primary in list(self._cut_off.items()):
            node = self._database.nodes[region]
            if primary is not self._leader(node) or node.role != "standby" or node.promoting:
                del self._cut_off[region]
            elif self._database.streaming.can_copy(node, primary):
                del self._cut_off[region]
                self._follow(node, cause)

    # Clusters that were given up -----------------------------------------------------------------------------------

    def _consult(self, cause: int) -> None:
        """Let managers without a running primary ask who is primary now; they promote nobody in a region given up.

        One that lives goes on without an answer; one that was lost with its region waits for it.
        """
        if self._on_return == "starts-as-primary":
            return
        for cluster in self._managed:
            primary = cluster.primary
            if primary is None:
                continue
            if not self._network.alive(cluster.region):
                cluster.hold("asks", cause)
                continue
            known = self._coordinator(cluster.region) if cluster.asks or not primary.running else None
            if known is None:
                continue
            if any(self._database.nodes[site].name == known for site in cluster.sites):
                cluster.let("asks", cause)
            elif not primary.running:
                note = f"{known} is primary now"
                event = self._world.emit("given-up", f"{self._database.name}/{cluster.region}", cause, "", note)
                cluster.stand_by(event)
                self._leave_service(cluster, event)
                self._follow_leaders(event)

    def _leave_service(self, cluster: Cluster, cause: int) -> None:
        """Stop what is left of a cluster whose policy is to stay down."""
        for site in sorted(cluster.sites):
            node = self._database.nodes[site]
            if node.running and self._out_of_service(node):
                self._database.stop(site, cause, "its cluster stays down")

    def _out_of_service(self, node: Node) -> bool:
        """Whether a node's cluster was given up and stays down."""
        cluster = self._clusters.get(node.region)
        return cluster is not None and cluster.given_up and self._on_return == "stays-down"

    def _follow_leaders(self, cause: int) -> None:
        """Point running standbys at their primary where they follow another, and are not about to change that."""
        for node in self._database.nodes.values():
            if not node.running or node.role != "standby" or node.promoting or self._out_of_service(node):
                continue
            self._lead(node, cause)

    def _lead(self, node: Node, cause: int) -> None:
        """Point a standby at its primary, unless it follows it or is about to."""
        leader = self._leader(node)
        follows = node.upstream is not None and node.upstream.source is leader
        if not follows and self._heading.get(node.region) is not leader:
            self._follow(node, cause)

    def _spread_news(self, cause: int) -> None:
        """Let a running primary that was superseded, or one waiting for its coordinator, learn who is primary."""
        if self._on_return == "starts-as-primary" and not self._clusters:
            return
        for node in self._database.nodes.values():
            if not self._is_out(node) and self._news(node) is not None:
                self._later(node, "superseded", cause, self._superseded)

    def _is_out(self, node: Node) -> bool:
        """Whether no news concerns a node."""
        return node.fenced or not node.agent_alive or node is self._database.current or node.role == "standby"

    def _news(self, node: Node) -> str | None:
        """Return who is primary instead of a node, as far as it is told and acts on it."""
        return self._replacement(node) or self._superseder(node)

    def _superseder(self, node: Node) -> str | None:
        if self._on_return == "starts-as-primary" or not self._network.alive(node.region):
            return None
        known = self._coordinator(node.region)
        return known if known != node.name else None

    def _superseded(self, node: Node, cause: int) -> None:
        if self._is_out(node):
            return
        known = self._news(node)
        if known is None:
            return
        if not node.running:
            self._start(node, cause)
        elif self._on_return == "stays-down" and self._replacement(node) is None:
            self._database.stop(node.region, cause, f"{known} is primary now")
        else:
            if node.role == "primary":
                self._database.demote(node.region, cause, f"{known} is primary now")
            node.answers.set(self._world.now, on=True, event=cause)
            self.rejoin(node, cause)


def _at_once(_node: Node) -> float:
    return 0.0
