"""Presets: every value with its source, usable everywhere, true to products; and what resolution makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from mrsim import units
from mrsim.errors import MrsimError, ScenarioError
from mrsim.scenario import control, presets, services, stores
from mrsim.scenario.control import DecideLease
from mrsim.scenario.document import Document
from mrsim.scenario.fields import Model
from mrsim.scenario.library import KINDS, read_presets
from mrsim.scenario.loader import library, loads
from mrsim.scenario.model import Scenario
from mrsim.scenario.starts import latest_start_s, random_start_period_s
from tests.unit.test_loader_errors import GOOD


def _with(old: str, new: str) -> Scenario:
    assert GOOD.count(old) == 1
    return loads(GOOD.replace(old, new))


@pytest.mark.parametrize("name", list(library()))
def test_every_value_has_kind_source_and_date(name: str) -> None:
    preset = presets.show(name)
    assert preset.summary
    assert preset.entries
    for entry in preset.entries:
        assert entry.kind in KINDS
        assert len(entry.source) > 10
        assert entry.date[:2] == "20"


def test_names_lists_all() -> None:
    rows = presets.names()
    assert {name for _, name, _ in rows} == set(library())
    assert ("health-check", "route53-fast") in {(kind, name) for kind, name, _ in rows}
    assert rows[-1][0] == "default"


def test_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(MrsimError, match="did you mean 'route53-fast'"):
        presets.show("route53-fats")


_LEASE = "{{preset: {}, voters: [us-east, eu-west, arbiter]}}"
_FENCE = "      fence: {through: cloud-api, takes: 5s..15s}\n"
_DETECT = "      detect: {from: [eu-west, ap-southeast], every: 10s, fails: 3, timeout: 4s}\n"


@pytest.mark.parametrize("name", library().of_kind("health-check"))
def test_health_checks_load(name: str) -> None:
    check = _with("health_check: route53-fast", f"health_check: {name}").dns["shop"].health_check
    assert check is not None
    assert check.every == units.parse(library()[name].group("")["every"].value, "duration")


@pytest.mark.parametrize("name", [*library().of_kind("resolvers"), *library().of_kind("resolver")])
def test_resolvers_load(name: str) -> None:
    resolvers = _with("resolvers: typical", f"resolvers: {name}").clients["us-users"].resolvers
    assert sum(resolver.share for resolver in resolvers.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("name", library().of_kind("client-class"))
def test_client_classes_load(name: str) -> None:
    assert list(_with("class: browser", f"class: {name}").clients["us-users"].classes) == [name]


@pytest.mark.parametrize("name", library().of_kind("product"))
def test_products_load(name: str) -> None:
    store = _with("primary: us-east", f"primary: us-east\n    product: {name}").stores["orders-db"]
    assert store.replication.sender_timeout == (5.0 if name == "cloudnative-pg" else 60.0)


@pytest.mark.parametrize("name", library().of_kind("edge"))
def test_edges_load(name: str) -> None:
    edge = _with("policy: latency, ttl: 60s", f"policy: anycast, edge: {name}").dns["shop"].edge
    assert edge is not None
    assert edge.connect_timeout == units.parse(library()[name].group("")["connect_timeout"].value, "duration")


@pytest.mark.parametrize("name", library().of_kind("slot"))
def test_slots_load(name: str) -> None:
    feeds = f"feeds: {{index: {{of: orders-db, region: eu-west, slot: {name}}}}}"
    assert _with("services:", f"{feeds}\nservices:").feeds["index"].slot is not None


def _lease(written: str) -> tuple[Scenario, DecideLease]:
    text = GOOD.replace(_DETECT, "").replace("{by: automatic, max_lag: 10s}", written)
    text = text.replace("{order: [eu-west, ap-southeast]}", "{}").replace(_FENCE, "")
    scenario = loads(text)
    failover = scenario.stores["orders-db"].failover
    assert failover is not None
    assert isinstance(failover.decide, DecideLease)
    return scenario, failover.decide


@pytest.mark.parametrize("name", library().of_kind("lease"))
def test_leases_load(name: str) -> None:
    _, lease = _lease(_LEASE.format(name))
    assert (lease.ttl, lease.loop_wait, lease.retry_timeout) in ((30.0, 10.0, 10.0), (15.0, 2.0, 10.0))
    assert lease.watchdog is None


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ("ttl: 30s", (30.0, 10.0, 10.0)),
        ("ttl: 5s", (20.0, 1.0, 9.0)),
        ("ttl: 20s, loop_wait: 0.5s, retry_timeout: 1s", (20.0, 1.0, 3.0)),
        ("ttl: 25s", (25.0, 5.0, 10.0)),
        ("ttl: 60s, loop_wait: 5s, retry_timeout: 40s", (60.0, 1.0, 29.0)),
    ],
)
def test_patroni_adjusts_timers_as_the_product_does(asked: str, used: tuple[float, float, float]) -> None:
    """Expected values computed by hand from the rule in Patroni's ``_validate_and_adjust_timeouts``."""
    scenario, lease = _lease(f"{{preset: patroni, {asked}, voters: [us-east, eu-west, arbiter]}}")
    assert (lease.ttl, lease.loop_wait, lease.retry_timeout) == used
    notes = {note.where.rsplit(".", 1)[-1]: note for note in scenario.assumptions if ".decide." in note.where}
    if "5s" in asked and used[0] == 20.0 and "loop" not in asked:
        assert "asked: 5s" in notes["ttl"].source
        assert notes["ttl"].value == "20s"


