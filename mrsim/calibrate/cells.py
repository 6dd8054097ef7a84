"""What a cell of a table of measurements says: numbers, durations, PostgreSQL intervals and positions in the WAL.

References
----------
PostgreSQL documentation, 8.5.5 *Interval output* (style ``postgres``) and 8.20 *pg_lsn type*.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Literal, NamedTuple

from mrsim.units import LONGEST_S, UNITS, WrittenError, parse

Measure = Literal["s", "B", "LSN"]
"""What a number counts: seconds, bytes, or a position in the WAL in bytes."""

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INTERVAL = re.compile(r"([+-])?(?:(\d+) days? )?(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)", re.ASCII)
_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", re.ASCII)
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+|$)", re.ASCII)
_LSN_WORD = 2**32

_SECONDS = {unit: float(factor) for unit, factor in UNITS["duration"].items()}
_BYTES = {unit: float(factor) for unit, factor in UNITS["size"].items()}
WAY_OUT = "say --unit ms, s or min, or name the column lag_ms"
UNIT_NAMES = (*_SECONDS, *_BYTES)
"""Units that a column of bare numbers can be in."""

_ENDINGS = {
    "us": "us",
    "microseconds": "us",
    "ms": "ms",
    "msec": "ms",
    "millis": "ms",
    "milliseconds": "ms",
    "s": "s",
    "sec": "s",
    "secs": "s",
    "seconds": "s",
    "min": "min",
    "minutes": "min",
    "h": "h",
    "hours": "h",
    "b": "B",
    "bytes": "B",
}
"""Last word of a column's name, and the unit that it promises."""


class Quantity(NamedTuple):
    """A number in base units, what it counts, and the step it was written to (1 s for ``4min 10s``)."""

    value: float
    measure: Measure
    step: float = 0.0


def unit_of_name(name: str) -> str | None:
    """Return the unit that the last word of a column's name promises, such as ms for ``replay_lag_ms``."""
    words = re.split(r"[_\s.-]+", name.strip().lower())
    return _ENDINGS.get(words[-1]) if len(words) > 1 else None


def quantity(text: str, unit: str | None, way_out: str = WAY_OUT) -> Quantity:
    """Read a cell.

    Parameters
    ----------
    text
        ``12.5``, ``12.5ms``, ``1min30s``, ``00:00:00.012`` or ``0/3000148``.
    unit
        Of a bare number (one of :data:`UNIT_NAMES`); None if unknown.
    way_out
        What to do about a bare number whose unit is unknown, for the message.

    Returns
    -------
    Quantity
        In seconds or bytes; never negative, never beyond ten years.

    Raises
    ------
    WrittenError
        If it is nothing of that; ``hint`` says the way out.
    """
    cell = text.strip()
    if match := _LSN.fullmatch(cell):
        return Quantity(float(int(match[1], 16) * _LSN_WORD + int(match[2], 16)), "LSN")
    found = _read(cell, unit, way_out)
    if found.value < 0:
        message = f"{shown(cell)} is negative"
        raise WrittenError(message, "clocks that disagree can do that; measure with one clock, or leave the row out")
    if found.measure == "s" and found.value > LONGEST_S:
        message = f"{shown(cell)} is longer than ten years"
        raise WrittenError(message, "is the unit right?")
    return found


def _read(cell: str, unit: str | None, way_out: str) -> Quantity:
    if match := _INTERVAL.fullmatch(cell):
        sign, days, hours, minutes, seconds = match.groups()
        value = int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        return Quantity(-value if sign == "-" else value, "s", _step(seconds))
    if _NUMBER.fullmatch(cell):
        return _bare(cell, unit, way_out)
    if cell.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        message = f"{shown(cell)} is no number"
        raise WrittenError(message, "leave the cell empty where nothing was measured")
    if re.fullmatch(r"\d+,\d+", cell, re.ASCII):
        message = f"{shown(cell)} has a decimal comma"
        raise WrittenError(message, f"write {cell.replace(',', '.')}")
    try:
        value = parse(cell, "duration")
        number, unit = _WRITTEN.findall(cell)[-1]
        return Quantity(value, "s", _step(number, _SECONDS[unit]))
    except WrittenError as error:
        message = f"{shown(cell)} is no number and no duration"
        raise WrittenError(message, "write 12.5, 12.5ms, 1min30s or 00:00:00.012") from error


def _bare(cell: str, unit: str | None, way_out: str) -> Quantity:
    if unit is None:
        message = f"{shown(cell)} has no unit, and the name of its column promises none"
        raise WrittenError(message, way_out)
    value = float(cell)
    if not math.isfinite(value):
        message = f"{shown(cell)} is too large"
        raise WrittenError(message)
    factor = _SECONDS.get(unit) or _BYTES[unit]
    return Quantity(value * factor, "s" if unit in _SECONDS else "B", _step(cell, factor))


def _step(number: str, factor: float = 1.0) -> float:
    """Return the value of a written number's last digit."""
    exponent = Decimal(number).as_tuple().exponent if number else 0
    return factor * 10.0**exponent if isinstance(exponent, int) else 0.0


def shown(text: str) -> str:
    """Return a cell as messages quote it."""
    return repr(text) if len(text) <= 40 else repr(text[:37] + "...")
