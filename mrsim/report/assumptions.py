"""What the answer leans on, as text: values that presets and defaults supplied, and where they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from mrsim.report.layout import Page
from mrsim.report.tables import assumption_rows

if TYPE_CHECKING:
    from mrsim.scenario.model import Assumption

MANY = 4
"""So many values of one preset below one key become a single row, unless all are asked for."""


def assumptions_section(page: Page, assumptions: Sequence[Assumption], *, everything: bool) -> None:
    """Print what nobody measured for this system.

    Parameters
    ----------
    page
        Where to.
    assumptions
        Those of the scenario.
    everything
        Whether to list every value; otherwise those that are only assumed, those of one preset together.
    """
    known = assumption_rows(assumptions)
    if not known:
        return
    shown = [row for row in known if everything or row.kind == "assumption"]
    others = len(known) - len(shown)
    more = f"; {others} more values have a source (--assumptions all)" if others else ""
    page.heading("Assumptions", f"what the answer leans on and nobody measured here{more}")
    for row in shown if everything else _grouped(shown):
        where = f"preset {row.preset}" if row.preset else "default"
        kind = f"{row.kind}, " if everything else ""
        page.line(f"{row.where}: {row.value}", Text(f"  ({kind}{where})", style="dim"), indent=2)
        page.line(row.source, indent=6)


def _grouped(rows: Iterable[Assumption]) -> list[Assumption]:
    """Return rows in which many values that presets supply below one key are a single row."""
    groups: dict[str, list[Assumption]] = {}
    for row in rows:
        groups.setdefault(".".join(row.where.split(".")[:3]), []).append(row)
    found = []
    for below, members in groups.items():
        presets = list(dict.fromkeys(row.preset for row in members if row.preset))
        if len(members) < MANY or not all(row.preset for row in members):
            found += members
            continue
        others = ", and the same of the presets that it names," if len(presets) > 1 else ""
        source = f"«mrsim presets show {presets[0]}»{others} says where each comes from"
        changes = {"where": f"{below}.*", "value": f"{len(members)} values", "preset": presets[0], "source": source}
        found.append(members[0].model_copy(update=changes))
    return found
