"""What ``validate`` says of a scenario that is valid, against the engine's own runs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mrsim.cli import commands
from mrsim.report.remarks import blocked_once_promoted, remarks_on
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.study.run import run

SCENARIO = """\
name: remarked
horizon: 1h
regions: [us-east, eu-west, ap-southeast]
network: {rtt: {us-east/eu-west: 70ms, us-east/ap-southeast: 200ms, eu-west/ap-southeast: 160ms}}
stores:
  db:
    primary: us-east
    standbys: [eu-west, ap-southeast]
    commit: RULE
    wal: {commits: 200/s, bytes_per_commit: 2KB}
    failover: {detect: {from: operations}, decide: automatic, promote: {fails: 0%, order: [FIRST]}}
services: {orders: {writes: db}}
faults:
  - {kind: region-loss, region: us-east, at: 300.37s, lasts: permanent, connections: hang, in_flight: lost}
"""


@pytest.mark.parametrize("first", ["eu-west", "ap-southeast"])
@pytest.mark.parametrize(
    "rule",
    [
        "async",
        "{any: 1, of: [eu-west]}",
        "{any: 1, of: [eu-west, ap-southeast]}",
        "{any: 2, of: [eu-west, ap-southeast]}",
        "{first: 2, of: [eu-west, ap-southeast]}",
        "{any: 1, of: [eu-west], when_short: degrade}",
    ],
)
def test_a_primary_that_could_not_commit_is_remarked_on(rule: str, first: str, tmp_path: Path) -> None:
    """Exactly those scenarios in which the promoted primary, its predecessor gone for good, never opens."""
    text = SCENARIO.replace("RULE", rule).replace("FIRST", first)
    scenario = loads(text)
    store = Simulator(scenario).run_chunk(1, 0, 1)[0].stores["db"]
    assert len(store.histories) == 2
    commits = bool(store.acks[f"db@{first}"])
    assert (first in blocked_once_promoted(scenario, scenario.stores["db"])) != commits
    (tmp_path / "remarked.yaml").write_text(text)
    said = CliRunner().invoke(commands, ["validate", str(tmp_path / "remarked.yaml")], standalone_mode=False).output
    assert (f"once promoted, {first} cannot acknowledge commits" in said) != commits


CLUSTERS = """\
name: clusters
horizon: 2h
regions: [us-east, eu-west]
zones: {us-east: [east-a, east-b, east-c], eu-west: [west-a, west-b, west-c]}
network: {rtt: {us-east/eu-west: 70ms}}
stores:
  db:
    primary: east-a
    standbys: [east-b, east-c, west-a, west-b, west-c]
    commit: RULE
    wal: {commits: 200/s, bytes_per_commit: 2KB}
    in_region: {}
    failover: {detect: {from: eu-west}, decide: automatic, promote: {fails: 0%}}
services: {orders: {writes: db}}
faults:
  - {kind: region-loss, region: us-east, at: 300.37s, lasts: permanent, connections: hang, in_flight: lost}
"""


@pytest.mark.parametrize(
    "rule",
    [
        "async",
        "{any: 1, of: [east-b, east-c]}",
        "{any: 1, of: [east-b, west-a]}",
        "{first: 1, of: [east-b], when_short: degrade}",
        "{any: 1, of: in-region}",
    ],
)
def test_a_cluster_that_waits_for_nodes_of_a_lost_region_is_remarked_on(rule: str, tmp_path: Path) -> None:
    """Exactly those in which the other cluster's new primary never acknowledges a commit."""
    text = CLUSTERS.replace("RULE", rule)
    scenario = loads(text)
    store = Simulator(scenario).run_chunk(1, 0, 1)[0].stores["db"]
    assert len(store.histories) == 2
    commits = bool(store.acks["db@west-a"])
    (tmp_path / "remarked.yaml").write_text(text)
    said = CliRunner().invoke(commands, ["validate", str(tmp_path / "remarked.yaml")], standalone_mode=False).output
    assert ("once us-east is lost, a primary in eu-west cannot acknowledge commits" in said) != commits


