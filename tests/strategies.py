"""Scenarios made by Hypothesis, valid by construction, read through the loader as a user's file would be.

:mod:`tests.seldom` writes what few of them have; ``tests/properties/test_language_is_drawn.py`` sees to it that both
together draw every field and every word of the language.
"""

from __future__ import annotations

import json
from functools import cache
from itertools import combinations
from typing import Any

from hypothesis import strategies as st

from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from tests.seldom import add_seldom

REGIONS = ("us-east", "eu-west", "ap-southeast", "sa-east")
OUTSIDE = ("checkers", "endpoint-authority", "operations")
WITNESS = "witness"
STORE = "db"

Data = dict[str, Any]


@cache  # Hypothesis works out what it needs to know of a strategy once for each
def seconds(low: float, high: float) -> st.SearchStrategy[str]:
    """Return durations to the millisecond, never a multiple of anybody's period."""
    return st.integers(int(low * 1000), int(high * 1000)).map(lambda ms: f"{ms + 0.137:.3f}ms")


@cache
def durations(low: float, high: float) -> st.SearchStrategy[Any]:
    """Return durations, certain or not."""
    return st.one_of(
        seconds(low, high),
        st.tuples(seconds(low, high), seconds(low, high)).map(
            lambda pair: "..".join(sorted(pair, key=lambda text: float(text[:-2])))
        ),
        seconds(max(low, 0.001), high).map(lambda mean: {"exponential": {"mean": mean}}),
    )


def _some(draw: st.DrawFn, items: tuple[str, ...], least: int = 1) -> list[str]:
    return draw(st.lists(st.sampled_from(items), min_size=least, max_size=len(items), unique=True))


def _wal(draw: st.DrawFn) -> Data:
    wal: Data = {"commits": f"{draw(st.integers(1, 500))}/s"}
    if draw(st.booleans()):
        last = draw(st.integers(10, 200))
        wal["bursts"] = {"every": f"{last * draw(st.integers(2, 10))}s", "last": f"{last}s", "rate": "8x"}
    if draw(st.integers(0, 7)) == 0:
        wal["bulk"] = {"starts": draw(durations(1, 900)), "lasts": draw(durations(1, 300)), "rate": "5MB/s"}
    return wal


def _commit(draw: st.DrawFn, standbys: list[str], near: list[str]) -> Any:
    kind = draw(st.sampled_from(["async", "async", "any", "async", "first"]))
    if kind == "async" or not standbys:
        return draw(st.sampled_from(["async", "local"]))
    of = _some(draw, tuple(standbys))
    when_short = draw(st.sampled_from(["block", "degrade"]))
    if near and set(near) <= set(standbys) and draw(st.booleans()):
        return {kind: draw(st.integers(1, len(near))), "of": "in-region", "when_short": when_short}
    return {kind: draw(st.integers(1, len(of))), "of": of, "when_short": when_short}


def _detect(draw: st.DrawFn, regions: tuple[str, ...], primary: str) -> Data:
    places = _some(draw, (*OUTSIDE, WITNESS, *regions))
    if places == [primary]:
        places.append("operations")
    every = draw(st.sampled_from([2, 5, 10]))
    return {
        "from": places,
        "probe": draw(st.sampled_from(["reachability", "process", "write-path"])),
        "every": f"{every}s",
        "interval_from": draw(st.sampled_from(["start", "end"])),
        "fails": draw(st.integers(1, 4)),
        "recovers": draw(st.integers(1, 3)),
        "timeout": f"{draw(st.integers(1, every))}s",
        "verdict": draw(st.sampled_from(["any", "majority", "all", 1])),
    }


@st.composite
def leases(draw: st.DrawFn, voters: tuple[str, ...], *, enforced_by: str | None = None) -> Data:
    """Return leases of any product, with any of their options."""
    product = draw(st.sampled_from(["generic", "patroni", "kubernetes"]))
    lease: Data = {
        "by": "lease",
        "voters": list(voters),
        "product": product,
        "ttl": "30s",
        "loop_wait": "2s" if product == "kubernetes" else draw(st.sampled_from(["5s", "10s"])),
        "retry_timeout": draw(st.sampled_from(["5s", "10s"])),
        "enforced_by": enforced_by or draw(st.sampled_from(["holder", "nobody"])),
        "clock_drift": draw(st.sampled_from(["0%", "1%"])),
        "start_timeout": draw(st.sampled_from(["20s", "300s"])),
    }
    if draw(st.booleans()):
        lease["watchdog"] = "5s"
    if draw(st.booleans()):
        lease |= {"status_timeout": "2s", "race_backoff": draw(st.sampled_from(["0s", "2s"]))}
    if draw(st.sampled_from([False, False, True])):
        lease["max_lag_bytes"] = draw(st.sampled_from(["1MB", "100MB"]))
    if product == "patroni" and lease["enforced_by"] == "holder":
        lease["failsafe_mode"] = draw(st.booleans())
    return lease


