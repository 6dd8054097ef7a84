"""The file of a baseline: a line of JSON per value, so that a review shows what changed and an error names its line.

::

    {"baseline": 1, "mrsim": "0.1.0", ..., "seed": 7, "trials": 500}
    {"scenario": "bookstore", "file": "bookstore.yaml", "sha256": "..."}
    {"stores.orders-db.endpoint.ttl": 30.0}
    {"budget": "rpo{store=orders-db}", "limit": "p99 < 2min", "level": "error", ...}
    {"column": "data_loss_s{store=orders-db}"}
    [0.0751, 0.0762, ...]
    {"end": 1}

Every scenario has a digest of its own, so that two branches can each renew another one and still be merged. The last
line counts the scenarios, so that a file that was cut off is told from a whole one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from mrsim.errors import BaselineError
from mrsim.measure import Status
from mrsim.scenario.budgets import Budget
from mrsim.study.baseline import Baseline, Kept, check_names
from mrsim.study.documents import digest, flattened, nested, scenario_document, scenario_of
from mrsim.version import __version__

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario

Read = TypeVar("Read")

FORMAT = 1
"""Goes up when an older version could not read it."""

ABOUT = "what 'mrsim check FILES --write-baseline THIS' measured; 'mrsim check FILES --against THIS' compares with it"

LARGEST_FILE = 64 * 1024 * 1024
"""Bytes of the largest file that is read."""

VALUES_PER_LINE = 20

_CUT, _NEVER = ">", "never"
_RENEW = "write it again with mrsim check FILES --write-baseline"
_BUDGET = ("limit", "level", "metric", "labels", "aggregation", "op", "value")


def text_of(baseline: Baseline) -> str:
    """Return a baseline as text."""
    return "".join(f"{line}\n" for line in _lines(baseline))


def read(path: str) -> Baseline:
    """Read a baseline; see :meth:`mrsim.study.baseline.Baseline.load`."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
        text = raw.decode("utf-8")
    except OSError as error:
        message = f"{path}: {(error.strerror or str(error)).lower()}"
        raise BaselineError(message) from error
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"{path}:{line}: not a baseline: it is no text in UTF-8"
        raise BaselineError(message) from error
    if len(raw) > LARGEST_FILE:
        message = f"{path}: larger than {LARGEST_FILE // 1024**2} MiB: not a baseline"
        raise BaselineError(message)
    return _Reader(path, text).baseline()


def _lines(baseline: Baseline) -> Iterator[str]:
    head = {"baseline": FORMAT, "about": ABOUT, "seed": baseline.seed, "trials": baseline.trials}
    yield _json({**head, **baseline.engine})
    for kept in baseline.kept:
        parts = _parts(kept)
        yield _json({"scenario": kept.scenario.name, "file": kept.file, "sha256": digest(parts)})
        for name, value in flattened(parts["document"]):
            # JSON has no infinity, but numbers that everything reads as one.
            yield re.sub(r'(?<![\w"])Infinity(?![\w"])', "1e999", json.dumps({name: value}, ensure_ascii=False))
        yield from map(_json, parts["budgets"])
        for column, values in parts["columns"].items():
            yield _json({"column": column})
            yield from (_json(values[at : at + VALUES_PER_LINE]) for at in range(0, len(values), VALUES_PER_LINE))
    yield _json({"end": len(baseline.kept)})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _parts(kept: Kept) -> dict[str, Any]:
    """Return what a scenario's digest is of."""
    return {
        "document": document_of(kept.scenario),
        "budgets": [_budget_line(budget) for budget in kept.scenario.budgets],
        "columns": {
            column: [_shown(value, code) for value, code in zip(values, kept.status[column], strict=True)]
            for column, values in kept.values.items()
        },
    }


def document_of(scenario: Scenario) -> dict[str, Any]:
    """Return what a scenario simulates as JSON data: without its budgets, its summary and the sources of its values."""
    return scenario_document(scenario.model_copy(update={"budgets": (), "assumptions": (), "summary": ""}))


