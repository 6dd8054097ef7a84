"""A resolved scenario as JSON data and back, exactly: what a results file keeps of it, and what its digest is of.

The language's own texts round ("p95: 3min" stands for a sigma of many digits); this keeps every float. Reading makes
only scenario models and distributions, and runs none of their validators: they have passed them once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from hashlib import sha256
from importlib import import_module
from typing import Any

from mrsim.distributions import Distribution
from mrsim.scenario.fields import Model
from mrsim.scenario.model import Scenario

TYPE = "$type"
"""Key of an object's class; no name in a scenario can begin like this."""

ROOMS = ("mrsim.scenario.", "mrsim.distributions", "mrsim.mixtures")
"""Modules whose classes a document may name."""

KEPT_TOGETHER = 90
"""Characters up to which a value is not taken apart."""

_CLEAR = re.compile(r"[A-Za-z_$*][\w$*/:-]*", re.ASCII)
_PART = re.compile(r'\.?([^.\[\]"]+)|\[((?:"(?:[^"\\]|\\.)*")|\d{1,6})\]')


def scenario_document(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario as JSON data, without where its text stood: the file's path, the budgets' lines."""
    budgets = tuple(budget.model_copy(update={"line": 0}) for budget in scenario.budgets)
    nowhere = Scenario.model_fields["path"].default
    document: dict[str, Any] = _encode(scenario.model_copy(update={"path": nowhere, "budgets": budgets}))
    return document


def scenario_of(document: Mapping[str, Any]) -> Scenario:
    """Return the scenario that a document was made of.

    Raises
    ------
    TypeError
        If it is not the document of a scenario.
    """
    found = _decode(document)
    if not isinstance(found, Scenario):
        message = "the document is not that of a scenario"
        raise TypeError(message)
    return found


def digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON data in its one canonical text: keys sorted, no blanks."""
    return sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def flattened(document: Mapping[str, Any], together: int = KEPT_TOGETHER) -> Iterator[tuple[str, Any]]:
    """Yield path and value of everything in a document; what takes up to ``together`` characters stays together.

    Paths are those that messages show, such as ``stores.orders-db.standbys[1].region``; a key that would not be clear
    in one stands in brackets and quotes.
    """
    for key, value in document.items():
        yield from _flattened(_joined("", key), value, together)


def nested(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the document that was flattened.

    Raises
    ------
    ValueError
        If a path is none, is there twice, or does not fit to those before it.
    """
    document: dict[str, Any] = {}
    for path, value in pairs:
        _put(document, path, value)
    return document


def _flattened(path: str, value: Any, together: int) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, (dict, list)) or not value or len(json.dumps(value)) <= together:
        yield path, value
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _flattened(_joined(path, key), inner, together)


def _joined(path: str, key: str | int) -> str:
    if isinstance(key, str) and _CLEAR.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key)}]"


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    parts = [key or json.loads(inside) for key, inside in _PART.findall(path)]
    written = ""
    for part in parts:
        written = _joined(written, part)
    if not parts or written != path:
        message = f"{path[:100]!r} is not a path"
        raise ValueError(message)
    at: Any = document
    for part, after in zip(parts, [*parts[1:], None], strict=True):
        empty: Any = [] if isinstance(after, int) else {}
        inner = value if after is None else empty
        if isinstance(part, int) and isinstance(at, list) and part in (len(at) - 1, len(at)):
            at += [inner] if part == len(at) else []
        elif isinstance(part, str) and isinstance(at, dict):
            at.setdefault(part, inner)
        else:
            at = None
        known = None if at is None else at[part]
        if (known is None and inner is not None) or (after is None and known is not inner):
            message = f"{path[:100]!r} does not fit to what stands before it"
            raise ValueError(message)
        at = known


def _encode(value: Any) -> Any:
    if isinstance(value, Model):
        names: list[str] = list(type(value).model_fields)
        return _tag(value) | {name: _encode(getattr(value, name)) for name in names}
    if isinstance(value, Distribution):
        return _tag(value) | {field.name: _encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _encode(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_encode(item) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    message = f"a scenario holds a {type(value).__name__}, which has no place in a document"
    raise TypeError(message)


def _tag(value: object) -> dict[str, Any]:
    kind = type(value)
    return {TYPE: f"{kind.__module__}:{kind.__qualname__}"}


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if not isinstance(value, dict):
        return value
    inside = {name: _decode(item) for name, item in value.items() if name != TYPE}
    if TYPE not in value:
        return inside
    kind = _class_of(str(value[TYPE]))
    if not issubclass(kind, Model):
        return kind(**inside)
    strange = sorted(set(inside) - set(kind.model_fields))
    missing = sorted(name for name, one in kind.model_fields.items() if one.is_required() and name not in inside)
    if strange or missing:
        message = f"{kind.__name__} has no {strange[0]!r}" if strange else f"{kind.__name__} needs {missing[0]!r}"
        raise TypeError(message)
    return kind.model_construct(**inside)


def _class_of(tag: str) -> type[Model] | type[Distribution]:
    module, _, name = tag.partition(":")
    found = getattr(import_module(module), name, None) if module.startswith(ROOMS) else None
    if not isinstance(found, type) or not issubclass(found, (Model, Distribution)):
        message = f"{tag!r} is not a class that a scenario is made of"
        raise TypeError(message)
    return found