@pytest.mark.parametrize(("many", "commits"), [(1, True), (2, False)])
def test_a_cluster_too_small_for_its_own_rule_is_remarked_on(many: int, *, commits: bool, tmp_path: Path) -> None:
    """The other cluster has two nodes, of which one is promoted."""
    small = CLUSTERS.replace(", west-c]", "]").replace("RULE", f"{{any: {many}, of: in-region}}")
    store = Simulator(loads(small)).run_chunk(1, 0, 1)[0].stores["db"]
    assert bool(store.acks["db@west-a"]) is commits
    (tmp_path / "small.yaml").write_text(small)
    said = CliRunner().invoke(commands, ["validate", str(tmp_path / "small.yaml")], standalone_mode=False)
    assert ("too few nodes are in its region" in said.output) != commits


@pytest.mark.parametrize(
    ("budget", "remarked"),
    [
        ("write_latency_s{service=orders}: [p99 < 200ms]", True),
        ("write_latency_s{service=orders}: [p50 < 200ms]", False),
        ("write_latency_s{service=orders, writes=99%}: [p95 < 200ms]", False),
        ("rpo{store=db}: [p99 < 200ms]", False),
    ],
)
def test_a_quantile_of_a_mean_is_remarked_on(budget: str, *, remarked: bool) -> None:
    people = "clients: {users: {near: us-east, share: 100%, resolvers: honest, class: browser}}\n"
    people += "dns: {www: {serves: [orders], policy: failover, ttl: 60s, health_check: route53-fast}}\n"
    text = SCENARIO.replace("RULE", "async").replace("FIRST", "eu-west") + people + f"budgets:\n  {budget}\n"
    expected = ["of single writes it is writes=99%"] if remarked else []
    assert [said.partition("; ")[2] for said in remarks_on(loads(text))] == expected


@pytest.mark.parametrize(("third", "remarked"), [("", True), (", ap-southeast", False)])
def test_storage_in_two_places_is_remarked_on(third: str, *, remarked: bool) -> None:
    text = SCENARIO.replace("RULE", "async").replace("FIRST", "eu-west")
    stored = text.replace("    wal:", f"    storage: [us-east, eu-west{third}]\n    wal:")
    assert any("a majority of two is both" in said for said in remarks_on(loads(stored))) is remarked


PROXY = """\
name: proxy
horizon: 30min
regions: [us-east, eu-west]
network: {rtt: {us-east/eu-west: 70ms}}
stores: {db: {primary: us-east, standbys: [eu-west], wal: {commits: 1/s}}}
services: {pages: {reads: {db: nearest}}, orders: {writes: db}}
dns: {www: {serves: [pages, orders], policy: anycast, edge: EDGE, health_check: route53-standard}}
clients: {people: {near: us-east, share: 100%, resolvers: honest, class: browser}}
faults:
  - {kind: region-loss, region: us-east, at: 300.37s, lasts: permanent, connections: hang, in_flight: lost}
"""


@pytest.mark.parametrize(
    "edge", ["cloudflare-edge", "{connect_timeout: 10s}", "{connect_timeout: 3s, clients_give_up_after: 2s}"]
)
def test_a_proxy_that_waits_longer_than_people_is_remarked_on(edge: str) -> None:
    """Exactly those in which no client is ever answered on the second try."""
    scenario = loads(PROXY.replace("EDGE", edge))
    helped = run(scenario, trials=2, seed=1, workers=1).trials["retried_s{service=pages,op=read}"].to_numpy()
    assert any("its second try" in remark for remark in remarks_on(scenario)) != bool((helped > 0.0).all())


@pytest.mark.parametrize(("commits", "connections"), [(200, 13), (200, 16), (2000, 100), (2000, 150), (200, 1)])
def test_connections_too_few_for_the_round_trip_are_remarked_on(commits: int, connections: int) -> None:
    """Little's law with a round trip of 70 ms and flushes of 1 ms each: 1389 commits/s for 100 connections."""
    text = SCENARIO.replace("RULE", "{any: 1, of: [eu-west, ap-southeast]}").replace("FIRST", "eu-west")
    times = f"{{local_flush: 1ms, remote_flush: 1ms, connections: {connections}}}"
    scenario = loads(
        text.replace("commits: 200/s", f"commits: {commits}/s").replace("    wal", f"    replication: {times}\n    wal")
    )
    carried = connections / 0.072
    said = [remark for remark in remarks_on(scenario) if "connections" in remark]
    assert bool(said) == (carried < commits)
    assert all(f"{carried:.0f} commits/s" in remark for remark in said)


