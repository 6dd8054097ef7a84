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
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mrsim.metrics import BY_NAME
from mrsim.report.cells import estimate_text
from mrsim.report.json_export import check_json
from mrsim.report.verdicts import check_remark
from mrsim.scenario.settings import command_line

if TYPE_CHECKING:
    from mrsim.study.gate import Gate
    from mrsim.study.results import Results
    from mrsim.study.verdict import Check

FORMAT = 1
"""Of the JSON; goes up when a reader of the older form would misread the newer one."""


def junit_xml(gate: Gate, paths: Sequence[str]) -> str:
    """Return the verdicts as JUnit XML: a suite per scenario file, a case per budget; the same results, the same bytes.

    Parameters
    ----------
    gate
        The verdicts.
    paths
        Path of each study's scenario file.
    """
    root = Element("testsuites", name="mrsim check")
    totals = dict.fromkeys(("tests", "failures", "errors"), 0)
    for index, (path, results) in enumerate(zip(paths, gate.studies, strict=True)):
        checks = gate.of(index)
        kinds = [outcome(check) for check in checks]
        counts = {"tests": len(checks), "failures": kinds.count("failure"), "errors": kinds.count("error")}
        suite = SubElement(root, "testsuite", name=results.scenario.name, file=path)
        for name, number in (counts | {"skipped": kinds.count("skipped")}).items():
            suite.set(name, str(number))
        properties = SubElement(suite, "properties")
        for name, value in (("seed", results.seed), ("trials", results.n), ("mrsim", results.provenance["mrsim"])):
            SubElement(properties, "property", name=name, value=str(value))
        for check, kind in zip(checks, kinds, strict=True):
            _case(suite, check, kind, path, results)
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


def _case(suite: Element, check: Check, kind: str, path: str, results: Results) -> None:
    case = SubElement(suite, "testcase", name=_legal(f"{check.budget.key} {check.budget.text}"), classname=_legal(path))
    if kind:
        why = SubElement(case, kind, type=check.verdict, message=_legal(summary(check)))
        why.text = _legal("\n".join(_details(check, path, results)))
    else:
        SubElement(case, "system-out").text = _legal(summary(check))


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


def gate_json(gate: Gate, paths: Sequence[str]) -> str:
    """Return the verdicts as a JSON text: strict JSON, base units, nothing rounded.

    Parameters
    ----------
    gate
        The verdicts.
    paths
        Path of each study's scenario file.
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
        "exit_code": gate.exit_code,
        "looks": list(gate.looks),
        "confidence": gate.confidence,
        "scenarios": scenarios,
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
