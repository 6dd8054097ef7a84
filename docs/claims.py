"""What documents and their sources say of the systems in ``scenarios/``, for the table of docs/scenarios.md."""

from __future__ import annotations

from dataclasses import dataclass

INF = float("inf")


@dataclass(frozen=True)
class Band:
    """What somebody says of a quantity.

    Attributes
    ----------
    text
        In words.
    low, high
        Its ends; seconds, shares or counts.
    """

    text: str
    low: float
    high: float

    def holds(self, low: float, high: float) -> bool:
        """Return whether the interval from ``low`` to ``high`` lies inside."""
        return self.low <= low and high <= self.high


@dataclass(frozen=True)
class Row:
    """A quantity of a scenario, and what is said of it.

    Attributes
    ----------
    file
        Below ``scenarios/``, without its ending.
    what
        The quantity in words.
    columns
        Metrics whose sum it is, as a budget names them.
    claim
        What the scenario's document says; none if it says nothing.
    source
        What a better source says; none if the document is the best there is.
    less
        Subtracted from the metric: what is not part of the quantity, such as the way from people to the region.
    note
        Why the claim is missed, if it is.
    """

    file: str
    what: str
    columns: tuple[str, ...]
    claim: Band | None
    source: Band | None = None
    less: float = 0.0
    note: str = ""

    @property
    def counts(self) -> bool:
        """Whether it happens in a trial or does not: its figure is a share of trials."""
        return self.columns[0].startswith(("promoted", "split_brain{"))


def _minutes(text: str, low: float, high: float) -> Band:
    return Band(text, 60.0 * low, 60.0 * high)


def _writes(service: str, clients: str = "90%") -> tuple[str, ...]:
    return (f"rto{{service={service}, op=write, clients={clients}}}",)


def _reads(service: str, clients: str = "90%") -> tuple[str, ...]:
    return (f"rto{{service={service}, op=read, clients={clients}}}",)


def _slower(service: str, cohort: str) -> tuple[str, ...]:
    return (f"write_latency_s{{service={service}, from={cohort}}}",)


