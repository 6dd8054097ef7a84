"""The preset ``typical`` against the measured tail of clients that go on using an old answer."""

from __future__ import annotations

import numpy as np
import pytest

from mrsim.population import Population, seen_s
from mrsim.rng import Draws
from mrsim.scenario.loader import loads

TRIALS = 400
"""Of some hundred points each: a share of 2 % is known to within 0.02 % (five sigma); the bands are far wider."""

_TEXT = """
name: tail
regions: [here, there]
network: {{rtt: {{here/there: 50ms}}}}
stores:
  db: {{primary: here, standbys: [there], wal: {{commits: 1/s}}}}
services: {{app: {{reads: {{db: nearest}}, writes: db}}}}
dns: {{front: {{serves: app, policy: latency, ttl: 60s}}}}
clients: {{people: {{near: here, share: 100%, resolvers: {resolvers}, class: {kind}}}}}
"""


def _stale_share(resolvers: str, kind: str, times_s: list[float]) -> list[float]:
    """Return the mean share of clients that still use the old answer that long after it changed."""
    scenario = loads(_TEXT.format(resolvers=resolvers, kind=kind))
    population = Population(scenario)
    changed = np.zeros((TRIALS, 1))
    seen = seen_s(population.phases(Draws(1, 0, TRIALS)), "people", changed, scenario.dns["front"].ttl)[:, 0]
    weight = population.cohorts["people"].weight
    return [float(np.mean((seen > time) @ weight)) for time in times_s]


@pytest.mark.parametrize("kind", ["browser", "jvm"])
def test_two_in_a_hundred_are_stale_after_a_quarter_of_an_hour(kind: str) -> None:
    """Flavel, Mani and Maltz, LANMAN 2014: 2 % of users after 15 min; the accepted band is 1 to 4 %."""
    after_15, after_30 = _stale_share("typical", kind, [900.0, 1800.0])
    assert 0.01 < after_15 < 0.04
    assert 0.0 < after_30 < after_15


def test_nine_in_ten_have_switched_within_minutes() -> None:
    """The bulk is ordinary caching: most are gone once the TTL and the browser's minute are over."""
    after_2, after_5 = _stale_share("typical", "browser", [125.0, 300.0])
    assert after_2 < 0.12
    assert after_5 < 0.07


def test_nobody_is_stale_behind_honest_resolvers() -> None:
    assert _stale_share("honest", "browser", [120.5, 900.0]) == [0.0, 0.0]
