"""Checks of change feeds: what they are of, who has a copy of their slots, what they wait for."""

from __future__ import annotations

from mrsim.scenario.document import Document, Path, nearest
from mrsim.scenario.feeds import ChangeFeed, FailoverSlot
from mrsim.scenario.model import Scenario
from mrsim.scenario.stores import Store


def check_feeds(scenario: Scenario, document: Document) -> None:
    """Note what cannot be meant in the feeds of a scenario."""
    for name, feed in scenario.feeds.items():
        _check_feed(feed, scenario.stores[feed.of], ("feeds", name), document)


def _check_feed(feed: ChangeFeed, store: Store, path: Path, document: Document) -> None:
    if store.objects is not None:
        message = f"{feed.of!r} is copied object by object: it writes no WAL to be read in order"
        document.add((*path, "of"), message, "name a store that streams")
    if feed.slot is not None:
        _check_slot(feed.slot, store, (*path, "slot"), document)


def _check_slot(slot: FailoverSlot, store: Store, path: Path, document: Document) -> None:
    if not store.direct:
        message = "no standby streams from the primary: nobody can have a copy of the slot"
        document.add(path, message, "write slot: primary-only, or let a standby stream", key=True)
        return
    for index, place in enumerate(slot.waits_for):
        if place not in store.direct:
            message = f"{place!r} holds no standby that streams from the primary"
            document.add((*path, "waits_for", index), message, nearest(place, store.direct))
    if len(set(slot.waits_for)) < len(slot.waits_for):
        document.add((*path, "waits_for"), "a node is named twice", "keep one")
