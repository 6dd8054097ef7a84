"""A standby that restores from an archive: what is lost with its primary, by closed forms.

False-alarm rate of every statistical test: ALPHA, with fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mrsim.errors import ScenarioError
from mrsim.scenario.loader import loads
from mrsim.sim.run import Simulator
from mrsim.trace import Trace

ALPHA = 1e-5
TRIALS = 4000
TEXT = """\
name: archived
horizon: 4h
regions: [us-east, eu-west, ap-southeast]
network: {{rtt: aws-2026}}
stores:
  db:
    primary: us-east
    standbys: [{{region: eu-west, via: archive}}]
    wal: {{commits: {commits}, bytes_per_commit: 2KB}}
    archive: {{place: {place}, timeout: 5min, upload: {upload}, poll: 5s, restore: {restore}}}
    failover: {{detect: {{from: [eu-west]}}, decide: automatic, promote: {{takes: 10s}}}}
services: {{orders: {{writes: db}}}}
faults: [{{kind: region-loss, region: us-east, at: random, lasts: permanent, connections: hang, in_flight: lost}}]
"""


def _traces(place: str, commits: str, upload: str = "3s", restore: str = "1s") -> list[Trace]:
    text = TEXT.format(place=place, commits=commits, upload=upload, restore=restore)
    return Simulator(loads(text)).run_chunk(17, 0, TRIALS)


def _losses(traces: list[Trace]) -> np.ndarray:
    """Return, per trial, the seconds of acknowledged commits that the promoted standby does not hold."""
    losses = []
    for trace in traces:
        store = trace.stores["db"]
        (span,) = store.acks["db@us-east"]
        losses.append(span.acked_until_s - store.histories[1].forked_at_s)
    return np.array(losses)


def test_a_surviving_archive_loses_up_to_its_timeout_and_one_upload() -> None:
    """U(0, timeout) + upload: what was written since the last segment ended that has landed."""
    losses = _losses(_traces("eu-west", "1/s"))
    assert stats.kstest(losses, stats.uniform(3.0, 300.0).cdf).pvalue > ALPHA


def test_full_segments_end_early() -> None:
    """16 MiB at 1 MB/s fill in 16.8 s: U(0, 16.8 s) + upload."""
    fill_s = 16 * 2**20 / 1e6
    losses = _losses(_traces("eu-west", "500/s"))
    assert stats.kstest(losses, stats.uniform(3.0, fill_s).cdf).pvalue > ALPHA


def test_an_archive_lost_with_its_region_loses_what_was_not_restored() -> None:
    """The standby holds what it fetched: U(0, timeout) + upload + U(0, poll) + restore."""
    losses = _losses(_traces("us-east", "1/s"))
    cycle, poll = np.random.default_rng(5).uniform(0.0, [[300.0], [5.0]], (2, 400_000))
    assert stats.ks_2samp(losses, cycle + 3.0 + poll + 1.0).pvalue > ALPHA


def test_an_upload_slower_than_its_segments_queues() -> None:
    """Uploads of 20 s for segments of 16.8 s: the queue grows by a segment's 19 % all along, and so does the loss."""
    fill_s = 16 * 2**20 / 1e6
    traces = _traces("eu-west", "500/s", upload="20s")
    losses = _losses(traces)
    began = np.array([trace.fault_s for trace in traces])
    slope = stats.linregress(began, losses).slope
    assert slope == pytest.approx(1.0 - fill_s / 20.0, rel=0.02)


def test_a_promoted_standby_first_restores_what_the_archive_holds() -> None:
    """A standby that looks every 300 s, with a segment every 300 s: what has landed and was not fetched yet costs 2 s.

    The last segment landed U(0, 300 s) before the fault, and would have been looked for U(0, 300 s) later. It is still
    missing d + 2 s after the fault with probability (1 - d / 300 s)² / 2.
    """
    text = TEXT.format(place="eu-west", commits="1/s", upload="3s", restore="2s").replace("poll: 5s", "poll: 5min")
    waited, chance = 0, 0.0
    for trace in Simulator(loads(text)).run_chunk(17, 0, TRIALS):
        at_s = {event.kind: event.at_s for event in trace.events}
        takes = at_s["promoted"] - at_s["promotion-commanded"] - 10.0
        assert takes == pytest.approx(0.0, abs=0.1) or takes == pytest.approx(2.0, abs=0.1)
        waited += takes > 1.0
        chance += (1.0 - (at_s["promotion-commanded"] - trace.fault_s - 2.0) / 300.0) ** 2 / 2.0 / TRIALS
    assert stats.binomtest(waited, TRIALS, chance).pvalue > ALPHA


CUT = """\
faults:
  - {kind: partition, between: [us-east], and: [ap-southeast], at: 600.3s, lasts: 20min, in_flight: lost}
  - {kind: region-loss, region: us-east, at: 1700.7s, lasts: permanent, connections: hang, in_flight: lost}
"""


def test_a_cut_way_into_the_archive_queues_segments() -> None:
    """Nothing lands during the cut: the loss reaches back to the last segment that landed before it."""
    text = TEXT.format(place="ap-southeast", commits="1/s", upload="3s", restore="1s")
    model = loads(text[: text.index("faults:")] + CUT)
    losses = _losses(Simulator(model).run_chunk(17, 0, TRIALS))
    assert stats.kstest(losses - (1700.7 - 600.3), stats.uniform(3.0, 300.0).cdf).pvalue > ALPHA


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    archive: {place: eu-west, timeout: 5min, upload: 3s, poll: 5s, restore: 1s}\n",
            "",
            "there is no archive",
        ),
        ("{region: eu-west, via: archive}", "eu-west", "nobody restores from the archive"),
        ("via: archive}", "via: archive, source: us-east}", "streams from nobody"),
        ("    archive:", "    commit: {any: 1, of: [eu-west]}\n    archive:", "acknowledges nothing"),
        ("place: eu-west", "place: eu-wset", "unknown place 'eu-wset'"),
        ("via: archive}]", "via: archive}, {region: ap-southeast, source: eu-west}]", "streaming on from there"),
    ],
)
def test_what_cannot_be_meant(old: str, new: str, message: str) -> None:
    text = TEXT.format(place="eu-west", commits="1/s", upload="3s", restore="1s")
    assert old in text
    with pytest.raises(ScenarioError, match=message):
        loads(text.replace(old, new))
