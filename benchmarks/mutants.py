"""Mutation testing of engine and measures, on a random sample: ``python -m benchmarks.mutants [NUMBER] [SEED]``.

mutmut changes one thing at a time in a copy of the repository, and the tests that reach it should fail. All mutants
together would take days, so a sample of them is drawn. The share that was killed is printed with its interval, and the
survivors by name; ``mutmut show NAME`` in the copy shows each.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scipy import stats

ROOT = Path(__file__).resolve().parents[1]
SURVIVED, NO_TESTS = 0, 33
"""mutmut's codes: the tests passed; no test reaches it."""


def copy() -> Path:
    """Return a fresh copy of what git knows of this repository."""
    place = Path(tempfile.mkdtemp(prefix="mutants-"))
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place / name)
    return place


def run(place: Path, names: list[str]) -> None:
    """Let mutmut test some mutants."""
    environment = os.environ | {"HYPOTHESIS_PROFILE": "unshrunk"}
    subprocess.run([sys.executable, "-m", "mutmut", "run", *names], cwd=place, env=environment, check=False)


def codes(place: Path) -> dict[str, int | None]:
    """Return what came of every mutant; None if it was not tested."""
    found: dict[str, int | None] = {}
    for path in sorted((place / "mutants" / "mrsim").rglob("*.meta")):
        found |= json.loads(path.read_text())["exit_code_by_key"]
    return found


def main(number: int = 150, seed: int = 1) -> None:
    """Test a sample of mutants and report it."""
    place = copy()
    print(f"copy: {place}", flush=True)
    run(place, ["mrsim.measure.splitbrain.x__written__mutmut_1"])
    everything = codes(place)
    chosen = random.Random(seed).sample(sorted(everything), number)
    run(place, chosen)
    found = codes(place)
    tested = [name for name in chosen if found[name] is not None]
    survived = [name for name in tested if found[name] in (SURVIVED, NO_TESTS)]
    killed = len(tested) - len(survived)
    interval = stats.binomtest(killed, len(tested)).proportion_ci(0.9)
    print(f"\n{killed} of {len(tested)} killed ({killed / len(tested):.0%}), of {len(everything)} mutants in all")
    print(f"90 % interval: {interval.low:.0%} to {interval.high:.0%}; sample {number}, seed {seed}; survivors:")
    print("\n".join(survived))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
