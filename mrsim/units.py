"""Numbers with units at the edge ("75ms", "16MB/s", "99%") and plain floats inside; the only place that knows units.

Base units are seconds, bytes, bytes per second, events per second, shares (1.0 = 100 %) and factors.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Literal

Dimension = Literal["duration", "size", "bandwidth", "rate", "share", "factor"]

FOREVER = "forever"
"""How an unlimited duration is written."""

LONGEST_S = 3650 * 86400.0
"""Durations beyond this (ten years) are taken for mistakes."""

LONGEST_TEXT = 80
"""Characters of a written quantity."""

_DURATION = {"us": "0.000001", "ms": "0.001", "s": "1", "min": "60", "h": "3600", "d": "86400"}
_SIZE = {
    "B": "1",
    "KB": "1e3",
    "kB": "1e3",
    "MB": "1e6",
    "GB": "1e9",
    "TB": "1e12",
    "KiB": "1024",
    "MiB": "1048576",
    "GiB": "1073741824",
    "TiB": "1099511627776",
}
_BITS = {"bit/s": "0.125", "kbit/s": "125", "Kbit/s": "125", "Mbit/s": "125e3", "Gbit/s": "125e6", "Tbit/s": "125e9"}
_BANDWIDTH = {f"{unit}/s": factor for unit, factor in _SIZE.items()} | _BITS
_RATE = {"/s": "1", "/min": "0.016666666666666666", "/h": "0.0002777777777777778", "/d": "0.000011574074074074073"}
_PER = {"/s": 1.0, "/min": 60.0, "/h": 3600.0, "/d": 86400.0}
UNITS: dict[Dimension, dict[str, str]] = {
    "duration": _DURATION,
    "size": _SIZE,
    "bandwidth": _BANDWIDTH,
    "rate": _RATE,
    "share": {"%": "0.01"},
    "factor": {"x": "1"},
}
"""Units of each dimension with their factor to the base unit."""

EXAMPLES: dict[Dimension, str] = {
    "duration": "75ms, 30s, 5min or 4h",
    "size": "2KB or 16MB",
    "bandwidth": "16MB/s or 40Mbit/s",
    "rate": "200/s or 12/min",
    "share": "2% or 99.9%",
    "factor": "20x",
}
_WRITTEN: dict[Dimension, tuple[str, ...]] = {
    "duration": ("s", "ms", "us"),
    "size": ("B", "KB", "MB", "GB"),
    "bandwidth": ("B/s", "KB/s", "MB/s", "GB/s"),
    "rate": ("/s", "/min", "/h"),
}
WORDS: dict[Dimension, str] = {
    "duration": "a duration",
    "size": "a size",
    "bandwidth": "a bandwidth",
    "rate": "a rate",
    "share": "a share",
    "factor": "a factor",
}

_FOREIGN: dict[Dimension, dict[str, str]] = {
    "duration": {
        "us": "usec usecs microsecond microseconds",
        "ms": "msec msecs millis millisecond milliseconds",
        "s": "sec secs second seconds",
        "min": "mins minute minutes",
        "h": "hr hrs hour hours",
        "d": "day days",
    },
    "rate": {"/s": "/sec /second tps qps rps", "/min": "/minute tpm qpm rpm", "/h": "/hr /hour", "/d": "/day"},
    "share": {"%": "percent pct"},
    "factor": {"x": "times"},
}
"""How people write units elsewhere, by the unit that is meant."""

_LONGER = {"w": 7, "week": 7, "weeks": 7, "y": 365, "yr": 365, "year": 365, "years": 365}
"""Days in units that are not used here."""

_BITS_OR_BYTES = re.compile(r"([kmgt]?)(?:b/s|bps|b/sec)", re.ASCII | re.IGNORECASE)

_NUMBER = r"\d+(?:\.\d+)?"
_ONE = re.compile(rf"({_NUMBER})\s*([A-Za-z%/]+)", re.ASCII)
_COMPOUND = re.compile(rf"(?:{_NUMBER}\s*(?:d|h|min|s|ms|us)\s*)+", re.ASCII)


class WrittenError(ValueError):
    """A written quantity that cannot be read; ``hint`` says the way out."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def parse(text: object, dimension: Dimension) -> float:
    """Read one written quantity.

    Parameters
    ----------
    text
        Such as ``"75ms"``; durations may be compound (``"1min30s"``). A number without unit is refused.
    dimension
        What it must be.

    Returns
    -------
    float
        Value in the dimension's base unit, finite and not negative.

    Raises
    ------
    WrittenError
        If there is no unit, an unknown one, or one of another dimension.
    """
    if isinstance(text, bool) or not isinstance(text, str):
        raise _not_text(text, dimension)
    stripped = text.strip()
    if len(stripped) > LONGEST_TEXT:
        msg = f"{stripped[:30]!r}… is too long for {WORDS[dimension]}"
        raise WrittenError(msg, f"write {EXAMPLES[dimension]}")
    if dimension == "duration" and _COMPOUND.fullmatch(stripped):
        parts = _ONE.findall(stripped)
        value = float(sum((Decimal(number) * Decimal(_DURATION[unit]) for number, unit in parts), Decimal(0)))
        return _bounded(value, stripped)
    match = _ONE.fullmatch(stripped) or re.fullmatch(rf"({_NUMBER})()", stripped, re.ASCII)
    if match is None:
        raise _unreadable(stripped, dimension)
    number, unit = match.groups()
    if unit in UNITS[dimension]:
        return _converted(number, unit, dimension)
    raise _wrong_unit(stripped, number, unit, dimension)


def _converted(number: str, unit: str, dimension: Dimension) -> float:
    if dimension == "rate":
        return float(number) / _PER[unit]
    value = float(Decimal(number) * Decimal(UNITS[dimension][unit]))
    return _bounded(value, number + unit) if dimension == "duration" else value


