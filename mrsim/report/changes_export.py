"""What became of a baseline, for machines: cases of JUnit XML, JSON, and what GitHub Actions shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mrsim.report.changes import (
    WORDS,
    absent_said,
    edits_said,
    engine_said,
    explanation,
    moved,
    remark,
    replay,
    scenario_said,
    sides,
    tally,
)
from mrsim.report.github import annotation, cells
from mrsim.report.json_export import estimate_json, finite
from mrsim.report.junit import Case

if TYPE_CHECKING:
    from mrsim.study.changes import Changed, Changes, Compared
    from mrsim.study.shifts import Change

_SIGNS = {"same": "✅", "better": "✅", "held": "✅", "regressed": "❌", "inconclusive": "❔"}


def summary(of: Compared, change: Change) -> str:
    """Return verdict, numbers and reason of a change on one line."""
    was, now = sides(of, change)
    warn = "warning only: " if of.budget.level == "warn" and outcome(of, change) else ""
    if change.verdict == "same":
        return f"the same in all {change.n} trials ({change.by})"
    mean = "share of trials" if change.difference.estimand == "exceeds" else "mean"
    return f"{warn}{mean} {was} -> {now}, {moved(of, change)}: {remark(of, change)}".replace("\ue000", " ")


def outcome(of: Compared, change: Change) -> str:
    """Return JUnit's word for a verdict: ``failure``, ``error`` or ``skipped``; empty for one that is well."""
    if change.verdict not in ("regressed", "inconclusive"):
        return ""
    if of.budget.level == "warn" or of.state == "removed":
        return "skipped"
    return "failure" if change.verdict == "regressed" else "error"


def cases(changes: Changes, files: Sequence[str]) -> list[list[Case]]:
    """Return a case of JUnit XML per comparison, scenario by scenario."""
    found = []
    for file, one in zip(files, changes.scenarios, strict=True):
        found.append(
            [_case(of, change, file, replay(one, file, changes)) for of in one.budgets for change in of.changes]
        )
    return found


def _case(of: Compared, change: Change, file: str, again: str) -> Case:
    place = f"{file}:{of.budget.line}" if of.budget.line else file
    name = f"{of.budget.key} {of.budget.text}, against the baseline ({change.by})"
    details = [f"{place}: {of.budget.key} {of.budget.text}", summary(of, change), *([again] if again else [])]
    return Case(name, outcome(of, change), change.verdict, summary(of, change), "\n".join(details))


def changes_json(changes: Changes, files: Sequence[str]) -> dict[str, Any]:
    """Return what became of a baseline as JSON data: base units, nothing rounded; a bound that is none is ``null``."""
    baseline = changes.baseline
    return {
        "baseline": baseline.path,
        "trials": baseline.trials,
        "seed": baseline.seed,
        "engine": {"was": dict(baseline.engine), "is": dict(changes.engine)},
        "tolerance": asdict(changes.tolerance),
        "confidence": changes.confidence,
        "exit_code": changes.exit_code,
        "absent": [{"scenario": name, "file": file} for name, file in changes.absent],
        "scenarios": [
            {
                "file": file,
                "scenario": one.scenario.name,
                "before": one.before,
                "edits": [finite(asdict(edit)) for edit in one.edits],
                "budgets": [_budget(of) for of in one.budgets],
                "replay": replay(one, file, changes),
            }
            for file, one in zip(files, changes.scenarios, strict=True)
        ],
    }


def _budget(of: Compared) -> dict[str, Any]:
    budget = of.budget
    named = {"budget": budget.key, "limit": budget.text, "column": budget.column, "level": budget.level}
    changes = [
        finite(asdict(change)) | {"was": estimate_json(change.was), "now": estimate_json(change.now)}
        for change in of.changes
    ]
    return {**named, "line": budget.line, "state": of.state, "limit_was": of.was, "changes": changes}


def changes_summary(changes: Changes, files: Sequence[str]) -> str:
    """Return what became of a baseline as Markdown, a table per scenario."""
    lines = ["", f"## mrsim: {tally(changes)}", "", f"{explanation(changes)} {engine_said(changes)}.", ""]
    for file, one in zip(files, changes.scenarios, strict=True):
        lines += [f"### {cells([file])}: {scenario_said(one)}", ""]
        lines += [f"- `{edit}`" for edit in edits_said(one)] + ([""] if one.edits else [])
        rows = list(_rows(one))
        if rows:
            lines += ["| budget | limit | by | verdict | change |", "|---|---|---|---|---|", *rows, ""]
        again = replay(one, file, changes)
        lines += [f"```sh\n{again}\n```", ""] if again else []
    lines += [f"- {said}" for said in absent_said(changes)]
    return "\n".join(lines) + "\n"


def _rows(one: Changed) -> Iterator[str]:
    for of in one.budgets:
        limit = of.budget.text + (f" (was {of.was})" if of.was else "")
        for change in of.changes:
            if change.by == "scenario" or change.differing:
                warn = " (warn)" if of.budget.level == "warn" else ""
                verdict = f"{_SIGNS[change.verdict]} {WORDS[change.verdict][0]}{warn}"
                verdict = verdict if of.state == "kept" else f"{verdict}, {of.state}"
                yield f"| {cells([of.budget.key, limit, change.by, verdict, summary(of, change)])} |"
        if not of.changes:
            yield f"| {cells([of.budget.key, limit, '', of.state, 'nothing to compare with'])} |"


def changes_notes(changes: Changes, files: Sequence[str]) -> Iterator[str]:
    """Yield a workflow command for each comparison that is not well, and for limits and scenarios that are gone."""
    for file, one in zip(files, changes.scenarios, strict=True):
        for of in one.budgets:
            title = f"{of.budget.key} {of.budget.text}"
            if of.state == "removed":
                yield annotation("notice", file, 0, title, "this budget was removed")
            elif of.was:
                yield annotation("notice", file, of.budget.line, title, f"the limit was {of.was}")
            for change in of.changes:
                kind = outcome(of, change)
                if kind and of.state != "removed":
                    level = "warning" if kind == "skipped" else "error"
                    yield annotation(level, file, of.budget.line, title, summary(of, change))
