"""Planned switchovers: a primary hands over its last position, and one that completes loses nothing acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.attempt import LOOKS_EVERY_S, PLACE, Attempt
from mrsim.sim.shutdown import Shutdown
from mrsim.sim.wayback import WayBack
from mrsim.sim.world import CONTROL
from mrsim.trace import NO_EVENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrsim.scenario.faults import Switchover
    from mrsim.sim.cluster import Cluster
    from mrsim.sim.control import Control
    from mrsim.sim.database import Database
    from mrsim.sim.endpoint import Endpoint
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.returns import Returns
    from mrsim.sim.world import Timer, World

GREEN_WITHIN_S = 60.0
"""How long a failover control is held still after a switchover was called off, if probers do not see the primary."""

PROMOTIONS_APART = 1000
"""Occasions of a promotion's draws that each switchover has to itself.

A node's promotions share one random stream; those of a failover count from 1. So attempt k of switchover n draws as
occasion ``1000 n + k``, and neither another switchover nor a failover ever draws the same again.
"""


class Switchovers:
    """Carries a store's switchovers out, one at a time, and holds its failover control still meanwhile.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, database, endpoint
        The store.
    mover
        Place of whoever moves the endpoint; None: it follows health by itself.
    returns
        Who makes the old primary a standby.
    clusters
        Clusters with managers of their own, by the regions and zones of their nodes. Between two of them the one is
        demoted as a whole and the other's leader promoted; inside one its manager does it all.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        database: Database,
        endpoint: Endpoint,
        mover: str | None,
        returns: Returns,
        clusters: Mapping[str, Cluster],
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._database = database
        self._endpoint = endpoint
        self._mover = mover
        self._returns = returns
        self._clusters = clusters
        self.control: Control | None = None
        self._verdict = (False, NO_EVENT)
        self._under_way = False
        self._resumed = False
        self._number = 0
        self._turn = 0
        """Counts the times at which others were held still."""
        self._ways_back: list[WayBack] = []

    def close(self) -> None:
        """Forget who is held still."""
        self.control = None
        self._ways_back.clear()

    def on_verdict(self, down: bool, event: int) -> None:
        """Pass the probers' verdict on, unless a switchover is under way."""
        self._verdict = (down, event)
        if not self._under_way and self.control is not None:
            self.control.on_verdict(down, event)
        elif self._resumed and not down:
            self._let(self._turn)

    def look(self, _cause: int) -> None:
        """Follow a change: who was shut down for what was given up may be in reach again, or be lost for it."""
        if self._ways_back:
            self._ways_back = [way for way in self._ways_back if way.follow()]

    def begin(self, plan: Switchover, event: int) -> None:
        """Begin a switchover, if nothing speaks against it."""
        database = self._database
        cluster = self._clusters.get(plan.to)
        old = database.current if self.control is None else self.control.primary
        new = database.nodes[plan.to]
        if cluster is not None and old.region not in cluster.sites:
            # A cluster is promoted by promoting who leads it.
            new, cluster = cluster.target, None
        why = self._speaks_against(plan, old, new, PLACE if cluster is None else cluster.region)
        if why:
            self._world.emit("switchover-refused", self._name, event, "", why)
            return
        self._hold()
        self._world.stirred += 1
        self._number += 1
        _Attempt(self, plan, old, new, self._number, event, cluster).begin()
        self.look(event)

    def _hold(self) -> None:
        """Hold the failover control still."""
        self._under_way, self._resumed = True, False
        self._turn += 1

    def _speaks_against(self, plan: Switchover, old: Node, new: Node, place: str) -> str:
        why = ""
        if self._under_way:
            why = "another is under way"
        elif self.control is not None and not self.control.watching:
            why = "a failover is under way"
        elif old is new:
            why = "it is primary already"
        elif not (self._network.both_ways(place, old.region) and self._network.both_ways(place, new.region)):
            why = "one of the two cannot be reached"
        elif not (old.is_primary and new.is_standby):
            why = "one of the two is not what it should be"
        elif self._database.streaming.reported_lag_s(new, self._world.now) > plan.max_lag:
            why = "the standby lags too far behind"
        return why

    # What an attempt needs of the store ----------------------------------------------------------------------------

    @property
    def parts(self) -> tuple[World, Network, Database, str]:
        """The trial, its paths, and the store."""
        return self._world, self._network, self._database, self._name

    def manage(self, old: Node, event: int, *, held: bool) -> None:
        """Tell the old primary's manager that this is planned, or that it is over."""
        cluster = self._clusters.get(old.region)
        if cluster is not None and held:
            cluster.hold("switchover", event)
        elif cluster is not None:
            cluster.let("switchover", event)

    def shutdown(self, plan: Switchover, old: Node, number: int, inside: Cluster | None) -> Shutdown:
        """Return what will happen to the old primary, and to its cluster if that is demoted as a whole."""
        cluster = self._clusters.get(old.region) if inside is None else None
        others = sorted(cluster.sites - {old.region}) if cluster is not None else []
        nodes = (old, *(self._database.nodes[site] for site in others))
        return Shutdown(self._world, self._database, self._returns, self._name, nodes, plan.starts_again, number)

    def completed(self, old: Node, new: Node, event: int) -> None:
        """Lead clients to the new primary, and make the old one a standby of it."""
        cluster = self._clusters.get(new.region)
        self._returns.rejoin(old, event)
        if cluster is not None and old.region in cluster.sites:
            cluster.redirect(new, event, lambda moved: self._over(new, moved))
        elif self._mover is None:
            self._over(new, event)
        else:
            self._endpoint.move(new.name, self._mover, event, lambda moved: self._over(new, moved))

    def _over(self, new: Node, event: int) -> None:
        self._under_way = False
        self.manage(new, event, held=False)
        if self.control is not None:
            self.control.adopt(new.region)
            self._verdict = (False, event)
            self.control.on_new_primary(event)

    def released(self, old: Node, event: int, *, resumed: bool) -> None:
        """Let whoever fails over act again: on what it was told meanwhile, unless the old primary has just resumed.

        The control between regions is then held still until the probers see that, or for a minute; and likewise if a
        manager inside the old primary's region may replace it first.
        """
        self.manage(old, event, held=False)
        self._resumed = waits = resumed or old.region in self._clusters
        if waits and self._verdict[0]:
            turn = self._turn
            self._world.at(self._world.now + GREEN_WITHIN_S, CONTROL, f"{self._name}/released", lambda: self._let(turn))
            return
        self._let(self._turn)

    def _let(self, turn: int) -> None:
        if not self._under_way or turn != self._turn:
            return
        self._under_way = False
        down, event = self._verdict
        if down and self.control is not None:
            self.control.on_verdict(down, event)

    def may_go_back(self, old: Node, place: str) -> bool:
        """Whether the old primary can be reached; nobody has replaced it, as who could is held still."""
        return old.is_primary and self._network.both_ways(place, old.region)

    def is_last(self, number: int) -> bool:
        """Return whether no other switchover has begun since."""
        return number == self._number

    def look_for(self, way: WayBack) -> None:
        """Look again for a way back after every change, until it has been taken or leads nowhere."""
        if way.remains():
            self._ways_back.append(way)

    def takes_back(self, old: Node, place: str, event: int) -> bool:
        """Hold who fails over still once more, to go back; False if they have a failover under way.

        One that is undecided, or has come to a stand, is called off, if whoever decides can be told or is gone.
        """
        cluster, control, network = self._clusters.get(old.region), self.control, self._network
        if any(node.promoting for node in self._database.nodes.values()):
            return False
        if cluster is not None and not (cluster.watching and network.both_ways(cluster.region, old.region)):
            return False
        if control is not None and not control.watching:
            told = network.both_ways(place, control.place) or not network.alive(control.place)
            if not (told and control.yields):
                return False
            control.on_verdict(False, event)
        self._hold()
        return True


