"""Checks of people in a failover: shifts of a day, runbooks that somebody works through, drills that were."""

from __future__ import annotations

from mrsim.scenario.control import DecideLease, DecideOperator, Failover
from mrsim.scenario.document import Document, Path
from mrsim.scenario.people import Hours, Runbook
from mrsim.scenario.stores import Store
from mrsim.units import write


def check_people(failover: Failover, store: Store, path: Path, document: Document) -> None:
    """Note what cannot be meant of the people in a failover."""
    if failover.runbook is not None:
        _check_runbook(failover.runbook, failover, store, (*path, "runbook"), document)
    if isinstance(failover.decide, DecideOperator) and failover.decide.hours is not None:
        _check_hours(failover.decide.hours, (*path, "decide", "hours"), document)


def _check_hours(hours: Hours, path: Path, document: Document) -> None:
    names = list(hours.shifts)
    for number, (name, shift) in enumerate(hours.shifts.items()):
        at = (*path, "shifts", name)
        if shift.from_ == shift.to:
            message = f"the shift lasts from {write(shift.from_, 'duration')} to the same time"
            document.add((*at, "to"), message, "write from: 0h, to: 24h for the whole day")
            continue
        for other in names[:number]:
            if shift.covers(hours.shifts[other].from_) or hours.shifts[other].covers(shift.from_):
                document.add(at, f"the shifts {other!r} and {name!r} overlap", "let one begin where the other ends")


def _check_runbook(runbook: Runbook, failover: Failover, store: Store, path: Path, document: Document) -> None:
    if isinstance(failover.decide, DecideLease):
        message = "under a lease nobody works through a runbook: who takes the lease promotes itself"
        document.add(path, message, "leave it out, or write decide: operator", key=True)
    elif not runbook.before and not runbook.after:
        document.add(path, "the runbook has no steps", "write before: 3, or after: 5", key=True)
    if runbook.after and store.endpoint.moved_by == "health":
        message = "an endpoint that follows health waits for no step after the promotion"
        document.add((*path, "after"), message, "write before:, or moved_by: controller")
    if runbook.measured and runbook.breaks_every is not None:
        message = "breaks_every has no effect beside measured shares"
        document.add((*path, "breaks_every"), message, "keep one of them", key=True)
    since_s, share = 0.0, runbook.fails
    for index, drill in enumerate(runbook.measured):
        at = (*path, "measured", index)
        if drill.failed >= drill.of:
            message = f"{drill.failed} of {drill.of} steps failed: that tells no rate"
            document.add((*at, "failed"), message, "fewer must have failed than were tried; add other drills to them")
            return
        if drill.after <= since_s:
            message = f"{write(drill.after, 'duration')} is no later than the one before"
            document.add((*at, "after"), message, "the shortest time first, each once")
            return
        if drill.failed / drill.of < share:
            message = f"{drill.failed} of {drill.of} is less than the {share:.2%} of steps done more recently"
            hint = "no step mends itself: add the drills up, or lower fails"
            document.add((*at, "failed"), message, hint)
            return
        since_s, share = drill.after, drill.failed / drill.of
