"""Values that a what-if study goes through: lists such as ``30s,60s,300s`` and ranges such as ``10s..10min``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from mrsim.errors import Problem, ScenarioError
from mrsim.scenario.document import Path, shortened, where
from mrsim.scenario.settings import SettingError, read_path, read_setting
from mrsim.units import UNITS, Dimension, WrittenError, parse, write

Scale = Literal["linear", "logarithmic"]

WIDE = 5.0
"""Ranges whose ends are further apart than this factor are gone through on a logarithmic scale."""

_OPEN, _CLOSE = "[{(", "]})"


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its dimension: a quantity of the language, or a count (``dimension`` None)."""

    value: float
    dimension: Dimension | None

    def text(self) -> str:
        """Return the number as it is written in a file."""
        return str(round(self.value)) if self.dimension is None else write(self.value, self.dimension)


@dataclass(frozen=True, slots=True)
class Axis:
    """One path, and the values it takes one after the other."""

    path: Path
    levels: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The path as it is shown."""
        return where(self.path)

    def numbers(self) -> list[float] | None:
        """Return the values as numbers of one dimension; None if they are not."""
        found = [number_of(value) for value in self.levels]
        kinds = {number.dimension for number in found if number is not None}
        if len(kinds) != 1 or None in found:
            return None
        return [number.value for number in found if number is not None]


@dataclass(frozen=True, slots=True)
class Range:
    """One path, and the ends between which it is varied.

    Attributes
    ----------
    path
        What is varied.
    low, high
        The ends, in the base unit of ``dimension``; the lower one first.
    dimension
        Of both; None for counts.
    """

    path: Path
    low: float
    high: float
    dimension: Dimension | None

    @property
    def name(self) -> str:
        """The path as it is shown."""
        return where(self.path)

    @property
    def scale(self) -> Scale:
        """How values between the ends are spaced."""
        return "logarithmic" if self.low > 0 and self.high / self.low > WIDE else "linear"

    def at(self, share: float) -> float:
        """Return the value at a share of the way from the lower end; counts are rounded."""
        if self.scale == "logarithmic":
            value = self.low * (self.high / self.low) ** share
        else:
            value = self.low + (self.high - self.low) * share
        value = min(max(value, self.low), self.high)
        return float(round(value)) if self.dimension is None else value

    def share_of(self, value: float) -> float:
        """Return at which share of the way a value lies; the inverse of :meth:`at`."""
        if self.scale == "logarithmic":
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def text(self, value: float) -> str:
        """Return a value as it is written in a file, to six significant digits."""
        return Number(float(f"{value:.6g}"), self.dimension).text()


def read_axis(text: str) -> Axis:
    """Return the axis of a text such as ``dns.shop.ttl=30s,60s,300s``; commas inside brackets separate nothing.

    Raises
    ------
    SettingError
        If it is not of that form.
    """
    setting = read_setting(text)
    values = tuple(split_values(setting.value))
    if not all(values):
        message = f"{shortened(text)!r} has an empty value"
        raise SettingError(message, "write dns.shop.ttl=30s,60s,300s")
    return Axis(setting.path, values)


def axis_of(path: str, values: Any) -> Axis:
    """Return the axis of a path and its values: a text as on the command line, or several texts or plain data.

    Raises
    ------
    ScenarioError
        If the path is none.
    """
    try:
        many = split_values(values) if isinstance(values, str) else values
        return Axis(read_path(path), tuple(many))
    except SettingError as error:
        raise ScenarioError([Problem(str(error), hint=error.hint)], path) from error


def split_values(text: str) -> list[str]:
    """Return what commas separate, outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        else:
            depth += (char in _OPEN) - (char in _CLOSE)
        if char == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]


def read_range(text: str) -> Range:
    """Return the range of a text such as ``dns.shop.ttl=10s..10min`` or ``stores.a.failover.detect.fails=1..6``.

    Raises
    ------
    SettingError
        If it is not of that form, or the ends are not of one kind.
    """
    setting = read_setting(text)
    ends = setting.value.split("..")
    hint = f"write {where(setting.path)}=10s..10min"
    if len(ends) != 2:
        message = f"{shortened(setting.value)!r} is not a range"
        raise SettingError(message, hint)
    low, high = (number_of(end.strip()) for end in ends)
    if low is None or high is None or low.dimension != high.dimension:
        message = f"the ends of {shortened(setting.value)!r} are not two numbers of one kind"
        raise SettingError(message, hint)
    if not low.value < high.value:
        message = f"the range {shortened(setting.value)!r} is empty"
        raise SettingError(message, f"write the lower end first: {where(setting.path)}={ends[1]}..{ends[0]}")
    return Range(setting.path, low.value, high.value, low.dimension)


def range_of(path: str, low: Any, high: Any) -> Range:
    """Return the range of a path between two values, written or counts.

    Raises
    ------
    ScenarioError
        If it is none.
    """
    try:
        return read_range(f"{path}={low}..{high}")
    except SettingError as error:
        raise ScenarioError([Problem(str(error), hint=error.hint)], path) from error


def number_of(value: Any) -> Number | None:
    """Return a value as a number: a count, or a text with a unit; None if it is neither."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int) or (isinstance(value, str) and value.isascii() and value.isdigit()):
        return Number(float(value), None)
    for dimension in UNITS:
        try:
            return Number(parse(value, dimension), dimension)
        except WrittenError:
            continue
    return None
