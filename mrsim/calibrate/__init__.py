"""From a team's own measurements to a scenario, and back from a scenario to the drills that happened.

:func:`fit` turns samples into a distribution that a scenario file can hold; :func:`score` asks how well a scenario
foretold past drills. The names are loaded when they are first used, so that the command line starts quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mrsim.calibrate.drills import Drills, read_drills
    from mrsim.calibrate.fitting import Fit, fit
    from mrsim.calibrate.samples import Samples, read_samples
    from mrsim.calibrate.scoring import Score, score

__all__ = ["Drills", "Fit", "Samples", "Score", "fit", "read_drills", "read_samples", "score"]

_HOMES = {
    "Drills": "mrsim.calibrate.drills",
    "Fit": "mrsim.calibrate.fitting",
    "Samples": "mrsim.calibrate.samples",
    "Score": "mrsim.calibrate.scoring",
    "fit": "mrsim.calibrate.fitting",
    "read_drills": "mrsim.calibrate.drills",
    "read_samples": "mrsim.calibrate.samples",
    "score": "mrsim.calibrate.scoring",
}
"""Public name: the module it lives in."""


def __getattr__(name: str) -> Any:
    """Load a public name on its first use."""
    if name not in _HOMES:
        message = f"module 'mrsim.calibrate' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_HOMES[name]), name)
