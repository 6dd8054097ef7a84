"""Records of drills and incidents: a table whose columns are what a scenario predicts.

A column is named by a per-trial column (``rto_s{service=orders,op=write,clients=95%}``) or shortly (``rto_write_s``,
``detection_s``, ``loss_s``): labels that are not said are filled in where the scenario leaves no choice, else by
:data:`DEFAULTS`. What each was taken for is part of every report.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrsim.calibrate.cells import quantity, shown, unit_of_name
from mrsim.calibrate.table import Table, nearest, parse_table, read_text
from mrsim.errors import MeasurementsError
from mrsim.metrics import BY_NAME, Kind
from mrsim.scenario.budget_text import named, parse_budget
from mrsim.scenario.budgets import Budget, column_name
from mrsim.trace import PHASES
from mrsim.units import WrittenError, parse

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from mrsim.scenario.model import Scenario

    Floats = NDArray[np.float64]

DEFAULTS = {"op": "write", "clients": "95%", "of": "affected", "from": "all", "writes": "mean", "when": "before"}
"""Labels that a column does not name."""

SHORT = {
    "recovery": "rto_s",
    "outage": "rto_s",
    "loss": "data_loss_s",
    "lost": "lost_writes",
    "split": "split_brain",
    "divergent": "divergent_writes",
}
"""Short names beside the aliases of the metrics."""

PART_NAMES = {"operator": "decision", "dns": "propagation"}
"""Short names of parts of an outage."""

NAMES = ("drill", "incident", "id", "name", "date", "day", "when", "title", "comment", "notes")
"""Columns that name or describe a drill; they are not compared. The first of them that is there names it."""

_COLUMN = re.compile(r"\s*([A-Za-z][A-Za-z0-9_ -]*?)\s*(?:\{([^{}]*)\})?\s*", re.ASCII)
_OPS = ("read", "write")
_EXAMPLES: dict[Kind, str] = {
    "duration": "p95 < 1s",
    "count": "p95 < 1",
    "share": "p95 < 1%",
    "flag": "trials < 1%",
}
_YES_NO = {"yes": 1.0, "true": 1.0, "1": 1.0, "no": 0.0, "false": 0.0, "0": 0.0}


@dataclass(frozen=True, slots=True)
class Target:
    """What a column of drills is compared with.

    Attributes
    ----------
    column
        Per-trial column.
    kind
        Of its numbers.
    budget
        Makes a study measure the column even if no table needs it; None if every study has it.
    """

    column: str
    kind: Kind
    budget: Budget | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """One column of drills.

    Attributes
    ----------
    written, target
        Its name in the record, and what it is compared with.
    values
        In base units; NaN where nothing was recorded.
    step
        To which the record is rounded: trials are rounded to it before they are compared. 0: not rounded.
    """

    written: str
    target: Target
    values: Floats
    step: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Drills:
    """Drills that happened: a name for each, and what was observed."""

    names: tuple[str, ...]
    columns: tuple[Observed, ...]

    @classmethod
    def of(cls, columns: Mapping[str, ArrayLike], scenario: Scenario) -> Drills:
        """Return drills from arrays in base units (seconds, shares, counts), NaN where nothing was recorded.

        Raises
        ------
        MeasurementsError
            If a column is not one of the scenario's, or lengths or numbers are wrong.
        """
        found = []
        for written, given in columns.items():
            values = np.asarray(given, dtype=np.float64)
            if values.ndim != 1 or np.any(np.isinf(values)) or np.any(values < 0) or np.all(np.isnan(values)):
                message = f"{written}: drills must be finite numbers in one dimension, none negative, at least one"
                raise MeasurementsError(message)
            found.append(Observed(written, target_of(written, scenario), values))
        if len({len(one.values) for one in found}) != 1:
            message = "drills need at least one column, and as many values in each"
            raise MeasurementsError(message)
        _check_twice(found, "drills")
        return cls(tuple(str(number) for number in range(1, len(found[0].values) + 1)), tuple(found))


def read_drills(path: Path, scenario: Scenario) -> Drills:
    """Read drills from a CSV file with a header.

    Raises
    ------
    MeasurementsError
        One message with file and line.
    """
    table = parse_table(path, read_text(path))
    labels = [place for place, name in enumerate(table.names) if name.lower() in NAMES]
    found = []
    for place, written in enumerate(table.names):
        if place in labels:
            continue
        try:
            target = target_of(written, scenario)
        except MeasurementsError as error:
            message = f"{table.path}:1: {error}"
            raise MeasurementsError(message) from error
        values, step = _values(table, place, target.kind)
        if not np.all(np.isnan(values)):
            found.append(Observed(written, target, values, step))
    if not found:
        message = f"{table.path}: no column with a value to compare"
        raise MeasurementsError(message)
    _check_twice(found, table.path)
    named = [row.cells[labels[0]] if labels else "" for row in table.rows]
    names = tuple(name or f"line {row.line}" for name, row in zip(named, table.rows, strict=True))
    return Drills(names, tuple(found))


def _check_twice(columns: Sequence[Observed], path: str) -> None:
    """Refuse two columns that are compared with the same."""
    seen: dict[str, str] = {}
    for one in columns:
        if one.target.column in seen:
            message = f"{path}: {seen[one.target.column]!r} and {one.written!r} are both {one.target.column}"
            raise MeasurementsError(message)
        seen[one.target.column] = one.written


def _values(table: Table, place: int, kind: Kind) -> tuple[Floats, float]:
    """Return a column in base units, NaN for empty cells, and the finest step that any cell was written to."""
    values, steps = [], []
    for row in table.rows:
        cell = row.cells[place]
        if not cell:
            values.append(math.nan)
            continue
        try:
            value, step = _value(cell, table.names[place], kind)
        except WrittenError as error:
            hint = f" ({error.hint})" if error.hint else ""
            message = f"{table.path}:{row.line}: {table.names[place]}: {error}{hint}"
            raise MeasurementsError(message) from error
        values.append(value)
        steps.append(step)
    return np.array(values), min(steps, default=0.0)


def _value(cell: str, name: str, kind: Kind) -> tuple[float, float]:
    """Return a cell in base units, and the step it was written to."""
    if kind == "duration":
        base = name.partition("{")[0].strip()
        found = quantity(cell, unit_of_name(base), f"write 12.5s or 3min, or name the column {base}_s or {base}_min")
        if found.measure != "s":
            message = f"{shown(cell)} is no duration"
            raise WrittenError(message)
        return found.value, found.step
    if kind == "share":
        value = parse(cell, "share")
        return value, 10.0 ** -(2 + len(cell.partition(".")[2].rstrip("% ")))
    if kind == "flag":
        if cell.lower() not in _YES_NO:
            message = f"{shown(cell)} is neither yes nor no"
            raise WrittenError(message)
        return _YES_NO[cell.lower()], 1.0
    if re.fullmatch(r"\d+(\.0*)?", cell, re.ASCII) is None:
        message = f"{shown(cell)} is no count"
        raise WrittenError(message, "write a whole number")
    return float(cell), 1.0


def target_of(written: str, scenario: Scenario) -> Target:
    """Return what a column's name stands for in a scenario.

    Raises
    ------
    MeasurementsError
        If it is no name of a metric or part of an outage, or the scenario leaves a choice.
    """
    match = _COLUMN.fullmatch(written)
    if match is None:
        message = f"{shown(written)} is no name of a column; write rto_write_s or rto_s{{service=orders,op=write}}"
        raise MeasurementsError(message)
    given = _labels(match[2] or "", written)
    words = re.split(r"[\s_-]+", match[1].lower())
    if len(words) > 1 and unit_of_name(match[1]) is not None and "_".join(words) not in BY_NAME:
        words.pop()
    if len(words) > 1 and words[-1] in _OPS and "_".join(words) not in BY_NAME:
        given.setdefault("op", words.pop())
    base = "_".join(words)
    base = PART_NAMES.get(base, base)
    if base in PHASES or base == "phase":
        return _phase(base, written, given, scenario)
    name = next((one for one in (base, f"{base}_s", SHORT.get(base, "")) if one in BY_NAME), None)
    if name is None:
        known = [*BY_NAME, *SHORT, *PART_NAMES, *(f"{phase}_s" for phase in PHASES)]
        with_op = [one for one in BY_NAME.values() if "op" in [label.name for label in one.labels]]
        known += [f"{one.name.removesuffix('_s')}_{op}_s" for one in with_op for op in _OPS]
        message = f"unknown column {written!r}{nearest(written.partition('{')[0], known)}"
        raise MeasurementsError(message)
    metric = BY_NAME[name]
    if given.get("op") and "op" not in [label.name for label in metric.labels] and "{" not in written:
        given.pop("op")
    labels = _filled([label.name for label in metric.labels], written, given, scenario)
    inside = ", ".join(f"{label}={value}" for label, value in {**given, **labels}.items())
    try:
        budget = parse_budget(f"{metric.name}{{{inside}}}", _EXAMPLES[metric.kind], named(scenario))
    except ValueError as error:
        hint = getattr(error, "hint", "")
        message = f"{written}: {error}" + (f" ({hint})" if hint else "")
        raise MeasurementsError(message) from error
    return Target(budget.column, metric.kind, budget.model_copy(update={"level": "off"}))


def _phase(base: str, written: str, given: dict[str, str], scenario: Scenario) -> Target:
    """Return the mean length over affected clients of one part of an outage."""
    part = given.pop("part", base)
    strange = sorted(set(given) - {"service", "op"})
    labels = _filled(["service", "op"], written, given, scenario)
    if part not in PHASES or strange:
        message = f"{written}: a part of an outage takes service and op; parts are {', '.join(PHASES)}"
        raise MeasurementsError(message)
    known = _services(scenario, labels["op"])
    if labels["service"] not in known:
        message = f"{written}: no service {labels['service']!r} does {labels['op']}{nearest(labels['service'], known)}"
        raise MeasurementsError(message)
    return Target(column_name("phase_s", {**labels, "part": part}), "duration")


def _labels(text: str, written: str) -> dict[str, str]:
    found = {}
    for pair in text.split(",") if text.strip() else ():
        name, sign, value = (piece.strip() for piece in pair.partition("="))
        if not sign or not name or not value or name in found:
            message = f"{written}: {pair.strip()!r} is no label, or is there twice; write service=orders"
            raise MeasurementsError(message)
        found[name] = value
    return found


def _filled(names: Sequence[str], written: str, given: dict[str, str], scenario: Scenario) -> dict[str, str]:
    """Return all labels in order, those not given filled in."""
    labels = {name: given[name] for name in names if name in given}
    for name in [name for name in names if name not in given]:
        if name in ("service", "store", "feed"):
            op = given.get("op", DEFAULTS["op"])
            known = _services(scenario, op) if name == "service" else list(named(scenario)[f"{name}s"])
            if len(known) != 1:
                doing = f"service that does {op}" if name == "service" else name
                listed = ", ".join(known) or "none"
                message = f"{written}: name one {doing} ({listed}), such as {{{name}={known[0] if known else '...'}}}"
                raise MeasurementsError(message)
            labels[name] = known[0]
        else:
            labels[name] = DEFAULTS[name]
    return {name: labels[name] for name in names}


def _services(scenario: Scenario, op: str) -> list[str]:
    services = scenario.services.items()
    return [
        name for name, one in services if (one.writes is not None if op == "write" else one.reads or not one.writes)
    ]
