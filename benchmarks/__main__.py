"""Run all benchmarks: `python -m benchmarks [--quick]`; exits with 1 if the models disagree."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from dataclasses import dataclass

from benchmarks import costs, naive, subject, vectorised
from benchmarks.answers import (
    CONFIDENCE,
    Answers,
    Key,
    disagreements,
    interval,
    of_the_lattice,
)
from benchmarks.drill import Drill, read, with_points

MRSIM, BY_HAND = "(a) mrsim", "(c) NumPy by hand"
FINE, FINEST = 8, 64
"""Factors on the points of a stratum: for a comparison in which lattices matter less, and for where they end up."""
MAX_EVENTS, AIM_EVENTS = 1000, 500
MAX_RATIO, AIM_RATIO = 10, 5
MAX_BYTES = 2**30
MAX_GROWTH = 1.1
MIN_GAIN = 1.8
MIB = 2**20


@dataclass(frozen=True)
class Sizes:
    """How many trials each part runs."""

    agreement: int
    naive: int
    timing: int
    memory: int
    long: tuple[int, int]


FULL = Sizes(agreement=4096, naive=300, timing=1024, memory=100_000, long=(10_000, 60_000))
QUICK = Sizes(agreement=1024, naive=40, timing=256, memory=10_000, long=(10_000, 20_000))


def main() -> int:
    """Run, print one table after the other, and return the exit code."""
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer trials; the memory of 10,000 trials, not 100,000")
    sizes = QUICK if parser.parse_args().quick else FULL
    scenario = subject.bookstore()
    drill = read(scenario)
    points = sum(stratum.points for stratum in drill.strata)
    print(f"{scenario.name}: {points} points in {len(drill.strata)} strata, {len(drill.regions)} regions\n")
    naive_s, differ = agreement(drill, sizes)
    speed(drill, sizes, naive_s)
    scaling(sizes)
    long_studies(sizes)
    return report(differ)


def agreement(drill: Drill, sizes: Sizes) -> tuple[float, list[str]]:
    """Run all models on the drill and compare them; return the naive one's seconds per trial and the disagreements."""
    scenario = subject.bookstore()
    by_events: list[Answers] = []
    naive_s = costs.cpu_s(lambda: by_events.append(naive.simulate(drill, sizes.naive, seed=3))) / sizes.naive
    coarse = {
        MRSIM: subject.simulate(scenario, sizes.agreement, seed=1),
        "(b) naive SimPy": by_events[0],
        BY_HAND: vectorised.simulate(drill, 4 * sizes.agreement, seed=2),
    }
    fine = {
        MRSIM: subject.simulate(subject.with_points(scenario, FINE), sizes.agreement // 2, seed=4),
        BY_HAND: vectorised.simulate(with_points(drill, FINE), sizes.agreement, seed=5),
    }
    print(f"Agreement (90 % of the affected clients; quantiles over trials; {CONFIDENCE:.1%} intervals)")
    differ = []
    for title, factor, models in (("as the scenario says", 1, coarse), (f"{FINE} times as many points", FINE, fine)):
        resolution = of_the_lattice(*(lattice_only(drill, more, sizes.agreement // 4) for more in (factor, FINEST)))
        show(title, models, resolution)
        differ += disagreements(models, resolution)
    return naive_s, differ


def lattice_only(drill: Drill, factor: int, trials: int) -> Answers:
    """Return the vectorised peer's answers with more points and otherwise the same luck, whatever the factor."""
    return vectorised.simulate(with_points(drill, factor), trials, seed=6)


def show(title: str, models: dict[str, Answers], resolution: dict[Key, float]) -> None:
    """Print the judged quantiles of some models."""
    print(f"  {title}")
    for (quantity, level), size in resolution.items():
        print(f"    {quantity} p{level * 100:g} (resolution {size:.3f} s)")
        for name, answers in models.items():
            found = interval(answers.judged()[quantity], level)
            print(f"      {name:<18} {found.value:>9.3f} s  [{found.low:.3f}, {found.high:.3f}]  n={answers.trials}")


def speed(drill: Drill, sizes: Sizes, naive_s: float) -> None:
    """Print what a trial costs beside the peers."""
    found = costs.against_peers(subject.bookstore(), drill, sizes.timing)
    print("\nOne trial, one core (processor time)")
    print(f"  (a) mrsim              {found['a'] * 1e3:10.3f} ms   {1 / found['a']:10.0f} trials/s")
    print(f"  (b) naive SimPy        {naive_s * 1e3:10.3f} ms   {1 / naive_s:10.1f} trials/s")
    print(f"  (c) NumPy by hand      {found['c'] * 1e3:10.3f} ms   {1 / found['c']:10.0f} trials/s")
    print(f"  (d) bare SimPy timeout {found['d'] * 1e3:10.6f} ms   {1 / found['d']:10.0f} per second")
    print(f"  a trial of (a) in bare timeouts: {found['a/d']:.0f} ({bar(found['a/d'], MAX_EVENTS, AIM_EVENTS)})")
    print(f"  (a) / (c): {found['a/c']:.1f} ({bar(found['a/c'], MAX_RATIO, AIM_RATIO)})")
    print(f"  (b) / (a): {naive_s / found['a']:.0f}")


def bar(value: float, most: float, aim: float) -> str:
    """Return in words whether a ratio is below its bar and its aim."""
    verdict = "aim met" if value <= aim else "met" if value <= most else "MISSED"
    return f"bar {most:g}, aim {aim:g}: {verdict}"


def scaling(sizes: Sizes) -> None:
    """Print how the cost grows with trials, clients and regions, and what starting and memory cost."""
    scenario = subject.bookstore()
    base = costs.per_trial_s(scenario, sizes.timing)
    print("\nCost of a trial")
    for factor in (4, 16):
        print(f"  {factor:>2} times the trials    {costs.per_trial_s(scenario, sizes.timing * factor) / base:6.2f} x")
    print(f"   4 times the clients   {costs.per_trial_s(subject.with_points(scenario, 4), sizes.timing) / base:6.2f} x")
    for regions in (10, 30):
        larger = subject.with_regions(scenario, regions)
        print(f"  {regions} regions instead of 3 {costs.per_trial_s(larger, sizes.timing) / base:6.2f} x")
    used = costs.memory_bytes(sizes.memory)
    print("\nMemory and start")
    print(f"  {sizes.memory} trials           {used / MIB:8.0f} MiB  (bar {MAX_BYTES / MIB:.0f} MiB)")
    nothing = costs.start_s("-c", "pass")
    print(f"  python -c pass          {nothing * 1e3:8.0f} ms")
    print(f"  import mrsim            {(costs.start_s('-c', 'import mrsim') - nothing) * 1e3:8.0f} ms more")
    print(f"  mrsim --help            {(costs.start_s('-m', 'mrsim', '--help') - nothing) * 1e3:8.0f} ms more")


def long_studies(sizes: Sizes) -> None:
    """Print what a second worker gains on a long study, and how memory grows with one that is written to a store."""
    fewer, more = sizes.long
    found = costs.gain(fewer, more)
    print(f"\nLong studies: {more} trials against {fewer}")
    if costs.cores() < 2:
        print("  a second worker gains nothing here: one core")
    else:
        print(f"  a second worker gains {found.measured:.2f} x ({at_least(found.measured, MIN_GAIN)})")
        print(f"    {found.possible:.2f} x by processor time: the rest is what else runs on this machine")
    peaks = [costs.streamed_bytes(trials) for trials in sizes.long]
    growth = peaks[1] / peaks[0]
    verdict = "met" if growth <= MAX_GROWTH else "MISSED"
    print(f"  memory with a store   {growth:.2f} x (bar {MAX_GROWTH:g}: {verdict}), {peaks[1] / MIB:.0f} MiB")


def at_least(value: float, bar: float) -> str:
    """Return in words whether a ratio reaches its bar."""
    return f"bar {bar:g}: {'met' if value >= bar else 'MISSED'}"


def report(differ: list[str]) -> int:
    """Print where models disagree and return the exit code."""
    if differ:
        print("\nThe models disagree, so the costs above compare different things:")
        for line in differ:
            print(f"  {line}")
        return 1
    print("\nThe models agree within sampling error and the resolution of their lattices.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
