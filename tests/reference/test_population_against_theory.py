"""When clients follow a change, against the closed forms. One point per trial is an independent draw.

Each comparison of distributions uses the Dvoretzky-Kiefer-Wolfowitz bound at a false-alarm rate of 1e-5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mrsim.distributions import Constant, Exponential, Pareto
from mrsim.entries import life
from mrsim.instances import endpoint_seen_s
from mrsim.lattices import lattice
from mrsim.population import Dimension, moved_s, seen_s
from mrsim.rng import Draws
from mrsim.scenario.clients import ClientClass, ResolverClass
from tests.measure import populations

Floats = NDArray[np.float64]
TRIALS = 20_000
ALPHA = 1e-5
BAND = math.sqrt(math.log(2 / ALPHA) / (2 * TRIALS))
CHANGE_S = 100.0


def waits(ttl_s: float = 60.0, client: dict[str, Any] | None = None, **resolver: Any) -> Floats:
    phases = populations.phases(TRIALS, users=populations.cohort(client=client, **resolver))
    times = seen_s(phases, "users", np.full((TRIALS, 1), CHANGE_S), ttl_s)
    return times[:, 0, 0] - CHANGE_S


def distance(sample: Floats, cdf: Callable[[Floats], Floats]) -> float:
    """Kolmogorov's distance of a sample from a distribution function, which may jump at 0."""
    values = np.unique(sample)
    ordered = np.sort(sample)
    above = np.searchsorted(ordered, values, side="right") / len(ordered)
    below = np.searchsorted(ordered, values, side="left") / len(ordered)
    just_below = cdf(values - 1e-9)
    return float(max(np.max(np.abs(above - cdf(values))), np.max(np.abs(below - just_below))))


def test_a_busy_resolver_is_uniform_over_its_life_against_theory() -> None:
    sample = waits(ttl_s=60.0, ttl_add=1.0)
    assert distance(sample, lambda x: np.clip(x / 61.0, 0, 1)) < BAND


def test_an_idle_resolver_holds_the_entry_with_the_renewal_share_against_theory() -> None:
    rate, ttl = 1 / 120, 60.0
    sample = waits(ttl_s=ttl, lookups=rate)
    held = rate * ttl / (1 + rate * ttl)
    assert distance(sample, lambda x: np.where(x < 0, 0, 1 - held + held * np.clip(x / ttl, 0, 1))) < BAND


def test_serve_stale_waits_for_one_more_look_up_against_theory() -> None:
    rate = 1 / 500
    sample = waits(ttl_s=1e-6, lookups=rate, serve_stale=True)
    assert distance(sample, lambda x: 1 - np.exp(-np.maximum(x, 0) * rate)) < BAND
    assert waits(ttl_s=60.0, serve_stale=True).max() <= 60.0


def test_layers_in_series_add_against_theory() -> None:
    """The sum of U(0, a) and U(0, b) with a >= b."""
    a, b = 60.0, 30.0
    sample = waits(ttl_s=a, client={"cache": b})

    def cdf(x: Floats) -> Floats:
        x = np.clip(x, 0, a + b)
        return np.select([x <= b, x <= a], [x * x / (2 * a * b), (x - b / 2) / a], 1 - (a + b - x) ** 2 / (2 * a * b))

    assert distance(sample, cdf) < BAND


def test_an_own_cache_that_honours_the_ttl_lives_no_longer() -> None:
    sample = waits(ttl_s=10.0, client={"cache": 3600.0, "honours_ttl": True})
    assert 15.0 < sample.max() <= 20.0


def test_a_program_that_keeps_addresses_for_ever_never_follows() -> None:
    users = populations.cohort()
    users = users.model_copy(update={"classes": {"jvm": ClientClass.model_construct(cache=float("inf"))}})
    times = seen_s(populations.phases(3, users=users), "users", np.zeros((3, 1)), 60.0)
    assert np.all(np.isinf(times))


def test_overstay_adds_its_tail_against_theory() -> None:
    tail = Pareto.through(0.90, 60.0, 0.98, 900.0)
    sample = waits(ttl_s=1e-9, overstay=tail)
    assert distance(sample, lambda x: tail.cdf(np.maximum(x, 0))) < BAND


