"""Laws that the engine keeps in whatever scenario: causes, histories, who can acknowledge, what standbys hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import Phase, given, settings
from hypothesis import seed as seed_of_examples
from hypothesis import strategies as st

from mrsim.rng import Draws
from mrsim.scenario.model import Scenario
from mrsim.sim.behind import Backed
from mrsim.sim.build import Builder
from mrsim.sim.parts import Parts
from mrsim.sim.run import Simulator
from mrsim.sim.supplies import Supply
from mrsim.sim.world import Sampler, World
from mrsim.trace import INF, NO_EVENT, PHASES, Event, StoreTrace, Trace
from tests.properties.measured import check_measured
from tests.strategies import REGIONS, Data, read, scenario_data

TRIALS = 3
TINY_S = 1e-6
MOST_STEPS = 20_000
"""Of a trial; generated ones take a few hundred."""


# Laws of a trace -----------------------------------------------------------------------------------------------------


def check_events(trace: Trace, scenario: Scenario) -> None:
    """Every event has a cause before it, and nothing but what was planned happens before the first fault.

    Where paths lose messages at all times, probes fail without a fault.
    """
    for index, event in enumerate(trace.events):
        assert NO_EVENT <= event.cause < index, event
        assert event.phase in ("", *PHASES), event
        early = event.kind == "ttl-lowered" or scenario.network.loss > 0.0
        assert early or trace.fault_s <= event.at_s, event
        assert event.at_s <= trace.horizon_s, event
        if event.cause != NO_EVENT:
            assert trace.events[event.cause].at_s <= event.at_s, event
    assert all(earlier.at_s <= later.at_s for earlier, later in pairwise(trace.events))
    assert trace.end_s <= trace.horizon_s


def check_acknowledgements(trace: Trace, store: StoreTrace) -> None:
    """Spans of a node come one after the other, and none while its region is lost."""
    for name, spans in store.acks.items():
        for span in spans:
            assert span.start_s <= span.acked_until_s <= span.end_s, (name, span)
            assert store.histories[span.history].node == name
        for earlier, later in pairwise(spans):
            assert earlier.end_s <= later.start_s, (name, earlier, later)
        for start, end in lost_spans(trace, name):
            for span in spans:
                assert span.end_s <= start + TINY_S or span.start_s >= end - TINY_S, (name, span, start, end)


def check_histories(trace: Trace, store: StoreTrace, indirect: set[str]) -> None:
    """Each history begins at a promotion, from an earlier one, at a point that its node can have received.

    What the nodes of ``indirect`` hold came to them from another standby or out of an archive.
    """
    assert store.histories[0].parent == NO_EVENT
    survivor = region_of(store.histories[store.surviving].node)
    # What a manager promotes in a cluster that was given up survives nowhere.
    assert all(region_of(later.node) != survivor for later in store.histories[store.surviving + 1 :])
    for number, history in enumerate(store.histories[1:], start=1):
        parent = store.histories[history.parent]
        event = trace.events[history.event]
        assert 0 <= history.parent < number
        assert history.forked_at_s <= history.began_s, history
        assert (event.kind, event.subject, event.at_s) == ("promoted", history.node, history.began_s)
        if history.node == parent.node:
            # A former primary that is a standby again, and is promoted before it has followed anybody.
            back = [e for e in trace.events if e.subject == history.node and e.at_s <= history.began_s]
            as_standby = ("starts as standby", "answers reads, as standby")
            assert any(e.kind == "demoted" or e.note in as_standby for e in back), history
            continue
        # What was on the way when the path closed may have arrived within a second.
        region = history.node.rpartition("@")[2]
        links = trace.links.get((region, parent.node))
        if links is not None and region not in indirect:
            held = [
                link for link in links if link.start_s <= history.began_s and history.forked_at_s <= link.end_s + 1.0
            ]
            assert held, (history, links)


def check_serving(trace: Trace) -> None:
    """Instances that are started serve after their last step, never while their region is lost, and one after other."""
    for (service, region), spans in trace.serving.items():
        for earlier, later in pairwise(spans):
            assert earlier.end_s <= later.start_s, (service, region)
        for span in spans:
            if span.start_s == -INF:
                continue
            began = trace.events[span.began_by]
            assert (began.kind, began.subject, began.at_s) == ("serving", f"{service}@{region}", span.start_s)
            steps = [e for e in trace.events if e.subject == began.subject and e.at_s <= began.at_s]
            assert any(event.kind == "start-ordered" for event in steps) or spans[0].end_s > -INF
        for start, end in lost_spans(trace, f"{service}@{region}"):
            assert all(span.end_s <= start or span.start_s >= end for span in spans), (service, region)


def region_of(node: str) -> str:
    """Return the region of a generated node, which may stand in a zone of it."""
    site = node.rpartition("@")[2]
    return next(region for region in REGIONS if site.startswith(region))


def lost_spans(trace: Trace, node: str) -> list[tuple[float, float]]:
    """Return when a node's region, zone or host was lost, from the faults' own events."""
    spans = []
    lost = {(node.rpartition("@")[2], "zone-loss"), (region_of(node), "region-loss"), (node, "node-loss")}
    for index, event in enumerate(trace.events):
        if event.kind == "fault-starts" and (event.subject, event.note.partition(",")[0]) in lost:
            ends = [e.at_s for e in trace.events if e.kind == "fault-ends" and e.cause == index]
            spans.append((event.at_s, min(ends, default=INF)))
    return spans


def count(seen: Counter[str], trace: Trace) -> None:
    """Note what a trial had in it."""
    store = trace.stores["db"]
    kinds = Counter(event.kind for event in trace.events)
    promoted = len(store.histories) > 1
    seen["promoted"] += promoted
    seen["promoted twice"] += len(store.histories) > 2
    decided = min((event.at_s for event in trace.events if event.kind in ("decided", "lease-acquired")), default=INF)
    healed = min((event.at_s for event in trace.events if event.kind == "fault-ends"), default=INF)
    seen["healed before a decision"] += healed < decided
    seen["fenced"] += bool(kinds["fenced"] or kinds["writes-refused"])
    seen["stalled"] += any(a.acked_until_s < b.start_s for spans in store.acks.values() for a, b in pairwise(spans))
    seen["old primary back"] += promoted and any(
        event.kind == "node-up" and event.subject == store.histories[0].node for event in trace.events
    )
    seen["split"] += any(
        max(a.start_s, b.start_s) < min(a.acked_until_s, b.acked_until_s)
        for one, spans in store.acks.items()
        for other, others in store.acks.items()
        for a in spans
        for b in others
        if one < other
    )
    seen["endpoint moved"] += bool(kinds["endpoint-moved"])
    seen["answer changed"] += bool(kinds["answer-changed"])
    seen["lease expired"] += bool(kinds["lease-expired"])
    seen["scaled up"] += bool(kinds["serving"])
    seen["workers moved"] += any(event.kind == "serving" and "worker@" in event.subject for event in trace.events)
    seen["management moved"] += bool(kinds["management-moved"])
    seen["workers stopped"] += bool(kinds["stopped"])
    seen["loss"] += any(
        span.acked_until_s > later.forked_at_s and span.history == later.parent
        for later in store.histories[1:]
        for spans in store.acks.values()
        for span in spans
    )
    seen["overlapping faults"] += overlapping(trace.events)


def overlapping(events: list[Event]) -> bool:
    """Return whether two faults were on at the same time."""
    under_way = 0
    for event in events:
        under_way += (event.kind == "fault-starts") - (event.kind == "fault-ends")
        if under_way > 1:
            return True
    return False


# Laws at every step --------------------------------------------------------------------------------------------------


def watched(scenario: Scenario, seed: int, trial: int) -> tuple[list[Event], Parts]:
    """Run one trial step by step and look at every node after each."""
    world = World(Sampler(Draws(seed, trial, 1)), 0, scenario.horizon)
    parts, _ = Builder(scenario).build(world)
    queue = world.clock._queue
    steps = 0
    held: dict[str, tuple[bool, int, float]] = {}
    while world.clock.pending and queue and queue[0][0] < scenario.horizon:
        world.clock.step()
        steps += 1
        assert steps < MOST_STEPS, f"endless at {world.now}"
        for database in parts.databases.values():
            for node in database.nodes.values():
                if node.acknowledging:
                    assert node.running, node.name
                    assert node.role == "primary", node.name
                    assert not node.fenced, node.name
                    assert parts.network.alive(node.region), node.name
                if node.running:
                    assert parts.network.alive(node.region), node.name
                if node.role != "standby":
                    held.pop(node.name, None)
                    continue
                history, position = database.streaming.position(node)
                assert position <= world.now + TINY_S, (node.name, position, world.now)
                # What has landed in an archive is fetched from it whether or not more is shipped.
                supplied = node.upstream is not None and isinstance(node.upstream.stream, (Supply, Backed))
                silent = node.upstream is None or not (node.upstream.flowing or supplied)
                # Nothing is received while no WAL flows, so nothing more is held. Of the commit times between which
                # nothing was written, all mean the same.
                if silent and held.get(node.name, (False, 0, 0.0))[:2] == (silent, history):
                    less, more = sorted((held[node.name][2], position))
                    got = database.streaming.lines[history].bytes_between(less, more)
                    assert more - less <= TINY_S or got == 0.0, node.name
                held[node.name] = (silent, history, position)
    return world.events, parts


def check_same(events: list[Event], watched_ones: list[Event]) -> None:
    """The same happened; looking at a queue's level on the way moves its times by no more than rounding."""
    assert [replace(event, at_s=0.0) for event in events] == [replace(event, at_s=0.0) for event in watched_ones]
    for event, seen in zip(events, watched_ones, strict=True):
        assert event.at_s == pytest.approx(seen.at_s, rel=1e-12, abs=1e-9), event