@st.composite
def site_leases(draw: st.DrawFn) -> Data:
    """Return leases inside regions, with any of their options."""
    lease: Data = draw(leases(("witness",)).filter(lambda one: one["product"] != "kubernetes"))
    del lease["enforced_by"]
    lease.pop("failsafe_mode", None)
    lease["voters"] = draw(st.sampled_from(["region", "zones"]))
    if "watchdog" in lease:
        lease["reboots"] = draw(durations(1, 60))
    return lease


def _hours(draw: st.DrawFn) -> Data:
    """Return shifts of which one may go over midnight, and gaps between them."""
    night: Data = {
        "from": "22h",
        "to": draw(st.sampled_from(["6h", "23h30min"])),
        "acknowledge": draw(durations(1, 600)),
    }
    night["nobody"] = draw(st.sampled_from(["0%", "50%", "100%"]))
    hours: Data = {"shifts": {"night": night, "office": {"from": "9h", "to": "17h", "page": "1s"}}}
    hours["at"] = draw(st.sampled_from(["random", "night", "5h59min", "8h..30h"]))
    if draw(st.booleans()):
        second = {"after": draw(seconds(5, 300)), "acknowledge": draw(durations(1, 60))}
        hours["escalates"] = second | {"nobody": draw(st.sampled_from(["0%", "50%"]))}
    return hours


def _decide(draw: st.DrawFn, by: str, regions: tuple[str, ...]) -> Data:
    if by == "lease":
        voters = draw(st.sampled_from([(WITNESS,), (WITNESS, *regions[:2]), ("operations", WITNESS, regions[0])]))
        return draw(leases(voters))
    shared: Data = {"by": by}
    if draw(st.sampled_from([False, False, True])):
        shared["max_lag"] = draw(seconds(0.2, 60))
    if draw(st.booleans()):
        shared["cool_down"] = draw(seconds(10, 600))
    if draw(st.booleans()):
        shared["runs_in"] = draw(st.sampled_from([*regions, "operations"]))
    if by == "automatic":
        return shared | {"delay": draw(durations(0, 30))}
    if draw(st.booleans()):
        shared["hours"] = _hours(draw)
    return shared | {
        "page": draw(durations(1, 60)),
        "acknowledge": draw(durations(1, 60)),
        "assess": draw(durations(1, 60)),
        "requires": draw(st.sampled_from(["unreachable", "primary-confirmed-gone"])),
        "waits_at_most": draw(seconds(10, 300)),
        "misjudges": draw(st.sampled_from(["0%", "50%"])),
    }


def _fence(draw: st.DrawFn, regions: tuple[str, ...], primary: str) -> Data:
    return {
        "through": draw(st.sampled_from([f"{primary}-control", f"{regions[-1]}-control", "cloud-api"])),
        "takes": draw(durations(0.5, 20)),
        "timeout": draw(seconds(5, 30)),
        "fails": draw(st.sampled_from(["0%", "0%", "50%"])),
        "dead": draw(st.sampled_from(["0%", "0%", "0%", "50%"])),
        "if_unconfirmed": {
            "retry": draw(st.integers(0, 2)),
            "then": draw(st.sampled_from(["block", "proceed", "operator-override"])),
            "after": draw(durations(1, 60)),
        },
    }


def _token(draw: st.DrawFn) -> Data:
    token: Data = {"by": "token", "takes": draw(durations(0, 1)), "every": "5s", "timeout": draw(seconds(0.5, 10))}
    then = draw(st.sampled_from(["block", "proceed", "operator-override"]))
    return token | {"if_unconfirmed": {"retry": draw(st.integers(0, 2)), "then": then, "after": draw(durations(1, 60))}}


