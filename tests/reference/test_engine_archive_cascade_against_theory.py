"""Standbys that restore what another standby archives: what each further archive adds to the loss, by closed forms.

False-alarm rate of every statistical test: ALPHA, with fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mrsim.errors import ScenarioError
from mrsim.scenario.loader import loads
from mrsim.scenario.stores import Archive
from mrsim.sim.nodes import Node, Upstream
from mrsim.sim.relays import Receipts, Received, Relay
from mrsim.sim.restoring import Restored
from mrsim.sim.run import Simulator
from mrsim.sim.shipping import Segments
from mrsim.sim.wal import Pace, Written
from mrsim.trace import INF, Trace

ALPHA = 1e-5
TRIALS = 600
GONE_S = 1800.7
TEXT = """\
name: cascade
horizon: 2h
regions: [us-east, eu-west, ap-southeast]
network: {{rtt: {{us-east/eu-west: 80ms, us-east/ap-southeast: 200ms, eu-west/ap-southeast: 160ms}}}}
stores:
  db:
    primary: us-east
    standbys:
      - {{region: eu-west, via: {via}, archive: {place}}}
      - {{region: ap-southeast, via: archive, source: eu-west}}
    wal: {{commits: 1/s, bytes_per_commit: 2KB}}
    archive: {{place: us-east, timeout: 5min, upload: 3s, poll: 5s, restore: 1s}}
    failover:
      detect: {{from: [ap-southeast]}}
      decide: automatic
      promote: {{order: [ap-southeast], takes: 10s}}
services: {{orders: {{writes: db}}}}
faults:
{faults}
"""
LOST = "  - {{kind: region-loss, region: {region}, at: {at}s, lasts: permanent, connections: hang, in_flight: lost}}"


def _lost(**regions: float) -> str:
    """Return regions lost for good, as ``us_east=600.7``."""
    return "\n".join(LOST.format(region=region.replace("_", "-"), at=at) for region, at in regions.items())


def _traces(via: str, place: str, faults: str) -> list[Trace]:
    return Simulator(loads(TEXT.format(via=via, place=place, faults=faults))).run_chunk(23, 0, TRIALS)


def _losses(traces: list[Trace]) -> np.ndarray:
    """Return, per trial, the seconds of acknowledged commits that the promoted standby does not hold."""
    losses = []
    for trace in traces:
        store = trace.stores["db"]
        assert store.histories[1].node == "db@ap-southeast"
        (span,) = store.acks["db@us-east"]
        losses.append(span.acked_until_s - store.histories[1].forked_at_s)
    return np.array(losses)


def _hops(polls: int) -> np.ndarray:
    """Return ages of the last segment, U(0, timeout), with as many waits for a poll, U(0, poll)."""
    draws = np.random.default_rng(5)
    return draws.uniform(0.0, 300.0, 400_000) + draws.uniform(0.0, 5.0, (polls, 400_000)).sum(axis=0)


def test_a_second_archive_adds_an_upload_a_poll_and_a_restore() -> None:
    """Both upstreams are lost with their archives: U(0, timeout) + 2 (upload + U(0, poll) + restore)."""
    losses = _losses(_traces("archive", "eu-west", _lost(us_east=GONE_S, eu_west=GONE_S)))
    assert stats.ks_2samp(losses, _hops(2) + 2 * (3.0 + 1.0)).pvalue > ALPHA


def test_a_standby_ships_on_after_its_primary_is_gone() -> None:
    """The primary alone is lost: what the first standby had restored lands in time: one hop's loss and no more."""
    losses = _losses(_traces("archive", "eu-west", _lost(us_east=GONE_S)))
    assert stats.ks_2samp(losses, _hops(1) + 3.0 + 1.0).pvalue > ALPHA


def test_behind_a_stream_a_segment_is_shipped_when_all_of_it_has_arrived() -> None:
    """The stream holds all but its latency; behind it, in an archive that survives both, U(0, timeout) + upload."""
    losses = _losses(_traces("stream", "ap-southeast", _lost(us_east=GONE_S, eu_west=GONE_S)))
    assert stats.kstest(losses, stats.uniform(3.04, 300.0).cdf).pvalue > ALPHA


