"""The verdicts of a gate where GitHub Actions shows them: a summary of the step, and notes at the lines of budgets.

References
----------
GitHub's documentation, *Workflow commands for GitHub Actions* (``::error file=...,line=...::``, what has to be escaped
in them) and *Adding a job summary*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mrsim.report.junit import observed, replay, summary
from mrsim.report.verdicts import VERDICTS, check_remark, looks_text, tally

if TYPE_CHECKING:
    from mrsim.study.gate import Gate
    from mrsim.study.verdict import Check

_SIGNS = {"passed": "✅", "failed": "❌", "inconclusive": "❔"}


def step_summary(gate: Gate, paths: Sequence[str]) -> str:
    """Return the verdicts as Markdown, a table per scenario.

    Parameters
    ----------
    gate
        The verdicts.
    paths
        Path of each study's scenario file.
    """
    lines = [f"## mrsim: {tally(gate.checks)}", ""]
    for index, (path, results) in enumerate(zip(paths, gate.studies, strict=True)):
        lines += [f"### {_cell(path)}", "", f"{results.n} trials, seed {results.seed}", ""]
        lines += ["| budget | limit | verdict | observed |", "|---|---|---|---|"]
        for check in gate.of(index):
            word = VERDICTS[check.verdict][0] + (" (warn)" if check.budget.level == "warn" else "")
            said = f"{observed(check)}<br>{check_remark(check)}" if check_remark(check) else observed(check)
            cells = (check.budget.key, check.budget.text, f"{_SIGNS[check.verdict]} {word}", said)
            lines.append(f"| {' | '.join(map(_cell, cells))} |")
        blamed = next((one for one in gate.of(index) if one.verdict == "failed" and one.worst_trials), None)
        lines += ["", f"```sh\n{replay(blamed, path, results)}\n```"] if blamed is not None else []
        lines.append("")
    if len(gate.looks) > 1 and gate.checks:
        lines += [looks_text(gate.looks, gate.confidence_of_a_look), ""]
    return "\n".join(lines)


def notes(gate: Gate, paths: Sequence[str]) -> Iterator[str]:
    """Yield a workflow command for each budget that did not pass: an error, or a warning if its level says so.

    Parameters
    ----------
    gate
        The verdicts.
    paths
        Path of each study's scenario file.
    """
    for index, path in enumerate(paths):
        for check in gate.of(index):
            if check.verdict != "passed":
                yield _annotation(check, path)


def _annotation(check: Check, path: str) -> str:
    kind = "error" if check.budget.level == "error" else "warning"
    return annotation(kind, path, check.budget.line, f"{check.budget.key} {check.budget.text}", summary(check))


def annotation(kind: str, path: str, line: int, title: str, text: str) -> str:
    """Return the workflow command for a note at a line of a file; at none if that is 0.

    Parameters
    ----------
    kind
        ``error``, ``warning`` or ``notice``.
    path, line, title, text
        Where it is shown, and what.
    """
    at = f",line={line}" if line else ""
    return f"::{kind} file={_property(path)}{at},title={_property(title)}::{_data(text)}"


def cells(texts: Sequence[str]) -> str:
    """Return texts as the cells of a row of a Markdown table, without the bars at its ends."""
    return " | ".join(map(_cell, texts))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    """Return a text that stays in its cell, and is not taken for markup."""
    kept = text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    escaped = "".join(f"\\{char}" if char in "*_`[]" else char for char in kept)
    return escaped.replace("<", "&lt;").replace("&lt;br>", "<br>")
