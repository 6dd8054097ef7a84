"""What few scenarios write: the keys of the language that :mod:`tests.strategies` leaves to their defaults.

Each group of keys is laid over a scenario that is complete without it, and over one in several only, so that the
usual scenarios stay as common as they were.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

Data = dict[str, Any]

RESOLVERS = ("honest", "unbound", "unbound-prefetch", "unbound-serve-expired", "bind", "bind-no-prefetch", "dnsmasq")
RESOLVERS += ("dnsmasq-stale", "serve-stale", "clamp-min", "clamp-max", "stretcher")
CLASSES = ("browser", "firefox", "jvm", "jvm-forever", "app")
POOLS = ("pool-hikari", "pgbouncer")
"""Classes that keep connections, which weighted answers do not model."""
CHECKS = ("route53-standard", "route53-fast", "cloudflare", "azure-traffic-manager", "azure-traffic-manager-fast")
CHECKS += ("google-cloud-dns", "global-accelerator")
EDGES = ("cloudflare-edge", "cloudfront-edge", "envoy-edge", "nginx-edge")
SLOTS = ("postgresql-17-slots", "patroni-slots", "pg-failover-slots")


def add_seldom(draw: st.DrawFn, data: Data, *, quiet: bool) -> None:
    """Write some of the keys that few scenarios have, in place.

    Parameters
    ----------
    draw
        Hypothesis's.
    data
        A scenario, complete; what is there of a group decides which of its keys mean something.
    quiet
        Whether nothing may happen by itself: no path loses anything.
    """
    if draw(_one_in(6)):
        data["summary"] = "Made by a generator."
    if draw(_one_in(5)):
        data["stable_for"] = draw(st.sampled_from(["0s", "10s", "5min"]))
    _network(draw, data, quiet)
    _store(draw, data)
    _failover(draw, data)
    _in_region(draw, data)
    _services(draw, data)
    _record(draw, data)
    _clients(draw, data)
    for fault in data["faults"]:
        _fault(draw, data, fault)


@cache
def _one_in(number: int) -> st.SearchStrategy[bool]:
    """Return a choice that is seldom made; simplest is not to make it."""
    return st.integers(0, number - 1).map(lambda one: one == number - 1)


@cache
def _seconds(low: float, high: float) -> st.SearchStrategy[str]:
    """Return durations to the millisecond, never a multiple of anybody's period."""
    return st.integers(int(low * 1000), int(high * 1000)).map(lambda ms: f"{ms + 0.137:.3f}ms")


def _places(data: Data) -> list[str]:
    """Return places that somebody may stand in."""
    return [*data["regions"], "operations", "endpoint-authority"]


def _put(draw: st.DrawFn, into: Data, number: int, **keys: st.SearchStrategy[Any]) -> None:
    """Write each of the keys with a chance of one in ``number``."""
    for key, values in keys.items():
        if draw(_one_in(number)):
            into[key] = draw(values)


def _network(draw: st.DrawFn, data: Data, quiet: bool) -> None:
    network = data["network"]
    if len(data["regions"]) > 1 and draw(_one_in(5)):
        # The preset knows the first three of the regions; what is written beside it wins.
        known = len(data["regions"]) == 2 or (len(data["regions"]) == 3 and draw(st.booleans()))
        network["rtt"] = "aws-2026" if known else {"preset": "aws-2026", "eu-west/" + data["regions"][-1]: "33ms"}
    _put(draw, network, 6, last_mile=st.sampled_from(["0s", "5ms", "150ms"]))
    if not quiet:
        _put(draw, network, 10, loss=st.sampled_from(["0.1%", "2%", "20%"]))
    if draw(_one_in(6)):
        data["control_points"]["cloud-api"]["inside"] = draw(st.sampled_from(data["regions"]))


