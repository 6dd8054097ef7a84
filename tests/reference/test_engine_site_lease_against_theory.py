"""A lease in each site: Patroni's bounds for a lost node, a dead database, a cut-off and a forgotten holder."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mrsim.errors import ScenarioError
from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.sim.run import Simulator
from mrsim.study.run import run
from mrsim.trace import INF, Trace

ALPHA = 1e-5
TRIALS = 1000
MEASURED = Path(__file__).resolve().parents[1] / "lab" / "data" / "patroni_failover.csv.gz"
TEXT = """
name: sites
horizon: 2h
regions: [us-east, us-west]
zones: {us-east: [a, b, c], us-west: [d, e]}
network: {rtt: {us-east/us-west: 60ms}}
stores:
  db:
    primary: a
    standbys: [b, c, d, e]
    endpoint: {ttl: 30s, moved_by: controller, takes: 2s, reconnect: 1s}
    wal: {commits: 50/s, bytes_per_commit: 2KB}
    in_region: {decide: {by: lease, preset: patroni}, takes: 1s, redirects: 3s, starts_after: 2s}
    failover:
      detect: {from: [us-west, operations], probe: write-path, every: 10s, fails: 18, timeout: 4s}
      decide: {by: operator, page: 1min, acknowledge: 2min, assess: 3min}
      promote: {takes: 3s}
      old_primary: {on_return: rejoins}
services:
  api: {writes: db}
dns:
  www: {serves: [api], policy: failover, ttl: 60s}
clients:
  users: {near: us-east, share: 100%, resolvers: honest, class: browser}
faults:
  - {kind: node-loss, store: db, region: a, at: 1000.37s}
"""
# 30 s less the age of the last renewal, U(0, 10), and the store's granularity, U(0.1, 1.1): a trapezoid.
EXPIRES = stats.trapezoid(1 / 11, 10 / 11, loc=20.1, scale=11.0)


def scenario(changes: dict[str, Any]) -> Scenario:
    return loads(TEXT).with_(changes)


def traces(changes: dict[str, Any], trials: int = 40, seed: int = 5) -> list[Trace]:
    return Simulator(scenario(changes)).run_chunk(seed, 0, trials)


def first(trace: Trace, kind: str, subject: str = "") -> float:
    """Return when the first such event was, after the fault; infinite if there was none."""
    times = [e.at_s for e in trace.events if e.kind == kind and e.subject.startswith(subject)]
    return min(times, default=INF) - trace.fault_s


def measured(mode: str) -> list[dict[str, str]]:
    with gzip.open(MEASURED, "rt", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["mode"] == mode and row["ttl"] == "30"]


def test_a_lost_holder_s_key_goes_a_ttl_after_its_last_renewal() -> None:
    times = np.array([first(trace, "lease-expired", "db@a") for trace in traces({}, TRIALS)])
    assert stats.kstest(times, EXPIRES.cdf).pvalue > ALPHA


def test_the_key_goes_when_it_does_in_measurements() -> None:
    """Nodes killed under Patroni 4.1.5 with the default timers."""
    rows = measured("node")
    assert len(rows) >= 10
    gone = [first(trace, "lease-expired", "db@a") for trace in traces({}, TRIALS)]
    assert stats.ks_2samp([float(row["key_gone_s"]) for row in rows], gone).pvalue > ALPHA


def test_a_new_leader_has_the_key_when_it_does_in_measurements() -> None:
    """With a router that refuses, nobody is silent: the race alone is between the key and the next leader."""
    lost = {"kind": "zone-loss", "zone": "a", "connections": "refused", "in_flight": "arrives", "at": "1000.37s"}
    rows = measured("node")
    found = [first(trace, "promotion-commanded") for trace in traces({"faults[0]": lost}, TRIALS)]
    assert stats.ks_2samp([float(row["new_leader_key_s"]) for row in rows], found).pvalue > ALPHA


def test_a_killed_database_runs_again_at_the_turn_that_measurements_name() -> None:
    """What the lease had left tells, to a second, when the agent's next turn was; recovery takes 1 to 4 s more."""
    rows = measured("pg")
    assert len(rows) >= 5
    for row in rows:
        turn_s = 10.0 - (30.0 - float(row["lease_ttl_left_at_kill_s"]))
        assert 0.5 < float(row["first_write_s"]) - turn_s < 4.5
    crash = {"kind": "process-crash", "store": "db", "region": "a", "at": "1000.37s", "lasts": "1ms"}
    found = traces({"faults[0]": crash}, TRIALS)
    times = np.array([first(trace, "node-up", "db@a") for trace in found])
    assert stats.kstest(times - 2.0, stats.uniform(0.0, 10.0).cdf).pvalue > ALPHA
    assert stats.ks_2samp([float(row["first_write_s"]) for row in rows], times).pvalue > ALPHA
    assert all(len(trace.stores["db"].histories) == 1 for trace in found)


