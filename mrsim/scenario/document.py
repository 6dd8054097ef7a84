"""A YAML document as plain data with the place of every value, read strictly.

The parser's nodes come from :mod:`mrsim.scenario.loader` and are only looked at here (``id``, ``value``, ``style``,
``start_mark``). Scalars follow the YAML 1.2 core schema; what YAML 1.1 tools would read differently is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from mrsim.errors import Problem

Path = tuple[str | int, ...]

MOST_NODES = 50_000
"""Values in a document after aliases are expanded."""

DEEPEST = 24
"""Levels of nesting."""

_INT = re.compile(r"[-+]?[0-9]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
NULLS = ("", "~", "null", "Null", "NULL")
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_BOOLS_1_1 = ("y", "n", "yes", "no", "on", "off")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?", re.ASCII)
_OTHER_BASE = re.compile(r"[-+]?(0[0-9]+|0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|[0-9]+(_[0-9]+)+)", re.ASCII)


class NotPlain(Exception):
    """Raised to leave the conversion when a document is too large to go on."""


@dataclass(slots=True)
class Document:
    """Plain data and where each value stands.

    Attributes
    ----------
    data
        Nested dicts, lists and scalars; strings, ints, floats, bools and None.
    places
        Path of a value to its one-based line and column.
    keys
        Path of a value to the line and column of its key.
    texts
        Path of a scalar to the text that was written.
    problems
        What was wrong so far.
    """

    data: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Return line and column of a value (or its key), or of the nearest thing around it that was written."""
        if key and path in self.keys:
            return self.keys[path]
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return (0, 0)

    def add(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> None:
        """Note a problem at a path."""
        line, column = self.place(path, key=key)
        problem = Problem(message, where(path), line, column, hint)
        if problem not in self.problems:
            self.problems.append(problem)

    def shown(self, path: Path, value: Any = None) -> str:
        """Return what was written at a path, for a message; ``value`` where nothing was written there."""
        text = self.texts.get(path)
        return shortened(text) if text is not None else shortened(shown_value(value))


def shortened(text: str) -> str:
    """Return a text of 60 characters at most, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."


def where(path: Path) -> str:
    """Return a path as it is shown: ``stores.orders-db.standbys[1]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def shown_value(value: Any) -> str:
    """Return plain data as it would be written in a file."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(shown_value(inner) for inner in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)


def nearest(word: object, known: Any) -> str:
    """Return the hint ``did you mean ...?`` or the list of what is known; empty if nothing is."""
    names = sorted(str(name) for name in known)
    close = get_close_matches(str(word), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:20])
    return f"known: {shown}" + (", ..." if len(names) > 20 else "")


class Converter:
    """Turns parser nodes into a :class:`Document`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.document = Document()
        self._count = 0

    def convert(self, node: Any) -> Document:
        """Return the document of a root node."""
        try:
            self.document.data = self._value(node, ())
        except NotPlain:
            self.document.data = None
        return self.document

    def _value(self, node: Any, path: Path) -> Any:
        mark = (node.start_mark.line + 1, node.start_mark.column + 1)
        self.document.places[path] = mark
        self._count += 1
        if self._count > MOST_NODES:
            hint = "do aliases multiply? write the values out"
            self.document.add((), f"the document has more than {MOST_NODES} values once aliases are expanded", hint)
            raise NotPlain
        if len(path) > DEEPEST:
            self.document.add(path[:3], f"nested more than {DEEPEST} levels deep", "does an alias contain itself?")
            raise NotPlain
        self._check_tag(node, path)
        if node.id == "mapping":
            return self._mapping(node, path)
        if node.id == "sequence":
            return [self._value(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _check_tag(self, node: Any, path: Path) -> None:
        start = self.text[node.start_mark.index : node.start_mark.index + 100]
        if re.match(r"(&\S+\s+)?!", start):
            tag = start.split()[0]
            self.document.add(path, f"the tag {shortened(tag)!r} is not used in scenario files", "leave it out")

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            key = self._key(key_node, path, mark)
            if key is None:
                continue
            inner = (*path, key)
            if key in result:
                first = self.document.keys[inner][0]
                self._at(mark, inner, f"the key {shortened(key)!r} is there twice, first in line {first}", "keep one")
                continue
            self.document.keys[inner] = mark
            result[key] = self._value(value_node, inner)
        return result

    def _at(self, mark: tuple[int, int], path: Path, message: str, hint: str) -> None:
        self.document.problems.append(Problem(message, where(path), *mark, hint))

    def _key(self, node: Any, path: Path, mark: tuple[int, int]) -> str | None:
        if node.id != "scalar":
            self._at(mark, path, f"a {node.id} cannot be a key", "keys are names; is a quote or a bracket missing?")
            return None
        text = str(node.value)
        if node.style is None:
            if text == "<<":
                self._at(mark, path, "'<<' (a merge key) is not part of YAML 1.2", "write the keys out")
                return None
            plain = text in NULLS or text in _BOOLS or _INT.fullmatch(text) or _FLOAT.fullmatch(text)
            if plain:
                self._at(mark, path, f"the key {text!r} is not a string", "quote it")
                return None
            hint = _surprise(text)
            if hint:
                self._at(mark, (*path, text), f"the key {text!r} means something else to YAML 1.1 tools", hint)
        return text

    def _scalar(self, node: Any, path: Path) -> Any:
        text = str(node.value)
        self.document.texts[path] = text
        if node.style is not None:
            return text
        if text in NULLS:
            self.document.add(path, "there is no value here", "write one or leave the key out")
            return None
        if text in _BOOLS:
            return _BOOLS[text]
        hint = "" if path[-1:] == ("level",) and text in ("on", "off") else _surprise(text)
        if hint:
            self.document.add(path, f"{shortened(text)!r} means something else to YAML 1.1 tools", hint)
            return text
        if _INT.fullmatch(text):
            return int(text) if len(text) < 40 else math.inf
        if _FLOAT.fullmatch(text):
            return float(text)
        if _NOT_FINITE.fullmatch(text):
            return float(text.replace(".", ""))
        return text


def _surprise(text: str) -> str:
    """Return a hint if YAML 1.1 reads a plain scalar as something else than YAML 1.2 does; else an empty string."""
    if text.lower() in _BOOLS_1_1:
        return "there it is a truth value: write true or false, or quote it"
    if _SEXAGESIMAL.fullmatch(text):
        return f"there it is a number to base 60: write {_timed(text)}, or quote it"
    if _OTHER_BASE.fullmatch(text):
        return "there it is a number in another base: write it in decimal, or quote it"
    return ""


def _timed(text: str) -> str:
    """Return how a time such as 8:30 is written with units: as hours and minutes, or as minutes and seconds."""
    parts = text.split(":")
    if not all(part.isdigit() for part in parts) or len(parts) > 3:
        return "a duration with units such as 90s"
    readings = ["h", "min", "s"], ["min", "s"]
    meant = [
        "".join(f"{int(part)}{unit}" for part, unit in zip(parts, units, strict=False) if int(part))
        for units in readings[: 4 - len(parts)]
    ]
    return " or ".join(one for one in meant if one) or "0s"
