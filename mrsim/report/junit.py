"""The verdicts of a gate for machines: JUnit XML and JSON.

JUnit has no word for *inconclusive*: such a case is an error, as its exit code is not 0 either. A budget of level
``warn`` that is not passed is skipped, with the reason, because it must not turn a pipeline red.

References
----------
The schema that Jenkins reads (``junit-10.xsd`` of its xUnit plugin, after Maven Surefire's).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mrsim.metrics import BY_NAME
from mrsim.report.cells import estimate_text
from mrsim.report.json_export import check_json
from mrsim.report.verdicts import check_remark
from mrsim.scenario.settings import command_line
from mrsim.study.verdict import worse_of

if TYPE_CHECKING:
    from mrsim.study.gate import Gate
    from mrsim.study.results import Results
    from mrsim.study.verdict import Check

FORMAT = 1
"""Of the JSON; goes up when a reader of the older form would misread the newer one."""


class Case(NamedTuple):
    """A case beside those of the budgets: its name, what came out, and what there is to say.

    ``outcome`` is as :func:`outcome` returns it, ``type`` the verdict.
    """

    name: str
    outcome: str
    type: str
    message: str
    details: str


def junit_xml(gate: Gate, paths: Sequence[str], more: Sequence[Sequence[Case]] = ()) -> str:
    """Return the verdicts as JUnit XML: a suite per scenario file, a case per budget; the same results, the same bytes.

    Parameters
    ----------
    gate
        The verdicts.
    paths
        Path of each study's scenario file.
    more
        Further cases of each study's suite.
    """
    root = Element("testsuites", name="mrsim check")
    totals = dict.fromkeys(("tests", "failures", "errors"), 0)
    for index, (path, results) in enumerate(zip(paths, gate.studies, strict=True)):
        cases = [_case(check, path, results) for check in gate.of(index)] + (list(more[index]) if more else [])
        kinds = [case.outcome for case in cases]
        counts = {"tests": len(cases), "failures": kinds.count("failure"), "errors": kinds.count("error")}
        suite = SubElement(root, "testsuite", name=results.scenario.name, file=path)
        for name, number in (counts | {"skipped": kinds.count("skipped")}).items():
            suite.set(name, str(number))
        properties = SubElement(suite, "properties")
        for name, value in (("seed", results.seed), ("trials", results.n), ("mrsim", results.provenance["mrsim"])):
            SubElement(properties, "property", name=name, value=str(value))
        for case in cases:
            _add(suite, case, path)
        totals = {name: number + counts[name] for name, number in totals.items()}
    for name, number in totals.items():
        root.set(name, str(number))
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def outcome(check: Check) -> str:
    """Return JUnit's word for a verdict: ``failure``, ``error`` or ``skipped``; empty for a pass."""
    if check.verdict == "passed":
        return ""
    if check.budget.level == "warn":
        return "skipped"
    return "failure" if check.verdict == "failed" else "error"


def observed(check: Check) -> str:
    """Return what the trials say, on one line."""
    seen = estimate_text(BY_NAME[check.budget.metric].kind, check.estimate)
    return f"{seen} in {check.estimate.n} trials"


def summary(check: Check) -> str:
    """Return verdict, observation and reason of a check on one line."""
    remark = f"; {check_remark(check)}" if check_remark(check) else ""
    warn = "warning only: " if check.budget.level == "warn" and check.verdict != "passed" else ""
    return f"{warn}{check.verdict}: {observed(check)}{remark}"


def replay(check: Check, path: str, results: Results) -> str:
    """Return the command that tells the worst trial of a check; empty if there is none."""
    if not check.worst_trials:
        return ""
    line = command_line(path, results.scenario.settings)
    return f"mrsim trace {line} --seed {check.seed} --trial {check.worst_trials[0]}"


def place(check: Check, path: str) -> str:
    """Return file and line of a budget; the file alone if it is not in there."""
    return f"{path}:{check.budget.line}" if check.budget.line else path


def _case(check: Check, path: str, results: Results) -> Case:
    details = "\n".join(_details(check, path, results))
    return Case(f"{check.budget.key} {check.budget.text}", outcome(check), check.verdict, summary(check), details)


def _add(suite: Element, case: Case, path: str) -> None:
    added = SubElement(suite, "testcase", name=_legal(case.name), classname=_legal(path))
    if case.outcome:
        why = SubElement(added, case.outcome, type=case.type, message=_legal(case.message))
        why.text = _legal(case.details)
    else:
        SubElement(added, "system-out").text = _legal(case.message)


def _details(check: Check, path: str, results: Results) -> Iterator[str]:
    yield f"{place(check, path)}: {check.budget.key} {check.budget.text}"
    yield summary(check)
    if replay(check, path, results):
        yield replay(check, path, results)


def _legal(text: str) -> str:
    """Return a text without the characters that XML 1.0 does not have."""
    return "".join(
        char if char in "\t\n" or " " <= char not in "\ufffe\uffff" else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def gate_json(gate: Gate, paths: Sequence[str], against: dict[str, Any] | None = None) -> str:
    """Return the verdicts as a JSON text: strict JSON, base units, nothing rounded.

    Parameters
    ----------
    gate
        The verdicts.
    paths
        Path of each study's scenario file.
    against
        What became of a baseline, as JSON data; its exit code is told together with that of the budgets.
    """
    scenarios = [
        {
            "file": path,
            "scenario": results.scenario.name,
            "provenance": results.provenance,
            "checks": [check_json(check) | {"replay": replay(check, path, results)} for check in gate.of(index)],
        }
        for index, (path, results) in enumerate(zip(paths, gate.studies, strict=True))
    ]
    document: dict[str, Any] = {
        "format": FORMAT,
        "exit_code": worse_of(gate.exit_code, against["exit_code"]) if against else gate.exit_code,
        "looks": list(gate.looks),
        "confidence": gate.confidence,
        "scenarios": scenarios,
    } | ({"against": against} if against else {})
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
