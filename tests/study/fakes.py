"""Studies of known distributions: chunk functions whose answers follow from theory, not from a simulation.

They are module-level functions, as worker processes need them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrsim.measure import Measures, Status
from mrsim.rng import Draws
from mrsim.scenario.budgets import Budget
from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario
from mrsim.study.collect import CHUNK, Chunk
from mrsim.study.executors import RunChunk
from mrsim.trace import PHASES

RTO = "rto_s{service=orders,op=write,clients=95%,of=affected}"
LOSS = "data_loss_s{store=orders-db}"
SPLIT = "split_brain{store=orders-db}"
LATENCY = "write_latency_s{service=orders,from=all,writes=mean,when=before}"
AFFECTED = "affected_share{service=orders,op=write}"
CURVE = "restored{service=orders,op=write}"
OUTAGE = "service=orders,op=write"

RTO_MEAN_S = 200.0
"""Recovery times are exponential with this mean."""

HORIZON_S = 1000.0
"""Longer recoveries are censored here: a share exp(-5) = 0.67 % of them."""

NO_EFFECT_SHARE = 0.05
SPLIT_SHARE = 0.02

TEXT = """
name: fake
horizon: 4h
regions: [us-east, eu-west]
network: {rtt: aws-2026, wal_bandwidth: {us-east/*: 40Mbit/s}}
stores:
  orders-db: {primary: us-east, standbys: [eu-west], commit: async, wal: {commits: 200/s, bytes_per_commit: 2KB}}
services:
  orders: {writes: orders-db}
dns:
  shop: {serves: [orders], policy: latency, ttl: 60s}
clients:
  users: {near: us-east, share: 100%, resolvers: typical, class: browser}
faults:
  - {kind: region-loss, region: us-east, at: random, lasts: permanent, connections: hang, in_flight: lost}
"""


def scenario(*budgets: Budget) -> Scenario:
    """Return a small scenario with these budgets."""
    return loads(TEXT).model_copy(update={"budgets": budgets})


def budget(column: str, text: str, level: str = "error") -> Budget:
    """Return a budget on a column, such as ``p95 < 300`` in base units."""
    name, _, inside = column.partition("{")
    aggregation, op, limit = text.split()
    labels = dict(pair.split("=") for pair in inside.removesuffix("}").split(",") if pair)
    fields = {"aggregation": aggregation, "op": op, "limit": float(limit), "level": level, "text": text, "key": column}
    return Budget.model_validate({"metric": name, "labels": labels, **fields})


def fake_measures(seed: int, first: int, count: int) -> Measures:
    """Return measures of known distributions: exponential recovery, uniform loss, a rare split."""
    u = Draws(seed, first, count).uniforms("fake", 4)
    rto = -RTO_MEAN_S * np.log(u[:, 0])
    status = np.full(count, Status.OBSERVED, dtype=np.int8)
    status[rto > HORIZON_S] = Status.CENSORED
    rto = np.minimum(rto, HORIZON_S)
    nobody = u[:, 1] < NO_EFFECT_SHARE
    status[nobody] = Status.NO_EFFECT
    rto[nobody] = np.nan
    split = u[:, 2] < SPLIT_SHARE
    values = {
        RTO: rto,
        LOSS: 10.0 * u[:, 3],
        SPLIT: split.astype(np.float64),
        LATENCY: np.full(count, 0.08),
        AFFECTED: np.where(nobody, 0.0, 0.5),
        f"rto_mean_s{{{OUTAGE}}}": rto,
    }
    finished = status == Status.OBSERVED
    shares = {"detection": 0.2, "decision": 0.5, "propagation": 0.3}
    for part in PHASES:
        seconds = np.where(finished, rto * shares.get(part, 0.0), rto if part == "unresolved" else 0.0 * rto)
        values[f"phase_s{{{OUTAGE},part={part}}}"] = seconds
        values[f"phase_at_s{{{OUTAGE},clients=95%,part={part}}}"] = seconds
    grid = np.array([0.0, 10.0, 100.0, 1000.0])
    trial: NDArray[np.int64] = first + np.flatnonzero(split)
    return Measures(
        first=first,
        count=count,
        values=values,
        status={RTO: status, LOSS: np.zeros(count, dtype=np.int8)},
        episodes={"trial": trial, "store": np.full(len(trial), "orders-db"), "start_s": 100.0 * u[split, 0]},
        curves={CURVE: (rto[:, None] <= grid).astype(np.float32)},
        curve_times_s=grid,
    )


def in_all(count: int) -> NDArray[np.bool_]:
    """Return that the one fault began, or had an effect, in each of so many trials."""
    return np.ones((count, 1), dtype=bool)


def build(_: Scenario) -> RunChunk:
    """Build the chunk function of known distributions; its fault has an effect wherever somebody is affected."""

    def run_chunk(seed: int, first: int, count: int) -> Chunk:
        measures = fake_measures(seed, first, count)
        return Chunk(measures, in_all(count), measures.values[AFFECTED][:, None] > 0)

    return run_chunk


def build_without_effect(_: Scenario) -> RunChunk:
    """Build the same study, in which the fault never does anything."""

    def run_chunk(seed: int, first: int, count: int) -> Chunk:
        return Chunk(fake_measures(seed, first, count), in_all(count), ~in_all(count))

    return run_chunk


def spoiled(spoil: Callable[[int, int], None]) -> Callable[[Scenario], RunChunk]:
    """Return a builder whose chunk function calls ``spoil`` with first trial and count before it runs."""

    def make(which: Scenario) -> RunChunk:
        inner = build(which)

        def run_chunk(seed: int, first: int, count: int) -> Chunk:
            spoil(first, count)
            return inner(seed, first, count)

        return run_chunk

    return make


def _covers(first: int, count: int, trial: int) -> bool:
    return first <= trial < first + count


BROKEN_TRIAL = 700


def _break(first: int, count: int) -> None:
    if _covers(first, count, BROKEN_TRIAL):
        raise ZeroDivisionError("by zero")


def build_broken(which: Scenario) -> RunChunk:
    """Build a study in which one trial goes wrong."""
    return spoiled(_break)(which)


DIES_FILE = "MRSIM_TEST_DIES"
"""Environment variable with the file that counts how often the worker died."""


def _die(first: int, count: int, times: int) -> None:
    if not _covers(first, count, 2 * CHUNK):
        return
    path = Path(os.environ[DIES_FILE])
    deaths = int(path.read_text()) if path.exists() else 0
    if deaths < times:
        path.write_text(str(deaths + 1))
        os._exit(1)


def build_dies_once(which: Scenario) -> RunChunk:
    """Build a study whose third chunk kills its worker the first time."""
    return spoiled(lambda first, count: _die(first, count, 1))(which)


def build_dies_always(which: Scenario) -> RunChunk:
    """Build a study whose third chunk kills its worker every time."""
    return spoiled(lambda first, count: _die(first, count, 1000))(which)


def build_paced(which: Scenario) -> RunChunk:
    """Build a study in which each chunk takes a moment."""
    return spoiled(lambda *_: time.sleep(0.02))(which)


def build_slow(which: Scenario) -> RunChunk:
    """Build a study in which each chunk takes a fifth of a second."""
    return spoiled(lambda *_: time.sleep(0.2))(which)


def build_stuck(which: Scenario) -> RunChunk:
    """Build a study in which a chunk takes longer than anybody waits."""
    return spoiled(lambda *_: time.sleep(300.0))(which)


def build_dotted(_: Scenario) -> RunChunk:
    """Build a study with a quantile of clients that has decimals, and without a split."""

    def run_chunk(seed: int, first: int, count: int) -> Chunk:
        measures = fake_measures(seed, first, count)
        measures.values["rto_s{service=orders,op=write,clients=99.9%,of=affected}"] = np.arange(count, dtype=float)
        measures.episodes = {}
        return Chunk(measures, in_all(count), in_all(count))

    return run_chunk


def build_wide(_: Scenario) -> RunChunk:
    """Build a study with as many columns and as long curves as a scenario of a few services has."""

    def run_chunk(seed: int, first: int, count: int) -> Chunk:
        measures = fake_measures(seed, first, count)
        measures.values |= {
            f"rto_s{{service=s{index},op=read,clients=95%,of=affected}}": measures.values[LOSS] for index in range(225)
        }
        measures.curve_times_s = np.arange(96.0)
        measures.curves = {
            f"restored{{service=s{index},op=read}}": np.ones((count, 96), np.float32) for index in range(3)
        }
        return Chunk(measures, in_all(count), in_all(count))

    return run_chunk
