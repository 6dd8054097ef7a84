"""The presets that come with mrsim: named values with what kind of knowledge they are, their sources and dates.

>>> from mrsim.scenario import presets
>>> presets.show("route53-fast").group("")["every"].value
'10s'
"""

from __future__ import annotations

from mrsim.errors import MrsimError
from mrsim.scenario.document import nearest
from mrsim.scenario.library import Entry, Preset
from mrsim.scenario.loader import library

__all__ = ["Entry", "Preset", "names", "show"]


def names() -> list[tuple[str, str, str]]:
    """Return kind, name and summary of every preset, in order of kind; the language's own defaults come last."""
    rows = [(preset.kind, preset.name, preset.summary) for preset in library().values()]
    return sorted(rows, key=lambda row: (row[0] == "default", row[0]))


def show(name: str) -> Preset:
    """Return a preset.

    Parameters
    ----------
    name
        As it is written in a scenario.

    Returns
    -------
    Preset
        Its ``entries`` each have ``key``, ``value``, ``kind``, ``source`` and ``date``.

    Raises
    ------
    MrsimError
        If there is none of this name; the message holds the nearest one.
    """
    try:
        return library()[name]
    except KeyError:
        message = f"there is no preset {name!r} ({nearest(name, library())})"
        raise MrsimError(message) from None
