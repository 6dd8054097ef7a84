"""A standby that restores from an archive: what is lost with its primary, by closed forms.

False-alarm rate of every statistical test: ALPHA, with fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mrsim.errors import ScenarioError
from mrsim.scenario.loader import loads
from mrsim.scenario.stores import Archive
from mrsim.sim.restoring import Restored
from mrsim.sim.run import Simulator
from mrsim.sim.shipping import Segments
from mrsim.sim.wal import Written
from mrsim.trace import INF, Trace

ALPHA = 1e-5
TRIALS = 1000
TEXT = """\
name: archived
horizon: 2h
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


def _traces(place: str, commits: str, upload: str = "3s", restore: str = "1s", trials: int = TRIALS) -> list[Trace]:
    text = TEXT.format(place=place, commits=commits, upload=upload, restore=restore)
    return Simulator(loads(text)).run_chunk(17, 0, trials)


def _losses(traces: list[Trace]) -> np.ndarray:
    """Return, per trial, the seconds of acknowledged commits that the promoted standby does not hold."""
    losses = []
    for trace in traces:
        store = trace.stores["db"]
        (span,) = store.acks["db@us-east"]
        losses.append(span.acked_until_s - store.histories[1].forked_at_s)
    return np.array(losses)


def _are_uniform(losses: np.ndarray, low: float, width: float) -> None:
    """Hold losses to a uniform law: none beyond its ends, and spread over it."""
    assert losses.min() >= low - 1e-6
    assert losses.max() <= low + width + 1e-6
    assert stats.kstest(losses, stats.uniform(low, width).cdf).pvalue > ALPHA


def test_a_surviving_archive_loses_up_to_its_timeout_and_one_upload() -> None:
    """U(0, timeout) + upload: what was written since the last segment ended that has landed."""
    losses = _losses(_traces("eu-west", "1/s"))
    _are_uniform(losses, 3.0, 300.0)


def test_full_segments_end_early() -> None:
    """16 MiB at 1 MB/s fill in 16.8 s: U(0, 16.8 s) + upload."""
    fill_s = 16 * 2**20 / 1e6
    losses = _losses(_traces("eu-west", "500/s"))
    _are_uniform(losses, 3.0, fill_s)


def test_an_archive_lost_with_its_region_loses_what_was_not_restored() -> None:
    """The standby holds what it fetched: U(0, timeout) + upload + U(0, poll) + restore."""
    losses = _losses(_traces("us-east", "1/s"))
    cycle, poll = np.random.default_rng(5).uniform(0.0, [[300.0], [5.0]], (2, 400_000))
    assert losses.min() >= 3.0 + 1.0
    assert losses.max() <= 300.0 + 3.0 + 5.0 + 1.0
    assert stats.ks_2samp(losses, cycle + 3.0 + poll + 1.0).pvalue > ALPHA


def test_an_upload_slower_than_its_segments_queues() -> None:
    """Uploads of 20 s for segments of 16.8 s: the queue grows by a segment's 19 % all along, and so does the loss."""
    fill_s = 16 * 2**20 / 1e6
    traces = _traces("eu-west", "500/s", upload="20s", trials=300)
    losses = _losses(traces)
    began = np.array([trace.fault_s for trace in traces])
    slope = stats.linregress(began, losses).slope
    assert slope == pytest.approx(1.0 - fill_s / 20.0, rel=0.02)


def test_a_promoted_standby_first_restores_what_the_archive_holds() -> None:
    """A standby that looks every 300 s, with a segment every 300 s: what has landed and was not fetched yet costs 2 s.

    The last segment landed U(0, 300 s) before the fault, and would have been looked for U(0, 300 s) later. If it is
    under way when the promotion is commanded, d after the fault, only the rest is waited for: more than 1 s with
    probability (1 - (d - 1 s) / 300 s)² / 2.
    """
    text = TEXT.format(place="eu-west", commits="1/s", upload="3s", restore="2s").replace("poll: 5s", "poll: 5min")
    waited, chance = 0, 0.0
    for trace in Simulator(loads(text)).run_chunk(17, 0, TRIALS):
        at_s = {event.kind: event.at_s for event in trace.events}
        takes = at_s["promoted"] - at_s["promotion-commanded"] - 10.0
        assert 0.0 <= takes <= 2.1
        waited += takes > 1.0
        chance += (1.0 - (at_s["promotion-commanded"] - trace.fault_s - 1.0) / 300.0) ** 2 / 2.0 / TRIALS
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
    _are_uniform(losses - (1700.7 - 600.3), 3.0, 300.0)


TWICE = """\
faults:
  - {kind: partition, between: [us-east], and: [ap-southeast], at: 600.3s, lasts: 20min, in_flight: lost}
  - {kind: partition, between: [us-east], and: [ap-southeast], at: 1830.3s, lasts: 20min, in_flight: lost}
  - {kind: region-loss, region: us-east, at: 3060.3s, lasts: permanent, connections: hang, in_flight: lost}
"""


def test_an_upload_is_tried_again_at_a_time_of_its_own_after_every_cut() -> None:
    """Two cuts, 30 s of path after each, uploads of 3 s: nothing lands in 30 s if the next try comes after 27 s of 60.

    Nothing lands at all with probability (33 / 60)^2, and then the loss reaches back before the first cut.
    """
    text = TEXT.format(place="ap-southeast", commits="1/s", upload="3s", restore="1s")
    losses = _losses(Simulator(loads(text[: text.index("faults:")] + TWICE)).run_chunk(17, 0, 800))
    never = int(np.sum(losses > 3060.3 - 600.3))
    assert stats.binomtest(never, 800, (33.0 / 60.0) ** 2).pvalue > ALPHA


