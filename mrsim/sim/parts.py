"""The components of one trial, by what they are for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrsim.sim.consumers import Consumer
    from mrsim.sim.database import Database
    from mrsim.sim.dns import Authority
    from mrsim.sim.endpoint import Endpoint
    from mrsim.sim.instances import Instance
    from mrsim.sim.lease_switchover import LeaseSwitchovers
    from mrsim.sim.network import Network
    from mrsim.sim.reach import Brownouts, Reach
    from mrsim.sim.readings import Readings
    from mrsim.sim.reconcile import Reconciliation
    from mrsim.sim.returns import Returns
    from mrsim.sim.switchover import Switchovers
    from mrsim.sim.tier import Tier
    from mrsim.sim.wal import Load
    from mrsim.sim.wiring import Wiring


@dataclass(slots=True)
class Parts:
    """The components of one trial."""

    network: Network
    reach: Reach
    brownouts: Brownouts
    databases: dict[str, Database]
    endpoints: dict[str, Endpoint]
    authorities: dict[str, Authority]
    loads: dict[str, Load]
    tier: Tier
    returns: dict[str, Returns] = field(default_factory=dict)
    switchovers: dict[str, Switchovers | LeaseSwitchovers | None] = field(default_factory=dict)
    reconciliations: dict[str, Reconciliation] = field(default_factory=dict)
    readings: dict[str, Readings] = field(default_factory=dict)
    wirings: list[Wiring] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)
    consumers: dict[str, Consumer] = field(default_factory=dict)

    def close(self) -> None:
        """Take the finished trial apart, so that its components are freed at once and not by a search for cycles."""
        self.network.close()
        for database in self.databases.values():
            database.close()
        for endpoint in self.endpoints.values():
            endpoint.close()
        self.tier.close()
        for wiring in self.wirings:
            wiring.close()
        for instance in self.instances:
            instance.close()
        for consumer in self.consumers.values():
            consumer.close()
        for authority in self.authorities.values():
            authority.close()
