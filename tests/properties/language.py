"""Which fields and words of the scenario language some written data uses, by the JSON Schema of the language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mrsim.scenario.schema import schema
from mrsim.scenario.schema_values import definitions
from tests.strategies import Data

Schema = dict[str, Any]

QUANTITIES = frozenset(definitions())
"""Definitions of values, which are written in too many ways to be listed."""


class Language:
    """The fields of the language, such as ``Fence.dead``, and its words, such as ``Fence.by=token``."""

    def __init__(self) -> None:
        self._top = schema()
        self._definitions: dict[str, Schema] = self._top["$defs"]
        self._top = {key: value for key, value in self._top.items() if key != "$defs"}

    def all_of_it(self) -> set[str]:
        """Return every field and every word."""
        found = set(self._said("", self._top))
        for name, body in self._definitions.items():
            if name not in QUANTITIES:
                found.update(self._said(name, body))
        return found

    def used_in(self, data: Data) -> set[str]:
        """Return the fields and words that a scenario uses; a word that is the default is used where none is written.

        Parameters
        ----------
        data
            A scenario as it is written, valid.
        """
        return set(self._used("", self._top, data))

    def _said(self, name: str, body: Schema) -> Iterator[str]:
        yield from (f"{name}={word}" for word in _words(body))
        for inner in (*_options(body), body.get("items"), body.get("additionalProperties"), *_patterns(body).values()):
            if isinstance(inner, dict):
                yield from self._said(name, inner)
        for key, inner in body.get("properties", {}).items():
            yield f"{name}.{key}"
            yield from self._said(f"{name}.{key}", inner)

    def _used(self, name: str, body: Schema, value: Any) -> Iterator[str]:
        if "$ref" in body:
            name = body["$ref"].rpartition("/")[2]
            if name not in QUANTITIES:
                yield from self._used(name, self._definitions[name], value)
            return
        option = next((one for one in _options(body) if self._may_be(one, value)), None)
        if option is not None:
            yield from self._used(name, option, value)
        if isinstance(value, list) and "items" in body:
            for item in value:
                yield from self._used(name, body["items"], item)
        elif isinstance(value, dict):
            yield from self._used_keys(name, body, value)
        elif not isinstance(value, list) and value in _words(body):
            yield f"{name}={value}"

    def _used_keys(self, name: str, body: Schema, value: Data) -> Iterator[str]:
        fields = body.get("properties", {})
        for key, inner in value.items():
            if key in fields:
                yield f"{name}.{key}"
                yield from self._used(f"{name}.{key}", fields[key], inner)
                continue
            others = (one for pattern, one in _patterns(body).items() if re.search(pattern, key))
            other = next(others, body.get("additionalProperties"))
            if isinstance(other, dict):
                yield from self._used(name, other, inner)
        for key in fields.keys() - value.keys():
            default = fields[key].get("default")
            if isinstance(default, (str, bool)) and default in _words(fields[key]):
                yield f"{name}.{key}={default}"

    def _may_be(self, body: Schema, value: Any) -> bool:
        """Return whether a valid value, which may be one of several things, can be this one."""
        if "$ref" in body:
            name = body["$ref"].rpartition("/")[2]
            if name in QUANTITIES:
                return isinstance(value, str) or (isinstance(value, dict) and name == "UncertainDuration")
            return self._may_be(self._definitions[name], value)
        if body.get("type") == "object":
            fields = body.get("properties", {})
            closed = body.get("additionalProperties") is False and not _patterns(body)
            if not isinstance(value, dict) or (closed and not value.keys() <= fields.keys()):
                return False
            fixed = {key: one["const"] for key, one in fields.items() if "const" in one}
            return all(value.get(key, word) == word for key, word in fixed.items())
        if body.get("type") == "array" or isinstance(value, (list, dict)):
            return body.get("type") == "array" and isinstance(value, list)
        return not _words(body) or value in _words(body)


def _options(body: Schema) -> list[Schema]:
    """Return the alternatives of a value; such as only ask for one of some keys are none."""
    return [one for key in ("anyOf", "oneOf") for one in body.get(key, ()) if set(one) != {"required"}]


def _patterns(body: Schema) -> dict[str, Schema]:
    return dict(body.get("patternProperties", {}))


def _words(body: Schema) -> list[Any]:
    """Return what a value is one of, among its alternatives too; empty if it may be anything."""
    if body.get("type") == "boolean":
        return [True, False]
    own = list(body.get("enum", [body["const"]] if "const" in body else []))
    return own + [word for one in _options(body) if "$ref" not in one for word in _words(one)]
