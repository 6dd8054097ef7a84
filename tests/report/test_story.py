"""The story of one trial says everything the trace holds, and says it truly."""

from __future__ import annotations

import dataclasses

import pytest

from mrsim.report.events import event_rows, instant
from mrsim.report.outages import outage_parts
from mrsim.report.trace_export import story
from mrsim.trace import INF, Event
from tests.report.samples import FAULT_S, SAMPLE_VALUES, sample_trace


def told() -> str:
    return story(sample_trace(), SAMPLE_VALUES)


def row_of(text: str, number: int) -> str:
    return next(line for line in text.splitlines() if line.lstrip().startswith(f"{number} "))


def test_every_event_is_told_with_time_subject_cause_and_phase() -> None:
    text = told()
    for index, event in enumerate(sample_trace().events):
        row = row_of(text, index)
        assert event.kind in row
        assert event.subject in row
        assert event.phase in row
        if event.cause >= 0:
            assert f"#{event.cause}" in row
    assert "+3 min 33.2 s" in row_of(text, 2)
    assert "3 min" in row_of(text, 2)


def test_who_could_write_where_and_what_was_left_in_doubt() -> None:
    text = told()
    assert "history 0: us-east, from the start; survived up to the fork" in text
    assert "history 1: eu-west, shares with history 0 what committed before -40 ms" in text
    assert "its last 10 s executed, not" in text


def test_a_history_that_was_given_up_is_named() -> None:
    trace = sample_trace()
    trace.stores["orders-db"].surviving = 0
    assert "history 1: eu-west" in story(trace)
    assert "; given up" in story(trace)


def test_undecided_data_is_said_so() -> None:
    trace = sample_trace()
    store = trace.stores["orders-db"]
    store.decided, store.replicated_until_s = False, FAULT_S - 5.0
    assert "undecided at the end: writes after -5.0 s" in story(trace)


def test_parts_of_the_recovery_add_up_in_the_order_of_their_causes() -> None:
    (outage,) = outage_parts(SAMPLE_VALUES)
    assert list(outage.seconds)[:2] == ["detection", "decision"]
    assert outage.total_s == pytest.approx(SAMPLE_VALUES["rto_s{service=orders,op=write,clients=95%,of=affected}"])
    text = told()
    assert "orders write, the client at 95%: 5 min 9 s" in text
    assert text.index("  decision ") < text.index("  reconnect ")


def test_faults_that_did_nothing_are_named() -> None:
    assert "fault 2: would begin after the horizon" in told()
    trace = sample_trace()
    trace.fault_effects = [True, True]
    assert "Faults without effect" not in story(trace)


def test_a_trial_without_fault_and_without_outage() -> None:
    trace = dataclasses.replace(sample_trace(), fault_s=INF, events=[], fault_events=[], fault_effects=[], answers={})
    text = story(trace, {})
    assert "first fault: none within the horizon" in text
    assert "no client was affected" in text


def test_nothing_a_user_named_moves_the_cursor() -> None:
    trace = sample_trace()
    trace.events.append(Event(FAULT_S + 1, "verdict-down", "\x1b[31mred[/red]", note="[bold]"))
    text = story(trace)
    assert "\x1b" not in text
    assert "[31mred[/red]" in text
    assert "[bold]" in text


def test_events_are_in_the_order_of_time() -> None:
    trace = sample_trace()
    trace.events.append(Event(FAULT_S + 1.0, "late-to-the-list", "x", 0))
    assert [row[2] for row in event_rows(trace)][1] == "late-to-the-list"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "+0.0 s"),
        (59.97, "+1 min 00.0 s"),
        (-0.04, "-40 ms"),
        (3725.04, "+1 h 02 min 05.0 s"),
        (-75.0, "-1 min 15.0 s"),
    ],
)
def test_instants(seconds: float, shown: str) -> None:
    assert instant(seconds) == shown


def test_lines_fit_the_width() -> None:
    assert max(map(len, told().splitlines())) <= 120
