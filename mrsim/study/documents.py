"""A resolved scenario as JSON data and back, exactly: what a results file keeps of it, and what its digest is of.

The language's own texts round ("p95: 3min" stands for a sigma of many digits); this keeps every float. Reading makes
only scenario models and distributions, and runs none of their validators: they have passed them once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    return kind.model_construct(**inside) if issubclass(kind, Model) else kind(**inside)


def _class_of(tag: str) -> type[Model] | type[Distribution]:
    module, _, name = tag.partition(":")
    found = getattr(import_module(module), name, None) if module.startswith(ROOMS) else None
    if not isinstance(found, type) or not issubclass(found, (Model, Distribution)):
        message = f"{tag!r} is not a class that a scenario is made of"
        raise TypeError(message)
    return found