def _runbook(draw: st.DrawFn, moved_by: str) -> Data:
    runbook: Data = {
        "before": draw(st.integers(1, 3)),
        "after": 0 if moved_by == "health" else draw(st.integers(0, 3)),
        "last_drill": draw(st.sampled_from(["0s..30d", "365d"])),
        "takes": draw(st.sampled_from(["0s", "5s..60s"])),
        "repair": draw(durations(5, 300)),
    }
    if draw(st.booleans()):
        return runbook | {"fails": "5%", "breaks_every": "365d"}
    return runbook | {"measured": [{"after": "30d", "failed": 1, "of": 9}, {"after": "90d", "failed": 3, "of": 9}]}


def _failover(draw: st.DrawFn, regions: tuple[str, ...], primary: str, standbys: list[str], moved_by: str) -> Data:
    by = draw(st.sampled_from(["automatic", "lease", "automatic", "operator", "lease"]))
    failover: Data = {
        "decide": _decide(draw, by, regions),
        "promote": {
            "takes": draw(durations(0.1, 20)),
            "fails": draw(st.sampled_from(["0%", "0%", "50%"])),
            "attempt_timeout": "20s",
        },
        "old_primary": {
            "on_return": draw(st.sampled_from(["starts-as-primary", "stays-down", "rejoins"])),
            "starts_after": draw(durations(0, 40)),
            "rebuild": draw(durations(1, 120)),
        },
    }
    if draw(st.integers(0, 2)) == 0:
        reconcile = {"takes": draw(durations(30, 900)), "recovers": draw(st.sampled_from(["100%", "70%"]))}
        failover["old_primary"]["reconcile"] = reconcile | {"sets_aside": draw(st.booleans())}
    if by != "lease":
        if draw(st.booleans()):
            failover["promote"]["order"] = _some(draw, tuple(standbys))
        if draw(st.sampled_from([True, False])):
            token = draw(st.sampled_from([False, False, False, True]))
            failover["fence"] = _token(draw) if token else _fence(draw, regions, primary)
        if draw(st.integers(0, 3)) == 0:
            failover["runbook"] = _runbook(draw, moved_by)
    elif draw(st.integers(0, 3)) == 0:
        failover["fence"] = _token(draw) | {"if_unconfirmed": "proceed"}
    if by != "lease" or moved_by == "health":
        failover["detect"] = _detect(draw, regions, primary)
    if draw(st.integers(0, 3)) == 0:
        sees = _some(draw, (WITNESS, *OUTSIDE))
        failover["self_check"] = {"sees": sees, "every": "5s", "fails": 2, "timeout": "2s"}
    return failover


def _store(draw: st.DrawFn, regions: tuple[str, ...], zones: dict[str, list[str]]) -> Data:
    home = draw(st.sampled_from([*zones] or regions))
    primary, *near = zones.get(home, [home])
    standbys = [region for region in regions if region != home and draw(st.sampled_from([True] * 9 + [False]))]
    standbys = near + standbys
    listed: list[Any] = list(standbys)
    if len(standbys) > 1 and draw(st.integers(0, 3)) == 0:
        listed[-1] = {"region": standbys[-1], "source": standbys[0]}
    archive = _archive(draw, regions, standbys, listed)
    snapshots: Data | None = None
    if standbys and archive is None and draw(st.integers(0, 5)) == 0:
        listed[-1] = {"region": standbys[-1], "via": "snapshot"}
        place, every = draw(st.sampled_from([*regions, "operations"])), draw(seconds(60, 3600))
        snapshots = {"place": place, "every": every, "takes": "10s..60s", "size": "10GB", "prepares": "30s"}
    objects: Data | None = None
    if standbys and archive is None and snapshots is None and draw(st.integers(0, 5)) == 0:
        copied = standbys if listed == standbys and draw(st.booleans()) else standbys[-1:]
        listed = [{"region": region, "via": "objects"} if region in copied else region for region in listed[:-1]]
        listed.append({"region": standbys[-1], "via": "objects"})
        objects = {"lag": draw(durations(0.05, 60))}
    moved_by = draw(st.sampled_from(["controller", "gitops", "health"]))
    store: Data = {
        "primary": primary,
        "standbys": listed,
        "commit": _commit(
            draw,
            [one for one, item in zip(standbys, listed, strict=True) if isinstance(item, str) or "fallback" in item],
            near,
        ),
        "endpoint": {"ttl": "30s", "moved_by": moved_by, "takes": draw(durations(0, 60))},
        "wal": _wal(draw),
    }
    if archive is not None:
        store["archive"] = archive
    if snapshots is not None:
        store["snapshots"] = snapshots
    if objects is not None:
        store["objects"] = objects
    if all(isinstance(item, dict) and item.get("via") in ("objects", "snapshot") for item in listed) or objects:
        store["wal"].pop("bulk", None)
    if (
        any(isinstance(item, str) or item.get("via", "stream") == "stream" for item in listed)
        and not any(isinstance(item, dict) and "fallback" in item for item in listed)
        and draw(st.integers(0, 4)) == 0
    ):
        limit = draw(st.sampled_from(["disk", "max_slot_wal_keep_size"]))
        store["slots"] = {limit: "20MB", "makes_room": "1min..5min", "reclone": draw(durations(5, 120))}
    if draw(st.integers(0, 4)) == 0 and len(regions) > 1:
        places = _some(draw, (*regions, *near))
        store["storage"] = places if places != [primary] else [*places, regions[regions[0] == home]]
    if draw(st.booleans()):
        store["product"] = "cloudnative-pg"
    if standbys and draw(st.sampled_from([True] * 9 + [False])):
        store["failover"] = _failover(draw, regions, home, standbys, moved_by)
    if near and draw(st.sampled_from([True, True, False])):
        _manage_inside(draw, store, near, bool(standbys[len(near) :]))
    return store


