"""Probers and the verdicts they combine into.

A prober asks at an interval and changes its mind after a number of consecutive surprises. Between changes of what a
probe would see, everything a prober will do is known, so no probe is simulated that cannot change a verdict: the group
computes when enough probers will have changed their minds, and wakes then. Probes with a chance of failing (loss,
errors) are followed one by one, since any of them may matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING, NamedTuple

from mrsim.sim.world import HEALTH, Timer, World
from mrsim.trace import INF, NO_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_BLOCK = 64


class Outcome(NamedTuple):
    """What a probe sees: its chance of failing, and how long a failing and a succeeding probe take."""

    fails: float
    failing_takes_s: float
    passing_takes_s: float


class Steady(NamedTuple):
    """What probes see and how long reports take, place by place, and where the probers stand."""

    seen: dict[str, Outcome]
    delays: dict[str, float]
    standing: tuple[str, ...]
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """How a prober asks.

    ``need`` is the number of probers that must report down for the group's verdict to be down.
    """

    every_s: float
    from_end: bool
    fails: int
    recovers: int
    timeout_s: float
    need: int

    def cycle_s(self, takes_s: float) -> float:
        """Return the time from the start of a probe to the start of the next."""
        return self.every_s + takes_s if self.from_end else max(self.every_s, takes_s)


class Prober:
    """One prober: its next probe, its count of surprises, its verdict, and the verdict it has delivered."""

    __slots__ = (
        "count",
        "delay_s",
        "delivered",
        "flip_s",
        "healthy",
        "name",
        "number",
        "open_since_s",
        "outcome",
        "place",
        "planned",
        "start_s",
    )

    def __init__(self, name: str, place: str) -> None:
        self.name = name
        self.place = place
        self.start_s = INF
        self.count = 0
        self.number = 0
        self.healthy = True
        self.flip_s = -INF
        self.delivered = True
        self.delay_s = 0.0
        self.open_since_s = -INF
        self.outcome = Outcome(0.0, 0.0, 0.0)
        self.planned: list[tuple[float, bool]] = []


class ProberGroup:
    """Probers of one target whose reports are combined in one place.

    Parameters
    ----------
    world
        The trial.
    name
        Name of its draws and events.
    subject
        What is probed, for the trace.
    places
        Where each prober stands; several may stand in one place.
    timing
        How they ask and how many must agree.
    look
        ``look(place)`` tells what a probe from there would see now.
    delay
        ``delay(place)`` is the time a report takes from there to where it is combined; infinite while cut.
    on_verdict
        Called with ``(down, event)`` when the combined verdict changes.
    down
        What all probers report at the start.
    steady
        What :attr:`steady` of the same group was in another trial at t = 0, where everything was as reported.
    cause
        The event that made somebody set up these probers, if they are not there from the start.
    """

    def __init__(
        self,
        world: World,
        name: str,
        subject: str,
        places: Sequence[str],
        timing: Timing,
        look: Callable[[str], Outcome],
        delay: Callable[[str], float],
        on_verdict: Callable[[bool, int], None],
        *,
        down: bool = False,
        steady: Steady | None = None,
        cause: int = NO_EVENT,
    ) -> None:
        self._world = world
        self._name = name
        self._subject = subject
        self._timing = timing
        self._look = look
        self._delay = delay
        self._on_verdict = on_verdict
        self._timer: Timer | None = None
        self._cause = cause
        self._started = False
        self.down = self._initially_down = down
        self.probers: list[Prober] = []
        self._first_s: list[float] = []
        if steady is not None:
            self._seen, self._delays, self._standing, self._places = steady
            return
        self._standing = tuple(sorted(places))
        self._places = tuple(dict.fromkeys(self._standing))
        self._seen = {place: look(place) for place in self._places}
        self._delays = {place: delay(place) for place in self._places}
        if any(outcome.fails != float(down) for outcome in self._seen.values()):
            self._begin(world.now)
            self._plan()

    @property
    def steady(self) -> Steady | None:
        """What probes see and how long reports take, if that is as reported and nothing has to be followed."""
        return None if self._started else Steady(self._seen, self._delays, self._standing, self._places)

    def reassess(self, cause: int) -> None:
        """Look again: what probes see, or whether reports get through, may have changed because of ``cause``."""
        seen = {place: self._look(place) for place in self._places}
        delays = {place: self._delay(place) for place in self._places}
        if seen == self._seen and delays == self._delays:
            return
        now = self._world.now
        self._cause = cause
        if not self._started and self._plan_first(now, seen, delays):
            return
        if self._first_s:
            self._set_up()
        elif not self._started:
            self._begin(now)
        self._catch_up(now)
        for prober in self.probers:
            prober.outcome = seen[prober.place]
            delay_s = delays[prober.place]
            if delay_s < INF and prober.delay_s == INF:
                prober.open_since_s = now
            prober.delay_s = delay_s
        self._seen, self._delays = seen, delays
        self._plan()

    def _plan_first(self, now: float, seen: dict[str, Outcome], delays: dict[str, float]) -> bool:
        """Plan the first verdict without following single probers, if every probe's fate is certain; return whether so.

        Nearly every group of a trial sees one change and delivers one verdict. Its probers are set up only when
        something changes again.
        """
        timing, world = self._timing, self._world
        if not all(outcome.fails in {0.0, 1.0} for outcome in (*seen.values(), *self._seen.values())):
            return False
        self._started = True
        flips: list[float] = []
        for place, starts in self._starts(now):
            self._first_s += starts
            fails, failing_takes, passing_takes = seen[place]
            delay_s = delays[place]
            if (fails == 1.0) != self.down and delay_s < INF:
                takes, needed = (passing_takes, timing.recovers) if self.down else (failing_takes, timing.fails)
                before_last = (needed - 1) * timing.cycle_s(takes)
                flips += [start + before_last + takes + delay_s for start in starts]
        self._seen, self._delays = seen, delays
        missing = len(self._standing) - timing.need + 1 if self.down else timing.need
        if len(flips) >= missing:
            flips.sort()
            self._timer = world.at(flips[missing - 1], HEALTH, self._name, lambda: self._deliver(missing))
        return True

    def _deliver(self, count: int) -> None:
        self._timer = None
        self._announce(not self.down, len(self._standing) - count if self.down else count)

    def _set_up(self) -> None:
        """Set up the probers as they have been since the first change."""
        seen, delays = self._seen, self._delays
        for index, (place, start) in enumerate(zip(self._standing, self._first_s, strict=True)):
            prober = Prober(f"{self._name}/{place}/{index - self._standing.index(place)}", place)
            prober.start_s = start
            prober.outcome, prober.delay_s = seen[place], delays[place]
            prober.healthy = prober.delivered = not self._initially_down
            prober.planned = self._planned(prober)
            self.probers.append(prober)
        self._first_s = []

    def retire(self) -> None:
        """Stop probing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.probers.clear()
        self._places = ()
        self._seen, self._delays = {}, {}

    def _begin(self, now: float) -> None:
        """Set up the probers at the first instant at which they matter, each at a random fraction of its cycle."""
        self._started = True
        self._first_s = [start for _, starts in self._starts(now) for start in starts]
        self._set_up()

    def _starts(self, now: float) -> Iterator[tuple[str, list[float]]]:
        """Yield each place and its probers' next probes: a random fraction of their cycle from now."""
        for place in self._places:
            cycle = self._timing.cycle_s(self._seen[place].passing_takes_s)
            phases = self._world.uniforms(f"{self._name}/{place}", self._standing.count(place))
            yield place, [now + phase * cycle for phase in phases]

    def _catch_up(self, now: float, *, instant: bool = False) -> None:
        """Account for the probes started before now, and for the reports delivered by now.

        With ``instant``, a probe that takes no time and starts right now counts too: it is what the group woke for.
        """
        for prober in self.probers:
            for at_s, healthy in prober.planned:
                if at_s <= now:
                    prober.delivered = healthy
            if 0.0 < prober.outcome.fails < 1.0:
                self._replay(prober, now, instant=instant)
            else:
                self._skip(prober, now, instant=instant)

    def _skip(self, prober: Prober, now: float, *, instant: bool) -> None:
        passing = prober.outcome.fails == 0.0
        takes = prober.outcome.passing_takes_s if passing else prober.outcome.failing_takes_s
        cycle = self._timing.cycle_s(takes)
        if instant and takes <= 0.0 and prober.start_s <= now:
            started = floor((now - prober.start_s) / cycle + 1e-9) + 1
        elif prober.start_s < now:
            started = ceil((now - prober.start_s) / cycle)
        else:
            return
        if passing != prober.healthy:
            missing = self._threshold(prober) - prober.count
            if started >= missing:
                prober.flip_s = prober.start_s + (missing - 1) * cycle + takes
                prober.healthy = passing
                prober.count = 0
            else:
                prober.count += started
        else:
            prober.count = 0
        prober.start_s += started * cycle
        prober.number += started

    def _threshold(self, prober: Prober) -> int:
        return self._timing.fails if prober.healthy else self._timing.recovers

    def _replay(self, prober: Prober, now: float, *, instant: bool) -> None:
        """Follow probes with a chance of failing, one by one, up to now."""
        while prober.start_s < now or (instant and prober.start_s <= now):
            self._one(prober)

    def _one(self, prober: Prober) -> bool:
        """Make one probe; return whether it changed the prober's mind."""
        block, inside = divmod(prober.number, _BLOCK)
        failed = self._world.uniforms(prober.name, _BLOCK, 1 + block * (_BLOCK // 4))[inside] < prober.outcome.fails
        takes = prober.outcome.failing_takes_s if failed else prober.outcome.passing_takes_s
        flipped = False
        if failed == prober.healthy:
            prober.count += 1
            if prober.count >= self._threshold(prober):
                prober.flip_s = prober.start_s + takes
                prober.healthy = not failed
                prober.count = 0
                flipped = True
        else:
            prober.count = 0
        prober.start_s += self._timing.cycle_s(takes)
        prober.number += 1
        return flipped

    def _next_flip(self, prober: Prober) -> float:
        """Return when the prober changes its mind if nothing else changes."""
        outcome = prober.outcome
        if 0.0 < outcome.fails < 1.0:
            kept = (prober.start_s, prober.count, prober.number, prober.healthy, prober.flip_s)
            found = INF
            while prober.start_s < self._world.horizon_s:
                if self._one(prober):
                    found = prober.flip_s
                    break
            prober.start_s, prober.count, prober.number, prober.healthy, prober.flip_s = kept
            return found
        passing = outcome.fails == 0.0
        if passing == prober.healthy:
            return INF
        takes = outcome.passing_takes_s if passing else outcome.failing_takes_s
        missing = self._threshold(prober) - prober.count
        return prober.start_s + (missing - 1) * self._timing.cycle_s(takes) + takes

    def _planned(self, prober: Prober) -> list[tuple[float, bool]]:
        """Return when the prober's reports will arrive that differ from the last one delivered."""
        planned = []
        delay = prober.delay_s
        if delay < INF:
            if prober.flip_s > self._world.now:
                # The probe that changes its mind is under way: until it ends, the report is the one from before.
                if prober.healthy == prober.delivered:
                    planned.append((prober.open_since_s + delay, not prober.healthy))
                planned.append((prober.flip_s + delay, prober.healthy))
            elif prober.healthy != prober.delivered:
                planned.append((max(prober.flip_s, prober.open_since_s) + delay, prober.healthy))
            flip = self._next_flip(prober)
            if flip < INF:
                planned.append((flip + delay, not prober.healthy))
        return planned

    def _plan(self) -> None:
        """Work out when the combined verdict changes, or when a probe of uncertain outcome must be followed further."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        items: list[tuple[float, int, bool, bool]] = []
        down = 0
        for index, prober in enumerate(self.probers):
            down += not prober.delivered
            planned = prober.planned = self._planned(prober)
            chancy = 0.0 < prober.outcome.fails < 1.0
            items.extend((at_s, index, healthy, chancy) for at_s, healthy in planned)
        items.sort()
        states = [prober.delivered for prober in self.probers]
        for at_s, index, healthy, chancy in items:
            if states[index] != healthy:
                states[index] = healthy
                down += -1 if healthy else 1
            if (down >= self._timing.need) != self.down or chancy:
                self._timer = self._world.at(at_s, HEALTH, self._name, self._wake)
                return

    def _wake(self) -> None:
        now = self._world.now
        self._timer = None
        self._catch_up(now, instant=True)
        count = sum(not prober.delivered for prober in self.probers)
        if (count >= self._timing.need) != self.down:
            self._announce(not self.down, count)
        self._plan()

    def _announce(self, down: bool, count: int) -> None:
        self.down = down
        self._world.stirred += 1
        kind = "verdict-down" if down else "verdict-up"
        note = f"{count} of {len(self._standing)} probers report it down, it counts as down from {self._timing.need} on"
        self._on_verdict(down, self._world.emit(kind, self._subject, self._cause, "detection", note))
