"""A stream with the archive behind it: what a standby has while the stream is cut, by closed forms.

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
TRIALS = 2000
CUT_S = 3600.0
LOOKS_S = 127.0 + 5.0
"""A standby whose primary is silent sends SYNs for 127 s, waits for 5 s, and looks into the archive in between."""
TEXT = """\
name: backed
horizon: 6h
regions: [us-east, eu-west, ap-southeast]
network: {rtt: aws-2026}
stores:
  db:
    primary: us-east
    standbys: [{region: eu-west, FALLBACK}]
    replication: {receiver_timeout: 60s, sender_timeout: 60s, retry_interval: 5s}
    wal: {commits: 10/s, bytes_per_commit: 2KB}
    ARCHIVE
    failover: {detect: {from: [operations]}, decide: automatic, promote: {takes: 10s}}
services: {orders: {writes: db}}
faults:
"""
CUT = "  - {kind: partition, between: us-east, and: eu-west, at: 1h, lasts: permanent, in_flight: lost}\n"
LOSS = "  - {kind: region-loss, region: WHERE, at: AT, lasts: permanent, connections: hang, in_flight: lost}\n"
ARCHIVE = "archive: {place: ap-southeast, timeout: 5min, upload: 3s, poll: 5s, restore: 1s}"


def _traces(faults: str, fallback: str = "fallback: archive", trials: int = TRIALS) -> list[Trace]:
    text = TEXT.replace("FALLBACK", fallback).replace("ARCHIVE", ARCHIVE if "archive" in fallback else "")
    return Simulator(loads(text + faults)).run_chunk(17, 0, trials)


def _losses(traces: list[Trace]) -> np.ndarray:
    """Return, per trial, the seconds of acknowledged commits that the promoted standby does not hold."""
    stores = [trace.stores["db"] for trace in traces]
    return np.array([store.acks["db@us-east"][0].acked_until_s - store.histories[1].forked_at_s for store in stores])


def _cut_and_lost(at_s: float = 7200.0, where: tuple[str, ...] = ("us-east",)) -> str:
    return CUT + "".join(LOSS.replace("AT", f"{at_s}s").replace("WHERE", region) for region in where)


def test_a_cut_standby_lacks_no_more_than_the_archive_does() -> None:
    """U(0, timeout) + upload, an hour after the cut; without the archive it is the hour."""
    assert stats.kstest(_losses(_traces(_cut_and_lost())), stats.uniform(3.0, 300.0).cdf).pvalue > ALPHA
    assert _losses(_traces(_cut_and_lost(), "via: stream", 1))[0] == pytest.approx(3600.0, abs=0.1)


@pytest.mark.parametrize("after_look_s", [1.5, 60.0, 131.0, 0.5])
def test_between_two_looks_it_has_what_it_found_at_the_last(after_look_s: float) -> None:
    """U(0, timeout) + upload, and the time since the last look, if that is long enough for a restore of 1 s."""
    lost_s = CUT_S + 60.0 + 20 * LOOKS_S + after_look_s
    losses = _losses(_traces(_cut_and_lost(lost_s, ("us-east", "ap-southeast"))))
    since_s = after_look_s if after_look_s > 1.0 else after_look_s + LOOKS_S
    assert stats.kstest(losses, stats.uniform(3.0 + since_s, 300.0).cdf).pvalue > ALPHA


def test_a_primary_that_is_back_soon_is_not_given_up() -> None:
    """Within wal_receiver_timeout nobody looks into the archive: the position stands still."""
    cut = CUT.replace("permanent", "50s")
    (trace,) = _traces(_cut_and_lost(3649.0, ("us-east", "ap-southeast")).replace(CUT, cut), trials=1)
    assert _losses([trace])[0] == pytest.approx(49.0, abs=0.1)


@pytest.mark.parametrize("faults", [LOSS.replace("AT", "random").replace("WHERE", "us-east"), ""])
def test_an_archive_behind_a_stream_that_runs_changes_nothing(faults: str) -> None:
    faults = faults or LOSS.replace("AT", "1h").replace("WHERE", "ap-southeast")
    backed, plain = _traces(faults, trials=20), _traces(faults, "via: stream", 20)
    for one, other in zip(backed, plain, strict=True):
        assert one.stores == other.stores
        assert one.events == other.events


def test_after_the_cut_the_stream_goes_on_from_what_was_restored() -> None:
    """Of an hour of WAL the last minutes alone are left to stream, so that the standby is level sooner."""
    level_s = {}
    for fallback in ("fallback: archive", "via: stream"):
        text = TEXT.replace("FALLBACK", fallback).replace("ARCHIVE", ARCHIVE if "archive" in fallback else "")
        text = text.replace("wal: {", "commit: {any: 1, of: [eu-west], when_short: degrade}\n    wal: {")
        text = text.replace("rtt: aws-2026", "rtt: aws-2026, wal_bandwidth: {us-east/*: 0.2Mbit/s}")
        (trace,) = Simulator(loads(text + CUT.replace("permanent", "1h"))).run_chunk(17, 0, 1)
        level_s[fallback] = next(event.at_s for event in trace.events if event.kind == "standby-caught-up") - 7200.0
    # 20 kB/s are written, but for the minute until the standby is dropped, 25 kB/s leave: b seconds are gone after 4 b.
    assert level_s["via: stream"] > 4 * 3540.0
    assert level_s["fallback: archive"] < 4 * (303.0 + LOOKS_S + 1.0) + LOOKS_S


CUTS = "  - {kind: partition, between: BETWEEN, and: eu-west, at: AT, lasts: permanent, in_flight: lost}\n"


def test_a_cut_standby_follows_another_primary_by_way_of_the_archive() -> None:
    """A primary made beyond the cut ships its history too: U(0, timeout) + upload once more, not the whole cut.

    The new primary's segments begin once the standby is pointed at it, U(0, 5 s) after the promotion.
    """
    text = TEXT.replace("us-east\n", "us-east-1\n").replace("{region: eu-west", "us-east-2, {region: eu-west")
    text = text.replace("regions: [us-east,", "zones: {us-east: [us-east-1, us-east-2]}\nregions: [us-east,")
    text = text.replace("FALLBACK", "fallback: archive").replace("ARCHIVE", ARCHIVE + "\n    in_region: {takes: 1s}")
    text = text.replace("from: [operations]", "from: [operations], fails: 30")
    faults = CUT + "  - {kind: node-loss, store: db, region: us-east-1, at: 2h, lasts: permanent}\n"
    faults += LOSS.replace("AT", "3h..4h").replace("WHERE", "us-east")
    losses = []
    for trace in Simulator(loads(text + faults)).run_chunk(17, 0, 500):
        store = trace.stores["db"]
        assert [history.node for history in store.histories] == ["db@us-east-1", "db@us-east-2", "db@eu-west"]
        assert store.histories[2].parent == 1
        losses.append(store.acks["db@us-east-2"][-1].acked_until_s - store.histories[2].forked_at_s)
    assert stats.kstest(losses, stats.uniform(3.0, 300.0).cdf).pvalue > ALPHA


def test_a_standby_that_was_behind_holds_no_more_than_it_was_sent_when_it_is_cut_again() -> None:
    """1000 s behind, it is sent 22 KB/s of 20 KB/s for as long as it is connected; the archive is out of its reach."""
    text = TEXT.replace("standbys: [", "standbys: [ap-southeast, ").replace("FALLBACK", "fallback: archive")
    text = text.replace("ARCHIVE", ARCHIVE.replace("ap-southeast", "eu-central")).replace(
        "takes: 10s", "takes: 10s, order: [ap-southeast, eu-west]"
    )
    text = text.replace("ap-southeast]\n", "ap-southeast, eu-central]\n", 1)
    text = text.replace("rtt: aws-2026", "rtt: aws-2026, wal_bandwidth: {ap-southeast/eu-west: 22KB/s}")
    faults = CUTS.replace("BETWEEN", "eu-central").replace("AT", "1000s")
    faults += "  - {kind: replication-stall, store: db, region: eu-west, at: 1000s, lasts: 1000s}\n"
    faults += LOSS.replace("AT", "2000s").replace("WHERE", "us-east")
    faults += CUTS.replace("BETWEEN", "ap-southeast").replace("AT", "2500s")
    faults += LOSS.replace("AT", "2600s").replace("WHERE", "ap-southeast")
    for trace in Simulator(loads(text + faults)).run_chunk(17, 0, 10):
        store = trace.stores["db"]
        began_s = next(event.at_s for event in trace.events if event.kind == "standby-attached")
        assert store.histories[2].node == "db@eu-west"
        assert store.histories[2].forked_at_s == pytest.approx(1000.0 + 1.1 * (2500.0 - began_s), abs=1.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fallback: archive", "fallback: archive, via: archive", "has no stream that the archive could stand behind"),
        (ARCHIVE, "", "there is no archive to restore from"),
        (ARCHIVE, ARCHIVE + "\n    slots: {disk: 50GB}", "needs no slot"),
        ("fallback: archive", "fallback: archive, archive: eu-west", "restores from none"),
    ],
)
def test_what_does_not_go_with_it_is_said(old: str, new: str, message: str) -> None:
    text = TEXT.replace("FALLBACK", "fallback: archive").replace("ARCHIVE", ARCHIVE).replace(old, new)
    with pytest.raises(ScenarioError, match=message):
        loads(text + CUT)