def _archive(draw: st.DrawFn, regions: tuple[str, ...], standbys: list[str], listed: list[Any]) -> Data | None:
    """Let the last standbys restore from an archive, or from one another's, or have it behind their stream."""
    if not standbys or draw(st.integers(0, 4)) > 0:
        return None
    listed[-1] = {"region": standbys[-1], "via": "archive"}
    archive = {"place": draw(st.sampled_from(regions)), "timeout": draw(seconds(5, 300)), "upload": "0.5s..2s"}
    if len(standbys) > 1 and draw(st.booleans()):
        before = {"region": standbys[-2], "via": draw(st.sampled_from(["stream", "archive"]))}
        listed[-2] = before | {"archive": draw(st.sampled_from(regions))}
        listed[-1]["source"] = standbys[-2]
    elif draw(st.booleans()):
        listed[-1] = {"region": standbys[-1], "fallback": "archive"}
    return archive


def _manage_inside(draw: st.DrawFn, store: Data, near: list[str], elsewhere: bool) -> None:
    """Let a manager or a lease of its own look after the nodes of a region; a lease over all would do so itself."""
    if store.get("failover", {}).get("decide", {}).get("by") == "lease" or not elsewhere:
        store.pop("failover", None)
        store["endpoint"]["moved_by"] = draw(st.sampled_from(["controller", "gitops"]))
    if draw(st.integers(0, 2)) == 0:
        fails = draw(st.sampled_from(["0%", "0%", "50%"]))
        store["in_region"] = {"decide": draw(site_leases()), "fails_to_promote": fails, "attempt_timeout": "20s"}
        return
    store["in_region"] = {
        "every": "5s",
        "fails": draw(st.integers(1, 3)),
        "timeout": "2s",
        "exit_notice": draw(st.sampled_from(["1s..5s", "5min"])),
        "grace": draw(st.sampled_from(["20s", "50s"])),
        "delay": draw(st.sampled_from(["0s", "5s..20s"])),
        "fails_to_promote": draw(st.sampled_from(["0%", "0%", "50%"])),
        "attempt_timeout": "20s",
        "isolation_check": draw(st.sampled_from([False, False, False, True])),
    }
    if draw(st.booleans()):
        store["in_region"]["lease"] = draw(st.sampled_from(["5s", "15s"]))
    of = store["commit"]["of"] if isinstance(store["commit"], dict) else []
    if of == "in-region" or (of and set(of) <= set(near)):
        store["in_region"]["quorum"] = draw(st.booleans())


def _several_elsewhere(draw: st.DrawFn, regions: tuple[str, ...], store: Data) -> dict[str, list[str]]:
    """Let a standby elsewhere be a cluster of two, or none; return its zones."""
    listed = store["standbys"]
    far = [item for item in (one if isinstance(one, str) else one["region"] for one in listed) if item in regions]
    if not far or draw(st.booleans()):
        return {}
    region = draw(st.sampled_from(far))
    first, second = f"{region}-a", f"{region}-b"
    several: list[Any] = []
    for item in listed:
        one = {"region": item} if isinstance(item, str) else dict(item)
        if one.get("source") == region:
            one["source"] = first
        if one["region"] == region:
            several += [one | {"region": first}, {"region": second} | ({"via": one["via"]} if "via" in one else {})]
        else:
            several.append(one if len(one) > 1 else one["region"])
    store["standbys"] = several
    renamed = {region: first}
    if isinstance(store["commit"], dict) and store["commit"]["of"] != "in-region":
        store["commit"]["of"] = [renamed.get(one, one) for one in store["commit"]["of"]]
    order = store.get("failover", {}).get("promote", {}).get("order")
    if order is not None:
        store["failover"]["promote"]["order"] = [renamed.get(one, one) for one in order]
    return {region: [first, second]}


