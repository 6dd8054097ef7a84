"""Scenario files: YAML in, a resolved :class:`~mrsim.scenario.model.Scenario` or every problem found out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from mrsim.errors import Problem, ScenarioError
from mrsim.scenario.build import build
from mrsim.scenario.document import NULLS, Converter, Document
from mrsim.scenario.library import Library, Preset, read_presets
from mrsim.scenario.model import Scenario
from mrsim.scenario.settings import LEFT_OUT, Setting, apply_written, merged

LARGEST_FILE = 1024 * 1024
"""Bytes of the largest scenario file that is read."""


def load(path: str | Path, settings: Sequence[Setting] = ()) -> Scenario:
    """Read a scenario file.

    Parameters
    ----------
    path
        A YAML file in UTF-8.
    settings
        Values to change in it; see :meth:`mrsim.scenario.model.Scenario.with_`.

    Raises
    ------
    ScenarioError
        With every problem found, each with its line and column.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ScenarioError([Problem(f"cannot be read: {reason}")], str(path)) from error
    except ValueError as error:
        raise ScenarioError([Problem(f"cannot be read: {error}")], repr(str(path))) from error
    return loads(_decoded(raw, str(path)), str(path), settings)


def _check_is_text(value: object) -> None:
    if not isinstance(value, str):
        message = f"loads needs the text of a scenario, got {type(value).__name__}; mrsim.load reads a file"
        raise TypeError(message)


def _check_are_settings(settings: Sequence[object]) -> None:
    if isinstance(settings, (str, Mapping)) or not all(isinstance(one, Setting) for one in settings):
        message = (
            "settings were given as something else: mrsim.load(path).with_({'dns.shop.ttl': '30s'}) changes values"
        )
        raise TypeError(message)


def loads(text: str, path: str = "<string>", settings: Sequence[Setting] = ()) -> Scenario:
    """Read a scenario from a text.

    Parameters
    ----------
    text
        YAML 1.2.
    path
        Name for messages.
    settings
        Values to change in it; see :meth:`mrsim.scenario.model.Scenario.with_`.

    Raises
    ------
    ScenarioError
        With every problem found, each with its line and column.
    TypeError
        If it is no text, or what is given as settings is something else.
    """
    _check_is_text(text)
    _check_are_settings(settings)
    document = _document(text, path)
    if document.data is None or not isinstance(document.data, dict):
        problems = document.problems or [
            Problem("a scenario is a mapping of keys such as name, regions, stores", line=1, column=1)
        ]
        raise ScenarioError(problems, path)
    scenario = build(document, library(), path, settings, [_value(setting.value) for setting in settings])
    if scenario is None or document.problems:
        problems = sorted(document.problems, key=lambda problem: (problem.line, problem.column))
        raise ScenarioError([_placed(problem) for problem in problems], path)
    scenario.remember(text, merged((), settings))
    return scenario


def written_data(scenario: Scenario) -> dict[str, Any]:
    """Return what a scenario was read from as plain data, its settings applied where the text has a place for them.

    Raises
    ------
    ScenarioError
        If it was not read from a text.
    """
    text, settings = scenario.written_text, scenario.settings
    document = _document(text, scenario.path)
    apply_written(document, settings, [_value(setting.value) for setting in settings])
    data: dict[str, Any] = document.data
    return data


@cache
def library() -> Library:
    """Return all presets that come with mrsim."""
    presets: dict[str, Preset] = {}
    for file in sorted(files("mrsim.scenario").joinpath("presets").iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".yaml"):
            document = _document(file.read_text(encoding="utf-8"), file.name)
            if document.problems:
                raise ScenarioError(document.problems, file.name)
            for name, preset in read_presets(document.data, file.name).items():
                if name in presets:
                    raise ScenarioError([Problem(f"the preset {name!r} is there twice")], file.name)
                presets[name] = preset
    return Library(presets)


def _value(value: Any) -> Document:
    """Return the value of a setting as a document: a text is read as one of the scenario language."""
    if value is None or (isinstance(value, str) and value.strip() in NULLS and value.strip()):
        return Document(data=LEFT_OUT)
    if not isinstance(value, str):
        return Document(data=value)
    if not value.strip():
        return Document(problems=[Problem("there is no value here", hint="write one after the =")])
    try:
        return _document(value, "")
    except ScenarioError as error:
        return Document(problems=[replace(problem, line=0, column=0) for problem in error.problems])


def _placed(problem: Problem) -> Problem:
    """Return a problem without a place in the file if a setting is to blame."""
    return replace(problem, line=0, column=0) if problem.line < 0 else problem


def _decoded(raw: bytes, path: str) -> str:
    if len(raw) > LARGEST_FILE:
        raise ScenarioError([Problem(f"the file is larger than {LARGEST_FILE // 1024} KiB")], path)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        raise ScenarioError(
            [Problem(message, line=line, column=column, hint="save the file as UTF-8")], path
        ) from error


def _document(text: str, path: str) -> Document:
    _check_text(text, path)
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        raise ScenarioError([_syntax(error)], path) from error
    except ReaderError as error:
        position = error.position if isinstance(error.position, int) else 0
        line, column = _line_column(text, position)
        message = f"the character {_character(error.character)} is not allowed in YAML"
        raise ScenarioError([Problem(message, line=line, column=column, hint="remove it")], path) from error
    except RecursionError as error:
        raise ScenarioError([Problem("nested too deeply", hint="is a bracket repeated?")], path) from error
    except (YAMLError, ValueError, AttributeError, LookupError, TypeError, RuntimeError) as error:
        raise ScenarioError([Problem(f"not readable as YAML: {str(error)[:200]}")], path) from error
    if node is None:
        raise ScenarioError([Problem("the file holds nothing but comments", hint="see `mrsim schema`")], path)
    return Converter(text).convert(node)


def _check_text(text: str, path: str) -> None:
    if not text.strip("\ufeff \t\r\n"):
        raise ScenarioError([Problem("the file is empty")], path)
    if text.startswith("\ufeff"):
        hint = "save the file as UTF-8 without one"
        raise ScenarioError([Problem("the file starts with a byte order mark", line=1, column=1, hint=hint)], path)
    if len(text) > LARGEST_FILE:
        raise ScenarioError([Problem(f"the text is larger than {LARGEST_FILE // 1024} KiB")], path)
    tab = re.search(r"^ *\t[ \t]*[^\s#]", text, re.MULTILINE)
    if tab:
        line, _ = _line_column(text, tab.start())
        column = text[tab.start() :].index("\t") + 1
        raise ScenarioError([Problem("a tab in the indentation", line=line, column=column, hint="use spaces")], path)


def _line_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def _character(character: Any) -> str:
    code = character if isinstance(character, int) else ord(str(character)[:1] or "\0")
    return f"U+{code:04X}"


def _syntax(error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    parts = [str(part).strip() for part in (error.context, error.problem) if part]
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    hint = ""
    opened = error.context_mark
    if opened and mark and opened.line != mark.line:
        hint = f"it began in line {opened.line + 1}"
    return Problem("YAML: " + ", ".join(" ".join(part.split()) for part in parts), line=line, column=column, hint=hint)
