"""The JSON Schema of what is written in a scenario file, made from the models, the presets and the defaults.

The models describe the resolved form; here their fields are turned to how they are written: quantities with units,
short forms, preset names, and keys that defaults or presets supply are optional. What a schema cannot say (references,
shares that add up, budgets' labels) only the loader checks.
"""

from __future__ import annotations

import json
from typing import Any

from mrsim.scenario.fields import NAME_PATTERN, QUANTITY
from mrsim.scenario.loader import library
from mrsim.scenario.model import Scenario
from mrsim.scenario.resolve import ROUTES, WRITER
from mrsim.scenario.schema_values import (
    DEFINITION_OF,
    Schema,
    budgets,
    definitions,
    mapping,
    name_or_names,
    one_of_these,
    ref,
)
from mrsim.scenario.written import ONLY_RESOLVED
from mrsim.units import write

DEFAULTS: dict[str, tuple[str, ...]] = {
    "Network": ("network-defaults",),
    "Cohort": ("cohort-defaults",),
    "Wal": ("wal-defaults",),
    "Bursts": ("burst-defaults",),
    "Archive": ("archive-defaults",),
    "Snapshots": ("snapshots-defaults",),
    "Objects": ("objects-defaults",),
    "Slots": ("slots-defaults",),
    "ChangeFeed": ("feed-defaults",),
    "Reseed": ("reseed-defaults",),
    "Record": ("anycast-defaults",),
    "ShiftBack": ("shift-back-defaults",),
    "Edge": ("edge-defaults",),
    "Edited": ("edited-defaults",),
    "CommitRule": ("commit-defaults",),
    "Endpoint": ("endpoint-defaults",),
    "Detect": ("detect-defaults",),
    "DecideAutomatic": ("automatic-defaults",),
    "DecideOperator": ("operator-defaults",),
    "DecideLease": ("lease-defaults",),
    "Fence": ("fence-defaults",),
    "FenceToken": ("fence-token-defaults",),
    "Unconfirmed": ("unconfirmed-defaults",),
    "Promote": ("promote-defaults",),
    "OldPrimary": ("old-primary-defaults",),
    "Reconcile": ("reconcile-defaults",),
    "InRegion": ("in-region-defaults",),
    "SiteLease": ("lease-defaults", "site-lease-defaults"),
    "ScaledDown": ("scaled-down-defaults",),
    "Runbook": ("runbook-defaults",),
    "Relocation": ("relocation-defaults",),
    "Management": ("management-defaults",),
    "SelfCheck": ("self-check-defaults",),
    "HealthCheck": ("health-check-defaults",),
    "Isolation": ("isolation-defaults",),
    "Partition": ("partition-defaults",),
    "ProcessCrash": ("process-crash-defaults",),
    "Switchover": ("switchover-defaults",),
    "NodeLoss": ("node-loss-defaults",),
    "Brownout": ("brownout-defaults",),
    "Replication": ("postgresql",),
}
"""Defaults that supply keys of a definition."""

OPTIONAL: dict[str, tuple[str, ...]] = {
    "Scenario": ("horizon", "network"),
    "Store": ("endpoint", "replication"),
    "Endpoint": ("takes",),
    "Record": ("ttl",),
    "Fence": ("if_unconfirmed",),
    "FenceToken": ("if_unconfirmed",),
    "Failover": ("promote", "old_primary"),
    "FailoverSlot": ("synced_every",),
    "HealthCheck": ("every", "timeout"),
    "DecideLease": ("by",),
    "SiteLease": ("by",),
}
"""Keys that are required in the resolved form and supplied by a rule other than a default."""

NAMES: dict[str, tuple[str, ...]] = {
    "Detect": ("from",),
    "DecideLease": ("voters",),
    "Store": ("storage",),
    "SelfCheck": ("sees",),
    "Record": ("serves",),
    "ScaledDown": ("regions",),
    "FailoverSlot": ("waits_for",),
    "Management": ("mirrored_in", "rebuilt_in"),
    "Isolation": ("cut_from", "still_reached_by"),
    "Partition": ("between", "and"),
    "LinkDegradation": ("from", "to"),
}
"""Lists of names that may be written as one name."""


def schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a scenario file."""
    resolved = Scenario.model_json_schema(by_alias=True)
    models: dict[str, Schema] = {**resolved.pop("$defs"), "Scenario": resolved}
    for unwritten in ("Assumption", "Budget"):
        models.pop(unwritten)
    written = {name: _model(name, body) for name, body in models.items()}
    for edit in (_edit_top, _edit_network, _edit_store, _edit_failover, _edit_traffic, _edit_feeds):
        edit(written)
    top = written.pop("Scenario")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mrsim scenario",
        "description": "A system, its faults and its budgets, for mrsim.",
        **top,
        "$defs": dict(sorted({**written, **definitions()}.items())),
    }


def schema_text() -> str:
    """Return the schema as it is committed: indented, with a line feed at its end."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _model(name: str, body: Schema) -> Schema:
    """Turn a model's resolved schema to the written form, as far as one rule does for all."""
    hidden = {model.__name__: keys for model, keys in ONLY_RESOLVED.items()}.get(name, frozenset())
    properties = {key: _value(value) for key, value in body.get("properties", {}).items() if key not in hidden}
    supplied: dict[str, Any] = {}
    for preset in DEFAULTS.get(name, ()):
        supplied |= {key: entry.value for key, entry in library()[preset].group("").items()}
    for key, value in supplied.items():
        if key in properties:
            properties[key]["default"] = value
    for key in NAMES.get(name, ()):
        properties[key] = {**name_or_names(), "description": properties[key].get("description", "")}
    optional = {*supplied, *OPTIONAL.get(name, ()), *hidden}
    required = [key for key in body.get("required", []) if key not in optional]
    kept = {key: value for key, value in body.items() if key in ("description", "type", "additionalProperties")}
    return {**kept, "properties": properties, "required": required}


def _value(value: Any) -> Any:
    """Turn one value's schema to the written form: quantities as text, no nulls, no titles."""
    if isinstance(value, list):
        return [_value(item) for item in value]
    if not isinstance(value, dict):
        return value
    options = value.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        left = [option for option in options if option != {"type": "null"}]
        rest = {key: inner for key, inner in value.items() if key not in ("anyOf", "default")}
        return _value({**rest, **left[0]} if len(left) == 1 else {**rest, "anyOf": left})
    kind = value.get(QUANTITY)
    dropped = {"title", "discriminator", QUANTITY} | ({"exclusiveMinimum", "minimum", "maximum"} if kind else set())
    result = {key: _value(inner) for key, inner in value.items() if key not in dropped}
    if kind:
        result |= ref(DEFINITION_OF[kind])
        if isinstance(result.get("default"), (int, float)):
            dimension: Any = kind.split(" ")[0]
            result["default"] = write(float(result["default"]), dimension)
    if "propertyNames" in result and isinstance(result.get("additionalProperties"), dict):
        result["propertyNames"] = {"pattern": NAME_PATTERN}
    return result


def _presets(*kinds: str) -> Schema:
    return one_of_these([name for kind in kinds for name in library().of_kind(kind)])


def _either(*options: Schema, description: str = "") -> Schema:
    return {"anyOf": list(options), **({"description": description} if description else {})}


def _edit_top(models: dict[str, Schema]) -> None:
    top = models["Scenario"]
    top["properties"]["budgets"] = budgets()
    top["properties"]["horizon"]["description"] = (
        "Nominal end of every trial; default: the latest start of the last fault, and two hours."
    )
    inside = {"type": "string", "description": models["ControlPoint"]["properties"]["inside"].get("description", "")}
    models["ControlPoint"]["properties"]["inside"] = inside


def _edit_network(models: dict[str, Schema]) -> None:
    network = models["Network"]
    pairs = mapping({"preset": _presets("rtt")}, [])
    pairs["additionalProperties"] = ref("Duration")
    pairs["propertyNames"] = {"pattern": r"^(preset|[^/]+/[^/]+)$"}
    network["properties"]["wal_bandwidth"]["propertyNames"] = {"pattern": r"^[^/]+/[^/]+$"}
    network["properties"] |= {
        "rtt": _either(
            _presets("rtt"), pairs, description="A preset, or round-trip times per pair: us-east/eu-west: 75ms."
        ),
        "last_mile": {
            **ref("Duration"),
            "description": "Round-trip time between people and the region nearest to them.",
            "default": library()["network-defaults"].group("")["last_mile"].value,
        },
    }
    models["Witness"]["properties"]["rtt"] = {**ref("Duration"), "description": "Round-trip time to every region."}
    models["Witness"]["required"] = ["rtt"]


def _edit_store(models: dict[str, Schema]) -> None:
    store = models["Store"]["properties"]
    store["product"] = {
        **_presets("product"),
        "description": "Whose replication timers apply.",
        "default": "postgresql",
    }
    name = {"type": "string", "pattern": NAME_PATTERN}
    store["standbys"]["items"] = _either(name, ref("Standby"))
    inside = models["InRegion"]["properties"]
    inside["preset"] = {**_presets("in-region"), "description": "A product's manager; keys beside it win."}
    inside["decide"] = _either({"const": "lease"}, ref("SiteLease"), description=inside["decide"]["description"])
    store["commit"] = _either(
        {"enum": ["async", "local"]}, ref("CommitRule"), description="When a commit is acknowledged."
    )


