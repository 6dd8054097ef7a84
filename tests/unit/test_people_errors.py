"""What cannot be meant of the people in a failover is said with place and way out."""

from __future__ import annotations

import pytest

from mrsim.distributions import Uniform
from mrsim.errors import ScenarioError
from mrsim.scenario.loader import loads
from tests.unit.test_loader_errors import GOOD, problems_of

DECIDE = "decide: {by: automatic, max_lag: 10s}"
MEASURED = "runbook: {{before: 2, last_drill: 30d, measured: [{}]}}"
RUNBOOKS = [
    ("runbook: {last_drill: 30d}", "no steps", "before: 3"),
    ("runbook: {before: 3}", "missing", ""),
    ("runbook: {before: 2, last_drill: 30d, fails: 60%}", "at most 50%", ""),
    ("runbook: {before: 2, last_dril: 30d}", "unknown key 'last_dril'", "last_drill"),
    (MEASURED.format("{after: 30d, failed: 40, of: 40}"), "tells no rate", "fewer"),
    (
        MEASURED.format("{after: 30d, failed: 4, of: 40}, {after: 60d, failed: 1, of: 40}"),
        "less than the 10.00%",
        "mends",
    ),
    (MEASURED.format("{after: 30d, failed: 4, of: 40}, {after: 30d, failed: 5, of: 40}"), "no later", "shortest"),
    (
        MEASURED.format("{after: 30d, failed: 4, of: 40}").replace("before", "fails: 20%, before"),
        "less than the 20",
        "",
    ),
    (MEASURED.format("{after: 30d, failed: 4, of: 40}").replace("before", "breaks_every: 1d, before"), "no effect", ""),
]


def failing(text: str, message: str, hint: str) -> None:
    found = problems_of(text)
    assert any(message in problem.message and hint in problem.hint for problem in found), "\n".join(map(str, found))
    assert all(problem.line > 0 for problem in found)


@pytest.mark.parametrize(("runbook", "message", "hint"), RUNBOOKS)
def test_runbooks(runbook: str, message: str, hint: str) -> None:
    failing(GOOD.replace(DECIDE, f"{DECIDE}\n      {runbook}"), message, hint)


NIGHT = "night: {from: 22h, to: 7h}"
HOURS = [
    ("shifts: {night: {from: 22h, to: 22h}}", "to the same time", "24h"),
    (f"shifts: {{{NIGHT}, early: {{from: 6h, to: 9h}}}}", "'night' and 'early' overlap", "where the other ends"),
    (f"shifts: {{early: {{from: 6h, to: 9h}}, {NIGHT}}}", "overlap", ""),
    (f"at: nigth, shifts: {{{NIGHT}}}", "there is no shift 'nigth'", "night"),
    (f"at: 3, shifts: {{{NIGHT}}}", "", ""),
    ("shifts: {night: {from: 22h, to: 25h}}", "at most 1d", ""),
    ("shifts: {night: {from: 22, to: 7h}}", "unit", ""),
    ("shifts: {}", "", ""),
    ("shifts: {night: {from: 22h, to: 7h, nobdy: 5%}}", "unknown key 'nobdy'", "nobody"),
    (f"shifts: {{{NIGHT}}}, escalates: {{after: 0s, acknowledge: 1min}}", "", ""),
]


@pytest.mark.parametrize(("hours", "message", "hint"), HOURS)
def test_hours(hours: str, message: str, hint: str) -> None:
    failing(GOOD.replace(DECIDE, f"decide: {{by: operator, hours: {{{hours}}}}}"), message, hint)


@pytest.mark.parametrize(("at", "low", "high"), [("night", 22.0, 31.0), ("day", 7.0, 22.0)])
def test_a_shift_names_its_hours(at: str, low: float, high: float) -> None:
    hours = f"hours: {{at: {at}, shifts: {{{NIGHT}, day: {{from: 7h, to: 22h}}}}}}"
    failover = loads(GOOD.replace(DECIDE, f"decide: {{by: operator, {hours}}}")).stores["orders-db"].failover
    assert failover is not None
    assert failover.decide.by == "operator"
    assert failover.decide.hours is not None
    assert failover.decide.hours.at == Uniform(low * 3600.0, high * 3600.0)


def test_a_fence_that_refuses_everything_is_dead() -> None:
    failing(GOOD.replace("takes: 5s..15s}", "takes: 5s..15s, fails: 100%}"), "at most 90%", "")


def test_a_lease_has_no_runbook() -> None:
    text = GOOD.replace(
        DECIDE, "decide: {preset: patroni, voters: [arbiter]}\n      runbook: {before: 1, last_drill: 1d}"
    )
    failing(text, "nobody works through a runbook", "leave it out")


def test_an_endpoint_that_follows_health_waits_for_nobody() -> None:
    text = GOOD.replace(DECIDE, f"{DECIDE}\n      runbook: {{after: 1, last_drill: 1d}}")
    failing(text.replace("moved_by: gitops", "moved_by: health"), "waits for no step", "before")


def test_what_is_meant_is_read() -> None:
    text = GOOD.replace(DECIDE, f"{DECIDE}\n      runbook: {{before: 1, last_drill: 0s..30d}}")
    try:
        failover = loads(text).stores["orders-db"].failover
    except ScenarioError as error:
        pytest.fail(str(error))
    assert failover is not None
    assert failover.runbook is not None
    assert (failover.runbook.fails, failover.runbook.breaks_every) == (0.01, 2920 * 86400.0)