def _service(draw: st.DrawFn) -> Data:
    service: Data = {"writes": STORE, "reads": {STORE: draw(st.sampled_from(["nearest", "primary"]))}}
    if draw(st.integers(0, 3)) == 0:
        again = {"again_after": draw(durations(0.01, 60))} if draw(st.booleans()) else {}
        window = "0s" if service["reads"][STORE] == "primary" else draw(st.sampled_from(["0s", "5s"]))
        service["reads"][STORE] = {"route": service["reads"][STORE], "primary_for": window, **again}
    if draw(st.integers(0, 2)) == 0:
        service["read_only"] = True
    if draw(st.integers(0, 2)) == 0:
        leader, catches_up = draw(st.sampled_from(["writer", "nobody"])), draw(st.booleans())
        service["batch"] = {"every": "5min", "takes": "40s", "leader": leader, "catches_up": catches_up}
    if draw(st.booleans()):
        gives_up = draw(st.sampled_from(["0s", "1min", "30min"]))
        service["retries"] = {"after": "15s", "gives_up_after": gives_up, "idempotent": draw(st.booleans())}
    return service


def _scaled_down(draw: st.DrawFn, regions: tuple[str, ...], store: Data, record: Data) -> Data | None:
    """Return what keeps a service out of some regions at first; people are not sent there meanwhile."""
    home = next(region for region in regions if store["primary"].startswith(region))
    others = [region for region in regions if region != home]
    if not others or draw(st.sampled_from([True, True, False])):
        return None
    asleep = _some(draw, tuple(others))
    facts = ["front-down"]
    failover = store.get("failover")
    if failover is not None:
        nodes = [item if isinstance(item, str) else item["region"] for item in store["standbys"]]
        facts += ["promoted"] * 2 if set(asleep) <= set(nodes) else []
        facts += ["decided"] if failover["decide"]["by"] != "lease" else []
    check = record.setdefault("health_check", {"preset": "route53-fast"})
    if record["policy"] == "failover" and draw(st.booleans()):
        record["regions"] = [home, *others]
    elif check.get("depth") != "write-path":
        check["depth"] = "application"
    return {
        "regions": asleep,
        "starts_when": draw(st.sampled_from(facts)),
        "schedule": draw(st.sampled_from(["0s", "30s..3min"])),
        "pull": draw(st.sampled_from(["0s", "5s..60s"])),
        "start": draw(durations(0.1, 20)),
        "verify": draw(st.sampled_from(["0s", "1min..5min"])),
    }


def _management(draw: st.DrawFn, regions: tuple[str, ...], store: Data, services: Data) -> Data:
    """Return a management plane, or none, and let it manage something."""
    managed = [rule for one in services.values() for key in ("scaled_down", "relocates") if (rule := one.get(key))]
    managed += [store["endpoint"]] if store["endpoint"]["moved_by"] == "gitops" else []
    if not managed or draw(st.booleans()):
        return {}
    for rule in managed[draw(st.integers(0, len(managed) - 1)) :]:
        rule["managed_by"] = "gitops"
    place, *others = draw(st.permutations([*regions, "operations"]))
    plane: Data = {"place": place, "given_up_after": draw(durations(30, 300))}
    how = draw(st.sampled_from(["mirrored_in", "rebuilt_in", ""]))
    if how:
        plane[how] = others[:2]
        plane["takes_over" if how == "mirrored_in" else "rebuild"] = draw(durations(10, 600))
    if place == "operations":
        plane["watched_from"] = "checkers"
    return {"management": {"gitops": plane}}


