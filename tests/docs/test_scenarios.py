"""The page of the scenario library: what it says is what the files give, and every claim is judged."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import scenarios
from docs.claims import ROWS, Band, Row

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
AGAIN = ("health-checks/route53-fast", "incidents/github-2018-cross-country", "write-costs/semi-sync")
"""Files whose rows are simulated again here; the others by ``make verify``."""


def _lines_and_rows() -> list[tuple[str, Row]]:
    """Return every line of the table of claims, and the row that it shows."""
    block = PAGE.split("<!-- begin: claims -->\n")[1].split("<!-- end: claims -->")[0].removeprefix(scenarios.HEAD)
    return list(zip(block.splitlines(), ROWS, strict=True))


def test_the_list_of_scenarios_is_current() -> None:
    assert scenarios.library() in PAGE, "run: make docs"


def test_the_table_has_the_rows_and_their_words() -> None:
    assert [line for line, row in _lines_and_rows() if not line.startswith(scenarios.asked(row))] == []


def test_scenarios_name_files_that_exist() -> None:
    files = {path.name: path for path in (ROOT / "scenarios").rglob("*.yaml")}
    named = [
        f"{path.name}: {word}"
        for path in files.values()
        for word in re.findall(r"\b[a-z0-9-]+\.yaml", path.read_text(encoding="utf-8"))
        if word not in files
    ]
    assert named == []


@pytest.mark.parametrize("row", [row for row in ROWS if row.file in AGAIN], ids=lambda row: f"{row.file}: {row.what}")
def test_rows_are_what_a_fresh_run_gives(row: Row) -> None:
    assert scenarios.line(row) in PAGE, "run: make docs"


@pytest.mark.slow
def test_the_whole_page_is_what_fresh_runs_give() -> None:
    assert scenarios.page() == PAGE, "run: make docs"


def test_every_row_lies_where_the_best_source_says() -> None:
    """A better source overrules the document; a claim that is missed says why."""
    for line, row in _lines_and_rows():
        said = line.rsplit("|", 2)[1].strip()
        best = "source" if row.source is not None else "document"
        assert said.startswith("inside"), line
        assert f"the {best}" in said.split("outside")[0], line
        assert "outside" not in said or (row.note and said.endswith(row.note)), line


def test_a_miss_is_told() -> None:
    row = Row(AGAIN[2], "added to a write", ("write_latency_s{service=app, from=people}",), Band("none", 0.0, 0.001))
    assert scenarios.verdict(row).startswith("outside the document")
