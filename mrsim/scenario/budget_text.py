"""The grammar of budgets: ``rto{service=orders, op=write, clients=90%}: [p95 < 10min]``.

A key is a metric of :mod:`mrsim.metrics` with labels; an expression is ``<aggregation> <op> <value><unit>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mrsim.metrics import BY_NAME, Metric
from mrsim.scenario.budgets import Budget
from mrsim.scenario.document import Document, Path, nearest, shortened
from mrsim.units import WrittenError, parse, write

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario

LEVELS = ("error", "warn", "off")
RECORD = "record."
"""Begins what a service's metric needs of the record that leads to it."""
GRAMMAR = "write metric{label=value}: [p95 < 10min]"

_KEY = re.compile(r"\s*([A-Za-z_0-9-]+)\s*(?:\{([^{}]*)\})?\s*", re.ASCII)
_EXPRESSION = re.compile(r"\s*([A-Za-z0-9.]+)\s*([<>=!~]+)\s*(\S.*?)\s*", re.ASCII)
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,4})?)", re.ASCII)
_BARE_SHARE = re.compile(r"p?(\d{1,9}(?:\.\d{1,9})?)", re.ASCII)
_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)


class _BudgetError(ValueError):
    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def read_budgets(document: Document) -> tuple[Budget, ...]:
    """Return the budgets of a document's data; what is wrong with them is noted in it.

    Parameters
    ----------
    document
        Its data is a mapping; services, stores, feeds and clients are looked up in it by name.
    """
    written = document.data.get("budgets", {})
    if written is None:
        return ()
    if not isinstance(written, dict):
        document.add(("budgets",), f"{document.shown(('budgets',), written)!r} is not a mapping", GRAMMAR)
        return ()
    found: list[Budget] = []
    for key, expressions in written.items():
        path: Path = ("budgets", key)
        try:
            metric, labels = _read_key(key, document.data)
        except _BudgetError as error:
            document.add(path, str(error), error.hint, key=True)
            continue
        if metric.needs_horizon and "horizon" not in document.data:
            hint = "write horizon: 4h; its value depends on how long one looks"
            document.add(path, f"a budget on {metric.name} needs an explicit horizon", hint, key=True)
        for at, expression, level in _expressions(expressions, path, document):
            try:
                found.append(_read(metric, labels, expression, level, key, max(0, document.place(at)[0])))
            except _BudgetError as error:
                document.add(at, str(error), error.hint)
    return tuple(found)


def parse_budget(key: str, expression: str, data: dict[str, Any]) -> Budget:
    """Return one budget that is in no file.

    Parameters
    ----------
    key, expression
        Such as ``rpo{store=orders-db}`` and ``p99 < 2min``.
    data
        Mapping with ``services``, ``stores``, ``feeds`` and ``clients`` by name.

    Raises
    ------
    ValueError
        With what is wrong; ``hint`` says the way out.
    """
    metric, labels = _read_key(key, data)
    return _read(metric, labels, expression, "error", key, 0)


def _expressions(written: Any, path: Path, document: Document) -> Iterator[tuple[Path, str, str]]:
    """Yield place, expression and level of everything below a key."""
    listed = isinstance(written, list)
    if listed and not written:
        document.add(path, "there is no limit here", GRAMMAR)
    for index, item in enumerate(written if listed else [written]):
        at: Path = (*path, index) if listed else path
        level: Any = "error"
        if isinstance(item, dict):
            strange = sorted(set(item) - {"expr", "level"})
            if strange or "expr" not in item:
                key = strange[0] if strange else ""
                message = f"unknown key {key!r}" if strange else "'expr' is missing"
                document.add((*at, key) if strange else at, message, "write {expr: p95 < 10min, level: warn}", key=True)
                continue
            level, item = item.get("level", "error"), item["expr"]
        if level not in LEVELS:
            document.add((*at, "level"), f"unknown level {level!r}", nearest(level, LEVELS))
        elif isinstance(item, str):
            yield at, item, str(level)
        elif item is not None:
            document.add(at, f"{document.shown(at, item)!r} is not a limit", GRAMMAR)


