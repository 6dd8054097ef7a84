"""How uncertain durations are written in a scenario file, and how that is read.

``30s``, ``30s..2min``, ``{median: 1min, p95: 3min}`` (any two quantiles), ``{mean: 10s, sd: 3s}``,
``{exponential: {mean: 30s}}``, ``{pareto: {min: 60s, shape: 0.6}}`` or ``{pareto: {p90: 60s, p98: 15min}}``,
``{values: [20s, 30s], weights: [1, 3]}`` and ``{mixture: [{share: 90%, of: 5s..10s}, {share: 10%, of: 5min}]}``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from mrsim.distributions import Constant, Distribution, Exponential, LogNormal, Pareto, Uniform
from mrsim.mixtures import Empirical, Mixture
from mrsim.units import WrittenError, parse

FORMS = "a scalar (30s), a range (30s..2min), two quantiles ({median: 1min, p95: 3min}), {mean: 10s, sd: 3s}, "
FORMS += "{exponential: {mean: 30s}}, {pareto: {min: 60s, shape: 0.6}}, {values: [20s, 30s]} or {mixture: [...]}"
"""All forms in one line, for messages and descriptions."""

DEEPEST = 4
"""Mixtures nest no deeper than this."""

LARGEST = 10_000
"""An empirical distribution has no more values than this, a mixture no more parts."""

_DASHED = re.compile(r"\s*(\d[\w.]*?)\s*(?:-|\u2013|\u2014|\u2026|to)\s*(\d[\w.]*)\s*")
"""How people write ranges elsewhere."""

_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,4})?)", re.ASCII)


def read(value: object, depth: int = 0) -> Distribution:
    """Read a written duration that may be uncertain.

    Parameters
    ----------
    value
        Plain data as it comes from a file, or a :class:`Distribution`, which is returned as it is.
    depth
        How many mixtures it is inside of.

    Raises
    ------
    WrittenError
        With what is wrong and a hint.
    """
    if isinstance(value, Distribution):
        return value
    try:
        if isinstance(value, Mapping):
            return _from_mapping(value, depth)
        if isinstance(value, str) and ".." in value:
            return _from_range(value)
        return Constant(_scalar(value))
    except WrittenError:
        raise
    except ValueError as error:
        msg = f"{_shown(value)}: {error}"
        raise WrittenError(msg, f"forms are {FORMS}") from error


def _scalar(value: object) -> float:
    if isinstance(value, str) and (ends := _DASHED.fullmatch(value)):
        msg = f"{value!r} is not a duration"
        raise WrittenError(msg, f"a range is written {ends[1]}..{ends[2]}")
    return parse(value, "duration")


def _shown(value: object) -> str:
    text = _plain(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(value: object) -> str:
    """Return plain data as it is written in a file."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_plain(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_plain(inner) for inner in value) + "]"
    return str(value)


def _from_range(text: str) -> Distribution:
    ends = text.split("..")
    if len(ends) != 2:
        msg = f"{text!r} is not a range"
        raise WrittenError(msg, "write a range as 30s..2min")
    low, high = (parse(end, "duration") for end in ends)
    if low > high:
        msg = f"the range {text!r} is upside down"
        raise WrittenError(msg, f"write {ends[1].strip()}..{ends[0].strip()}")
    return Constant(low) if low == high else Uniform(low, high)


def _from_mapping(value: Mapping[Any, Any], depth: int) -> Distribution:
    keys = set(value)
    if keys == {"exponential"}:
        inner = _inner(value, "exponential", ({"mean"},))
        return Exponential(parse(inner["mean"], "duration"))
    if keys == {"pareto"}:
        return _pareto(value["pareto"])
    if "values" in keys and keys <= {"values", "weights"}:
        return _empirical(value["values"], value.get("weights"))
    if keys == {"mixture"}:
        return _mixture(value["mixture"], depth)
    if keys == {"mean", "sd"}:
        return LogNormal.from_moments(parse(value["mean"], "duration"), parse(value["sd"], "duration"))
    levels = _levels(value)
    if len(levels) == 2 and len(keys) == 2:
        (p, x), (q, y) = sorted(levels.items())
        if x >= y:
            msg = f"{_shown(dict(value))}: the higher quantile must be the longer duration"
            raise WrittenError(msg)
        return LogNormal.through(p, x, q, y)
    msg = f"{_shown(dict(value))} is no way to write an uncertain duration"
    raise WrittenError(msg, _near_form(value, levels))


