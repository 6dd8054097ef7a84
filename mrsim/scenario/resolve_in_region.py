"""Who decides inside a region, as written and as resolved: a manager, or a lease as Patroni's."""

from __future__ import annotations

from typing import Any

from mrsim.scenario.document import Path, shortened
from mrsim.scenario.resolving import Resolving
from mrsim.units import WrittenError, parse, write

_MANAGERS = (
    "preset",
    "every",
    "fails",
    "timeout",
    "exit_notice",
    "heartbeat",
    "grace",
    "poll",
    "delay",
    "lease",
    "lease_every",
    "quorum",
    "isolation_check",
    "open_sessions",
)
"""What says how a manager without a lease of Patroni's kind knows its hosts, and when it promotes."""

_INSIDE = "by: lease is all that can be written here; leave decide out for a manager such as CloudNativePG's"
_NOT_INSIDE = {
    "enforced_by": "its holder always obeys it",
    "failsafe_mode": "a region's nodes and its store are cut off together, so there is nobody to ask",
}
"""What a lease over all regions has and one inside a region has not."""


def resolve_in_region(in_region: dict[str, Any], path: Path, state: Resolving) -> None:
    """Resolve what replaces a dead primary inside its region, in place."""
    decide = in_region.get("decide")
    if isinstance(decide, str):
        in_region["decide"] = {"by": decide}
    section = state.section(in_region, "decide")
    if section is not None:
        _leased(in_region, section, path, state)
        return
    _hint_at_decide(in_region, path, state)
    name = in_region.pop("preset", None)
    preset = state.preset((*path, "preset"), name, "in-region") if name is not None else None
    if preset is not None:
        state.fill(in_region, path, preset)
    state.default(in_region, path, "in-region-defaults")


def _hint_at_decide(in_region: dict[str, Any], path: Path, state: Resolving) -> None:
    """Say where Patroni's lease is written, to somebody who wrote it where CloudNativePG's is."""
    if isinstance(in_region.get("lease"), dict):
        message = "the lease of a manager is a duration; one that agents race for, as Patroni's, is written elsewhere"
        state.problem((*path, "lease"), message, "write decide: {by: lease, preset: patroni, ttl: 30s}", key=True)
        del in_region["lease"]
    if in_region.get("preset") in state.library.of_kind("lease"):
        name = in_region.pop("preset")
        message = f"{name!r} is a lease, and no manager"
        state.problem((*path, "preset"), message, f"write decide: {{by: lease, preset: {name}}}")


def _leased(in_region: dict[str, Any], decide: dict[str, Any], path: Path, state: Resolving) -> None:
    inner = (*path, "decide")
    for key in [key for key in _MANAGERS if key in in_region]:
        del in_region[key]
        message = f"{key!r} has no effect under a lease: its holder is known by what it renews"
        state.problem((*path, key), message, "leave it out, or write ttl and loop_wait of decide", key=True)
    if "preset" in decide and "by" not in decide:
        decide["by"] = "lease"
    if decide.get("by") != "lease":
        if "by" in decide:
            message = f"{shortened(str(decide['by']))!r} decides nothing inside a region"
            state.problem((*inner, "by"), message, _INSIDE)
        decide["by"] = "lease"
    refuse_patroni_options(decide, inner, state)
    for key in [key for key in _NOT_INSIDE if key in decide]:
        del decide[key]
        state.problem((*inner, key), f"a lease inside a region has no {key}: {_NOT_INSIDE[key]}", "leave it out")
    _fill(decide, inner, state)
    state.default(in_region, path, "in-region-lease-defaults")
    # A manager's own settings stand for nothing: the race is what a lease waits for.
    quiet = state.library["in-region-defaults"].group("")
    in_region |= {key: entry.value for key, entry in quiet.items() if key not in in_region}
    in_region["delay"] = decide["race"]