def _read_key(key: str, data: dict[str, Any]) -> tuple[Metric, dict[str, str]]:
    match = _KEY.fullmatch(key)
    if match is None:
        message = f"{shortened(key)!r} is not a metric with labels"
        raise _BudgetError(message, GRAMMAR)
    metric = BY_NAME.get(match[1])
    if metric is None:
        message = f"unknown metric {shortened(match[1])!r}"
        raise _BudgetError(message, nearest(match[1], BY_NAME))
    given = _given(match[2] or "", metric)
    labels: dict[str, str] = {}
    for label in metric.labels:
        if label.name in given:
            labels[label.name] = _value(label.name, given[label.name], data)
        elif label.default is not None:
            labels[label.name] = label.default
        else:
            raise _missing_label(metric, label.name)
    if "service" in labels and "op" in labels:
        _check_operation(labels["service"], labels["op"], data)
    if metric.needs:
        _check_needed(metric, labels, data)
    return metric, labels


def _given(text: str, metric: Metric) -> dict[str, str]:
    names = [label.name for label in metric.labels]
    given: dict[str, str] = {}
    for part in text.split(",") if text.strip() else ():
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign or not name or not value:
            message = f"{shortened(part.strip())!r} is not a label"
            raise _BudgetError(message, f"write {metric.name}{{{names[0] if names else 'label'}=...}}")
        if name not in names:
            message = f"{metric.name} has no label {shortened(name)!r}"
            raise _BudgetError(message, nearest(name, names))
        if name in given:
            message = f"the label {name!r} is there twice"
            raise _BudgetError(message)
        given[name] = value
    return given


def _missing_label(metric: Metric, name: str) -> _BudgetError:
    hints = {
        "clients": "name the share of affected clients that must be back, such as clients=95%",
        "op": "write op=read or op=write",
    }
    return _BudgetError(f"{metric.name} needs the label {name!r}", hints.get(name, f"write {name}=..."))


def _value(label: str, value: str, data: dict[str, Any]) -> str:
    """Return a label's value in its canonical form, or raise."""
    if label == "clients" or (label == "writes" and value != "mean"):
        try:
            share = parse(value, "share")
        except WrittenError as error:
            message = f"{label}: {error}"
            raise _BudgetError(message, f"write {label}={_share_meant(value)}") from error
        if not 0 < share < 1:
            message = f"{label}={value} is not between 0% and 100%"
            raise _BudgetError(message, f"the last of all {label} has no meaning in a sample: write {label}=99%")
        return write(share, "share")
    sections = {"service": "services", "store": "stores", "from": "clients", "feed": "feeds"}
    fixed = {
        "op": ("read", "write"),
        "of": ("affected", "all"),
        "from": ("all",),
        "writes": ("mean",),
        "when": ("before", "after"),
    }
    section = data.get(sections.get(label, ""))
    known = [*fixed.get(label, ()), *(section if isinstance(section, dict) else ())]
    if value not in known:
        what = "cohort" if label == "from" else label
        message = f"unknown {what} {shortened(value)!r}"
        raise _BudgetError(message, nearest(value, known))
    return value


def _share_meant(value: str) -> str:
    """Return a share for one that was written as 0.95, 95 or p95; 95% if it was none of these."""
    match = _BARE_SHARE.fullmatch(value)
    if match is None:
        return "95%"
    number = float(match[1])
    share = number if number < 1 else number / 100
    return write(float(f"{share:.12g}"), "share") if 0 < share < 1 else "95%"


def _check_operation(service: str, op: str, data: dict[str, Any]) -> None:
    body = data["services"].get(service)
    if not isinstance(body, dict):
        return
    if not body.get("writes" if op == "write" else "reads"):
        raise _not_done(service, op)


def _not_done(service: str, op: str) -> _BudgetError:
    return _BudgetError(f"the service {service!r} does not {op}", "its budget could never be judged")


def _check_needed(metric: Metric, labels: dict[str, str], data: dict[str, Any]) -> None:
    what = "service" if "service" in labels else "store"
    if not has_needed(data, what, labels[what], metric.needs):
        if metric.needs == "writes":
            raise _not_done(labels[what], "write")
        needed = metric.needs.replace(".*", "").removeprefix(RECORD)
        whose = f"the record of the {what}" if metric.needs.startswith(RECORD) else f"the {what}"
        message = f"{whose} {labels[what]!r} has no {needed}: there is nothing to measure"
        raise _BudgetError(message, f"write {needed} there, or leave the budget out")


def named(scenario: Scenario) -> dict[str, Any]:
    """Return what :func:`parse_budget` and :func:`has_needed` look names up in, of a scenario that is loaded."""
    return {
        "services": {name: dict(one) for name, one in scenario.services.items()},
        "stores": dict(scenario.stores),
        "dns": dict(scenario.dns),
        "feeds": dict(scenario.feeds),
        "clients": dict(scenario.clients),
    }


