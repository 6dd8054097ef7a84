"""Consumers of a store's changes: where they go on reading once their connection or their primary is gone.

A consumer is sent every commit of one line of WAL in order, over a connection to its primary, which stays where it is
until it breaks. Then the consumer looks the primary up, as services do, and asks for what follows what it has: from the
slot that it had there, from the copy that a promoted standby had of it, or from a new one, which begins at the instant
in which it is made.

References
----------
PostgreSQL documentation, *Logical Decoding Concepts* (slots, failover slots), *Streaming Replication Protocol*
(START_REPLICATION … LOGICAL: from the position asked for, or from what the slot has confirmed if that is later), and
*synchronized_standby_slots*. ``snapbuild.c``, ``SnapBuildXactNeedsSkip``: what lies before the position asked for is
skipped without a word, on whatever timeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.distributions import Constant
from mrsim.sim.consumer_progress import Progress
from mrsim.sim.consumer_slots import ConsumerSlots
from mrsim.sim.instances import Instance
from mrsim.sim.signals import Signal
from mrsim.sim.tcp import next_retransmission_s
from mrsim.sim.world import DATABASE, FAULT
from mrsim.trace import INF, NO_EVENT, FeedTrace

if TYPE_CHECKING:
    from mrsim.scenario.feeds import ChangeFeed
    from mrsim.scenario.stores import Store
    from mrsim.sim.database import Database
    from mrsim.sim.endpoint import Endpoint
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.slots import Slotted
    from mrsim.sim.wal import Load
    from mrsim.sim.world import Timer, World


class Consumer:
    """One consumer, its connection and its slot.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, model, store
        The feed's id, the feed and its store as written.
    database, endpoint, load
        The store's nodes, how they are found, and what is written.
    slotted
        How much WAL a primary keeps for those who are away; None: everything.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        model: ChangeFeed,
        store: Store,
        database: Database,
        endpoint: Endpoint,
        load: Load,
        slotted: Slotted | None,
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._label = f"feed/{name}"
        self._model = model
        self._timeout_s = store.replication.sender_timeout
        self._progress = progress = Progress(world, network, self._label, model, database, load)
        at_once = store.endpoint.model_copy(update={"reconnect": Constant(0.0)})
        self._looks_up = Instance(world, self._label, model.region, at_once, endpoint, database)
        self._looks_up.on_change = self.look
        self._slots = ConsumerSlots(
            world, name, model, store, database, progress, slotted, lambda: self._source is None
        )
        self._complete = Signal()
        self._cut_s = -INF
        self._lasting: Node | None = None
        """The primary at the other end of a connection that is cut and that nobody has given up."""
        self._held_s: float | None = None
        """Up to where it had read when it was held back."""
        self._missing_s: float | None = None
        """When the oldest change was committed that was not sent and never will be."""
        self._due = self._noticing = self._busy = False
        self._seeding: Node | None = None
        self._steps = self._tries = 0
        self._settling: Timer | None = None
        self._level_s = INF
        self._lag_s = self._longest_s = progress.lag_s
        self._slots.look(self._source)
        if 0.0 < world.first_fault_s < world.horizon_s:
            world.at(world.first_fault_s, FAULT - 1, f"{self._label}/lag", self._note_lag)

    @property
    def _source(self) -> Node | None:
        """The primary that it reads from or copies from; None if it does neither."""
        session = self._progress.session
        return session.source if session is not None else self._seeding

    def close(self) -> None:
        """Forget who listens, and whom it asks."""
        self._looks_up.close()
        self._slots.close()

    def finish(self) -> FeedTrace:
        """Return what the consumer got."""
        progress, longest_s = self._progress, self._longest_s
        waiting = progress.session is None or progress.held
        if waiting:
            longest_s = max(longest_s, self._world.horizon_s - self._waits_since_s())
        return FeedTrace(progress.finish(), self._complete.spans, self._lag_s, longest_s, self._level_s, waiting)

    def _waits_since_s(self) -> float:
        """Return when the oldest change was committed that waits for a feed that does not go on."""
        progress, session = self._progress, self._progress.session
        if self._seeding is not None or self._due:
            return self._missing_s if self._missing_s is not None else INF
        if session is not None:
            return progress.next_written_s(session.history, progress.read_at(self._world.now))
        return progress.next_written_s(progress.history, progress.position_s)

    def _note_lag(self) -> None:
        self._lag_s = self._longest_s = self._progress.lag_s

    # What happens to its connection ---------------------------------------------------------------------------------

    def on_network(self, _: frozenset[str], cause: int) -> None:
        """React to a change of paths."""
        self.look(cause)

    def look(self, cause: int = NO_EVENT) -> None:
        """React to a change of nodes, paths or answers."""
        self._slots.look(self._source)
        progress, session = self._progress, self._progress.session
        if session is not None:
            if session.source.history == session.history and self._reaches(session.source):
                progress.follow_paths()
            else:
                self._stop(session.source, cause)
        if self._seeding is not None and not self._reaches(self._seeding):
            self._seeding, self._due = None, True
            self._steps += 1
        if progress.session is None and self._seeding is None:
            self._seek(cause)
            self._slots.keep(cause)
        self._note_held(cause)

    def _reaches(self, source: Node) -> bool:
        """Return whether it can read from a node: a primary that is not shut down, and a way there and back."""
        if not source.is_primary or source.handed_over:
            return False
        return self._network.both_ways(source.region, self._model.region)

    def _writes_on(self, source: Node) -> bool:
        """Return whether a primary still writes the line that was read from it."""
        return source.is_primary and not source.handed_over and source.history == self._progress.history

    def _stop(self, source: Node, cause: int) -> None:
        """Lose the connection."""
        now, progress = self._world.now, self._progress
        if source.running and source.handed_over:
            progress.end()
        else:
            progress.stop(in_flight_lost=self._network.in_flight_lost)
        if self._held_s is not None:
            self._longest_s = max(self._longest_s, now - progress.next_written_s(progress.history, self._held_s))
        self._slots.note(progress.history, progress.confirmed_s)
        self._lasting = source if self._writes_on(source) else None
        self._cut_s = now
        step = self._steps = self._steps + 1
        self._busy, self._held_s, self._world.stirred = False, None, self._world.stirred + 1
        event = self._world.emit("feed-stopped", self._name, cause, "", f"reads no more from {source.name}")
        self._unsettle(event)

        def give_up() -> None:
            if step == self._steps and progress.session is None and self._lasting is not None:
                self._lasting = None
                self.look(event)

        if self._lasting is not None:
            self._world.at(now + self._timeout_s, DATABASE, f"{self._label}/gives-up", give_up)

    def _seek(self, cause: int) -> None:
        """Go on over the same connection, or look for the primary and make another."""
        if self._busy:
            return
        now = self._world.now
        if self._lasting is not None and not self._writes_on(self._lasting):
            self._lasting = None
        if self._lasting is not None:
            if self._reaches(self._lasting):
                rtt_s = self._network.rtt_s(self._lasting.region, self._model.region)
                self._later(next_retransmission_s(self._cut_s, now, rtt_s), self._lasting, cause, fresh=False)
            return
        node = self._looks_up.node
        if node is None or not self._reaches(node):
            return
        self._tries += 1
        takes_s = self._world.sample(f"{self._label}/reconnects", self._model.reconnects, self._tries)
        self._later(now + takes_s, node, cause, fresh=True)

    def _later(self, at_s: float, node: Node, cause: int, *, fresh: bool) -> None:
        """Connect at an instant, if the way is still open then."""
        self._busy = True
        step, progress = self._steps, self._progress

        def connect() -> None:
            if step != self._steps or progress.session is not None or self._seeding is not None:
                return
            self._busy = False
            if not self._reaches(node) or node is not (self._looks_up.node if fresh else self._lasting):
                self._seek(cause)
            elif (slot_s := self._slots.at(node)) is None:
                self._recreate(node, cause)
            elif self._due:
                self._seed(node, cause)
            elif not fresh:
                self._open(node, progress.position_s, cause, "over the connection that it had")
            else:
                self._go_on(node, slot_s, cause)

        self._world.at(at_s, DATABASE, f"{self._label}/connects", connect)

    # Where it goes on -----------------------------------------------------------------------------------------------

    def _go_on(self, node: Node, start_s: float, cause: int) -> None:
        """Ask for what follows its own note, or take what the slot has not been told that it has."""
        progress, line = self._progress, node.history
        if self._model.keeps_position:
            own_s = progress.agreed_s(line, progress.confirmed_s)
            beyond = progress.line(progress.history).bytes_between(own_s, progress.confirmed_s)
            if beyond > 0.0:
                # Its note lies in WAL that is not there: as much is skipped of what was written instead.
                own_s = min(progress.line(line).end_s(own_s, beyond), self._world.horizon_s)
            start_s = max(start_s, own_s)
        self._open(node, start_s, cause, "from its slot")

    def _recreate(self, node: Node, cause: int) -> None:
        """Make a slot at a primary that has none: what was written before that is not sent."""
        self._busy = True
        step = self._steps
        event = self._world.emit("feed-slot-missing", self._name, cause, "", f"{node.name} has no slot for it")
        takes_s = self._world.sample(f"{self._label}/recreates", self._model.recreates, self._tries)

        def create() -> None:
            if step != self._steps:
                return
            self._busy = False
            if not self._reaches(node):
                self._seek(event)
                return
            created = self._world.emit("feed-slot-created", self._name, event, "", f"at {node.name}")
            self._slots.create(node.history)
            if self._due:
                self._seed(node, created)
            else:
                self._open(node, self._world.now, created, "from a new slot")

        self._world.at(self._world.now + takes_s, DATABASE, f"{self._label}/slot", create)

    def _open(self, node: Node, start_s: float, cause: int, how: str) -> None:
        """Read on from a commit time of a primary's line."""
        progress, line = self._progress, node.history
        agreed_s = progress.agreed_s(line, progress.position_s)
        missed = start_s > agreed_s and progress.line(line).bytes_between(agreed_s, start_s) > 0.0
        note = f"from {node.name}, {how}" + (": it has missed changes" if missed else "")
        event = self._world.emit("feed-resumed", self._name, cause, "reconnect", note)
        if missed and self._missing_s is None:
            self._missing_s = progress.next_written_s(line, agreed_s)
        self._begin(node, start_s)
        if not progress.held:
            self._note_longest(progress.next_written_s(line, max(start_s, agreed_s)))
        self._note_held(event)
        rule = self._model.reseeds
        if self._missing_s is not None and rule is not None and not self._noticing:
            self._noticing = True
            at_s = self._world.now + self._world.sample(f"{self._label}/reseed", rule.after, self._tries)
            self._world.at(at_s, DATABASE, f"{self._label}/reseeds", lambda: self._notice(event))
        self._settle(event)

    def _begin(self, node: Node, start_s: float) -> None:
        self._progress.begin(node, start_s)
        self._slots.note(node.history, start_s)
        self._lasting = None
        self._steps += 1
        self._world.stirred += 1
        self._slots.look(self._source)

    def _note_longest(self, oldest_s: float) -> None:
        """Note how long the oldest change that is sent now has waited until it shows."""
        session = self._progress.session
        latency_s = session.latency_s if session is not None else 0.0
        self._longest_s = max(self._longest_s, self._world.now + latency_s + self._progress.shows_s - oldest_s)

    # Being complete -------------------------------------------------------------------------------------------------

    def _unsettle(self, event: int) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        self._level_s = INF
        self._complete.set(self._world.now, on=False, event=event)

    def _settle(self, cause: int) -> None:
        """Be complete once what waits shows; never while changes are missing."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        self._level_s = INF if self._progress.held else self._progress.level_s
        if self._missing_s is not None or self._level_s >= self._world.horizon_s:
            self._complete.set(self._world.now, on=False, event=cause)
            return

        def done() -> None:
            self._settling = None
            event = self._world.emit("feed-complete", self._name, cause, "", "no further behind than it always is")
            self._complete.set(self._world.now, on=True, event=event)

        if not self._complete.on:
            self._settling = self._world.at(self._level_s, DATABASE, f"{self._label}/complete", done)

    def _note_held(self, cause: int) -> None:
        """Note that the primary waits for a standby before it sends anything, or does no more."""
        progress, session = self._progress, self._progress.session
        if session is None or progress.held == (self._held_s is not None):
            return
        if self._held_s is None:
            self._held_s = progress.read_at(self._world.now)
            why = "the primary waits for a standby that receives nothing"
            self._unsettle(self._world.emit("feed-held-back", self._name, cause, "", why))
            return
        oldest_s, self._held_s = progress.next_written_s(session.history, self._held_s), None
        event = self._world.emit("feed-released", self._name, cause, "", "the standby receives again")
        self._note_longest(oldest_s)
        self._settle(event)

    # Being filled anew ----------------------------------------------------------------------------------------------

    def _notice(self, cause: int) -> None:
        """Fill it anew, now or once it has found a primary."""
        self._noticing, self._due = False, True
        session = self._progress.session
        if session is not None:
            self._progress.stop(in_flight_lost=True)
            self._held_s = None
            self._seed(session.source, cause)

    def _seed(self, node: Node, cause: int) -> None:
        """Copy all that is committed by now; what is committed meanwhile follows from the slot."""
        rule, now = self._model.reseeds, self._world.now
        if rule is None:
            return
        self._due = self._busy = False
        self._seeding = node
        self._progress.copy_all(node.history, now)
        self._slots.note(node.history, now)
        step = self._steps = self._steps + 1
        event = self._world.emit("feed-reseeding", self._name, cause, "", f"copies everything from {node.name}")
        self._slots.look(self._source)

        def copied() -> None:
            if step != self._steps:
                return
            self._seeding = None
            self._progress.copied()
            oldest_s, self._missing_s = self._missing_s, None
            done = self._world.emit("feed-reseeded", self._name, event, "", "it holds what was there as that began")
            self._begin(node, now)
            self._note_longest(INF if oldest_s is None else oldest_s)
            self._note_held(done)
            self._settle(done)

        self._world.at(now + rule.size / rule.throughput, DATABASE, f"{self._label}/reseeded", copied)
