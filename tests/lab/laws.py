"""The laws of the model, and in how many generated cases each is held, read from the tests themselves."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("tests/properties", "tests/measure")
DEFAULT_EXAMPLES = 100
"""Hypothesis's own number of examples where a test names none."""

LAWS = {
    1: "Every attempted write ends in exactly one column of the ledger, and the sums hold.",
    2: "Phases add up to the outage that they explain, without gap or overlap.",
    3: "Every event has causes before it; nobody acts on what did not reach it.",
    4: "Enough acknowledgements of the right standbys lose nothing; a lease that its holder obeys never overlaps.",
    5: "Without a fault, and with healthy margins, nothing happens: no failover, no loss, no outage.",
    6: "The same scenario and seed give the same bytes; a trial alone equals that trial of the study.",
    7: "Recovery never falls as TTLs, intervals, thresholds and times grow, where the mechanism is monotone.",
    8: "What is not used (a region, a cohort of share 0, a metric) changes no other number.",
}


ALSO = {"test_laws_of_the_engine": (3, 6), "test_laws_of_the_engine_in_many_scenarios": (3, 6)}
"""Laws that a test holds without naming them itself: both check events (law 3) and a trial alone (law 6)."""


@dataclass(frozen=True)
class Property:
    """A test over generated cases."""

    file: str
    name: str
    cases: int
    laws: tuple[int, ...]


def _decorated(node: ast.AST, name: str) -> Iterator[ast.Call]:
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef):
            for one in part.decorator_list:
                if isinstance(one, ast.Call) and ast.unparse(one.func).endswith(name):
                    yield one


def _cases(test: ast.FunctionDef, module: str) -> int:
    """Return how many cases Hypothesis generates in a test, over all its parameters."""
    names = vars(importlib.import_module(module))

    def value(node: ast.expr) -> object:
        return eval(compile(ast.Expression(node), module, "eval"), names)

    total = 0
    machines = [x for x in ast.walk(test) if isinstance(x, ast.Call) and ast.unparse(x.func).endswith("as_test")]
    givens = list(_decorated(test, "given"))
    if not givens and not machines:
        return 0
    calls = [x for x in ast.walk(test) if isinstance(x, ast.Call) and ast.unparse(x.func) == "settings"]
    counts = [int(value(key.value)) for call in calls for key in call.keywords if key.arg == "max_examples"]  # type: ignore[call-overload]
    total = sum(counts) if counts else DEFAULT_EXAMPLES * (len(givens) + len(machines))
    for call in _decorated(test, "parametrize"):
        total *= len(list(value(call.args[1])))  # type: ignore[call-overload]
    return total


def properties() -> list[Property]:
    """Return every test over generated cases."""
    found = []
    for place in PLACES:
        for path in sorted((ROOT / place).glob("test_*.py")):
            text = path.read_text(encoding="utf-8")
            file = path.relative_to(ROOT).as_posix()
            for node in ast.parse(text).body:
                if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                    continue
                cases = _cases(node, file.removesuffix(".py").replace("/", "."))
                if cases:
                    source = ast.get_source_segment(text, node) or ""
                    numbers = "".join(re.findall(r"\b[Ll]aws? (\d(?:(?:, | and |, and )\d)*)", source))
                    laws = sorted({int(x) for x in re.findall(r"\d", numbers)} | set(ALSO.get(node.name, ())))
                    found.append(Property(file, node.name, cases, tuple(laws)))
    return found


def table() -> str:
    """Return the table of laws and of the tests over generated cases."""
    known = properties()
    lines = ["| law | held by | generated cases a run |\n|---|---|---|\n"]
    for number, text in LAWS.items():
        holding = [one for one in known if number in one.laws]
        tests = ", ".join(f"`{one.name}`" for one in holding) or "no test over generated cases yet"
        lines.append(f"| {number}. {text} | {tests} | {sum(one.cases for one in holding)} |\n")
    lines.append("\n| other tests over generated cases | file | cases |\n|---|---|---|\n")
    lines += [f"| `{one.name}` | `{one.file}` | {one.cases} |\n" for one in known if not one.laws]
    return "".join(lines)