@pytest.mark.parametrize(
    ("resolver", "ttl_s", "life_s"),
    [
        ({}, 30.0, 30.0),
        ({"ttl_add": 1.0}, 30.0, 31.0),
        ({"ttl_min": 60.0}, 30.0, 60.0),
        ({"ttl_max": 20.0, "ttl_add": 1.0}, 30.0, 21.0),
        ({"prefetch": 2.0, "prefetch_from_ttl": 9.0}, 9.0, 7.0),
        ({"prefetch": 2.0, "prefetch_from_ttl": 9.0}, 8.0, 8.0),
        ({"prefetch": 2.0, "prefetch_from_ttl": 9.0, "lookups": 0.1}, 9.0, 7.0),
        ({"ttl_add": 1.0, "prefetch": 1.0, "prefetch_share": 0.1, "tick": 1.0}, 39.0, 36.0),
    ],
)
def test_an_entry_lives_as_its_resolver_says(resolver: dict[str, Any], ttl_s: float, life_s: float) -> None:
    assert life(ResolverClass(share=1.0, **resolver), ttl_s).due_s == life_s


CLASSES = [
    {},
    {"lookups": 1 / 90},
    {"lookups": 1 / 90, "serve_stale": True},
    {"overstay": Exponential(200.0)},
    {"lookups": 1 / 90, "overstay": Exponential(200.0), "client": {"cache": 45.0}},
    {"client": {"cache": 30.0}},
    {"client": {"cache": 60.0, "honours_ttl": True, "pool_lifetime": 600.0, "breaks_after": 20.0}},
]


@pytest.mark.parametrize("kind", CLASSES)
def test_no_client_follows_a_change_before_it_and_order_is_kept(kind: dict[str, Any]) -> None:
    phases = populations.phases(200, users=populations.cohort(points=32, **kind))
    changes = np.cumsum(np.tile([100.0, 7.0, 40.0, 300.0], (200, 1)), axis=1)
    changes[::3, 3] = np.inf
    outages = [np.tile([90.0, 190.0], (200, 1, 1))] * 4
    times = seen_s(phases, "users", changes, 60.0, outages)
    assert times.shape == (200, 4, 128 if "overstay" in kind else 32)
    assert np.all(times >= changes[:, :, None])
    assert np.all(np.diff(times[:, :3], axis=1) >= 0)
    assert np.all(np.isinf(times[::3, 3]))
    assert np.any(times[:, 0] == times[:, 1]), "some clients skip an answer that lasted 7 s"


@pytest.mark.parametrize("kind", [k for k in CLASSES if "lookups" not in k])
def test_a_longer_ttl_is_never_followed_sooner(kind: dict[str, Any]) -> None:
    phases = populations.phases(100, users=populations.cohort(points=16, **kind))
    change = np.full((100, 1), 50.0)
    times = [seen_s(phases, "users", change, ttl) for ttl in (5.0, 30.0, 60.0, 300.0)]
    assert np.all(np.diff(times, axis=0) >= -1e-9)


def test_later_changes_follow_the_rhythm_of_the_first() -> None:
    phases = populations.phases(50, users=populations.cohort(points=8))
    first = np.full(50, 100.0)
    changes = np.stack([first, first + 1000.0], axis=1)
    times = seen_s(phases, "users", changes, 60.0)
    periods = (times[:, 1] - times[:, 0]) / 60.0
    np.testing.assert_allclose(periods, np.round(periods), atol=1e-9)
    assert np.all(times[:, 1] - 1100.0 < 60.0)


def test_pooled_connections_leave_at_their_age_or_when_they_break() -> None:
    kind = populations.cohort(points=64, client={"pool_lifetime": 1800.0, "breaks_after": 15.0})
    phases = populations.phases(20, users=kind)
    change = np.full((20, 1), 100.0)
    alive = seen_s(phases, "users", change, 60.0)
    silent = seen_s(phases, "users", change, 60.0, [np.tile([200.0, np.inf], (20, 1, 1))])
    assert alive.max() > 1700.0
    np.testing.assert_array_equal(silent[:, 0], np.minimum(alive[:, 0], np.maximum(215.0, silent[:, 0])))
    assert silent.max() == 215.0
    brief = seen_s(phases, "users", change, 60.0, [np.tile([200.0, 210.0], (20, 1, 1))])
    np.testing.assert_array_equal(brief, alive)