def _feeds(draw: st.DrawFn, regions: tuple[str, ...], store: Data) -> Data:
    """Return no consumers of changes, or one or two, with a slot of any kind."""
    if "objects" in store or draw(st.sampled_from([True, True, False])):
        return {}
    streams = [item for item in store["standbys"] if isinstance(item, str)]
    feeds: Data = {}
    for name in ("index", "lake")[: draw(st.integers(1, 2))]:
        feed: Data = {"of": STORE, "region": draw(st.sampled_from(regions)), "reads_after": draw(durations(0.01, 3))}
        if streams and draw(st.sampled_from([True, True, False])):
            waits_for = draw(st.sampled_from([[], [], streams[:1], streams]))
            feed["slot"] = {"synced_every": draw(durations(0.2, 60)), "waits_for": waits_for}
        feed |= {"confirms_every": draw(st.sampled_from(["0s", "60s"])), "keeps_position": draw(st.booleans())}
        feed |= {"reconnects": draw(durations(0, 20)), "recreates": draw(durations(0, 300))}
        if draw(st.booleans()):
            size = draw(st.sampled_from(["100MB", "10GB"]))
            feed["reseeds"] = {"after": draw(durations(0, 900)), "size": size, "throughput": "20MB/s"}
        feeds[name] = feed
    return {"feeds": feeds}


def _worker(draw: st.DrawFn) -> Data:
    """Return a service that runs beside the primary and follows it."""
    relocates = {"schedule": "5s", "pull": draw(st.sampled_from(["0s", "5s..60s"])), "start": draw(durations(0.1, 20))}
    return {"writes": STORE, "runs_in": "writer", "relocates": relocates}


def _record(draw: st.DrawFn, regions: tuple[str, ...]) -> Data:
    seldom = ["geography", "anycast", "weighted"]
    policy = draw(st.sampled_from(["latency", "failover", "latency", "failover", *seldom, "anycast"]))
    record: Data = {"serves": ["orders"], "policy": policy, "regions": list(regions)}
    if policy != "anycast":
        record["ttl"] = "60s"
    elif len(regions) > 1 and draw(st.booleans()):
        patience = draw(st.sampled_from(["10s", "1min"]))
        record["edge"] = {"connect_timeout": draw(seconds(1, 30)), "clients_give_up_after": patience}
        record["edge"]["writes"] = draw(st.sampled_from([True, True, False]))
    if policy == "geography":
        record["locations"] = {"users": _some(draw, regions)}
    if policy == "weighted":
        record["weights"] = {region: draw(st.integers(0, 3)) for region in regions}
        record["weights"][regions[0]] = draw(st.integers(1, 3))
        shift = {"steps": ["10%", "50%", "100%"], "every": draw(seconds(30, 300))}
        shifting = draw(st.booleans())
    if draw(st.sampled_from([True, True, False])):
        record["health_check"] = {
            "preset": draw(st.sampled_from(["route53-fast", "azure-traffic-manager-fast", "global-accelerator"])),
            "depth": draw(st.sampled_from(["reachability", "application", "write-path"])),
            "when_all_unhealthy": draw(st.sampled_from(["answer-all", "answer-none", "answer-fallback"])),
        }
        if policy == "weighted" and shifting:
            record["shift_back"] = shift
    return record


def _edited(draw: st.DrawFn, store: Data, record: Data) -> None:
    """Let a person edit the record, or leave it to its checks."""
    if record["policy"] in ("anycast", "weighted") or draw(st.booleans()):
        return
    plan = {"takes": draw(durations(30, 900)), "back": draw(durations(10, 900)), "propagates": draw(durations(0.1, 60))}
    if "health_check" in record:
        record["edited"] = plan
    elif record["policy"] == "failover" and "failover" in store:
        record["edited"] = plan | {"when": "promoted"}


