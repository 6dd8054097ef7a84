"""One trial as lanes: for each node, when it could acknowledge writes and on which history, under the faults."""

from __future__ import annotations

from html import escape
from math import ceil, isfinite, log10

from mrsim.report.numbers import duration
from mrsim.report.plots import COLOURS, RED
from mrsim.trace import AckSpan, Trace

_LONGEST_NAME = 26
_WIDTH, _LEFT, _ROW, _BAR, _HEAD = 760.0, 170.0, 26.0, 14.0, 22.0
_TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400)


def lanes_svg(trace: Trace) -> str:
    """Return an SVG picture with one lane per database node.

    Bars are intervals in which a node could acknowledge writes, coloured by history; their hatched ends were executed
    and not acknowledged. Two bars of different colours above each other are two primaries. Lines mark faults.

    Parameters
    ----------
    trace
        The trial.
    """
    lanes = [(f"{node} · {name}", spans) for name, store in trace.stores.items() for node, spans in store.acks.items()]
    if not lanes:
        return ""
    start, end = _window(trace)
    height = _HEAD + _ROW * len(lanes) + 4
    parts = [
        f'<svg class="mrsim-lanes" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH + 10:g} {height:g}" '
        f'width="{_WIDTH + 10:g}" height="{height:g}" role="img" font-size="11" fill="currentColor">',
        "<title>when each node could acknowledge writes</title>",
    ]
    origin = trace.fault_s if isfinite(trace.fault_s) else 0.0
    parts += _axis(start, end, origin, height)
    for row, (name, spans) in enumerate(lanes):
        y = _HEAD + _ROW * row
        parts.append(f'<text x="0" y="{y + _ROW / 2 + 4:g}">{escape(_short(name))}<title>{escape(name)}</title></text>')
        parts.append(
            f'<rect x="{_LEFT:g}" y="{y + 6:g}" width="{_WIDTH - _LEFT:g}" height="{_BAR:g}" fill-opacity="0.06"/>'
        )
        for span in spans:
            parts += _bars(span, name, start, end, y)
    for index in trace.fault_events:
        if 0 <= index < len(trace.events):
            event = trace.events[index]
            x = _x(event.at_s, start, end)
            label = escape(f"{event.kind} {event.subject} at {duration(event.at_s)}")
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_HEAD - 4:g}" y2="{height:g}" stroke="{RED}" '
                f'stroke-dasharray="4 3"><title>{label}</title></line>'
            )
    return "".join([*parts, "</svg>"])


def _window(trace: Trace) -> tuple[float, float]:
    """Return the interval shown: a little before the first fault to a little after the last event."""
    times = [event.at_s for event in trace.events if isfinite(event.at_s)]
    first = trace.fault_s if isfinite(trace.fault_s) else 0.0
    last = max([*times, first + 60.0])
    room = 0.08 * (last - first)
    return max(0.0, first - room), min(max(last + room, first + 60.0), max(trace.horizon_s, first + 60.0))


def _x(at_s: float, start: float, end: float) -> float:
    return _LEFT + (_WIDTH - _LEFT) * (min(max(at_s, start), end) - start) / (end - start)


def _bars(span: AckSpan, name: str, start: float, end: float, y: float) -> list[str]:
    colour = COLOURS[span.history % len(COLOURS)]
    bars = []
    pieces = ((span.start_s, span.acked_until_s, 1.0, ""), (span.acked_until_s, span.end_s, 0.35, ", in doubt"))
    for left, right, opacity, note in pieces:
        if min(right, end) <= max(left, start):
            continue
        x, width = _x(left, start, end), max(_x(right, start, end) - _x(left, start, end), 1.0)
        label = escape(f"{name}: history {span.history}{note}")
        bars.append(
            f'<rect x="{x:.1f}" y="{y + 6:g}" width="{width:.1f}" height="{_BAR:g}" fill="{colour}" '
            f'fill-opacity="{opacity:g}"><title>{label}</title></rect>'
        )
    return bars


def _axis(start: float, end: float, origin: float, height: float) -> list[str]:
    """Return ticks at round times since the first fault."""
    wanted = (end - start) / 7
    step = next((tick for tick in _TICKS_S if tick >= wanted), 10 ** ceil(log10(wanted)))
    parts = []
    first = ceil((start - origin) / step)
    for index in range(first, first + 12):
        at = origin + index * step
        if at > end:
            break
        x = _x(at, start, end)
        text = "fault" if index == 0 else f"{'-' if index < 0 else '+'}{duration(abs(index) * step)}"
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_HEAD - 4:g}" y2="{height:g}" stroke="currentColor" opacity=".15"/>'
        )
        parts.append(f'<text x="{x:.1f}" y="{_HEAD - 8:g}" text-anchor="middle" opacity=".7">{text}</text>')
    return parts


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
