"""mrsim: how long a multi-region system stays down, how much it loses, and how often it splits, before it happens.

The names below are loaded when they are first used, so that ``import mrsim`` stays quick.

>>> import mrsim
>>> mrsim.__version__
'0.1.0'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mrsim.version import __version__

if TYPE_CHECKING:
    from mrsim import calibrate
    from mrsim.report import plots as plot
    from mrsim.scenario.loader import load, loads
    from mrsim.scenario.model import Scenario
    from mrsim.study.baseline import Baseline
    from mrsim.study.changes import against
    from mrsim.study.cluster import on_dask
    from mrsim.study.compare import compare
    from mrsim.study.gate import check
    from mrsim.study.precision import until_precision
    from mrsim.study.rare import rare
    from mrsim.study.rare_rate import RareRate
    from mrsim.study.results import Results
    from mrsim.study.run import run
    from mrsim.study.sensitivity import sensitivity
    from mrsim.study.solve import solve
    from mrsim.study.sweep import sweep

__all__ = [
    "Baseline",
    "RareRate",
    "Results",
    "Scenario",
    "__version__",
    "against",
    "calibrate",
    "check",
    "compare",
    "load",
    "loads",
    "on_dask",
    "plot",
    "rare",
    "run",
    "sensitivity",
    "solve",
    "sweep",
    "until_precision",
]

_HOMES = {
    "Baseline": ("mrsim.study.baseline", "Baseline"),
    "RareRate": ("mrsim.study.rare_rate", "RareRate"),
    "Results": ("mrsim.study.results", "Results"),
    "Scenario": ("mrsim.scenario.model", "Scenario"),
    "against": ("mrsim.study.changes", "against"),
    "calibrate": ("mrsim.calibrate", None),
    "check": ("mrsim.study.gate", "check"),
    "compare": ("mrsim.study.compare", "compare"),
    "load": ("mrsim.scenario.loader", "load"),
    "loads": ("mrsim.scenario.loader", "loads"),
    "on_dask": ("mrsim.study.cluster", "on_dask"),
    "plot": ("mrsim.report.plots", None),
    "rare": ("mrsim.study.rare", "rare"),
    "run": ("mrsim.study.run", "run"),
    "sensitivity": ("mrsim.study.sensitivity", "sensitivity"),
    "solve": ("mrsim.study.solve", "solve"),
    "sweep": ("mrsim.study.sweep", "sweep"),
    "until_precision": ("mrsim.study.precision", "until_precision"),
}
"""Public name: the module it lives in, and its name there (None: the module itself)."""


def __getattr__(name: str) -> Any:
    """Load a public name on its first use."""
    if name not in _HOMES:
        message = f"module 'mrsim' has no attribute {name!r}"
        raise AttributeError(message)
    module, attribute = _HOMES[name]
    found = import_module(module)
    value = found if attribute is None else getattr(found, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted(__all__)
