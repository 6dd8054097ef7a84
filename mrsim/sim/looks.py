"""What probes see: of a region's front door, and of a database node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.sim.health import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.scenario.services import HealthCheck
    from mrsim.sim.network import Network
    from mrsim.sim.nodes import Node
    from mrsim.sim.reach import Brownouts


def at_once(_: str) -> float:
    """Return the time that a report takes where it is made."""
    return 0.0


def look_at_front(
    network: Network,
    brownouts: Brownouts,
    serving: Callable[[str], bool],
    check: HealthCheck,
    region: str,
    place: str,
) -> Outcome:
    """Return what a health check of a region's front door sees.

    Where no instance serves, the front door itself goes on accepting connections and answers with an error at once: a
    check of reachability passes, any deeper one fails.
    """
    rtt = network.rtt_s(place, region)
    if not network.both_ways(place, region):
        takes = rtt if network.refuses(region) else check.timeout
        return Outcome(1.0, takes, rtt)
    if rtt >= check.timeout:
        return Outcome(1.0, check.timeout, check.timeout)
    if check.depth != "reachability" and not serving(region):
        return Outcome(1.0, rtt, rtt)
    lost = network.probe_loss(place, region)
    failing = brownouts.failing(region, check.answer_within or check.timeout) if check.depth == "application" else 0.0
    return Outcome(1.0 - (1.0 - lost) * (1.0 - failing), check.timeout, rtt)


def look_at_node(
    network: Network, brownouts: Brownouts, depth: str, timeout_s: float, node: Node, place: str, *, role: bool = False
) -> Outcome:
    """Return what a probe of a database node sees: host, process, or a write; ``role`` asks for a primary."""
    rtt = network.rtt_s(place, node.region)
    if not network.both_ways(place, node.region):
        return Outcome(1.0, rtt if network.refuses(node.region) else timeout_s, rtt)
    if node.fenced or not node.host_up or rtt >= timeout_s:
        return Outcome(1.0, timeout_s, min(rtt, timeout_s))
    lost = network.probe_loss(place, node.region)
    if depth == "reachability":
        return Outcome(lost, timeout_s, rtt)
    if not node.running or (role and not (node.role == "primary" and node.answers.on)):
        return Outcome(1.0, rtt, rtt)
    if depth == "write-path" and not node.acknowledging:
        return Outcome(1.0, timeout_s if node.role == "primary" else rtt, rtt)
    failing = brownouts.failing(network.geometry.home[node.region] or "", timeout_s) if depth == "write-path" else 0.0
    return Outcome(1.0 - (1.0 - lost) * (1.0 - failing), timeout_s, rtt)