def _store(draw: st.DrawFn, data: Data) -> None:
    store = data["stores"]["db"]
    _put(draw, store["wal"], 6, bytes_per_commit=st.sampled_from(["100B", "500B", "6KB"]))
    if "bursts" in store["wal"]:
        _put(draw, store["wal"]["bursts"], 4, phase=st.sampled_from(["random", "0%", "99%"]))
    if isinstance(store["commit"], dict):
        levels = st.sampled_from(["remote_write", "on", "remote_apply"])
        _put(draw, store["commit"], 2, level=levels)
    endpoint = store["endpoint"]
    _put(draw, endpoint, 6, reconnect=st.one_of(_seconds(0, 60), st.just("0s..5min")))
    _put(draw, endpoint, 8, authority=st.sampled_from(_places(data)))
    if not any("lowers_ttl" in fault for fault in data["faults"]):
        _put(draw, endpoint, 6, ttl=st.sampled_from(["1s", "5s", "5min"]))
    if draw(_one_in(6)):
        timers = {"sender_timeout": _seconds(3, 90), "receiver_timeout": _seconds(3, 90)}
        timers |= {"retry_interval": _seconds(0.2, 20), "local_flush": _seconds(0, 0.05)}
        timers |= {"remote_flush": _seconds(0, 0.5), "connections": st.sampled_from([1, 10, 1000])}
        timers |= {"apply_rate": st.sampled_from(["15MB/s", "400MB/s"])}
        store["replication"] = {}
        _put(draw, store["replication"], 2, **timers)
    if "archive" in store:
        segments = st.sampled_from(["1MiB", "64MiB"])
        _put(draw, store["archive"], 3, poll=_seconds(0.5, 60), restore=_seconds(0, 5), segment=segments)
    if "snapshots" in store:
        _put(draw, store["snapshots"], 2, throughput=st.sampled_from(["20MB/s", "1GB/s"]))


def _failover(draw: st.DrawFn, data: Data) -> None:
    failover = data["stores"]["db"].get("failover")
    if failover is None:
        return
    decide, fence = failover["decide"], failover.get("fence")
    if decide["by"] == "lease":
        _lease(draw, decide, ("patroni", "kubernetes", "cloudnative-pg-lease"))
    elif draw(_one_in(5)):
        failover["decide"] = decide["by"]
    elif "hours" in decide and "office" in decide["hours"]["shifts"]:
        _put(draw, decide["hours"]["shifts"]["office"], 2, assess=_seconds(1, 300))
    if fence is None:
        return
    if fence.get("by") != "token" and draw(_one_in(4)):
        fence["by"] = "stonith"
    if isinstance(fence["if_unconfirmed"], dict) and draw(_one_in(2)):
        fence["if_unconfirmed"] = fence["if_unconfirmed"]["then"]


def _lease(draw: st.DrawFn, lease: Data, products: tuple[str, ...]) -> None:
    """Write a lease by its product's name, or with a store and a race of its own."""
    if draw(_one_in(3)):
        kept = {key: value for key, value in lease.items() if key in ("by", "voters", "reboots", "watchdog")}
        if "reboots" not in kept:
            kept["watchdog"] = draw(st.sampled_from(["none", "5s"]))
        lease.clear()
        lease |= kept | {"preset": draw(st.sampled_from(products))}
    _put(draw, lease, 2, expiry_lag=st.sampled_from(["0s", "0s..5s"]), race=st.sampled_from(["0s", "0.5s..4s"]))