def check_engine(data: Data, seed: int) -> list[Trace]:
    """Check the laws of the engine in some trials of a scenario; return their traces."""
    scenario = read(data)
    events, _ = watched(scenario, seed, 0)
    traces = Simulator(scenario).run_chunk(seed, 0, TRIALS)
    check_same(traces[0].events, events)
    standbys = scenario.stores["db"].standbys
    indirect = {standby.region for standby in standbys if standby.source or standby.via != "stream"}
    for trial, trace in enumerate(traces):
        assert (trace.seed, trace.trial) == (seed, trial)
        check_events(trace, scenario)
        check_serving(trace)
        for store in trace.stores.values():
            check_acknowledgements(trace, store)
            check_histories(trace, store, indirect)
    # Law 6: trial k alone equals trial k of the chunk.
    last = TRIALS - 1
    assert Simulator(scenario).run_chunk(seed, last, 1) == traces[last:]
    return traces


@settings(max_examples=150)
@given(scenario_data(), st.integers(0, 2**32))
def test_laws_of_the_engine(data: Data, seed: int) -> None:
    check_engine(data, seed)


LEAST_SHARE = {
    "promoted": 0.30,
    "loss": 0.10,
    "split": 0.02,
    "healed before a decision": 0.10,
    "overlapping faults": 0.10,
    "old primary back": 0.05,
    "fenced": 0.02,
    "stalled": 0.10,
    "endpoint moved": 0.20,
    "answer changed": 0.10,
    "lease expired": 0.03,
    "scaled up": 0.08,
    "workers moved": 0.05,
    "workers stopped": 0.01,
    "management moved": 0.01,
}
"""Share of the scenarios in which it must have happened in some trial: laws hold easily where nothing does."""
PARTS, PER_PART = 4, 500


