"""The drill as one would first write it in SimPy: every probe an event, every client a process.

A client is three processes: its resolver's entry, its program's cache and the service instance it talks to, each waking
up at every expiry. Clients end when they are served again; the checkers probe on until everybody is, or to the horizon.
"""

from __future__ import annotations

import math
import random
from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np
import simpy

from benchmarks.answers import CLIENT_LEVELS, Answers
from benchmarks.drill import INPUTS, spread

if TYPE_CHECKING:
    from benchmarks.drill import Drill, Law, Stratum

Process = Generator[simpy.Event, None, None]


def simulate(drill: Drill, trials: int, seed: int) -> Answers:
    """Return what ``trials`` drills gave, one after the other."""
    return Answers.joined([_Trial(drill, random.Random(f"{seed}/{number}")).run() for number in range(trials)])


def _draw(law: Law, rng: random.Random) -> float:
    if law.kind == "constant":
        return law.a
    if law.kind == "uniform":
        return rng.uniform(law.a, law.b)
    if law.kind == "lognormal":
        return rng.lognormvariate(law.a, law.b)
    if law.kind == "exponential":
        return rng.expovariate(1.0 / law.a)
    return law.a * rng.paretovariate(law.b)


class _Client:
    """What one client knows, and when it was served again."""

    def __init__(self, stratum: Stratum, inputs: list[float]) -> None:
        self.stratum = stratum
        self.inputs = inputs
        self.weight = stratum.weight / stratum.points
        self.resolver_says = ""
        self.program_says = ""
        self.instance_says = "old"
        self.read_at = float("inf")
        self.write_at = float("inf")


