"""The numbers of a scenario that can be varied without being named: every quantity that is written or assumed.

A parameter is varied by a factor, which keeps the shape of an uncertain one: ``20s..80s`` becomes ``40s..160s``,
``{median: 1min, p95: 225s}`` doubles both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrsim.scenario.document import Path, where
from mrsim.scenario.loader import written_data
from mrsim.study.varied import Number, Range, number_of

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario

_LEFT_OUT = ("name", "summary", "budgets", "horizon", "stable_for", "regions")
"""What a scenario asks rather than what it assumes."""

_SHARES_OF_A_WHOLE = ("share",)
"""Keys whose values add to one with their neighbours', so that none can be varied alone."""

_MINUTE_S = 60.0

_ZEROS = (0, "0", "0s", "0%")
"""What no factor changes."""

_SIZES = {"median", "mean", "p50", "p90", "p95", "p99", "p99.9", "min", "max"}
"""Keys of an uncertain number that are quantities, all of which a factor scales."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that can be varied between two ends.

    Attributes
    ----------
    path
        Where it is.
    base
        What is there now, as it is shown.
    span
        The range that was asked for; None for a parameter that is varied by a factor.
    written
        What is written there, for a factor.
    factor
        How far up, and down.
    """

    path: Path
    base: str
    span: Range | None = None
    written: Any = None
    factor: float = 2.0

    @property
    def name(self) -> str:
        """The path as it is shown."""
        return where(self.path)

    def at(self, share: float) -> Any:
        """Return what to set at a share of the way from the lower end to the upper."""
        if self.span is not None:
            return self.span.text(self.span.at(share))
        return _scaled(self.written, self.factor ** (2.0 * share - 1.0))


def parameters_of(scenario: Scenario, factor: float) -> list[Parameter]:
    """Return every quantity of a scenario that can be varied by a factor, as written; then what is only assumed."""
    found = {
        where(path): Parameter(path, shown(value), written=value, factor=factor)
        for path, value in _quantities(written_data(scenario), ())
    }
    for assumption in scenario.assumptions:
        path = tuple(assumption.where.split("."))
        numeric = _scaled(assumption.value, 1.0) is not None and assumption.value not in _ZEROS
        if assumption.kind == "assumption" and "[" not in assumption.where and numeric and _variable(path):
            one = Parameter(path, assumption.value, written=assumption.value, factor=factor)
            found.setdefault(assumption.where, one)
    return list(found.values())


def _quantities(data: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if path and (not _variable(path) or data in _ZEROS):
        return
    if _scaled(data, 1.0) is not None:
        yield path, data
    elif isinstance(data, Mapping):
        for key, inner in data.items():
            yield from _quantities(inner, (*path, key))
    elif isinstance(data, list):
        for index, inner in enumerate(data):
            yield from _quantities(inner, (*path, index))


def _variable(path: Path) -> bool:
    return path[0] not in _LEFT_OUT and path[-1] not in _SHARES_OF_A_WHOLE


def _scaled(value: Any, factor: float) -> Any:
    """Return a written quantity times a factor: a number, a range, or a mapping of numbers; None if it is none."""
    if isinstance(value, Mapping):
        parts = {key: _scaled(inner, factor) for key, inner in value.items()}
        whole = bool(parts) and set(parts) <= _SIZES
        return parts if whole and all(part is not None for part in parts.values()) else None
    number = number_of(value)
    if number is not None:
        return _times(number, factor)
    ends = _range_ends(value)
    return f"{_times(ends[0], factor)}..{_times(ends[1], factor)}" if ends else None


def _range_ends(value: Any) -> tuple[Number, Number] | None:
    parts = value.split("..") if isinstance(value, str) else []
    ends = [number_of(part.strip()) for part in parts]
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        return None
    return ends[0], ends[1]


def _times(number: Number, factor: float) -> str:
    if number.dimension is None:
        return Number(max(1.0, number.value * factor), None).text()
    value = float(f"{number.value * factor:.6g}")
    if number.dimension == "rate" and value < 1.0:
        return f"{number.value * factor * _MINUTE_S:.6g}/min"
    return Number(min(value, 1.0) if number.dimension == "share" else value, number.dimension).text()


def shown(value: Any) -> str:
    """Return a written quantity on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {inner}" for key, inner in value.items()) + "}"
    return str(value)