def _budget_line(budget: Budget) -> dict[str, Any]:
    fields = budget.model_dump(include={"level", "metric", "labels", "aggregation", "op"})
    return {"budget": budget.key, "limit": budget.text, **fields, "value": budget.limit}


def _shown(value: float, code: int) -> float | int | str | None:
    """Return a trial's number as it stands in the file."""
    if code == Status.NO_EFFECT:
        return None
    if code == Status.NEVER:
        return _NEVER
    if math.isinf(value):
        return f"{_CUT}inf" if code == Status.CENSORED else "inf"
    short = int(value) if value == int(value) else float(value)
    return f"{_CUT}{short}" if code == Status.CENSORED else short


def _value(shown: Any) -> tuple[float, int]:
    """Return number and status code of what :func:`_shown` made of them.

    Raises
    ------
    ValueError, TypeError
        If it is neither a number nor one of the words.
    """
    if shown is None:
        return math.nan, Status.NO_EFFECT
    if shown == _NEVER:
        return math.inf, Status.NEVER
    if isinstance(shown, str):
        number = float(shown.removeprefix(_CUT))
        if not shown.startswith(_CUT) and math.isfinite(number):
            raise ValueError
        return number, Status.CENSORED if shown.startswith(_CUT) else Status.OBSERVED
    if isinstance(shown, bool) or not isinstance(shown, (int, float)):
        raise TypeError
    return float(shown), Status.OBSERVED