def _edit_failover(models: dict[str, Schema]) -> None:
    hours = models["Hours"]["properties"]["at"]
    hours["anyOf"] = [*hours["anyOf"], {"type": "string", "pattern": NAME_PATTERN}]
    for lease in (models["DecideLease"], models["SiteLease"]):
        lease["properties"]["preset"] = {**_presets("lease"), "description": "A product's lease; keys beside it win."}
        lease["properties"]["watchdog"] = _either(ref("Duration"), {"const": "none"}, description="None by default.")
        lease["anyOf"] = [{"required": ["by"]}, {"required": ["preset"]}]
    inside = [one for one in library().of_kind("lease") if library()[one].group("")["product"].value != "kubernetes"]
    models["SiteLease"]["properties"]["preset"] |= one_of_these(inside)
    deciders = [ref("DecideAutomatic"), ref("DecideOperator"), ref("DecideLease")]
    models["Failover"]["properties"]["decide"] = _either(
        one_of_these(["automatic", "operator"]), *deciders, description="Who decides, and on what evidence."
    )
    actions = models["Unconfirmed"]["properties"]["then"]["enum"]
    for fence in ("Fence", "FenceToken"):
        models[fence]["properties"]["if_unconfirmed"] = _either(
            one_of_these(actions), ref("Unconfirmed"), description="What follows an unconfirmed fence."
        )
    models["Failover"]["properties"]["fence"] = _either(
        ref("Fence"), ref("FenceToken"), description="None: the old primary is not fenced."
    )
    models["Detect"]["properties"]["from"]["description"] = "Places the probers stand in."


def _edit_feeds(models: dict[str, Schema]) -> None:
    slot = models["FailoverSlot"]
    slot["properties"]["preset"] = {**_presets("slot"), "description": "A product's way; keys beside it win."}
    slot["anyOf"] = [{"required": ["preset"]}, {"required": ["synced_every"]}]
    models["ChangeFeed"]["properties"]["slot"] = {
        **_either({"const": "primary-only"}, _presets("slot"), ref("FailoverSlot")),
        "description": "Whether standbys have a copy of its slot; primary-only: it ends with its primary.",
        "default": "primary-only",
    }


def _edit_traffic(models: dict[str, Schema]) -> None:
    service = models["Service"]["properties"]
    service["runs_in"] = _either(
        {"const": WRITER},
        name_or_names(),
        description="Regions it runs in, or writer: beside the primary of its store; default: every region.",
    )
    check = models["HealthCheck"]
    check["properties"]["preset"] = {
        **_presets("health-check"),
        "description": "A provider's check; keys beside it win.",
    }
    check["anyOf"] = [{"required": ["preset"]}, {"required": ["every", "timeout"]}]
    models["Record"]["properties"]["health_check"] = _either(
        _presets("health-check"), ref("HealthCheck"), description="Checks that take a region out of the answers."
    )
    edge = models["Edge"]
    edge["properties"]["preset"] = {**_presets("edge"), "description": "A product's proxy; keys beside it win."}
    edge["required"] = []
    edge["anyOf"] = [{"required": ["preset"]}, {"required": ["connect_timeout"]}]
    models["Record"]["properties"]["edge"] = _either(
        _presets("edge"), ref("Edge"), description=models["Record"]["properties"]["edge"]["description"]
    )
    reads = models["Service"]["properties"]["reads"]
    reads["patternProperties"] = {NAME_PATTERN: _either(one_of_these(list(ROUTES)), ref("Read"))}
    cohort = models["Cohort"]["properties"]
    for key, definition, kind, whole in (
        ("resolvers", "ResolverClass", "resolver", _presets("resolvers", "resolver")),
        ("class", "ClientClass", "client-class", _presets("client-class")),
    ):
        models[definition]["properties"]["preset"] = {**_presets(kind), "description": "A class; keys beside it win."}
        models[definition]["required"] = []
        one = _either(ref("Share"), ref(definition))
        classes = {"type": "object", "propertyNames": {"pattern": NAME_PATTERN}, "additionalProperties": one}
        cohort[key] = _either(whole, classes, description=cohort[key].get("description", ""))
    models["ClientClass"]["properties"]["share"] = {
        **ref("Share"),
        "description": "Share of the cohort; all classes have one, or none.",
    }
    models["ResolverClass"]["required"] = ["share"]