PAGES = """\
name: pages
horizon: 30min
regions: [us-east, eu-west, ap-southeast]
network: {rtt: {us-east/eu-west: 70ms, us-east/ap-southeast: 200ms, eu-west/ap-southeast: 160ms}}
stores: {db: {primary: eu-west, standbys: [us-east, ap-southeast], wal: {commits: 1/s}}}
services:
  orders: {writes: db}
  pages: {reads: {db: nearest}, runs_in: [us-east, eu-west]}
dns: {www: {serves: [pages, orders], ttl: 60s, RECORD}}
clients: {people: {near: us-east, share: 100%, resolvers: honest, class: app}}
faults:
  - {kind: region-loss, region: us-east, at: 300.37s, lasts: permanent, connections: hang, in_flight: lost}
"""


@pytest.mark.parametrize(
    "record",
    [
        "policy: latency",
        "policy: latency, health_check: route53-fast",
        "policy: failover",
        "policy: failover, regions: [eu-west, us-east]",
        "policy: geography, locations: {people: [us-east, eu-west]}",
        "policy: geography, locations: {people: [eu-west, us-east]}",
        "policy: weighted, weights: {us-east: 1, eu-west: 0}, regions: [us-east, eu-west]",
        "policy: weighted, weights: {us-east: 0, eu-west: 1}, regions: [us-east, eu-west]",
    ],
)
def test_clients_whom_nobody_leads_away_are_remarked_on(record: str) -> None:
    """Exactly those records by which people are without service from the region's loss to the end."""
    scenario = loads(PAGES.replace("RECORD", record))
    trials = run(scenario, trials=2, seed=1, workers=1).trials
    stay = trials["unavailability{service=pages,op=read}"].to_numpy() > 0.8
    assert any("stay there while it is lost" in remark for remark in remarks_on(scenario)) is bool(stay.all())


@pytest.mark.parametrize(
    ("commit", "reads", "idle"),
    [
        ("async", "primary", ["us-east", "ap-southeast"]),
        ("async", "nearest", []),
        ("{any: 1, of: [ap-southeast]}", "primary", ["us-east"]),
    ],
)
def test_a_standby_that_nothing_depends_on_is_remarked_on(commit: str, reads: str, idle: list[str]) -> None:
    """Without one, every number is the same."""
    text = PAGES.replace("db: nearest", f"db: {reads}").replace("wal:", f"commit: {commit}, wal:")
    text = text.replace("RECORD", "policy: latency, health_check: route53-fast")
    assert [remark for remark in remarks_on(loads(text)) if f"nobody can promote {' or '.join(idle)}," in remark] == [
        remark for remark in remarks_on(loads(text)) if "no answer depends on it" in remark
    ]
    assert len(remarks_on(loads(text))) == bool(idle)
    for place in idle:
        left = {"us-east", "ap-southeast"} - {place}
        pair = [run(one, trials=2, seed=1, workers=1).trials for one in (loads(text), loads(_only(text, *left)))]
        assert pair[0].equals(pair[1])


def _only(text: str, standby: str) -> str:
    return text.replace("standbys: [us-east, ap-southeast]", f"standbys: [{standby}]")


HAPPENS = PAGES.replace("RECORD", "policy: failover, regions: [eu-west], health_check: route53-fast").replace(
    "wal:", "failover: {detect: {from: [operations]}, decide: {by: operator}}, wal:"
)
HAPPENS = HAPPENS[: HAPPENS.index("faults:")]


@pytest.mark.parametrize(
    ("fault", "others", "remark"),
    [
        ("{kind: switchover, store: db, to: eu-west, at: 10min}", "", "there is nothing to switch over"),
        ("{kind: switchover, store: db, to: us-east, at: 10min}", "", ""),
        (
            "{kind: switchover, store: db, to: eu-west, at: 20min}",
            "  - {kind: switchover, store: db, to: us-east, at: 1min}\n",
            "",
        ),
        ("{kind: brownout, region: eu-west, at: 10min, latency: 3s..8s}", "", "no request fails by it"),
        ("{kind: brownout, region: eu-west, at: 10min, latency: 3s..8s, clients_give_up_after: 5s}", "", ""),
        ("{kind: brownout, region: eu-west, at: 10min, latency: 3s..8s, errors: 10%}", "", ""),
    ],
)
def test_what_happens_to_no_effect_is_remarked_on(fault: str, others: str, remark: str) -> None:
    """Exactly where no write fails from then on."""
    scenario = loads(f"{HAPPENS}faults:\n{others}  - {fault}\n")
    assert [remark in said for said in remarks_on(scenario)] == [True] * bool(remark)
    if not others:
        trials = run(scenario, trials=2, seed=1, workers=1).trials
        assert bool((trials["unavailability{service=orders,op=write}"] == 0.0).all()) is bool(remark)


