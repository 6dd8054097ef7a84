"""The network as written to the network as resolved: RTT presets, overrides, both orders, bandwidths."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from mrsim.scenario.document import Path, nearest
from mrsim.scenario.fields import Resolved
from mrsim.scenario.library import Preset
from mrsim.scenario.resolving import Resolving
from mrsim.units import WrittenError, parse

MOST_REGIONS = 200
"""Regions of a scenario."""

_RTT: Path = ("network", "rtt")


def resolve_network(data: dict[str, Any], state: Resolving) -> None:
    """Resolve ``network`` in place: ``rtt`` becomes ``rtt_s`` in both orders."""
    if "network" not in data:
        data["network"] = {}
    network = state.section(data, "network")
    if network is None:
        return
    for key, written in (("rtt_s", "rtt"), ("last_mile_s", "last_mile")):
        if key in network:
            state.problem(("network", key), f"unknown key {key!r}", f"did you mean {written!r}?", key=True)
            del network[key]
    state.default(network, ("network",), "network-defaults")
    network["last_mile_s"] = network.pop("last_mile", None)
    regions = _regions(data)
    network["rtt_s"] = _rtt(network.pop("rtt", None), regions, state)
    _bandwidth(network, regions, data, state)


def _regions(data: dict[str, Any]) -> list[str]:
    regions = data.get("regions")
    if not isinstance(regions, list):
        return []
    return list(dict.fromkeys(region for region in regions if isinstance(region, str)))


def _rtt(written: Any, regions: list[str], state: Resolving) -> dict[str, Resolved]:
    overrides: dict[str, Any] = {}
    preset: Preset | None = None
    if isinstance(written, str):
        preset = state.preset(_RTT, written, "rtt")
        if preset is None:
            return {}
    elif isinstance(written, dict):
        overrides = {key: value for key, value in written.items() if key != "preset"}
        if "preset" in written:
            preset = state.preset((*_RTT, "preset"), written["preset"], "rtt")
            if preset is None:
                return {}
    elif written is not None:
        state.problem(
            _RTT, f"{written!r} is not a preset or a mapping of pairs", "write aws-2026 or {us-east/eu-west: 75ms}"
        )
        return {}
    table = _overrides(overrides, regions, state)
    missing = [pair for pair in combinations(regions, 2) if "/".join(pair) not in table]
    if missing:
        _from_preset(table, missing, preset, state)
    return table


def _overrides(overrides: dict[str, Any], regions: list[str], state: Resolving) -> dict[str, Resolved]:
    table: dict[str, Resolved] = {}
    for pair, value in overrides.items():
        path = (*_RTT, pair)
        ends = pair.split("/")
        unknown = [end for end in ends if end not in regions]
        if len(ends) != 2 or ends[0] == ends[-1]:
            state.problem(path, f"{pair!r} is not a pair of two regions", "write us-east/eu-west: 75ms", key=True)
            continue
        if regions and unknown:
            state.problem(path, f"unknown region {unknown[0]!r}", nearest(unknown[0], regions), key=True)
            continue
        try:
            seconds = Resolved(parse(value, "duration"))
        except WrittenError as error:
            state.problem(path, str(error), error.hint)
            # What is wrong with it has been said: the pair is there.
            table[pair] = table[f"{ends[1]}/{ends[0]}"] = Resolved(0.0)
            continue
        if table.get(pair, seconds) != seconds:
            state.problem(path, f"{pair} and {ends[1]}/{ends[0]} differ; a round trip has one length", "keep one")
        table[pair] = table[f"{ends[1]}/{ends[0]}"] = seconds
    return table


def _from_preset(
    table: dict[str, Resolved], missing: list[tuple[str, str]], preset: Preset | None, state: Resolving
) -> None:
    if preset is None:
        shown = ", ".join("/".join(pair) for pair in missing[:4]) + (", ..." if len(missing) > 4 else "")
        hint = "write rtt: aws-2026, or each pair as us-east/eu-west: 75ms"
        state.problem(_RTT, f"no round-trip time between {shown}", hint)
        return
    pairs = preset.group("pairs")
    aliases = {key: str(entry.value) for key, entry in preset.group("aliases").items()}
    for a, b in missing:
        full = (aliases.get(a, a), aliases.get(b, b))
        entry = pairs.get("/".join(full)) or pairs.get("/".join(reversed(full)))
        if entry is None:
            known = {name for pair in pairs for name in pair.split("/")} | set(aliases)
            strange = next((name for name in (a, b) if name not in known), "")
            if strange:
                hint = (
                    f"{nearest(strange, known)}; else write rtt: {{preset: {preset.name}, {a}/{b}: 75ms}} and the rest"
                )
                state.problem(_RTT, f"the preset {preset.name} has no region {strange!r}", hint)
                return
            hint = f"write rtt: {{preset: {preset.name}, {a}/{b}: 75ms}}"
            state.problem(_RTT, f"the preset {preset.name} has no round trip between {a} and {b}", hint)
            continue
        seconds = Resolved(parse(entry.value, "duration"))
        table[f"{a}/{b}"] = table[f"{b}/{a}"] = seconds
        state.assume((*_RTT, f"{a}/{b}"), entry.value, entry, preset.name)
    holds = preset.group("").get("holds")
    if holds is not None:
        state.assume((*_RTT, "holds"), holds.value, holds, preset.name)


def _bandwidth(network: dict[str, Any], regions: list[str], data: dict[str, Any], state: Resolving) -> None:
    written = network.get("wal_bandwidth", {})
    if not isinstance(written, dict):
        return
    for pair in written:
        path: Path = ("network", "wal_bandwidth", pair)
        ends = pair.split("/")
        if len(ends) != 2:
            state.problem(
                path, f"{pair!r} is not a directed pair of regions", "write us-east/eu-west or us-east/*", key=True
            )
            continue
        for end in ends:
            if regions and end != "*" and end not in regions:
                state.problem(path, f"unknown region {end!r}", nearest(end, regions), key=True)
    stores = data.get("stores")
    for name, store in stores.items() if isinstance(stores, dict) else ():
        primary = _region_of(store.get("primary"), data) if isinstance(store, dict) else None
        standbys = store.get("standbys") if isinstance(store, dict) else None
        if isinstance(primary, str) and isinstance(standbys, list) and not _covered(primary, standbys, written, data):
            source = f"no bandwidth is given from {primary} for the WAL of {name}; lag then comes from latency alone"
            state.state(("network", "wal_bandwidth", f"{primary}/*"), "unlimited", source)


def _region_of(place: Any, data: dict[str, Any]) -> Any:
    """Return the region that a zone is in; the place itself if it is none."""
    zones = data.get("zones")
    for region, inside in zones.items() if isinstance(zones, dict) else ():
        if isinstance(inside, list) and place in inside:
            return region
    return place


def _covered(primary: str, standbys: list[Any], written: dict[str, Any], data: dict[str, Any]) -> bool:
    if any(pair in written for pair in (f"{primary}/*", "*/*")):
        return True
    named = [standby.get("region") if isinstance(standby, dict) else standby for standby in standbys]
    regions = [region for name in named if (region := _region_of(name, data)) != primary]
    return all(f"{primary}/{region}" in written or f"*/{region}" in written for region in regions)
