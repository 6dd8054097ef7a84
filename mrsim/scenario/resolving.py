"""What every step from the written to the resolved form shares: the document, the presets and the assumptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mrsim.scenario.document import Document, Path, nearest, shortened, shown_value, where
from mrsim.scenario.library import Entry, Library, Preset
from mrsim.scenario.model import Assumption

NO_CHOICE = ""
"""Preset name of an assumption that is a default of the language."""


_FOR = {
    "client-class": "clients.*.class",
    "edge": "dns.*.edge",
    "health-check": "dns.*.health_check",
    "in-region": "stores.*.in_region",
    "lease": "stores.*.failover.decide",
    "product": "stores.*.product",
    "resolver": "clients.*.resolvers",
    "resolvers": "clients.*.resolvers",
    "rtt": "network.rtt",
    "slot": "feeds.*.slot",
}
"""Where presets of a kind are named."""


@dataclass(slots=True)
class Resolving:
    """State of one resolution: problems go to the document, what presets and defaults supplied to ``assumptions``."""

    document: Document
    library: Library
    assumptions: list[Assumption] = field(default_factory=list)

    def problem(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> None:
        """Note a problem."""
        self.document.add(path, message, hint, key=key)

    def preset(self, path: Path, name: object, *kinds: str) -> Preset | None:
        """Return the preset of this name and kind, or note what is wrong and return None."""
        known = [known for kind in kinds for known in self.library.of_kind(kind)]
        if isinstance(name, str) and name in known:
            return self.library[name]
        message = (
            f"unknown {kinds[0].replace('in-region', 'in_region').replace('-', ' ')} preset {shortened(str(name))!r}"
        )
        other = self.library.get(name) if isinstance(name, str) else None
        belongs = _FOR.get(other.kind, "") if other is not None else ""
        hint = nearest(name, known)
        self.problem(path, message, f"{shortened(str(name))!r} is for {belongs}; {hint}" if belongs else hint)
        return None

    def assume(self, path: Path, value: Any, entry: Entry, preset: str) -> None:
        """Record a value that was supplied, not written."""
        source = f"{entry.source}, {entry.date}" if entry.date not in entry.source else entry.source
        self.assumptions.append(
            Assumption(where=where(path), value=shown_value(value), kind=entry.kind, source=source, preset=preset)
        )

    def state(self, path: Path, value: str, source: str, kind: str = "assumption") -> None:
        """Record an assumption that no preset holds."""
        self.assumptions.append(Assumption(where=where(path), value=value, kind=kind, source=source))

    def fill(self, section: dict[str, Any], path: Path, preset: Preset, group: str = "") -> None:
        """Give a section the values of a preset for the keys that it lacks, and record them."""
        for key, entry in preset.group(group).items():
            if key not in section:
                section[key] = entry.value
                named = NO_CHOICE if preset.kind == "default" else preset.name
                self.assume((*path, key), entry.value, entry, named)

    def fill_chosen(self, section: dict[str, Any], path: Path, kind: str) -> bool:
        """Give a section the values of the preset that it names; return False if there is none of that name."""
        name = section.pop("preset", None)
        preset = self.preset((*path, "preset"), name, kind) if name is not None else None
        if preset is None:
            return name is None
        self.fill(section, path, preset)
        return True

    def default(self, section: dict[str, Any], path: Path, name: str) -> None:
        """Give a section the language's defaults of this name."""
        self.fill(section, path, self.library[name])

    def section(self, parent: dict[str, Any], key: str) -> dict[str, Any] | None:
        """Return a copy of a mapping inside a mapping, put in its place; None if it is no mapping (or absent)."""
        inner = parent.get(key)
        if not isinstance(inner, Mapping):
            return None
        parent[key] = dict(inner)
        copied: dict[str, Any] = parent[key]
        return copied


def one_name(section: dict[str, Any], key: str) -> None:
    """Let a single name stand where there may be several."""
    if isinstance(section.get(key), str):
        section[key] = [section[key]]
