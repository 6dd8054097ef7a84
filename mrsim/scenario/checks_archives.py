"""Checks of archives: who ships into them, and who restores from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.units import write

if TYPE_CHECKING:
    from mrsim.scenario.document import Document, Path
    from mrsim.scenario.stores import Standby, Store

_WITHOUT_WAL = ("snapshot", "objects")
"""Ways by which a standby gets what is no WAL."""
_SHORTEST_S = 1.0
"""PostgreSQL's ``archive_timeout`` counts whole seconds (guc_tables.c)."""
_SMALLEST_BYTES = 1e6
"""``wal_segment_size`` is from 1 MB to 1 GB (initdb); 1e6 lets those pass who count a megabyte in thousands."""


def check_archives(store: Store, path: Path, document: Document) -> None:
    """Note archives that nobody fills or nobody restores from, and segments that no server would write."""
    if store.archive is not None and store.archive.timeout < _SHORTEST_S:
        message = (
            f"segments would end every {write(store.archive.timeout, 'duration')}, and servers count whole seconds"
        )
        document.add((*path, "archive", "timeout"), message, "write 1s or more, such as timeout: 5min")
    if store.archive is not None and store.archive.segment < _SMALLEST_BYTES:
        message = f"no server writes segments of {write(store.archive.segment, 'size')}"
        document.add(
            (*path, "archive", "segment"), message, "write 1MiB or more; 16MiB unless the cluster says otherwise"
        )
    restoring = {one.region for one in store.standbys if one.via == "archive" or one.fallback == "archive"}
    if store.archive is not None and not restoring:
        message = "nobody restores from the archive: it has no effect"
        document.add((*path, "archive"), message, "write standbys: [{region: eu-west, via: archive}]", key=True)
    by_region = {standby.region: standby for standby in store.standbys}
    for index, standby in enumerate(store.standbys):
        at = (*path, "standbys", index)
        source = by_region.get(standby.source or "")
        if standby.via == "archive" and source is not None:
            _check_source(source, (*at, "source"), document)
        if standby.fallback is not None:
            _check_fallback(standby, store, (*at, "fallback"), document)
        if standby.archive is None:
            continue
        if standby.via in _WITHOUT_WAL:
            message = f"a standby via {standby.via} has no WAL to archive"
            document.add((*at, "archive"), message, "leave it out", key=True)
        elif store.archive is None:
            message = "it is not said when segments end and how long an upload takes"
            hint = f"write archive: {{place: {store.primary}, timeout: 5min}} in the store"
            document.add((*at, "archive"), message, hint, key=True)
        elif not restoring - {standby.region}:
            message = "nobody else restores from an archive: this one has no effect"
            hint = f"write {{region: ap-southeast, via: archive, source: {standby.region}}}, or leave it out"
            document.add((*at, "archive"), message, hint, key=True)


def _check_fallback(standby: Standby, store: Store, path: Path, document: Document) -> None:
    """Note what an archive behind a stream needs, and does not go with."""
    if standby.via != "stream":
        message = f"a standby via {standby.via} has no stream that the archive could stand behind"
        document.add(path, message, "leave it out", key=True)
    elif store.archive is None:
        message = "there is no archive to restore from"
        document.add(path, message, f"write archive: {{place: {store.primary}, timeout: 5min}} in the store", key=True)
    elif standby.archive is not None:
        message = "a standby with an archive of its own restores from none in this version"
        document.add(path, message, "leave one of both out", key=True)
    elif store.slots is not None:
        message = "a standby that has an archive needs no slot, and what becomes of one is not modelled"
        document.add(path, message, "leave slots or fallback out", key=True)


def _check_source(source: Standby, path: Path, document: Document) -> None:
    """Note a source that has no archive to restore from."""
    name = source.region
    if source.via in _WITHOUT_WAL:
        document.add(path, f"{name!r} is a standby via {source.via}: it has no WAL to archive", "name another source")
    elif source.archive is None:
        message = f"{name!r} archives nothing while it is a standby: there is nothing to restore"
        document.add(path, message, f"write {{region: {name}, archive: {name}}} (archive_mode = always)")