def test_instances_see_an_endpoint_uniformly_over_its_ttl_then_reconnect_against_theory() -> None:
    phases = populations.phases(TRIALS, users=populations.cohort())
    seen, works = endpoint_seen_s(phases, "users", np.full((TRIALS, 1), 7.0), 30.0, Exponential(3.0))
    assert distance(seen[:, 0, 0] - 7.0, lambda x: np.clip(x / 30.0, 0, 1)) < BAND
    assert distance((works - seen)[:, 0, 0], lambda x: 1 - np.exp(-np.maximum(x, 0) / 3.0)) < BAND
    _, at_once = endpoint_seen_s(phases, "users", np.full((TRIALS, 1), 7.0), 30.0, Constant(2.0))
    np.testing.assert_allclose(at_once, seen + 2.0)


def test_packets_follow_routes_by_the_declared_convergence_against_theory() -> None:
    """Anycast: F is the declared distribution; who was late at one change is as late at the next."""
    phases = populations.phases(TRIALS, users=populations.cohort())
    changes = np.broadcast_to([7.0, 8.0], (TRIALS, 2))
    times = moved_s(phases, "users", changes, Exponential(12.0))
    assert distance(times[:, 0, 0] - 7.0, lambda x: 1 - np.exp(-np.maximum(x, 0) / 12.0)) < BAND
    np.testing.assert_allclose(times[:, 1] - times[:, 0], 1.0)


def test_pools_stay_where_routes_led_until_their_connections_break() -> None:
    """Silent from 6 s on: a pool that finds broken connections within 5 s leaves at 11 s, or when routes have moved."""
    client = {"pool_lifetime": 1e9, "breaks_after": 5.0}
    phases = populations.phases(100, users=populations.cohort(client=client))
    silent = np.broadcast_to([[[6.0, np.inf]]], (100, 1, 2))
    times = moved_s(phases, "users", np.full((100, 1), 7.0), Constant(1.0), [silent])
    np.testing.assert_allclose(times, 11.0)
    late = moved_s(phases, "users", np.full((100, 1), 7.0), Constant(30.0), [silent])
    np.testing.assert_allclose(late, 37.0)


def test_the_lattice_is_even_in_every_dimension_and_embedded() -> None:
    for points in (8, 32, 128):
        for row in lattice(points, len(Dimension)):
            np.testing.assert_allclose(np.sort(row), np.arange(points) / points, atol=1e-12)
    np.testing.assert_array_equal(lattice(64, 9)[:, :32], lattice(32, 9))


def test_twice_the_points_leave_the_quantiles_in_place() -> None:
    """Resolver, cache and tail together: client quantiles stay within 3 s."""
    kind = {"overstay": Exponential(30.0), "client": {"cache": 30.0}}
    quantiles = []
    for points in (128, 256):
        phases = populations.phases(200, users=populations.cohort(points=points, **kind))
        times = seen_s(phases, "users", np.zeros((200, 1)), 60.0)[:, 0]
        quantiles.append([np.quantile(times, q, axis=1, method="inverted_cdf").mean() for q in (0.5, 0.95)])
    np.testing.assert_allclose(quantiles[0], quantiles[1], atol=3.0)


def test_a_cohort_of_share_zero_changes_no_other_number() -> None:
    users = populations.cohort(points=16, lookups=0.01)
    nobody = populations.cohort(points=4, share=0.0)
    alone = populations.phases(10, users=users)
    beside = populations.phases(10, nobody=nobody, users=users)
    change = np.full((10, 1), 3.0)
    np.testing.assert_array_equal(seen_s(alone, "users", change, 60.0), seen_s(beside, "users", change, 60.0))
    assert beside.population.weight.sum() == alone.population.weight.sum() == 1.0


def test_a_chunk_of_one_gives_the_numbers_of_a_chunk_of_many() -> None:
    population = populations.population(users=populations.cohort(points=8))
    many = population.phases(Draws(5, 0, 20)).of_cohort("users", Dimension.RESOLVER)
    one = population.phases(Draws(5, 13, 1)).of_cohort("users", Dimension.RESOLVER)
    np.testing.assert_array_equal(many[13], one[0])
