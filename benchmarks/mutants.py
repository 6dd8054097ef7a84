"""Mutation testing of engine and measures, on a random sample: ``python -m benchmarks.mutants [NUMBER] [SEED]``.

mutmut changes one thing at a time in a copy of the repository, and the tests that reach it should fail. All mutants
together would take days, so a sample of them is drawn. The share that was killed is printed with its interval, and the
survivors by name; ``mutmut show NAME`` in the copy shows each.

It takes hours. Ctrl-C stops it and reports what has been tested by then; ``--copy PLACE`` goes on in the copy of a run
that was stopped, if asked for the same sample. ``--names NAME ...`` tests these instead of a sample (a name means
another change once its function has been edited). ``docs/mutation.md`` keeps what was found.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path

from scipy import stats

ROOT = Path(__file__).resolve().parents[1]
SURVIVED = {0, 5, 33}
"""mutmut's codes for what no test noticed: the tests passed, or none reaches it."""
UNTESTED = {None, 2, 34}
"""Not run yet, interrupted, skipped."""
FIRST = "mrsim.measure.splitbrain.x__written__mutmut_1"
"""Whose test makes mutmut list all mutants."""


def copy() -> Path:
    """Return a fresh copy of what git knows of this repository, with its commit noted in it."""
    place = Path(tempfile.mkdtemp(prefix="mutants-"))
    for name in filter(None, _git("ls-files", "-z").split("\0")):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place / name)
    (place / "COMMIT").write_text(_git("describe", "--always", "--dirty").strip(), encoding="utf-8")
    return place


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout.decode()


def run(place: Path, names: list[str]) -> None:
    """Let mutmut test some mutants."""
    environment = os.environ | {"HYPOTHESIS_PROFILE": "unshrunk"}
    subprocess.run([sys.executable, "-m", "mutmut", "run", *names], cwd=place, env=environment, check=False)


def codes(place: Path) -> dict[str, int | None]:
    """Return what came of every mutant; None if it was not tested."""
    found: dict[str, int | None] = {}
    for path in sorted((place / "mutants" / "mrsim").rglob("*.meta")):
        found |= json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def report(commit: str, found: dict[str, int | None], chosen: list[str], sampled: str) -> str:
    """Return how many of the chosen mutants were killed, of those that were tested, and which survived."""
    tested = [name for name in chosen if found[name] not in UNTESTED]
    survived = [name for name in tested if found[name] in SURVIVED]
    lines = [f"commit {commit}, {len(found)} mutants in all, {sampled}: {len(tested)} of {len(chosen)} tested"]
    if tested:
        killed = len(tested) - len(survived)
        interval = stats.binomtest(killed, len(tested)).proportion_ci(0.9)
        lines += [
            f"{killed} killed: {killed / len(tested):.0%} (90 % interval {interval.low:.0%} to {interval.high:.0%})"
        ]
    return "\n".join([*lines, "survivors:", *survived])


def main(arguments: list[str] | None = None) -> int:
    """Test mutants and report them; exit with 1 if nothing could be tested."""
    parser = ArgumentParser(prog="python -m benchmarks.mutants", description="Mutation testing on a random sample.")
    parser.add_argument("number", nargs="?", type=int, default=150, help="size of the sample (150)")
    parser.add_argument("seed", nargs="?", type=int, default=1, help="seed of the sample (1)")
    parser.add_argument("--copy", type=Path, metavar="PLACE", help="go on in the copy of a run that was stopped")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="test these instead of a sample")
    given = parser.parse_args(arguments)
    if given.copy and not given.copy.is_dir():
        parser.error(f"no copy at {given.copy}")
    place = given.copy or copy()
    print(f"copy: {place}", flush=True)
    with suppress(KeyboardInterrupt):
        if not codes(place):
            run(place, [FIRST])
    known = codes(place)
    chosen = given.names or random.Random(given.seed).sample(sorted(known), min(given.number, len(known)))
    unknown = [name for name in chosen if name not in known]
    if unknown or not known:
        print("no such mutants:", *unknown, sep="\n  ")
        return 1
    left = [name for name in chosen if given.names or known[name] in UNTESTED]
    with suppress(KeyboardInterrupt):
        if left:
            run(place, left)
    noted = place / "COMMIT"
    commit = noted.read_text(encoding="utf-8") if noted.exists() else "unknown"
    sampled = "by name" if given.names else f"sample of {given.number}, seed {given.seed}"
    print("", report(commit, codes(place), chosen, sampled), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
