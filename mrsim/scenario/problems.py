"""What pydantic finds wrong, as problems with places, values and hints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from mrsim.scenario.document import Document, Path, nearest, shortened, shown_value, where
from mrsim.scenario.fields import Model
from mrsim.scenario.homes import belongs, options
from mrsim.scenario.model import Scenario
from mrsim.scenario.written import written_keys
from mrsim.units import UNITS, WrittenError, parse, write

WHY_NEEDED = {
    "in_flight": "what is on the wire at that instant decides the loss: arrives (a dying host) or lost",
    "connections": "probers and clients pay differently: hang (packets vanish) or refused (something answers no)",
    "cut_from": "a cut needs both sides: the places that cannot reach the region, or rest",
    "still_reached_by": "a cut needs both sides: the places that still reach the region, or rest",
    "wal": "write what the primary writes, such as wal: {commits: 200/s, bytes_per_commit: 2KB}",
    "commits": "write how many commits all clients together attempt, such as commits: 200/s",
    "decide": "write decide: automatic, or {by: operator, ...}, or {by: lease, voters: [...]}",
    "voters": "write the places of the lease store's members, such as [us-east, eu-west, ap-southeast]",
    "ttl": "write the time to live of the answers, such as ttl: 60s",
    "every": "write the interval between probes, such as every: 10s, or choose a preset",
    "timeout": "write how long a probe waits, such as timeout: 4s, or choose a preset",
    "connect_timeout": "write how long the proxy tries to connect, such as connect_timeout: 5s, or choose a preset",
    "primary": "write the region of the primary",
    "near": "write the region these clients are closest to",
    "share": "write a share, such as share: 50%",
    "resolvers": "write resolvers: typical, or name others (see `mrsim presets`)",
    "class": "write class: browser, or name others (see `mrsim presets`)",
    "policy": "write latency, failover, geography, weighted or anycast",
    "serves": "write the services reached through this record",
    "regions": "write regions: [us-east, eu-west]",
    "kind": "write what breaks, such as kind: region-loss",
    "by": "write who decides: automatic, operator or lease",
    "through": "write the control point; '<region>-control' is the one inside that region",
    "name": "write a name for the scenario, such as name: bookstore",
    "rtt_s": "write rtt: 20ms",
    "feeds.of": "write the store whose changes it is sent",
    "feeds.region": "write the region that the consumer is in",
    "slot.synced_every": "write how often standbys copy its position, such as synced_every: 10s, or choose a preset",
    "reseeds.size": "write how much is copied, such as size: 20GB",
    "archive.place": "write the place that holds it, such as place: eu-west",
    "snapshots.place": "write the place that holds them, such as place: eu-west",
    "snapshots.every": "write how often one is taken, such as every: 6h",
    "snapshots.size": "write how much is restored, such as size: 280GB",
    "batch.every": "write how often a run is due, such as every: 15min",
    "batch.takes": "write how long a run writes, such as takes: 3min",
    "bursts.every": "write the period, such as every: 10min",
    "shift_back.every": "write the time from one step to the next, such as every: 15min",
    "lowers_ttl.to": "write the lower life of the endpoint's answers, such as to: 30s",
    "lowers_ttl.ahead": "write how long before the work it is lowered, such as ahead: 10min",
    "faults.store": "write the store that it strikes, or whose primary moves",
    "faults.region": "write the region that it strikes",
}
"""Why a key has no default, or what to write: by the key, or where keys of one name differ, with what it is in."""

_KINDS = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "bool_type": "true or false",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
}
_MAPPINGS = {
    "wal_bandwidth": "write what each direction carries, such as {us-east/*: 100Mbit/s}",
    "reads": "write each store with its route, such as {orders-db: nearest}",
    "zones": "write the zones of each region, such as {us-east: [us-east-a, us-east-b]}",
    "weights": "write a weight for each region, such as {us-east: 9, eu-west: 1}",
    "stores": "write each store by its name: {orders-db: {primary: us-east, ...}}",
    "services": "write each service by its name: {orders: {writes: orders-db}}",
    "dns": "write each record by its name: {shop: {serves: [orders], policy: latency, ttl: 60s}}",
    "clients": "write each cohort by its name: {users: {near: us-east, share: 100%, ...}}",
}
"""How a mapping is written whose keys are names, by its own key."""

_ABSENT = ("none", "no", "off", "never", "disabled")
_DISCRIMINATORS = ("kind", "by")


def report(error: ValidationError, document: Document, data: Any) -> None:
    """Add a validation error's findings to a document's problems, one for each place."""
    already = {(problem.line, problem.column) for problem in document.problems}
    unread = {problem.where for problem in document.problems if problem.where.endswith(".preset")}
    grouped: dict[Path, list[dict[str, Any]]] = {}
    for finding in error.errors(include_url=False):
        path = written_path(finding["loc"], data, str(finding["type"]))
        grouped.setdefault(path, []).append(dict(finding))
    for path, findings in grouped.items():
        if document.place(path) in already and path in document.places:
            continue
        if findings[0]["type"] == "missing" and where((*path[:-1], "preset")) in unread:
            continue
        findings.sort(key=lambda finding: finding["type"] != "value_error")
        message, hint, is_key = _said(findings[0], path, document)
        others = [finding for finding in findings[1:] if finding["type"] == "literal_error"]
        if others:
            words = str(others[0]["ctx"]["expected"])
            hint = f"{hint}, or {words}" if hint else nearest(others[0].get("input"), _quoted(words))
        document.add(path, message, hint, key=is_key)


def written_path(loc: tuple[str | int, ...], data: Any, kind: str) -> Path:
    """Return a pydantic location without the tags of unions, which are in no document."""
    path: list[str | int] = []
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        if isinstance(data, dict):
            known = part in data and not _is_tag(part, data, loc[index + 1 : index + 2])
        else:
            known = isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data)
        if known:
            data = data[part]
        elif not (last and kind == "missing"):
            continue
        path.append(part)
    return tuple(path)


def _is_tag(part: str | int, data: dict[Any, Any], following: tuple[str | int, ...]) -> bool:
    """Whether a part that happens to be a key too is the tag of a union: a key of the same mapping follows."""
    return part in (data.get("kind"), data.get("by")) and bool(following) and following[0] in data


def _why_needed(path: Path, last: str) -> str:
    """Return what to write for a key that is missing: said of the mapping it is in, of its section, or of its name."""
    within = (f"{part}.{last}" for part in (*path[-2:-1], *path[:1]))
    return next((WHY_NEEDED[key] for key in within if key in WHY_NEEDED), WHY_NEEDED.get(last, ""))


def _said(finding: dict[str, Any], path: Path, document: Document) -> tuple[str, str, bool]:
    """Return message, hint and whether the key is meant rather than the value."""
    kind, context = str(finding["type"]), finding.get("ctx", {})
    last = str(path[-1]) if path else ""
    shown = document.shown(path, finding.get("input"))
    if finding["loc"] and finding["loc"][-1] == "[key]":
        return f"{last!r} cannot be a name", "names begin with a letter; letters, digits, - and _ follow", True
    if kind == "missing":
        return f"{last!r} is missing", _why_needed(path, last), False
    if kind == "extra_forbidden":
        here = _keys_at(tuple(finding["loc"][:-1]))
        near = nearest(last, here)
        home = belongs(path, document.data)
        if home and near.startswith("did you mean"):
            home = f"{near} {home}"
        return f"unknown key {last!r}", home or near, True
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _tag(context, finding.get("input"))
    if kind == "literal_error":
        return f"{shown!r} is not allowed here", nearest(shown, _quoted(str(context["expected"]))), False
    if kind == "value_error":
        cause = context.get("error")
        return str(cause), str(getattr(cause, "hint", "")), False
    if kind == "string_pattern_mismatch":
        return f"{shown!r} cannot be a name", "names begin with a letter; letters, digits, - and _ follow", False
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        return f"{shown} must be {word} {_bound(shown, float(context[key]))}", "", False
    if kind in _KINDS:
        return f"{shown!r} is not {_KINDS[kind]}", _other_form(finding.get("input"), _KINDS[kind], last), False
    if kind == "too_short":
        return "the list is empty", f"{context.get('min_length', 1)} or more are needed", False
    return f"{shown!r}: {finding['msg']}", "", False


def _other_form(value: Any, needed: str, key: str) -> str:
    """Return how the value of a key is written that was given as a list of one, or as one where a list is needed."""
    if needed == "a list" and isinstance(value, (str, dict)) and value:
        return f"write [{shortened(shown_value(value))}]" if isinstance(value, str) else "write a list: [...]"
    if needed == "a mapping" and (value is False or (isinstance(value, str) and value.lower() in _ABSENT)):
        return "leave the key out where there is none"
    if needed == "a mapping":
        return _MAPPINGS.get(key, "")
    if needed == "a text" and isinstance(value, list) and len(value) == 1:
        return f"write {shortened(shown_value(value[0]))}"
    return ""


def _bound(shown: str, bound: float) -> str:
    """Return the end of what is allowed, in a unit if the value that was written has one."""
    for dimension in UNITS:
        try:
            parse(shown, dimension)
        except WrittenError:
            continue
        return write(bound, dimension) if bound else "0"
    return f"{bound:g}"


def _tag(context: dict[str, Any], value: Any) -> tuple[str, str, bool]:
    key = str(context.get("discriminator", "kind")).strip("'")
    if "expected_tags" not in context:
        return f"{key!r} is missing", WHY_NEEDED.get(key, ""), False
    given = value.get(key) if isinstance(value, dict) else None
    shown = repr(shortened(str(given)))
    # Who decides is mostly written without its key: decide: automatic.
    message = f"{shown} is not allowed here" if key == "by" else f"unknown {key} {shown}"
    return message, nearest(given, _quoted(str(context["expected_tags"]))), False


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _keys_at(loc: tuple[str | int, ...]) -> list[str]:
    """Return the keys that may be written at a pydantic location."""
    current: list[Any] = [Scenario]
    for part in loc:
        tagged = [kind for kind in current if isinstance(kind, type) and part in _tags(kind)]
        current = tagged or [inner for kind in current for inner in _inside(kind, part)]
    keys: list[str] = []
    for kind in current:
        if isinstance(kind, type) and issubclass(kind, Model):
            keys += written_keys(kind)
    return keys


def _tags(model: type) -> list[str]:
    """Return the values of a model's discriminator."""
    if not issubclass(model, Model):
        return []
    fields = [model.model_fields[name] for name in _DISCRIMINATORS if name in model.model_fields]
    return [tag for field in fields if get_origin(field.annotation) is Literal for tag in get_args(field.annotation)]


def _inside(kind: Any, part: str | int) -> Iterator[Any]:
    """Yield the types found in a type under a key or an index."""
    if isinstance(kind, type) and issubclass(kind, Model):
        for name, field in kind.model_fields.items():
            if part in (name, field.alias):
                yield from options(field.annotation)
    elif get_origin(kind) is dict:
        yield from options(get_args(kind)[1])
    elif get_origin(kind) is tuple:
        yield from options(get_args(kind)[0])