def test_the_time_to_write_again_is_the_sum_of_its_parts() -> None:
    """The key, a silent member (2 s), the race (0.1 to 0.3 s), promotion (1 s), the proxy (3 s), the pool (1 s)."""
    results = run(scenario({}), trials=300, seed=4, workers=1)
    times = results.trials["rto_s{service=api,op=write,clients=50%,of=affected}"].to_numpy()
    assert stats.kstest(times - 7.2, EXPIRES.cdf).pvalue > ALPHA
    for trace in traces({}):
        _, new = trace.stores["db"].histories
        assert new.node in ("db@b", "db@c")


def test_a_database_that_cannot_be_started_costs_its_agent_the_key_at_the_next_turn() -> None:
    crash = {"faults[0]": {"kind": "process-crash", "store": "db", "region": "a", "at": "1000.37s"}}
    found = traces(crash, TRIALS)
    times = np.array([first(trace, "lease-released", "db@a") for trace in found])
    assert stats.kstest(times, stats.uniform(0.0, 10.0).cdf).pvalue > ALPHA
    assert all(first(trace, "promotion-commanded") < 10.4 for trace in found)


def test_one_that_takes_too_long_to_start_costs_it_too() -> None:
    """From the turn at which it was to start: 60 s."""
    slow = {"stores.db.in_region.starts_after": "2min", "stores.db.in_region.decide.start_timeout": "60s"}
    crash = {"kind": "process-crash", "store": "db", "region": "a", "at": "1000.37s", "lasts": "1ms"}
    for trace in traces(slow | {"faults[0]": crash}):
        assert 60.0 < first(trace, "lease-released", "db@a") < 70.0
        assert first(trace, "promoted") < 72.0
        assert first(trace, "standby-attached", "db@a") < INF


CUT = {"kind": "partition", "between": ["a"], "and": ["us-east", "b", "c"], "in_flight": "lost", "at": "1000.37s"}


def test_a_holder_that_is_cut_off_stops_before_another_begins() -> None:
    """It gives up 10 + 10 s after its last renewal, U(10, 20) after the cut; the key goes 10 s later at the least.

    It hears of the new primary from outside the site, and is rebuilt from it, 10 to 60 s, once the cut is over.
    """
    found = traces({"faults": [CUT | {"lasts": "10min"}]}, TRIALS)
    times = np.array([first(trace, "demoted", "db@a") for trace in found])
    assert stats.kstest(times, stats.uniform(10.0, 10.0).cdf).pvalue > ALPHA
    for trace in found:
        assert first(trace, "promoted") - first(trace, "demoted", "db@a") > 10.0
        assert 10.0 < first(trace, "standby-attached", "db@a") - 600.0 < 65.1
        (span,) = trace.stores["db"].acks["db@a"]
        assert span.end_s < trace.stores["db"].histories[1].began_s


def test_a_slow_clock_gives_a_lease_up_after_another_has_it() -> None:
    """20 s by a clock that counts one second in two are 40 s, ten more than the ttl; by one in 1.2, 24 s."""
    for drift, late in (("100%", True), ("20%", False)):
        changes = {"faults": [CUT | {"lasts": "10min"}], "stores.db.in_region.decide.clock_drift": drift}
        for trace in traces(changes):
            (span,) = trace.stores["db"].acks["db@a"]
            assert (span.end_s > trace.stores["db"].histories[1].began_s) is late