STALL = """\
faults:
  - {kind: replication-stall, store: db, region: eu-west, at: 600.3s, lasts: 30min}
  - {kind: region-loss, region: us-east, at: 2600.7s, lasts: permanent, connections: hang, in_flight: lost}
"""


def test_segments_that_have_queued_are_restored_one_after_the_other() -> None:
    """Six segments wait when a stall of 30 min ends; at 60 s each, 200.4 s are enough for three of them.

    Before the stall the standby held all but U(0, timeout) + upload + U(0, poll) + restore, as above; the first restore
    starts U(0, poll) after the stall, and the archive is lost with its region.
    """
    text = TEXT.format(place="us-east", commits="1/s", upload="3s", restore="60s")
    losses = _losses(Simulator(loads(text[: text.index("faults:")] + STALL)).run_chunk(17, 0, TRIALS))
    cycle, poll = np.random.default_rng(5).uniform(0.0, [[300.0], [5.0]], (2, 400_000))
    held = cycle + 3.0 + poll + 60.0
    assert stats.ks_2samp(losses, 2600.7 - 600.3 - 3 * 300.0 + held).pvalue > ALPHA


class _Steady(Written):
    """WAL at 1 byte per second."""

    peak_bytes_per_s = 1.0

    def piece(self, at_s: float) -> tuple[float, float]:
        return 1.0, INF


def _fed(since_s: float = -INF, held_s: float = 0.0) -> Restored:
    """Return a standby's feed: segments end every 10 s from 10 s on and land 1 s later; poll 4 s, restore 3 s."""
    upload = loads(TEXT.format(place="us-east", commits="1/s", upload="1s", restore="1s")).stores["db"].archive.upload
    archive = Archive(place="us-east", timeout=10.0, segment=1e9, upload=upload, poll=4.0, restore=3.0)
    return Restored(archive, Segments(archive, _Steady(), 0.0, lambda _: 1.0), 0.0, held_s, since_s)


def _restored_s(feed: Restored, until_s: float) -> dict[float, float]:
    """Return when each position was reached, to a tenth of a second."""
    reached: dict[float, float] = {}
    for step in range(int(10 * until_s) + 1):
        reached.setdefault(feed.received(step / 10), step / 10)
    return reached


def test_a_feed_that_keeps_up_restores_at_its_polls() -> None:
    """Segments land at 11, 21, 31 s; polls at 12, 24, 32 s; restored 3 s later."""
    assert _restored_s(_fed(), 36.0) == {0.0: 0.0, 10.0: 15.0, 20.0: 27.0, 30.0: 35.0}


def test_a_feed_that_was_cut_restores_what_has_queued_in_a_row() -> None:
    """Cut from 20 s to 45 s; the poll at 48 s finds three segments, and one that lands meanwhile follows at once."""
    feed = _fed()
    feed.fetch(20.0, on=False)
    assert feed.received(45.0) == 10.0
    feed.fetch(45.0, on=True)
    assert [feed.received(at) for at in (50.9, 51.0, 53.9, 54.0, 57.0, 60.0)] == [10.0, 20.0, 20.0, 30.0, 40.0, 50.0]


def test_a_feed_begins_when_it_is_attached() -> None:
    """At 62 s six segments have landed. One is held already; the poll at 64 s begins with the second."""
    feed = _fed(since_s=62.0, held_s=10.0)
    assert [feed.received(at) for at in (62.0, 66.9, 67.0, 70.0, 79.0)] == [10.0, 10.0, 20.0, 30.0, 60.0]


@pytest.mark.parametrize(("at_s", "takes_s"), [(48.5, 8.5), (50.5, 6.5), (50.0, 7.0), (46.0, 9.0), (40.0, 0.0)])
def test_a_promotion_waits_for_the_rest_of_what_has_landed(at_s: float, takes_s: float) -> None:
    """Cut from 20 s to 45 s: at the end of the cut three segments wait, and nobody waits for the poll at 48 s."""
    feed = _fed()
    feed.fetch(20.0, on=False)
    if at_s > 45.0:
        feed.fetch(45.0, on=True)
    assert feed.end_recovery_s(at_s) == pytest.approx(takes_s)
    assert feed.received(at_s) == (40.0 if at_s > 45.0 else 10.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    archive: {place: eu-west, timeout: 5min, upload: 3s, poll: 5s, restore: 1s}\n",
            "",
            "there is no archive",
        ),
        ("{region: eu-west, via: archive}", "eu-west", "nobody restores from the archive"),
        ("    archive:", "    commit: {any: 1, of: [eu-west]}\n    archive:", "acknowledges nothing"),
        ("place: eu-west", "place: eu-wset", "unknown place 'eu-wset'"),
        ("timeout: 5min", "timeout: 5ms", "end every 5ms, and servers count whole seconds"),
        ("timeout: 5min", "segment: 16KB", "no server writes segments of 16KB"),
        ("via: archive}]", "via: archive}, {region: ap-southeast, source: eu-west}]", "streaming on from there"),
    ],
)
def test_what_cannot_be_meant(old: str, new: str, message: str) -> None:
    text = TEXT.format(place="eu-west", commits="1/s", upload="3s", restore="1s")
    assert old in text
    with pytest.raises(ScenarioError, match=message):
        loads(text.replace(old, new))