def _fill(decide: dict[str, Any], path: Path, state: Resolving) -> None:
    """Give a lease inside a region the values of its preset, and the defaults that it shares with one over all."""
    name = decide.pop("preset", None)
    preset = state.preset((*path, "preset"), name, "lease") if name is not None else None
    if preset is not None and preset.group("")["product"].value == "kubernetes":
        message = f"{preset.name!r} is an election by Kubernetes' API server, which no agents of Patroni's kind hold"
        state.problem((*path, "preset"), message, "write preset: patroni, or in_region: {preset: cloudnative-pg-1-30}")
        preset = None
    for one in (preset, state.library["lease-defaults"]):
        known = dict.fromkeys(_NOT_INSIDE)
        if one is not None:
            decide |= known
            state.fill(decide, path, one)
            for key in known:
                del decide[key]
    if decide.get("watchdog") == "none":
        decide["watchdog"] = None
    if decide.get("watchdog") is not None:
        state.default(decide, path, "site-lease-defaults")
    elif decide.get("reboots") is not None:
        del decide["reboots"]
        state.problem((*path, "reboots"), "nothing resets a host without a watchdog", "write watchdog: 5s", key=True)
    if decide.get("product") == "patroni":
        patroni_timers(decide, path, state)


_SYNCHRONOUS = "write commit: {first: 1, of: [...], when_short: degrade}; a standby outside it may take the lease too"
_PATRONI = {
    "synchronous_mode": ("is not modelled", _SYNCHRONOUS),
    "synchronous_mode_strict": ("is not modelled", _SYNCHRONOUS.replace("degrade", "block")),
    "synchronous_node_count": ("is not modelled", _SYNCHRONOUS.replace("first: 1", "first: n")),
    "maximum_lag_on_failover": ("has another name here", "write max_lag_bytes: 1MB"),
    "primary_start_timeout": ("has another name here", "write start_timeout: 300s"),
    "primary_race_backoff": ("has another name here", "write race_backoff: 2s"),
}
"""Patroni's options that are none here, and what to write instead."""


def refuse_patroni_options(decide: dict[str, Any], path: Path, state: Resolving) -> None:
    """Say how Patroni's options are written that are written otherwise here, or are not modelled."""
    for key in [key for key in decide if key in _PATRONI]:
        del decide[key]
        message, hint = _PATRONI[key]
        state.problem((*path, key), f"Patroni's {key} {message}", hint, key=True)


def patroni_timers(decide: dict[str, Any], path: Path, state: Resolving) -> None:
    """Adjust the three timers as Patroni does.

    Each is raised to its minimum (ttl 20 s, loop_wait 1 s, retry_timeout 3 s); then, while loop_wait + 2 retry_timeout
    exceeds the ttl, loop_wait is lowered, and retry_timeout too if lowering loop_wait to its minimum is not enough.

    References
    ----------
    Patroni 4.1, ``patroni/config.py``, ``_validate_and_adjust_timeouts``.
    """
    minimums = {"ttl": 20.0, "loop_wait": 1.0, "retry_timeout": 3.0}
    asked: dict[str, float] = {}
    for key in minimums:
        try:
            asked[key] = parse(decide.get(key), "duration")
        except WrittenError:
            return
    used = {key: max(value, minimums[key]) for key, value in asked.items()}
    if minimums["loop_wait"] + 2 * used["retry_timeout"] > used["ttl"]:
        used["loop_wait"] = minimums["loop_wait"]
        used["retry_timeout"] = (used["ttl"] - minimums["loop_wait"]) // 2
    elif used["loop_wait"] + 2 * used["retry_timeout"] > used["ttl"]:
        used["loop_wait"] = used["ttl"] - 2 * used["retry_timeout"]
    source = "Patroni enforces ttl >= 20s, loop_wait >= 1s, retry_timeout >= 3s, loop_wait + 2 retry_timeout <= ttl"
    for key, value in used.items():
        if value != asked[key]:
            decide[key] = write(value, "duration")
            reason = f"asked: {write(asked[key], 'duration')}; {source} (patroni/config.py)"
            state.assumptions[:] = [one for one in state.assumptions if one.where != ".".join(map(str, (*path, key)))]
            state.state((*path, key), decide[key], reason, "documented")