@pytest.mark.slow
@pytest.mark.timeout(1800)  # 500 scenarios, not one
@pytest.mark.parametrize("part", range(PARTS))
def test_laws_of_the_engine_in_many_scenarios(part: int) -> None:
    """The same over 2,000 scenarios, with measured laws 1 and 2, and a count of what happened in them."""
    seen: Counter[str] = Counter()
    made = 0

    @seed_of_examples(part)
    @settings(max_examples=PER_PART, phases=[Phase.explicit, Phase.generate], derandomize=False, database=None)
    @given(scenario_data(), st.integers(0, 2**32))
    def check(data: Data, seed: int) -> None:
        nonlocal made
        traces = check_engine(data, seed)
        check_measured(read(data), traces, seed)
        here: Counter[str] = Counter()
        for trace in traces:
            count(here, trace)
        made += 1
        seen.update(what for what, times in here.items() if times)

    check()
    assert made >= PER_PART
    assert not {what: seen[what] for what, share in LEAST_SHARE.items() if seen[what] < share * made}, (made, seen)


@settings(max_examples=60)
@given(scenario_data(with_faults=False), st.integers(0, 2**32))
def test_without_a_fault_nothing_happens(data: Data, seed: int) -> None:
    """Law 5."""
    for trace in Simulator(read(data)).run_chunk(seed, 0, TRIALS):
        assert trace.events == []
        assert trace.fault_s == INF
        assert trace.stopped_early
        store = trace.stores["db"]
        assert len(store.histories) == 1
        assert (store.decided, store.replicated_until_s) == (True, INF)
        primary = store.histories[0].node
        for name, spans in store.acks.items():
            assert [(span.start_s, span.acked_until_s, span.end_s) for span in spans] == [(-INF, INF, INF)] * (
                name == primary
            )