def test_a_cascade_that_has_lost_its_source_stays_where_it_is() -> None:
    """The source goes 1,200 s before the primary: the primary's own archive is no way round."""
    losses = _losses(_traces("archive", "eu-west", _lost(eu_west=600.7, us_east=GONE_S)))
    assert stats.ks_2samp(losses, 1200.0 + _hops(2) + 2 * (3.0 + 1.0)).pvalue > ALPHA


BACK = """\
  - {kind: region-loss, region: eu-west, at: 600.7s, lasts: 15min, connections: hang, in_flight: lost}
"""


def test_a_source_that_is_back_ships_what_had_queued() -> None:
    """It is away for 15 min and back 300 s before the loss: enough to fetch, restore and ship what had queued.

    It starts within 60 s of its return. Four segments at most have waited for it, and one after the other they take
    a second each to restore and three to ship.
    """
    losses = _losses(_traces("archive", "eu-west", BACK + _lost(us_east=GONE_S, eu_west=GONE_S)))
    assert stats.ks_2samp(losses, _hops(2) + 2 * (3.0 + 1.0)).pvalue > ALPHA


NEIGHBOUR = """\
  - {kind: region-loss, region: us-east, at: 600.7s, lasts: permanent, connections: hang, in_flight: lost}
  - {kind: region-loss, region: eu-west, at: 3600.7s, lasts: permanent, connections: hang, in_flight: lost}
"""


def test_who_follows_the_new_primary_already_goes_on_from_its_archive() -> None:
    """The neighbour is promoted and lost in its turn: U(0, timeout) + upload + U(0, poll) + restore of what it wrote.

    Nobody is re-pointed: the archive that was followed is the new primary's own. That of the first primary, in its
    region, is gone.
    """
    text = TEXT.format(via="archive", place="eu-west", faults=NEIGHBOUR.rstrip())
    text = text.replace("order: [ap-southeast]", "order: [eu-west, ap-southeast]")
    losses = []
    for trace in Simulator(loads(text)).run_chunk(23, 0, TRIALS):
        store = trace.stores["db"]
        assert [history.node for history in store.histories[1:]] == ["db@eu-west", "db@ap-southeast"]
        assert store.histories[2].parent == 1
        (span,) = store.acks["db@eu-west"]
        losses.append(span.acked_until_s - store.histories[2].forked_at_s)
    assert min(losses) > 4.0
    assert max(losses) < 309.0


class _Steady(Written):
    """WAL at 1 byte per second."""

    peak_bytes_per_s = 1.0

    def piece(self, at_s: float) -> tuple[float, float]:
        return 1.0, INF


def _archive() -> Archive:
    """Return an archive of segments of 10 s."""
    text = TEXT.format(via="archive", place="eu-west", faults=_lost(us_east=GONE_S))
    upload = loads(text).stores["db"].archive.upload
    return Archive(place="us-east", timeout=10.0, segment=1e9, upload=upload, poll=4.0, restore=3.0)


def _segments(upload_s: float = 1.0) -> Segments:
    """Return segments that end every 10 s from 10 s on."""
    return Segments(_archive(), _Steady(), 0.0, lambda _: upload_s)


def _received(bandwidth: float) -> tuple[Received, Receipts]:
    receipts = Receipts()
    return Received(_Steady(), Pace(bandwidth, INF, 0.5), 0.0, _segments(), receipts, 0.0), receipts


@pytest.mark.parametrize("looks", [(60.0,), (9.0, 10.2, 20.3, 20.7, 33.3, 41.0, 60.0)])
def test_a_stream_with_a_backlog_completes_segments_late(looks: tuple[float, ...]) -> None:
    """At half the rate of the WAL the segment that ends at 10 s has left at 20 s, whenever somebody looks."""
    stream, receipts = _received(0.5)
    for at in looks:
        stream.received(at)
    assert receipts.whole == [pytest.approx((20.5, 10.0)), pytest.approx((40.5, 20.0))]


