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

from mrsim.distributions import Distribution
from mrsim.units import FOREVER, WORDS, Dimension, WrittenError, parse, write
from mrsim.written_distributions import read

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


def quantity(dimension: Dimension, *, forever: bool = False) -> Callable[[Any, ValidationInfo], float]:
    """Return a validator that reads a quantity of this dimension, written or resolved."""

    def validate(value: Any, info: ValidationInfo) -> float:
        if forever and value == FOREVER:
            return math.inf
        written = bool(info.context and info.context.get("written"))
        if isinstance(value, Resolved) or (
            not written and isinstance(value, (int, float)) and not isinstance(value, bool)
        ):
            return _checked(float(value), dimension, forever)
        return _checked(parse(value, dimension), dimension, forever)

    return validate


def _checked(value: float, dimension: Dimension, forever: bool) -> float:
    if math.isnan(value) or value < 0 or (math.isinf(value) and not forever):
        message = f"{value} is not {WORDS[dimension]}"
        raise WrittenError(message)
    if dimension == "share" and value > 1:
        message = f"{write(value, 'share')} is more than 100%"
        raise WrittenError(message)
    return value


def _distribution(value: Any, info: ValidationInfo) -> Distribution:
    written = bool(info.context and info.context.get("written"))
    if not written and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = write(_checked(float(value), "duration", False), "duration")
    return read(value)


QUANTITY = "x-quantity"
"""Marks a value's place in the JSON Schema; :mod:`mrsim.scenario.schema` puts the written form there."""


def _marked(name: str) -> WithJsonSchema:
    return WithJsonSchema({QUANTITY: name})


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Count = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Seconds = Annotated[float, BeforeValidator(quantity("duration")), _marked("duration")]
SecondsOrForever = Annotated[float, BeforeValidator(quantity("duration", forever=True)), _marked("duration or forever")]
PerSecond = Annotated[float, BeforeValidator(quantity("rate")), _marked("rate")]
Bytes = Annotated[float, BeforeValidator(quantity("size")), _marked("size")]
BytesPerSecond = Annotated[float, BeforeValidator(quantity("bandwidth")), _marked("bandwidth")]
Share = Annotated[float, BeforeValidator(quantity("share")), _marked("share")]
Factor = Annotated[float, BeforeValidator(quantity("factor")), _marked("factor")]
SecondsDist = Annotated[
    Distribution,
    BeforeValidator(_distribution),
    PlainSerializer(str, return_type=str),
    _marked("uncertain duration"),
]