@pytest.mark.parametrize("added", ["region", "cohort", "witness", "control point", "metric"])
def test_what_is_not_used_changes_nothing(added: str) -> None:
    """Law 8."""

    @settings(max_examples=40)
    @given(scenario_data(), st.integers(0, 2**32))
    def check(data: Data, seed: int) -> None:
        before = Simulator(read(data)).run_chunk(seed, 0, TRIALS)
        after = Simulator(read(with_more(data, added))).run_chunk(seed, 0, TRIALS)
        for old, new in zip(before, after, strict=True):
            assert new.events == old.events
            assert (new.fault_s, new.end_s) == (old.fault_s, old.end_s)
            # A fault that touched nothing may touch what was added (an isolation cuts the new region off as well).
            assert all(now or not was for was, now in zip(old.fault_effects, new.fault_effects, strict=True))
            store, other = old.stores["db"], new.stores["db"]
            assert other.histories == store.histories
            assert (other.acks, other.reads, other.redundant) == (store.acks, store.reads, store.redundant)
            assert (other.decided, other.replicated_until_s) == (store.decided, store.replicated_until_s)
            assert {region: other.endpoint[region] for region in store.endpoint} == store.endpoint
            assert {key: new.front.get(key) for key in old.front} == old.front
            assert {key: new.links.get(key) for key in old.links} == old.links
            for record, answers in old.answers.items():
                assert {cohort: new.answers[record][cohort] for cohort in answers} == answers

    check()


def with_more(data: Data, added: str) -> Data:
    """Return the scenario with something in it that nobody uses."""
    more = dict(data)
    if added == "region":
        more["regions"] = [*data["regions"], "af-south"]
        written = data["network"]["rtt"]
        rtt = {"preset": written} if isinstance(written, str) else written
        rtt |= {f"{region}/af-south": "150ms" for region in data["regions"]}
        more["network"] = data["network"] | {"rtt": rtt}
    elif added == "cohort":
        nobody = data["clients"]["users"] | {"share": "0%"}
        more["clients"] = data["clients"] | {"nobody": nobody}
        record = data["dns"]["shop"]
        if "locations" in record:
            # In the same place: who is answered with other regions would see other answers change.
            where = record["locations"] | {"nobody": record["locations"]["users"]}
            more["dns"] = {"shop": record | {"locations": where}}
    elif added == "witness":
        more["witnesses"] = data["witnesses"] | {"another": {"rtt": "40ms"}}
    elif added == "control point":
        more["control_points"] = data["control_points"] | {"another": {"inside": data["regions"][0]}}
    else:
        more["budgets"] = {"rpo{store=db}": ["p99 < 1min"]}
    return more