def _fault(draw: st.DrawFn, regions: tuple[str, ...], store: Data, kind: str) -> Data:
    home = next(region for region in regions if store["primary"].startswith(region))
    region = draw(st.sampled_from([*[home] * 4, *regions]))
    others = [place for place in (*regions, *OUTSIDE, WITNESS) if place != region]
    standbys = [item if isinstance(item, str) else item["region"] for item in store["standbys"]]
    fault: Data = {"kind": kind, "at": draw(st.one_of(st.just("random"), seconds(50, 900)))}
    fault["lasts"] = draw(st.one_of(st.just("permanent"), durations(300, 1500), durations(1, 60), durations(60, 1500)))
    in_flight = draw(st.sampled_from(["arrives", "lost"]))
    if kind == "region-loss":
        connections = draw(st.sampled_from(["hang", "refused"]))
        return fault | {"region": region, "connections": connections, "in_flight": in_flight}
    if kind == "isolation":
        spared = draw(st.sampled_from([["users"], [f"{region}-control"], ["users", "endpoint-authority"], others[:1]]))
        spared = [place for place in spared if place != f"{region}-control"]
        return fault | {"region": region, "cut_from": "rest", "still_reached_by": spared, "in_flight": in_flight}
    if kind == "cut-zone":
        near = [home, *(item for item in standbys if item.startswith(f"{home}-"))]
        away = draw(st.sampled_from([near[:1], near[1:], [*near, *OUTSIDE]]))
        direction = draw(st.sampled_from(["both", "both", "forward", "backward"]))
        inside = {"kind": "partition", "between": [store["primary"]], "and": away, "direction": direction}
        return fault | inside | {"in_flight": in_flight}
    if kind == "partition":
        direction = draw(st.sampled_from(["both", "forward", "backward"]))
        away = draw(st.lists(st.sampled_from(others), min_size=1, max_size=4, unique=True))
        return fault | {"between": [region], "and": away, "direction": direction, "in_flight": in_flight}
    if kind == "switchover":
        able = standbys if "failover" in store else [item for item in standbys if item.startswith(home)]
        plan = {"kind": kind, "at": fault["at"], "store": STORE, "to": draw(st.sampled_from(able))}
        quick = {"drain": "1s..5s", "checkpoint": "2s", "hands_over": draw(durations(1, 120)), "goes_back": "20s"}
        quick["follows"] = draw(st.sampled_from(["after-shutdown", "after-promotion"]))
        quick["starts_again"] = draw(durations(1, 400))
        if draw(st.booleans()) and store["endpoint"]["ttl"] == "30s":
            quick["lowers_ttl"] = {"to": draw(seconds(1, 29)), "ahead": draw(seconds(1, 1200))}
        return plan | quick | {"gives_up_after": draw(seconds(60, 400))}
    if kind == "zone-loss":
        return fault | {"zone": store["primary"], "connections": "hang", "in_flight": in_flight}
    if kind in ("process-crash", "agent-crash", "node-loss"):
        return fault | {"store": STORE, "region": draw(st.sampled_from([store["primary"], *standbys]))}
    if kind == "replication-stall":
        return fault | {"store": STORE, "region": draw(st.sampled_from(standbys))}
    if kind == "brownout":
        return fault | {"region": region, "errors": draw(st.sampled_from(["30%", "100%"]))}
    degradation: Data = {"from": [region], "to": draw(st.lists(st.sampled_from(others), min_size=1, unique=True))}
    degradation["bandwidth"] = draw(st.sampled_from(["10KB/s", "10MB/s"]))
    if draw(st.booleans()):
        degradation["loss"] = draw(st.sampled_from(["5%", "60%", "95%"]))
    if draw(st.booleans()):
        degradation["added_latency"] = draw(st.one_of(durations(0.01, 1), seconds(1, 6)))
    return fault | degradation


def _faults(draw: st.DrawFn, regions: tuple[str, ...], store: Data) -> list[Data]:
    kinds = ["region-loss", "region-loss", "isolation", "isolation", "partition", "process-crash", "brownout"]
    kinds += ["link-degradation", "node-loss"]
    if store["primary"] not in regions:
        kinds += ["zone-loss", "zone-loss", "process-crash", "node-loss"]
    if "in_region" in store:
        kinds.append("cut-zone")
    if store["standbys"]:
        kinds.append("replication-stall")
    if "failover" in store or "decide" in store.get("in_region", {}):
        kinds.append("agent-crash")
    if "failover" in store or "in_region" in store:
        kinds.append("switchover")
    return [_fault(draw, regions, store, draw(st.sampled_from(kinds))) for _ in range(draw(st.integers(1, 3)))]


