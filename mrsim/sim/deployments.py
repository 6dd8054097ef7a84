"""A service's instances in one region: absent until somebody orders them, then brought up step by step."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mrsim.sim.signals import Signal, nobody_listens
from mrsim.sim.world import CONTROL
from mrsim.trace import INF

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrsim.distributions import Distribution
    from mrsim.scenario.services import Rollout
    from mrsim.sim.network import Network
    from mrsim.sim.world import Timer, World


class Deployment:
    """Instances of one service in one region.

    What is wanted is kept in the region itself (a Kubernetes cluster remembers its replicas): a region that comes back
    brings up anew what it had been told to run, from the first step, since its machines are new. What it had started
    before is lost with it.

    Parameters
    ----------
    world, network
        The trial and its paths.
    service, region
        Whose instances, and where.
    rollout
        How long the steps take.
    on_change
        ``on_change(event, region)`` is called when they begin or cease to serve.
    there
        Whether they serve from the start.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        service: str,
        region: str,
        rollout: Rollout,
        on_change: Callable[[int, str], None],
        *,
        there: bool = False,
    ) -> None:
        self._world = world
        self._network = network
        self.name = f"{service}@{region}"
        self.service = service
        self.region = region
        self._on_change = on_change
        self._steps: tuple[tuple[str, Distribution, str, str, str], ...] = (
            ("schedule", rollout.schedule, "scheduled", "relocation", "there is room for every instance"),
            ("pull", rollout.pull, "pulled", "relocation", "the images are there"),
            ("start", rollout.start, "started", "relocation", "the processes answer"),
            ("warm", rollout.warm, "warmed-up", "relocation", "pools and caches are filled"),
            ("verify", rollout.verify, "verified", "verification", "what has to be checked before traffic is let in"),
        )
        self._timer: Timer | None = None
        self._rounds = 0
        self._heard = 0
        self.wanted = there
        self.signal = Signal()
        if not there:
            self.signal.set(-INF, on=False)

    @property
    def serving(self) -> bool:
        """Whether its instances serve now."""
        return self.signal.on

    def order(self, cause: int) -> None:
        """Bring the instances up; they are wanted from now on."""
        if not self.wanted:
            self.wanted = True
            event = self._world.emit("start-ordered", self.name, cause, "relocation", "the order has arrived")
            self._begin(event)

    def told(self, number: int, wanted: bool, cause: int) -> None:
        """Take in the declaration of that number whether instances are wanted here; an older one says nothing new."""
        if number < self._heard:
            return
        self._heard = number
        if wanted:
            self.order(cause)
        elif self.wanted:
            self.wanted = False
            event = self._world.emit("stopped", self.name, cause, "", "the primary is elsewhere now")
            self._stop(event)

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """Lose the instances with the region; begin anew when it is back."""
        if self.region not in touched or not self.wanted:
            return
        if not self._network.alive(self.region):
            self._stop(cause)
        elif self._timer is None and not self.serving:
            self._begin(cause)

    def close(self) -> None:
        """Forget who listens."""
        self._on_change = nobody_listens

    def _stop(self, cause: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._world.emit("start-lost", self.name, cause, "", "what had been started is gone")
        if self.signal.set(self._world.now, on=False, event=cause):
            self._world.stirred += 1
            self._on_change(cause, self.region)

    def _begin(self, cause: int) -> None:
        self._rounds += 1
        self._go_on(0, cause)

    def _go_on(self, step: int, cause: int) -> None:
        """Take the steps from this one on; those that take no time leave no event."""
        for number in range(step, len(self._steps)):
            name, takes_dist, *_ = self._steps[number]
            takes = self._world.sample(f"{self.name}/{name}", takes_dist, self._rounds)
            if takes > 0.0:
                done = partial(self._done, number, cause)
                self._timer = self._world.at(self._world.now + takes, CONTROL, f"{self.name}/{name}", done)
                return
        event = self._world.emit("serving", self.name, cause, "", "its instances serve")
        self.signal.set(self._world.now, on=True, event=event)
        self._world.stirred += 1
        self._on_change(event, self.region)

    def _done(self, number: int, cause: int) -> None:
        self._timer = None
        _, _, kind, phase, note = self._steps[number]
        self._go_on(number + 1, self._world.emit(kind, self.name, cause, phase, note))
