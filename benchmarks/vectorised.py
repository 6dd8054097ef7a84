"""The drill as a Monte Carlo that somebody wrote by hand in NumPy, for this drill and nothing else.

Every step is an array over trials, or over trials and clients. It knows in advance what follows from what (the fence is
never confirmed, the lost region never returns), so it has no events, no state and no trace: this is about as fast as
the answer can be had in Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.answers import CLIENT_LEVELS, Answers
from benchmarks.drill import INPUTS, spread

if TYPE_CHECKING:
    from benchmarks.drill import Drill, Law, Stratum

CHUNK = 256


def simulate(drill: Drill, trials: int, seed: int) -> Answers:
    """Return what ``trials`` drills gave, simulated in chunks."""
    rng = np.random.default_rng(seed)
    parts = [_chunk(drill, min(CHUNK, trials - done), rng) for done in range(0, trials, CHUNK)]
    return Answers.joined(parts)


def _chunk(drill: Drill, count: int, rng: np.random.Generator) -> Answers:
    moved = _record_moved_s(drill, count, rng)
    writable, winner = _endpoint_moved_s(drill, count, rng)
    read_weights, read_times, write_weights, write_times = [], [], [], []
    for stratum in drill.strata:
        points = _points(stratum, count, rng)
        weights = np.full(stratum.points, stratum.weight / stratum.points)
        database = (
            writable[:, None] + points[:, :, 2] * drill.endpoint_ttl_s + drill.reconnect.quantile(points[:, :, 3])
        )
        if drill.answers[stratum.cohort] == drill.lost_region:
            route = _switched_s(stratum, moved, points)
            read_weights.append(weights)
            read_times.append(route)
            database = np.maximum(database, route)
        write_weights.append(weights)
        write_times.append(database)
    return Answers(
        read_s=_client_quantiles(read_times, read_weights),
        write_s=_client_quantiles(write_times, write_weights),
        loss_s=_loss_s(drill, winner, rng),
    )


def _record_moved_s(drill: Drill, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the time from the fault to the record's answers leaving the lost region."""
    first = rng.uniform(0.0, drill.check_every_s + drill.check_rtt_s, (count, drill.checkers))
    seen = first + drill.check_fails * drill.check_timeout_s + (drill.check_fails - 1) * drill.check_every_s
    verdict = np.partition(seen, drill.checkers_needed - 1, axis=1)[:, drill.checkers_needed - 1]
    return verdict + drill.applies.quantile(rng.random(count))


def _endpoint_moved_s(drill: Drill, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the time from the fault to the endpoint's new answer, and which candidate won."""
    phases = rng.uniform(0.0, drill.probe_every_s, (count, len(drill.report_s)))
    silent = phases + (drill.probe_fails - 1) * drill.probe_every_s + drill.probe_timeout_s + np.array(drill.report_s)
    time = silent.max(axis=1)
    for step in (drill.page, drill.acknowledge, drill.assess):
        time = time + step.quantile(rng.random(count))
    fencing = drill.fence_attempts * drill.fence_timeout_s + drill.override.quantile(rng.random(count))
    time = time + np.where(rng.random(count) < drill.misjudges, 0.0, fencing)
    winner = np.zeros(count, dtype=int)
    open_still = np.ones(count, dtype=bool)
    while open_still.any():
        failed = open_still & (rng.random(count) < drill.promotion_fails)
        time = time + np.where(failed, drill.promotion_timeout_s, 0.0)
        time = time + np.where(open_still & ~failed, drill.promotion.quantile(rng.random(count)), 0.0)
        winner = np.where(failed, (winner + 1) % len(drill.candidates_one_way_s), winner)
        open_still = failed
    return time + np.array(drill.command_s)[winner] + drill.move.quantile(rng.random(count)), winner


def _points(stratum: Stratum, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the clients' random inputs, shape (trials, points, inputs): one lattice, shifted in each trial."""
    return np.mod(spread(stratum.points) + rng.random((count, 1, INPUTS)), 1.0)


def _switched_s(stratum: Stratum, moved: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the time from the fault to each client knowing the new region, shape (trials, points)."""
    life = stratum.resolver_life_s
    residual = points[:, :, 0] * life
    if np.isfinite(stratum.lookups_per_s):
        mean = 1.0 / stratum.lookups_per_s
        holds = points[:, :, 4] < life / (life + mean)
        wait = -mean * np.log1p(-points[:, :, 5]) if stratum.serve_stale else 0.0
        residual = np.where(holds, residual, 0.0) + wait
    tail = _quantile_or_zero(stratum.overstay, points[:, :, 6])
    return moved[:, None] + residual + tail + points[:, :, 1] * stratum.cache_life_s


def _quantile_or_zero(law: Law, u: np.ndarray) -> np.ndarray | float:
    return law.a if law.kind == "constant" else law.quantile(u)


def _client_quantiles(times: list[np.ndarray], weights: list[np.ndarray]) -> np.ndarray:
    """Return the weighted quantiles over clients (inverted CDF) of each trial, shape (trials, levels)."""
    values = np.concatenate(times, axis=1)
    shares = np.concatenate(weights)
    order = np.argsort(values, axis=1)
    reached = np.cumsum(shares[order], axis=1)
    reached /= reached[:, -1:]
    found = [np.argmax(reached >= level - 1e-12, axis=1) for level in CLIENT_LEVELS]
    index = np.take_along_axis(order, np.stack(found, axis=1), axis=1)
    return np.take_along_axis(values, index, axis=1)


def _loss_s(drill: Drill, winner: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the data loss: from the first commit that did not get through to the fault.

    The stream is a fluid: what got through x seconds after the start of a burst is what the link could carry since, so
    the last byte that got through was written when that much had been written.
    """
    delay = np.array(drill.candidates_one_way_s)[winner]
    x = rng.uniform(0.0, drill.burst_every_s, len(winner))
    steady = drill.commits_per_s * drill.bytes_per_commit
    heavy = steady * drill.burst_rate
    in_burst = heavy * drill.burst_last_s
    carried = drill.bandwidth * x
    after = drill.burst_last_s + (carried - in_burst) / steady
    written_at = np.minimum(np.where(carried <= in_burst, carried / heavy, after), x)
    rate = drill.commits_per_s * np.where(written_at < drill.burst_last_s, drill.burst_rate, 1.0)
    until_next_commit = rng.random(len(winner)) / rate
    return np.maximum(delay + (x - written_at) - until_next_commit, 0.0)
