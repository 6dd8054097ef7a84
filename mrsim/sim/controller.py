"""The failover decision: a pure function of what was observed, ``(policy, state, observation) → (state, actions)``.

Nothing here knows the time, draws a number or touches a node. The shell in :mod:`mrsim.sim.control` turns actions into
timers and messages, and messages that got through into observations.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

Then = Literal["block", "proceed", "operator-override"]


class Stage(StrEnum):
    """Where a failover stands."""

    WATCHING = "watching"
    COOLING = "cooling"
    DELAYING = "delaying"
    PAGING = "paging"
    ACKNOWLEDGING = "acknowledging"
    ASSESSING = "assessing"
    PREPARING = "preparing"
    AWAITING_EVIDENCE = "awaiting-evidence"
    FENCING = "fencing"
    FENCE_PAUSE = "fence-pause"
    OVERRIDING = "overriding"
    CHOOSING = "choosing"
    PROMOTING = "promoting"
    FINISHING = "finishing"
    REDIRECTING = "redirecting"


BEFORE_COMMITMENT = frozenset(
    {
        Stage.COOLING,
        Stage.DELAYING,
        Stage.PAGING,
        Stage.ACKNOWLEDGING,
        Stage.ASSESSING,
        Stage.PREPARING,
        Stage.AWAITING_EVIDENCE,
        Stage.FENCING,
        Stage.FENCE_PAUSE,
        Stage.OVERRIDING,
        Stage.CHOOSING,
    }
)
"""Stages from which a primary that answers again calls the failover off."""


YIELDING = frozenset(
    {
        Stage.COOLING,
        Stage.DELAYING,
        Stage.PAGING,
        Stage.ACKNOWLEDGING,
        Stage.ASSESSING,
        Stage.FENCE_PAUSE,
        Stage.CHOOSING,
    }
)
"""Stages in which nothing has been decided yet, or in which it has come to a stand: blocked, or nobody to promote."""

AWAITING_FENCE = frozenset({Stage.FENCING, Stage.FENCE_PAUSE, Stage.OVERRIDING})
"""Stages in which a fence's confirmation is what the controller waits for."""

RUNBOOK = frozenset({Stage.PREPARING, Stage.FINISHING})
"""Stages in which somebody works through the steps of a runbook."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the scenario asks of the controller.

    ``fence_retries`` counts attempts after the first; ``order`` is empty for the most advanced candidate;
    ``prepares`` and ``finishes`` say that a runbook has steps before and after the promotion.
    """

    operator: bool
    requires_gone: bool = False
    fence: bool = False
    fence_retries: int = 0
    then: Then = "block"
    order: tuple[str, ...] = ()
    max_lag_s: float | None = None
    prepares: bool = False
    finishes: bool = False


class State(NamedTuple):
    """What the controller remembers."""

    stage: Stage = Stage.WATCHING
    primary: str = ""
    candidate: str = ""
    fence_attempt: int = 0
    confirmed_gone: bool = False
    misjudged: bool = False
    tried: tuple[str, ...] = ()
    round: int = 0


# Observations ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """The probers' combined verdict changed; ``cooling`` says that the last failover was too recent."""

    down: bool
    cooling: bool = False


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step that takes time has ended."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class Assessed:
    """The operator has a view; a misjudgement takes an unreachable primary for a gone one."""

    misjudged: bool


@dataclass(frozen=True, slots=True)
class FenceConfirmed:
    """The confirmation of a node's fence got through."""

    target: str


@dataclass(frozen=True, slots=True)
class FenceUnconfirmed:
    """No confirmation within the time allowed."""


@dataclass(frozen=True, slots=True)
class EvidenceTimeout:
    """The longest wait for evidence is over."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A standby as known to the controller: its last reported lag and position."""

    region: str
    lag_s: float
    position: tuple[int, float]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The standbys that answer now."""

    reachable: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class PromotionDone:
    """The candidate is writable."""


@dataclass(frozen=True, slots=True)
class PromotionFailed:
    """The candidate did not become primary."""


@dataclass(frozen=True, slots=True)
class EndpointMoved:
    """The endpoint answers with the new primary."""


Observation = (
    Verdict
    | StepDone
    | Assessed
    | FenceConfirmed
    | FenceUnconfirmed
    | EvidenceTimeout
    | Candidates
    | PromotionDone
    | PromotionFailed
    | EndpointMoved
)

# Actions -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """Start a step that takes time; it ends with :class:`StepDone`, or :class:`Assessed` for the assessment."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class AwaitEvidence:
    """Start the clock of the longest wait for evidence."""


@dataclass(frozen=True, slots=True)
class SendFence:
    """Send the fencing command."""

    target: str


@dataclass(frozen=True, slots=True)
class AskCandidates:
    """Ask all standbys for their positions, now and whenever paths change, until one is chosen."""


@dataclass(frozen=True, slots=True)
class Promote:
    """Command a standby to become primary."""

    region: str


@dataclass(frozen=True, slots=True)
class MoveEndpoint:
    """Make the endpoint answer with the new primary."""

    region: str


@dataclass(frozen=True, slots=True)
class StandDown:
    """Call everything off that is under way."""


Action = Begin | AwaitEvidence | SendFence | AskCandidates | Promote | MoveEndpoint | StandDown

_Step = tuple[State, tuple[Action, ...]]


