"""Ways round by a proxy's second try, against one client and one instant at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.trace import INF, Change, Trace
from tests.measure import oracle
from tests.measure.strategies import TIMES, chunks
from tests.measure.traces import HORIZON_S, TEXT, measured

FIELDS = {"commit": "async", "reconnect": "2s", "bursts": "", "more_clients": "", "budgets": ""}
WAYS = [(cohort, region) for cohort in ("west-users", "east-users") for region in ("west", "east")]


def text(writes: str) -> str:
    edge = f"policy: anycast, converges: 0s..20s, edge: {{{{connect_timeout: 5s, writes: {writes}}}}}"
    return TEXT.replace("policy: latency, ttl: 60s", edge).format(**FIELDS)


MODELS = {writes: loads(text(writes)) for writes in ("true", "false")}


@st.composite
def tried(draw: st.DrawFn) -> list[Trace]:
    """Traces in which requests of some ways are tried elsewhere for some time."""
    traces = draw(chunks(2))
    for trace in traces:
        ways = {}
        for cohort, region in draw(st.lists(st.sampled_from(WAYS), unique=True)):
            changes = [Change(-INF, "")]
            for at_s in sorted(draw(st.lists(TIMES, min_size=1, max_size=4, unique=True))):
                others = [name for name in ("west", "east", "") if name not in (region, changes[-1].target)]
                cause = draw(st.sampled_from([i for i, event in enumerate(trace.events) if event.at_s <= at_s] or [-1]))
                changes.append(Change(at_s, draw(st.sampled_from(others)), cause))
            ways[cohort, region] = changes
        trace.tries = {"shop": ways}
    return traces


@pytest.mark.parametrize("writes", MODELS)
@given(traces=tried())
@settings(max_examples=40)
def test_outages_of_every_client_against_the_definitions(writes: str, traces: list[Trace]) -> None:
    model = MODELS[writes]
    found = measured(traces, model).values
    for trial, row in enumerate(oracle.clients(model, traces, Draws(1, 0, len(traces)))):
        for op, labels in (("read", "service=front,op=read"), ("write", "service=api,op=write")):
            outages = np.array([oracle.outage(client, op) for client in row])
            weights = np.array([client.weight for client in row])
            downtime = (weights * outages[:, 3]).sum()
            np.testing.assert_allclose(found[f"downtime_s{{{labels},from=all}}"][trial], downtime, atol=1e-6)
            affected = (weights * np.isfinite(outages[:, 0])).sum()
            np.testing.assert_allclose(found[f"affected_share{{{labels}}}"][trial], affected, atol=1e-9)
            again = sum(client.weight * second_s(client, op) for client in row)
            np.testing.assert_allclose(found[f"retried_s{{{labels}}}"][trial], again, atol=1e-6)


def second_s(client: oracle.Client, op: str) -> float:
    """Seconds in which a client's requests get through in another region than they are sent to."""
    edge = client.scenario.dns["shop"].edge
    assert edge is not None
    if op == "write" and not edge.writes:
        return 0.0
    total = 0.0
    for start, end in zip(cuts := oracle.instants(client), [*cuts[1:], np.inf], strict=True):
        until = min(end, HORIZON_S)
        middle = (start + until) / 2
        if until <= start:
            continue
        span = client.commits_in(middle) if op == "write" else None
        good = client.reads(middle) if op == "read" else span is not None and middle < span.acked_until_s
        sent = [target for since, target in client.regions if since <= middle][-1]
        total += (until - start) * (good and client.region(middle, reading=op == "read") != sent)
    return total