def test_one_that_is_back_in_time_goes_on() -> None:
    """Nine seconds need nobody to stop; with 20 s all have stopped, and are promoted again at their next turn."""
    for lasts, all_stop in (("9s", False), ("20.05s", True)):
        found = traces({"faults": [CUT | {"lasts": lasts}]})
        stopped = [first(trace, "demoted", "db@a") < INF for trace in found]
        assert all(stopped) if all_stop else not any(stopped)
        for trace in found:
            if first(trace, "lease-expired") == INF:
                assert len(trace.stores["db"].histories) == 1
                assert trace.stores["db"].acks["db@a"][-1].end_s == INF
            if first(trace, "resumed-as-primary") < INF:
                assert 21.05 < first(trace, "resumed-as-primary") < 31.05 + 1e-9


AGENT = {"kind": "agent-crash", "store": "db", "region": "a", "at": "1000.37s", "lasts": "5min"}


def test_an_agent_that_dies_alone_leaves_two_primaries_until_it_is_back() -> None:
    """Its database knows nothing of leases; there is no watchdog. The agent, when it starts, makes it a standby."""
    for trace in traces({"faults[0]": AGENT}):
        began = trace.stores["db"].histories[1].began_s
        (span,) = trace.stores["db"].acks["db@a"]
        assert began < span.end_s
        assert span.end_s - trace.fault_s == pytest.approx(302.0)
        assert first(trace, "standby-attached", "db@a") < INF


def test_a_watchdog_resets_its_host_before_the_lease_ends() -> None:
    """Five seconds before: U(15, 25) after the agent's death, while the key goes at U(20, 30) and later."""
    found = traces({"faults[0]": AGENT, "stores.db.in_region.decide.watchdog": "5s"}, TRIALS)
    times = np.array([first(trace, "node-down", "db@a") for trace in found])
    assert stats.kstest(times, stats.uniform(15.0, 10.0).cdf).pvalue > ALPHA
    for trace in found:
        (span,) = trace.stores["db"].acks["db@a"]
        assert span.end_s < trace.stores["db"].histories[1].began_s
        assert first(trace, "standby-attached", "db@a") < 25.0 + 90.0 + 2.0 + 60.0 + 5.1


def test_nobody_that_lags_by_more_than_the_limit_takes_the_lease() -> None:
    """Both standbys stall for two minutes, which are 12 MB: the site waits for its node, however long it is gone."""
    stalls = [
        {"kind": "replication-stall", "store": "db", "region": site, "at": "880s", "lasts": "30min"} for site in "bc"
    ]
    lost = {"kind": "node-loss", "store": "db", "region": "a", "at": "1000.37s", "lasts": "150s"}
    limit = "stores.db.in_region.decide.max_lag_bytes"
    for allowed, replaced in (("1MB", False), ("20MB", True)):
        for trace in traces({"faults": [*stalls, lost], limit: allowed}):
            assert (first(trace, "promoted", "db@b") < INF or first(trace, "promoted", "db@c") < INF) is replaced
            assert any(e.kind == "no-candidate" and "lags" in e.note for e in trace.events) is not replaced
            if not replaced:
                (_, again) = trace.stores["db"].acks["db@a"]
                assert again.start_s == pytest.approx(1000.37 + 150.0 + 2.0, abs=0.1)


def test_a_member_in_each_zone_needs_a_majority() -> None:
    """Cut from b and c, the holder still reaches the region; only where its members are the zones it is alone."""
    cut = {"kind": "partition", "between": ["a"], "and": ["b", "c"], "in_flight": "lost", "at": "1000.37s"}
    for voters, alone in (("region", False), ("zones", True)):
        for trace in traces({"faults": [cut], "stores.db.in_region.decide.voters": voters}):
            assert (first(trace, "lease-expired", "db@a") < INF) is alone
            assert len(trace.stores["db"].histories) == 1 + alone