def decide(policy: Policy, state: State, seen: Observation) -> _Step:
    """Return the next state and what to do, given one observation.

    An observation that does not fit the stage changes nothing: messages arrive late.
    """
    match seen:
        case Verdict():
            return _on_verdict(policy, state, seen)
        case StepDone(stage) if stage == state.stage:
            return _on_step(policy, state)
        case Assessed(misjudged) if state.stage == Stage.ASSESSING:
            return _on_decided(policy, state._replace(misjudged=misjudged))
        case FenceConfirmed(target) if target == state.primary and state.stage in AWAITING_FENCE:
            return _choose(state._replace(confirmed_gone=True))
        case FenceUnconfirmed() if state.stage == Stage.FENCING:
            return _on_unconfirmed(policy, state)
        case EvidenceTimeout() if state.stage in {Stage.AWAITING_EVIDENCE, Stage.FENCING, Stage.OVERRIDING}:
            return _choose(state)
        case Candidates(reachable) if state.stage == Stage.CHOOSING:
            return _on_candidates(policy, state, reachable)
        case PromotionDone() if state.stage == Stage.PROMOTING:
            return (_at(state, Stage.FINISHING), (Begin(Stage.FINISHING),)) if policy.finishes else _redirect(state)
        case PromotionFailed() if state.stage == Stage.PROMOTING:
            return _choose(state._replace(tried=(*state.tried, state.candidate), candidate=""))
        case EndpointMoved() if state.stage == Stage.REDIRECTING:
            return State(primary=state.candidate, round=state.round + 1), ()
        case _:
            return state, ()


def _on_verdict(policy: Policy, state: State, seen: Verdict) -> _Step:
    if seen.down and state.stage == Stage.WATCHING:
        if seen.cooling:
            return _at(state, Stage.COOLING), (Begin(Stage.COOLING),)
        return _alarm(policy, state)
    if not seen.down and state.stage in BEFORE_COMMITMENT and not state.confirmed_gone:
        return State(primary=state.primary, round=state.round), (StandDown(),)
    return state, ()


def _at(state: State, stage: Stage) -> State:
    """Return the state in another stage."""
    return State(stage, *state[1:])


def _alarm(policy: Policy, state: State) -> _Step:
    first = Stage.PAGING if policy.operator else Stage.DELAYING
    return _at(state, first), (Begin(first),)


def _on_step(policy: Policy, state: State) -> _Step:
    match state.stage:
        case Stage.COOLING:
            return _alarm(policy, state)
        case Stage.PAGING:
            return _at(state, Stage.ACKNOWLEDGING), (Begin(Stage.ACKNOWLEDGING),)
        case Stage.ACKNOWLEDGING:
            return _at(state, Stage.ASSESSING), (Begin(Stage.ASSESSING),)
        case Stage.DELAYING:
            return _on_decided(policy, state)
        case Stage.PREPARING:
            return _on_prepared(policy, state)
        case Stage.FINISHING:
            return _redirect(state)
        case Stage.FENCE_PAUSE:
            return _fence(state)
        case Stage.OVERRIDING:
            return _choose(state)
        case _:
            return state, ()


def _on_decided(policy: Policy, state: State) -> _Step:
    if policy.prepares:
        return _at(state, Stage.PREPARING), (Begin(Stage.PREPARING),)
    return _on_prepared(policy, state)


def _on_prepared(policy: Policy, state: State) -> _Step:
    believes = state.misjudged and policy.requires_gone
    if policy.fence and not (believes and policy.then != "block"):
        state, actions = _fence(state)
        waits = policy.requires_gone and policy.then != "block"
        return state, (*actions, AwaitEvidence()) if waits else actions
    if policy.requires_gone and not believes:
        return _at(state, Stage.AWAITING_EVIDENCE), (AwaitEvidence(),)
    return _choose(state)


def _fence(state: State) -> _Step:
    state = state._replace(stage=Stage.FENCING, fence_attempt=state.fence_attempt + 1)
    return state, (SendFence(state.primary),)


def _on_unconfirmed(policy: Policy, state: State) -> _Step:
    if state.fence_attempt <= policy.fence_retries:
        return _fence(state)
    match policy.then:
        case "block":
            return _at(state, Stage.FENCE_PAUSE), (Begin(Stage.FENCE_PAUSE),)
        case "proceed":
            return _choose(state)
        case "operator-override":
            return _at(state, Stage.OVERRIDING), (Begin(Stage.OVERRIDING),)


def _redirect(state: State) -> _Step:
    return _at(state, Stage.REDIRECTING), (MoveEndpoint(state.candidate),)


def _choose(state: State) -> _Step:
    return _at(state, Stage.CHOOSING), (AskCandidates(),)


def _on_candidates(policy: Policy, state: State, reachable: tuple[Candidate, ...]) -> _Step:
    fit = [item for item in reachable if policy.max_lag_s is None or item.lag_s <= policy.max_lag_s]
    if policy.order:
        fit = [item for item in fit if item.region in policy.order]
    if not fit:
        return state, ()
    # Those that failed before come last, so that a lone candidate is tried again.
    fresh = [item for item in fit if item.region not in state.tried]
    pool = fresh or fit
    if policy.order:
        best = min(pool, key=lambda item: policy.order.index(item.region))
    else:
        best = max(pool, key=lambda item: (item.position, item.region))
    tried = state.tried if fresh else ()
    return state._replace(stage=Stage.PROMOTING, candidate=best.region, tried=tried), (Promote(best.region),)
