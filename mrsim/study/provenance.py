"""What it takes to get the same bytes again: seed, scenario, versions and the kind of machine. No date, no host."""

from __future__ import annotations

import platform
import re
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING, Any

import numpy as np

from mrsim.study.documents import digest, scenario_document
from mrsim.version import __version__

if TYPE_CHECKING:
    from mrsim.scenario.model import Scenario

PACKAGES = ("numpy", "scipy", "simpy")
"""Packages that numbers come out of."""


def provenance(scenario: Scenario, *, seed: int, trials_asked: int, trials: int) -> dict[str, Any]:
    """Return the provenance of a study, as JSON data.

    Parameters
    ----------
    scenario
        Named, and told from others by a digest of its resolved content (not of its text).
    seed
        Of the study.
    trials_asked, trials
        How many were asked for, and how many were finished.
    """
    return {
        "scenario": scenario.name,
        "scenario_sha256": digest(scenario_document(scenario)),
        "seed": seed,
        "trials_asked": trials_asked,
        "trials": trials,
        "mrsim": __version__,
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "numpy_simd": _simd(),
    }


def packages() -> dict[str, str]:
    """Return the versions of what numbers come out of: the engine, and the packages it computes with."""
    return {"mrsim": __version__, **{package: _version(package) for package in PACKAGES}}


def engine() -> dict[str, str]:
    """Return the versions that numbers come out of, and a digest of those of everything that is installed for mrsim.

    Returns
    -------
    dict
        ``mrsim``, ``python``, each of :data:`PACKAGES`, and ``lock``: the SHA-256 of the sorted lines ``name==version``
        of mrsim's dependencies and theirs, as a lock file has them.
    """
    packages = {package: _version(package) for package in PACKAGES}
    return {"mrsim": __version__, "python": platform.python_version(), **packages, "lock": _lock()}


@cache
def _lock() -> str:
    """Return the digest of the versions of all dependencies that are installed; extras are left out."""
    found: dict[str, str] = {}
    waiting = ["mrsim", *PACKAGES]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = version(name) if name != "mrsim" else ""
            wanted = [one for one in requires(name) or () if "extra ==" not in one]
        except PackageNotFoundError:
            continue
        waiting += [re.split(r"[^\w.-]", one, maxsplit=1)[0].lower().replace("_", "-") for one in wanted]
    lines = sorted(f"{name}=={version}" for name, version in found.items() if version)
    return sha256("\n".join(lines).encode()).hexdigest()


@cache
def _version(package: str) -> str:
    """Return a package's version; looking it up reads a file, which a search of many studies need not do each time."""
    return version(package)


def _simd() -> list[str]:
    """Return the CPU features that NumPy's loops are dispatched on here: rounding may depend on them."""
    config = np.show_config(mode="dicts")
    extensions = config.get("SIMD Extensions", {})
    return [*extensions.get("baseline", []), *extensions.get("found", [])]