def has_needed(data: Mapping[str, Any], what: str, name: str, needed: str) -> bool:
    """Return whether a service or store, or the record of a service, says something of what a metric needs.

    Parameters
    ----------
    data
        Mapping with ``services``, ``stores`` and ``dns`` by name, each as data or as a model.
    what, name
        Whether it is a ``service`` or a ``store``, and which.
    needed
        A dotted path, as :func:`has` reads it; below ``record`` it is the service's record that must have it.
    """
    if not needed.startswith(RECORD):
        return has(data[f"{what}s"].get(name), needed)
    records = data.get("dns")
    for body in records.values() if isinstance(records, dict) else ():
        served = body.get("serves") if isinstance(body, dict) else getattr(body, "serves", ())
        if served == name or (isinstance(served, (list, tuple)) and name in served):
            return has(body, needed.removeprefix(RECORD))
    return False


def has(body: Any, needed: str) -> bool:
    """Return whether a service or store, as data or as a model, says something of ``needed``, a dotted path.

    A step ``*`` is any key of a mapping.
    """
    key, _, rest = needed.partition(".")
    if not key:
        return body is not None and body is not False
    if key == "*":
        return isinstance(body, dict) and any(has(inner, rest) for inner in body.values())
    return has(body.get(key) if isinstance(body, dict) else getattr(body, key, None), rest)


def _read(metric: Metric, labels: dict[str, str], expression: str, level: str, key: str, line: int) -> Budget:
    match = _EXPRESSION.fullmatch(expression) if len(expression) <= 100 else None
    if match is None:
        message = f"{shortened(expression)!r} is not <aggregation> <op> <value>"
        raise _BudgetError(message, f"write {_example(metric)}")
    aggregation, op, value = match.groups()
    _check_aggregation(metric, aggregation)
    if op not in ("<", "<=", ">", ">="):
        message = f"{op!r} cannot be judged from a sample"
        raise _BudgetError(message, "use <, <=, > or >=")
    limit = _limit(metric, value)
    _check_open(metric, aggregation, op, limit, value)
    return Budget(
        metric=metric.name,
        labels=labels,
        aggregation=aggregation,
        op=op,
        limit=limit,
        level=level,
        text=f"{aggregation} {op} {value}",
        key=" ".join(key.split()),
        line=line,
    )


def _check_aggregation(metric: Metric, aggregation: str) -> None:
    percentile = _PERCENTILE.fullmatch(aggregation)
    allowed = "p" in metric.aggregations if percentile else aggregation in metric.aggregations and aggregation != "p"
    if percentile and float(percentile[1]) == 0:
        allowed = False
    if allowed:
        return
    if aggregation in ("max", "min"):
        message = f"{aggregation!r} depends on the number of trials"
        raise _BudgetError(message, "name a percentile such as p99")
    if "trials" in metric.aggregations:
        hint = f"it is a share of trials: write {_example(metric)}"
    else:
        hint = f"use mean, median or a percentile: {_example(metric)}"
    message = f"{shortened(aggregation)!r} is no aggregation of {metric.name}"
    raise _BudgetError(message, hint)


def _limit(metric: Metric, text: str) -> float:
    if metric.kind == "count":
        if _NUMBER.fullmatch(text) is None:
            message = f"{shortened(text)!r} is not a count"
            raise _BudgetError(message, f"write {_example(metric)}")
        return float(text)
    try:
        limit = parse(text, "duration" if metric.kind == "duration" else "share")
    except WrittenError as error:
        raise _BudgetError(str(error), error.hint) from error
    if metric.kind != "duration" and limit > 1:
        message = f"{text} is more than 100%"
        raise _BudgetError(message)
    return limit


def _check_open(metric: Metric, aggregation: str, op: str, limit: float, value: str) -> None:
    """Refuse a limit that no value can keep, or none can break: it says nothing about the system."""
    least, most = 0.0, 1.0 if metric.kind in ("share", "flag") else float("inf")
    always = (op == ">=" and limit <= least) or (op == "<=" and limit >= most)
    never = (op == "<" and limit <= least) or (op == ">" and limit >= most)
    if always or never:
        message = f"{aggregation} {op} {value} {'always' if always else 'never'} holds, whatever {metric.name} is"
        other = {">=": ">", "<=": "<", "<": "<=", ">": ">="}[op]
        raise _BudgetError(message, f"write {aggregation} {other} {value}, or another limit")


def _example(metric: Metric) -> str:
    value = {"duration": "10min", "count": "100", "share": "1%", "flag": "1%"}[metric.kind]
    return f"{'trials' if 'trials' in metric.aggregations else 'p95'} <= {value}"