@st.composite
def scenario_data(draw: st.DrawFn, *, with_faults: bool = True) -> Data:
    """Return a scenario as plain data, as a file would hold it.

    One store named ``db`` in one to four regions, one of them with zones or not, any way of failing over, a service
    that may be scaled down in some regions, perhaps workers beside the primary, consumers of changes and a management
    plane, a record, one or two cohorts, a witness, a control point, and one to three faults that may overlap (or none);
    and now and then what :func:`tests.seldom.add_seldom` writes.
    """
    regions = REGIONS[: draw(st.sampled_from([3, 2, 3, 4, 3, 2, 4, 3, 2, 4, 3, 1]))]
    home = draw(st.sampled_from(regions))
    count = draw(st.sampled_from([0, 0, 2, 3]))
    zones = {home: [f"{home}-{letter}" for letter in "abc"[:count]]} if count else {}
    store = _store(draw, regions, zones)
    if "in_region" in store:
        zones |= _several_elsewhere(draw, regions, store)
    rtt = {f"{a}/{b}": f"{draw(st.integers(1, 200))}ms" for a, b in combinations(regions, 2)}
    clients = {"users": {"near": regions[0], "share": "100%", "resolvers": "typical", "class": "browser", "points": 4}}
    if draw(st.booleans()):
        clients["users"]["share"] = "60%"
        clients["others"] = clients["users"] | {"near": regions[-1], "share": "40%", "class": "jvm"}
    network: Data = {"rtt": rtt}
    if draw(st.booleans()):
        network["wal_bandwidth"] = {
            f"{home if zones else store['primary']}/*": draw(st.sampled_from(["3MB/s", "10MB/s"]))
        }
    record = _record(draw, regions)
    service = _service(draw)
    scaled_down = _scaled_down(draw, regions, store, record)
    if scaled_down is not None:
        service["scaled_down"] = scaled_down
    _edited(draw, store, record)
    services = {"orders": service}
    if draw(st.sampled_from([True, False, False])):
        services["worker"] = _worker(draw)
    management = _management(draw, regions, store, services)
    feeds = _feeds(draw, regions, store)
    data = {
        "name": "generated",
        "horizon": draw(st.sampled_from(["40min", "2h"])),
        "regions": list(regions),
        "zones": zones,
        "network": network,
        "witnesses": {WITNESS: {"rtt": "15ms"}},
        "control_points": {"cloud-api": {}},
        "stores": {STORE: store},
        "services": services,
        **management,
        **feeds,
        "dns": {"shop": record},
        "clients": clients,
        "faults": _faults(draw, regions, store) if with_faults else [],
    }
    add_seldom(draw, data, quiet=not with_faults)
    return data


@st.composite
def interrupted_switchovers(draw: st.DrawFn) -> Data:
    """Return a scenario in which a switchover's old primary is cut off: from its standbys, and then from operations.

    All that is cut heals, sooner or later than the work is given up; up to two more faults come between.
    """
    data = draw(scenario_data(with_faults=False).filter(_can_switch))
    store, regions = data["stores"][STORE], tuple(data["regions"])
    home = next(region for region in regions if store["primary"].startswith(region))
    near = draw(st.sampled_from([store["primary"], home]))
    standbys = [item if isinstance(item, str) else item["region"] for item in store["standbys"]]
    away = [item for item in standbys if near != home or not item.startswith(home)]
    others = draw(st.lists(st.sampled_from(["checkers", WITNESS, "endpoint-authority"]), unique=True))
    if near != home and draw(st.booleans()):
        others.append(home)
    planned = _fault(draw, regions, store, "switchover")
    planned |= {"at": "300.37s", "max_lag": "1h", "gives_up_after": draw(seconds(60, 120))}
    faults = [planned]
    for places, at in ((away, seconds(290, 310)), (["operations", *others], seconds(300.4, 400))):
        if places:
            cut = {"kind": "partition", "between": [near], "and": places, "lasts": draw(seconds(50, 600))}
            faults.append(cut | {"at": draw(at), "in_flight": draw(st.sampled_from(["lost", "arrives"]))})
    more = st.sampled_from(["process-crash", "node-loss", "region-loss", "partition", "agent-crash", "switchover"])
    for kind in draw(st.lists(more, max_size=2)):
        if kind == "agent-crash" and "failover" not in store and "decide" not in store["in_region"]:
            continue
        fault = _fault(draw, regions, store, kind) | {"at": draw(seconds(300, 1000))}
        faults.append(fault if kind == "switchover" else fault | {"lasts": draw(durations(1, 400))})
    return data | {"faults": faults}


def _can_switch(data: Data) -> bool:
    """Whether a switchover of the store is modelled: it fails over, or another node is in the primary's region."""
    store = data["stores"][STORE]
    standbys = [item if isinstance(item, str) else item["region"] for item in store["standbys"]]
    home = next(region for region in data["regions"] if store["primary"].startswith(region))
    inside = "in_region" in store and any(item.startswith(home) for item in standbys)
    return bool(standbys) and ("failover" in store or inside)


def read(data: Data) -> Scenario:
    """Return the scenario that a file with this data would be (JSON is YAML)."""
    return loads(json.dumps(data, indent=1))


def scenarios(*, with_faults: bool = True) -> st.SearchStrategy[Scenario]:
    """Return scenarios; see :func:`scenario_data` for what is in them."""
    return scenario_data(with_faults=with_faults).map(read)
