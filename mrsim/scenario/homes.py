"""Where a key of the language may be written, for one that was written elsewhere."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from mrsim.scenario.document import Path
from mrsim.scenario.fields import Model
from mrsim.scenario.model import Scenario
from mrsim.scenario.written import written_keys

MOST_HOMES = 4
"""A key that is known in more places than this is so common that naming them helps nobody."""

_ANY = "*"
_ITEM = "[]"


def belongs(path: Path, data: Any) -> str:
    """Return a hint that names the places of a key that was written where it is unknown; empty if it has none.

    Of several places those below the same section or entry are named alone.

    Parameters
    ----------
    path
        Of the key, as it was written.
    data
        The whole document: where a section has one entry, that entry's name is shown.
    """
    key, around = path[-1], path[:-1]
    homes = {place[:-1] for place in _places(Scenario, ()) if place[-1] == key}
    shared = {home: _shared(home, around) for home in homes}
    if not homes or len(around) in {count for home, count in shared.items() if count == len(home)}:
        return ""  # another kind of the same thing has it
    nearest = [home for home in homes if shared[home] == max(shared.values())]
    names = sorted({_named(home, around[: shared[home]], data) for home in nearest}, key=lambda name: (len(name), name))
    if len(names) > MOST_HOMES:
        return ""
    return f"{str(key)!r} belongs in {' or '.join(name or 'the file itself' for name in names)}"


def writable(keys: Iterable[str]) -> list[str]:
    """Return those of the keys at the top of a scenario that somebody may write."""
    known = written_keys(Scenario)
    return [key for key in keys if key in known]


def options(kind: Any) -> Iterator[Any]:
    """Yield the alternatives of a type, without annotations."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from options(get_args(kind)[0])
    elif origin in (Union, types.UnionType):
        for option in get_args(kind):
            yield from options(option)
    else:
        yield kind


def _places(kind: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the paths of all keys that may be written inside a type."""
    if isinstance(kind, type) and issubclass(kind, Model):
        for key in written_keys(kind):
            yield (*path, key)
        for name, field in kind.model_fields.items():
            for option in options(field.annotation):
                yield from _places(option, (*path, field.alias or name))
    elif get_origin(kind) in (dict, tuple):
        step = _ANY if get_origin(kind) is dict else _ITEM
        for option in options(get_args(kind)[step == _ANY]):
            yield from _places(option, (*path, step))


def _shared(home: tuple[str, ...], around: Path) -> int:
    """Return how many steps from the top a place has in common with one that was written."""
    count = 0
    for step, part in zip(home, around, strict=False):
        if step != part and not (step == _ANY or (step == _ITEM and isinstance(part, int))):
            break
        count += 1
    return count


def _named(home: tuple[str, ...], common: Path, data: Any) -> str:
    """Return a place as messages show it, with the names that there are."""
    text = ""
    for index, step in enumerate(home):
        part: str | int = common[index] if index < len(common) else step
        if part == _ANY and isinstance(data, dict) and len(data) == 1:
            part = next(iter(data))
        text += f"[{part}]" if isinstance(part, int) else part if part == _ITEM else f".{part}" if text else part
        data = data.get(part) if isinstance(data, dict) else data[part] if _is_item(data, part) else None
    return text


def _is_item(data: Any, part: str | int) -> bool:
    return isinstance(data, list) and isinstance(part, int) and part < len(data)
