"""What standbys answer when somebody who may promote one of them asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.controller import Candidate
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mrsim.sim.database import Database
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node


def candidates(
    network: Network, database: Database, place: str, sites: Iterable[str], seen_s: float
) -> list[Candidate]:
    """Return the standbys that answer, with their positions and their last reported lags.

    Parameters
    ----------
    network, database
        Paths and nodes.
    place
        Where the question comes from.
    sites
        Regions and zones of the nodes that are asked.
    seen_s
        When the primary could last be asked for its position; not in the past if it can be asked now.
    """
    found = []
    for site in sites:
        node = database.nodes[site]
        fit = node.is_standby and not node.promoting and not node.rebuilding
        if fit and database.streaming.can_promote(node) and network.both_ways(place, site):
            lag_s = database.streaming.reported_lag_s(node, seen_s)
            found.append(Candidate(site, lag_s, database.streaming.position(node)))
    return found


def received_until_s(network: Network, database: Database, place: str, sites: Iterable[str], primary: Node) -> float:
    """Return until when a standby that answers takes itself for connected to the primary: infinite while it is.

    A receiver whose primary closed the connection knows at once; one that hears nothing gives up after its timeout.

    References
    ----------
    CloudNativePG, docs/src/failover.md: no standby is promoted before all WAL receivers are down.
    """
    until_s = -INF
    for site in sites:
        node = database.nodes[site]
        upstream = node.upstream
        if upstream is None or upstream.source is not primary or not node.running or not network.both_ways(place, site):
            continue
        if upstream.flowing:
            return INF
        closed = not primary.running and primary.host_up and network.open(primary.region, site)
        until_s = max(until_s, -INF if closed else upstream.cut_s + database.receiver_timeout_s)
    return until_s


def why_none(found: Sequence[Candidate]) -> str:
    """Return why none of the standbys that answered was chosen."""
    if not found:
        return "no standby answers"
    return "the lag gate holds: " + ", ".join(f"{item.region} {item.lag_s:.1f} s behind" for item in found)
