"""The grammar of budgets: ``rto{service=orders, op=write, clients=90%}: [p95 < 10min]``."""

from __future__ import annotations

import re
from typing import Any

from mrsim import units
from mrsim.metrics import BY_NAME
from mrsim.scenario.budgets import Budget
from mrsim.scenario.document import Document, Path

_KEY = re.compile(r"\s*([a-z_0-9]+)\s*(?:\{(.*)\})?\s*", re.ASCII)
_EXPRESSION = re.compile(r"\s*([A-Za-z0-9.]+)\s*(<=|>=|<|>|==|=|!=)\s*(\S.*?)\s*", re.ASCII)


def read_budgets(document: Document) -> tuple[Budget, ...]:
    """Return the budgets of a document; what is wrong with them is noted in it."""
    written = document.data.get("budgets", {})
    found: list[Budget] = []
    for key, expressions in written.items():
        path: Path = ("budgets", key)
        match = _KEY.fullmatch(key)
        if match is None or match[1] not in BY_NAME:
            document.add(path, f"unknown metric {key!r}")
            continue
        metric = BY_NAME[match[1]]
        given = dict(part.strip().split("=") for part in (match[2] or "").split(",") if part.strip())
        labels = {label.name: given.get(label.name, label.default) for label in metric.labels}
        for index, expression in enumerate(expressions if isinstance(expressions, list) else [expressions]):
            parts = _EXPRESSION.fullmatch(expression)
            if parts is None:
                document.add((*path, index), f"unreadable {expression!r}")
                continue
            found.append(
                Budget(
                    metric=metric.name,
                    labels=labels,
                    aggregation=parts[1],
                    op=parts[2],
                    limit=_limit(parts[3], metric.kind),
                    text=expression.strip(),
                    key=key,
                    line=document.place((*path, index))[0],
                )
            )
    return tuple(found)


def _limit(text: str, kind: str) -> Any:
    if kind == "duration":
        return units.parse(text, "duration")
    if kind in ("share", "flag"):
        return units.parse(text, "share")
    return float(text)
