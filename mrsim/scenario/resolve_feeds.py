"""Change feeds as written to change feeds as resolved: short forms, presets of slots, defaults."""

from __future__ import annotations

from typing import Any

from mrsim.scenario.document import Path, nearest, shortened
from mrsim.scenario.resolving import Resolving, one_name

PRIMARY_ONLY = "primary-only"
"""Written for a slot that standbys have no copy of."""


def resolve_feed(feed: dict[str, Any], path: Path, state: Resolving) -> None:
    """Resolve one feed in place."""
    _slot(feed, (*path, "slot"), state)
    reseeds = state.section(feed, "reseeds")
    if reseeds is not None:
        state.default(reseeds, (*path, "reseeds"), "reseed-defaults")
    state.default(feed, path, "feed-defaults")


def _slot(feed: dict[str, Any], path: Path, state: Resolving) -> None:
    written = feed.get("slot", PRIMARY_ONLY)
    if isinstance(written, str):
        known = state.library.of_kind("slot")
        feed["slot"] = None
        if written in known:
            feed["slot"] = {}
            state.fill(feed["slot"], path, state.library[written])
        elif written != PRIMARY_ONLY:
            message = f"unknown kind of slot {shortened(written)!r}"
            state.problem(path, message, nearest(written, [PRIMARY_ONLY, *known]))
        return
    slot = state.section(feed, "slot")
    if slot is None:
        return
    one_name(slot, "waits_for")
    if not state.fill_chosen(slot, path, "slot"):
        # What is wrong with the name is enough to be told.
        slot.setdefault("synced_every", "0s")