def test_members_without_a_majority_promote_nobody() -> None:
    """Two zones of three are lost, the holder's among them: the third alone has no lease store."""
    lost = [
        {"kind": "zone-loss", "zone": zone, "connections": "hang", "in_flight": "lost", "at": "1000.37s"}
        for zone in "ab"
    ]
    for trace in traces({"faults": lost, "stores.db.in_region.decide.voters": "zones"}):
        assert [history.node for history in trace.stores["db"].histories] == ["db@a", "db@d"]


def test_a_lost_site_waits_for_a_person() -> None:
    lost = {"kind": "region-loss", "region": "us-east", "connections": "hang", "in_flight": "lost", "at": "1000.37s"}
    for trace in traces({"faults[0]": lost}):
        assert [history.node for history in trace.stores["db"].histories] == ["db@a", "db@d"]
        assert first(trace, "promoted") > 360.0
        assert first(trace, "lease-expired") == INF


def test_the_standby_leader_has_a_lease_too() -> None:
    for trace in traces({"faults[0].region": "d"}):
        assert 20.1 < first(trace, "lease-expired", "db@d") < 31.1
        assert first(trace, "leader-replaced", "db@e") - first(trace, "lease-expired") == pytest.approx(2.2, abs=0.1001)
        assert len(trace.stores["db"].histories) == 1


def test_a_switchover_inside_a_site_is_one_of_its_lease() -> None:
    """Patroni's ends all sessions and hands over by itself: no pipeline, and the checkpoint is most of it."""
    planned = {"kind": "switchover", "store": "db", "to": "b", "at": "1000.37s", "checkpoint": "2s"}
    for trace in traces({"faults[0]": planned}):
        assert [history.node for history in trace.stores["db"].histories] == ["db@a", "db@b"]
        assert 3.0 < first(trace, "promoted") < 4.1
        assert trace.stores["db"].acks["db@b"][0].start_s < trace.fault_s + 4.1


def test_timers_are_adjusted_as_the_product_does() -> None:
    asked = {"by": "lease", "preset": "patroni", "ttl": "10s", "loop_wait": "10s", "retry_timeout": "10s"}
    rule = scenario({"stores.db.in_region.decide": asked}).stores["db"].in_region
    assert rule is not None
    assert rule.decide is not None
    assert (rule.decide.ttl, rule.decide.loop_wait, rule.decide.retry_timeout) == (20.0, 1.0, 9.0)


PATRONI = {"by": "lease", "preset": "patroni"}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"decide": PATRONI, "grace": "40s"}, "'grace' has no effect under a lease"),
        ({"decide": PATRONI, "preset": "cloudnative-pg-1-30"}, "'preset' has no effect under a lease"),
        ({"decide": PATRONI, "lease": "15s"}, "'lease' has no effect under a lease"),
        ({"decide": PATRONI | {"maximum_lag_on_failover": "1MB"}}, "write max_lag_bytes: 1MB"),
        ({"decide": PATRONI | {"enforced_by": "nobody"}}, "a lease inside a region has no enforced_by"),
        ({"decide": PATRONI | {"voters": ["a"]}}, "voters"),
        ({"decide": PATRONI | {"watchdog": "30s"}}, "watchdog of 30s is not shorter than the ttl"),
        ({"decide": PATRONI | {"reboots": "1min"}}, "nothing resets a host without a watchdog"),
        ({"decide": {"by": "lease", "preset": "cloudnative-pg-lease"}}, "write preset: patroni"),
        ({"decide": "operator"}, "'operator' decides nothing inside a region"),
        ({"lease": {"ttl": "30s"}}, "write decide: {by: lease, preset: patroni, ttl: 30s}"),
        ({"preset": "patroni"}, "write decide: {by: lease, preset: patroni}"),
    ],
)
def test_what_cannot_be_meant_is_refused(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        scenario({"stores.db.in_region": rule})
    assert message in str(raised.value)
