"""The failover decision as a state machine: whatever is observed in whatever order, these things never happen."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mrsim.sim import controller as core
from mrsim.sim.controller import Stage

REGIONS = ("eu-west", "ap-southeast", "us-west")

POLICIES = st.builds(
    core.Policy,
    operator=st.booleans(),
    requires_gone=st.booleans(),
    fence=st.booleans(),
    fence_retries=st.integers(0, 2),
    then=st.sampled_from(["block", "proceed", "operator-override"]),
    order=st.one_of(st.just(()), st.permutations(REGIONS).map(tuple), st.just(("eu-west", "us-west"))),
    max_lag_s=st.one_of(st.none(), st.floats(0.0, 60.0)),
    prepares=st.booleans(),
    finishes=st.booleans(),
).filter(lambda policy: policy.operator or not policy.requires_gone)
"""Only an operator asks for evidence."""

CANDIDATES = st.lists(
    st.builds(
        core.Candidate,
        st.sampled_from(REGIONS),
        st.floats(0.0, 120.0),
        st.tuples(st.integers(0, 2), st.floats(0.0, 1000.0)),
    ),
    max_size=3,
    unique_by=lambda item: item.region,
).map(tuple)

UNDER_WAY = {
    Stage.COOLING,
    Stage.DELAYING,
    Stage.PAGING,
    Stage.ACKNOWLEDGING,
    Stage.FENCE_PAUSE,
    Stage.OVERRIDING,
    Stage.PREPARING,
    Stage.FINISHING,
}
"""Steps that end with StepDone."""


class Decisions(RuleBasedStateMachine):
    """Feeds observations in any order, and keeps a record of its own of what was seen in this round."""

    reached: ClassVar[Counter[str]] = Counter()

    @initialize(policy=POLICIES)
    def start(self, policy: core.Policy) -> None:
        self.policy = policy
        self.state = core.State(primary="us-east")
        self.new_round()

    def new_round(self) -> None:
        self.down = False
        self.confirmed = False
        self.fences = 0
        self.unconfirmed = 0
        self.overridden = False
        self.timed_out = False
        self.misjudged = False
        self.prepared = False
        self.evidence_clock = False
        self.in_flight = ""
        self.promoted = ""
        self.failed: list[str] = []

    # Observations --------------------------------------------------------------------------------------------------

    def see(self, observation: core.Observation) -> tuple[core.Action, ...]:
        before = self.state
        self.state, actions = core.decide(self.policy, before, observation)
        again = core.decide(self.policy, before, observation)
        assert again == (self.state, actions), "a pure function"
        assert self.state != before or not actions, "what changes nothing asks for nothing"
        self.check(before, observation, actions)
        return actions

    def check(self, before: core.State, seen: core.Observation, actions: tuple[core.Action, ...]) -> None:
        promotions = [action for action in actions if isinstance(action, core.Promote)]
        assert len(promotions) <= 1
        for action in promotions:
            self.reached["promoted"] += 1
            assert self.down, "no promotion without a verdict in this round"
            assert not self.in_flight, "one promotion at a time"
            assert not self.promoted, "none after one that worked"
            assert self.prepared == self.policy.prepares, "after the runbook's first steps, once"
            assert isinstance(seen, core.Candidates)
            self.check_evidence()
            self.check_choice(action.region, seen.reachable)
            self.in_flight = action.region
        if any(isinstance(action, core.StandDown) for action in actions):
            self.reached["stood down"] += 1
            assert isinstance(seen, core.Verdict)
            assert not seen.down
            assert before.stage in core.BEFORE_COMMITMENT
            assert not self.in_flight, "a promotion that was commanded is not called off"
            assert not self.confirmed, "a primary that was stopped cannot answer"
            self.new_round()
        self.fences += sum(isinstance(action, core.SendFence) for action in actions)
        for action in actions:
            if isinstance(action, core.SendFence):
                assert action.target == before.primary, "only the old primary is fenced"
                assert self.policy.fence
                assert not self.in_flight
            if isinstance(action, core.AwaitEvidence):
                assert not self.evidence_clock, "the wait for evidence is counted once"
                self.evidence_clock = True
            if isinstance(action, core.Begin):
                assert self.state.stage == action.stage
            if isinstance(action, core.AskCandidates):
                assert self.state.stage == Stage.CHOOSING
            if isinstance(action, core.MoveEndpoint):
                assert action.region == self.promoted
                assert not self.policy.finishes or before.stage == Stage.FINISHING, "the runbook's last steps first"

    def check_evidence(self) -> None:
        policy = self.policy
        if policy.fence and policy.then == "block":
            self.reached["fenced and blocked"] += 1
            assert self.confirmed, "blocked until the fence is confirmed"
        if policy.fence and not self.confirmed and not self.misjudged and not self.timed_out:
            assert self.unconfirmed > policy.fence_retries, "every attempt was made"
            assert policy.then == "proceed" or self.overridden
        if policy.requires_gone and not self.confirmed:
            self.reached["without evidence"] += 1
            proceeded = policy.fence and policy.then == "proceed"
            assert self.timed_out or self.overridden or self.misjudged or proceeded

    def check_choice(self, region: str, reachable: tuple[core.Candidate, ...]) -> None:
        policy = self.policy
        chosen = next(item for item in reachable if item.region == region)
        fit = [item for item in reachable if policy.max_lag_s is None or item.lag_s <= policy.max_lag_s]
        assert chosen in fit, "the lag gate"
        if policy.order:
            fit = [item for item in fit if item.region in policy.order]
            assert chosen in fit, "only who is named"
        fresh = [item for item in fit if item.region not in self.failed]
        assert chosen in fresh or not fresh, "those that failed come last"
        for other in fresh or fit:
            if policy.order:
                assert policy.order.index(region) <= policy.order.index(other.region)
            else:
                assert chosen.position >= other.position

    @rule(cooling=st.booleans())
    def goes_down(self, cooling: bool) -> None:
        watching = self.state.stage == Stage.WATCHING
        self.down = self.down or watching
        self.see(core.Verdict(down=True, cooling=cooling))
        assert not watching or self.state.stage in {Stage.COOLING, Stage.DELAYING, Stage.PAGING}
        assert not watching or (self.state.stage == Stage.COOLING) == cooling

    @rule()
    def comes_up(self) -> None:
        self.see(core.Verdict(down=False))

    @precondition(lambda self: self.state.stage in UNDER_WAY)
    @rule()
    def step_ends(self) -> None:
        self.overridden = self.overridden or self.state.stage == Stage.OVERRIDING
        self.prepared = self.prepared or self.state.stage == Stage.PREPARING
        self.see(core.StepDone(self.state.stage))

    @precondition(lambda self: self.state.stage == Stage.ASSESSING)
    @rule(misjudged=st.booleans())
    def assessed(self, misjudged: bool) -> None:
        self.misjudged = misjudged
        self.see(core.Assessed(misjudged))

    @precondition(lambda self: self.state.stage == Stage.FENCING)
    @rule()
    def fence_fails(self) -> None:
        self.unconfirmed += 1
        self.see(core.FenceUnconfirmed())

    @precondition(lambda self: self.fences)
    @rule()
    def fence_works(self) -> None:
        # The confirmation of an earlier attempt may be late.
        self.confirmed = self.confirmed or self.state.stage in {Stage.FENCING, Stage.FENCE_PAUSE, Stage.OVERRIDING}
        self.see(core.FenceConfirmed(self.state.primary))

    @precondition(lambda self: self.evidence_clock)
    @rule()
    def waited_long_enough(self) -> None:
        self.timed_out = self.timed_out or self.state.stage in {
            Stage.AWAITING_EVIDENCE,
            Stage.FENCING,
            Stage.OVERRIDING,
        }
        self.see(core.EvidenceTimeout())

    @precondition(lambda self: self.state.stage == Stage.CHOOSING)
    @rule(reachable=CANDIDATES)
    def candidates_answer(self, reachable: tuple[core.Candidate, ...]) -> None:
        self.see(core.Candidates(reachable))

    @precondition(lambda self: self.state.stage == Stage.PROMOTING)
    @rule(works=st.booleans())
    def promotion_ends(self, works: bool) -> None:
        region, self.in_flight = self.in_flight, ""
        if works:
            self.promoted = region
            self.see(core.PromotionDone())
            assert self.state.stage == (Stage.FINISHING if self.policy.finishes else Stage.REDIRECTING)
            return
        self.reached["promotion failed"] += 1
        if all(name in self.failed for name in REGIONS):
            self.failed = []
        self.failed.append(region)
        self.see(core.PromotionFailed())
        self.failed = list(self.state.tried)
        assert region in self.failed

    @precondition(lambda self: self.state.stage == Stage.REDIRECTING)
    @rule()
    def endpoint_moves(self) -> None:
        self.see(core.EndpointMoved())
        assert self.state == core.State(primary=self.promoted, round=self.state.round)
        self.reached["done"] += 1
        self.new_round()

    def go_on(self, data: st.DataObject) -> None:
        """See whatever takes the round further."""
        stage = self.state.stage
        if stage == Stage.WATCHING:
            self.goes_down(cooling=data.draw(st.booleans()))
        elif stage in UNDER_WAY:
            self.step_ends()
        elif stage == Stage.ASSESSING:
            self.assessed(misjudged=data.draw(st.booleans()))
        elif stage == Stage.FENCING:
            data.draw(st.sampled_from([self.fence_fails, self.fence_fails, self.fence_works]))()
        elif stage == Stage.AWAITING_EVIDENCE:
            self.waited_long_enough()
        elif stage == Stage.CHOOSING:
            self.candidates_answer(reachable=data.draw(CANDIDATES))
        elif stage == Stage.PROMOTING:
            self.promotion_ends(works=data.draw(st.booleans()))
        else:
            self.endpoint_moves()

    @rule(data=st.data())
    def goes_on(self, data: st.DataObject) -> None:
        self.go_on(data)

    @rule(data=st.data(), steps=st.integers(2, 8))
    def goes_on_for_a_while(self, data: st.DataObject, steps: int) -> None:
        for _ in range(steps):
            self.go_on(data)

    # What arrives late ---------------------------------------------------------------------------------------------

    @rule(
        late=st.sampled_from(
            [
                *(core.StepDone(stage) for stage in Stage),
                core.Assessed(misjudged=True),
                core.FenceConfirmed("a node fenced long ago"),
                core.FenceUnconfirmed(),
                core.EvidenceTimeout(),
                core.Candidates((core.Candidate("eu-west", 0.0, (9, 9.0)),)),
                core.PromotionDone(),
                core.PromotionFailed(),
                core.EndpointMoved(),
            ]
        )
    )
    def late_message_changes_nothing(self, late: core.Observation) -> None:
        fits: dict[type, set[Stage]] = {
            core.Assessed: {Stage.ASSESSING},
            core.FenceConfirmed: {Stage.FENCING, Stage.FENCE_PAUSE, Stage.OVERRIDING},
            core.FenceUnconfirmed: {Stage.FENCING},
            core.EvidenceTimeout: {Stage.AWAITING_EVIDENCE, Stage.FENCING, Stage.OVERRIDING},
            core.Candidates: {Stage.CHOOSING},
            core.PromotionDone: {Stage.PROMOTING},
            core.PromotionFailed: {Stage.PROMOTING},
            core.EndpointMoved: {Stage.REDIRECTING},
        }
        stages = {late.stage} & UNDER_WAY if isinstance(late, core.StepDone) else fits[type(late)]
        if self.state.stage not in stages:
            self.reached["late"] += 1
            assert core.decide(self.policy, self.state, late) == (self.state, ())

    @invariant()
    def rests_as_it_began(self) -> None:
        if not hasattr(self, "state"):
            return
        if self.state.stage == Stage.WATCHING:
            assert self.state == core.State(primary=self.state.primary, round=self.state.round)
        assert (self.state.stage == Stage.PROMOTING) == bool(self.in_flight)


def test_decisions() -> None:
    Decisions.reached = Counter()
    run_state_machine_as_test(Decisions, settings=settings(max_examples=400, stateful_step_count=30))
    reached = Decisions.reached
    assert reached["promoted"] > 50, reached
    assert min(reached["stood down"], reached["done"], reached["late"], reached["promotion failed"]) > 10, reached
    assert reached["without evidence"] > 3, reached


def _run(policy: core.Policy, *observations: core.Observation) -> tuple[core.State, list[core.Action]]:
    state, done = core.State(primary="us-east"), []
    for seen in observations:
        state, actions = core.decide(policy, state, seen)
        done += actions
    return state, done


LAGGING = core.Candidate("eu-west", 5.0, (0, 90.0))
FRESH = core.Candidate("ap-southeast", 1.0, (0, 99.0))
DOWN = core.Verdict(down=True)
DELAYED = core.StepDone(Stage.DELAYING)


def test_automatic_without_guards_promotes_the_most_advanced() -> None:
    state, done = _run(core.Policy(operator=False), DOWN, DELAYED, core.Candidates((LAGGING, FRESH)))
    assert done == [core.Begin(Stage.DELAYING), core.AskCandidates(), core.Promote("ap-southeast")]
    assert state.stage == Stage.PROMOTING


def test_order_beats_position_and_the_lag_gate_beats_order() -> None:
    ordered = core.Policy(operator=False, order=("eu-west", "ap-southeast"))
    assert _run(ordered, DOWN, DELAYED, core.Candidates((LAGGING, FRESH)))[1][-1] == core.Promote("eu-west")
    gated = core.Policy(operator=False, order=("eu-west", "ap-southeast"), max_lag_s=2.0)
    assert _run(gated, DOWN, DELAYED, core.Candidates((LAGGING, FRESH)))[1][-1] == core.Promote("ap-southeast")


def test_a_closed_gate_waits_until_it_opens() -> None:
    gated = core.Policy(operator=False, max_lag_s=2.0)
    state, done = _run(gated, DOWN, DELAYED, core.Candidates((LAGGING,)), core.Candidates(()))
    assert (state.stage, done[-1]) == (Stage.CHOOSING, core.AskCandidates())
    assert core.decide(gated, state, core.Candidates((FRESH,)))[1] == (core.Promote("ap-southeast"),)


def test_a_blocked_fence_is_tried_for_ever() -> None:
    policy = core.Policy(operator=False, fence=True, fence_retries=1, then="block")
    state, done = _run(policy, DOWN, DELAYED)
    for _ in range(50):
        state, actions = core.decide(policy, state, core.FenceUnconfirmed())
        done += actions
        if state.stage == Stage.FENCE_PAUSE:
            state, actions = core.decide(policy, state, core.StepDone(Stage.FENCE_PAUSE))
            done += actions
    assert not any(isinstance(action, core.AskCandidates) for action in done)
    assert sum(isinstance(action, core.SendFence) for action in done) == 51
    assert core.decide(policy, state, core.FenceConfirmed("us-east"))[1] == (core.AskCandidates(),)


def test_a_failed_promotion_goes_to_the_next_and_then_back() -> None:
    policy = core.Policy(operator=False)
    both = core.Candidates((LAGGING, FRESH))
    _, done = _run(policy, DOWN, DELAYED, both, core.PromotionFailed(), both, core.PromotionFailed(), both)
    promoted = [action.region for action in done if isinstance(action, core.Promote)]
    assert promoted == ["ap-southeast", "eu-west", "ap-southeast"]