class _Attempt(Attempt):
    """One switchover: writes stopped, shutdown checkpoint, token, position reached, promotion; or the way back."""

    def __init__(
        self,
        owner: Switchovers,
        plan: Switchover,
        old: Node,
        new: Node,
        number: int,
        event: int,
        inside: Cluster | None,
    ) -> None:
        super().__init__(*owner.parts, plan, old, new, number, event, owner.shutdown(plan, old, number, inside))
        self._owner = owner
        self._inside = inside
        """The cluster whose manager does it; None: people or a pipeline, between clusters or single nodes."""
        self.shut_note = "the last position is known: its token can be handed over"
        if inside is not None:
            self.shut_note = "its standbys have its shutdown checkpoint, or will not get it"
        self._promoting = False
        self._given_up = False
        self._promotions = 0
        self._deadline: Timer | None = None

    def begin(self) -> None:
        """Order the old primary to stop accepting writes."""
        super().begin()
        self._deadline = self._after(self._plan.gives_up_after, "gives-up", self._give_up)

    @property
    def _place(self) -> str:
        return PLACE if self._inside is None else self._inside.region

    def _may_begin(self) -> bool:
        return not self._given_up and self._old.is_primary and self._network.alive(self._old.region)

    def _goes_on(self) -> bool:
        # One that died meanwhile and is back writes again, as if nobody had asked it to stop.
        return not self._given_up and self._old.running and self._old.draining

    def _hold_still(self) -> None:
        self._owner.manage(self._old, self._last, held=True)

    def _hand_on(self) -> None:
        if self._inside is not None:
            self._wait()
            return
        if self._plan.follows == "after-shutdown":
            self._shutdown.start_again(self._last)
        self._after(self._sample("hands_over", self._plan.hands_over), "token", self._hand_over)

    def _hand_over(self) -> None:
        if self._given_up:
            return
        new = self._new
        if not (new.is_standby and self._network.both_ways(PLACE, new.region)):
            self._after(LOOKS_EVERY_S, "token", self._hand_over)
            return
        self._last = self._world.emit("token-arrived", new.name, self._last, "decision", "told where to wait for")
        self._after(self._network.one_way_s(PLACE, new.region), "wait", self._wait)

    def _wait(self) -> None:
        """Promote once the new primary has all that the old one wrote."""
        if self._given_up:
            return
        new, database = self._new, self._database
        history, position_s = database.streaming.position(new)
        ready = new.is_standby and not new.promoting and not new.rebuilding
        if not ready or history != self._old.history or position_s < self._stopped_s:
            self._after(LOOKS_EVERY_S, "wait", self._wait)
            return
        self._last = self._world.emit("position-reached", new.name, self._last, "data_wait", "it has everything")
        self._promoting = True
        self._promotions += 1
        occasion = PROMOTIONS_APART * self._number + self._promotions
        sites = self._inside.sites if self._inside is not None else None
        database.promote(new.region, self._last, occasion, self._promoted, inside=sites)

    def _promoted(self, success: bool, event: int) -> None:
        self._promoting = False
        self._last = event
        if success:
            if self._deadline is not None:
                self._deadline.cancel()
            self._owner.completed(self._old, self._new, event)
            if self._inside is not None or self._plan.follows == "after-promotion":
                self._shutdown.start_again(event)
        elif self._given_up:
            self._turn_back()
        else:
            self._after(LOOKS_EVERY_S, "wait", self._wait)

    # The way back --------------------------------------------------------------------------------------------------

    def _give_up(self) -> None:
        self._given_up = True
        if not self._promoting:
            self._turn_back()

    def _turn_back(self) -> None:
        note = "it takes too long: back to the old primary"
        self._last = self._world.emit("switchover-given-up", self._name, self._last, "decision", note)
        self._after(self._sample("goes_back", self._plan.goes_back), "back", self._go_back)

    def _go_back(self) -> None:
        old, number = self._old, self._number
        WayBack(self._owner, old, self._place, self._stopped_s, number, self._shutdown, self._last).begin()
