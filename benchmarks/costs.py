"""What things cost: trials, clients, regions, memory, starting."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import bare, subject, vectorised

if TYPE_CHECKING:
    from benchmarks.drill import Drill
    from mrsim.scenario.model import Scenario

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5
_MEMORY = """
import sys
from benchmarks import subject
from benchmarks.costs import peak_bytes
from mrsim.study.run import run
results = run(subject.bookstore(), trials=int(sys.argv[1]), seed=1, workers=1)
assert len(results.trials) == int(sys.argv[1])
print(peak_bytes())
"""
_STREAMED = """
import sys, tempfile
from benchmarks import subject
from benchmarks.costs import peak_bytes
from mrsim.report.text import run_report
from mrsim.study.run import run
with tempfile.TemporaryDirectory() as folder:
    results = run(subject.bookstore(), trials=int(sys.argv[1]), seed=1, workers=1, store=folder)
    run_report(results)
    assert results.n == int(sys.argv[1])
print(peak_bytes())
"""
_STUDY = """
import resource, sys, time
from benchmarks import subject
from mrsim.study.run import run
def used():
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)
if __name__ == "__main__":
    start, before = time.perf_counter(), used()
    run(subject.bookstore(), trials=int(sys.argv[1]), seed=1, workers=int(sys.argv[2]))
    print(time.perf_counter() - start, used() - before)
"""


def peak_bytes() -> int:
    """Return the peak resident size of this process.

    Linux is asked for the process's own high-water mark: what getrusage says there begins with the parent's.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def cpu_s(work: Callable[[], object]) -> float:
    """Return the processor time of some work in this process: a busy machine disturbs it less than the wall clock."""
    start = time.process_time()
    work()
    return time.process_time() - start


def against_peers(scenario: Scenario, drill: Drill, trials: int) -> dict[str, float]:
    """Return seconds per trial of mrsim (a) and the vectorised peer (c), per bare timeout (d), and ratios.

    Every round measures all of them, one after the other; ratios are medians over rounds of ratios within a round.
    """
    subject.simulate(scenario, 256, seed=1)
    rows = []
    for number in range(ROUNDS):
        mine = cpu_s(lambda seed=number: subject.simulate(scenario, trials, seed)) / trials
        by_hand = cpu_s(lambda seed=number: vectorised.simulate(drill, 4 * trials, seed)) / (4 * trials)
        timeout = 1.0 / bare.timeouts_per_second()
        rows.append({"a": mine, "c": by_hand, "d": timeout, "a/c": mine / by_hand, "a/d": mine / timeout})
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def per_trial_s(scenario: Scenario, trials: int) -> float:
    """Return seconds per trial, the better of two runs."""
    return min(cpu_s(lambda: subject.simulate(scenario, trials, seed=2)) / trials for _ in range(2))


def memory_bytes(trials: int) -> int:
    """Return the peak resident size of a process that runs the bookstore once."""
    return int(_said(_MEMORY, trials))


def streamed_bytes(trials: int) -> int:
    """Return the peak resident size of a process that writes the bookstore's trials to a store and reports on them."""
    return int(_said(_STREAMED, trials))


class Gain(NamedTuple):
    """What a second worker gains.

    Attributes
    ----------
    measured
        Seconds that more trials take with one worker, over those with two.
    possible
        What it would be with two cores to itself: twice the processor time of one worker over that of two and their
        parent. The difference to the other is what else runs on this machine.
    """

    measured: float
    possible: float


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gain(fewer: int, more: int) -> Gain:
    """Return what a second worker gains on the trials beyond the first ones; what starting costs is left out.

    The four studies are run one after the other, the long ones next to each other, so that a machine that is busy for a
    while disturbs all of them.
    """
    order = ((fewer, 1), (fewer, 2), (more, 2), (more, 1))
    took = {one: [float(word) for word in _said(_STUDY, *one).split()] for one in order}
    wall_s, processor_s = ([took[more, n][of] - took[fewer, n][of] for n in (1, 2)] for of in (0, 1))
    return Gain(wall_s[0] / wall_s[1], 2.0 * processor_s[0] / processor_s[1])


def _said(script: str, *arguments: int) -> str:
    """Return what a script prints in a process of its own; a file, because worker processes look for it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measured.py"
        path.write_text(script)
        command = [sys.executable, str(path), *map(str, arguments)]
        there = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=ROOT, env=there, capture_output=True, text=True, check=True).stdout


def start_s(*arguments: str) -> float:
    """Return the wall time of a fresh interpreter with these arguments, the best of seven."""
    times = []
    for _ in range(7):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    return min(times)
