"""Values changed by path: the same scenario as if they had been written, and the same messages if they are wrong."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrsim.errors import ScenarioError
from mrsim.scenario.document import where
from mrsim.scenario.loader import library, load, loads
from mrsim.scenario.settings import SettingError, read_path, read_setting
from mrsim.units import write

FILE = Path(__file__).parents[2] / "scenarios" / "active-passive" / "bookstore-region-loss.yaml"
TEXT = FILE.read_text(encoding="utf-8")
BOOKSTORE = loads(TEXT)

keys = st.from_regex(r"[A-Za-z][A-Za-z0-9_*/-]{0,8}(\{[a-z]=[a-z0-9.%]{1,4}(, [a-z]=[a-z]{1,3})?\})?", fullmatch=True)
paths = st.tuples(keys, st.lists(st.one_of(keys, st.integers(0, 99)), max_size=5)).map(lambda it: (it[0], *it[1]))


@given(paths, st.text(max_size=20))
def test_a_setting_is_read_back_from_its_text(path: tuple[str | int, ...], value: str) -> None:
    setting = read_setting(f"{where(path)}={value}")
    assert setting.path == path
    assert setting.value == value.strip()


@pytest.mark.parametrize(
    "text", ["", "=3s", "dns.shop.ttl", "a..b=1", ".a=1", "a.=1", "[0]=1", "a[x]=1", "a[0]b=1", "a.[0]=1"]
)
def test_what_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(SettingError):
        read_setting(text)


@given(seconds=st.integers(1, 5000), fails=st.integers(1, 9))
def test_setting_is_the_same_as_writing(seconds: int, fails: int) -> None:
    ttl = write(float(seconds), "duration")
    written = TEXT.replace("latency, ttl: 60s", f"latency, ttl: {ttl}").replace("fails: 3,", f"fails: {fails},")
    assert BOOKSTORE.with_({"dns.shop.ttl": ttl, "stores.orders-db.failover.detect.fails": fails}) == loads(written)


@pytest.mark.parametrize(
    ("path", "value", "before", "after"),
    [
        ("dns.shop.health_check", "route53-standard", "health_check: route53-fast", "health_check: route53-standard"),
        ("faults[0].lasts", "10min", "lasts: permanent", "lasts: 10min"),
        (
            "stores.orders-db.failover.promote.order",
            "[ap-southeast, eu-west]",
            "order: [eu-west, ap-southeast]",
            "order: [ap-southeast, eu-west]",
        ),
        (
            "budgets.rto{service=orders,op=write,clients=90%}",
            ["p95 < 1min"],
            "clients=90%}: [p95 < 10min]",
            "clients=90%}: [p95 < 1min]",
        ),
        ("horizon", "5h", "horizon: 4h", "horizon: 5h"),
    ],
)
def test_every_kind_of_place_can_be_set(path: str, value: Any, before: str, after: str) -> None:
    assert before in TEXT
    changed = BOOKSTORE.with_({path: value})
    expected = loads(TEXT.replace(before, after))
    plain = [[budget.model_copy(update={"line": 0}) for budget in one.budgets] for one in (changed, expected)]
    assert plain[0] == plain[1]
    assert changed.model_copy(update={"budgets": ()}) == expected.model_copy(update={"budgets": ()})


def test_what_a_preset_supplied_can_be_set_and_is_no_assumption_any_more() -> None:
    changed = BOOKSTORE.with_({"dns.shop.health_check.every": "20s"})
    check = changed.dns["shop"].health_check
    assert check is not None
    assert check.every == 20.0
    places = {assumption.where for assumption in changed.assumptions}
    assert places == {one.where for one in BOOKSTORE.assumptions} - {"dns.shop.health_check.every"}
    library_value = next(e.value for e in library()["route53-fast"].entries if e.key == "every")
    assert library_value != "20s"
    assert loads(TEXT) == BOOKSTORE


def test_later_settings_win_and_variants_can_be_varied() -> None:
    variant = BOOKSTORE.with_({"dns.shop.ttl": "30s"}).with_({"dns.shop.ttl": "40s"}).with_(horizon="2h")
    assert variant.dns["shop"].ttl == 40.0
    assert variant.horizon == 7200.0
    assert variant.command_line == "'<string>' --set dns.shop.ttl=40s --set horizon=2h"
    assert BOOKSTORE.dns["shop"].ttl == 60.0


def test_the_command_line_is_quoted_for_a_shell() -> None:
    variant = load(FILE).with_({"faults[0].lasts": "10min", "stores.orders-db.failover.detect.fails": 4})
    assert (
        variant.command_line == f"{FILE} --set 'faults[0].lasts=10min' --set stores.orders-db.failover.detect.fails=4"
    )


def test_settings_survive_copies_and_pickles() -> None:
    variant = BOOKSTORE.with_({"dns.shop.ttl": "30s"})
    assert pickle.loads(pickle.dumps(variant)).with_(horizon="2h").dns["shop"].ttl == 30.0


def test_a_scenario_changed_by_other_means_is_not_silently_forgotten() -> None:
    with pytest.raises(ScenarioError, match="other means"):
        BOOKSTORE.model_copy(update={"horizon": 60.0}).with_({"dns.shop.ttl": "30s"})


def test_a_scenario_that_nobody_wrote_cannot_be_set() -> None:
    built = type(BOOKSTORE).model_construct(**dict(BOOKSTORE))
    with pytest.raises(ScenarioError, match="read from a file"):
        built.with_({"dns.shop.ttl": "30s"})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("dns.shop.tll", "30s", "dns.shop.tll: unknown key 'tll' (did you mean 'ttl'?)"),
        ("dns.shopp.ttl", "30s", "dns.shopp.ttl: there is no 'shopp' in dns (did you mean 'shop'?)"),
        (
            "fence.takes",
            "3s",
            "fence.takes: there is no 'fence' in the scenario ('fence' belongs in stores.orders-db.failover)",
        ),
        (
            "nope.takes",
            "3s",
            "nope.takes: there is no 'nope' in the scenario "
            "(known: clients, dns, faults, horizon, name, network, regions, services, stores, summary)",
        ),
        ("dsn.shop.ttl", "30s", "dsn.shop.ttl: there is no 'dsn' in the scenario (did you mean 'dns'?)"),
        ("dns.shop.ttl", "soon", "dns.shop.ttl: 'soon' is not a duration (write 75ms, 30s, 5min or 4h)"),
        ("dns.shop.ttl", 30, "dns.shop.ttl: 30 has no unit, a duration is needed (write 30ms or 30s or 30min)"),
        (
            "dns.shop.ttl.x",
            "3",
            "dns.shop.ttl.x: dns.shop.ttl is 60s, which has nothing inside (set dns.shop.ttl itself)",
        ),
        ("dns.shop.health_check.evry", "3s", "dns.shop.health_check.evry: unknown key 'evry' (did you mean 'every'?)"),
        ("faults[3].lasts", "3s", "faults[3].lasts: faults is a list of 1 (write faults[0])"),
        ("dns.shop.ttl", "", "dns.shop.ttl: there is no value here (write one after the =)"),
        (
            "dns.shop.ttl",
            "yes",
            "dns.shop.ttl: 'yes' means something else to YAML 1.1 tools "
            "(there it is a truth value: write true or false, or quote it)",
        ),
        (
            "stores.orders-db.primary",
            "mars",
            "stores.orders-db.primary: unknown region 'mars' (known: ap-southeast, eu-west, us-east)",
        ),
    ],
)
def test_what_cannot_be_set_is_said_in_one_line(path: str, value: Any, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(FILE).with_({path: value})
    assert str(caught.value).splitlines()[0] == f"{FILE}: {message}"
    assert len(str(caught.value).splitlines()) == 1


def test_two_wrong_settings_are_both_said() -> None:
    with pytest.raises(ScenarioError) as caught:
        BOOKSTORE.with_({"dns.shop.ttl": "soon", "clients.us-users.share": "half"})
    assert [problem.where for problem in caught.value.problems] == ["dns.shop.ttl", "clients.us-users.share"]


def test_paths_are_read_as_they_are_shown() -> None:
    assert read_path("stores.orders-db.standbys[1].region") == ("stores", "orders-db", "standbys", 1, "region")
    assert read_path("network.wal_bandwidth.us-east/*") == ("network", "wal_bandwidth", "us-east/*")
    assert read_path("budgets.rto{service=a, clients=99.9%}[0]") == ("budgets", "rto{service=a, clients=99.9%}", 0)


FENCED = FILE.with_name("isolation-stonith.yaml")


@pytest.mark.parametrize("nothing", [None, "null", "~", " null "])
def test_an_optional_part_is_taken_away_as_if_its_key_had_been_left_out(nothing: str | None) -> None:
    text = FENCED.read_text(encoding="utf-8")
    (line,) = (line for line in text.splitlines() if line.strip().startswith("fence:"))
    without = load(FENCED).with_({"stores.orders-db.failover.fence": nothing})
    assert without == loads(text.replace(line, ""), str(FENCED))
    (setting,) = without.settings
    assert load(FENCED, [read_setting(str(setting))]) == without
    assert nothing is not None or str(setting) == "stores.orders-db.failover.fence=null"


def test_what_a_preset_says_is_overruled_where_it_may_be_missing() -> None:
    scenario = load(FILE.parents[1] / "single-region" / "zone-cut-isolation-check.yaml")
    (store,) = scenario.stores
    without = scenario.with_({f"stores.{store}.in_region.lease": None}).stores[store].in_region
    assert scenario.stores[store].in_region.lease is not None
    assert without.lease is None


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("stores.orders-db.primary", "'primary' is missing (write the region of the primary)"),
        ("dns.shop.tll", "there is no 'tll' in dns.shop (did you mean 'ttl'?)"),
        ("faults[0]", "an item of a list cannot be taken away (set faults to those that stay)"),
        ("stores.orders-db.endpoint.reconnect", "None is not a duration (write 75ms, 30s, 5min or 4h)"),
    ],
)
def test_what_cannot_be_taken_away_is_said_in_one_line(path: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(FILE).with_({path: None})
    assert str(caught.value) == f"{FILE}: {path}: {message}"
