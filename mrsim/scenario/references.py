"""References by name, checked on plain data so that they are checked even where something else is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from mrsim.scenario.document import Document, Path, nearest, shortened
from mrsim.scenario.places import OUTSIDE, RESERVED, control_of

Kind = Literal[
    "region", "zone", "region or zone", "place", "control point", "cohort", "store", "service", "management plane"
]

REFERENCES: tuple[tuple[str, Kind], ...] = (
    ("zones {}", "region"),
    ("stores * primary", "region or zone"),
    ("stores * standbys [] region", "region or zone"),
    ("stores * standbys [] source", "region or zone"),
    ("stores * storage []", "region or zone"),
    ("stores * standbys [] archive", "place"),
    ("stores * archive place", "place"),
    ("stores * snapshots place", "place"),
    ("stores * commit of []", "region or zone"),
    ("stores * endpoint authority", "place"),
    ("stores * failover detect from []", "place"),
    ("stores * failover decide runs_in", "place"),
    ("stores * failover decide voters []", "place"),
    ("stores * failover fence through", "control point"),
    ("stores * failover promote order []", "region or zone"),
    ("stores * failover self_check sees []", "place"),
    ("services * runs_in []", "region"),
    ("services * scaled_down regions []", "region"),
    ("services * scaled_down managed_by", "management plane"),
    ("services * relocates managed_by", "management plane"),
    ("stores * endpoint managed_by", "management plane"),
    ("feeds * of", "store"),
    ("feeds * region", "region"),
    ("feeds * slot waits_for []", "region or zone"),
    ("management * place", "place"),
    ("management * watched_from", "place"),
    ("management * mirrored_in []", "place"),
    ("management * rebuilt_in []", "place"),
    ("services * reads {}", "store"),
    ("services * writes", "store"),
    ("dns * serves []", "service"),
    ("dns * regions []", "region"),
    ("dns * locations {}", "cohort"),
    ("dns * locations * []", "region"),
    ("dns * weights {}", "region"),
    ("dns * edited by", "place"),
    ("dns * edited authority", "place"),
    ("dns * shift_back by", "place"),
    ("dns * shift_back authority", "place"),
    ("dns * health_check stands", "place"),
    ("dns * health_check fallback", "region"),
    ("clients * near", "region"),
    ("control_points * inside", "region"),
    ("faults [] region", "region or zone"),
    ("faults [] zone", "zone"),
    ("faults [] to", "region or zone"),
    ("faults [] store", "store"),
    ("faults [] cut_from []", "place"),
    ("faults [] still_reached_by []", "place"),
    ("faults [] between []", "place"),
    ("faults [] and []", "place"),
    ("faults [] from []", "place"),
    ("faults [] to []", "place"),
)
"""Where names stand: ``*`` any key, ``[]`` every item of a list, ``{}`` the keys of a mapping."""

REGIONAL: frozenset[Kind] = frozenset({"region", "zone", "region or zone", "place", "control point"})
"""Kinds of names that a scenario's regions have a part in."""


def check_references(document: Document, data: dict[str, Any]) -> None:
    """Note names that are not defined, defined twice, or reserved."""
    known = _known(data)
    _check_names(document, data)
    for pattern, kind in REFERENCES:
        if kind in REGIONAL and not known["region"]:
            # That there are no regions is said once.
            continue
        for path, name, is_key in _found(data, pattern.split(), ()):
            if not isinstance(name, str) or name in known[kind]:
                continue
            what = "region" if kind == "region or zone" and not known["zone"] else kind
            message, hint = f"unknown {what} {shortened(name)!r}", nearest(name, known[kind])
            if not known[kind]:
                hint = f"the scenario has no {kind}s"
            document.add(path, message, hint, key=is_key)


def _known(data: dict[str, Any]) -> dict[Kind, set[str]]:
    regions = {region for region in _list(data.get("regions")) if isinstance(region, str)}
    zones = {zone for _, zone in _zones(data)}
    controls = {control_of(region) for region in regions} | _keys(data, "control_points")
    places = regions | zones | controls | _keys(data, "witnesses") | _keys(data, "clients") | set(OUTSIDE)
    return {
        "region": regions,
        "zone": zones,
        "region or zone": regions | zones,
        "place": places,
        "control point": controls,
        "cohort": _keys(data, "clients"),
        "store": _keys(data, "stores"),
        "service": _keys(data, "services"),
        "management plane": _keys(data, "management"),
    }


def _check_names(document: Document, data: dict[str, Any]) -> None:
    """Note names of places that are given twice or that mean something else."""
    taken: dict[str, str] = {}
    named: list[tuple[Path, str, str]] = []
    for index, region in enumerate(_list(data.get("regions"))):
        if isinstance(region, str):
            named += [(("regions", index), region, "a region")]
    named += [(path, zone, "a zone") for path, zone in _zones(data)]
    named += [
        ((section, name), name, what)
        for section, what in (
            ("witnesses", "a witness"),
            ("clients", "a cohort"),
            ("control_points", "a control point"),
        )
        for name in sorted(_keys(data, section))
    ]
    regions = [name for _, name, what in named if what == "a region"]
    for path, name, what in named:
        if name in RESERVED:
            document.add(path, f"{name!r} is a reserved word", "choose another name", key=True)
        elif name in taken:
            document.add(path, f"{name!r} is already {taken[name]}", "places need different names", key=True)
        elif what != "a control point" and name in {control_of(region) for region in regions}:
            document.add(path, f"{name!r} is the control point inside a region", "choose another name", key=True)
        else:
            taken[name] = what


def _zones(data: dict[str, Any]) -> list[tuple[Path, str]]:
    """Return the zones that are declared, with their places in the document."""
    declared = data.get("zones")
    return [
        (("zones", region, index), zone)
        for region, zones in (declared.items() if isinstance(declared, dict) else ())
        for index, zone in enumerate(_list(zones))
        if isinstance(zone, str)
    ]


def _keys(data: dict[str, Any], section: str) -> set[str]:
    inner = data.get(section)
    return {key for key in inner if isinstance(key, str)} if isinstance(inner, dict) else set()


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _found(data: Any, pattern: list[str], path: Path) -> Iterator[tuple[Path, Any, bool]]:
    """Yield path, name and whether it is a key, for every place that a pattern fits."""
    if not pattern:
        if data != "rest" and not isinstance(data, (list, dict)):
            yield path, data, False
        return
    step, rest = pattern[0], pattern[1:]
    if step == "[]":
        for index, item in enumerate(_list(data)):
            yield from _found(item, rest, (*path, index))
    elif isinstance(data, dict):
        if step == "{}":
            for key in data:
                yield (*path, key), key, True
        elif step == "*":
            for key, item in data.items():
                yield from _found(item, rest, (*path, key))
        elif step in data:
            yield from _found(data[step], rest, (*path, step))