def _bounded(value: float, text: str) -> float:
    if value > LONGEST_S:
        msg = f"{text!r} is longer than ten years"
        raise WrittenError(msg, f"write '{FOREVER}' where that is allowed")
    return value


def _not_text(value: object, dimension: Dimension) -> WrittenError:
    word, example = WORDS[dimension], EXAMPLES[dimension]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return WrittenError(f"{value} has no unit, {word} is needed", f"write {_with_units(f'{value:g}', dimension)}")
    return WrittenError(f"{_short(value)} is not {word}", f"write {example}")


def _with_units(number: str, dimension: Dimension) -> str:
    """Return the number with each of the likely units."""
    likely: dict[Dimension, tuple[str, ...]] = {
        "duration": ("ms", "s", "min"),
        "size": ("KB", "MB"),
        "bandwidth": ("MB/s", "Mbit/s"),
        "rate": ("/s", "/min"),
        "share": ("%",),
        "factor": ("x",),
    }
    if dimension == "share" and 0 < float(number) <= 1:
        return f"{_plain(Decimal(number) * 100)}% or {number}%"
    return " or ".join(f"{number}{unit}" for unit in likely[dimension])


def _unreadable(text: str, dimension: Dimension) -> WrittenError:
    word = WORDS[dimension]
    if re.fullmatch(rf"-\s*{_NUMBER}.*", text, re.ASCII):
        return WrittenError(f"{text!r} is negative, {word} is needed", f"write {EXAMPLES[dimension]}")
    hint = f"write {EXAMPLES[dimension]}"
    other = re.fullmatch(r"(\d+)([.,]\d+)?(e[+-]?\d)?\s*([A-Za-z%/]+)", text, re.ASCII | re.IGNORECASE)
    if other is not None and other[4] in UNITS[dimension]:
        number = Decimal(other[1] + (other[2] or "").replace(",", ".") + (other[3] or ""))
        hint = f"write {_plain(number)}{other[4]}"
    return WrittenError(f"{text!r} is not {word}", hint)


def _wrong_unit(text: str, number: str, unit: str, dimension: Dimension) -> WrittenError:
    word = WORDS[dimension]
    if not unit:
        return WrittenError(f"{text!r} has no unit, {word} is needed", f"write {_with_units(number, dimension)}")
    if unit == "m":
        return WrittenError(f"{text!r} has the ambiguous unit 'm'", f"write {number}min or {number}ms")
    for other, units in UNITS.items():
        if unit in units:
            return WrittenError(f"{text!r} is {WORDS[other]}, {word} is needed", f"write {EXAMPLES[dimension]}")
    hint = _meant(number, unit, dimension) or f"write {EXAMPLES[dimension]}"
    return WrittenError(f"{text!r} has the unknown unit {unit!r}", hint)


def _meant(number: str, unit: str, dimension: Dimension) -> str:
    """Return a hint that writes a quantity with the unit that was probably meant; empty if none is near."""
    for known, words in _FOREIGN.get(dimension, {}).items():
        if unit.lower() in words.split():
            return f"write {number}{known}"
    days = Decimal(number) * _LONGER.get(unit.lower(), 0)
    if dimension == "duration" and 0 < days * 86400 <= LONGEST_S:
        return f"write {_plain(days)}d"
    bits = _BITS_OR_BYTES.fullmatch(unit)
    if dimension == "bandwidth" and bits is not None:
        prefix = "k" if bits[1].lower() == "k" else bits[1].upper()
        as_bytes = f"{number}{prefix}B/s"
        return f"write {as_bytes}" if "B" in unit else f"write {number}{prefix}bit/s, or {as_bytes} if bytes are meant"
    same = [known for known in UNITS[dimension] if known.lower() == unit.lower()]
    return f"did you mean {number}{same[0]}?" if same else ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def write(value: float, dimension: Dimension) -> str:
    """Return a quantity as it is written in a file; :func:`parse` gives the same float back.

    Parameters
    ----------
    value
        In the dimension's base unit; infinity is written ``forever``.
    dimension
        What it is.
    """
    if math.isinf(value):
        return FOREVER
    if dimension in ("share", "factor"):
        unit = "%" if dimension == "share" else "x"
        return _plain(Decimal(repr(value)) / Decimal(UNITS[dimension][unit])) + unit
    exact = Decimal(repr(value))
    for unit in ("d", "h", "min") if dimension == "duration" and value else ():
        quotient = exact / Decimal(_DURATION[unit])
        if quotient == quotient.to_integral_value():
            return _plain(quotient) + unit
    texts = [_plain(exact / Decimal(UNITS[dimension][unit])) + unit for unit in _WRITTEN[dimension]]
    faithful = [text for text in texts if parse(text, dimension) == value]
    return min(faithful or texts[:1], key=len)


def _plain(number: Decimal) -> str:
    """Return a number without exponent, rounded to 17 significant digits where it has more."""
    short = number if len(number.as_tuple().digits) <= 17 else Decimal(f"{number:.16e}")
    return format(short.normalize(), "f")


def format_seconds(value: float) -> str:
    """Return a duration for a reader, such as ``4 min 32 s``, ``1.24 s``, ``75 ms`` or ``2 h 05 min``."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "never"
    if value < 0:
        return "-" + format_seconds(-value)
    if value == 0:
        return "0 s"
    if value < 9.995e-6:
        return f"{_digits(value * 1e6)} us"
    if value < 0.9995:
        return f"{_digits(value * 1000)} ms"
    if value < 59.95:
        return f"{_digits(value)} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(value / 60)
    if minutes < 2880:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(value / 3600)
    return f"{hours // 24} d {hours % 24:02d} h"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
