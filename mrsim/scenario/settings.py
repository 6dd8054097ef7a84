"""Settings: single values of a scenario changed by their path, such as ``dns.shop.ttl`` to ``30s``.

A path is one of those that error messages show. Most settings change what is written before short forms and presets
are expanded, so ``dns.shop.health_check=route53-standard`` chooses another preset; one whose place only comes into
being by expanding (``dns.shop.health_check.every`` where the file names a preset) changes the expanded form. ``null``
takes an optional part away, as if its key had been left out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, field
from typing import Any

from mrsim.scenario.document import Document, Path, nearest, shortened, shown_value, where

MOST_SETTINGS = 1000
"""Settings of one scenario."""

LEFT_OUT = object()
"""The value of a setting that takes a key away."""

_PART = re.compile(r"([^.\[\]{}=\s][^.\[\]{}=]*?(?:\{[^{}]*\})?)\s*(?=[.\[]|$)|\[(\d{1,6})\](?=[.\[]|$)")
_SETTING = re.compile(r"((?:[^={}]|\{[^{}]*\})*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Setting:
    """One value at one path.

    Attributes
    ----------
    path
        Keys and indices from the top of the file.
    value
        A text in the scenario language, or plain data: numbers, truth values, lists and mappings; None, or the text
        ``null``, leaves the key out.
    """

    path: Path
    value: Any

    def __str__(self) -> str:
        """Return the setting as it is written on a command line."""
        if self.value is None:
            return f"{where(self.path)}=null"
        return f"{where(self.path)}={self.value if isinstance(self.value, str) else shown_value(self.value)}"


@dataclass(frozen=True, slots=True)
class Written:
    """Where a scenario came from: no part of what it is, so two of them always compare equal.

    Attributes
    ----------
    text
        The file.
    settings
        What was changed in it, in this order.
    fields
        What was read, by name.
    """

    text: str = field(compare=False)
    settings: tuple[Setting, ...] = field(default=(), compare=False)
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def is_still(self, fields: Mapping[str, Any]) -> bool:
        """Whether a scenario is still what was read, apart from the name of its file."""
        return all(one is fields[name] or one == fields[name] for name, one in self.fields.items() if name != "path")


class SettingError(ValueError):
    """A setting that cannot be read; ``hint`` says the way out."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def read_setting(text: str) -> Setting:
    """Return the setting of a text such as ``dns.shop.ttl=30s``.

    Raises
    ------
    SettingError
        If it is not of that form.
    """
    match = _SETTING.fullmatch(text)
    if match is None or not match[1].strip():
        message = f"{shortened(text)!r} is not PATH=VALUE"
        raise SettingError(message, "write dns.shop.ttl=30s")
    return Setting(read_path(match[1]), match[2].strip())


def read_path(text: str) -> Path:
    """Return the path of a text such as ``stores.orders-db.standbys[1].region``.

    Raises
    ------
    SettingError
        If it is not a path.
    """
    parts: list[str | int] = []
    at, stripped = 0, text.strip()
    while at < len(stripped):
        match = _PART.match(stripped, at)
        if match is None:
            break
        parts.append(int(match[2]) if match[2] is not None else match[1].strip())
        at = match.end()
        if at < len(stripped) and stripped[at] == ".":
            at += 1
            if at == len(stripped) or stripped[at] == "[":
                break
    if at < len(stripped) or not parts or isinstance(parts[0], int) or stripped.endswith("."):
        message = f"{shortened(text)!r} is not a path"
        hint = "write keys with dots, items with brackets: stores.orders-db.standbys[1].region"
        raise SettingError(message, hint)
    return tuple(parts)


def merged(settings: Iterable[Setting], more: Iterable[Setting]) -> tuple[Setting, ...]:
    """Return settings followed by more; of several for one path the last counts."""
    last: dict[Path, Setting] = {}
    for setting in (*settings, *more):
        last.pop(setting.path, None)
        last[setting.path] = setting
    return tuple(last.values())


def command_line(path: str, settings: Sequence[Setting]) -> str:
    """Return a file and its settings as they are typed, such as ``a.yaml --set dns.shop.ttl=30s``."""
    return " ".join([shlex.quote(path), *(f"--set {shlex.quote(str(setting))}" for setting in settings)])


def apply_written(document: Document, settings: Sequence[Setting], values: Sequence[Document]) -> list[int]:
    """Change a document as written; return which settings have no place there yet.

    Parameters
    ----------
    document
        Changed in place.
    settings, values
        The settings, and each one's value as a document of its own.
    """
    left = []
    for index, (setting, value) in enumerate(zip(settings, values, strict=True)):
        path = _as_written(document.data, setting.path)
        if _put(document.data, path, value.data):
            _note(document, path, value, index)
        else:
            left.append(index)
    return left


