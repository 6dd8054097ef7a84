"""What a chunk of trials meant: traces to intervals to clients to metrics, all trials of the chunk at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrsim.measure.batches import put_batches
from mrsim.measure.bins import Bins, Fate, bins_of
from mrsim.measure.chains import Chains
from mrsim.measure.columns import Measures, Status
from mrsim.measure.commits import Rest
from mrsim.measure.consumers import Feeds
from mrsim.measure.doubt import Doubt
from mrsim.measure.intervals import Outages, curve_times_s
from mrsim.measure.latency import put_latency
from mrsim.measure.ledger import Ledger, Load
from mrsim.measure.loss import put_loss
from mrsim.measure.readings import put_readings
from mrsim.measure.readonly import States
from mrsim.measure.reconciled import put_reconciled
from mrsim.measure.recovery import put_recovery
from mrsim.measure.retried import Retried
from mrsim.measure.splitbrain import Episode, decided_s, dual_s, put_failovers, put_split_brain
from mrsim.routes import Routes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mrsim.population import Population
    from mrsim.rng import Draws
    from mrsim.scenario.model import Scenario
    from mrsim.slabs import Piece
    from mrsim.trace import Trace

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

__all__ = ["Measures", "Status", "measure"]


def measure(scenario: Scenario, population: Population, traces: Sequence[Trace], draws: Draws) -> Measures:
    """Return every metric of a chunk of trials.

    Parameters
    ----------
    scenario, population
        The resolved scenario and its points.
    traces
        Traces of consecutive trials.
    draws
        Draws of the same trials: the population's phases are made from them.

    Returns
    -------
    Measures
        Columns in an order that depends on the scenario alone.

    Raises
    ------
    ValueError
        If the draws are not of as many trials as there are traces.
    """
    if draws.count != len(traces):
        message = f"{len(traces)} traces, but draws of {draws.count} trials"
        raise ValueError(message)
    chunk = _Chunk(scenario, population, traces, draws)
    measures = chunk.measures
    for service, model in scenario.services.items():
        if model.reads or model.writes is None:
            outages = chunk.outages()
            states, retried = chunk.states.get(service), chunk.retried(service)
            for slab in chunk.routes.reads(service):
                outages.add(slab)
                if retried is not None:
                    retried.add(slab)
                if states is not None:
                    states.add_read(slab)
            put_recovery(measures, scenario, service, "read", outages.finish(), None, chunk.early, chunk.chains)
            if retried is not None:
                retried.put(measures, service, "read")
    episodes: list[Episode] = []
    for store in scenario.stores:
        episodes += _measure_store(chunk, store)
    for service, states in chunk.states.items():
        states.put(measures, service)
    for service in scenario.services:
        put_latency(measures, scenario, service, chunk.routes)
        put_readings(measures, service, chunk.routes)
        if (batch := scenario.services[service].batch) is not None:
            put_batches(measures, service, batch, chunk.routes, draws)
    measures.episodes = _table(episodes)
    return measures


class _Chunk:
    """What all measures of a chunk share."""

    def __init__(self, scenario: Scenario, population: Population, traces: Sequence[Trace], draws: Draws) -> None:
        self.scenario = scenario
        self.population = population
        self.traces = traces
        self.draws = draws
        self.routes = Routes(scenario, population, population.phases(draws), traces)
        self.chains = Chains(traces)
        self.early: Bools = np.array([trace.stopped_early for trace in traces], dtype=bool)
        faults = np.array([trace.fault_s for trace in traces])
        # without a fault any outage counts, from the beginning
        self.since_s: Floats = np.where(np.isfinite(faults), faults, 0.0)
        self.states = {
            name: States(population, len(traces), scenario.horizon)
            for name, service in scenario.services.items()
            if service.read_only
        }
        self.measures = Measures(draws.first, draws.count, curve_times_s=curve_times_s(scenario.horizon))

    def outages(self) -> Outages:
        return Outages(self.population, self.since_s, self.scenario.horizon, self.scenario.stable_for)

    def retried(self, service: str) -> Retried | None:
        """Return what takes in second tries; None where no proxy makes any."""
        if not any(record.edge is not None and service in record.serves for record in self.scenario.dns.values()):
            return None
        return Retried(self.population, len(self.traces), self.scenario.horizon)


def _measure_store(chunk: _Chunk, store: str) -> list[Episode]:
    scenario, traces = chunk.scenario, chunk.traces
    services = [name for name, service in scenario.services.items() if service.writes == store]
    bins = [bins_of(trace.stores[store]) for trace in traces]
    phase_s = np.array([trace.burst_phase_s.get(store, 0.0) for trace in traces])
    dual = {index for index, trace in enumerate(traces) if dual_s(trace.stores[store], scenario.horizon)}
    judged_s = np.array([decided_s(trace, store) for trace in traces])
    load = Load(scenario.stores[store], phase_s)
    names = [name for name, feed in scenario.feeds.items() if feed.of == store]
    feeds = Feeds(names, store, traces, bins, load, scenario.horizon) if names else None
    parts = feeds.parts if feeds is not None else None
    ledger = Ledger(load, bins, scenario.horizon, max(len(services), 1), dual, judged_s, parts)
    durable_differs = _loses_after(chunk, bins)
    doubts = [
        doubt
        for service in services
        if (doubt := _measure_writes(chunk, service, ledger, bins, durable_differs)) is not None
    ]
    objects = scenario.stores[store].objects
    lag = objects.lag if objects is not None else None
    commits = put_loss(chunk.measures, store, ledger, traces, lag, chunk.draws)
    failover = scenario.stores[store].failover
    if failover is not None and failover.old_primary.reconcile is not None:
        put_reconciled(chunk.measures, store, failover.old_primary.reconcile, ledger.bins, commits, traces)
    if feeds is not None:
        feeds.put(chunk.measures, ledger, commits, chunk.draws)
    rests = [Rest(list(one.per_bin), mass) for one, mass in zip(commits, ledger.mass.tolist(), strict=True)]
    for doubt in doubts:
        doubt.put(chunk.measures, rests, chunk.draws)
    episodes = put_split_brain(chunk.measures, store, services, ledger, chunk.routes, dual)
    put_failovers(chunk.measures, store, ledger, traces)
    return episodes


def _loses_after(chunk: _Chunk, bins: Sequence[Bins]) -> bool:
    """Whether any trial has commits after the fault that are acknowledged and not kept."""
    return any(
        b.fate.acknowledged and b.fate is not Fate.KEPT and b.end_s > since
        for trial, since in zip(bins, chunk.since_s.tolist(), strict=True)
        for b in trial.bins
    )


def _measure_writes(
    chunk: _Chunk, service: str, ledger: Ledger, bins: Sequence[Bins], durable_differs: bool
) -> Doubt | None:
    def pieces(trial: int, node: str) -> Sequence[Piece]:
        return bins[trial].pieces.get(node, ())

    outages = chunk.outages()
    durable = chunk.outages() if durable_differs else None
    rule = chunk.scenario.services[service].retries
    doubt = Doubt(chunk.routes, service, rule, ledger) if rule is not None else None
    states, retried = chunk.states.get(service), chunk.retried(service)
    for slab in chunk.routes.writes(service, pieces):
        ledger.add(slab)
        if doubt is not None:
            doubt.add(slab)
        accepted = ledger.accepted(slab, Fate.KEPT, Fate.LOST, Fate.DIVERGENT, Fate.PENDING)
        outages.add(slab, accepted)
        if states is not None:
            states.add_write(slab, accepted)
        if retried is not None:
            retried.add(slab, accepted)
        if durable is not None:
            durable.add(slab, ledger.accepted(slab, Fate.KEPT))
    put_recovery(
        chunk.measures,
        chunk.scenario,
        service,
        "write",
        outages.finish(),
        None if durable is None else durable.finish(),
        chunk.early,
        chunk.chains,
    )
    if retried is not None:
        retried.put(chunk.measures, service, "write")
    if doubt is not None:
        doubt.finish()
    return doubt


def _table(episodes: Sequence[Episode]) -> dict[str, NDArray[np.generic]]:
    episodes = sorted(episodes, key=lambda episode: (episode.trial, episode.store, episode.start_s))
    return {
        "trial": np.array([episode.trial for episode in episodes], dtype=np.int64),
        "store": np.array([episode.store for episode in episodes], dtype=str),
        "kind": np.array([episode.kind for episode in episodes], dtype=str),
        "start_s": np.array([episode.start_s for episode in episodes], dtype=np.float64),
        "end_s": np.array([episode.end_s for episode in episodes], dtype=np.float64),
        "nodes": np.array([" ".join(episode.nodes) for episode in episodes], dtype=str),
    }
