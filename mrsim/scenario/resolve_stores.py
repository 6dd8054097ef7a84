"""Stores as written to stores as resolved: short forms, product defaults, failover defaults, product minimums."""

from __future__ import annotations

from typing import Any

from mrsim.scenario.document import Path, nearest, shortened
from mrsim.scenario.people import DAY_S
from mrsim.scenario.resolve_in_region import patroni_timers, refuse_patroni_options, resolve_in_region
from mrsim.scenario.resolving import Resolving, one_name
from mrsim.units import WrittenError, parse, write

DECIDERS = ("automatic", "operator", "lease")
"""Who can decide."""


def resolve_store(store: dict[str, Any], path: Path, state: Resolving) -> None:
    """Resolve one store in place."""
    if isinstance(store.get("standbys"), list):
        store["standbys"] = [
            {"region": standby} if isinstance(standby, str) else standby for standby in store["standbys"]
        ]
    one_name(store, "storage")
    _commit(store, path, state)
    _wal(store, path, state)
    _endpoint(store, path, state)
    _replication(store, path, state)
    archive = state.section(store, "archive")
    if archive is not None:
        state.default(archive, (*path, "archive"), "archive-defaults")
    snapshots = state.section(store, "snapshots")
    if snapshots is not None:
        state.default(snapshots, (*path, "snapshots"), "snapshots-defaults")
    slots = state.section(store, "slots")
    if slots is not None:
        state.default(slots, (*path, "slots"), "slots-defaults")
    objects = state.section(store, "objects")
    if objects is not None:
        state.default(objects, (*path, "objects"), "objects-defaults")
    in_region = state.section(store, "in_region")
    if in_region is not None:
        resolve_in_region(in_region, (*path, "in_region"), state)
    failover = state.section(store, "failover")
    if failover is not None:
        _failover(failover, (*path, "failover"), state)


ASYNCHRONOUS = ("async", "local")
"""Names of the rule that a commit is acknowledged once its own node has flushed it."""
_OFF = (
    "commits that are acknowledged before they are flushed are not modelled: a primary that crashes loses up to three "
    "wal_writer_delay of its own, 0.6 s, and standbys are sent them as late"
)


def _commit(store: dict[str, Any], path: Path, state: Resolving) -> None:
    commit = store.get("commit")
    if commit in ASYNCHRONOUS:
        store["commit"] = {}
    elif commit == "off":
        state.problem((*path, "commit"), _OFF, "write async, and 0.6 s less in budgets of data_loss_s")
        store["commit"] = {}
    elif isinstance(commit, str):
        hint = "write async, or {any: 1, of: [eu-west]} or {first: 1, of: [eu-west]}"
        state.problem((*path, "commit"), f"unknown commit rule {commit!r}", hint)
        store["commit"] = {}
    elif isinstance(commit, dict) and ("any" in commit or "first" in commit):
        inner = dict(commit)
        if inner.get("level") in ("off", "local"):
            message = f"at the level {inner.pop('level')!r} commits wait for no standby"
            state.problem((*path, "commit", "level"), message, "write commit: local, or level: remote_write")
        store["commit"] = inner
        state.default(inner, (*path, "commit"), "commit-defaults")


def _wal(store: dict[str, Any], path: Path, state: Resolving) -> None:
    wal = state.section(store, "wal")
    if wal is None:
        return
    if "bytes_per_commit" not in wal:
        state.default(wal, (*path, "wal"), "wal-defaults")
    bursts = state.section(wal, "bursts")
    if bursts is not None:
        state.default(bursts, (*path, "wal", "bursts"), "burst-defaults")


def _endpoint(store: dict[str, Any], path: Path, state: Resolving) -> None:
    if "endpoint" not in store:
        store["endpoint"] = {}
    endpoint = state.section(store, "endpoint")
    if endpoint is None:
        return
    inner = (*path, "endpoint")
    state.default(endpoint, inner, "endpoint-defaults")
    if endpoint["moved_by"] in ("controller", "gitops", "health"):
        state.default(endpoint, inner, f"endpoint-{endpoint['moved_by']}-defaults")
    else:
        state.default(endpoint, inner, "endpoint-controller-defaults")


