"""Mechanisms broken on purpose, one at a time in a copy: the tests that hold them must notice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Broken(NamedTuple):
    """A mechanism: its file, the line that makes it work, the same line broken, and the tests that hold it."""

    file: str
    line: str
    broken: str
    held_by: str


_SITE_LEASE = "tests/reference/test_engine_site_lease_against_theory.py"
_REJOIN = "tests/reference/test_engine_rejoin_against_theory.py"
BROKEN = {
    "a loss that ends with the first primary that lost anything": Broken(
        "measure/bins.py",
        "first.append(first[history.parent] if goes_on else index)",
        "first.append(index)",
        "tests/measure/test_metrics.py::test_the_loss_of_a_primary_that_went_on_from_what_is_lost_too_is_one_loss",
    ),
    "nodes rebuilt from a primary that they do not reach": Broken(
        "sim/returns.py",
        "if self._database.streaming.can_copy(node, primary):\n            return False",
        "if True:\n            return False",
        f"{_REJOIN}::test_an_old_primary_that_knows_of_the_new_one_is_rebuilt_once_it_reaches_it",
    ),
    "nodes that acknowledge while they are rebuilt": Broken(
        "sim/returns.py",
        "self._database.streaming.detach(node, cause)",
        "pass",
        f"{_REJOIN}::test_a_standby_that_is_rebuilt_answers_its_old_primary_no_more",
    ),
    "a new primary's archive forgotten behind a cut": Broken(
        "sim/archive.py",
        "if begins and not upstream.began and not node.rebuilding:",
        "if False:",
        "tests/reference/test_engine_archive_behind_against_theory.py"
        "::test_a_cut_standby_follows_another_primary_by_way_of_the_archive",
    ),
    "records edited without a way to the control plane": Broken(
        "sim/edited.py",
        "self._over(self._plan.by, self._plan.authority, edit)",
        "edit()",
        "tests/reference/test_engine_edited_against_theory.py",
    ),
    "edits that are not called off": Broken(
        "sim/edited.py",
        "if turn != self._turns[key]:",
        "if False:",
        "tests/reference/test_engine_edited_against_theory.py",
    ),
    "a proxy's timeout forgotten": Broken(
        "sim/edge.py",
        "yield _Stretch(at_s + edge.connect_timeout, refusal.start_s, event, refusal.began_by)",
        "yield _Stretch(at_s, refusal.start_s, event, refusal.began_by)",
        "tests/reference/test_engine_edge_against_theory.py",
    ),
    "a proxy tries regions that are held unhealthy": Broken(
        "sim/edge.py",
        "if name != region and name not in down)",
        "if name != region)",
        "tests/reference/test_engine_edge_against_theory.py::test_a_proxy_turns_to_no_region_that_is_held_unhealthy",
    ),
    "second tries of writes although none are meant": Broken(
        "routes.py",
        "if edge is None or not (reading or edge.writes):",
        "if edge is None:",
        "tests/measure/test_second_tries_against_the_definitions.py",
    ),
    "second tries go where the first went": Broken(
        "detours.py",
        '"" if target is None else target or region for target, region',
        '"" if target is None else region for target, region',
        "tests/measure/test_second_tries_against_the_definitions.py",
    ),
    "an archive behind an archive ships what was not restored yet": Broken(
        "sim/restoring.py",
        "self.receipts.note(done_s, self._position_s)",
        "self.receipts.note(self.segments.landed_s[self._got - 1], self._position_s)",
        "tests/reference/test_engine_archive_cascade_against_theory.py",
    ),
    "threshold off by one": Broken(
        "sim/records.py",
        'check.every, check.interval_from == "end", check.fails, check.recovers',
        'check.every, check.interval_from == "end", check.fails + 1, check.recovers',
        "tests/reference/test_engine_detection_against_theory.py::test_route53_figures",
    ),
    "threshold off by one where probes are skipped": Broken(
        "sim/health.py",
        "return self._timing.fails if prober.healthy else self._timing.recovers",
        "return self._timing.fails + 1 if prober.healthy else self._timing.recovers",
        "tests/reference/test_engine_detection_against_theory.py",
    ),
    "timeout forgotten": Broken(
        "sim/looks.py",
        "takes = rtt if network.refuses(region) else check.timeout",
        "takes = rtt",
        "tests/acceptance/test_detection.py",
    ),
    "interval always from the start": Broken(
        "sim/health.py",
        "return self.every_s + takes_s if self.from_end else max(self.every_s, takes_s)",
        "return max(self.every_s, takes_s)",
        "tests/reference/test_engine_detection_against_theory.py::test_route53_figures",
    ),
    "residual of an entry not scaled": Broken(
        "entries.py",
        "left = rest.quantile(residual)",
        "left = 0.5 * rest.quantile(residual)",
        "tests/reference/test_population_against_theory.py",
    ),
    "endpoint's ttl forgotten": Broken(
        "instances.py",
        "phases.of_cohort(cohort, Dimension.ENDPOINT) * _life_s(ttl_s, 0)",
        "0.0",
        "tests/reference/test_population_against_theory.py",
    ),
    "fence confirmed and not carried out": Broken(
        "sim/database.py",
        'self.stop(region, event, "fenced")',
        "pass",
        "tests/reference/test_engine_split_brain_against_theory.py",
    ),
    "storage takes whatever epoch": Broken(
        "sim/storage.py",
        "reached and self._told.get((node.region, place), _NOT_TOLD) <= node.epoch",
        "reached",
        "tests/reference/test_engine_token_against_theory.py",
    ),
    "holder of a lease never steps down": Broken(
        "sim/lease_holder.py",
        "if not holder.agent_alive or not holder.running:",
        "if True:",
        "tests/reference/test_engine_split_brain_against_theory.py",
    ),
    "holder of a site's lease never steps down": Broken(
        "sim/site_lease.py",
        'if node.agent_alive and node.running and node.role == "primary" and node.history == self._history:',
        "if False:",
        f"{_SITE_LEASE}::test_a_holder_that_is_cut_off_stops_before_another_begins",
    ),
    "a site's lease for whoever lags": Broken(
        "sim/gates.py",
        "return self._cluster.primary is None or self._lag_bytes(node) <= self._limit_bytes",
        "return True",
        f"{_SITE_LEASE}::test_nobody_that_lags_by_more_than_the_limit_takes_the_lease",
    ),
    "self-check never acts": Broken(
        "sim/selfcheck.py",
        'self._database.stop(region, cause, "isolated: it can reach none of the places it should see")',
        "pass",
        "tests/reference/test_engine_split_brain_against_theory.py::test_a_self_check_bounds_the_overlap",
    ),
    "what is on the wire always arrives": Broken(
        "sim/wal.py",
        "now_s - (self.latency_s if in_flight_lost else 0.0), self.source_end_s",
        "now_s, self.source_end_s",
        "tests/reference/test_engine_wal_against_theory.py::test_enough_bandwidth_leaves_the_latency",
    ),
    "FIRST waits for the fastest": Broken(
        "sim/commit.py",
        "    chosen = connected[:needed]",
        "    chosen = sorted(connected, key=lambda member: member.wait_s)[:needed]",
        "tests/reference/test_engine_wal_against_theory.py",
    ),
    "ledger counts twice": Broken(
        "measure/ledger.py",
        "+= np.add.reduce(attempts * weight, axis=1)",
        "+= 2.0 * np.add.reduce(attempts * weight, axis=1)",
        "tests/measure/test_measure_against_the_definitions.py",
    ),
    "a new slot begins where the old one was": Broken(
        "sim/consumers.py",
        'self._open(node, self._world.now, created, "from a new slot")',
        'self._open(node, self._progress.position_s, created, "from a new slot")',
        "tests/reference/test_feeds_against_theory.py",
    ),
    "a primary that is shut down answers": Broken(
        "sim/shutdown.py",
        "node.answers.set(self._world.now, on=False, event=event)",
        "node.answers.set(self._world.now, on=True, event=event)",
        "tests/reference/test_engine_switchover_readers_against_theory.py",
    ),
    "operations look for an old primary once": Broken(
        "sim/wayback.py",
        "            owner.look_for(self)",
        "            pass",
        "tests/reference/test_engine_way_back_against_theory.py",
    ),
    "who fails over is not held still by who goes back": Broken(
        "sim/switchover.py",
        "            control.on_verdict(False, event)",
        "            pass",
        "tests/reference/test_engine_way_back_against_theory.py",
    ),
    "a holder that has lost its lease writes on": Broken(
        "sim/lease_switchover.py",
        "if old.is_primary and not self._lease.goes_on:",
        "if False:",
        "tests/reference/test_engine_way_back_against_theory.py",
    ),
    "changes are sent by a primary that is shut down": Broken(
        "sim/consumers.py",
        "not source.is_primary or source.handed_over:",
        "not source.is_primary:",
        "tests/reference/test_feeds_switchover_against_theory.py",
    ),
    "nobody is waited for before changes are sent": Broken(
        "sim/consumer_progress.py",
        "for site in self._waits_for if site != source.region]",
        "for site in () if site != source.region]",
        "tests/reference/test_feeds_against_theory.py",
    ),
    "short gaps split an episode": Broken(
        "measure/splitbrain.py",
        "MERGE_S = 60.0",
        "MERGE_S = 0.0",
        "tests/measure/test_metrics.py",
    ),
    "unfinished counts as observed": Broken(
        "measure/recovery.py",
        "status[values == _CENSORED] = Status.CENSORED",
        "status[values == _CENSORED] = Status.OBSERVED",
        "tests/measure/test_metrics.py",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_mechanism_is_where_it_is_said_to_be(name: str) -> None:
    broken = BROKEN[name]
    text = (ROOT / "mrsim" / broken.file).read_text(encoding="utf-8")
    assert text.count(broken.line) == 1, "the mechanism has moved: name its line anew"
    assert (ROOT / broken.held_by.partition("::")[0]).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_mechanism_is_noticed(name: str, tmp_path: Path) -> None:
    broken = BROKEN[name]
    for folder in ("mrsim", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "scenarios"):
        (tmp_path / file).symlink_to(ROOT / file)
    path = tmp_path / "mrsim" / broken.file
    text = path.read_text()
    path.write_text(text.replace(broken.line, broken.broken))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", broken.held_by]
    environment = os.environ | {"HYPOTHESIS_PROFILE": "unshrunk"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 1, f"pytest ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-500:]}"