def _near_form(value: Mapping[Any, Any], levels: Mapping[float, float]) -> str:
    """Return the hint for a mapping that is no form: the key that was meant, what is missing, or all forms."""
    if set(value) & {"p0", "p100", "min", "max"}:
        return "the ends are written as a range: 30s..2min"
    if len(levels) == len(value) == 1:
        (key, written), *_ = value.items()
        return f"one quantile makes no distribution: write {written}, or add another, such as p95 to {key}"
    known = ("median", "mean", "sd", "p95", "exponential", "pareto", "values", "weights", "mixture")
    for key in value:
        close = get_close_matches(str(key), known, n=1) if str(key) not in known else []
        if close and _QUANTILE.fullmatch(str(key)) is None:
            return f"did you mean {close[0]!r}?"
    return f"forms are {FORMS}"


def _inner(value: Mapping[Any, Any], name: str, allowed: tuple[set[str], ...]) -> Mapping[Any, Any]:
    inner = value[name]
    if not isinstance(inner, Mapping) or set(inner) not in allowed:
        forms = " or ".join("{" + ", ".join(sorted(keys)) + "}" for keys in allowed)
        msg = f"{name}: {_shown(inner)} is not usable"
        raise WrittenError(msg, f"{name} takes {forms}")
    return inner


def _levels(value: Mapping[Any, Any]) -> dict[float, float]:
    """Return the quantiles in a mapping as level -> seconds; other keys are left out."""
    found: dict[float, float] = {}
    for key, written in value.items():
        match = _QUANTILE.fullmatch(key) if isinstance(key, str) else None
        level = 0.5 if key == "median" else float(Decimal(match[1]) / 100) if match else 0.0
        if 0 < level < 1:
            found[level] = parse(written, "duration")
    return found


def _pareto(inner: object) -> Distribution:
    hint = "pareto takes {min: 60s, shape: 0.6} or two quantiles, {p90: 60s, p98: 15min}"
    if not isinstance(inner, Mapping):
        msg = f"pareto: {_shown(inner)} is not usable"
        raise WrittenError(msg, hint)
    if set(inner) == {"min", "shape"}:
        return Pareto(parse(inner["min"], "duration"), _number(inner["shape"], "shape"))
    levels = _levels(inner)
    if len(levels) != 2 or len(inner) != 2:
        msg = f"pareto: {_shown(dict(inner))} is not usable"
        raise WrittenError(msg, hint)
    (p, x), (q, y) = sorted(levels.items())
    if x >= y:
        msg = f"{_shown(dict(inner))}: the higher quantile must be the longer duration"
        raise WrittenError(msg)
    return Pareto.through(p, x, q, y)


def _number(value: object, name: str) -> float:
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?(e-?\d+)?", value, re.ASCII):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        msg = f"{name}: {_shown(value)} is not a number above zero"
        raise WrittenError(msg)
    return float(value)


def _empirical(values: object, weights: object) -> Distribution:
    if not isinstance(values, list) or not 0 < len(values) <= LARGEST:
        msg = f"values: {_shown(values)} is not a list of 1 to {LARGEST} durations"
        raise WrittenError(msg)
    numbers = [parse(value, "duration") for value in values]
    if weights is None:
        return Empirical.of(numbers)
    if not isinstance(weights, list) or len(weights) != len(values):
        msg = f"weights: {_shown(weights)} must list as many numbers as values ({len(values)})"
        raise WrittenError(msg)
    return Empirical.of(numbers, [_number(weight, "weights") for weight in weights])


def _mixture(parts: object, depth: int) -> Distribution:
    if depth >= DEEPEST:
        msg = f"mixtures nest deeper than {DEEPEST}"
        raise WrittenError(msg)
    if not isinstance(parts, list) or not 0 < len(parts) <= LARGEST:
        msg = f"mixture: {_shown(parts)} is not a list"
        raise WrittenError(msg, "write [{share: 90%, of: 30s}, ...]")
    shares: list[float] = []
    inner: list[Distribution] = []
    for part in parts:
        if not isinstance(part, Mapping) or set(part) != {"share", "of"}:
            msg = f"mixture: {_shown(part)} is not usable"
            raise WrittenError(msg, "write {share: 90%, of: 30s}")
        shares.append(parse(part["share"], "share"))
        inner.append(read(part["of"], depth + 1))
    total = math.fsum(shares)
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        msg = f"the shares of the mixture add to {total:.6%}, not 100%"
        raise WrittenError(msg)
    if min(shares) <= 0:
        msg = "a share of the mixture is 0%"
        raise WrittenError(msg, "leave that part out")
    return Mixture(tuple(share / total for share in shares), tuple(inner))