def apply_expanded(
    data: dict[str, Any], document: Document, settings: Sequence[Setting], values: Sequence[Document], left: list[int]
) -> list[str]:
    """Change the expanded form for the settings that had no place in the written one; return their paths.

    Those that have no place here either are noted as problems.
    """
    changed = []
    for index in left:
        path, left_out = settings[index].path, values[index].data is LEFT_OUT
        # What a preset says is not taken away with a key: it is overruled, if the part is one that may be missing.
        value = None if left_out else values[index].data
        if (not left_out or _put(deepcopy(data), path, LEFT_OUT)) and _put(data, path, value):
            _note(document, path, values[index], index)
            changed.append(where(path))
        else:
            document.places[path] = _place(index)
            document.add(path, *_lost(data, path, left_out=left_out))
    return changed


def is_below(place: str, changed: Sequence[str]) -> bool:
    """Whether a place, as it is shown, is one of those that were changed or inside of one."""
    return any(place == one or place.startswith((f"{one}.", f"{one}[")) for one in changed)


def _put(data: Any, path: Path, value: Any) -> bool:
    """Put a value at a path if there is something to put it into; a list takes one more item at its end."""
    for part in path[:-1]:
        inside = isinstance(data, dict) and part in data
        if not inside and not (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            return False
        # What a preset supplied is shared by every scenario: only copies are changed.
        data[part] = copy(data[part])
        data = data[part]
    last = path[-1]
    if value is LEFT_OUT:
        # Of a list, later items would get other numbers, and the next setting would mean another one.
        return isinstance(data, dict) and data.pop(last, LEFT_OUT) is not LEFT_OUT
    if isinstance(data, dict) and isinstance(last, str):
        data[last] = value
        return True
    if isinstance(data, list) and isinstance(last, int) and last <= len(data):
        data[last : last + 1] = [value]
        return True
    return False


def _as_written(data: Any, path: Path) -> Path:
    """Return the path with the keys as the file writes them: blanks inside the labels of a budget do not count."""
    found: list[str | int] = []
    for part in path:
        if isinstance(data, dict) and isinstance(part, str) and part not in data and "{" in part:
            same = [key for key in data if "".join(key.split()) == "".join(part.split())]
            part = same[0] if same else part
        found.append(part)
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list):
            data = data[part] if isinstance(part, int) and part < len(data) else None
    return tuple(found)


def _place(index: int) -> tuple[int, int]:
    """Return a place that no file has, one for each setting, so that problems of several are told apart."""
    return index - MOST_SETTINGS, 0


def _note(document: Document, path: Path, value: Document, index: int) -> None:
    """Replace what the document knows of a path by what it knows of the value put there."""
    for known in (document.places, document.keys, document.texts):
        for old in [old for old in known if old[: len(path)] == path]:
            del known[old]
    for old in value.places or {(): (0, 0)}:
        document.places[(*path, *old)] = _place(index)
    document.texts.update({(*path, *old): text for old, text in value.texts.items()})
    for problem in value.problems:
        inner = f".{problem.where}" if problem.where and not problem.where.startswith("[") else problem.where
        document.add(path, f"{inner[1:]}: {problem.message}" if inner else problem.message, problem.hint)


def _lost(data: Any, path: Path, *, left_out: bool = False) -> tuple[str, str]:
    """Return what is wrong with a path that leads nowhere, and the nearest that leads somewhere."""
    from mrsim.scenario.homes import belongs, writable

    whole = data
    for depth, part in enumerate(path):
        around = where(path[:depth]) or "the scenario"
        if isinstance(data, Mapping):
            if part not in data:
                known = data if depth else writable(data)
                hint = nearest(part, known)
                home = belongs(path[: depth + 1], whole)
                message = f"there is no {shortened(str(part))!r} in {around}"
                return message, home if home and not hint.startswith("did you mean") else hint
            data = data[part]
        elif isinstance(data, (list, tuple)):
            if not isinstance(part, int) or part >= len(data):
                return f"{around} is a list of {len(data)}", f"write {around}[0]"
            if left_out and depth == len(path) - 1:
                return "an item of a list cannot be taken away", f"set {around} to those that stay"
            data = data[part]
        else:
            return f"{around} is {shortened(shown_value(data))}, which has nothing inside", f"set {around} itself"
    return "this cannot be set", ""