def test_kubernetes_refuses_what_the_election_refuses() -> None:
    with pytest.raises(ScenarioError, match=r"1\.2 times the retry period"):
        _lease("{preset: kubernetes, loop_wait: 9s, voters: [us-east, eu-west, arbiter]}")


def test_what_is_written_wins_over_a_preset_and_is_not_listed() -> None:
    scenario = _with("health_check: route53-fast", "health_check: {preset: route53-fast, every: 20s}")
    check = scenario.dns["shop"].health_check
    assert check is not None
    assert (check.every, check.checkers) == (20.0, 16)
    listed = {note.where for note in scenario.assumptions}
    assert "dns.shop.health_check.checkers" in listed
    assert "dns.shop.health_check.every" not in listed


def test_an_unlimited_link_is_an_assumption() -> None:
    scenario = _with(", wal_bandwidth: {us-east/*: 40Mbit/s}", "")
    (note,) = [note for note in scenario.assumptions if note.where.startswith("network.wal_bandwidth")]
    assert (note.value, note.kind) == ("unlimited", "assumption")


def test_own_round_trips_win_over_the_matrix() -> None:
    rtt = _with("rtt: aws-2026", "rtt: {preset: aws-2026, eu-west/us-east: 75ms}").network.rtt_s
    assert rtt["us-east/eu-west"] == rtt["eu-west/us-east"] == 0.075
    assert rtt["us-east/ap-southeast"] == 0.226


def test_regions_may_be_named_as_the_provider_does() -> None:
    text = GOOD.replace("us-east", "us-east-1")
    assert loads(text).network.rtt_s["us-east-1/eu-west"] == 0.0697


def test_default_horizon_is_two_hours_after_the_last_fault() -> None:
    scenario = _with("horizon: 4h\n", "")
    assert (scenario.horizon, scenario.horizon_explicit) == (600 + 7200, False)
    random = loads(
        GOOD.replace("horizon: 4h\n", "").replace("at: 10min", "at: random").replace("30min, last", "45min, last")
    )
    assert random_start_period_s(random.stores.values()) == 2700
    assert random.horizon == 2700 + 7200
    assert random_start_period_s([]) == 1800


def test_a_start_without_end_counts_up_to_its_last_permille() -> None:
    scenario = loads(GOOD.replace("at: 10min", "at: {exponential: {mean: 10min}}"))
    assert latest_start_s(scenario.faults[0], scenario.stores.values()) == pytest.approx(600 * 6.907755, rel=1e-6)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (control.Detect, "detect-defaults"),
        (control.DecideAutomatic, "automatic-defaults"),
        (control.DecideOperator, "operator-defaults"),
        (control.DecideLease, "lease-defaults"),
        (control.Fence, "fence-defaults"),
        (control.FenceToken, "fence-token-defaults"),
        (control.Unconfirmed, "unconfirmed-defaults"),
        (control.Promote, "promote-defaults"),
        (control.OldPrimary, "old-primary-defaults"),
        (control.SelfCheck, "self-check-defaults"),
        (services.HealthCheck, "health-check-defaults"),
        (services.ShiftBack, "shift-back-defaults"),
        (stores.CommitRule, "commit-defaults"),
        (stores.Bursts, "burst-defaults"),
    ],
)
def test_defaults_of_the_language_are_those_of_the_models(model: type[Model], name: str) -> None:
    """A key with a default in both places has the same one, and no number has an unlisted default."""
    listed: dict[str, Any] = {key: entry.value for key, entry in library()[name].group("").items()}
    for key, field in model.model_fields.items():
        alias = field.alias or key
        default = field.default
        if field.is_required() or default is None or isinstance(default, tuple):
            continue
        assert alias in listed, f"{alias} has a default that no run would list"
        if isinstance(default, float):
            shown = listed[alias]
            assert default in (units.parse(shown, "share" if str(shown).endswith("%") else "duration"),), alias
        elif alias not in ("retry",):
            assert str(default) == str(listed[alias]), alias


def test_preset_files_are_checked() -> None:
    with pytest.raises(ValueError, match="lacks a kind"):
        read_presets({"kind": "x", "presets": {"a": {"summary": "s", "values": {"k": {"value": 1}}}}}, "f.yaml")
    with pytest.raises(TypeError, match="neither an entry nor a group"):
        read_presets({"kind": "x", "presets": {"a": {"summary": "s", "values": {"k": 1}}}}, "f.yaml")


def test_a_document_finds_the_nearest_written_place() -> None:
    document = Document(places={(): (1, 1), ("a",): (2, 3)})
    assert document.place(("a", "b", 3)) == (2, 3)
    assert document.place(("c",)) == (1, 1)
