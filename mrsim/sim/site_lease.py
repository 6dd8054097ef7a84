"""A leader lease kept inside one region: its holder's agent renews it, and demotes its database before it ends."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mrsim.sim.lease_store import silence_s
from mrsim.sim.signals import nobody_listens
from mrsim.sim.world import CONTROL
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.distributions import Distribution
    from mrsim.scenario.control import SiteLease
    from mrsim.sim.agents import Agents
    from mrsim.sim.cluster import Cluster
    from mrsim.sim.control import Control
    from mrsim.sim.database import Database
    from mrsim.sim.gates import LeaseGate
    from mrsim.sim.lease_store import LeaseStore
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.succession import Succession
    from mrsim.sim.world import Timer, World


class LeaseWatch:
    """The lease of one leader, primary or standby leader, in its site's own store.

    A holder that cannot renew gives up ``loop_wait + retry_timeout`` after its last renewal, by its own clock; the
    others see the key go ``ttl`` after it. An agent whose database has died finds that at its next turn, and releases
    the key if the database cannot be started. An agent that dies alone leaves its database running, until its watchdog
    resets the host, if it has one.

    Parameters
    ----------
    world, network, database
        The trial and the store.
    label
        Name of the draws.
    node, cluster
        The holder, and its cluster.
    lease, takes
        The lease, and how long a database that had stepped down takes to become primary again.
    store, agents, gate
        Who keeps the lease, whose turns it depends on, and who may take it next.
    told
        Who promotes a successor.
    cause
        The event that made it the holder.

    Attributes
    ----------
    on_reset
        ``on_reset(region, cause)``: the host there is back after its watchdog has reset it.

    References
    ----------
    Patroni 4.1, ``patroni/ha.py``: ``update_lock``, ``demote('offline')``, ``recover`` and ``post_recover``;
    ``handle_starting_instance`` gives up after ``primary_start_timeout``.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        database: Database,
        label: str,
        node: Node,
        cluster: Cluster,
        lease: SiteLease,
        takes: Distribution,
        store: LeaseStore,
        agents: Agents,
        gate: LeaseGate,
        told: Control | Succession,
    ) -> None:
        self._world = world
        self._network = network
        self._database = database
        self._label = label
        self._node = node
        self._cluster = cluster
        self._lease = lease
        self._takes = takes
        self._store = store
        self._agents = agents
        self._gate = gate
        self._told = told
        self._history = node.history
        self._renewing = self._works = True
        self._starting = self._regaining = self._over = False
        self._times = 0
        self._own: list[Timer] = []
        """What the holder's own clock makes it do, whoever holds the lease then."""
        self._timers: list[Timer] = []
        self.on_reset: Callable[[str, int], None] = nobody_listens
        gate.reported_s = INF

    def look(self, cause: int) -> None:
        """Follow a change: the holder may be cut off or back, its database dead or alive."""
        node = self._node
        able = node.agent_alive and node.host_up and not node.fenced
        renewing = able and self._store.usable_from(node.region)
        works = self._store.works()
        if renewing != self._renewing:
            self._renewing = renewing
            self.retire()
            if renewing:
                self._renew()
            else:
                self._missed(cause)
        elif works and not self._works and not renewing and not self._over:
            # A store that is back gives a key whose holder is not its whole ttl again.
            self.retire()
            self._expire_at(self._world.now + self._lease.ttl, cause)
        self._works = works
        if renewing:
            self._act(cause)

    def retire(self) -> None:
        """Stop watching; what the holder's own clock makes it do stays to come."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._starting = self._regaining = False

    def _at(self, when_s: float, name: str, action: Callable[[], None], timers: list[Timer] | None = None) -> None:
        when = max(when_s, self._world.now)
        timer = self._world.at(when, CONTROL, f"{self._label}/{name}", action)
        (self._timers if timers is None else timers).append(timer)

    def _tell(self, event: int, *, over: bool) -> None:
        if over != self._over:
            self._over = over
            self._told.on_verdict(over, event)

    def _act(self, cause: int) -> None:
        """Let a holder that can renew start its database, or be primary again, at its next turn."""
        node = self._node
        if node.running and self._over:
            event = self._world.emit("lease-renewed", node.name, cause, "detection", "its holder is back")
            self._tell(event, over=False)
        if node.running and node.role == "demoted" and not self._regaining:
            self._regaining = True
            self._at(self._agents.next_turn_s(node), "regains", partial(self._regain, cause))
        elif not node.running and not self._starting and not self._over:
            self._starting = True
            turn_s = self._agents.next_turn_s(node)
            self._at(turn_s, "revives", partial(self._revive, cause, turn_s))

    # A holder that cannot renew ------------------------------------------------------------------------------------

    def _missed(self, cause: int) -> None:
        """Work out when the lease ends, and when its holder gives it up by its own clock."""
        last, lease, slow = self._agents.last_turn_s(self._node), self._lease, 1.0 + self._lease.clock_drift
        self._gate.reported_s = last
        gives_up_s = last + (lease.loop_wait + lease.retry_timeout) * slow
        self._at(gives_up_s, "steps-down", partial(self._step_down, cause), self._own)
        if lease.watchdog is not None:
            fires_s = last + (lease.ttl - lease.watchdog) * slow
            self._at(fires_s, "watchdog", partial(self._reset, cause), self._own)
        self._expire_at(last + lease.ttl, cause)

    def _expire_at(self, when_s: float, cause: int) -> None:
        self._times += 1
        lag_s = self._world.sample(f"{self._label}/expiry", self._lease.expiry_lag, self._times)
        self._at(when_s + lag_s, "expires", partial(self._expired, cause))

    def _step_down(self, cause: int) -> None:
        node = self._node
        if node.agent_alive and node.running and node.role == "primary" and node.history == self._history:
            self._database.demote(node.region, cause, "cannot renew its lease")

    def _reset(self, cause: int) -> None:
        node = self._node
        if not node.agent_alive and node.running and node.host_up and node.history == self._history:
            self._database.stop(node.region, cause, "reset by its watchdog")
            reboots = self._lease.reboots
            takes_s = self._world.sample(f"{self._label}/reboots", reboots, self._times) if reboots is not None else 0.0
            self._world.at(
                self._world.now + takes_s,
                CONTROL,
                f"{self._label}/reboots",
                lambda: self.on_reset(node.region, cause),
            )

    def _expired(self, cause: int) -> None:
        if not self._store.works():
            # Nobody counts its time: it ends a ttl after the store has a majority again.
            return
        note = "not renewed within its ttl"
        self._race(self._world.emit("lease-expired", self._node.name, cause, "detection", note))

    def _race(self, event: int) -> None:
        """Let the others look around: who asks every member for its position waits for one that is silent."""
        ahead, wait_s = self._gate.ahead(self._node), 0.0
        if ahead is not None:
            others = [node for site in sorted(self._cluster.sites) if (node := self._database.nodes[site]) is not ahead]
            wait_s = silence_s(self._network, ahead.region, others, self._lease.status_timeout)
            if ahead.upstream is not None and ahead.upstream.flowing:
                # The database lives although its agent does not answer: perhaps it comes back.
                wait_s += self._lease.race_backoff
        self._at(self._world.now + wait_s, "looked-around", partial(self._tell, event, over=True))

    # A holder that can ---------------------------------------------------------------------------------------------

    def _renew(self) -> None:
        """Call off what its own clock would have made it do."""
        self._gate.reported_s = INF
        for timer in self._own:
            timer.cancel()
        self._own.clear()

    def _regain(self, cause: int, *, promoted: bool = False) -> None:
        """Make a holder that had stepped down primary again: it runs as a standby, and is promoted like one."""
        node = self._node
        self._regaining = False
        if node.role != "demoted" or not node.running or self._cluster.primary is not node:
            return
        self._regaining = True
        if self._cluster.primary_known_in(node.region) != node.name:
            again = partial(self._regain, cause)
            self._at(self._world.now + self._lease.loop_wait, "regains", again)
        elif promoted:
            self._regaining = False
            self._database.resume_primary(node.region, cause, "holds its lease again and is promoted")
        else:
            takes_s = self._world.sample(f"{self._label}/regain", self._takes, self._times)
            self._at(self._world.now + takes_s, "regains", partial(self._regain, cause, promoted=True))

    def _revive(self, cause: int, since_s: float) -> None:
        """At the agent's turn: a database that cannot be started costs it the key; one that starts keeps it."""
        self._starting = False
        node, lease, now = self._node, self._lease, self._world.now
        if node.running:
            return
        limit_s = since_s + lease.start_timeout
        if node.may_run and (now < limit_s or self._gate.ahead(node) is None):
            self._starting = True
            again_s = limit_s if now < limit_s else now + lease.loop_wait
            self._at(again_s, "revives", partial(self._revive, cause, since_s))
            return
        note = "its database takes too long to start" if node.may_run else "its database could not be started"
        self._gate.reported_s = since_s - lease.loop_wait
        self._race(self._world.emit("lease-released", node.name, cause, "detection", note))
