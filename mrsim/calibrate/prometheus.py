"""The JSON answer of a Prometheus range query as series of quantities.

References
----------
Prometheus documentation, *HTTP API*, ``/api/v1/query_range``: ``resultType`` is ``matrix``, sample values are strings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mrsim.calibrate.cells import Quantity, quantity, unit_of_name
from mrsim.calibrate.table import nearest
from mrsim.errors import MeasurementsError
from mrsim.units import WrittenError


def read_matrix(
    path: Path, text: str, unit: str | None, where: Sequence[tuple[str, str]]
) -> tuple[str, list[list[Quantity]], list[str]]:
    """Return the metric's name, the quantities of each series in order of time, and notes; NaN is no value.

    Parameters
    ----------
    path, text
        The file, for messages, and what is in it.
    unit
        Of the values; not given, the ending of the metric's name says it (``..._seconds``).
    where
        Labels and the values that a series must have there.

    Raises
    ------
    MeasurementsError
        With the line of a syntax error, or the series and sample of a value that cannot be used.
    """
    entries = _entries(path, text)
    labels = sorted({name for entry in entries for name in entry["metric"]})
    for name, _ in where:
        if name not in labels:
            message = f"{path}: no series has a label {name!r}{nearest(name, labels)}"
            raise MeasurementsError(message)
    kept = [entry for entry in entries if all(entry["metric"].get(name) == value for name, value in where)]
    if not kept:
        message = f"{path}: no series has " + " and ".join(f"{name}={value}" for name, value in where)
        raise MeasurementsError(message if where else f"{path}: the query found no series")
    series = [_quantities(path, number, entry, unit) for number, entry in enumerate(kept, start=1)]
    empty = sum(len(entry["values"]) for entry in kept) - sum(map(len, series))
    if empty and not any(series):
        message = f"{path}: every sample is NaN, which stands for no value"
        raise MeasurementsError(message)
    names = sorted({str(entry["metric"].get("__name__", "value")) for entry in kept})
    notes = []
    if empty:
        counted = "1 sample is" if empty == 1 else f"{empty} samples are"
        notes.append(f"{counted} NaN, which stands for no value, and left out")
    if len(kept) > 1:
        varying = [name for name in labels if len({entry["metric"].get(name) for entry in kept}) > 1]
        example = f"; choose one with --where {varying[0]}=..." if varying else ""
        notes.append(f"{len(kept)} series taken together{example}")
    return ", ".join(names), [one for one in series if one], notes


def _entries(path: Path, text: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        message = f"{path}{line}: is no JSON: {error}"
        raise MeasurementsError(message) from error
    if not isinstance(document, dict):
        message = f"{path}: is no answer of Prometheus (an object with status and data)"
        raise MeasurementsError(message)
    if document.get("status", "success") != "success":
        message = f"{path}: the query failed: {str(document.get('error', 'no reason given'))[:200]}"
        raise MeasurementsError(message)
    data = document.get("data", document)
    kind = data.get("resultType") if isinstance(data, dict) else None
    if kind != "matrix":
        message = f"{path}: resultType is {kind!r}, not 'matrix'; ask /api/v1/query_range"
        raise MeasurementsError(message)
    entries = data.get("result")
    if not isinstance(entries, list) or not all(_usable(entry) for entry in entries):
        message = f"{path}: a series must have labels in 'metric' and samples in 'values' (native histograms have none)"
        raise MeasurementsError(message)
    return entries


def _usable(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("metric"), dict) and isinstance(entry.get("values"), list)


def _quantities(path: Path, number: int, entry: dict[str, Any], unit: str | None) -> list[Quantity]:
    name = str(entry["metric"].get("__name__", "value"))
    found = []
    for place, sample in enumerate(entry["values"], start=1):
        where = f"{path}: series {number} ({name}), sample {place}"
        if not isinstance(sample, list) or len(sample) != 2 or not isinstance(sample[1], str):
            message = f"{where}: is not a pair of a time and a text"
            raise MeasurementsError(message)
        if sample[1] == "NaN":
            continue
        try:
            one = quantity(sample[1], unit or unit_of_name(name))
        except WrittenError as error:
            strange = sample[1].lower().lstrip("+-") == "inf"
            hint = "leave such samples out in the query: ... < +Inf" if strange else error.hint
            hint = f" ({hint})" if hint else ""
            message = f"{where}: {error}{hint}"
            raise MeasurementsError(message) from error
        if one.measure == "LSN":
            message = f"{where}: {sample[1]!r} is no number"
            raise MeasurementsError(message)
        found.append(one)
    return found
