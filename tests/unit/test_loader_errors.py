"""Every mistake in a scenario file: place, path, value and way out, several at once, never a traceback."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mrsim.errors import Problem, ScenarioError
from mrsim.scenario.loader import LARGEST_FILE, load, loads

GOOD = """\
name: small
summary: A small good scenario to break.
horizon: 4h
regions: [us-east, eu-west, ap-southeast]
network: {rtt: aws-2026, wal_bandwidth: {us-east/*: 40Mbit/s}}
witnesses:
  arbiter: {rtt: 20ms}
control_points:
  cloud-api: {inside: none}
stores:
  orders-db:
    primary: us-east
    standbys: [eu-west, {region: ap-southeast, source: eu-west}]
    commit: {any: 1, of: [eu-west], level: on, when_short: block}
    endpoint: {ttl: 30s, moved_by: gitops, takes: 30s..60s}
    wal: {commits: 200/s, bytes_per_commit: 2KB, bursts: {every: 30min, last: 2min, rate: 20x}}
    failover:
      detect: {from: [eu-west, ap-southeast], every: 10s, fails: 3, timeout: 4s}
      decide: {by: automatic, max_lag: 10s}
      fence: {through: cloud-api, takes: 5s..15s}
      promote: {order: [eu-west, ap-southeast]}
      old_primary: {on_return: stays-down}
services:
  storefront: {reads: {orders-db: nearest}}
  orders: {writes: orders-db}
dns:
  shop: {serves: [storefront, orders], policy: latency, ttl: 60s, health_check: route53-fast}
clients:
  us-users: {near: us-east, share: 60%, resolvers: typical, class: browser}
  eu-users: {near: eu-west, share: 40%, resolvers: {bind: 50%, unbound: 50%}, class: {browser: 70%, jvm: 30%}}
faults:
  - {kind: isolation, region: us-east, at: 10min, lasts: 30min, cut_from: rest, still_reached_by: [us-users]}
budgets:
  rto{service=orders, op=write, clients=95%}: [p95 < 10min]
  rpo{store=orders-db}: [p99 < 2min]
"""


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ScenarioError) as caught:
        loads(text, "small.yaml")
    assert re.match(r"small\.yaml:\d+:\d+: ", str(caught.value)) or not caught.value.problems[0].line
    return caught.value.problems


@pytest.mark.parametrize(("written", "message"), [("regions: []\n", "the list is empty"), ("", "'regions' is missing")])
def test_that_there_are_no_regions_is_said_once(written: str, message: str) -> None:
    (problem,) = problems_of(GOOD.replace("regions: [us-east, eu-west, ap-southeast]\n", written))
    assert problem.message == message


def test_the_good_scenario_is_good() -> None:
    scenario = loads(GOOD)
    assert scenario.stores["orders-db"].standbys[1].source == "eu-west"
    assert scenario.witnesses["arbiter"].rtt_s == 0.02


# Each row: what to replace, with what, and what one problem must say: path, value or word, hint.
BROKEN = [
    ("name: small", "name: 5", "name", "'5' is not a text", ""),
    ("name: small", "nam: small", "nam", "unknown key 'nam'", "did you mean 'name'?"),
    ("name: small\n", "", "name", "'name' is missing", "name: bookstore"),
    ("horizon: 4h", "horizon: 4", "horizon", "4 has no unit", "4s"),
    ("horizon: 4h", "horizon: .inf", "horizon", "inf is not a duration", "4h"),
    ("summary: A small good scenario to break.", "summary: -.inf", "summary", "'-.inf' is not a text", ""),
    ("horizon: 4h", "horizon: forever", "horizon", "'forever' is not a duration", "4h"),
    ("horizon: 4h", "horizon_explicit: true", "horizon_explicit", "unknown key 'horizon_explicit'", ""),
    ("horizon: 4h", "horizon: 15min", "horizon", "too short to judge 'p95 < 10min'", "above 20 min"),
    ("horizon: 4h", "horizon: 5min", "faults[0]", "the trial ends at 5 min", "longer horizon"),
    (
        "regions: [us-east, eu-west,",
        "regions: [us-east, us-east, eu-west,",
        "regions[1]",
        "'us-east' is already a region",
        "",
    ),
    ("regions: [us-east, eu-west,", "regions: [checkers, us-east, eu-west,", "regions[0]", "reserved", "another name"),
    ("regions: [us-east, eu-west,", "regions: [3, us-east, eu-west,", "regions[0]", "'3' is not a text", ""),
    ("regions: [us-east, eu-west, ap-southeast]", "regions: {}", "regions", "is not a list", ""),
    (
        "serves: [storefront, orders], policy: latency, ttl: 60s, health_check: route53-fast",
        "serves: [storefront], policy: latency, ttl: 60s, health_check: {preset: route53-fast, depth: write-path}",
        "dns.shop.health_check.depth",
        "no service of this record writes a store",
        "depth: application",
    ),
    (
        "kind: isolation, region: us-east, at: 10min, lasts: 30min, cut_from: rest, still_reached_by: [us-users]",
        "kind: switchover, store: orders-db, to: eu-west, lowers_ttl: {to: 30s, ahead: 10min}",
        "faults[0].lowers_ttl.to",
        "the endpoint's TTL is 30s already",
        "write less",
    ),
    ("policy: latency", "policy: geography", "dns.shop", "needs locations", "locations: {us-users: [us-east]}"),
    (
        "policy: latency",
        "policy: geography, locations: {eu-user: [eu-west]}",
        "dns.shop.locations",
        "cohort",
        "eu-users",
    ),
    ("policy: latency", "policy: geography, locations: {eu-users: eu-wst}", "dns.shop.locations", "region", "eu-west"),
    (
        "policy: latency",
        "policy: geography, locations: {eu-users: []}",
        "dns.shop.locations.eu-users",
        "no region",
        "one",
    ),
    (
        "policy: latency",
        "policy: geography, locations: {eu-users: [eu-west, eu-west]}",
        "dns.shop.locations.eu-users",
        "a region is named twice",
        "keep one",
    ),
    (
        "policy: latency",
        "policy: geography, regions: [us-east], locations: {eu-users: [eu-west]}",
        "dns.shop.locations.eu-users",
        "not among the record's regions",
        "us-east",
    ),
    ("policy: latency", "policy: latency, locations: {eu-users: [eu-west]}", "dns.shop.locations", "only", "geography"),
    ("policy: latency", "policy: weighted", "dns.shop", "a weighted record needs weights", "us-east: 1, eu-west: 1"),
    ("policy: latency", "policy: latency, weights: {us-east: 1}", "dns.shop.weights", "only a weighted", "weighted"),
    (
        "policy: latency",
        "policy: weighted, weights: {us-east: 1, eu-wst: 1}",
        "dns.shop.weights.eu-wst",
        "unknown region 'eu-wst'",
        "'eu-west'",
    ),
    ("policy: latency", "policy: weighted, weights: {us-east: 50%}", "dns.shop.weights.us-east", "whole number", ""),
    ("policy: latency", "policy: weighted, weights: {us-east: 300}", "dns.shop.weights.us-east", "255", "3 and 1"),
    ("policy: latency", "policy: weighted, weights: {us-east: 0}", "dns.shop.weights", "above 0", "1 at least"),
    (
        "policy: latency",
        "policy: weighted, weights: {us-east: 1}, regions: [us-east, eu-west]",
        "dns.shop.weights",
        "different regions",
        "the weights name them",
    ),
    (
        "policy: latency",
        "policy: weighted, weights: {us-east: 1, eu-west: 1}, shift_back: {steps: [50%, 10%], every: 10min}",
        "dns.shop.shift_back.steps",
        "do not rise to 100%",
        "[10%, 50%, 100%]",
    ),
    (
        "policy: latency, ttl: 60s, health_check: route53-fast",
        "policy: latency, ttl: 60s, edited: {takes: 5min}",
        "dns.shop.edited",
        "tells the person",
        "health_check",
    ),
    (
        "policy: latency, ttl: 60s, health_check: route53-fast",
        "policy: latency, ttl: 60s, edited: {when: promoted}",
        "dns.shop.edited.when",
        "policy: latency does not mean",
        "policy: failover",
    ),
    (
        "policy: latency, ttl: 60s",
        "policy: failover, ttl: 60s, edited: {when: promoted}",
        "dns.shop.health_check",
        "nobody asks the health check",
        "front-down",
    ),
    ("policy: latency, ttl: 60s", "policy: anycast, edited: {takes: 5min}", "dns.shop.edited", "to edit", "failover"),
    (
        "policy: latency, ttl: 60s",
        "policy: weighted, weights: {us-east: 1, eu-west: 1}, ttl: 60s, edited: {takes: 5min}",
        "dns.shop.edited",
        "edits the weights",
        "shift_back",
    ),
    ("policy: latency", "policy: latency, edited: {by: operators}", "dns.shop.edited.by", "operators", "operations"),
    ("policy: latency", "policy: latency, edge: nginx-edge", "dns.shop.edge", "nobody on the way", "policy: anycast"),
    (
        "policy: latency, ttl: 60s",
        "policy: anycast, edge: nginx-edge, regions: [us-east]",
        "dns.shop.edge",
        "there is no other region to try",
        "name more regions",
    ),
    ("policy: latency, ttl: 60s", "policy: anycast, edge: nginx", "dns.shop.edge", "unknown edge preset", "nginx-edge"),
    (
        "services:\n",
        "feeds: {search: {region: eu-west}}\nservices:\n",
        "feeds.search.of",
        "is missing",
        "the store whose changes",
    ),
    (
        "services:\n",
        "feeds: {search: {of: orders-db}}\nservices:\n",
        "feeds.search.region",
        "is missing",
        "the consumer is in",
    ),
    (
        "services:\n",
        "feeds: {search: {of: orders-db, region: eu-west, slot: {}}}\nservices:\n",
        "feeds.search.slot.synced_every",
        "is missing",
        "or choose a preset",
    ),
    (
        "services:\n",
        "feeds: {search: {of: orders-db, region: eu-west, reseeds: {}}}\nservices:\n",
        "feeds.search.reseeds.size",
        "is missing",
        "size: 20GB",
    ),
    (
        "{writes: orders-db}",
        "{writes: orders-db, batch: {takes: 3min}}",
        "services.orders.batch.every",
        "is missing",
        "15min",
    ),
    (
        "kind: isolation, region: us-east, at: 10min, lasts: 30min, cut_from: rest, still_reached_by: [us-users]",
        "kind: switchover, store: orders-db, to: eu-west, lowers_ttl: {to: 10s}",
        "faults[0].lowers_ttl.ahead",
        "is missing",
        "ahead: 10min",
    ),
    (
        "policy: latency, ttl: 60s",
        "policy: anycast, edge: {writes: false}",
        "dns.shop.edge.connect_timeout",
        "is missing",
        "connect_timeout: 5s",
    ),
    (
        "health_check: route53-fast",
        "health_check: {preset: route53-fast, fallback: eu-west}",
        "dns.shop.health_check.fallback",
        "not use the fallback",
        "when_all_unhealthy: answer-fallback",
    ),
    (
        "health_check: route53-fast",
        "health_check: {preset: cloudflare, fallback: eu-wst}",
        "dns.shop.health_check.fallback",
        "unknown region 'eu-wst'",
        "'eu-west'",
    ),
    ("rtt: aws-2026", "rtt: aws-2025", "network.rtt", "unknown rtt preset 'aws-2025'", "did you mean 'aws-2026'?"),
    (
        "rtt: aws-2026",
        "rtt: {us-east/eu-west: 75ms}",
        "network.rtt",
        "no round-trip time between us-east/ap",
        "aws-2026",
    ),
    (
        "rtt: aws-2026",
        "rtt: {preset: aws-2026, us-east/eu-wst: 75ms}",
        "network.rtt.us-east/eu-wst",
        "eu-wst",
        "'eu-west'",
    ),
    ("rtt: aws-2026", "rtt: {preset: aws-2026, us-east: 75ms}", "network.rtt.us-east", "not a pair", "us-east/eu-west"),
    ("rtt: aws-2026", "rtt: {preset: aws-2026, us-east/eu-west: 75}", "network.rtt.us-east/eu-west", "no unit", "75ms"),
    (
        "rtt: aws-2026",
        "rtt: {preset: aws-2026, us-east/eu-west: 75ms, eu-west/us-east: 80ms}",
        "network.rtt.eu-west/us-east",
        "differ",
        "keep one",
    ),
    ("rtt: aws-2026", "rtt: 75ms", "network.rtt", "unknown rtt preset '75ms'", "aws-2026"),
    ("{us-east/*: 40Mbit/s}", "{us-est/*: 40Mbit/s}", "network.wal_bandwidth.us-est/*", "us-est", "'us-east'"),
    ("{us-east/*: 40Mbit/s}", "{us-east: 40Mbit/s}", "network.wal_bandwidth.us-east", "directed pair", ""),
    ("{us-east/*: 40Mbit/s}", "{us-east/*: 40s}", "network.wal_bandwidth.us-east/*", "'40s' is a duration", "40Mbit/s"),
    ("arbiter: {rtt: 20ms}", "arbiter: {rtt_s: 20ms}", "witnesses.arbiter.rtt_s", "unknown key", "did you mean 'rtt'?"),
    ("arbiter: {rtt: 20ms}", "eu-west: {rtt: 20ms}", "witnesses.eu-west", "already a region", "different names"),
    ("arbiter: {rtt: 20ms}", "us-east-control: {rtt: 20ms}", "witnesses.us-east-control", "control point", "another"),
    ("primary: us-east", "primary: us-eats", "stores.orders-db.primary", "unknown region 'us-eats'", "'us-east'"),
    ("primary: us-east", "primary: eu-west", "stores.orders-db.standbys[0]", "cannot hold a standby too", ""),
    ("standbys: [eu-west, {", "standbys: [eu-west, eu-west, {", "stores.orders-db.standbys[1]", "two standbys", ""),
    (
        "standbys: [eu-west, {",
        "standbys: [{region: eu-west, source: ap-southeast}, {",
        "stores.orders-db.standbys[0].source",
        "eu-west <- ap-southeast <- eu-west",
        "us-east",
    ),
    ("source: eu-west", "source: ap-southeast", "stores.orders-db.standbys[1].source", "holds no node", ""),
    ("any: 1", "any: 3", "stores.orders-db.commit", "3 of 1 standbys", "write 1"),
    ("any: 1", "any: 1, first: 1", "stores.orders-db.commit.first", "either any or first", ""),
    ("any: 1, ", "", "stores.orders-db.commit.of", "no effect", "any: 1"),
    ("any: 1", "any: 0", "stores.orders-db.commit.any", "at least 1", ""),
    ("any: 1", "any: 1.5", "stores.orders-db.commit.any", "'1.5' is not a whole number", ""),
    ("any: 1", "any: true", "stores.orders-db.commit.any", "'true' is not a whole number", ""),
    ("of: [eu-west], level", "of: [ap-southeast], level", "stores.orders-db.commit.of[0]", "another standby", ""),
    ("of: [eu-west], level", "of: in-regon, level", "stores.orders-db.commit.of", "not a list", "'in-region'"),
    ("of: [eu-west], level", "of: in-region, level", "stores.orders-db.commit.of", "1 of the 0 other nodes", "zones"),
    ("of: [eu-west], level", "of: [us-east], level", "stores.orders-db.commit.of[0]", "no standby", ""),
    ("level: on", "level: maybe", "stores.orders-db.commit.level", "'maybe' is not allowed", "remote_apply"),
    ("commit: {any", "commits: {any", "stores.orders-db.commits", "unknown key 'commits'", "did you mean 'commit'?"),
    ("ttl: 30s, moved_by", "ttl: 5MB, moved_by", "stores.orders-db.endpoint.ttl", "'5MB' is a size", "30s"),
    ("ttl: 30s, moved_by", "ttl: 0s, moved_by", "stores.orders-db.endpoint.ttl", "above 0", ""),
    ("moved_by: gitops", "moved_by: gitopps", "stores.orders-db.endpoint.moved_by", "gitopps", "'gitops'"),
    ("takes: 30s..60s", "takes: 60s..30s", "stores.orders-db.endpoint.takes", "upside down", "30s..60s"),
    ("commits: 200/s", "commits: 200", "stores.orders-db.wal.commits", "no unit", "200/s"),
    ("commits: 200/s, ", "", "stores.orders-db.wal.commits", "missing", "200/s"),
    ("last: 2min", "last: 40min", "stores.orders-db.wal.bursts.last", "not shorter than its period", ""),
    ("rate: 20x", "rate: 1x", "stores.orders-db.wal.bursts.rate", "above 1", ""),
    (
        "from: [eu-west, ap-southeast], every",
        "from: [us-east], every",
        "stores.orders-db.failover.detect.from",
        "lost",
        "",
    ),
    ("from: [eu-west, ap-southeast], every", "from: [], every", "stores.orders-db.failover.detect.from", "empty", ""),
    (
        "fails: 3, timeout: 4s",
        "fails: 3, timeout: 14s",
        "stores.orders-db.failover.detect.timeout",
        "longer than the int",
        "",
    ),
    ("fails: 3,", "fails: 3, verdict: 3,", "stores.orders-db.failover.detect.verdict", "there are 2", "all, any"),
    (
        "{any: 1, of: [eu-west], level: on, when_short: block}",
        "'off'",
        "stores.orders-db.commit",
        "not modelled",
        "write async",
    ),
    (
        "level: on",
        "level: local",
        "stores.orders-db.commit.level",
        "at the level 'local' commits wait for no standby",
        "remote_write",
    ),
    ("fails: 3,", "fails: 3, verdict: some,", "stores.orders-db.failover.detect.verdict", "'some'", "majority"),
    (
        "by: automatic",
        "by: automtic",
        "stores.orders-db.failover.decide",
        "'automtic' is not allowed here",
        "'automatic'",
    ),
    ("{by: automatic, max_lag", "{max_lag", "stores.orders-db.failover.decide", "'by' is missing", "operator"),
    ("max_lag: 10s", "page: 10s", "stores.orders-db.failover.decide.page", "unknown key 'page'", "delay"),
    (
        "{by: automatic, max_lag: 10s}",
        "{preset: kubernetes, voters: [arbiter], failsafe_mode: true}",
        "stores.orders-db.failover.decide.failsafe_mode",
        "only Patroni's leaders",
        "preset: patroni",
    ),
    (
        "{by: automatic, max_lag: 10s}",
        "{preset: patroni, voters: [arbiter], failsafe_mode: true, enforced_by: nobody}",
        "stores.orders-db.failover.decide.failsafe_mode",
        "goes on anyway",
        "enforced_by: holder",
    ),
    (
        "{by: automatic, max_lag: 10s}",
        "{preset: patroni, voters: [arbiter], synchronous_mode: true}",
        "stores.orders-db.failover.decide.synchronous_mode",
        "is not modelled",
        "when_short: degrade",
    ),
    (
        "{by: automatic, max_lag: 10s}",
        "{preset: patroni, voters: [arbiter], maximum_lag_on_failover: 1MB}",
        "stores.orders-db.failover.decide.maximum_lag_on_failover",
        "has another name here",
        "max_lag_bytes",
    ),
    (
        "{by: automatic, max_lag: 10s}",
        "{by: lease}",
        "stores.orders-db.failover.decide.voters",
        "missing",
        "lease store",
    ),
    (
        "{by: automatic, max_lag: 10s}",
        "{preset: patroni, voters: [us-east, arbiter]}",
        "stores.orders-db.failover.detect",
        "a lease needs no probers",
        "leave detect out",
    ),
    (
        "{by: automatic, max_lag: 10s}",
        "{preset: patroni, voters: [us-east, arbiter]}",
        "stores.orders-db.failover.promote.order",
        "no effect under a lease",
        "leave order out",
    ),
    ("by: automatic", "by: lease, voters: [moon]", "stores.orders-db.failover.decide.voters[0]", "'moon'", "known"),
    ("by: automatic", "by: lease, preset: patrony", "stores.orders-db.failover.decide.preset", "patrony", "'patroni'"),
    (
        "through: cloud-api",
        "through: us-est-control",
        "stores.orders-db.failover.fence.through",
        "us-est",
        "us-east-control",
    ),
    (
        "through: cloud-api",
        "through: eu-west",
        "stores.orders-db.failover.fence.through",
        "control point",
        "eu-west-control",
    ),
    ("order: [eu-west, ap-", "order: [us-east, ap-", "stores.orders-db.failover.promote.order[0]", "no standby", ""),
    (
        "on_return: stays-down",
        "on_return: rejoin",
        "stores.orders-db.failover.old_primary.on_return",
        "rejoin",
        "'rejoins'",
    ),
    (
        "{on_return: stays-down}",
        "{on_return: stays-down, reconcile: {recovers: 90%}}",
        "stores.orders-db.failover.old_primary.reconcile.takes",
        "missing",
        "",
    ),
    (
        "rpo{store=orders-db}: [p99 < 2min]",
        "missing_writes{store=orders-db}: [p99 < 1]",
        "budgets",
        "no failover.old_primary.reconcile",
        "write failover.old_primary.reconcile",
    ),
    ("reads: {orders-db", "reads: {order-db", "services.storefront.reads.order-db", "unknown store", "'orders-db'"),
    ("{orders-db: nearest}", "{orders-db: closest}", "services.storefront.reads.orders-db", "'closest'", "nearest"),
    ("{reads: {orders-db: nearest}}", "{}", "services.storefront", "neither reads nor writes", ""),
    ("orders: {writes: orders-db}", "orders: {reads: {orders-db: primary}}", "budgets", "does not write", ""),
    (
        "{orders-db: nearest}",
        "{orders-db: {route: primary, primary_for: 5s}}",
        "services.storefront.reads.orders-db.primary_for",
        "needs no window",
        "route: nearest",
    ),
    (
        "{orders-db: nearest}",
        "{orders-db: {route: nearest, primry_for: 5s}}",
        "services.storefront.reads.orders-db.primry_for",
        "unknown key 'primry_for'",
        "did you mean 'primary_for'?",
    ),
    (
        "rpo{store=orders-db}: [p99 < 2min]",
        "ryow_violations{service=orders}: [p99 < 1%]",
        "budgets",
        "the service 'orders' has no reads.primary_for",
        "write reads.primary_for there",
    ),
    (
        "orders: {writes: orders-db}",
        "orders: {writes: orders-db, batch: {every: 5min, takes: 5min}}",
        "services.orders.batch.takes",
        "a run of 5min is not through before the next is due",
        "raise every",
    ),
    (
        "{reads: {orders-db: nearest}}",
        "{reads: {orders-db: nearest}, batch: {every: 5min, takes: 1min}}",
        "services.storefront.batch",
        "writes nothing",
        "leave it out",
    ),
    (
        "{reads: {orders-db: nearest}}",
        "{reads: {orders-db: nearest}, read_only: true}",
        "services.storefront.read_only",
        "reads and writes",
        "leave it out",
    ),
    (
        "{reads: {orders-db: nearest}}",
        "{reads: {orders-db: nearest}, retries: {after: 5s, gives_up_after: 1min}}",
        "services.storefront.retries",
        "writes nothing",
        "leave it out",
    ),
    (
        "orders: {writes: orders-db}",
        "orders: {writes: orders-db, retries: {after: 5s, gives_up_after: 1s}}",
        "services.orders.retries.gives_up_after",
        "before they try again, after 5s",
        "0s",
    ),
    (
        "rpo{store=orders-db}: [p99 < 2min]",
        "retried_s{service=orders, op=write}: [p99 < 1s]",
        "budgets",
        "the record of the service 'orders' has no edge",
        "leave the budget out",
    ),
    (
        "rpo{store=orders-db}: [p99 < 2min]",
        "double_effects{service=orders}: [p99 < 1]",
        "budgets",
        "the service 'orders' has no retries",
        "write retries there",
    ),
    ("serves: [storefront, orders]", "serves: [storfront, orders]", "dns.shop.serves[0]", "storfront", "'storefront'"),
    ("serves: [storefront, orders]", "serves: [orders]", "services.storefront", "no record leads to", "serves"),
    (
        "health_check: route53-fast",
        "health_check: route53fast",
        "dns.shop.health_check",
        "route53fast",
        "'route53-fast'",
    ),
    ("health_check: route53-fast", "health_check: {every: 10s}", "dns.shop.health_check.timeout", "missing", "4s"),
    (
        "health_check: route53-fast",
        "health_check: {preset: route53-fast, evry: 10s}",
        "dns.shop.health_check.evry",
        "unknown key 'evry'",
        "did you mean 'every'?",
    ),
    ("near: us-east", "near: us-north", "clients.us-users.near", "unknown region 'us-north'", "us-east"),
    ("share: 60%", "share: 50%", "clients", "cohorts add to 90%, not 100%", ""),
    ("share: 60%", "share: 160%", "clients.us-users.share", "more than 100%", ""),
    ("resolvers: typical", "resolvers: typcal", "clients.us-users.resolvers", "typcal", "'typical'"),
    ("{bind: 50%, unbound: 50%}", "{bind: 50%, unbound: 40%}", "clients.eu-users.resolvers", "add to 90%", ""),
    (
        "{bind: 50%, unbound: 50%}",
        "{bind: 50%, unbund: 50%}",
        "clients.eu-users.resolvers.unbund",
        "unbund",
        "'unbound'",
    ),
    ("{browser: 70%, jvm: 30%}", "{browser: 70%, jvm: 20%}", "clients.eu-users.class", "add to 90%", ""),
    ("{browser: 70%, jvm: 30%}", "{browser: 70%, jvm: {cache: 3s}}", "clients.eu-users.class.jvm", "no share", ""),
    ("class: browser", "class: brwser", "clients.us-users.class", "brwser", "'browser'"),
    ("class: browser", "class: browser, points: 9999", "clients.us-users.points", "at most 4096", ""),
    ("kind: isolation", "kind: isolaton", "faults[0]", "unknown kind 'isolaton'", "'isolation'"),
    ("cut_from: rest", "cut_from: rst", "faults[0].cut_from[0]", "unknown place 'rst'", ""),
    (
        "still_reached_by: [us-users]",
        "still_reached_by: rest",
        "faults[0].still_reached_by",
        "both sides are 'rest'",
        "",
    ),
    ("cut_from: rest", "cut_from: [eu-west]", "faults[0]", "on neither side", "rest"),
    ("cut_from: rest", "cut_from: [us-users]", "faults[0].still_reached_by", "on both sides", ""),
    ("cut_from: rest", "cut_from: [us-east]", "faults[0].cut_from", "its own isolation", ""),
    (", still_reached_by: [us-users]", "", "faults[0].still_reached_by", "missing", "both sides"),
    ("at: 10min", "at: whenever", "faults[0].at", "'whenever' is not a duration", "'random'"),
    ("lasts: 30min", "lasts: 30", "faults[0].lasts", "30 has no unit", "'permanent'"),
    ("rto{service=orders", "rtt{service=orders", "budgets.rtt{service", "unknown metric 'rtt'", "did you mean 'rto'?"),
    ("service=orders", "service=order", "budgets", "unknown service 'order'", "'orders'"),
    ("op=write", "op=delete", "budgets", "unknown op 'delete'", "write"),
    (", clients=95%", "", "budgets", "needs the label 'clients'", "clients=95%"),
    ("clients=95%", "clients=100%", "budgets", "not between 0% and 100%", "99%"),
    ("clients=95%", "clients=95", "budgets", "no unit", "95%"),
    ("clients=95%", "client=95%", "budgets", "no label 'client'", "'clients'"),
    ("p95 < 10min", "max < 10min", "budgets", "'max' depends on the number of trials", "p99"),
    ("p95 < 10min", "p95 == 10min", "budgets", "'==' cannot be judged", "<="),
    ("p95 < 10min", "p95 < 10", "budgets", "no unit", "10min"),
    ("p95 < 10min", "p95 < 10MB", "budgets", "is a size", "5min"),
    ("p95 < 10min", "trials < 1%", "budgets", "no aggregation of rto_s", "p95"),
    ("p95 < 10min", "p100 < 10min", "budgets", "no aggregation of rto_s", "p95"),
    ("p95 < 10min", "quickly", "budgets", "is not <aggregation> <op> <value>", "p95"),
    ("[p95 < 10min]", "[]", "budgets", "there is no limit", "p95"),
    ("p95 < 10min", "p95 < 0s", "budgets", "p95 < 0s never holds, whatever rto_s is", "p95 <= 0s"),
    ("p95 < 10min", "p95 >= 0s", "budgets", "p95 >= 0s always holds, whatever rto_s is", "p95 > 0s"),
    (
        "rpo{store=orders-db}: [p99 < 2min]",
        "split_brain{store=orders-db}: [trials <= 100%]",
        "budgets",
        "trials <= 100% always holds, whatever split_brain is",
        "trials < 100%",
    ),
    (
        "rpo{store=orders-db}: [p99 < 2min]",
        "lost_writes{store=orders-db}: [p99 < 0]",
        "budgets",
        "p99 < 0 never holds, whatever lost_writes is",
        "p99 <= 0",
    ),
    ("[p95 < 10min]", "{expr: p95 < 10min, level: panic}", "budgets", "unknown level 'panic'", "warn"),
    ("[p95 < 10min]", "{exp: p95 < 10min}", "budgets", "unknown key 'exp'", "expr"),
    ("rpo{store=orders-db}", "rpo{store=order-db}", "budgets", "unknown store 'order-db'", "'orders-db'"),
    (
        "rpo{store=orders-db}: [p99 < 2min]",
        "split_brain{store=orders-db}: [p99 < 1%]",
        "budgets",
        "split_brain",
        "trials",
    ),
    ("rpo{store=orders-db}: [p99 < 2min]", "rpo{store: [p99 < 2min]", "budgets", "not a metric with labels", "write"),
]


@pytest.mark.parametrize(("old", "new", "where", "message", "hint"), BROKEN, ids=[f"{b[1][:50]}" for b in BROKEN])
def test_one_mistake(old: str, new: str, where: str, message: str, hint: str) -> None:
    assert GOOD.count(old) == 1, "the row must change exactly one place"
    found = problems_of(GOOD.replace(old, new))
    fitting = [
        problem
        for problem in found
        if problem.where.startswith(where) and message in problem.message and hint in problem.hint
    ]
    assert fitting, "\n".join(map(str, found))
    assert all(problem.line > 0 and problem.column > 0 for problem in found)
    line = GOOD[: GOOD.index(old)].count("\n") + 1
    assert any(abs(problem.line - line) <= 5 or problem.where.startswith(("budgets", "faults")) for problem in fitting)


@pytest.mark.parametrize("limit", ["p95 <= 0s", "p95 > 0s"])
def test_a_limit_at_the_end_of_what_is_possible_says_something(limit: str) -> None:
    assert loads(GOOD.replace("p95 < 10min", limit)).budgets[0].limit == 0.0


@pytest.mark.parametrize("given", [3, None, b"name: x"])
def test_what_is_no_text_is_refused_in_a_sentence(given: Any) -> None:
    with pytest.raises(TypeError, match=f"got {type(given).__name__}; mrsim.load reads a file"):
        loads(given)


def test_position_points_at_the_value() -> None:
    (problem,) = problems_of(GOOD.replace("ttl: 30s, moved", "ttl: 30, moved"))
    assert (problem.line, problem.column) == (15, 21)
    assert GOOD.splitlines()[14][20:23] == "30s"


def test_position_of_an_unknown_key_is_the_key() -> None:
    (problem,) = problems_of(GOOD.replace("summary:", "sumary:"))
    assert (problem.line, problem.column) == (2, 1)


def test_several_mistakes_at_once() -> None:
    text = GOOD.replace("ttl: 30s, moved", "ttl: 30, moved").replace("near: us-east", "near: us-est")
    text = text.replace("p95 < 10min", "max < 10min").replace("kind: isolation", "kind: isolaton")
    found = problems_of(text)
    assert len(found) == 4
    assert [problem.line for problem in found] == sorted(problem.line for problem in found)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "the file is empty", ""),
        ("  \n\n", "the file is empty", ""),
        ("# nothing\n", "nothing but comments", ""),
        ("- a\n- b\n", "a scenario is a mapping", ""),
        ("just words\n", "a scenario is a mapping", ""),
        ("\ufeffname: x\n", "byte order mark", "UTF-8"),
        ("name: a\nname: b\n", "the key 'name' is there twice, first in line 1", "keep one"),
        ("name: a\n\tregions: [b]\n", "a tab in the indentation", "spaces"),
        ("name: [a\nregions: b\n", "YAML", ""),
        ("name: 'a\n", "YAML", ""),
        ("name: a\x07b\n", "U+0007 is not allowed", "remove"),
        ("name: &a [*a]\n", "", "alias"),
        ("name: a\n---\nname: b\n", "YAML", ""),
        ("1: a\n", "the key '1' is not a string", "quote"),
        ("true: a\n", "the key 'true' is not a string", "quote"),
        ("no: a\n", "YAML 1.1", "quote"),
        ("? [a, b]\n: c\n", "a sequence cannot be a key", ""),
        ("<<: {name: b}\n", "merge key", ""),
        ("name: !!python/object:os.system x\n", "tag", "leave it out"),
        ("name: !thing x\n", "tag", "leave it out"),
        ("name: no\n", "'no' means something else to YAML 1.1", "truth value"),
        ("name: 1:30\n", "'1:30' means something else", "base 60"),
        ("name: 010\n", "'010' means something else", "another base"),
        ("name: 0x1F\n", "'0x1F' means something else", "another base"),
        ("name: 1_000\n", "'1_000' means something else", "another base"),
        ("name:\n", "there is no value here", ""),
        ("name: *nowhere\n", "YAML", ""),
        ("name: {a: {a: " + "{a: " * 40 + "1" + "}" * 42 + "\n", "nested more than", ""),
        ("name: " + "[" * 5000 + "\n", "nested too deeply", ""),
        ("%FOO bar\n---\nname: x\n", "", ""),
    ],
)
def test_documents_that_are_no_scenario(text: str, message: str, hint: str) -> None:
    found = problems_of(text)
    assert any(message in problem.message and hint in problem.hint for problem in found), found


def test_alias_bomb_is_stopped() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    found = problems_of("\n".join(lines) + "\n")
    assert "once aliases are expanded" in found[0].message


def test_too_many_regions() -> None:
    names = ", ".join(f"r{i}" for i in range(300))
    found = problems_of(GOOD.replace("regions: [us-east,", f"regions: [{names}, us-east,"))
    assert any("200" in problem.message + problem.hint for problem in found), found


def test_absurd_population() -> None:
    classes = ", ".join(f"c{i}: {{cache: 1s}}" for i in range(100))
    text = GOOD.replace("class: browser", f"points: 4096, class: {{{classes}}}")
    assert any("points, more than" in problem.message for problem in problems_of(text))
    six_classes = GOOD.replace("class: browser", f"points: 2048, class: {{{', '.join(classes.split(', ')[:6])}}}")
    assert any("more than 50000" in problem.message for problem in problems_of(six_classes)), (
        "7 resolvers, 86,016 points"
    )


def test_a_population_is_counted_as_it_is_held() -> None:
    """Four times the points behind resolvers that overstay: 4 classes of 4 x 4096 points, and the 128 of eu-users."""
    classes = ", ".join(f"c{i}: {{cache: 1s}}" for i in range(4))
    text = GOOD.replace("class: browser", f"points: 4096, class: {{{classes}}}")
    assert loads(text.replace("resolvers: typical", "resolvers: {x: {share: 100%}}"))
    (problem,) = problems_of(text.replace("resolvers: typical", "resolvers: {x: {share: 100%, overstay: 1s..2s}}"))
    assert "the population has 65664 points" in problem.message


def test_budget_that_needs_a_horizon() -> None:
    text = GOOD.replace("horizon: 4h\n", "").replace(
        "rpo{store=orders-db}: [p99 < 2min]", "lost_writes{store=orders-db}: [p99 < 9]"
    )
    assert loads(text).horizon == 600 + 7200
    text = text.replace("lost_writes{store=orders-db}", "kept_writes{store=orders-db}")
    assert "needs an explicit horizon" in problems_of(text)[0].message


def test_on_and_off_are_words_for_levels() -> None:
    text = GOOD.replace("[p99 < 2min]", "{expr: p99 < 2min, level: off}")
    assert loads(text).budgets[1].level == "off"
    assert loads(GOOD).stores["orders-db"].commit.level == "on"


class TestFiles:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ScenarioError, match="cannot be read: No such file"):
            load(tmp_path / "nowhere.yaml")

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ScenarioError, match="cannot be read"):
            load(tmp_path)

    def test_null_byte_in_the_name(self) -> None:
        with pytest.raises(ScenarioError, match="cannot be read"):
            load("a\0b.yaml")

    def test_not_utf8(self, tmp_path: Path) -> None:
        file = tmp_path / "latin.yaml"
        file.write_bytes("name: x\nsummary: caf\xe9\n".encode("latin-1"))
        with pytest.raises(ScenarioError, match=r":2:13: byte 0xe9 is not UTF-8"):
            load(file)

    def test_utf16(self, tmp_path: Path) -> None:
        file = tmp_path / "wide.yaml"
        file.write_bytes(GOOD.encode("utf-16"))
        with pytest.raises(ScenarioError, match="not UTF-8"):
            load(file)

    def test_too_large(self, tmp_path: Path) -> None:
        file = tmp_path / "large.yaml"
        file.write_bytes(b"#" * (LARGEST_FILE + 1))
        with pytest.raises(ScenarioError, match="larger than 1024 KiB"):
            load(file)

    def test_crlf_is_fine(self, tmp_path: Path) -> None:
        file = tmp_path / "dos.yaml"
        file.write_bytes(GOOD.replace("\n", "\r\n").encode())
        assert load(file).path == str(file)


def test_an_endpoint_that_follows_health_needs_the_timing_of_its_checks() -> None:
    """Under a lease too, which has no probers of its own: else nothing would ever move the endpoint."""
    detect = "      detect: {from: [eu-west, ap-southeast], every: 10s, fails: 3, timeout: 4s}\n"
    leased = GOOD.replace("{by: automatic, max_lag: 10s}", "{by: lease, voters: [us-east, eu-west, arbiter]}")
    healthy = leased.replace("moved_by: gitops, takes: 30s..60s", "moved_by: health")
    (problem,) = [problem for problem in problems_of(healthy.replace(detect, "")) if "detect" in problem.where]
    assert problem.where == "stores.orders-db.failover.detect"
    assert "missing" in problem.message
    assert "follows health" in problem.hint
    unordered = healthy.replace("{order: [eu-west, ap-southeast]}", "{}")
    (fenced,) = problems_of(unordered)
    assert fenced.where == "stores.orders-db.failover.fence"
    assert "no effect under a lease" in fenced.message
    assert loads(unordered.replace("      fence: {through: cloud-api, takes: 5s..15s}\n", ""))


def _said(old: str, new: str) -> list[tuple[str, str, str]]:
    assert old in GOOD
    with pytest.raises(ScenarioError) as refused:
        loads(GOOD.replace(old, new, 1))
    return [(problem.where, problem.message, problem.hint) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("before", "written", "where", "hint"),
    [
        (
            "    primary:",
            "    fence: {through: cloud-api}",
            "stores.orders-db.fence",
            "belongs in stores.orders-db.failover",
        ),
        ("    primary:", "    bursts: {}", "stores.orders-db.bursts", "'bursts' belongs in stores.orders-db.wal"),
        ("    primary:", "    health_check: x", "stores.orders-db.health_check", "belongs in dns.shop"),
        ("    primary:", "    slot: x", "stores.orders-db.slot", "did you mean 'slots'? 'slot' belongs in feeds."),
        ("horizon: 4h", "ttl: 60s", "ttl", "belongs in dns.shop or stores.orders-db.endpoint"),
        ("horizon: 4h", "every: 60s", "every", "known: budgets"),
        ("    primary:", "    stable_for: 4h", "stores.orders-db.stable_for", "belongs in the file itself"),
    ],
)
def test_a_key_in_the_wrong_place_is_answered_with_the_right_one(
    before: str, written: str, where: str, hint: str
) -> None:
    problems = _said(before, f"{written}\n{before}")
    found = [given for at, message, given in problems if at == where and "unknown key" in message]
    assert len(found) == 1
    assert hint in found[0]


def test_a_key_of_another_kind_of_the_same_thing_is_not_sent_to_where_it_is() -> None:
    ((where, message, hint),) = _said("decide: {by: automatic, max_lag: 10s}", "decide: {by: automatic, watchdog: 5s}")
    assert (where, message) == ("stores.orders-db.failover.decide.watchdog", "unknown key 'watchdog'")
    assert "belongs" not in hint


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("every: 10s, fails: 3", "every: 8:30, fails: 3", "'8:30' means something else", "8h30min or 8min30s"),
        ("[eu-west, {region: ap-southeast, source: eu-west}]", "eu-west", "'eu-west' is not a list", "write [eu-west]"),
        ("fence: {through: cloud-api, takes: 5s..15s}", "fence: none", "'none' is not a mapping", "leave the key out"),
        ("orders: {writes: orders-db}", "orders: {writes: [orders-db]}", "'[orders-db]' is not", "write orders-db"),
        (
            "wal_bandwidth: {us-east/*: 40Mbit/s}",
            "wal_bandwidth: 40Mbit/s",
            "is not a mapping",
            "{us-east/*: 100Mbit/s}",
        ),
        ("orders: {writes: orders-db}", "orders: {reads: orders-db}", "is not a mapping", "{orders-db: nearest}"),
        (
            "    primary:",
            "    product: patroni\n    primary:",
            "unknown product preset",
            "is for stores.*.failover.decide; known: cl",
        ),
    ],
)
def test_a_form_that_is_nearly_right_is_answered_with_it(old: str, new: str, message: str, hint: str) -> None:
    assert any(message in said and hint in given for _, said, given in _said(old, new))


@pytest.mark.parametrize("value", ["-75ms", "75", "75 miles"])
def test_a_wrong_round_trip_is_said_once(value: str) -> None:
    others = "us-east/ap-southeast: 200ms, eu-west/ap-southeast: 160ms"
    ((where, _, _),) = _said("rtt: aws-2026", f"rtt: {{us-east/eu-west: {value}, {others}}}")
    assert where == "network.rtt.us-east/eu-west"


def test_a_file_with_nothing_right_in_it_is_not_a_wall_of_messages() -> None:
    with pytest.raises(ScenarioError) as refused:
        loads("".join(f"unheard-of-{number}: 1\n" for number in range(300)), "report.json")
    *shown, last = str(refused.value).splitlines()
    assert len(refused.value.problems) == len(shown) + int(last.split()[2])
    assert len(shown) == 40
    assert last.endswith("more; is it a scenario file?")


def test_settings_of_another_kind_are_answered_with_the_right_one() -> None:
    for given in (["dns.shop.ttl=30s"], "dns.shop.ttl=30s", {"dns.shop.ttl": "30s"}):
        with pytest.raises(TypeError, match=r"with_\(\{'dns.shop.ttl': '30s'\}\) changes values"):
            loads(GOOD, settings=given)  # type: ignore[arg-type]


def test_a_bound_is_said_in_the_unit_of_the_value() -> None:
    hours = "decide: {by: operator, hours: {shifts: {day: {from: 8h, to: 25h}}}}"
    problems = _said("decide: {by: automatic, max_lag: 10s}", hours)
    assert "25h must be at most 1d" in [message for _, message, _ in problems]


def test_a_section_without_a_value_is_said_once() -> None:
    text = GOOD[: GOOD.index("budgets:")] + "budgets:\n"
    with pytest.raises(ScenarioError) as refused:
        loads(text)
    assert [problem.message for problem in refused.value.problems] == ["there is no value here"]


@pytest.mark.parametrize("labels", ["", ", when=after", ", writes=99%", ", from=eu-users"])
def test_a_budget_on_the_write_latency_of_a_service_that_does_not_write_is_refused(labels: str) -> None:
    budget = f"budgets:\n  write_latency_s{{service=storefront{labels}}}: [mean < 1s]"
    assert any("'storefront' does not write" in message for _, message, _ in _said("budgets:", budget))


@pytest.mark.parametrize(
    ("value", "hint"),
    [("0.95", "95%"), ("99.9", "99.9%"), ("p99", "99%"), ("most", "95%"), ("0", "95%"), ("100", "95%")],
)
def test_a_share_in_a_label_is_answered_with_the_one_that_was_meant(value: str, hint: str) -> None:
    budget = f"budgets:\n  write_latency_s{{service=orders, writes={value}}}: [mean < 1s]"
    assert f"write writes={hint}" in [given for _, _, given in _said("budgets:", budget)]


def test_a_mistyped_preset_is_one_mistake() -> None:
    problems = _said("health_check: route53-fast", "health_check: {preset: route53-fst}")
    assert [(where, hint) for where, _, hint in problems] == [
        ("dns.shop.health_check.preset", "did you mean 'route53-fast'?")
    ]


def test_a_value_that_is_missing_beside_a_preset_that_is_known_is_still_said() -> None:
    problems = _said("health_check: route53-fast", "health_check: {checkers: 3}")
    assert {"dns.shop.health_check.every", "dns.shop.health_check.timeout"} <= {where for where, _, _ in problems}


def test_a_preset_is_called_what_its_key_is_called() -> None:
    problems = _said("    primary:", "    in_region: {preset: cloudnative-pg-1-31}\n    primary:")
    assert "unknown in_region preset 'cloudnative-pg-1-31'" in [message for _, message, _ in problems]
