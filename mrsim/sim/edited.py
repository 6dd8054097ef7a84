"""The authority of a record that a person edits: alarms and promotions are told, nothing follows them by itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mrsim.sim.dns import EditableAuthority
from mrsim.sim.world import ROUTING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.services import Edited
    from mrsim.sim.database import Database
    from mrsim.sim.dns import Offer
    from mrsim.sim.network import Network
    from mrsim.sim.world import World


class EditedAuthority(EditableAuthority):
    """An authority whose answers change by edits alone, each made by a person through the provider's control plane.

    Who edits has to be told (there is a way from where the fact is known), takes a while, needs a path to the control
    plane, and goes on trying until there is one; then the authority's servers have to follow. A person calls an edit
    off if the fact is over before it is made, and does not take out the last region.

    Parameters
    ----------
    world, network
        The trial and its paths.
    offer
        The record, and what it may answer.
    plan
        How it is edited.
    """

    def __init__(self, world: World, network: Network, offer: Offer, plan: Edited) -> None:
        super().__init__(world, network, offer)
        self._plan = plan
        self._turns = dict.fromkeys(offer.regions, 0)
        self._served = dict.fromkeys(offer.regions, 0)
        self._edits = 0
        self._out = offer.down
        self._left: set[str] = set()

    def on_verdict(self, region: str, cause: int, *, down: bool) -> None:
        """Take a verdict as an alarm, or as its end."""
        check = self._record.health_check
        if check is not None:
            self._left.discard(region)
            it, none = frozenset((region,)), frozenset[str]()
            out, into = (it, none) if down else (none, it)
            self._tell(region, check.stands, cause, out, into)

    def follow(self, database: Database, home: Callable[[str], str]) -> None:
        """Let whoever edits hear of promotions, and lead people to the primary's region, which is ``home(site)``."""
        known = 1
        self._out = frozenset(self._offered[1:])

        def look(_: int) -> None:
            nonlocal known
            if len(database.histories) == known:
                return
            known = len(database.histories)
            history, region = database.histories[-1], home(database.current.region)
            # What a manager promotes in a cluster that was given up is announced to nobody
            if history.node == database.current.name and region in self._offered:
                others = frozenset(self._offered) - {region}
                self._tell(self._offered[0], region, history.event, others, frozenset((region,)))

        database.listen(look)

    def _tell(self, key: str, origin: str, cause: int, out: frozenset[str], into: frozenset[str]) -> None:
        """Tell who edits that regions should leave the answers, or be in them again; what was meant before is void."""
        self._turns[key] += 1
        turn = self._turns[key]
        # After a promotion regions go and come at once: back is where the first region comes.
        back = self._offered[0] in into if out and into else not out

        def told() -> None:
            self._edits += 1
            what, takes = ("back", self._plan.back) if back else ("takes", self._plan.takes)
            at_s = self._world.now + self._world.sample(f"{self._name}/{what}", takes, self._edits)
            self._world.at(at_s, ROUTING, f"{self._name}/edit/{key}", decided)

        def decided() -> None:
            self._over(self._plan.by, self._plan.authority, edit)

        def edit() -> None:
            if turn != self._turns[key]:
                return
            meant = (self._out | out) - into
            if len(meant) == len(self._offered):
                self._left |= out
                return
            if meant == self._out:
                return
            self._out = meant
            note = f"without {', '.join(sorted(out))}" if out else f"with {', '.join(sorted(into))} again"
            note = f"{', '.join(sorted(into))} alone" if out and into else note
            event = self._world.emit("record-edited", self._name, cause, "decision", note)
            later = self._world.sample(f"{self._name}/propagates", self._plan.propagates, self._edits)
            apply = partial(self._apply, key, turn, out, into, event)
            self._world.at(self._world.now + later, ROUTING, f"{self._name}/propagates/{key}", apply)

        self._over(origin, self._plan.by, told)

    def _apply(self, key: str, turn: int, out: frozenset[str], into: frozenset[str], event: int) -> None:
        if turn < self._served[key]:
            return
        self._served[key] = turn
        self._down = (self._down | out) - into
        self._answer(event)
        if into:
            for region in sorted(self._left):
                self._left.discard(region)
                self._tell(region, self._plan.by, event, frozenset((region,)), frozenset())
