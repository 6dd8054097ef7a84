"""What every test shares: Hypothesis profiles that do not depend on the machine, pages that do not on the terminal."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import providers

settings.register_profile(
    "default", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", parent=settings.get_profile("default"), derandomize=False, max_examples=1000)
settings.register_profile("unshrunk", parent=settings.get_profile("default"), phases=[Phase.explicit, Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Hypothesis also draws numbers and texts that stand in whatever modules of this repository are loaded by then, so that
# examples would differ with every edit and with the order of tests. A seed is to give the same examples.
providers.HypothesisProvider._local_constants = providers._local_constants  # type: ignore[assignment]

# readline, which pytest loads, sets them from the terminal behind Python's back, and commands under test inherit them.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)
    os.unsetenv(name)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background jobs ignore Ctrl-C; tests of it need to hear their own.
    signal.signal(signal.SIGINT, signal.default_int_handler)
