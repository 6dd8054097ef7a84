"""How quantities are written, as JSON Schema; shared definitions of :mod:`mrsim.scenario.schema`."""

from __future__ import annotations

from typing import Any

from mrsim.metrics import BY_NAME
from mrsim.scenario.fields import NAME_PATTERN
from mrsim.units import FOREVER
from mrsim.written_distributions import FORMS

Schema = dict[str, Any]

_NUMBER = r"[0-9]+(\.[0-9]+)?\s*"
_DURATION = rf"({_NUMBER}(us|ms|s|min|h|d)\s*)+"
_QUANTILES = r"^(median|p[0-9]{1,2}(\.[0-9]{1,4})?)$"

DEFINITION_OF: dict[str, str] = {
    "duration": "Duration",
    "duration or forever": "DurationOrForever",
    "uncertain duration": "UncertainDuration",
    "rate": "Rate",
    "size": "Size",
    "bandwidth": "Bandwidth",
    "share": "Share",
    "factor": "Factor",
}
"""Name of the definition of each kind of value."""


def ref(name: str) -> Schema:
    """Return a reference to a definition."""
    return {"$ref": f"#/$defs/{name}"}


def one_of_these(values: list[str]) -> Schema:
    """Return the schema of a choice among words."""
    return {"type": "string", "enum": values}


def mapping(properties: Schema, required: list[str], **more: Any) -> Schema:
    """Return the schema of a mapping with these keys and no others."""
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}


def name_or_names() -> Schema:
    """Return the schema of a name, or a list of names."""
    name = {"type": "string", "pattern": NAME_PATTERN}
    return {"anyOf": [name, {"type": "array", "items": name, "minItems": 1}]}


def definitions() -> dict[str, Schema]:
    """Return the definitions of all kinds of values, by name."""
    return {
        "Duration": _text(rf"^{_DURATION}$", "A duration with its unit.", "75ms", "30s", "5min"),
        "DurationOrForever": {"anyOf": [ref("Duration"), {"const": FOREVER}]},
        "UncertainDuration": _uncertain(),
        "Rate": _text(rf"^{_NUMBER}/(s|min|h|d)$", "Events per time.", "200/s", "12/min"),
        "Size": _text(rf"^{_NUMBER}(B|[kKMGT]B|[KMGT]iB)$", "A size; KB is 1000 bytes, KiB 1024.", "2KB", "16MB"),
        "Bandwidth": _text(
            rf"^{_NUMBER}(B|[kKMGT]B|[KMGT]iB|bit|[kKMGT]bit)/s$", "Bytes or bits per second.", "16MB/s", "40Mbit/s"
        ),
        "Share": _text(r"^(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)\s*%$", "A share in percent.", "2%", "99.9%"),
        "Factor": _text(rf"^{_NUMBER}x$", "A multiple.", "20x"),
        "Limits": _limits(),
    }


def _text(pattern: str, description: str, *examples: str) -> Schema:
    return {"type": "string", "pattern": pattern, "description": description, "examples": list(examples)}


def _uncertain() -> Schema:
    duration, number = ref("Duration"), {"type": "number", "exclusiveMinimum": 0}
    two_quantiles = {
        "type": "object",
        "patternProperties": {_QUANTILES: duration},
        "additionalProperties": False,
        "minProperties": 2,
        "maxProperties": 2,
    }
    pareto = mapping({"min": duration, "shape": number}, [], minProperties=2, maxProperties=2)
    pareto["patternProperties"] = {_QUANTILES: duration}
    part = mapping({"share": ref("Share"), "of": ref("UncertainDuration")}, ["share", "of"])
    listed = {"type": "array", "minItems": 1}
    return {
        "description": f"A duration, certain or not: {FORMS}.",
        "examples": ["30s", "30s..2min", {"median": "1min", "p95": "3min"}],
        "anyOf": [
            duration,
            {"type": "string", "pattern": rf"^{_DURATION}\.\.\s*{_DURATION}$", "description": "Uniform."},
            {**two_quantiles, "description": "Log-normal through two quantiles."},
            mapping({"mean": duration, "sd": duration}, ["mean", "sd"], description="Log-normal with these moments."),
            mapping({"exponential": mapping({"mean": duration}, ["mean"])}, ["exponential"]),
            mapping({"pareto": pareto}, ["pareto"], description="A heavy tail."),
            mapping({"values": {**listed, "items": duration}, "weights": {**listed, "items": number}}, ["values"]),
            mapping({"mixture": {**listed, "items": part}}, ["mixture"]),
        ],
    }


def _limits() -> Schema:
    value = r"[0-9][^<>=]*"
    limit = _text(
        rf"^\s*(mean|median|trials|p[0-9]{{1,2}}(\.[0-9]{{1,4}})?)\s*(<|<=|>|>=)\s*{value}$",
        "<aggregation over trials> <op> <value with unit>.",
        "p95 < 10min",
        "trials <= 1%",
    )
    levelled = mapping({"expr": limit, "level": one_of_these(["error", "warn", "off"])}, ["expr"])
    one = {"anyOf": [limit, levelled]}
    return {"anyOf": [limit, levelled, {"type": "array", "items": one, "minItems": 1}]}


def budgets() -> Schema:
    """Return the schema of the budgets: metrics with labels, each with its limits."""
    names = "|".join(sorted(BY_NAME, key=lambda name: (-len(name), name)))
    return {
        "type": "object",
        "description": "Limits on metrics: 'rto{service=orders, op=write, clients=95%}: [p95 < 10min]'.",
        "patternProperties": {rf"^\s*({names})\s*(\{{[^{{}}]*\}})?\s*$": ref("Limits")},
        "additionalProperties": False,
    }
