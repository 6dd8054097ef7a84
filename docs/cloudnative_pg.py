"""CloudNativePG as it is documented or was observed, and what stands for it here, for docs/cloudnative-pg.md."""

from __future__ import annotations

from dataclasses import dataclass

_OWN = "test_cloudnative_pg_against_documentation::test_"
_IN_REGION = "test_engine_in_region_against_theory::test_"


@dataclass(frozen=True)
class Row:
    """One statement about the product.

    Attributes
    ----------
    what
        Setting or behaviour.
    said
        What its documentation (or the issue) says.
    here
        Where it is in a scenario, or that it is not.
    tests
        ``file::test`` below tests/reference; none if there is nothing here to hold.
    """

    what: str
    said: str
    here: str
    tests: tuple[str, ...] = ()


ROWS = (
    Row(
        "`failoverDelay`",
        "0 s",
        "`in_region: {delay: 0s}`",
        (
            f"{_OWN}presets_hold_what_is_documented",
            f"{_OWN}a_failover_begins_as_long_after_the_verdict_as_the_delay_says",
        ),
    ),
    Row(
        "`switchoverDelay`",
        "3600 s for the shutdown",
        "no limit of its own: `drain` and `checkpoint` take what they take",
    ),
    Row(
        "`startDelay`, `stopDelay`",
        "3600, 1800 s",
        "not modelled: `starts_after`, `drain`",
    ),
    Row(
        "`smartShutdownTimeout`",
        "180 s",
        "`in_region: {open_sessions: 180s}` where the isolation check ends the container; not modelled elsewhere",
        (f"{_OWN}open_sessions_of_an_isolated_primary_write_on_beside_the_new_one",),
    ),
    Row(
        "liveness and readiness probes",
        "every 10 s, wait 5 s, 3 failures",
        "`in_region: {every: 10s, timeout: 5s, fails: 3}`",
        (f"{_OWN}presets_hold_what_is_documented", f"{_IN_REGION}probes_find_what_no_notice_tells"),
    ),
    Row(
        "`wal_sender_timeout`, `wal_receiver_timeout`",
        "5 s (PostgreSQL: 60 s)",
        "`product: cloudnative-pg`",
        (
            f"{_OWN}presets_hold_what_is_documented",
            f"{_IN_REGION}no_standby_is_promoted_before_all_receivers_have_given_up",
        ),
    ),
    Row(
        "`archive_timeout`",
        "5 min, or 16 MB",
        "`archive: {timeout: 5min, segment: 16MiB}`",
        (f"{_OWN}presets_hold_what_is_documented",),
    ),
    Row("`wal_keep_size`", "512 MB", "not modelled: a standby finds what it lacks, unless `slots` say otherwise"),
    Row(
        "failover sequence",
        "all WAL receivers are down, then the most advanced standby is promoted",
        "`in_region`",
        (
            f"{_IN_REGION}no_standby_is_promoted_before_all_receivers_have_given_up",
            f"{_OWN}the_most_advanced_standby_is_promoted",
        ),
    ),
    Row(
        "primary isolation check",
        "ends the container after about 30 s if neither API server nor any instance is reached; one is enough. Open "
        "sessions write on until `smartShutdownTimeout`, 180 s (issue 11280, up to 1.30)",
        "`in_region: {isolation_check: true, open_sessions: 180s}`, in the preset `cloudnative-pg-1-30`; a region's "
        "manager stands for its API server, an instance's place for the instance",
        (
            f"{_OWN}a_primary_that_reaches_neither_manager_nor_instance_stops_after_thirty_seconds",
            f"{_OWN}open_sessions_of_an_isolated_primary_write_on_beside_the_new_one",
            f"{_OWN}one_of_them_that_is_reached_keeps_it_alive",
        ),
    ),
    Row(
        "primary lease: timers",
        "15, 10, 2 s; 1 s once it is released",
        "`in_region: {lease: 15s, lease_every: 2s}`, in the preset `cloudnative-pg-1-30`; alone, `decide: {preset: "
        "cloudnative-pg-lease}`. A clean release does not occur: an orderly shutdown is a switchover here",
        (f"{_OWN}presets_hold_what_is_documented",),
    ),
    Row(
        "primary lease: meaning",
        "gates a promotion (after an abrupt loss a candidate waits 15 s), fences nobody",
        "as documented",
        (
            f"{_OWN}the_lease_gates_a_promotion",
            f"{_OWN}the_lease_is_over_long_before_a_lost_node_is_missed",
            f"{_OWN}the_lease_fences_nobody",
        ),
    ),
    Row(
        "node loss",
        "noticed after 40 to 55 s (grace 50 s from Kubernetes 1.32 on)",
        "`in_region: {heartbeat: 10s, grace: 50s, poll: 5s}`",
        (f"{_IN_REGION}a_lost_host_is_missed_when_its_heartbeats_are",),
    ),
    Row(
        "quorum failover",
        "promoted only if R + W > N",
        "`in_region: {quorum: true}`; N and W are those of `commit`",
        (
            f"{_OWN}a_standby_is_promoted_only_if_enough_overlap",
            f"{_OWN}who_has_no_quorum_is_promoted_once_the_missing_standby_is_back",
            f"{_OWN}without_a_quorum_what_the_lost_standby_had_acknowledged_is_lost",
        ),
    ),
    Row(
        "`dataDurability`",
        "required (default): writes wait; preferred: they go on, and may be lost",
        "`commit: {when_short: block}` or `degrade`",
        (f"{_OWN}required_blocks_and_preferred_goes_on_after_the_sender_timeout",),
    ),
    Row(
        "synchronous standbys of each cluster",
        "each cluster has its own `synchronous`, so that a promoted one waits for its own instances",
        "`commit: {any: 1, of: in-region}`. With nodes that `commit` names, commits wait for those of the other region "
        "after a switchover, and block after its loss, which `mrsim validate` foretells",
        (f"{_OWN}each_cluster_waits_for_its_own_instances",),
    ),
    Row(
        "replication by default",
        "asynchronous",
        "`commit: async`",
        (f"{_OWN}replication_is_asynchronous_unless_something_else_is_written",),
    ),
    Row(
        "between clusters, by the archive alone",
        "RPO up to 5 min, and what archiving and restoring take",
        "`standbys: [{region: …, via: archive}]`",
        ("test_engine_archive_against_theory::test_a_surviving_archive_loses_up_to_its_timeout_and_one_upload",),
    ),
    Row(
        "failover between clusters",
        "never by itself",
        "nothing is promoted without `failover`; `decide: operator` is a person. `decide: automatic` is a controller "
        "of your own",
        (f"{_OWN}nothing_is_promoted_across_clusters_by_itself", f"{_OWN}across_clusters_a_person_decides"),
    ),
    Row(
        "switchover with a token",
        "promotion waits for the position: nothing is lost, and writes stop for the whole procedure",
        "`kind: switchover`",
        (f"{_OWN}a_switchover_with_a_token_waits_for_the_position_and_loses_nothing",),
    ),
    Row(
        "a cluster that is demoted",
        "all its instances are fenced until there is a token, then start as standbys of the other cluster",
        "`follows: after-shutdown`, `starts_again`: until then none of them answers a read",
        ("test_engine_switchover_readers_against_theory::test_between_clusters_all_of_the_old_one_is_shut_down",),
    ),
    Row(
        "failover without a token",
        "the former primary is cloned again; two primaries if it still runs",
        "`old_primary: {on_return: rejoins, rebuild: …}`",
        (f"{_OWN}without_a_token_the_former_primary_is_copied_anew",),
    ),
    Row("`minApplyDelay`", "not together with a token", "not modelled"),
    Row(
        "end-to-end tests of the product",
        "service elsewhere within 10 s (kind), 20 s with the lease, 30 s in a cloud; standbys attached 60 s later",
        "p95 below 30 s",
        (f"{_OWN}a_killed_pod_is_replaced_within_the_limits_of_the_products_own_tests",),
    ),
    Row(
        "node killed, observed",
        "40 to 80 s without writes; the failover begins after 35 to 42 s (grace 40 s)",
        "p5 to p95 lie there",
        (
            f"{_OWN}a_killed_node_costs_forty_to_eighty_seconds_of_writes",
            f"{_OWN}with_the_older_grace_period_the_failover_begins_when_it_was_observed_to",
        ),
    ),
    Row(
        "preferred durability with quorum failover, two nodes",
        "47 % of runs of a fault injector lost acknowledged writes",
        "lost where the standby comes back as the primary goes; how often depends on the faults",
        (f"{_OWN}preferred_with_a_quorum_of_two_nodes_loses_acknowledged_writes",),
    ),
    Row(
        "workshop",
        "8 to 12 s in all, as a target",
        "the median, without a lease",
        (f"{_OWN}without_a_lease_a_killed_pod_costs_what_the_workshop_aims_at",),
    ),
    Row(
        "node whose storage is dead and whose kernel lives",
        "no failover for 45 min: its WAL receivers never went down",
        "not modelled as a fault; a receiver that stays connected does hold a promotion back",
        (f"{_IN_REGION}no_standby_is_promoted_before_all_receivers_have_given_up",),
    ),
    Row(
        "old primary that does not answer", "failover stalled for a minute or more, until it was fixed", "not modelled"
    ),
    Row(
        "writes that hung on stale synchronous standbys (1.23)", "after a failover, until it was fixed", "not modelled"
    ),
)


def table() -> str:
    """Return the rows as a table."""
    head = "| setting or behaviour | documented or observed | here | held by |\n|---|---|---|---|\n"
    return head + "".join(
        f"| {row.what} | {row.said} | {row.here} | {', '.join(_shown(test) for test in row.tests)} |\n" for row in ROWS
    )


def _shown(test: str) -> str:
    file, _, name = test.partition("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../tests/reference/{file}.py)"
