"""How long a health check takes to see a lost region, as a study of the whole product reports it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mrsim.study.run import run
from tests.acceptance.variants import BOOKSTORE, variant

TRIALS = 1024
SEED = 3
ALPHA = 1e-5
DETECTION = "phase_at_s{service=storefront,op=read,clients=90%,part=detection}"
PROPAGATION = "phase_at_s{service=storefront,op=read,clients=90%,part=propagation}"
ROUND_TRIP_S = 0.02
"""Between a checker and a region: a last mile."""


@pytest.mark.parametrize(
    ("check", "connections", "every_s", "cycle_s"),
    [
        ("route53-standard", "hang", 30.0, 34.0),
        ("route53-standard", "refused", 30.0, 30.0 + ROUND_TRIP_S),
        ("route53-fast", "hang", 10.0, 14.0),
        ("route53-fast", "refused", 10.0, 10.0 + ROUND_TRIP_S),
        ("{preset: route53-standard, interval_from: start}", "hang", 30.0, 30.0),
        ("{preset: route53-fast, interval_from: start}", "hang", 10.0, 10.0),
    ],
)
def test_route_53_sees_a_lost_region_after(check: str, connections: str, every_s: float, cycle_s: float) -> None:
    """The readers' detection over trials: two cycles, a failing probe, and the 14th of 16 checkers' phases.

    More than 18 % of 16 must call the region healthy, three of them: it is down once 14 do not. The 14th of 16 uniform
    phases is Beta(14, 3). A cycle lasts an interval, counted from the answer that takes 4 s or does not come; a failing
    probe takes these 4 s, or a round trip. The fault is at random, and nobody fails the database over: readers do not
    wait for that. The test of Kolmogorov and Smirnov takes its tolerance from the sampling error: 0.077 in probability
    at ALPHA, of which the time of a passing probe, which is left out, takes 0.02 at most.
    """
    text = BOOKSTORE.read_text(encoding="utf-8")
    failover = text[text.index("    failover:\n") : text.index("services:\n")]
    scenario = variant(
        "bookstore-region-loss",
        (failover, ""),
        ("health_check: route53-fast", f"health_check: {check}"),
        ("connections: hang", f"connections: {connections}"),
    )
    study = run(scenario, trials=TRIALS, seed=SEED, workers=1)
    detected_s = study.sample(DETECTION)
    assert np.array_equal(detected_s.lower, detected_s.upper)
    assert detected_s.n == TRIALS
    failing_s = 4.0 if connections == "hang" else ROUND_TRIP_S
    phase = (detected_s.lower - 2 * cycle_s - failing_s) / every_s
    assert stats.kstest(phase, stats.beta(14, 3).cdf).pvalue > ALPHA
    # Detection is what precedes the caches, and 90 % of readers wait for these up to TTL and a little.
    assert study.values_of(PROPAGATION).min() > 90.0
