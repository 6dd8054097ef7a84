"""A leader lease in a replicated store: the holder renews it, or somebody else gets it."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

from mrsim.sim.world import CONTROL
from mrsim.trace import NO_EVENT

if TYPE_CHECKING:
    from mrsim.scenario.control import DecideLease
    from mrsim.sim.database import Database
    from mrsim.sim.endpoint import Endpoint
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.world import Timer, World


class LeaseControl:
    """Failover control of one store by a lease.

    The agent beside each database renews the lease or watches it; agent and database are two processes, and either can
    die alone. Whether an agent can use the lease store depends on the store's members: it needs one that answers and
    that is itself connected to a majority.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, lease
        The store's id and the lease.
    database, endpoint
        What it commands.
    mover
        Who moves the endpoint: a fixed place, None if the endpoint moves by itself, or '' for the new primary's agent.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        lease: DecideLease,
        database: Database,
        endpoint: Endpoint,
        mover: str | None,
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._lease = lease
        self._database = database
        self._endpoint = endpoint
        self._mover = mover
        self._holder = database.current
        self._held = True
        self._renewing = True
        self._anchor_s: float | None = None
        self._timers: list[Timer] = []
        self._racing = False
        self._regaining = False
        self._race = 0
        self._cause = NO_EVENT

    def primary_known_in(self, region: str) -> str | None:
        """Return the holder's name as read from the lease store; None if it cannot be read or nobody holds it."""
        if not self._held or not self._can_use(region):
            return None
        return self._holder.name

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """React to a change of paths."""
        if touched:
            self.update(cause)

    def update(self, cause: int) -> None:
        """Look again whether the holder can renew and whether candidates can race."""
        renewing = self._held and self._holder.agent_alive and self._network.alive(self._holder.region)
        renewing = renewing and self._can_use(self._holder.region)
        if self._held and renewing != self._renewing:
            self._renewing = renewing
            self._cause = cause
            if renewing:
                self._renewed_again()
            else:
                self._missed()
        elif not self._held and not self._racing:
            self._start_race(self._cause)
        if self._held and renewing:
            self._act_as_primary(cause)

    def _can_use(self, region: str) -> bool:
        voters = self._lease.voters
        majority = len(voters) // 2 + 1
        for voter in voters:
            if not self._network.both_ways(region, voter):
                continue
            if sum(self._network.both_ways(voter, other) for other in voters) >= majority:
                return True
        return False

    # Renewal -------------------------------------------------------------------------------------------------------

    def _missed(self) -> None:
        """Work out when the lease ends, and when its holder gives it up by its own clock."""
        now, lease = self._world.now, self._lease
        if self._anchor_s is None:
            self._anchor_s = now - self._world.uniform(f"{self._name}/renewal") * lease.loop_wait
        last = self._anchor_s + floor((now - self._anchor_s) / lease.loop_wait) * lease.loop_wait
        expires = last + lease.ttl + self._world.sample(f"{self._name}/expiry", lease.expiry_lag, self._race)
        self._later(max(expires, now), "lease-expires", self._expired)
        if lease.enforced_by != "holder":
            return
        slow = 1.0 + lease.clock_drift
        holder = self._holder
        if holder.agent_alive:
            retries = lease.retry_timeout if lease.product == "kubernetes" else lease.loop_wait + lease.retry_timeout
            self._later(
                max(last + retries * slow, now), "steps-down", lambda: self._step_down(holder, "cannot renew its lease")
            )
        elif lease.watchdog is not None:
            fires = last + (lease.ttl - lease.watchdog) * slow
            self._later(max(fires, now), "watchdog", lambda: self._watchdog(holder))

    def _renewed_again(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._anchor_s = self._world.now

    def _act_as_primary(self, cause: int) -> None:
        """Let a read-only holder accept writes at its agent's next turn."""
        holder = self._holder
        if holder.role == "demoted" and holder.running and not self._regaining:
            self._regaining = True
            wait = self._world.uniform(f"{self._name}/regain", self._race) * self._lease.loop_wait
            self._world.at(
                self._world.now + wait, CONTROL, f"{self._name}/regains", lambda: self._regain(holder, cause)
            )

    def _regain(self, holder: Node, cause: int) -> None:
        self._regaining = False
        if self._held and self._holder is holder and self._renewing and holder.role == "demoted" and holder.running:
            self._database.resume_primary(holder.region, cause, "holds its lease again")

    def _step_down(self, holder: Node, why: str) -> None:
        if holder.agent_alive and holder.running and holder.role == "primary":
            self._database.demote(holder.region, self._cause, why)

    def _watchdog(self, holder: Node) -> None:
        if not holder.agent_alive and holder.running:
            self._database.stop(holder.region, self._cause, "reset by its watchdog")

    def _later(self, when_s: float, name: str, action: object) -> None:
        self._timers.append(self._world.at(when_s, CONTROL, f"{self._name}/{name}", action))  # type: ignore[arg-type]

    # Succession ----------------------------------------------------------------------------------------------------

    def _expired(self) -> None:
        self._held = False
        self._timers = [timer for timer in self._timers if timer.pending]
        self._cause = self._world.emit(
            "lease-expired", self._name, self._cause, "detection", "not renewed within its ttl"
        )
        self._start_race(self._cause)

    def _start_race(self, cause: int) -> None:
        if not self._contenders():
            return
        self._racing = True
        self._race += 1
        wait = self._world.sample(f"{self._name}/race", self._lease.race, self._race)
        if any(node.upstream is not None and node.upstream.flowing for node in self._contenders()):
            # The database lives although its agent does not answer: perhaps it comes back.
            wait += self._lease.race_backoff
        self._world.at(self._world.now + wait, CONTROL, f"{self._name}/race", lambda: self._acquire(cause))

    def _contenders(self) -> list[Node]:
        return [
            node
            for region, node in self._database.nodes.items()
            if node.running
            and node.agent_alive
            and not node.rebuilding
            and not node.promoting
            and (node.role == "standby" or node is self._database.current)
            and self._can_use(region)
        ]

    def _acquire(self, cause: int) -> None:
        self._racing = False
        contenders = self._contenders()
        if self._held or not contenders:
            return
        former = self._database.current
        if former in contenders:
            winner = former
        else:
            winner = max(contenders, key=lambda node: (self._database.streaming.position(node), node.region))
        self._held = True
        self._holder = winner
        self._renewing = True
        self._anchor_s = self._world.now
        event = self._world.emit(
            "lease-acquired", winner.name, cause, "decision", "most advanced of those that can use the store"
        )
        if winner is former:
            if winner.role == "demoted":
                self._database.resume_primary(winner.region, event, "holds the lease again")
            return
        self._database.promote(winner.region, event, self._race, self._promoted)
        self.update(event)

    def _promoted(self, success: bool, event: int) -> None:
        if not success:
            self._held = False
            self._start_race(event)
            return
        holder = self._holder
        if self._mover is not None:
            self._endpoint.move(holder.name, self._mover or holder.region, event, lambda _: None)