class _Trial:
    """One drill."""

    def __init__(self, drill: Drill, rng: random.Random) -> None:
        self.drill = drill
        self.rng = rng
        self.env = simpy.Environment()
        self.fault_s = rng.uniform(0.0, drill.fault_window_s)
        self.lost = False
        self.unhealthy = {region: [False] * drill.checkers for region in drill.regions}
        self.avoided: set[str] = set()
        self.moved = self.env.event()
        self.endpoint = "old"
        self.silent = [False] * len(drill.probe_rtts_s)
        self.all_silent = self.env.event()
        self.winner = 0
        self.bursts: list[tuple[float, float]] = []
        self.loss_s = 0.0
        self.clients = [client for stratum in drill.strata for client in self._clients(stratum)]
        self.waiting = len(self.clients)
        self.everybody_served = self.env.event()

    def _clients(self, stratum: Stratum) -> list[_Client]:
        shift = np.array([self.rng.random() for _ in range(INPUTS)])
        return [_Client(stratum, inputs) for inputs in np.mod(spread(stratum.points) + shift, 1.0).tolist()]

    def run(self) -> Answers:
        """Play the drill and return its answers, as one row."""
        env, drill = self.env, self.drill
        env.process(self._fault())
        env.process(self._writers())
        for region in drill.regions:
            for number in range(drill.checkers):
                env.process(self._checker(region, number))
        for number in range(len(drill.probe_rtts_s)):
            env.process(self._prober(number))
        env.process(self._controller())
        for client in self.clients:
            env.process(self._resolver(client))
            env.process(self._instance(client))
        env.run(until=env.any_of([self.everybody_served, env.timeout(drill.horizon_s)]))
        reads = [c for c in self.clients if drill.answers[c.stratum.cohort] == drill.lost_region]
        return Answers(
            read_s=self._quantiles([c.read_at for c in reads], [c.weight for c in reads]),
            write_s=self._quantiles([c.write_at for c in self.clients], [c.weight for c in self.clients]),
            loss_s=np.array([self.loss_s]),
        )

    def _quantiles(self, times: list[float], weights: list[float]) -> np.ndarray:
        total, reached, found = sum(weights), 0.0, []
        for time, weight in sorted(zip(times, weights, strict=True)):
            reached += weight
            while len(found) < len(CLIENT_LEVELS) and reached >= (CLIENT_LEVELS[len(found)] - 1e-12) * total:
                found.append(time - self.fault_s)
        return np.array([found])

    def _fault(self) -> Process:
        yield self.env.timeout(self.fault_s)
        self.lost = True

    def _writers(self) -> Process:
        """Keep a list of when the bursts began and ended."""
        drill = self.drill
        begin = -self.rng.uniform(0.0, drill.burst_every_s)
        while True:
            self.bursts.append((begin, begin + drill.burst_last_s))
            begin += drill.burst_every_s
            yield self.env.timeout(begin - self.env.now)

    def _checker(self, region: str, number: int) -> Process:
        """Probe a front door for ever; the next probe starts an interval after the answer, or after giving up."""
        drill, env = self.drill, self.env
        failures = 0
        yield env.timeout(self.rng.uniform(0.0, drill.check_every_s + drill.check_rtt_s))
        while True:
            if self.lost and region == drill.lost_region:
                yield env.timeout(drill.check_timeout_s)
                failures += 1
            else:
                yield env.timeout(drill.check_rtt_s)
                failures = 0
            if (failures >= drill.check_fails) != self.unhealthy[region][number]:
                self.unhealthy[region][number] = not self.unhealthy[region][number]
                if sum(self.unhealthy[region]) == drill.checkers_needed:
                    env.process(self._avoid(region))
            yield env.timeout(drill.check_every_s)

    def _avoid(self, region: str) -> Process:
        yield self.env.timeout(_draw(self.drill.applies, self.rng))
        self.avoided.add(region)
        self.moved.succeed()

    def _prober(self, number: int) -> Process:
        """Probe the primary for ever, at fixed times."""
        drill, env = self.drill, self.env
        failures = 0
        yield env.timeout(self.rng.uniform(0.0, drill.probe_every_s))
        while True:
            start = env.now
            if self.lost:
                yield env.timeout(drill.probe_timeout_s)
                failures += 1
            else:
                yield env.timeout(drill.probe_rtts_s[number])
                failures = 0
            if failures == drill.probe_fails:
                env.process(self._report(number))
            yield env.timeout(start + drill.probe_every_s - env.now)

    def _report(self, number: int) -> Process:
        yield self.env.timeout(self.drill.report_s[number])
        self.silent[number] = True
        if all(self.silent):
            self.all_silent.succeed()

    def _controller(self) -> Process:
        """Page, acknowledge, assess, fence in vain, override, promote, move the endpoint."""
        drill, env, rng = self.drill, self.env, self.rng
        yield self.all_silent
        for step in (drill.page, drill.acknowledge, drill.assess):
            yield env.timeout(_draw(step, rng))
        if rng.random() >= drill.misjudges:
            for _ in range(drill.fence_attempts):
                yield env.timeout(drill.fence_timeout_s)
            yield env.timeout(_draw(drill.override, rng))
        while rng.random() < drill.promotion_fails:
            yield env.timeout(drill.promotion_timeout_s)
            self.winner = (self.winner + 1) % len(drill.candidates_one_way_s)
        yield env.timeout(drill.command_s[self.winner] + _draw(drill.promotion, rng))
        self.loss_s = self._loss()
        yield env.timeout(_draw(drill.move, rng))
        self.endpoint = "new"

    def _resolver(self, client: _Client) -> Process:
        """Keep the resolver's entry, and see the new answer through to the program."""
        env, stratum = self.env, client.stratum
        client.resolver_says = client.program_says = self._answer(client)
        if client.resolver_says != self.drill.lost_region:
            return
        if stratum.cache_life_s > 0:
            env.process(self._program(client))
        if stratum.lookups_per_s < float("inf"):
            yield from self._idle_resolver(client)
        else:
            yield from self._busy_resolver(client)
        client.resolver_says = self._answer(client)
        # The phase of the program's cache is drawn when it begins to matter, which leaves its law as it is.
        yield env.timeout(client.inputs[1] * stratum.cache_life_s)
        client.program_says = client.resolver_says
        self._look(client)

    def _busy_resolver(self, client: _Client) -> Process:
        """Renew the entry of a name that is asked for all the time, until the answer is another."""
        env, stratum = self.env, client.stratum
        yield env.timeout(client.inputs[0] * stratum.resolver_life_s)
        while self._answer(client) == client.resolver_says:
            yield env.timeout(stratum.resolver_life_s)
        if stratum.overstay.kind != "constant":
            yield env.timeout(float(stratum.overstay.quantile(np.float64(client.inputs[6]))))

    def _idle_resolver(self, client: _Client) -> Process:
        """Wait for a name that is asked for now and then: mostly there is no entry to expire."""
        stratum = client.stratum
        life, mean = stratum.resolver_life_s, 1.0 / stratum.lookups_per_s
        yield self.moved
        if client.inputs[4] < life / (life + mean):
            yield self.env.timeout(client.inputs[0] * life)
        if stratum.serve_stale:
            yield self.env.timeout(-mean * math.log1p(-client.inputs[5]))

    def _answer(self, client: _Client) -> str:
        drill, cohort = self.drill, client.stratum.cohort
        usual = drill.answers[cohort]
        return drill.answers_after[cohort] if usual in self.avoided else usual

    def _program(self, client: _Client) -> Process:
        """Keep the program's own cache: ask the resolver whenever it expires."""
        while client.resolver_says == self.drill.lost_region:
            yield self.env.timeout(client.stratum.cache_life_s)

    def _instance(self, client: _Client) -> Process:
        """Keep the service instance's view of where the primary is."""
        yield self.env.timeout(client.inputs[2] * self.drill.endpoint_ttl_s)
        while self.endpoint == "old":
            yield self.env.timeout(self.drill.endpoint_ttl_s)
        yield self.env.timeout(float(self.drill.reconnect.quantile(np.float64(client.inputs[3]))))
        client.instance_says = "new"
        self._look(client)

    def _look(self, client: _Client) -> None:
        """Note when a client is served again."""
        if client.program_says == self.drill.lost_region:
            return
        if client.read_at == float("inf") and self.lost:
            client.read_at = self.env.now
        if client.instance_says == "new" and client.write_at == float("inf"):
            client.write_at = self.env.now
            self.waiting -= 1
            if not self.waiting:
                self.everybody_served.succeed()

    def _loss(self) -> float:
        """Walk through what was written and what the link carried, and find the first commit that was not."""
        drill = self.drill
        until = self.fault_s - drill.candidates_one_way_s[self.winner]
        begin, end = (
            [burst for burst in self.bursts if burst[0] <= until][-1] if self.bursts[0][0] <= until else (until, until)
        )
        steady = drill.commits_per_s * drill.bytes_per_commit
        carried = drill.bandwidth * (until - begin)
        in_burst = steady * drill.burst_rate * drill.burst_last_s
        if carried < in_burst:
            reached = min(begin + carried / (steady * drill.burst_rate), until)
        else:
            reached = min(end + (carried - in_burst) / steady, until)
        rate = drill.commits_per_s * (drill.burst_rate if reached < end else 1.0)
        return max(self.fault_s - reached - self.rng.random() / rate, 0.0)