@pytest.mark.parametrize("looks", [(), (11.0, 27.0)])
def test_a_stream_that_was_cut_completes_them_once_it_flows(looks: tuple[float, ...]) -> None:
    """Cut from 15 s to 35 s; at twice the rate the 20 s until 35 s take ten, that of 20 s has left after 2.5."""
    stream, receipts = _received(2.0)
    for at in looks:
        stream.received(min(at, 15.0))
    stream.broken(15.0, in_flight_lost=True)
    stream.received(30.0)
    stream.resumed(35.0, 2.0, 0.5)
    stream.received(60.0)
    whole = [(10.5, 10.0), (35.0 + 5.5 / 2 + 0.5, 20.0), (35.0 + 15.5 / 2 + 0.5, 30.0), (35.0 + 25.5 / 2 + 0.5, 40.0)]
    assert receipts.whole[:4] == [pytest.approx(one) for one in whole]


def _relay(upload_s: float) -> tuple[Relay, Node]:
    """Return what a standby ships that restores segments at 15, 27, 35, 47 … s: polls every 4 s, 3 s to restore."""
    segments = _segments()
    node = Node("db", "eu-west", "standby")
    feed = Restored(_archive(), segments, 0.0, 0.0, -INF)
    node.upstream = Upstream(Node("db", "us-east", "primary"), feed)
    return Relay(node, segments, feed.receipts, lambda _: upload_s), node


def test_a_relay_ships_what_was_restored() -> None:
    relay, _ = _relay(2.0)
    relay.advance(40.0)
    assert relay.landed_s == [17.0, 29.0, 37.0]
    assert relay.positions_s == [10.0, 20.0, 30.0]


def test_a_relay_that_was_cut_tries_again_later_and_one_that_starts_at_once() -> None:
    """The upload that begins at 27 s breaks off at 28 s; the way opens at 40 s."""
    for running, landed in ((True, [17.0, 52.0, 54.0]), (False, [17.0, 42.0, 44.0])):
        relay, node = _relay(2.0)
        node.running = running
        relay.ship(28.0, on=False, retry_s=0.0)
        node.running = True
        relay.ship(40.0, on=True, retry_s=10.0)
        relay.advance(46.0 if not running else 54.0)
        assert relay.landed_s[:3] == landed


def test_a_promoted_standby_ships_first_what_it_had_still_to_ship() -> None:
    """At 36 s one segment has landed, one is on its way until 39 s, and one waits: then come its own, from 46 s on."""
    relay, _ = _relay(12.0)
    own = Segments(_archive(), _Steady(), 36.0, lambda _: 12.0)
    own.take_over(relay, 36.0)
    own.advance(70.0)
    assert own.positions_s == [10.0, 20.0, 30.0, 46.0]
    assert own.landed_s == [27.0, 39.0, 51.0, 63.0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (", archive: eu-west}", "}", "'eu-west' archives nothing while it is a standby"),
        (", archive: eu-west}", ", archive: eu-wset}", "unknown place 'eu-wset'"),
        ("via: archive, source: eu-west", "source: eu-west", "streaming on from there"),
        ("via: archive, archive", "via: archive, source: ap-southeast, archive", "the sources go in a circle"),
        ("via: archive, source: eu-west", "source: us-east", "nobody else restores from an archive"),
        ("via: archive, archive", "via: objects, archive", "has no WAL to archive"),
        (
            "    wal:",
            "    commit: {any: 1, of: [ap-southeast]}\n    wal:",
            "is a standby via archive: it acknowledges nothing",
        ),
    ],
)
def test_what_cannot_be_meant(old: str, new: str, message: str) -> None:
    text = TEXT.format(via="archive", place="eu-west", faults=_lost(us_east=GONE_S))
    assert old in text
    with pytest.raises(ScenarioError, match=message):
        loads(text.replace(old, new))


def test_an_archive_needs_its_times() -> None:
    text = TEXT.format(via="stream", place="eu-west", faults=_lost(us_east=GONE_S))
    lines = [line for line in text.splitlines() if "archive: {place" not in line and "via: archive" not in line]
    with pytest.raises(ScenarioError, match="it is not said when segments end"):
        loads("\n".join(lines).replace("order: [ap-southeast], ", ""))
