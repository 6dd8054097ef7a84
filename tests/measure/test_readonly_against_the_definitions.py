"""Time read-only and down, against one client and one instant at a time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings

from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from mrsim.trace import Trace
from tests.measure import oracle
from tests.measure.strategies import chunks
from tests.measure.traces import TEXT, lost_west, measured

FIELDS = {"commit": "async", "reconnect": "2s", "bursts": "", "more_clients": "", "budgets": ""}
MODEL = loads(
    TEXT.format(**FIELDS)
    .replace("  front: {reads: {db: nearest}}\n", "")
    .replace("api: {writes: db}", "api: {reads: {db: nearest}, writes: db, read_only: true}")
    .replace("serves: [front, api]", "serves: [api]")
)


@given(traces=chunks(2))
@settings(max_examples=40)
def test_states_of_every_client_against_the_definitions(traces: list[Trace]) -> None:
    for trace in traces:
        # The oracle's reads are of another service, which need not be started where this one is.
        trace.serving = {}
    found = measured(traces, MODEL).values
    for trial, row in enumerate(oracle.clients(MODEL, traces, Draws(1, 0, len(traces)))):
        read_only = down = 0.0
        for client in row:
            cuts = [cut for cut in oracle.instants(client) if cut <= client.trace.horizon_s]
            for start, end in pairwise(cuts):
                middle = (start + end) / 2
                span = client.commits_in(middle)
                writes = span is not None and middle < span.acked_until_s
                reads = client.reads(middle)
                read_only += client.weight * (end - start) * (reads and not writes)
                down += client.weight * (end - start) * (not reads and not writes)
        for metric, expected in (("read_only_s", read_only), ("down_s", down)):
            np.testing.assert_allclose(found[f"{metric}{{service=api,from=all}}"][trial], expected, atol=1e-6)


def test_a_lost_region_leaves_its_people_down_and_the_others_read_only() -> None:
    """The east reads on from its own copy; the west reads again as its record moves, and both write again together."""
    found = measured([lost_west()], MODEL).values
    for cohort in ("west-users", "east-users"):
        read_only, down, reads, writes = (
            found[f"{name},from={cohort}}}"][0]
            for name in (
                "read_only_s{service=api",
                "down_s{service=api",
                "downtime_s{service=api,op=read",
                "downtime_s{service=api,op=write",
            )
        )
        np.testing.assert_allclose(down, reads, atol=1e-6)
        np.testing.assert_allclose(read_only, writes - reads, atol=1e-6)
        assert read_only > 1.0
        assert (down > 1.0) == (cohort == "west-users")