# Where reports tell of them ------------------------------------------------------------------------------------------

JUDGED = (
    SCENARIO.replace("FIRST", "eu-west")
    + """\
dns: {www: {serves: [orders], policy: latency, ttl: 60s, health_check: route53-fast}}
clients: {users: {near: us-east, share: 100%, resolvers: honest, class: app}}
budgets:
  rpo{store=db}: [p50 < 1min, p50 > 1ms]
"""
)
SILENT, LOUD = JUDGED.replace("RULE", "async"), JUDGED.replace("RULE", "{any: 1, of: [eu-west]}")
FEW = ["--trials", "20", "--seed", "1"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("silent.yaml").write_text(SILENT)
    Path("a loud one.yaml").write_text(LOUD)
    return tmp_path


def said(*arguments: str) -> Result:
    return CliRunner().invoke(commands, list(arguments), standalone_mode=False)


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_report_tells_how_many_there_are_and_where(files: Path, command: str) -> None:
    """Not of a limit that asks for at least: its table says that."""
    ended = said(command, "a loud one.yaml", *FEW).output.splitlines()[-1]
    assert ended == "1 remark on what the scenario means; it is shown by: mrsim validate 'a loud one.yaml'"
    assert " remark" not in said(command, "silent.yaml", *FEW).output


def test_the_command_that_is_named_shows_as_many(files: Path) -> None:
    """With the same settings: some make a remark, and some take it away."""
    degraded = ("--set", "stores.db.commit.when_short=degrade")
    assert " remark" not in said("run", "a loud one.yaml", *FEW, *degraded).output
    blocked = ("--set", "stores.db.commit={any: 1, of: [eu-west]}")
    ended = said("run", "silent.yaml", *FEW, *blocked).output.splitlines()[-1]
    assert ended.startswith("1 remark on what the scenario means")
    validates = shlex.split(ended.partition(": mrsim ")[2])
    shown = said(*validates).output.splitlines()
    assert [line for line in shown if "cannot acknowledge commits" in line] == shown[-1:]


def test_a_comparison_tells_of_all_its_postures(files: Path) -> None:
    variant = ("--variant", "stores.db.commit={any: 1, of: [eu-west]}; stores.db.replication.connections=1")
    output = said("compare", "silent.yaml", "a loud one.yaml", *variant, *FEW).output
    assert output.splitlines()[-2:] == [
        "1 remark on what the scenario means; it is shown by: mrsim validate 'a loud one.yaml'",
        "2 remarks on what the scenario means; they are shown by: mrsim validate silent.yaml "
        "--set 'stores.db.commit={any: 1, of: [eu-west]}' --set stores.db.replication.connections=1",
    ]


def test_many_files_with_the_same_settings_take_one_line(files: Path) -> None:
    Path("b.yaml").write_text(LOUD)
    ended = said("check", "a loud one.yaml", "b.yaml", "silent.yaml", *FEW).output.splitlines()[-1]
    assert ended == ("2 remarks on what 2 scenarios mean; they are shown by: mrsim validate 'a loud one.yaml' b.yaml")


def test_what_machines_read_has_none_of_it(files: Path) -> None:
    shown = CliRunner().invoke(commands, ["run", "a loud one.yaml", *FEW, "--json", "-"], standalone_mode=False)
    assert " remark" not in json.dumps(json.loads(shown.stdout))
    assert "1 remark" in shown.stderr
    said("check", "a loud one.yaml", *FEW, "--json", "x.json", "--junit", "x.xml")
    assert "1 remark" not in Path("x.json").read_text() + Path("x.xml").read_text()