ASYNCHRONOUS_S = 0.02105
"""Write latency of people beside an asynchronous primary: 20 ms to the region, and a local flush."""
_OUT = "outage of writes, 90 % of clients"
_READERS = "outage of reads, 90 % of clients"
_LAST = "outage of reads, 99 % of clients"
_WAITS = "added to a write"
_LOSS = "data loss"
_NODE = Band("measured on killed nodes: 40 to 80 s", 40.0, 80.0)
_HOURS = 3600.0
_BOTH_COASTS = ("lost_writes{store=cluster}", "divergent_writes{store=cluster}")
_DETECTION = (
    ("azure-traffic-manager", None, "101 to 129 s", 101.0, 129.0, ""),
    (
        "route53-standard",
        Band("30 s x 3 = 90 s at worst, and the TTL", 0.0, 150.0),
        "91 to 100 s",
        91.0,
        100.0,
        "a probe that hangs waits 4 s, and the interval counts from there",
    ),
    (
        "route53-fast",
        Band("10 s x 3 = 30 s at worst, and the TTL", 0.0, 90.0),
        "38 to 41 s",
        38.0,
        41.0,
        "a probe that hangs waits 4 s, and the interval counts from there",
    ),
    ("cloudflare", None, "24 to 68 s", 24.0, 68.0, ""),
    ("google-cloud-dns", None, "39 to 62 s", 39.0, 62.0, ""),
)
ROWS = (
    # By folder.
    Row(
        "single-region/backups-only",
        _LOSS,
        ("rpo{store=shop-db}",),
        Band("back to the last backup", 0.0, INF),
        Band("uniform over a day, and 40 min for a backup to be whole", 0.0, 25.0 * _HOURS),
    ),
    Row("single-region/backups-only", _OUT, _writes("shop"), Band("hours", 1.0 * _HOURS, 12.0 * _HOURS)),
    Row(
        "single-region/three-zones",
        _OUT,
        _writes("payments"),
        None,
        _NODE,
    ),
    Row(
        "single-region/three-zones",
        _LOSS,
        ("rpo{store=accounts}",),
        Band("none inside the cluster", 0.0, 0.0),
    ),
    Row(
        "single-region/quorum-failover",
        _LOSS,
        ("rpo{store=accounts}",),
        None,
        Band("none: R + W > N, or nothing is promoted", 0.0, 0.0),
    ),
    Row(
        "single-region/zone-cut-isolation-check",
        "two nodes that believe that they are primary",
        ("dual_belief_s{store=accounts}",),
        Band("none: stopped after about 30 s, replaced after 40 to 55 s", 0.0, 0.0),
        Band("a live test: open sessions write for 180 s more, from 210 s on none does", 130.0, 180.0),
        note="the check ends a container, and that waits for open sessions (cloudnative-pg issue 11280)",
    ),
    Row(
        "active-passive/bank-clusters-synchronous",
        _LOSS,
        ("rpo{store=accounts}",),
        Band("none: synchronous inside the region", 0.0, 0.0),
        Band("what was on its way to the other coast: up to half of 61 ms", 0.0, 0.0305),
        note="synchronous inside a cluster; between clusters CloudNativePG is asynchronous",
    ),
    Row(
        "active-passive/automatic-region-loss",
        _OUT,
        _writes("app"),
        _minutes("2 to 5 min; 60 + 20 + 60 s as an example", 2, 5),
    ),
    Row(
        "active-passive/automatic-region-loss",
        _LOSS,
        ("rpo{store=app-db}",),
        Band("0.1 to 5 s", 0.1, 5.0),
        Band("Patroni's documentation: well under a second", 0.0, 1.0),
        note="on a path with room to spare the lag is the way there",
    ),
    Row("active-passive/manual-region-loss", _OUT, _writes("app"), _minutes("15 to 60 min", 15, 60)),
    Row("active-passive/platform-scale-up", _OUT, _writes("api"), _minutes("15 to 60 min by hand", 15, 60)),
    Row(
        "active-passive/archive-only-region-loss",
        _LOSS,
        ("rpo{store=accounts}",),
        _minutes("at most 5 min", 0, 5.1),
        Band("archive_timeout of 5 min and an upload, uniform below", 0.0, 306.0),
    ),
    Row(
        "active-passive/circle-archives-two-lost",
        _LOSS,
        ("rpo{store=accounts}",),
        _minutes("a 5-minute RPO out of the box", 0, 5.4),
        Band("archive_timeout once, and two uploads, looks and restores", 0.0, 321.0),
    ),
    Row(
        "active-passive/bank-stream-and-archive",
        _LOSS,
        ("rpo{store=accounts}",),
        _minutes("at most 5 min", 0, 5.1),
        Band("with the path cut, archive_timeout of 5 min and an upload, uniform below", 0.0, 306.0),
    ),
    Row("active-passive/circle-primary-loss", _LOSS, ("rpo{store=accounts}",), _minutes("less than 5 min", 0, 5)),
    Row(
        "active-passive/circle-primary-loss",
        "time without a standby",
        ("time_without_redundancy_s{store=accounts}",),
        None,
        Band("a stream is sought every 5 s", 0.0, 6.0),
    ),
    Row(
        "active-passive/platform-component-rpo",
        "data loss of the database",
        ("rpo{store=postgresql}",),
        _minutes("minutes, and a sync arrow beside it", 1, 10),
        Band("asynchronous streaming: well under a second", 0.0, 1.0),
        note="a stream on a path with room to spare is far better than minutes",
    ),
    Row(
        "active-passive/platform-component-rpo",
        "data loss of the cache",
        ("rpo{store=cache}",),
        _minutes("minutes", 0, 10),
    ),
    Row(
        "active-passive/platform-component-rpo",
        "data loss of objects",
        ("rpo{store=objects}",),
        Band("near real-time", 0.0, 60.0),
        Band("99.99 % of objects within 15 min, and 2 put per second: minutes to an hour", 10.0, 2.0 * _HOURS),
        note="the oldest that is missing is one of the late ones, not a typical one",
    ),
    Row(
        "active-passive/platform-component-rpo",
        "objects lost",
        ("lost_writes{store=objects}",),
        None,
        Band("as many as are put in the mean lag: 27 of 2 per second", 10.0, 60.0),
    ),
    Row(
        "active-passive/platform-component-rpo",
        "data loss of the cluster's state",
        ("rpo{store=cluster-state}",),
        Band("saved daily", 0.0, 24.5 * _HOURS),
    ),
    Row(
        "active-passive/platform-component-rpo",
        "data loss of the infrastructure's state",
        ("rpo{store=infrastructure-state}",),
        Band("none: written on every apply", 0.0, 0.0),
    ),
    Row(
        "active-passive/slots-fill-disk",
        _OUT,
        _writes("shop"),
        None,
        Band("until somebody drops the slot: 20 to 60 min, and a start", 1200.0, 3665.0),
    ),
    Row(
        "active-passive/slots-limited",
        "share of writes that fail",
        ("unavailability{service=shop, op=write}",),
        None,
        Band("none: the slot is given up, not the primary", 0.0, 0.0),
    ),
    Row(
        "active-passive/bookstore-migration",
        _LOSS,
        ("rpo{store=orders-db}",),
        Band("less than 10 s on a healthy path", 0.0, 10.0),
        Band("12 GB through 40 Mbit/s: up to 31 min behind, at the end of the backlog", 0.0, 1870.0),
        note="a path that is healthy for the commits is not for a migration",
    ),
    Row(
        "active-passive/bookstore-covers",
        _LOSS,
        ("rpo{store=covers}",),
        _minutes("typically 15 min, the 99th percentile longer", 0, 120),
        Band("the oldest of 5 per second, 99.99 % within 15 min", 60.0, 2.0 * _HOURS),
    ),
    Row("active-passive/bookstore-region-loss", _READERS, _reads("storefront"), _minutes("less than 5 min", 0, 5)),
    Row("active-passive/bookstore-region-loss", _OUT, _writes("orders"), _minutes("less than 10 min", 0, 10)),
    Row(
        "active-passive/bookstore-region-loss",
        _LOSS,
        ("rpo{store=orders-db}",),
        Band("less than 10 s on a healthy path", 0.0, 10.0),
        Band("a burst of 64 Mbit/s leaves a path of 40 Mbit/s up to 78 s later", 0.0, 80.0),
        note="one incident in ten falls into a burst or the time after it",
    ),
    Row(
        "active-passive/bookstore-worker-relocation",
        "pause of payments, 90 % of the work",
        _writes("payments-worker"),
        _minutes("less than 10 min for writers, and minutes for the worker", 0, 15),
    ),
    Row(
        "active-passive/bookstore-management-rebuilt",
        _OUT,
        _writes("orders"),
        _minutes("less than 10 min for writers, a few minutes for a new Argo CD", 0, 10),
        _minutes("missing it, 8 to 25 min of building, a reconciliation and a TTL", 3, 40),
        note="the writer's endpoint is moved by a commit, which nobody applies before that",
    ),
    Row(
        "active-passive/bookstore-management-mirrored",
        _OUT,
        _writes("orders"),
        _minutes("less than 10 min for writers", 0, 10),
    ),
    Row("active-passive/bookstore-primary-crash", _OUT, _writes("orders"), Band("10 to 30 s", 5.0, 30.0)),
    Row(
        "active-passive/bookstore-node-loss",
        _OUT,
        _writes("orders"),
        Band("10 to 30 s", 10.0, 30.0),
        _NODE,
        note="the document's figure is of a crashed process; a lost host is waited for",
    ),
    Row("active-passive/bookstore-ttl-30", _READERS, _reads("storefront"), _minutes("less than 5 min", 0, 5)),
    Row(
        "active-passive/bookstore-ttl-300",
        _READERS,
        _reads("storefront"),
        _minutes("less than 5 min", 0, 5),
        Band("detection, TTL and the browser's minute: at most 401 s", 300.0, 401.0),
        note="a TTL of five minutes comes on top of detection",
    ),
    Row(
        "active-passive/bookstore-sync-proposal",
        _WAITS,
        _slower("orders", "us-users"),
        Band("75 ms to eu-west (50 to 200 ms)", 0.05, 0.2),
        Band("round trip of 69.7 ms, and flushes", 0.0697, 0.073),
        less=ASYNCHRONOUS_S,
    ),
    Row(
        "active-passive/bookstore-control-plane-down",
        _OUT,
        _writes("orders"),
        None,
        Band("an hour, until the control plane is back, and a poll", 3600.0, 3700.0),
    ),
    Row(
        "active-passive/bookstore-lag-gate",
        "share of incidents with a promotion",
        ("promoted{store=orders-db}",),
        None,
        Band("none: the lag never falls again", 0.0, 0.0),
    ),
    Row(
        "active-passive/isolation-stonith-fails-proceeds",
        "share of cuts with two primaries",
        ("split_brain{store=orders-db}",),
        None,
        Band("one device in twenty is dead: 5 %, of 200 trials 1 to 9 %", 0.01, 0.09),
    ),
    Row(
        "active-passive/isolation-stonith-fails-blocks",
        "share of cuts with two primaries",
        ("split_brain{store=orders-db}",),
        None,
        Band("none: nothing is promoted without a confirmation", 0.0, 0.0),
    ),
    Row(
        "active-passive/isolation-token-inside",
        "share of cuts with two primaries",
        ("split_brain{store=orders-db}",),
        Band("none: a token to its storage blocks the old primary's writes", 0.0, 0.0),
        Band("all: a token that has no way blocks nothing until the cut ends", 1.0, 1.0),
        note="the storage is inside the cut",
    ),
    Row(
        "active-passive/isolation-token-outside",
        "share of cuts with two primaries",
        ("split_brain{store=orders-db}",),
        Band("none: a token to its storage blocks the old primary's writes", 0.0, 0.0),
    ),
    Row(
        "active-passive/bookstore-read-only",
        "time in which far users can do nothing",
        ("down_s{service=shop, from=eu-users}",),
        Band("reads are local", 0.0, 0.0),
    ),
    Row(
        "write-costs/semi-sync",
        _WAITS,
        _slower("app", "people"),
        Band("40 to 100 ms, half a round trip", 0.04, 0.1),
        Band("one whole round trip, 69.7 ms, and flushes", 0.0697, 0.073),
        less=ASYNCHRONOUS_S,
    ),
    Row(
        "write-costs/remote-apply",
        _WAITS,
        _slower("app", "people"),
        None,
        Band("the same, and up to 0.9 ms for an idle standby's replay", 0.0697, 0.074),
        less=ASYNCHRONOUS_S,
    ),
    Row(
        "write-costs/full-sync",
        _WAITS,
        _slower("app", "people"),
        Band("80 to 200 ms", 0.08, 0.2),
        Band("the round trip to the farthest, 226 ms, and flushes", 0.226, 0.23),
        less=ASYNCHRONOUS_S,
        note="Asia is farther than the document takes it to be",
    ),
    Row(
        "write-costs/first-standby-loss",
        _OUT,
        _writes("app"),
        None,
        Band("wal_sender_timeout, 60 s", 59.9, 66.0),
    ),
    Row(
        "write-costs/preferred-loses",
        _LOSS,
        ("rpo{store=ledger}",),
        Band("none: the replication is synchronous", 0.0, 0.0),
        Band("the ten minutes without the standby, less the sender timeout", 535.0, 545.0),
        note="preferred is asynchronous once the standby is dropped",
    ),
    Row(
        "write-costs/any-standby-loss",
        "share of writes refused",
        ("unavailability{service=app, op=write}",),
        None,
        Band("none: the other standby answers", 0.0, 0.0),
    ),
    Row(
        "write-costs/retries",
        "writes done twice",
        ("double_effects{service=booking}",),
        Band("without keys, a charge is made twice", 1.0, INF),
        Band("200/s for the way back, 52 ms: 10, by chance 3 to 18", 3.0, 18.0),
    ),
    Row(
        "write-costs/retries-with-keys",
        "writes done twice",
        ("double_effects{service=booking}",),
        Band("the second request is recognised", 0.0, 0.0),
        Band("none, if the key is committed with the write", 0.0, 0.0),
    ),
    Row("switchovers/bank-with-token", _LOSS, ("rpo{store=accounts}",), Band("none", 0.0, 0.0), Band("none", 0.0, 0.0)),
    Row(
        "switchovers/bank-failover-without-token",
        "time without a standby",
        ("time_without_redundancy_s{store=accounts}",),
        Band("the old primary is copied anew", 0.0, INF),
        Band("the hour of the loss, less the failover, and 280 GB at 125 MB/s: 38 min", 5100.0, 6100.0),
    ),
    Row(
        "switchovers/bank-failback",
        "time without a standby, failover and failback",
        ("time_without_redundancy_s{store=accounts}",),
        Band("the old primary is copied anew", 0.0, INF),
        Band("the same, and seconds more after the failback", 5100.0, 6100.0),
    ),
    Row(
        "switchovers/bank-ttl-in-time",
        "outage of writes, 99 % of clients",
        _writes("payments", "99%"),
        Band("a TTL of 30 s for maintenance; the procedure and 30 s", 60.0, 300.0),
    ),
    Row(
        "switchovers/bank-ttl-too-late",
        "outage of writes, 99 % of clients",
        _writes("payments", "99%"),
        Band("the procedure and 30 s", 60.0, 210.0),
        Band("the old life of 5 min less the lead of 1 min, and a reconnection of up to 5 s", 236.0, 246.0),
        note="an answer that is cached keeps the life it was given",
    ),
    Row("switchovers/bank-clusters", _LOSS, ("rpo{store=accounts}",), Band("none", 0.0, 0.0), Band("none", 0.0, 0.0)),
    Row(
        "switchovers/bank-clusters",
        _OUT,
        _writes("payments"),
        None,
        Band("shutdown, the token's way of 1 to 5 min, promotion, endpoint of 30 to 60 s: 2 to 8 min", 120.0, 480.0),
    ),
    Row(
        "switchovers/rolling-update",
        _OUT,
        _writes("payments"),
        None,
        Band("CloudNativePG's tests: within 20 s; pools reconnect within 5 s", 3.0, 25.0),
    ),
    Row(
        "switchovers/bank-readers",
        "outage of reads of the primary, 90 % of clients",
        ("rto{service=payments, op=read, clients=90%}",),
        None,
        Band("as for writes, less the drain of 1 to 10 s: 2 to 8 min", 110.0, 480.0),
    ),
    Row("switchovers/patroni", _LOSS, ("rpo{store=accounts}",), Band("none", 0.0, 0.0), Band("none", 0.0, 0.0)),
    Row(
        "switchovers/patroni",
        "outage of writes, 99 % of clients",
        _writes("payments", "99%"),
        Band("2 to 5 s, says a runbook", 2.0, 5.0),
        Band("checkpoint, race, promotion: 2 to 8 s; three checks of 3 s and a look, HAProxy: 6 to 15 s", 8.0, 25.0),
        note="the runbook's figure is the database alone",
    ),
    Row(
        "leases/patroni-three-sites",
        "outage of writes, 99 % of clients",
        _writes("payments", "99%"),
        None,
        Band("lease, race, promotion and HAProxy: 25 to 45 s", 25.0, 45.0),
    ),
    Row(
        "leases/patroni-standby-cluster",
        _OUT,
        _writes("payments"),
        _minutes("a person adds 5 to 30 min", 5, 35),
    ),
    Row(
        "leases/patroni-site-node-loss",
        _OUT,
        _writes("payments"),
        None,
        Band(
            "measured: a key gone after 20 to 30 s, 0.3 s to write; a silent member 2 s, HAProxy and pools 4 to 11 s",
            24.0,
            46.0,
        ),
    ),
    Row(
        "leases/patroni-site-loss",
        _OUT,
        _writes("payments"),
        _minutes("a person adds 5 to 30 min", 5, 35),
    ),
    Row(
        "leases/patroni-site-zone-cut",
        "two nodes that believe that they are primary",
        ("dual_belief_s{store=accounts}",),
        None,
        Band("none: the holder stops ttl − (loop_wait + retry_timeout) = 10 s before its key goes", 0.0, 0.0),
    ),
    Row(
        "leases/two-sites-one-lease",
        _OUT,
        _writes("payments"),
        None,
        Band("the 20 min of the loss, less what was left of the lease, and its renewal", 1175.0, 1210.0),
    ),
    Row(
        "leases/patroni-store-outage",
        _OUT,
        _writes("payments"),
        None,
        Band(
            "the 20 min of the outage, less 10 to 20 s until the leader steps down, and a turn of 10 s", 1178.0, 1205.0
        ),
    ),
    Row(
        "leases/patroni-failsafe",
        "downtime of writers",
        ("downtime_s{service=payments,op=write}",),
        Band("none: it may run on if it can access all known members", 0.0, 0.0),
        None,
    ),
    Row(
        "leases/clock-inside-margin",
        "share of cuts with two primaries",
        ("split_brain{store=orders-db}",),
        None,
        Band("none: given up after 29 s, of 30 s", 0.0, 0.0),
    ),
    Row(
        "leases/clock-beyond-margin",
        "share of cuts with two primaries",
        ("split_brain{store=orders-db}",),
        Band("none: a leader that cannot renew demotes itself", 0.0, 0.0),
        Band("given up after 40 s, and others are led elsewhere after 33 to 45 s: most", 0.7, 1.0),
        note="it demotes itself by a clock that runs at half the speed",
    ),
    Row(
        "people/one-on-call",
        _OUT,
        _writes("app"),
        _minutes("15 to 60 min", 15, 60),
        _minutes("the same by day; by night until the office opens, in one night of ten", 15, 660),
        note="nobody hears the page in three incidents of a hundred, and many take long to wake up",
    ),
    Row("people/two-on-call", _OUT, _writes("app"), _minutes("15 to 60 min", 15, 60)),
    Row(
        "drills/bookstore-drilled-monthly",
        _OUT,
        _writes("orders"),
        _minutes("less than 10 min", 0, 10),
        _minutes("by the book, or one repair of 15 to 60 min more: one incident in ten", 4, 70),
        note="one incident in ten meets a step that fails",
    ),
    Row(
        "drills/bookstore-not-drilled",
        _OUT,
        _writes("orders"),
        _minutes("less than 10 min; a drill nine months ago has decayed", 0, 10),
        _minutes("binomial: up to three of eight steps fail, 15 to 60 min each", 4, 190),
        note="two incidents in three meet a step that no longer works",
    ),
    Row(
        "brownouts/food-delivery-reachability-probe",
        _OUT,
        _writes("ordering"),
        _minutes("23 min, checks green", 22.9, 23.1),
    ),
    Row(
        "brownouts/food-delivery-reachability-probe",
        "share of brownouts with a promotion",
        ("promoted{store=orders-db}",),
        Band("checks passed", 0.0, 0.0),
        Band("runs of three losses at two probers at once: below 1 %", 0.0, 0.01),
    ),
    Row(
        "brownouts/food-delivery-latency-probe",
        "share of brownouts with a promotion",
        ("promoted{store=orders-db}",),
        None,
        Band("at least 99 %", 0.99, 1.0),
    ),
    *(
        Row(
            f"health-checks/{name}",
            _LAST,
            _reads("site", "99%"),
            claim,
            Band(f"detection of {text}, and a TTL of 60 s", low + 58.0, high + 61.5),
            note=note,
        )
        for name, claim, text, low, high, note in _DETECTION
    ),
    Row(
        "fronts/anycast",
        _LAST,
        _reads("storefront", "99%"),
        Band("less than 5 s", 0.0, 5.0),
        Band("detection of 62 to 88 s, 5 s for probes that hang, and the provider's steering", 64.0, 105.0),
        note="steering takes seconds, noticing does not",
    ),
    Row(
        "fronts/edited-by-hand",
        _OUT,
        _writes("app"),
        _minutes("about 2.5 min, and 5 to 30 min for a person", 7.5, 33),
    ),
    Row(
        "fronts/edited-control-plane-down",
        _OUT,
        _writes("app"),
        None,
        _minutes("the hour of the control plane, a minute to its servers and the TTL", 59, 75),
    ),
    Row(
        "fronts/proxy-silent",
        _LAST,
        _reads("storefront", "99%"),
        Band("zero downtime (the feature's name)", 0.0, 0.0),
        Band("19 s to complete a connection, then one try elsewhere", 18.9, 20.0),
        note="a region that vanishes has to be given up first",
    ),
    Row(
        "fronts/proxy-refused",
        "time without reads, mean over clients",
        ("downtime_s{service=storefront, op=read}",),
        Band("zero downtime (the feature's name)", 0.0, 0.0),
        Band("a refusal is known at once", 0.0, 0.0),
    ),
    Row(
        "fronts/residency",
        "downtime of readers who must stay in Europe",
        ("downtime_s{service=site, op=read, from=eu-users}",),
        None,
        Band("as long as their only region is away: an hour", 3599.0, 3660.0),
    ),
    Row(
        "fronts/weighted-shift-back",
        _LAST,
        _reads("site", "99%"),
        Band("30 s x 3 = 90 s at worst, and the TTL", 90.0, 150.0),
        Band("detection of 91 to 100 s, and at most a TTL of 60 s", 100.0, 160.0),
        note="a probe that hangs waits 4 s, and the interval counts from there",
    ),
    Row(
        "fronts/weighted-shift-back",
        "share of readers hit",
        ("affected_share{service=site, op=read}",),
        None,
        Band("one draw, and one or two more before the region leaves the answers: 81 to 84 %", 0.78, 0.88),
    ),
    Row(
        "probes/deep-probe-fail-open",
        _READERS,
        _reads("storefront"),
        _minutes("readers: less than 5 min", 0, 5),
        _minutes("the writers' 5 to 15 min: they wait for the same primary, and then for their TTL", 5, 15),
        note="all regions are unhealthy with the primary, and the answers lead to the lost one again",
    ),
    Row(
        "probes/deep-probe-fail-closed",
        "outage of reads, 90 % of all clients",
        ("rto{service=storefront, op=read, clients=90%, of=all}",),
        _minutes("readers: less than 5 min", 0, 5),
        _minutes("the writers' 5 to 15 min: they wait for the same primary, and then for their TTL", 5, 15),
        note="nothing is answered while every region waits for the one primary",
    ),
    Row(
        "feeds/bookstore-search-carried-over",
        "changes that the index skipped, or holds though they are lost",
        ("skipped_changes{feed=search-eu}", "phantom_changes{feed=search-eu}"),
        None,
        Band("none: a failover slot goes on where it was, and synchronized_standby_slots keeps it behind", 0.0, 0.0),
    ),
    Row(
        "feeds/bookstore-search-carried-over",
        "changes sent again",
        ("repeated_changes{feed=search-eu}",),
        None,
        Band("offset.flush.interval.ms: at most a minute's, 12 000, or 240 000 in a burst", 0.0, 242_000.0),
    ),
    Row(
        "feeds/bookstore-search-gap",
        "lag of the index at the loss",
        ("feed_lag_s{feed=search-eu}",),
        Band("1 to 5 s", 1.0, 5.0),
        Band("the same, and behind a burst of 8 MB/s over 5 MB/s up to 72 s more", 1.0, 79.0),
        note="bursts are not in it",
    ),
    Row(
        "feeds/bookstore-search-gap",
        "changes that the index skipped",
        ("skipped_changes{feed=search-eu}",),
        None,
        Band("what is written until there is a new slot: 200 or 4 000 a second for at most 45 s", 1.0, 180_000.0),
    ),
    Row(
        "feeds/bookstore-search-reseeded",
        "index complete again",
        ("feed_recovery{feed=search-eu}",),
        Band("each index is rebuilt from the source: no time is given", 0.0, INF),
        Band("5 to 15 min for a primary, 10 to 60 until it is noticed, 34 to copy", 48.0 * 60.0, 2.0 * _HOURS),
    ),
    Row(
        "feeds/bookstore-search-ahead",
        "changes that the index holds though they are lost",
        ("phantom_changes{feed=search-eu}",),
        None,
        Band("10 to 40 min at 200 a second, and one or two bursts of 480 000", 120_000.0, 1_440_000.0),
    ),
    Row(
        "feeds/bookstore-search-ahead",
        "changes that the index which waits holds though they are lost",
        ("phantom_changes{feed=search-ap}",),
        None,
        Band("none: synchronized_standby_slots", 0.0, 0.0),
    ),
    Row(
        "postures/batch-everywhere",
        "runs done more than once, of 24",
        ("doubled_runs{service=reports}",),
        Band("three reports at midnight", 1.0, INF),
        Band("every run that anybody does", 23.0, 24.0),
    ),
    Row(
        "postures/batch-beside-the-writer",
        "runs done more than once, of 24",
        ("doubled_runs{service=reports}",),
        Band("one region holds the authority at any time", 0.0, 0.0),
        Band("one at most, if it was broken off", 0.0, 1.0),
        note="a run that the loss breaks off is begun again elsewhere",
    ),
    Row(
        "postures/read-your-writes",
        "share of reads that miss one's own write, far users",
        ("ryow_violations{service=profile, from=eu-users}",),
        Band("none: 5 s from the primary", 0.0, 0.0),
        Band("those of a rush that the path cannot carry", 0.2, 0.4),
        note="the window is longer than the usual lag, not than that of a rush",
    ),
    Row(
        "incidents/github-2018-cross-country",
        "share of cuts with two primaries",
        ("split_brain{store=cluster}",),
        Band("both coasts took writes", 1.0, 1.0),
        Band("one episode in each", 1.0, 1.0),
    ),
    Row(
        "incidents/github-2018-cross-country",
        "writes that the East alone has",
        _BOTH_COASTS,
        Band("954 in one busy cluster", 900.0, 1020.0),
        Band("21.2/s for 43 s and up to 5 s of TTL", 905.0, 1020.0),
    ),
    Row(
        "incidents/github-2018-reconciled",
        "until the East's writes were there again",
        ("reconciliation{store=cluster}",),
        None,
        Band("the report, nine days later: still being gone through", 24.0 * _HOURS, INF),
    ),
    Row(
        "incidents/github-2018-guarded",
        "outage of writes outside the cut",
        _writes("site", "99%"),
        None,
        Band("43 s, and at most 5 s until a service looks again", 42.99, 48.0),
    ),
    Row(
        "incidents/github-2018-guarded",
        "share of cuts with two primaries",
        ("split_brain{store=cluster}",),
        None,
        Band("none", 0.0, 0.0),
    ),
)
