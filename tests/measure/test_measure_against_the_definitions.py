"""Whole chunks at once, against one client and one instant at a time; and the laws, over random traces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from mrsim.measure.bins import Fate, bins_of
from mrsim.measure.intervals import Outages
from mrsim.measure.ledger import Ledger, Load
from mrsim.population import Population
from mrsim.rng import Draws
from mrsim.routes import Routes
from mrsim.trace import PHASES, Trace
from tests.measure import oracle
from tests.measure.strategies import chunks
from tests.measure.traces import FAULT_S, HORIZON_S, measured, scenario

ACKED = (Fate.KEPT, Fate.LOST, Fate.DIVERGENT, Fate.PENDING)


def outages_of(traces: list[Trace], op: str) -> tuple[Outages, Ledger]:
    model = scenario()
    population = Population(model)
    routes = Routes(model, population, population.phases(Draws(1, 0, len(traces))), traces)
    found = Outages(population, np.full(len(traces), FAULT_S), HORIZON_S, model.stable_for)
    bins = [bins_of(trace.stores["db"]) for trace in traces]
    ledger = Ledger(
        Load(model.stores["db"], np.zeros(len(traces))), bins, HORIZON_S, 1, set(), np.full(len(traces), np.nan)
    )
    if op == "read":
        for slab in routes.reads("front"):
            found.add(slab)
        return found.finish(), ledger
    for slab in routes.writes("api", lambda trial, node: bins[trial].pieces[node]):
        ledger.add(slab)
        found.add(slab, ledger.accepted(slab, *(ACKED if op == "write" else (Fate.KEPT,))))
    return found.finish(), ledger


@pytest.mark.parametrize("op", ["read", "write", "durable"])
@given(traces=chunks(2))
@settings(max_examples=40)
def test_outages_of_every_client_against_the_definitions(op: str, traces: list[Trace]) -> None:
    found, _ = outages_of(traces, op)
    for trial, row in enumerate(oracle.clients(scenario(), traces, Draws(1, 0, len(traces)))):
        expected = np.array([oracle.outage(client, op) for client in row])
        first, recovered, longest, downtime = expected.T
        np.testing.assert_allclose(found.first_fail_s[trial], first)
        np.testing.assert_allclose(
            np.where(found.finished[trial], found.recovered_s[trial], np.inf),
            np.where(recovered < HORIZON_S, recovered, np.inf),
        )
        np.testing.assert_allclose(found.longest_s[trial], longest, atol=1e-9)
        np.testing.assert_allclose(found.downtime_s[trial], downtime, atol=1e-9)
        last = [[good for start, _, good in oracle.stretches(client, op) if start < HORIZON_S][-1] for client in row]
        np.testing.assert_array_equal(found.down_at_end[trial], ~np.array(last))


@given(traces=chunks(2))
@settings(max_examples=40)
def test_the_ledger_against_the_definitions(traces: list[Trace]) -> None:
    _, ledger = outages_of(traces, "write")
    for trial, row in enumerate(oracle.clients(scenario(), traces, Draws(1, 0, len(traces)))):
        expected = dict.fromkeys((fate.name.lower() for fate in Fate), 0.0)
        for client in row:
            for name, seconds in oracle.masses(client).items():
                if name != "refused":
                    expected[name] += seconds * client.weight * 10.0
        for fate in Fate:
            bins = ledger.bins[trial]
            mass = sum(ledger.mass[trial, index] for index, b in enumerate(bins) if b.fate == fate)
            assert mass == pytest.approx(expected[fate.name.lower()], abs=1e-6), fate


@given(traces=chunks(3))
@settings(max_examples=40)
def test_the_ledger_is_a_partition_of_all_attempts(traces: list[Trace]) -> None:
    """Law 1."""
    values = measured(traces).values
    count = {name: values[f"{name}{{store=db}}"] for name in COUNTS}
    acknowledged = count["kept_writes"] + count["lost_writes"] + count["divergent_writes"] + count["pending_writes"]
    np.testing.assert_array_equal(acknowledged, count["acknowledged_writes"])
    in_doubt = count["in_doubt_survived"] + count["in_doubt_gone"]
    np.testing.assert_array_equal(acknowledged + in_doubt + count["refused_writes"], count["attempted_writes"])
    for column in count.values():
        np.testing.assert_array_equal(column, np.floor(column))
        assert np.all(column >= 0)
    absent = count["lost_writes"] + count["divergent_writes"] > 0
    decided = np.array([trace.stores["db"].decided for trace in traces])
    loss = values["data_loss_s{store=db}"]
    assert np.all((loss > 0)[decided] == absent[decided])
    assert np.all(values["data_loss_at_fault_s{store=db}"] <= loss)


COUNTS = (
    "attempted_writes",
    "acknowledged_writes",
    "kept_writes",
    "lost_writes",
    "divergent_writes",
    "pending_writes",
    "in_doubt_survived",
    "in_doubt_gone",
    "refused_writes",
)


@given(traces=chunks(3))
@settings(max_examples=40)
def test_phases_add_up_to_the_outage(traces: list[Trace]) -> None:
    """Law 2, for the mean and for the client at every quantile."""
    values = measured(traces).values
    for service, op in (("front", "read"), ("api", "write")):
        labels = f"service={service},op={op}"
        parts = np.array([values[f"phase_s{{{labels},part={part}}}"] for part in PHASES])
        some = ~np.isnan(parts).any(axis=0)
        assert np.all(parts[:, some] >= 0)
        found, _ = outages_of(traces, op)
        until = np.where(found.finished, found.recovered_s, HORIZON_S)
        weight = np.where(found.affected, found.population.weight, 0.0)
        lasted = np.where(found.affected, until - np.where(found.affected, found.first_fail_s, 0.0), 0.0)
        mean = (weight * lasted)[some].sum(axis=1) / weight[some].sum(axis=1)
        np.testing.assert_allclose(parts[:, some].sum(axis=0), mean, rtol=0, atol=1e-9)
        np.testing.assert_allclose(
            parts[:, some].sum(axis=0), values[f"rto_mean_s{{{labels}}}"][some], rtol=0, atol=1e-9
        )
        for clients in ("50%", "95%", "99%"):
            at = np.array([values[f"phase_at_s{{{labels},clients={clients},part={part}}}"] for part in PHASES])
            rto = values[f"rto_s{{{labels},clients={clients},of=affected}}"]
            np.testing.assert_allclose(at.sum(axis=0), rto, rtol=0, atol=1e-9)


@given(traces=chunks(3))
@settings(max_examples=20)
def test_a_trial_alone_gives_the_numbers_of_the_chunk(traces: list[Trace]) -> None:
    """Law 6, to the last bit."""
    together = measured(traces)
    for trial, trace in enumerate(traces):
        alone = measured([trace], first=trial)
        for column, values in together.values.items():
            np.testing.assert_array_equal(values[trial : trial + 1], alone.values[column], err_msg=column)
        for column, status in together.status.items():
            np.testing.assert_array_equal(status[trial : trial + 1], alone.status[column], err_msg=column)
        for name, curve in together.curves.items():
            np.testing.assert_array_equal(curve[trial : trial + 1], alone.curves[name], err_msg=name)


@given(traces=chunks(2))
@settings(max_examples=20)
def test_a_cohort_of_share_zero_changes_no_other_number(traces: list[Trace]) -> None:
    """Law 8."""
    for trace in traces:
        trace.answers["shop"]["nobody"] = trace.answers["shop"]["east-users"]
    more = "  nobody: {near: east, share: 0%, resolvers: honest, class: app, points: 5}"
    alone, beside = measured(traces), measured(traces, scenario(more_clients=more))
    for column, values in alone.values.items():
        np.testing.assert_array_equal(values, beside.values[column], err_msg=column)


@given(traces=chunks(2))
@settings(max_examples=40)
def test_the_durable_recovery_is_never_sooner(traces: list[Trace]) -> None:
    """Of clients that first fail at the same instant: one that loses writes before may be over that outage sooner."""
    told, kept = (outages_of(traces, op)[0] for op in ("write", "durable"))
    assert np.all(kept.first_fail_s <= told.first_fail_s)
    same = kept.first_fail_s == told.first_fail_s
    assert np.all((kept.recovered_s >= told.recovered_s)[same])
    assert np.all(kept.downtime_s >= told.downtime_s - 1e-9)
