"""The unit of cost: one timeout of bare SimPy."""

from __future__ import annotations

import time
from collections.abc import Generator

import simpy


def timeouts_per_second(count: int = 300_000) -> float:
    """Return how many timeouts one process gets through in a second, one after the other."""

    def wait(env: simpy.Environment) -> Generator[simpy.Event, None, None]:
        for _ in range(count):
            yield env.timeout(1.0)

    env = simpy.Environment()
    env.process(wait(env))
    start = time.process_time()
    env.run()
    return count / (time.process_time() - start)
