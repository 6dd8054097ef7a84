"""What starting costs: `import mrsim` and `mrsim --help` load no heavy package."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture import tree

HEAVY = {"pandas", "matplotlib", "scipy", "simpy", "pyarrow", "distributed", "rich", "ruamel.yaml"}


def imported_by(*arguments: str) -> set[str]:
    """Return the modules that a fresh interpreter imports for the arguments."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], cwd=tree.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert len(rows) > 20
    return set(rows)


@pytest.mark.parametrize(
    "arguments", [("-c", "import mrsim"), ("-m", "mrsim", "--help"), ("-m", "mrsim", "--version")], ids=" ".join
)
def test_starting_loads_no_heavy_package(arguments: tuple[str, ...]) -> None:
    loaded = imported_by(*arguments)
    assert "mrsim" in loaded
    assert not loaded & HEAVY


def test_the_check_can_fail() -> None:
    assert "simpy" in imported_by("-c", "import simpy")
