"""Caching resolvers against a resolver that is simulated look-up by look-up, and against closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mrsim.entries import Residual, answers_old_s, life
from mrsim.scenario.clients import ResolverClass

CYCLES = 40_000
DRAWN = 200_000
ALPHA = 1e-5


def _looked_up_one_by_one(resolver: ResolverClass, ttl_s: float, rate_per_s: float) -> np.ndarray:
    """Seconds for which old data is given out after a change, for changes at random instants far apart.

    The reference keeps a cache as the products do: arrival dated in whole ticks, dropped at its expiry, renewed by
    the look-up that finds it due. One change per cycle of look-ups, each cycle long enough to forget the last.
    """
    rng = np.random.default_rng(5)
    lived = life(resolver, ttl_s)
    tick = resolver.tick
    waits = np.empty(CYCLES)
    now = 0.0
    dated, version = -math.inf, 0
    for number in range(CYCLES):
        # Whole lives of spread: a busy resolver renews on a lattice of ticks, and the change must not favour a part.
        change = now + 4.0 * (lived.due_s + 1.0 / rate_per_s) + 4.0 * lived.due_s * rng.random()
        old_until = change
        while True:
            now += rng.exponential(1.0 / rate_per_s)
            due = dated + lived.due_s
            current = number + 1 if now >= change else number
            if now < due:
                answer = version
            elif now < due + lived.grace_s and version >= 0:
                answer, version = version, current
                dated = math.floor(now / tick) * tick if tick else now
            else:
                if now >= change and version == number:
                    old_until = max(change, due + lived.grace_s)
                answer = version = current
                dated = math.floor(now / tick) * tick if tick else now
            if now >= change:
                if answer == number:
                    old_until = now
                    if version == number + 1:
                        break
                else:
                    break
        waits[number] = old_until - change
    return waits


CASES: list[tuple[dict[str, Any], float, float]] = [
    ({}, 5.0, 0.2),
    ({"tick": 1.0}, 5.0, 0.2),
    ({"tick": 1.0, "ttl_add": 1.0}, 2.0, 10.0),
    ({"tick": 1.0, "ttl_add": 1.0, "prefetch": 1.0, "prefetch_share": 0.1}, 30.0, 0.1),
    ({"tick": 1.0, "prefetch": 2.0, "prefetch_from_ttl": 9.0}, 10.0, 0.4),
    ({"tick": 1.0, "ttl_add": 1.0, "serve_stale": True}, 5.0, 0.1),
]


@pytest.mark.parametrize(("values", "ttl_s", "rate_per_s"), CASES)
def test_old_answers_last_as_in_a_resolver_followed_look_up_by_look_up_against_theory(
    values: dict[str, Any], ttl_s: float, rate_per_s: float
) -> None:
    resolver = ResolverClass(share=1.0, lookups=rate_per_s, **values)
    real = np.sort(_looked_up_one_by_one(resolver, ttl_s, rate_per_s))
    u = np.random.default_rng(6).random((3, DRAWN))
    ours = np.sort(answers_old_s(life(resolver, ttl_s), resolver.tick, rate_per_s, *u))
    grid = np.concatenate([[0.0], np.quantile(ours, np.linspace(0.01, 0.999, 300))])
    apart = np.abs(
        np.searchsorted(real, grid, side="right") / CYCLES - np.searchsorted(ours, grid, side="right") / DRAWN
    )
    # Dvoretzky-Kiefer-Wolfowitz for both samples, at ALPHA together.
    bound = math.sqrt(math.log(4 / ALPHA) / 2) * (CYCLES**-0.5 + DRAWN**-0.5)
    assert apart.max() < bound


def test_without_ticks_the_residual_is_uniform_against_theory() -> None:
    u = np.array([0.1, 0.5, 0.9])
    assert np.allclose(Residual(60.0, 0.0, 1.0).quantile(u), 60.0 * u)


def test_a_rare_look_up_arrives_anywhere_in_its_tick_against_theory() -> None:
    """At a rate near 0 the arrival is uniform within the tick, so the mean life is half a tick short of the TTL."""
    assert Residual(5.0, 1.0, 1e-9).mean_life_s == pytest.approx(4.5, abs=1e-6)
    assert Residual(5.0, 1.0, 1e4).mean_life_s == pytest.approx(5.0, abs=5e-3)


def test_a_resolver_nobody_asks_holds_nothing() -> None:
    half = np.array([0.5])
    resolver = ResolverClass(share=1.0, lookups=0.0, serve_stale=True)
    assert answers_old_s(life(resolver, 60.0), 0.0, 0.0, half, half, half) == 0.0
