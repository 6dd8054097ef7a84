"""From the written form to the resolved one: short forms and presets are expanded, what they supply is recorded.

Nothing is validated here beyond what an expansion needs: whatever does not look as expected is passed on, and the
models say what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mrsim.scenario.document import Path, nearest
from mrsim.scenario.fields import Resolved
from mrsim.scenario.resolve_feeds import resolve_feed
from mrsim.scenario.resolve_network import resolve_network
from mrsim.scenario.resolve_stores import resolve_store
from mrsim.scenario.resolving import Resolving, one_name

WRITER = "writer"
"""Written for the regions of a service that runs beside the primary."""

ONLY_RESOLVED = ("horizon_explicit", "assumptions", "path")
"""Keys of the resolved scenario that nobody writes."""
ROUTES = ("nearest", "primary")
"""Ways of reading a store, as their short form."""


def resolve(state: Resolving, path: str) -> dict[str, Any]:
    """Return the resolved form of the document's data, budgets left as written."""
    data: dict[str, Any] = dict(state.document.data)
    for key in ONLY_RESOLVED:
        if key in data:
            state.problem((key,), f"unknown key {key!r}", "the loader sets it", key=True)
            del data[key]
    data.pop("budgets", None)
    data["path"] = path
    data["horizon_explicit"] = "horizon" in data
    products = _products(data)
    if "horizon" not in data:
        data["horizon"] = Resolved(1.0)
    resolve_network(data, state)
    _each(data, "witnesses", state, _witness)
    _each(data, "control_points", state, _control_point)
    _each(data, "stores", state, resolve_store)
    _each(data, "feeds", state, resolve_feed)
    _each(data, "management", state, _management)
    _each(data, "services", state, _service)
    _each(data, "dns", state, _record)
    _each(data, "clients", state, _cohort)
    _faults(data, state, products)
    return data


def _products(data: dict[str, Any]) -> dict[str, object]:
    """Return what was written for the stores' products."""
    stores = data.get("stores")
    found = stores.items() if isinstance(stores, dict) else ()
    return {str(name): store.get("product") for name, store in found if isinstance(store, dict)}


def _each(
    data: dict[str, Any], key: str, state: Resolving, step: Callable[[dict[str, Any], Path, Resolving], None]
) -> None:
    outer = state.section(data, key)
    if outer is None:
        return
    for name in outer:
        inner = state.section(outer, name)
        if inner is not None:
            step(inner, (key, name), state)


def _witness(witness: dict[str, Any], path: Path, state: Resolving) -> None:
    if "rtt" in witness:
        witness["rtt_s"] = witness.pop("rtt")
    elif "rtt_s" in witness:
        state.problem((*path, "rtt_s"), "unknown key 'rtt_s'", "did you mean 'rtt'?", key=True)


def _control_point(point: dict[str, Any], path: Path, state: Resolving) -> None:
    if point.get("inside") in ("none", "outside"):
        point["inside"] = None


def _management(plane: dict[str, Any], path: Path, state: Resolving) -> None:
    for places, takes in (("mirrored_in", "takes_over"), ("rebuilt_in", "rebuild")):
        one_name(plane, places)
        if takes in plane and not plane.get(places):
            message = f"{takes} has no effect without places"
            state.problem((*path, takes), message, f"write {places}: [...], or leave it out", key=True)
    state.default(plane, path, "management-defaults")


def _service(service: dict[str, Any], path: Path, state: Resolving) -> None:
    scaled_down = state.section(service, "scaled_down")
    if scaled_down is not None:
        one_name(scaled_down, "regions")
        state.default(scaled_down, (*path, "scaled_down"), "scaled-down-defaults")
    reads = state.section(service, "reads") or {}
    for store, written in list(reads.items()):
        at = (*path, "reads", store)
        if isinstance(written, str):
            if written not in ROUTES:
                state.problem(at, f"{written!r} is no route", nearest(written, ROUTES))
            reads[store] = {"route": written if written in ROUTES else ROUTES[0]}
        elif (section := state.section(reads, store)) is not None and "again_after" in section:
            section.setdefault("primary_for", Resolved(0.0))
    worker = service.get("runs_in") == WRITER
    if worker:
        service["runs_in"] = []
        service.setdefault("relocates", {})
    one_name(service, "runs_in")
    relocates = state.section(service, "relocates")
    if relocates is None:
        return
    if not worker:
        message = "what runs where it is told follows nobody"
        state.problem((*path, "relocates"), message, f"write runs_in: {WRITER}, or leave it out", key=True)
    state.default(relocates, (*path, "relocates"), "relocation-defaults")


def _record(record: dict[str, Any], path: Path, state: Resolving) -> None:
    one_name(record, "serves")
    if record.get("policy") == "anycast":
        if "ttl" in record:
            state.problem(
                (*path, "ttl"), "an anycast address has no TTL: clients follow routes", "leave ttl out", key=True
            )
        record["ttl"] = "0s"
    proxied = _product(record, "edge", path, state)
    if record.get("policy") == "anycast":
        state.default(record, path, "proxied-defaults" if proxied else "anycast-defaults")
    locations = record.get("locations")
    if isinstance(locations, dict):
        record["locations"] = {
            cohort: [written] if isinstance(written, str) else written for cohort, written in locations.items()
        }
    if record.get("policy") == "weighted" and isinstance(record.get("weights"), dict):
        record.setdefault("regions", list(record["weights"]))
    if state.section(record, "shift_back") is not None:
        state.default(record["shift_back"], (*path, "shift_back"), "shift-back-defaults")
    if state.section(record, "edited") is not None:
        state.default(record["edited"], (*path, "edited"), "edited-defaults")
    _product(record, "health_check", path, state)