def _in_region(draw: st.DrawFn, data: Data) -> None:
    rule = data["stores"]["db"].get("in_region")
    if rule is None:
        return
    if "decide" in rule:
        if draw(_one_in(5)):
            rule["decide"] = "lease"
        else:
            _lease(draw, rule["decide"], ("patroni",))
    elif draw(_one_in(4)):
        # What is written beside the product's name wins.
        kept = draw(st.sets(st.sampled_from(sorted(rule)))) | {"quorum"}
        data["stores"]["db"]["in_region"] = rule = {key: rule[key] for key in rule if key in kept}
        rule["preset"] = "cloudnative-pg-1-30"
        rule.pop("lease", None)
    elif draw(_one_in(3)):
        rule |= {"heartbeat": draw(_seconds(1, 15)), "poll": draw(_seconds(0, 10))}
        if "lease" in rule:
            rule["lease_every"] = draw(_seconds(0.5, 4))
    if rule.get("isolation_check") or "preset" in rule:
        sessions = ["0s", "20s", "3min", "1h"]
        _put(draw, rule, 2, open_sessions=st.sampled_from(sessions))
    times = {"takes": _seconds(0, 20), "redirects": _seconds(0, 20), "starts_after": _seconds(0, 60)}
    _put(draw, rule, 4, **times, rebuild=_seconds(0, 120))


def _services(draw: st.DrawFn, data: Data) -> None:
    orders = data["services"]["orders"]
    if draw(_one_in(6)):
        asleep = orders.get("scaled_down", {}).get("regions", [])
        awake = [one for one in data["regions"] if one not in asleep]
        some = draw(st.lists(st.sampled_from(awake), min_size=1, unique=True))
        orders["runs_in"] = [one for one in data["regions"] if one in (*some, *asleep)]
    for rule in (one for service in data["services"].values() for one in (service.get("relocates"),) if one):
        _put(draw, rule, 3, verify=_seconds(0, 300), warm=_seconds(0, 60))
    if "scaled_down" in orders:
        _put(draw, orders["scaled_down"], 3, warm=_seconds(0, 60))
    if "retries" in orders:
        _put(draw, orders["retries"], 3, after=_seconds(0.1, 59))
    for feed in data.get("feeds", {}).values():
        _put(draw, feed, 3, shows_after=st.one_of(st.just("0s"), _seconds(0.1, 120)))
        if isinstance(feed.get("slot"), dict) and draw(_one_in(2)):
            preset = draw(st.sampled_from(SLOTS))
            feed["slot"] = draw(st.sampled_from([preset, {"preset": preset, "waits_for": feed["slot"]["waits_for"]}]))


def _record(draw: st.DrawFn, data: Data) -> None:
    record = data["dns"]["shop"]
    if record["policy"] == "anycast":
        _put(draw, record, 3, converges=st.sampled_from(["0s", "5s..3min"]))
    else:
        _put(draw, record, 4, ttl=st.sampled_from(["1s", "9s", "10min"]))
    edges = record["policy"] == "anycast" and len(record["regions"]) > 1
    if edges and ("edge" not in record or draw(st.booleans())):
        preset = draw(st.sampled_from(EDGES))
        record["edge"] = draw(st.sampled_from([preset, {"preset": preset, "clients_give_up_after": "1min"}]))
    for plan in (record[key] for key in ("edited", "shift_back") if key in record):
        places = st.sampled_from(_places(data))
        _put(draw, plan, 2, by=places, authority=places)
    if "shift_back" in record:
        _put(draw, record["shift_back"], 2, takes=_seconds(0, 120))
    if "health_check" in record:
        _health_check(draw, data, record)


def _health_check(draw: st.DrawFn, data: Data, record: Data) -> None:
    check = record["health_check"]
    asked_for = "scaled_down" in data["services"]["orders"]
    if not asked_for and draw(_one_in(3)):
        record["health_check"] = draw(st.sampled_from(CHECKS))
        return
    _put(draw, check, 2, preset=st.sampled_from(CHECKS))
    if draw(_one_in(4)):
        check.pop("preset", None)
        check |= {"every": "10s", "timeout": draw(st.sampled_from(["2s", "10s"]))}
        check["interval_from"] = draw(st.sampled_from(["start", "end"]))
        numbers = {"checkers": st.integers(1, 5), "fails": st.integers(1, 4), "recovers": st.integers(1, 4)}
        _put(draw, check, 2, **numbers, healthy_above=st.sampled_from(["0%", "18%", "75%"]))
        _put(draw, check, 2, applies_after=_seconds(0, 30), answer_within=_seconds(0.5, 5))
        _put(draw, check, 2, stands=st.sampled_from([*_places(data), "witness"]))
    if check.get("when_all_unhealthy") == "answer-fallback":
        _put(draw, check, 2, fallback=st.sampled_from(record["regions"]))


