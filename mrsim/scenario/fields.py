"""Base class and value types of the scenario models.

Every type reads two forms: what a person writes in a file ("75ms", "2%"), and the value that it resolves to (a float in
base units, a :class:`~mrsim.distributions.Distribution`), so that models can be built in Python too. While a file is
read (validation context ``written``) a bare number in place of a quantity is refused, except a :class:`Resolved` one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)

from mrsim import units
from mrsim.distributions import Distribution
from mrsim.written_distributions import FORMS, read

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_-]{0,62}$"
"""What a user may call something: no dots, slashes or braces, which paths and labels are made of."""


class Model(BaseModel):
    """Base of all scenario models: frozen, and unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        arbitrary_types_allowed=True,
        allow_inf_nan=True,
        ser_json_inf_nan="constants",
    )


class Resolved(float):
    """A number in base units that the loader has worked out itself, as opposed to one that somebody wrote."""


def quantity(dimension: units.Dimension, *, forever: bool = False) -> Callable[[Any, ValidationInfo], float]:
    """Return a validator that reads a quantity of this dimension, written or resolved."""

    def validate(value: Any, info: ValidationInfo) -> float:
        if forever and value == units.FOREVER:
            return math.inf
        written = bool(info.context and info.context.get("written"))
        if isinstance(value, Resolved) or (
            not written and isinstance(value, (int, float)) and not isinstance(value, bool)
        ):
            return _checked(float(value), dimension, forever)
        return _checked(units.parse(value, dimension), dimension, forever)

    return validate


def _checked(value: float, dimension: units.Dimension, forever: bool) -> float:
    if math.isnan(value) or value < 0 or (math.isinf(value) and not forever):
        message = f"{value} is not {units.WORDS[dimension]}"
        raise units.WrittenError(message)
    if dimension == "share" and value > 1:
        message = f"{value:.6%} is more than 100%".replace("0000%", "%")
        raise units.WrittenError(message)
    return value


def _distribution(value: Any, info: ValidationInfo) -> Distribution:
    written = bool(info.context and info.context.get("written"))
    if not written and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = units.write(_checked(float(value), "duration", False), "duration")
    return read(value)


_DURATION = r"^([0-9]+(\.[0-9]+)?\s*(us|ms|s|min|h|d)\s*)+$"
_NUMBER = r"^[0-9]+(\.[0-9]+)?\s*"
_RANGE = r"^([0-9]+(\.[0-9]+)?\s*(us|ms|s|min|h|d)\s*)+\.\.\s*([0-9]+(\.[0-9]+)?\s*(us|ms|s|min|h|d)\s*)+$"

DURATION_SCHEMA: dict[str, Any] = {
    "type": "string",
    "pattern": _DURATION,
    "description": "A duration with its unit.",
    "examples": ["75ms", "30s", "5min"],
}
FOREVER_SCHEMA: dict[str, Any] = {"anyOf": [DURATION_SCHEMA, {"const": units.FOREVER}]}
RATE_SCHEMA: dict[str, Any] = {"type": "string", "pattern": _NUMBER + r"/(s|min|h|d)$", "examples": ["200/s", "12/min"]}
SIZE_SCHEMA: dict[str, Any] = {
    "type": "string",
    "pattern": _NUMBER + r"(B|[kK]B|[MGT]B|[KMGT]iB)$",
    "examples": ["2KB", "16MB"],
}
BANDWIDTH_SCHEMA: dict[str, Any] = {
    "type": "string",
    "pattern": _NUMBER + r"(B|[kK]B|[MGT]B|[KMGT]iB|bit|[kK]bit|[MGT]bit)/s$",
    "examples": ["16MB/s", "40Mbit/s"],
}
SHARE_SCHEMA: dict[str, Any] = {"type": "string", "pattern": _NUMBER + r"%$", "examples": ["2%", "99.9%"]}
FACTOR_SCHEMA: dict[str, Any] = {"type": "string", "pattern": _NUMBER + r"x$", "examples": ["20x"]}
DISTRIBUTION_REF: dict[str, Any] = {"$ref": "#/$defs/UncertainDuration"}
DISTRIBUTION_SCHEMA: dict[str, Any] = {
    "description": f"A duration, certain or not: {FORMS}.",
    "examples": ["30s", "30s..2min", {"median": "1min", "p95": "3min"}],
    "anyOf": [
        DURATION_SCHEMA,
        {"type": "string", "pattern": _RANGE},
        {
            "type": "object",
            "description": "Log-normal through two quantiles.",
            "patternProperties": {r"^(median|p[0-9]{1,2}(\.[0-9]+)?)$": DURATION_SCHEMA},
            "additionalProperties": False,
            "minProperties": 2,
            "maxProperties": 2,
        },
        {
            "type": "object",
            "description": "Log-normal with these moments.",
            "properties": {"mean": DURATION_SCHEMA, "sd": DURATION_SCHEMA},
            "required": ["mean", "sd"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "exponential": {
                    "type": "object",
                    "properties": {"mean": DURATION_SCHEMA},
                    "required": ["mean"],
                    "additionalProperties": False,
                }
            },
            "required": ["exponential"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "pareto": {
                    "type": "object",
                    "properties": {"min": DURATION_SCHEMA, "shape": {"type": "number", "exclusiveMinimum": 0}},
                    "patternProperties": {r"^(median|p[0-9]{1,2}(\.[0-9]+)?)$": DURATION_SCHEMA},
                    "additionalProperties": False,
                    "minProperties": 2,
                    "maxProperties": 2,
                }
            },
            "required": ["pareto"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "values": {"type": "array", "items": DURATION_SCHEMA, "minItems": 1},
                "weights": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 1},
            },
            "required": ["values"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "mixture": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "properties": {"share": SHARE_SCHEMA, "of": DISTRIBUTION_REF},
                        "required": ["share", "of"],
                        "additionalProperties": False,
                    },
                }
            },
            "required": ["mixture"],
            "additionalProperties": False,
        },
    ],
}

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Count = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Seconds = Annotated[float, BeforeValidator(quantity("duration")), WithJsonSchema(DURATION_SCHEMA)]
SecondsOrForever = Annotated[float, BeforeValidator(quantity("duration", forever=True)), WithJsonSchema(FOREVER_SCHEMA)]
PerSecond = Annotated[float, BeforeValidator(quantity("rate")), WithJsonSchema(RATE_SCHEMA)]
Bytes = Annotated[float, BeforeValidator(quantity("size")), WithJsonSchema(SIZE_SCHEMA)]
BytesPerSecond = Annotated[float, BeforeValidator(quantity("bandwidth")), WithJsonSchema(BANDWIDTH_SCHEMA)]
Share = Annotated[float, BeforeValidator(quantity("share")), WithJsonSchema(SHARE_SCHEMA)]
Factor = Annotated[float, BeforeValidator(quantity("factor")), WithJsonSchema(FACTOR_SCHEMA)]
SecondsDist = Annotated[
    Distribution,
    BeforeValidator(_distribution),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(DISTRIBUTION_REF),
]