class _Reader:
    """Goes through a file line by line."""

    def __init__(self, path: str, text: str) -> None:
        self._path, self._at = path, 0
        self._lines = text.split("\n")
        self._cut_off = self._lines.pop() != ""
        self._begins = text.startswith(('{"baseline":', "<<<<<<<"))
        self._header: Any = {}

    def baseline(self) -> Baseline:
        """Return what the file holds.

        Raises
        ------
        BaselineError
            At the first thing that is wrong.
        """
        if not self._begins:
            self._refuse("not a baseline: mrsim check FILES --write-baseline writes one", 1)
        self._header = self._take()
        if self._header["baseline"] != FORMAT:
            form = f"format {self._header['baseline']!r} of a baseline; this version reads format {FORMAT}"
            self._refuse(f"{form}: {_RENEW}")
        seed, trials = (self._count(name, least) for name, least in (("seed", 0), ("trials", 1)))
        others = ("baseline", "about", "seed", "trials")
        engine = {name: str(value) for name, value in self._header.items() if name not in others}
        kept: list[Kept] = []
        line = self._take()
        while not (isinstance(line, dict) and "end" in line):
            one, line = self._scenario(line, trials)
            kept.append(one)
        if line["end"] != len(kept) or not kept:
            self._refuse(f"{line['end']!r} scenarios were written, {len(kept)} are here: {_RENEW}")
        if self._at < len(self._lines) or self._cut_off:
            self._at += 1
            self._refuse("there is something after the end of the baseline")
        check_names([one.scenario for one in kept], [f"{self._path}:{one.line}" for one in kept])
        return Baseline(tuple(kept), seed, trials, engine, self._path)

    def _scenario(self, head: Any, trials: int) -> tuple[Kept, Any]:
        """Return a scenario, and the line after it."""
        start = self._at
        if not isinstance(head, dict) or set(head) != {"scenario", "file", "sha256"}:
            self._refuse('here a scenario begins: {"scenario": ..., "file": ..., "sha256": ...}')
        pairs: list[tuple[str, Any]] = []
        budgets: list[tuple[int, dict[str, Any]]] = []
        columns: dict[str, list[tuple[float, int]]] = {}
        line = self._take()
        while isinstance(line, dict) and len(line) == 1 and not line.keys() & {"column", "scenario", "end"}:
            pairs += list(line.items())
            line = self._take()
        while isinstance(line, dict) and "budget" in line:
            budgets.append((self._at, line))
            line = self._take()
        while isinstance(line, dict) and set(line) == {"column"}:
            values, begun = [], self._at
            name, line = str(line["column"]), self._take()
            while isinstance(line, list):
                values += [self._parsed(one) for one in line]
                line = self._take()
            if len(values) != trials:
                self._refuse(f"{name} has {len(values)} trials, not {trials}: {_RENEW}", begun)
            columns[name] = values
        kept = self._kept(start, head, self._document(pairs, start), budgets, columns)
        return kept, line

    def _document(self, pairs: list[tuple[str, Any]], start: int) -> dict[str, Any]:
        try:
            return nested(pairs)
        except ValueError as error:
            self._refuse(f"{error}: {_RENEW}", start)

    def _kept(
        self,
        start: int,
        head: dict[str, Any],
        document: dict[str, Any],
        budgets: list[tuple[int, dict[str, Any]]],
        columns: dict[str, list[tuple[float, int]]],
    ) -> Kept:
        shown = {name: [_shown(*pair) for pair in pairs] for name, pairs in columns.items()}
        parts = {"document": document, "budgets": [line for _, line in budgets], "columns": shown}
        if digest(parts) != head["sha256"]:
            self._refuse(f"{head['scenario']!r} was changed after it was written: {_RENEW}", start)
        scenario = self._made(start, str(head["scenario"]), lambda: scenario_of(document))
        limits = tuple(self._made(at, str(line["budget"]), partial(_budget, line)) for at, line in budgets)
        missing = {budget.column for budget in limits} - set(columns)
        if missing:
            self._refuse(f"there are no trials of {min(missing)}: {_RENEW}", start)
        return Kept(
            scenario=scenario.model_copy(update={"budgets": limits, "path": str(head["file"])}),
            file=str(head["file"]),
            values={name: np.array([value for value, _ in pairs]) for name, pairs in columns.items()},
            status={name: np.array([code for _, code in pairs], dtype=np.int8) for name, pairs in columns.items()},
            line=start,
        )

    def _made(self, line: int, name: str, make: Callable[[], Read]) -> Read:
        """Return what a part of the file stands for; what this version does not know is another version's."""
        try:
            return make()
        except (TypeError, ValueError, KeyError, AttributeError, ImportError) as error:
            written = self._header.get("mrsim", "an unknown version")
            versions = f"written by mrsim {written}, which this version, {__version__}, cannot read"
            reason = " ".join(str(error).split())[:200]
            self._refuse(f"{name!r} was {versions} ({reason}): {_RENEW}", line)

    def _take(self) -> Any:
        """Return the next line's data."""
        if self._at >= len(self._lines):
            self._at = len(self._lines) + self._cut_off
            self._refuse(f"the file ends in the middle: was it cut off? {_RENEW}")
        self._at += 1
        line = self._lines[self._at - 1]
        if line.startswith(("<<<<<<<", "=======", ">>>>>>>")):
            self._refuse(f"a merge conflict that was not settled: {_RENEW}")
        try:
            return json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            self._refuse(f"not a line of JSON: {_RENEW}")

    def _parsed(self, shown: Any) -> tuple[float, int]:
        try:
            return _value(shown)
        except (ValueError, TypeError):
            self._refuse(f"{str(shown)[:60]!r} is no number of a trial: {_RENEW}")

    def _count(self, name: str, least: int) -> int:
        value = self._header.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self._refuse(f"{name} must be a whole number from {least} on, got {value!r}")
        return value

    def _refuse(self, reason: str, line: int | None = None) -> NoReturn:
        message = f"{self._path}:{self._at if line is None else line}: {reason}"
        raise BaselineError(message)


def _budget(line: dict[str, Any]) -> Budget:
    if set(line) != {"budget", *_BUDGET}:
        message = f"a budget has {', '.join(_BUDGET)}"
        raise ValueError(message)
    fields = {name: line[name] for name in ("level", "metric", "labels", "aggregation", "op")}
    return Budget.model_validate({**fields, "limit": line["value"], "text": line["limit"], "key": line["budget"]})