def _product(record: dict[str, Any], key: str, path: Path, state: Resolving) -> bool:
    """Resolve the checks of a record or the proxy at it, a preset's name or a section; return whether there is one."""
    written, inner, kind = record.get(key), (*path, key), key.replace("_", "-")
    if isinstance(written, str):
        preset = state.preset(inner, written, kind)
        if preset is None:
            del record[key]
            return False
        record[key] = {}
        state.fill(record[key], inner, preset)
    else:
        section = state.section(record, key)
        if section is None:
            return False
        state.fill_chosen(section, inner, kind)
    state.default(record[key], inner, f"{kind}-defaults")
    return True


def _cohort(cohort: dict[str, Any], path: Path, state: Resolving) -> None:
    _resolvers(cohort, (*path, "resolvers"), state)
    _classes(cohort, (*path, "class"), state)
    state.default(cohort, path, "cohort-defaults")


def _resolvers(cohort: dict[str, Any], path: Path, state: Resolving) -> None:
    written = cohort.get("resolvers")
    if isinstance(written, str):
        preset = state.preset(path, written, "resolvers", "resolver")
        if preset is None:
            del cohort["resolvers"]
            cohort["resolvers"] = {"unknown": {"share": Resolved(1.0)}}
            return
        classes: dict[str, Any] = {}
        cohort["resolvers"] = classes
        if preset.kind == "resolver":
            classes[preset.name] = {"share": Resolved(1.0)}
            state.fill(classes[preset.name], (*path, preset.name), preset)
            return
        for name in preset.groups():
            classes[name] = {}
            state.fill(classes[name], (*path, name), preset, name)
            if name in state.library:
                state.fill(classes[name], (*path, name), state.library[name])
    elif isinstance(written, dict):
        cohort["resolvers"] = {
            name: _one_class(value, name, (*path, name), state, "resolver") for name, value in written.items()
        }


def _one_class(value: Any, name: str, path: Path, state: Resolving, kind: str) -> Any:
    """Resolve ``name: 40%`` (a preset with a share) or ``name: {share: 40%, preset: ..., ...}``."""
    if isinstance(value, dict):
        section = dict(value)
        state.fill_chosen(section, path, kind)
        return section
    section = {"share": value}
    preset = state.preset(path, name, kind)
    if preset is not None:
        state.fill(section, path, preset)
    return section


def _classes(cohort: dict[str, Any], path: Path, state: Resolving) -> None:
    written = cohort.get("class")
    shares: dict[str, Any] = {}
    if isinstance(written, str):
        preset = state.preset(path, written, "client-class")
        section: dict[str, Any] = {}
        cohort["class"] = {written: section}
        if preset is not None:
            state.fill(section, (*path, written), preset)
        else:
            cohort["class"] = {"unknown": {}}
    elif isinstance(written, dict):
        classes: dict[str, Any] = {}
        for name, value in written.items():
            resolved = _one_class(value, name, (*path, name), state, "client-class")
            if isinstance(resolved, dict) and "share" in resolved:
                shares[name] = resolved.pop("share")
            classes[name] = resolved
        cohort["class"] = classes
        if shares and len(shares) < len(classes):
            missing = next(name for name in classes if name not in shares)
            state.problem((*path, missing), f"the class {missing!r} has no share", "give all classes a share, or none")
    if "class_shares" in cohort:
        state.problem(
            (*path[:-1], "class_shares"),
            "unknown key 'class_shares'",
            "write class: {browser: 70%, jvm: 30%}",
            key=True,
        )
    cohort["class_shares"] = shares


def _faults(data: dict[str, Any], state: Resolving, products: dict[str, object]) -> None:
    faults = data.get("faults")
    if not isinstance(faults, list):
        return
    data["faults"] = [dict(fault) if isinstance(fault, dict) else fault for fault in faults]
    for index, fault in enumerate(data["faults"]):
        if not isinstance(fault, dict):
            continue
        path: Path = ("faults", index)
        for key in ("cut_from", "still_reached_by", "between", "and", "from", "to"):
            value = fault.get(key)
            if key == "to" and fault.get("kind") == "switchover":
                continue
            if isinstance(value, str) and not (key in ("cut_from", "still_reached_by") and value == "rest"):
                fault[key] = [value]
        kind = fault.get("kind")
        if kind == "switchover" and _is_leased(data, fault):
            state.default(fault, path, "switchover-lease-defaults")
        elif kind == "switchover" and products.get(str(fault.get("store"))) == "cloudnative-pg":
            state.default(fault, path, "switchover-cloudnative-pg-defaults")
        if isinstance(kind, str) and f"{kind}-defaults" in state.library:
            state.default(fault, path, f"{kind}-defaults")


def _is_leased(data: dict[str, Any], fault: dict[str, Any]) -> bool:
    """Whether a lease changes hands in a switchover: one over all nodes, or that of a region that it stays in."""
    stores, name = data.get("stores"), fault.get("store")
    store = stores.get(name) if isinstance(stores, dict) and isinstance(name, str) else None
    if not isinstance(store, dict):
        return False
    zones = data.get("zones")
    inside = [zone for zone in (zones.values() if isinstance(zones, dict) else ()) if isinstance(zone, (list, tuple))]
    stays = any(store.get("primary") in zone and fault.get("to") in zone for zone in inside)
    for key in ("failover", "in_region") if stays else ("failover",):
        section = store.get(key)
        decide = section.get("decide") if isinstance(section, dict) else None
        if isinstance(decide, dict) and decide.get("by") == "lease":
            return True
    return False
