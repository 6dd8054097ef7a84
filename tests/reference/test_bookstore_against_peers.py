"""The bookstore against two other implementations of the same drill, which share its parameters and nothing else.

Two answers disagree if their 99.9 % intervals of a quantile over trials miss each other by more than the resolution of
the lattices of clients: for equal distributions that has a probability below 1e-5 per quantile (seeds are fixed).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import naive, subject, vectorised
from benchmarks.answers import Answers, disagreements, finest, of_the_lattice
from benchmarks.drill import Drill, Law, law, read, with_points
from mrsim.distributions import Constant, Distribution, Exponential, LogNormal, Pareto, Uniform

FINE = 8


@pytest.fixture(scope="module")
def drill() -> Drill:
    """Return the drill's parameters."""
    return read(subject.bookstore())


@pytest.fixture(scope="module")
def resolution(drill: Drill) -> dict[tuple[str, float], float]:
    """Return how far lattices of the scenario's size are from much finer ones."""
    coarse, fine = (vectorised.simulate(with_points(drill, factor), 512, seed=6) for factor in (1, 16))
    return of_the_lattice(coarse, fine)


@pytest.fixture(scope="module")
def by_hand(drill: Drill) -> Answers:
    """Return the vectorised peer's answers."""
    return vectorised.simulate(drill, 8192, seed=2)


def test_mrsim_agrees_with_the_vectorised_peer(by_hand: Answers, resolution: dict[tuple[str, float], float]) -> None:
    mine = subject.simulate(subject.bookstore(), 1024, seed=1)
    assert disagreements({"mrsim": mine, "by hand": by_hand}, resolution) == []


def test_naive_and_vectorised_peers_agree(
    drill: Drill, by_hand: Answers, resolution: dict[tuple[str, float], float]
) -> None:
    assert disagreements({"naive": naive.simulate(drill, 12, seed=3), "by hand": by_hand}, resolution) == []


@pytest.mark.slow
def test_all_models_agree_with_many_trials(
    drill: Drill, by_hand: Answers, resolution: dict[tuple[str, float], float]
) -> None:
    mine = subject.simulate(subject.bookstore(), 4096, seed=11)
    slowly = naive.simulate(drill, 60, seed=12)
    assert disagreements({"mrsim": mine, "naive": slowly, "by hand": by_hand}, resolution) == []


@pytest.mark.slow
def test_mrsim_agrees_with_the_vectorised_peer_on_fine_lattices(drill: Drill) -> None:
    fine, finest_of_all = (vectorised.simulate(with_points(drill, factor), 512, seed=6) for factor in (FINE, 64))
    mine = subject.simulate(subject.with_points(subject.bookstore(), FINE), 1024, seed=13)
    models = {"mrsim": mine, "by hand": vectorised.simulate(with_points(drill, FINE), 4096, seed=14)}
    assert disagreements(models, of_the_lattice(fine, finest_of_all)) == []


@pytest.mark.parametrize(
    ("change", "quantity"),
    [
        ({"check_fails": 4}, "read p50"),
        ({"fence_attempts": 4}, "write p50"),
        ({"candidates_one_way_s": (0.030, 0.113)}, "loss p50"),
        ({"burst_last_s": 240.0}, "loss p95"),
    ],
)
def test_another_drill_is_told_apart(
    drill: Drill,
    by_hand: Answers,
    resolution: dict[tuple[str, float], float],
    change: dict[str, object],
    quantity: str,
) -> None:
    other = vectorised.simulate(replace(drill, **change), 4096, seed=5)  # type: ignore[arg-type]
    found = disagreements({"one": by_hand, "other": other}, resolution)
    assert [line for line in found if line.startswith(quantity)]


def test_equal_answers_never_disagree(by_hand: Answers) -> None:
    assert disagreements({"one": by_hand, "same": by_hand}, finest()) == []


@pytest.mark.parametrize(
    "source", [Constant(3.0), Uniform(1.0, 2.0), LogNormal(1.0, 0.5), Exponential(4.0), Pareto(10.0, 0.6)], ids=str
)
def test_the_peers_read_the_parameters_of_a_law(source: Distribution) -> None:
    u = np.linspace(0.01, 0.99, 25)
    assert np.allclose(law(source).quantile(u), source.quantile(u), rtol=1e-12)


def test_the_peers_refuse_another_drill() -> None:
    scenario = subject.bookstore()
    (fault,) = scenario.faults
    arriving = scenario.model_copy(update={"faults": (fault.model_copy(update={"in_flight": "arrives"}),)})
    with pytest.raises(ValueError, match="silent region loss"):
        read(arriving)
    assert law(None) == Law("constant", 0.0)