def _clients(draw: st.DrawFn, data: Data) -> None:
    weighted = data["dns"]["shop"]["policy"] == "weighted"
    for cohort in data["clients"].values():
        if draw(_one_in(2)):
            cohort["resolvers"] = draw(st.one_of(st.sampled_from(RESOLVERS), _resolvers()))
        if draw(_one_in(3)):
            cohort["class"] = draw(_classes(pools=not weighted))


@st.composite
def _resolvers(draw: st.DrawFn) -> Data:
    """Return a product's resolvers, perhaps set otherwise, beside some of nobody's."""
    preset: Data = {"preset": draw(st.sampled_from(RESOLVERS)), "share": "70%"}
    _put(draw, preset, 3, lookups=st.sampled_from(["busy", "30/min"]), serve_stale=st.booleans())
    own: Data = {"share": "30%"}
    clamps = {"ttl_min": st.just("20s"), "ttl_max": st.sampled_from(["40s", "forever"]), "ttl_add": st.just("2s")}
    early = {"prefetch": st.just("3s"), "prefetch_from_ttl": st.just("10s"), "prefetch_share": st.just("10%")}
    _put(draw, own, 2, **clamps, **early, tick=st.sampled_from(["0s", "1s"]))
    _put(draw, own, 2, lookups=st.sampled_from(["busy", "2/min"]), serve_stale=st.booleans())
    _put(draw, own, 3, overstay=st.sampled_from(["0s", "1s..10min"]))
    return {"product": preset, "own": own}


@st.composite
def _classes(draw: st.DrawFn, *, pools: bool) -> Any:
    """Return a product, or one beside a program of one's own."""
    if draw(st.booleans()):
        return draw(st.sampled_from((*CLASSES, *POOLS) if pools else CLASSES))
    own: Data = {"share": "40%"}
    lives = st.sampled_from(["0s", "10s", "30min", "forever"])
    _put(draw, own, 2, cache=lives, honours_ttl=st.booleans(), breaks_after=_seconds(0, 900))
    if pools:
        _put(draw, own, 2, pool_lifetime=lives)
    product = draw(st.sampled_from((*CLASSES, *POOLS) if pools else CLASSES))
    return {"own": own, "product": {"preset": product, "share": "60%"}}


def _fault(draw: st.DrawFn, data: Data, fault: Data) -> None:
    kind = fault["kind"]
    if "lasts" in fault and draw(_one_in(5)):
        fault["lasts"] = "permanent"
    if kind in ("process-crash", "node-loss"):
        _put(draw, fault, 2, in_flight=st.sampled_from(["arrives", "lost"]))
    elif kind == "zone-loss":
        fault["connections"] = draw(st.sampled_from(["hang", "refused"]))
    elif kind == "brownout":
        _put(draw, fault, 2, latency=st.one_of(_seconds(0.1, 20), st.just("0.5s..15s")))
        _put(draw, fault, 2, clients_give_up_after=st.sampled_from(["1s", "1min"]))
    elif kind == "switchover":
        _put(draw, fault, 2, max_lag=st.sampled_from(["0.5s", "5min"]))
    elif kind == "isolation" and draw(_one_in(4)):
        others = [place for place in (*data["regions"], "users", "checkers", "operations") if place != fault["region"]]
        fault["cut_from"] = draw(st.lists(st.sampled_from(others), min_size=1, unique=True))
        fault["still_reached_by"] = "rest"
