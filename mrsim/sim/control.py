"""The shell around the pure controller: carries its actions out in time, and brings it what got through."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from mrsim.sim import controller as core
from mrsim.sim.candidates import candidates, why_none
from mrsim.sim.cluster import may_lead, with_mates
from mrsim.sim.fences import fencing_of
from mrsim.sim.people import Waits
from mrsim.sim.promotions import Promotions
from mrsim.sim.runbook import Steps
from mrsim.sim.signals import nobody_listens
from mrsim.sim.world import CONTROL
from mrsim.trace import INF, NO_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrsim.scenario.control import DecideAutomatic, DecideOperator, Failover
    from mrsim.sim.cluster import Cluster
    from mrsim.sim.database import Database
    from mrsim.sim.endpoint import Endpoint
    from mrsim.sim.gates import Gate
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.runbook import Part
    from mrsim.sim.world import Timer, World

_DECISION = {
    core.Stage.COOLING: ("cooled-down", "no second failover so soon"),
    core.Stage.DELAYING: ("decided", "the controller acts"),
    core.Stage.PAGING: ("paged", "somebody's phone rings"),
    core.Stage.ACKNOWLEDGING: ("acknowledged", "somebody is looking"),
    core.Stage.OVERRIDING: ("overridden", "a person goes on without the fence's confirmation"),
    core.Stage.FENCE_PAUSE: ("fence-tried-again", "blocked until the fence is confirmed"),
    core.Stage.PREPARING: ("prepared", "the runbook's steps before the promotion are done"),
    core.Stage.FINISHING: ("finished", "the runbook's steps after the promotion are done"),
}
_PHASES = {
    core.Stage.OVERRIDING: "fencing",
    core.Stage.FENCE_PAUSE: "fencing",
    core.Stage.PREPARING: "runbook",
    core.Stage.FINISHING: "runbook",
}
"""What the time of a stage was spent on, if it was no decision."""


class Control:
    """Failover control of one store by an operator or a program.

    Parameters
    ----------
    world, network
        The trial and its paths.
    name, failover, decide
        The store's id, its failover scenario and the policy in it.
    place
        Where the decision is made.
    database, endpoint
        What it commands.
    mover
        Place of whoever moves the endpoint; None: it follows health by itself.
    clusters
        Clusters with managers of their own, by the regions and zones of their nodes.
    inside
        Regions and zones that it promotes in; None: everywhere but in the old primary's cluster.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        failover: Failover,
        decide: DecideAutomatic | DecideOperator,
        place: str,
        database: Database,
        endpoint: Endpoint,
        mover: str | None,
        clusters: Mapping[str, Cluster] = MappingProxyType({}),
        inside: frozenset[str] | None = None,
    ) -> None:
        self._world = world
        self._network = network
        self._name = name
        self._failover = failover
        self._decide = decide
        self.place = place
        self._database = database
        self._endpoint = endpoint
        self._mover = mover
        self._clusters = clusters
        self._inside = inside
        self.redirect: Callable[[Node, int, Callable[[int], None]], None] = self._move_endpoint
        """How clients are led to a new primary: ``redirect(node, cause, done)``."""
        self.gate: Gate | None = None
        """What a manager waits for inside its region."""
        self._timers: list[Timer] = []
        self._last = NO_EVENT
        self._fences = 0
        self._last_failover_s = -INF
        self._asking = self._looking = False
        self._seen_s = INF
        self._why = ""
        self.on_decided: Callable[[int], None] = nobody_listens
        self.on_new_primary: Callable[[int], None] = nobody_listens
        self.on_news: Callable[[int], None] = nobody_listens
        self.on_stage: Callable[[int], None] = nobody_listens  # whenever it comes to another stage
        fence = failover.fence
        order = failover.promote.order
        runbook = failover.runbook
        self._fencing = fencing_of(world, network, name, failover, place, database, clusters)
        timeout_s = failover.promote.attempt_timeout
        self._promotions = Promotions(world, network, name, place, database, timeout_s, inside)
        self._waits = Waits(world, name, failover, decide)
        self._steps = Steps(world, name, runbook, self._later) if runbook is not None else None
        self._policy = core.Policy(
            operator=decide.by == "operator",
            requires_gone=decide.by == "operator" and decide.requires == "primary-confirmed-gone",
            fence=fence is not None,
            fence_retries=fence.if_unconfirmed.retry if fence else 0,
            then=fence.if_unconfirmed.then if fence else "proceed",
            order=() if isinstance(order, str) else with_mates(order, clusters),
            max_lag_s=decide.max_lag,
            prepares=runbook is not None and runbook.before > 0,
            finishes=runbook is not None and runbook.after > 0,
        )
        self.state = core.State(primary=database.current.region)

    def close(self) -> None:
        """Forget who listens."""
        self.on_decided = self.on_new_primary = self.on_news = self.on_stage = nobody_listens

    def primary_known_in(self, region: str) -> str | None:
        """Return the name of the primary as this controller knows it; None while it cannot be asked, or cannot say."""
        if not self._network.both_ways(region, self.place):
            return None
        match self.state.stage:
            case core.Stage.PROMOTING:
                return None
            case core.Stage.FINISHING | core.Stage.REDIRECTING:
                return self._database.nodes[self.state.candidate].name
            case _:
                return self.primary.name

    @property
    def primary(self) -> Node:
        """The node that it takes for the primary: of a cluster, the one that its service leads to."""
        cluster = self._clusters.get(self.state.primary)
        return cluster.target if cluster is not None else self._database.nodes[self.state.primary]

    @property
    def promoting(self) -> str:
        """Region or zone of the node that it is making primary; empty if none."""
        return self.state.candidate if self.state.stage == core.Stage.PROMOTING else ""

    @property
    def watching(self) -> bool:
        """Whether it has no failover under way."""
        return self.state.stage == core.Stage.WATCHING

    @property
    def yields(self) -> bool:
        """Whether its failover can be called off by who has the primary in hand: undecided, or at a stand."""
        return self.state.stage in core.YIELDING and not self.state.confirmed_gone

    def adopt(self, region: str) -> None:
        """Drop what is under way: somebody else has made this node primary, or a standby."""
        self._cancel()
        self.state = core.State(primary=region, round=self.state.round)

    def on_verdict(self, down: bool, event: int) -> None:
        """Take in the probers' combined verdict."""
        cooling = self._world.now < self._last_failover_s + self._decide.cool_down
        if down and self.state.stage == core.Stage.WATCHING:
            self._last = event
        self._observe(core.Verdict(down=down, cooling=cooling))

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """Ask candidates again when paths change while none could be chosen.

        Where the primary can be asked as well, it is probed first: it may be alive.
        """
        self._see_primary()
        if not self._asking or not touched:
            return
        detect = self._failover.detect
        if detect is not None and self._network.both_ways(self.place, self.primary.region):
            if not self._looking:
                self._looking = True
                self._later(detect.every + detect.timeout, "looks-again", self._looked)
            return
        self._ask()

    def on_change(self, cause: int) -> None:
        """Ask again when a node has changed while none could be chosen."""
        self._see_primary()
        if self._asking and not self._looking:
            self._ask()

    def _see_primary(self) -> None:
        """Note when the primary could last be asked for its position."""
        primary = self.primary
        if primary.running and self._network.both_ways(self.place, primary.region):
            self._seen_s = INF
        else:
            self._seen_s = min(self._seen_s, self._world.now)

    def _looked(self) -> None:
        self._looking = False
        if self._asking:
            self._ask()

    def _observe(self, seen: core.Observation) -> None:
        stage = self.state.stage
        self.state, actions = core.decide(self._policy, self.state, seen)
        for action in actions:
            self._act(action)
        if self.state.stage != stage:
            self.on_stage(self._last)

    def _act(self, action: core.Action) -> None:
        match action:
            case core.Begin(stage):
                self._begin(stage)
            case core.AwaitEvidence():
                wait = self._decide.waits_at_most if self._decide.by == "operator" else 0.0
                self._later(wait, "evidence", self._evidence_timeout)
            case core.SendFence(target):
                self._send_fence(target)
            case core.AskCandidates():
                self._asking, self._why = True, ""
                self._ask()
            case core.Promote(region):
                self._promote(region)
            case core.MoveEndpoint(region):
                self._move(region)
            case core.StandDown():
                self._stand_down()

    def _later(self, wait_s: float, name: str, action: Callable[[], None]) -> None:
        self._timers.append(self._world.at(self._world.now + wait_s, CONTROL, f"{self._name}/{name}", action))

    # Steps of the decision -----------------------------------------------------------------------------------------

    def _begin(self, stage: core.Stage) -> None:
        if self._steps is not None and stage in core.RUNBOOK:
            part: Part = "before" if stage == core.Stage.PREPARING else "after"
            self._steps.work(part, self._last, lambda event: self._step_done(stage, event))
            return
        occasion = self.state.round * 64 + self.state.fence_attempt
        done = self._assessed if stage == core.Stage.ASSESSING else partial(self._step_done, stage)
        if stage == core.Stage.COOLING:
            wait = self._last_failover_s + self._decide.cool_down - self._world.now
        else:
            wait = self._waits.of(stage, occasion)
        self._later(wait, stage, done)

    def _step_done(self, stage: core.Stage, event: int = NO_EVENT) -> None:
        kind, note = _DECISION[stage]
        note += self._waits.note(stage)
        phase = _PHASES.get(stage, "decision")
        self._last = self._world.emit(kind, self._name, self._last if event == NO_EVENT else event, phase, note)
        if kind == "decided":
            self.on_decided(self._last)
        self._observe(core.StepDone(stage))

    def _assessed(self) -> None:
        decide = self._decide
        misjudges = decide.by == "operator" and (
            self._world.uniform(f"{self._name}/misjudges", self.state.round) < decide.misjudges
        )
        note = "takes the primary for gone without evidence" if misjudges else "decides to fail over"
        self._last = self._world.emit("decided", self._name, self._last, "decision", note)
        self.on_decided(self._last)
        self._observe(core.Assessed(misjudged=misjudges))

    def _evidence_timeout(self) -> None:
        if self.state.stage in {core.Stage.AWAITING_EVIDENCE, core.Stage.FENCING, core.Stage.OVERRIDING}:
            self._last = self._world.emit(
                "evidence-awaited-in-vain", self._name, self._last, "decision", "goes on without evidence"
            )
        self._observe(core.EvidenceTimeout())

    def _cancel(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._asking = self._looking = False

    def _stand_down(self) -> None:
        self._cancel()
        self._last = self._world.emit("stood-down", self._name, self._last, "", "the primary answers again")
        if self._fencing is not None and self._fences:
            self._fencing.withdraw(self.state.primary, self._last)

    # Fencing -------------------------------------------------------------------------------------------------------

    def _send_fence(self, target: str) -> None:
        fence, fencing = self._failover.fence, self._fencing
        if fence is None or fencing is None:
            return
        self._fences += 1
        attempt = self._fences
        refused = partial(self._fence_failed, attempt, "was refused")
        confirmed = partial(self._fence_confirmed, target, fencing.confirms)
        fencing.send(target, attempt, lambda: self._last, confirmed, refused)
        self._later(fence.timeout, "fence-timeout", partial(self._fence_failed, attempt, "was not confirmed"))

    def _fence_confirmed(self, target: str, note: str) -> None:
        if target == self.state.primary and self.state.stage in core.AWAITING_FENCE:
            self._last = self._world.emit("fence-confirmed", self._name, self._last, "fencing", note)
        self._observe(core.FenceConfirmed(target))

    def _fence_failed(self, attempt: int, why: str) -> None:
        if self.state.stage != core.Stage.FENCING or attempt != self._fences:
            return
        note = f"attempt {self.state.fence_attempt} {why}"
        self._last = self._world.emit("fence-unconfirmed", self._name, self._last, "fencing", note)
        self._observe(core.FenceUnconfirmed())

    # Promotion -----------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Ask every standby that answers for its position and its last reported lag."""
        self._see_primary()
        sites = [site for site in self._database.nodes if self._may_promote(site)]
        held = self.gate.hold(sites, self.primary) if self.gate is not None else None
        if held is not None:
            until_s, why = held
            if until_s < INF:
                self._later(until_s - self._world.now, "receivers", self._looked)
            self._why_not(why)
            return
        found = candidates(self._network, self._database, self.place, sites, self._seen_s)
        self._observe(core.Candidates(tuple(found)))
        if self.state.stage == core.Stage.CHOOSING and self._asking:
            self._why_not(why_none(found))

    def _why_not(self, why: str) -> None:
        """Say in the trace why nobody is promoted, once."""
        if why != self._why:
            self._world.emit("no-candidate", self._name, self._last, "decision", why)
        self._why = why

    def _may_promote(self, site: str) -> bool:
        if self._inside is not None:
            return site in self._inside and site != self.state.primary and (self.gate is None or self.gate.able(site))
        cluster = self._clusters.get(self.state.primary)
        beside = cluster.sites if cluster is not None else (self.state.primary,)
        return site not in beside and may_lead(site, self._clusters)

    def _promote(self, region: str) -> None:
        self._asking = False
        subject, note = f"{self._name}@{region}", "chosen as the new primary"
        self._last = self._world.emit("promotion-commanded", subject, self._last, "decision", note)
        self._promotions.command(region, lambda: self._last, self._promoted)

    def _promoted(self, success: bool, event: int) -> None:
        self._last = event
        if success:
            self._last_failover_s = self._world.now
        self._observe(core.PromotionDone() if success else core.PromotionFailed())
        if success:
            self.on_news(event)

    def _move(self, region: str) -> None:
        self.redirect(self._database.nodes[region], self._last, self._moved)

    def _move_endpoint(self, node: Node, cause: int, done: Callable[[int], None]) -> None:
        if self._mover is None:
            done(cause)
            return
        self._endpoint.move(node.name, self._mover, cause, done)

    def _moved(self, event: int) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._last = event
        self._observe(core.EndpointMoved())
        self.on_new_primary(event)
