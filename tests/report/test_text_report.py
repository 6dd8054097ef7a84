"""The report shows every section, never a number that was not there, and never a green drill that tested nothing."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mrsim.report.cells import bounds_text
from mrsim.report.naming import default_column, pretty_column
from mrsim.report.tables import assumption_rows, recovery_tables, replay_trial
from mrsim.report.text import run_report
from mrsim.report.verdicts import check_report
from mrsim.study.verdict import judge_all
from tests.report.samples import SCENARIO_TEXT, sample_results, sample_scenario


def on_one_line(text: str) -> str:
    """Return a report with its line breaks and runs of blanks taken out."""
    return " ".join(text.split())


def test_the_report_has_all_its_parts_in_order() -> None:
    text = run_report(sample_results())
    parts = [
        "bookstore-three-region",
        "fault: us-east is lost, at a random time, for good; connections hang; what is on the wire is lost",
        "1000 trials, seed 7, horizon 4 h",
        "\nBudgets: 5 checks: 5 passed\n",
        "Recovery time (RTO)",
        "storefront read: 50 % of clients affected",
        "orders write: 100 % of clients affected",
        "Where the time went",
        "Data loss (RPO)",
        "Writes:",
        "Split-brain and failover",
        "Write latency",
        "\n\nBudgets: 5 checks: 5 passed",
        "Assumptions",
        "mrsim trace bookstore.yaml --seed 7 --trial ",
        "Words are explained in docs/model.md",
    ]
    positions = [text.index(part) for part in parts]
    assert positions == sorted(positions)
    assert max(map(len, text.splitlines())) <= 120


def test_values_carry_their_intervals() -> None:
    results = sample_results()
    text = run_report(results)
    seen = results.estimate("rto_s{service=orders,op=write,clients=90%,of=affected}", "p95")
    assert seen.low < seen.value_low < seen.high
    budget = next(line for line in text.splitlines() if "p95 < 10min" in line)
    assert "PASS" in budget
    assert "9 min 41 s [9 min 24 s, 9 min 56 s]" in budget
    assert "split-brain                   0 of 1000 (<= 0.30 %)" in text


def test_unfinished_recoveries_are_shown_and_never_counted_as_recovered() -> None:
    text = run_report(sample_results(unfinished=0.1))
    assert "> horizon" in text
    write = text[text.index("orders write:") : text.index("Where the time went")]
    assert "unfinished" in write
    share = np.mean(sample_results(unfinished=0.1).status_of("rto_s{service=orders,op=write,clients=95%,of=affected}"))
    assert f"{share:.1%}".replace("%", " %") in write
    assert "FAIL" in text


def test_a_drill_that_tested_nothing_is_not_green() -> None:
    text = run_report(sample_results(effect=False))
    assert "Faults without effect" in text
    assert "no effect in 100 % of trials" in on_one_line(text)
    assert "no effect" in text[text.index("orders write") :]
    assert "PASS" not in text
    assert "INCONCLUSIVE" in text


def test_durable_recovery_is_told_where_it_differs_only() -> None:
    results = sample_results()
    assert "counting only writes that survive" not in run_report(results)
    column = "rto_durable_s{service=orders,op=write,clients=95%,of=affected}"
    results.trials.loc[:99, column] += 1000.0
    text = run_report(results)
    assert "counting only writes that survive (not the same in 10 % of trials)" in text


def test_phases_add_up_to_their_total() -> None:
    results = sample_results()
    line = next(line for line in run_report(results).splitlines() if "orders write, mean" in line)
    total = results.phases().loc[("orders", "write"), "total"]
    assert line.rstrip().endswith(f"{int(total // 60)} min {round(total % 60)} s")


def test_assumptions_are_listed_and_the_others_counted() -> None:
    results = sample_results()
    few, everything = run_report(results), run_report(results, assumptions="all")
    assert "--assumptions all" in on_one_line(few)
    assert len(everything) > len(few)
    assert "network.loss" in few
    merged = assumption_rows(results.scenario.assumptions)
    assert len(merged) < len(results.scenario.assumptions)
    assert any(row.where.startswith("clients.*.") for row in merged)
    kinds = [row.kind == "assumption" for row in merged]
    assert kinds == sorted(kinds, reverse=True)


def test_user_text_is_not_taken_for_markup() -> None:
    text = SCENARIO_TEXT.replace("us-east is lost.", "[bold red]us-east[/] is lost :smile:.").replace(
        "summary: One", "summary: 'One"
    )
    scenario = sample_scenario(text.replace(":smile:.", ":smile:.'"))
    report = on_one_line(run_report(sample_results(scenario=scenario)))
    assert "[bold red]us-east[/] is lost :smile:." in report


def test_colour_only_where_asked_for() -> None:
    results = sample_results()
    assert "\x1b[" not in run_report(results)
    assert "\x1b[" in run_report(results, colour=True)


def test_the_replay_line_names_the_worst_trial_of_the_worst_budget() -> None:
    results = sample_results(slow=1.4)
    trial, why = replay_trial(results)
    column = "rto_s{service=orders,op=write,clients=90%,of=affected}"
    assert "service=orders" in why
    assert trial == results.trials[column].idxmax()
    assert f"--seed 7 --trial {trial}" in run_report(results)


def test_one_table_for_many_files() -> None:
    good, bad = sample_results(), sample_results(slow=3.0)
    checks = judge_all([good, bad])
    text = check_report([("a.yaml", good), ("b.yaml", bad)], checks)
    assert text.index("a.yaml") < text.index("PASS") < text.index("b.yaml") < text.index("FAIL")
    assert "mrsim trace b.yaml --seed 7 --trial" in text
    assert "mrsim trace a.yaml" not in text
    assert text.rstrip().splitlines()[-1].startswith("10 checks: ")


def test_a_short_name_stands_for_the_budgeted_column() -> None:
    results = sample_results()
    assert default_column(results, "rto") == "rto_s{service=storefront,op=read,clients=90%,of=affected}"
    assert pretty_column(default_column(results, "rpo")) == "data loss, orders-db"
    exact = "rto_s{service=orders,op=write,clients=99%,of=affected}"
    assert default_column(results, exact) == exact
    with pytest.raises(Exception, match="no column"):
        default_column(results, "no-such-metric")


def words(text: str) -> set[str]:
    return set(text.split())


@pytest.mark.parametrize("everything", ["few", "all"])
@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_width_cuts_anything_off_or_breaks_a_word(width: int, everything: str) -> None:
    results = sample_results(unfinished=0.03)
    narrow = run_report(results, width=width, assumptions=everything)
    wide = run_report(results, width=400, assumptions=everything)
    lines = narrow.splitlines()
    commands = [line for line in lines if line.startswith("  mrsim trace")]
    assert len(commands) == 1
    assert max(len(line) for line in lines if line not in commands) <= width
    # Paths of the language are single words; on the narrowest page some are longer than a line has room.
    missing = {word for word in words(wide) - words(narrow) if len(word) < width - 8}
    assert missing <= {"clients", "trials", "store", "loss", "lasted,", "what", "budget", "limit", "observed"}


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_numbers_and_intervals_stay_whole(width: int) -> None:
    """A number is on one line with its unit, each end of an interval too, and no bracket is alone."""
    results = sample_results()
    text = run_report(results, width=width)
    for line in text.splitlines():
        assert not re.match(r"\s*(ms|s|min|h|%)(\s|\]|,|$)", line), line
        assert not re.search(r"\[\s*$", line), line
    for row in recovery_tables(results)[0].rows:
        low, high = bounds_text("duration", row.estimates["p50"])
        assert f"[{low}," in text
        assert f"{high}]" in text
    assert "2 699 4" in text


def test_unresolved_is_told_from_unfinished() -> None:
    results = sample_results()
    assert "unresolved" not in run_report(results)
    for name in ("phase_s{service=orders,op=write,part=unresolved}", "rto_mean_s{service=orders,op=write}"):
        results.trials[name] += 30.0
    text = on_one_line(run_report(results))
    assert "unresolved: clients without service at the horizon, counted up to it" in text


def test_the_trials_near_a_quantile_are_counted() -> None:
    results = sample_results()
    trials = int(results.phases("p95").loc[("orders", "write"), "trials"])
    assert f"of {trials} trials near p95" in run_report(results)
    assert f"95 % client, mean of {trials} trials near p95" in run_report(results, width=80)


def test_a_limit_from_below_is_marked() -> None:
    text = SCENARIO_TEXT.replace("trials <= 1%", "trials >= 95%")
    report = on_one_line(run_report(sample_results(scenario=sample_scenario(text)), width=200))
    assert "trials >= 95% (asks for at least)" in report
    assert "(1 asked for at least, not at most)" in report.split("Recovery time")[0], "beside the verdict at the top"
    assert "(asks for at least)" not in run_report(sample_results())


def test_values_of_one_kind_of_clients_are_one_row() -> None:
    results = sample_results()
    few, everything = run_report(results), run_report(results, assumptions="all")
    assert len(re.findall(r"clients\.\*\.resolvers", few)) == 1
    assert "mrsim presets show typical" in few
    assert len(re.findall(r"clients\.\*\.resolvers", everything)) > 10
    assert "(preset aws-2026)" in few
    assert "(assumption, preset aws-2026)" in everything
    assert "\N{HORIZONTAL ELLIPSIS}" not in few
