"""Runs trials of one scenario and writes down what each left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrsim.errors import MrsimError, SimulationError
from mrsim.rng import Draws
from mrsim.sim.build import Builder
from mrsim.sim.edge import ProxiedAuthority
from mrsim.sim.parts import Parts
from mrsim.sim.signals import both
from mrsim.sim.world import Sampler, World
from mrsim.trace import INF, NO_EVENT, StoreTrace, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrsim.scenario.model import Scenario
    from mrsim.sim.database import Database
    from mrsim.sim.injector import Injector
    from mrsim.sim.nodes import Node
    from mrsim.sim.readings import Readings
    from mrsim.trace import Event


_NO_EFFECT = ("fault-ends", "switchover-refused")
"""What follows from a fault and changes nothing."""


class Simulator:
    """Runs trials of one scenario.

    Parameters
    ----------
    scenario
        The scenario; not changed, and shared by all trials.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._builder = Builder(scenario)

    def run_chunk(self, seed: int, first: int, count: int, draws: Draws | None = None) -> list[Trace]:
        """Run ``count`` consecutive trials.

        Parameters
        ----------
        seed
            The study's seed.
        first, count
            Number of the first trial, and how many.
        draws
            The chunk's draws, if the caller has them already.

        Returns
        -------
        list of Trace
            One per trial, in order. Trial k is the same whatever chunk it is part of.

        Raises
        ------
        SimulationError
            If an internal invariant breaks; it names seed and trial.
        """
        sampler = Sampler(draws if draws is not None else Draws(seed, first, count))
        return [self._run(sampler, seed, first + row, row) for row in range(count)]

    def _run(self, sampler: Sampler, seed: int, trial: int, row: int) -> Trace:
        world = World(sampler, row, self._scenario.horizon)
        try:
            parts, injector = self._builder.build(world)
            for readings in _by_time(parts.readings):
                world.clock.run_to(readings.next_s)
                if not world.clock.pending:
                    break
                readings.take()
            stopped = world.clock.run_to(self._scenario.horizon)
        except MrsimError:
            raise
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            raise SimulationError(message, seed, trial, world.now) from error
        trace = self._trace(world, parts, injector, seed, trial, stopped_early=stopped)
        for name, readings in parts.readings.items():
            trace.stores[name].readings = readings.finish()
        trace.feeds = {name: consumer.finish() for name, consumer in parts.consumers.items()}
        world.clock.close()
        parts.close()
        return trace

    def _trace(
        self, world: World, parts: Parts, injector: Injector, seed: int, trial: int, *, stopped_early: bool
    ) -> Trace:
        homes = {node.name: region for database in parts.databases.values() for region, node in database.nodes.items()}
        front = parts.reach.front()
        return Trace(
            seed=seed,
            trial=trial,
            horizon_s=self._scenario.horizon,
            end_s=world.now if stopped_early else self._scenario.horizon,
            stopped_early=stopped_early,
            fault_s=injector.first_s,
            events=world.events,
            stores={name: _store_trace(parts, name, database) for name, database in parts.databases.items()},
            front=front,
            links=parts.reach.links(homes),
            answers={name: authority.answers for name, authority in parts.authorities.items()},
            error_rate=parts.brownouts.spans,
            burst_phase_s={name: load.phase_s for name, load in parts.loads.items()},
            fault_events=injector.events,
            fault_effects=_effects(world.events, injector),
            serving=parts.tier.serving(),
            tries={
                name: one.tries(front) for name, one in parts.authorities.items() if isinstance(one, ProxiedAuthority)
            },
        )


def _by_time(readings: dict[str, Readings]) -> Iterator[Readings]:
    """Yield whose sample is the next to be taken, until all have been."""
    while readings:
        first = min(readings.values(), key=lambda one: one.next_s)
        if first.next_s == INF:
            return
        yield first


def _effects(events: list[Event], injector: Injector) -> list[bool]:
    """Return which faults changed anything: at once, or by what followed from them, such as a prober's verdict."""
    causes = {event.cause for event in events if event.kind not in _NO_EFFECT} - {NO_EVENT}
    return [at_once or event in causes for event, at_once in zip(injector.events, injector.effects, strict=True)]


def _store_trace(parts: Parts, name: str, database: Database) -> StoreTrace:
    nodes = database.nodes
    decided, until = _chosen(parts, database)
    reconciliation = parts.reconciliations.get(name)
    return StoreTrace(
        histories=database.histories,
        acks={node.name: node.finish() for node in nodes.values()},
        reads={node.name: both(node.reads, node.answers) for node in nodes.values()},
        endpoint=parts.endpoints[name].changes,
        surviving=database.surviving,
        decided=decided,
        replicated_until_s=until,
        redundant=database.redundant.spans,
        reconciled=reconciliation.reconciled if reconciliation is not None else [],
        asked=database.asked(),
    )


def _chosen(parts: Parts, database: Database) -> tuple[bool, float]:
    """Return whether the surviving history is in no doubt, and up to when its commits exist on a node that is up.

    It is in doubt while its primary is down or cut off from every standby: what only that node holds may yet be lost.
    An earlier primary that lives on is none of its standbys.
    """
    primary = database.current
    standbys = [node for node in database.nodes.values() if node.role == "standby" and node.running]
    reachable = [node for node in standbys if parts.network.both_ways(node.region, primary.region)]
    if primary.running and (reachable or not standbys):
        return True, INF
    held = [_held(database, node) for node in standbys]
    until = max(held, default=-INF)
    spans = primary.finish()
    last = max((span.acked_until_s for span in spans), default=-INF)
    return until >= last, until


def _held(database: Database, node: Node) -> float:
    history, position = database.streaming.position(node)
    return position if history == database.surviving else -INF
