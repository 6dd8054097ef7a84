"""What things cost: trials, clients, regions, memory, starting."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

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
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(trials)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def start_s(*arguments: str) -> float:
    """Return the wall time of a fresh interpreter with these arguments, the best of seven."""
    times = []
    for _ in range(7):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    return min(times)
