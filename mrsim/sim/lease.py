"""A leader lease in a replicated store: the holder renews it, or somebody else gets it."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

from mrsim.sim.failsafe import Failsafe
from mrsim.sim.lease_holder import HolderClock
from mrsim.sim.lease_luck import Luck
from mrsim.sim.lease_race import Candidates
from mrsim.sim.lease_store import LeaseStore
from mrsim.sim.signals import nobody_listens
from mrsim.sim.world import CONTROL
from mrsim.trace import INF, NO_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.distributions import Distribution
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
    promotes
        How long a database that was demoted takes to become primary again.
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
        promotes: Distribution,
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._lease = lease
        self._database = database
        self._endpoint = endpoint
        self._mover = mover
        self._promotes = promotes
        self._store = LeaseStore(network, lease.voters, lease)
        self._failsafe: Failsafe | None = None
        if lease.failsafe_mode:
            self._failsafe = Failsafe(world, network, name, lease.ttl, database.nodes, self._store)
        self._candidates = Candidates(world, network, name, lease, database, self._store, self._failsafe)
        self._holder = database.current
        self._held = True
        self._renewing = True
        self._anchor_s: float | None = None
        self._renewed_s = 0.0
        self._expiry: Timer | None = None
        self._works = True
        self._luck = Luck(world, f"{name}/renewals", lease, self.update, self._last_turn_s)
        self._racing = False
        self._regaining = False
        self._reviving = False
        self._told_why_none = False
        self._held_back_s = INF
        self._race = 0
        self._cause = NO_EVENT
        self._handed_over: Callable[[int], None] = nobody_listens
        self.on_news: Callable[[int], None] = nobody_listens
        self.clock = HolderClock(world, name, lease, database, self._failsafe, lambda: self._cause)

    def primary_known_in(self, region: str) -> str | None:
        """Return the holder's name as read from the lease store; None if it cannot be read or nobody holds it."""
        if not self._store.usable_from(region) or not (self._held or self._goes_on()):
            return None
        return self._holder.name

    def update(self, cause: int) -> None:
        """Look again whether the holder can renew and whether candidates can race."""
        works = self._store.works()
        if works and not self._works and self._held and not self._renewing and self._lease.product != "kubernetes":
            self._expire_in(self._lease.ttl)
        self._works = works
        if self._failsafe is not None:
            self._failsafe.follow()
        holder, goes_on = self._holder, self._goes_on()
        reaches = (self._held or goes_on) and holder.agent_alive and self._network.alive(holder.region)
        reaches = reaches and self._store.usable_from(holder.region)
        self._luck.follow(cause, holder.name, self._store.fails_from(holder.region) if reaches else 0.0)
        renewing = reaches and not self._luck.out
        if renewing and goes_on:
            self._take_back(cause)
        elif self._held and renewing != self._renewing:
            self._renewing = renewing
            self._cause = cause
            if renewing:
                self._renewed_again()
            else:
                self._missed()
        elif not self._held and not self._racing:
            self._start_race(self._cause, woken=False)
        if self._held and renewing:
            self._act_as_primary(cause)
            self._revive()

    # Renewal -------------------------------------------------------------------------------------------------------

    def _missed(self) -> None:
        """Work out when the lease ends, and when its holder gives it up by its own clock."""
        now, lease = self._world.now, self._lease
        last = self._last_turn_s()
        self._note_renewal(last)
        self._expire_in(last + lease.ttl - now)
        if lease.enforced_by == "holder":
            self.clock.missed(self._holder, last)

    def _note_renewal(self, last_s: float) -> None:
        """Note when the holder last wrote its position, and who the members are, into the store."""
        self._renewed_s = last_s
        if self._failsafe is not None:
            self._failsafe.list_members(last_s)

    def _last_turn_s(self) -> float:
        now, loop_s = self._world.now, self._lease.loop_wait
        if self._anchor_s is None:
            self._anchor_s = now - self._world.uniform(f"{self._name}/renewal") * loop_s
        return self._anchor_s + floor((now - self._anchor_s) / loop_s) * loop_s

    def _expire_in(self, wait_s: float) -> None:
        """Plan the end of the lease: anew when a store that had no majority has one again.

        References
        ----------
        etcd, ``lease/lessor.go``, ``Promote``: a new leader of the store gives every lease its whole ttl again.
        """
        if self._expiry is not None:
            self._expiry.cancel()
        lag = self._world.sample(f"{self._name}/expiry", self._lease.expiry_lag, self._race)
        ends = max(self._world.now + wait_s + lag, self._world.now)
        self._expiry = self._world.at(ends, CONTROL, f"{self._name}/lease-expires", self._expired)

    def _renewed_again(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self.clock.renewed(self._holder)
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
        """Make a read-only holder primary: one that had stepped down runs as a standby, and is promoted like one."""
        self._regaining = False
        if not self._may_regain(holder):
            return
        if holder.region not in self.clock.stepped_down:
            self._database.resume_primary(holder.region, cause, "holds its lease again")
            return
        self._regaining = True
        takes = self._world.sample(f"{self._name}/regain/promote", self._promotes, self._race)

        def promoted() -> None:
            self._regaining = False
            if self._may_regain(holder):
                self.clock.stepped_down.discard(holder.region)
                self._database.resume_primary(holder.region, cause, "holds its lease again and is promoted")

        self._world.at(self._world.now + takes, CONTROL, f"{self._name}/regains", promoted)

    def _may_regain(self, holder: Node) -> bool:
        mine = self._held and self._holder is holder and self._renewing
        return mine and holder.role == "demoted" and holder.running

    def _revive(self) -> None:
        """Let the agent of a dead database start it at its next turn, or give the lease up if it cannot be started.

        References
        ----------
        Patroni 4.1, ``patroni/ha.py``: ``recover`` starts a crashed primary, ``post_recover`` removes the leader key
        after a start that failed; ``handle_starting_instance`` gives up after ``primary_start_timeout``.
        """
        if not self._holder.running and not self._reviving:
            self._reviving = True
            wait = self._world.uniform(f"{self._name}/revive", self._race) * self._lease.loop_wait
            holder, cause = self._holder, self._cause
            started = self._world.now + wait
            self._world.at(started, CONTROL, f"{self._name}/revives", lambda: self._started(holder, cause, started))

    def _started(self, holder: Node, cause: int, since_s: float) -> None:
        """Look at a database that was to start: give the lease up if it cannot, or takes too long."""
        self._reviving = False
        if not self._held or self._holder is not holder or not self._renewing or holder.running:
            return
        now, limit = self._world.now, since_s + self._lease.start_timeout
        if not holder.may_run:
            self._release(cause, "its database could not be started", since_s - self._lease.loop_wait)
        elif now < limit or not self._contenders(now):
            self._reviving = True
            again = limit if now < limit else now + self._lease.loop_wait
            self._world.at(again, CONTROL, f"{self._name}/revives", lambda: self._started(holder, cause, since_s))
        else:
            self._release(cause, "its database takes too long to start", since_s - self._lease.loop_wait)

    def _goes_on(self) -> bool:
        """Whether the last holder is primary though its lease is over, because all members accepted that."""
        holder, failsafe = self._holder, self._failsafe
        if self._held or self._racing or failsafe is None or not failsafe.active(holder):
            return False
        return holder.role == "primary" and holder.running

    def _take_back(self, cause: int) -> None:
        """Let a holder that went on without the store, and can use it again, have its key back: nobody races for it."""
        self._held = self._renewing = True
        self._renewed_again()
        note = "was primary all the while, and nobody else raced for it"
        self._world.emit("lease-acquired", self._holder.name, cause, "", note)

    # Succession ----------------------------------------------------------------------------------------------------

    def _expired(self) -> None:
        if not self._store.works() and self._lease.product != "kubernetes":
            # Nobody counts its time: it ends a ttl after the store has a majority again.
            return
        self._held = False
        self._cause = self._world.emit(
            "lease-expired", self._name, self._cause, "detection", "not renewed within its ttl"
        )
        self._start_race(self._cause)

    def _release(self, cause: int, why: str, reported_s: float) -> None:
        """Let the holder, whose last position is of ``reported_s``, delete its key: candidates see that at once."""
        self._held = False
        self._note_renewal(reported_s)
        self._cause = self._world.emit("lease-released", self._name, cause, "detection", why)
        self._start_race(self._cause)

    @property
    def holder(self) -> Node | None:
        """Who holds the lease; None if nobody does."""
        return self._holder if self._held else None

    @property
    def goes_on(self) -> bool:
        """Whether its last holder is primary though the lease is over, because all members accepted that."""
        return self._goes_on()

    def may_lead(self, node: Node) -> bool:
        """Return whether its holder may become primary now: it can renew, or all members accept that it goes on."""
        accepted = self._failsafe is not None and self._failsafe.active(node)
        return node.agent_alive and (self._store.usable_from(node.region) or accepted)

    def usable_from(self, place: str) -> bool:
        """Return whether somebody there can use the lease store."""
        return self._store.usable_from(place)

    def hand_over(self, new: Node, cause: int, done: Callable[[int], None]) -> None:
        """Let the holder, which has shut down, release its key to one standby; ``done(event)`` when that is primary.

        References
        ----------
        Patroni 4.1, ``patroni/ha.py``: ``demote('graceful')`` releases the key once a standby has the shutdown
        checkpoint, and while the failover key names a candidate, no other takes part in the race.
        """
        old, self._held, self._racing, self._handed_over = self._holder, False, True, done
        self._race += 1
        self._note_renewal(self._world.now)
        self._cause = self._world.emit("lease-released", self._name, cause, "decision", f"handed over to {new.name}")
        event = self._database.demote(old.region, self._cause, "shut down for a switchover")
        self.clock.stepped_down.add(old.region)
        wait = self._world.sample(f"{self._name}/race", self._lease.race, self._race)
        self._world.at(self._world.now + wait, CONTROL, f"{self._name}/race", lambda: self._acquire(event, new))

    def _start_race(self, cause: int, *, woken: bool = True) -> None:
        """Let candidates race: at once if the key's end wakes them, at their next turn if they come back later."""
        contenders = self._contenders(self._renewed_s)
        if not contenders:
            self._none_eligible(cause)
            return
        self._racing = True
        self._race += 1
        wait = self._candidates.decided_after_s(contenders, self._renewed_s, self._race, woken=woken)
        self._world.at(self._world.now + wait, CONTROL, f"{self._name}/race", lambda: self._acquire(cause))

    def _contenders(self, reported_s: float) -> list[Node]:
        return self._candidates.eligible(self._candidates.able(), reported_s)

    def _none_eligible(self, cause: int) -> None:
        """Look again once a member no longer takes the leader for alive, and while one that lags still receives WAL."""
        now, contenders = self._world.now, self._candidates.able()
        until_s = self._candidates.held_back_until_s()
        if until_s not in (INF, self._held_back_s):
            self._held_back_s = until_s
            self._world.at(until_s, CONTROL, f"{self._name}/held-back", lambda: self.update(cause))
        if contenders and not self._told_why_none:
            self._told_why_none = True
            behind = min(self._database.streaming.bytes_behind(node, self._renewed_s) for node in contenders)
            note = f"every standby lags by more than the limit: the best by {behind / 1e6:.0f} MB"
            self._world.emit("no-candidate", self._name, cause, "decision", note)
        if any(node.upstream is not None and node.upstream.flowing for node in contenders):
            self._racing = True
            again = now + self._lease.loop_wait
            self._world.at(again, CONTROL, f"{self._name}/race", lambda: self._race_again(cause))

    def _race_again(self, cause: int) -> None:
        self._racing = False
        if not self._held:
            self._start_race(cause)

    def _acquire(self, cause: int, named: Node | None = None) -> None:
        self._racing = False
        contenders = self._contenders(self._renewed_s)
        if self._held or not contenders:
            return
        former = self._database.current
        winner = named if named in contenders else self._candidates.best(contenders)
        if winner is self._holder:
            self._renewed_again()
        # What another holder's own clock will make it do stays to come.
        self.clock.forget()
        self._told_why_none = False
        self._held = True
        self._holder = winner
        self._renewing = True
        self._anchor_s = self._world.now
        note = "named by the switchover" if winner is named else "most advanced of those that can use the store"
        event = self._world.emit("lease-acquired", winner.name, cause, "decision", note)
        if winner is former:
            self._handed_over = nobody_listens
            if winner.role == "demoted":
                self._regain(winner, event)
            return
        self._database.promote(winner.region, event, self._race, lambda done, last: self._promoted(winner, done, last))
        self.update(event)

    def _promoted(self, node: Node, success: bool, event: int) -> None:
        holds = self._held and self._holder is node and node.region not in self.clock.late
        self.clock.late.discard(node.region)
        self.clock.stepped_down.discard(node.region)
        if not success:
            if holds and self._renewing:
                self._release(event, "gave it back after a promotion that failed", self._world.now)
            # The lease of a holder that is dead or cut off runs out: nobody can delete the key in its place.
            return
        if not holds and self._lease.enforced_by == "holder":
            self._database.demote(node.region, event, "lost its lease while it was promoted")
            return
        self._handed_over(event)
        self._handed_over = nobody_listens
        self.on_news(event)
        if self._mover is not None:
            self._endpoint.move(node.name, self._mover or node.region, event, nobody_listens)
