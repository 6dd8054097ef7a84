"""Presets: named sets of values, each with what kind of knowledge it is, its source and its date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("documented", "measured", "vendor claim", "derived", "assumption")
"""What a value can be, from strongest to weakest."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a preset.

    Attributes
    ----------
    key
        Path inside the preset, such as ``every`` or ``unbound.share``.
    value
        Plain data as it would be written in a scenario file.
    kind
        One of :data:`KINDS`.
    source
        Where the value comes from, or why it is only an assumption.
    date
        When the source was read or the measurement made, such as ``2026-11``.
    """

    key: str
    value: Any
    kind: str
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Preset:
    """A named set of values.

    Attributes
    ----------
    name, kind, summary
        How it is written in a scenario, what it can stand for, and one sentence.
    entries
        Its values.
    """

    name: str
    kind: str
    summary: str
    entries: tuple[Entry, ...]

    def group(self, prefix: str) -> dict[str, Entry]:
        """Return the entries directly below a prefix by the last part of their key; '' for the top level."""
        start = f"{prefix}." if prefix else ""
        found = {entry.key[len(start) :]: entry for entry in self.entries if entry.key.startswith(start)}
        return {key: entry for key, entry in found.items() if "." not in key}

    def groups(self) -> list[str]:
        """Return the first parts of nested keys, in order."""
        return list(dict.fromkeys(entry.key.split(".")[0] for entry in self.entries if "." in entry.key))


class Library(Mapping[str, Preset]):
    """All presets by name; immutable."""

    def __init__(self, presets: Mapping[str, Preset]) -> None:
        self._presets = dict(presets)

    def __getitem__(self, name: str) -> Preset:
        return self._presets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._presets)

    def __len__(self) -> int:
        return len(self._presets)

    def of_kind(self, kind: str) -> list[str]:
        """Return the names of the presets of one kind."""
        return [name for name, preset in self._presets.items() if preset.kind == kind]


def read_presets(data: Mapping[str, Any], file: str) -> dict[str, Preset]:
    """Return the presets of one preset file.

    Parameters
    ----------
    data
        Plain data: ``kind``, and ``presets`` by name with ``summary`` and ``values``. Inside ``values`` a mapping with
        the key ``value`` is an entry, any other mapping is a group. ``source`` and ``date`` of an entry default to
        those of the groups around it, of the preset, or of the file.
    file
        Name for messages.
    """
    presets = {}
    for name, body in data["presets"].items():
        around = {key: body.get(key, data.get(key)) for key in ("kind_of_values", "source", "date")}
        entries = tuple(_entries(body["values"], "", around, f"{file}: {name}"))
        presets[name] = Preset(name, data["kind"], body["summary"], entries)
    return presets


def _entries(values: Mapping[str, Any], prefix: str, around: Mapping[str, Any], place: str) -> Iterator[Entry]:
    for key, body in values.items():
        if not isinstance(body, Mapping):
            message = f"{place}: {prefix}{key} is neither an entry nor a group"
            raise TypeError(message)
        kind, source, date = (
            body.get("kind", around["kind_of_values"]),
            body.get("source", around["source"]),
            body.get("date", around["date"]),
        )
        if "value" in body:
            if kind not in KINDS or not source or not date:
                message = f"{place}: {prefix}{key} lacks a kind, a source or a date"
                raise ValueError(message)
            yield Entry(f"{prefix}{key}", body["value"], kind, source, str(date))
        else:
            inner = {key: value for key, value in body.items() if key not in ("source", "date", "kind_of_values")}
            nested = {
                "kind_of_values": body.get("kind_of_values", around["kind_of_values"]),
                "source": source,
                "date": date,
            }
            yield from _entries(inner, f"{prefix}{key}.", nested, place)
