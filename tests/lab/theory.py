"""The closed forms that the reference tests hold: name, formula, source, test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = "tests/reference"
DETECTION, WAL = "test_engine_detection_against_theory.py", "test_engine_wal_against_theory.py"
SPLIT, POPULATION = "test_engine_split_brain_against_theory.py", "test_population_against_theory.py"
ENTRIES, DISTRIBUTIONS = "test_entries_against_theory.py", "test_distributions_against_theory.py"
ARCHIVE = "test_engine_archive_against_theory.py"
CASCADE = "test_engine_archive_cascade_against_theory.py"
PEOPLE = "test_engine_people_against_theory.py"
FENCING = "test_engine_fencing_against_theory.py"
SWITCHOVER_READERS = "test_engine_switchover_readers_against_theory.py"
SWITCHOVER_FEEDS = "test_feeds_switchover_against_theory.py"
LEASE_SWITCHOVER = "test_engine_lease_switchover_against_theory.py"
RUNBOOK = "test_engine_runbook_against_theory.py"
AVAILABILITY = "test_availability_against_theory.py"
TCP = "test_engine_slow_start_against_theory.py"
CALIBRATE, LANMAN = "test_calibrate_against_theory.py", "test_typical_population_against_lanman.py"


@dataclass(frozen=True)
class Form:
    """A closed form and the test that holds the simulator to it."""

    name: str
    formula: str
    source: str
    file: str
    test: str


FORMS = (
    Form("time to a verdict of N probers with random phase", "I·U₍need of N₎ + (k − 1)·cycle + τ, U₍·₎ the order "
         "statistic, Beta(need, N + 1 − need)", "order statistics of uniform phases (H. A. David)", DETECTION,
         "test_time_to_verdict_is_an_order_statistic"),
    Form("Route 53's verdict", "14th of 16 checkers, cycle from the end of a probe", "Developer Guide: 18 %, 3 "
         "failures, 4 s", DETECTION, "test_route53_figures"),
    Form("share rule", "healthy while more than the share says so", "Route 53: more than 18 %", DETECTION,
         "test_healthy_needs_more_than_the_share"),
    Form("false alarms by loss, one prober", "first run of k failures in independent trials",
         "W. Feller, vol. I, XIII.7", DETECTION, "test_verdicts_by_loss_alone_come_at_the_rate_of_runs"),
    Form("false alarms by loss, several probers", "earliest of independent runs, 1 − (1 − p)² per probe",
         "W. Feller, vol. I, XIII.7", DETECTION, "test_false_alarms_of_a_whole_scenario_by_loss"),
    Form("every probe made", "verdicts by skipping ahead = verdicts of a prober that makes every probe", "brute force",
         DETECTION, "test_prober_group_against_itself_with_every_probe_made"),
    Form("steps of a runbook that fail", "binomial, 1 − (1 − p₀)·exp(−t/m) a step", "failure on demand of what "
         "stands by (NUREG/CR-6823)", RUNBOOK, "test_how_many_steps_fail_is_binomial"),
    Form("what failed steps cost", "compound sum: mean n·p·E, variance n·p·Var + n·p·(1 − p)·E²", "compound binomial",
         RUNBOOK, "test_what_they_cost_has_the_mean_and_the_spread_of_a_compound_sum"),
    Form("who answers a page", "Σ share of the day · P(first > t) · P(second > t)", "mixture, minimum of two", PEOPLE,
         "test_who_answers_is_a_mixture_over_the_day_and_the_first_of_two"),
    Form("tries of a fence that is refused", "geometric", "independent tries", FENCING,
         "test_the_tries_until_one_is_not_refused_are_geometric"),
    Form("splits after a fence that failed", "binomial: dead, or refused at every try", "definition", FENCING,
         "test_who_proceeds_without_a_confirmation_splits_as_often_as_the_device_is_dead"),
    Form("outage of a switchover under a lease", "the sum of its steps, drain to reconnection", "sum",
         LEASE_SWITCHOVER, "test_the_outage_is_the_sum_of_its_parts"),
    Form("outage of readers of the primary in a switchover", "that of the writes less the drain", "sum",
         SWITCHOVER_READERS, "test_readers_of_the_primary_are_out_from_its_shutdown_to_the_new_one"),
    Form("changes sent again after a switchover", "rate · (T − s)² / 2T, copies every T, nothing written for s before",
         "mean of max(0, U(0, T) − s)", SWITCHOVER_FEEDS,
         "test_a_standby_copies_its_slot_no_more_once_the_primary_is_shut_down"),
    Form("busy resolver", "U(0, L), L the entry's life", "renewal theory, residual life", POPULATION,
         "test_a_busy_resolver_is_uniform_over_its_life_against_theory"),
    Form("idle resolver", "holds the entry with λT / (1 + λT), then U(0, T)", "alternating renewal process", POPULATION,
         "test_an_idle_resolver_holds_the_entry_with_the_renewal_share_against_theory"),
    Form("serve-stale", "one more exponential look-up", "memorylessness", POPULATION,
         "test_serve_stale_waits_for_one_more_look_up_against_theory"),
    Form("two caches in series", "U(0, a) + U(0, b)", "convolution", POPULATION,
         "test_layers_in_series_add_against_theory"),
    Form("resolvers in whole seconds", "a cache followed look-up by look-up", "brute force", ENTRIES,
         "test_old_answers_last_as_in_a_resolver_followed_look_up_by_look_up_against_theory"),
    Form("stretched TTLs", "the declared tail", "Pareto through two points", POPULATION,
         "test_overstay_adds_its_tail_against_theory"),
    Form("anycast", "the declared convergence, by one coordinate per client", "definition", POPULATION,
         "test_packets_follow_routes_by_the_declared_convergence_against_theory"),
    Form("endpoint seen by instances", "U(0, TTL), then reconnect", "residual life", POPULATION,
         "test_instances_see_an_endpoint_uniformly_over_its_ttl_then_reconnect_against_theory"),
    Form("tail of the population", "2 % of users still use the old answer after 15 min (accepted 1 to 4 %)",
         "Flavel, Mani, Maltz, LANMAN 2014", LANMAN, ""),
    Form("lag of a stream slower than its WAL", "t − A⁻¹(D(t)), D the served bytes", "min-plus algebra (Le Boudec, "
         "Thiran, Network Calculus)", WAL, "test_fluid_against_min_plus_algebra"),
    Form("lag through a burst", "grows by 1 − R/W per second, drains after the burst has ended", "fluid queue", WAL,
         "test_lag_through_a_burst"),
    Form("loss over burst phases", "lag one latency earlier, plus that latency", "fluid queue, uniform phase", WAL,
         "test_loss_over_burst_phases"),
    Form("in flight lost or not", "one latency more if what is on the wire dies", "definition", WAL,
         "test_what_is_on_the_wire_arrives_or_dies"),
    Form("replay behind a line", "two queues in a row: the slower of the two", "tandem fluid queue", WAL,
         "test_replay_follows_two_lines_in_a_row"),
    Form("TCP retries after a cut", "RTO·2ᵏ after the timer's start, the first a probe", "RFC 6298, RFC 8985", WAL,
         "test_tcp_retransmissions_double"),
    Form("backlog behind a retry", "windows of 2, 4, 8 … segments, a round trip each", "RFC 5681, 3.1 and 4.1", TCP,
         "test_a_backlog_follows_in_windows_that_double"),
    Form("loss behind a WAL archive that survives", "U(0, archive_timeout) + upload; less when segments fill",
         "PostgreSQL, CheckArchiveTimeout; renewal theory", ARCHIVE,
         "test_a_surviving_archive_loses_up_to_its_timeout_and_one_upload"),
    Form("loss with an archive that is lost too", "U(0, archive_timeout) + upload + U(0, poll) + restore", "the same",
         ARCHIVE, "test_an_archive_lost_with_its_region_loses_what_was_not_restored"),
    Form("loss behind two archives in a row", "U(0, archive_timeout) + 2 · (upload + U(0, poll) + restore)",
         "archive_mode = always; archive_timeout ends segments on a primary alone", CASCADE,
         "test_a_second_archive_adds_an_upload_a_poll_and_a_restore"),
    Form("archived segments that have queued", "⌊(time − U(0, poll)) / restore⌋ of them restored", "one by one",
         ARCHIVE, "test_segments_that_have_queued_are_restored_one_after_the_other"),
    Form("full segments", "U(0, segment / rate) + upload", "the same", ARCHIVE, "test_full_segments_end_early"),
    Form("archiver slower than its segments", "loss grows by 1 − segment / (rate · upload) per second",
         "one server, served in order", ARCHIVE, "test_an_upload_slower_than_its_segments_queues"),
    Form("availability over many incidents", "1 − E[outage] / E[cycle]", "renewal-reward (S. Ross)", AVAILABILITY,
         "test_availability_is_the_share_of_each_cycle_that_works"),
    Form("what a fluid replay leaves out", "ρ / (2 (1 − ρ)) services: below 1 µs at the preset's speed",
         "M/D/1, Pollaczek and Khinchine", AVAILABILITY,
         "test_what_a_fluid_replay_leaves_out_is_the_wait_of_an_md1_queue"),
    Form("kernel timers", "late by an eighth at most, and two ticks", "Linux kernel/time/timer.c", WAL,
         "test_timers_fire_late_by_an_eighth_at_most"),
    Form("connection attempts", "0, 1, 3, 7, 15, 31, 63 s, given up after 127 s", "Linux ip-sysctl, tcp_syn_retries",
         WAL, "test_connection_attempts"),
    Form("commit, ANY n", "n-th smallest wait", "PostgreSQL documentation, synchronous_standby_names", WAL,
         "test_any_n_is_the_nth_smallest"),
    Form("commit, FIRST n", "slowest of the n connected members of highest priority", "the same", WAL,
         "test_first_n_is_the_slowest_of_the_highest_priority"),
    Form("silent synchronous standby", "commits stall until wal_sender_timeout drops it", "PostgreSQL documentation",
         WAL, "test_a_silent_member_stalls_commits_until_it_is_dropped"),
    Form("lease that its holder obeys", "ttl − (loop_wait + retry_timeout) between two primaries", "Patroni "
         "documentation", SPLIT, "test_a_lease_that_its_holder_enforces_never_overlaps"),
    Form("clock drift and leases", "overlap as soon as (loop_wait + retry_timeout) × drift exceeds ttl",
         "C. Gray, D. Cheriton, Leases, SOSP 1989", SPLIT, "test_a_slow_clock_gives_a_lease_up_late"),
    Form("self-check", "stops U(0, every) + (fails − 1)·every + timeout after the isolation", "residual phase", SPLIT,
         "test_a_self_check_bounds_the_overlap"),
    Form("distributions", "moments, inverse, monotone, continuous where declared", "one suite for every class",
         DISTRIBUTIONS, "test_conformance_against_itself"),
    Form("log-normal through quantiles", "scipy's", "scipy.stats.lognorm", DISTRIBUTIONS,
         "test_lognormal_against_scipy"),
    Form("critical distances of fits", "Stephens' table", "M. A. Stephens, JASA 69, 1974", CALIBRATE,
         "test_critical_distances_against_stephens"),
    Form("PIT of drills", "uniform, also with ties", "probability integral transform", CALIBRATE,
         "test_transforms_are_uniform_against_theory"),
)  # fmt: skip


def table() -> str:
    """Return the table of closed forms."""
    lines = [
        f"| {form.name} | {form.formula} | {form.source} | `{PLACE}/{form.file}`"
        + (f" `{form.test}`" if form.test else "")
        + " |\n"
        for form in FORMS
    ]
    head = "| what | formula | source | held by |\n|---|---|---|---|\n"
    return f"{head}{''.join(lines)}"