def _replication(store: dict[str, Any], path: Path, state: Resolving) -> None:
    product = store.pop("product", "postgresql")
    preset = state.preset((*path, "product"), product, "product") or state.library["postgresql"]
    if "replication" not in store:
        store["replication"] = {}
    replication = state.section(store, "replication")
    if replication is not None:
        state.fill(replication, (*path, "replication"), preset)


def _failover(failover: dict[str, Any], path: Path, state: Resolving) -> None:
    detect = state.section(failover, "detect")
    if detect is not None:
        one_name(detect, "from")
        state.default(detect, (*path, "detect"), "detect-defaults")
    _decide(failover, path, state)
    fence = state.section(failover, "fence")
    if fence is not None:
        _fence(fence, (*path, "fence"), state)
    for key, defaults in (("promote", "promote-defaults"), ("old_primary", "old-primary-defaults")):
        if key not in failover:
            failover[key] = {}
        section = state.section(failover, key)
        if section is not None:
            state.default(section, (*path, key), defaults)
            reconcile = state.section(section, "reconcile") if key == "old_primary" else None
            if reconcile is not None:
                state.default(reconcile, (*path, key, "reconcile"), "reconcile-defaults")
    runbook = state.section(failover, "runbook")
    if runbook is not None:
        state.default(runbook, (*path, "runbook"), "runbook-defaults")
        if "measured" not in runbook:
            state.default(runbook, (*path, "runbook"), "runbook-decay-defaults")
    self_check = state.section(failover, "self_check")
    if self_check is not None:
        one_name(self_check, "sees")
        state.default(self_check, (*path, "self_check"), "self-check-defaults")


def _decide(failover: dict[str, Any], path: Path, state: Resolving) -> None:
    decide = failover.get("decide")
    if isinstance(decide, str):
        failover["decide"] = {"by": decide}
    section = state.section(failover, "decide")
    if section is None:
        return
    inner = (*path, "decide")
    by = section.get("by")
    if "preset" in section and by is None:
        section["by"] = by = "lease"
    if by == "lease":
        _lease(section, inner, state)
    elif by in DECIDERS:
        state.default(section, inner, f"{by}-defaults")
        _hours(section, (*inner, "hours"), state)


def _hours(decide: dict[str, Any], path: Path, state: Resolving) -> None:
    """Write the name of a shift as the time of day that is within it."""
    hours = state.section(decide, "hours")
    if hours is None:
        return
    shifts, at = hours.get("shifts"), hours.get("at")
    if not isinstance(shifts, dict) or not isinstance(at, str) or at == "random" or not at[:1].isalpha():
        return
    shift = shifts.get(at)
    if not isinstance(shift, dict):
        state.problem((*path, "at"), f"there is no shift {shortened(at)!r}", nearest(at, [*shifts, "random"]))
        del hours["at"]
        return
    try:
        begins, ends = parse(shift.get("from"), "duration"), parse(shift.get("to"), "duration")
    except WrittenError:
        # The shift itself is told what is wrong with it.
        del hours["at"]
        return
    ends += DAY_S if ends <= begins else 0.0
    hours["at"] = f"{write(begins, 'duration')}..{write(ends, 'duration')}"


def _lease(decide: dict[str, Any], path: Path, state: Resolving) -> None:
    refuse_patroni_options(decide, path, state)
    one_name(decide, "voters")
    name = decide.pop("preset", None)
    preset = state.preset((*path, "preset"), name, "lease") if name is not None else None
    if preset is not None:
        state.fill(decide, path, preset)
    state.default(decide, path, "lease-defaults")
    if decide.get("watchdog") == "none":
        decide["watchdog"] = None
    if decide.get("product") == "patroni":
        patroni_timers(decide, path, state)


def _fence(fence: dict[str, Any], path: Path, state: Resolving) -> None:
    unconfirmed = fence.get("if_unconfirmed")
    if isinstance(unconfirmed, str):
        fence["if_unconfirmed"] = {"then": unconfirmed}
    state.default(fence, path, "fence-token-defaults" if fence.get("by") == "token" else "fence-defaults")
    if "if_unconfirmed" not in fence:
        fence["if_unconfirmed"] = {}
    inner = state.section(fence, "if_unconfirmed")
    if inner is not None:
        state.default(inner, (*path, "if_unconfirmed"), "unconfirmed-defaults")
