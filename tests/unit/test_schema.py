"""The JSON Schema: current, true to every scenario there is, and as strict as a schema can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from mrsim.scenario.loader import library, loads
from mrsim.scenario.schema import schema, schema_text
from mrsim.scenario.schema_values import definitions
from tests.unit.test_loader_errors import BROKEN, GOOD

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").rglob("*.yaml"))
EXPRESSIBLE = (
    "unknown key",
    "has no unit",
    "is not allowed",
    "is missing",
    "is not a ",
    "unknown kind",
    "preset '",
    "is a size",
)
"""What a schema can say: keys, kinds of values, words; not references, sums or what labels mean."""


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema())


def _plain(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def test_the_committed_schema_is_current() -> None:
    committed = (ROOT / "scenarios" / "mrsim.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "run `mrsim schema > scenarios/mrsim.schema.json`"


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_scenario_fits(path: Path, validator: Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(_plain(path.read_text(encoding="utf-8")))] == []


def test_the_good_text_fits(validator: Draft202012Validator) -> None:
    assert validator.is_valid(_plain(GOOD))


_TYPED = [row for row in BROKEN if any(word in row[3] for word in EXPRESSIBLE) and "budgets" not in row[2]]


@pytest.mark.parametrize("row", _TYPED, ids=[row[1][:50] for row in _TYPED])
def test_mistakes_that_a_schema_can_express_do_not_fit(row: tuple[str, ...], validator: Draft202012Validator) -> None:
    assert not validator.is_valid(_plain(GOOD.replace(row[0], row[1])))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("commit: {any: 1, of: [eu-west], level: on, when_short: block}", "commit: async"),
        ("decide: {by: automatic, max_lag: 10s}", "decide: automatic"),
        ("health_check: route53-fast", "health_check: {preset: route53-fast, every: 20s}"),
        ("health_check: route53-fast", "health_check: {every: 20s, timeout: 3s}"),
        ("resolvers: typical", "resolvers: unbound"),
        (
            "resolvers: typical",
            "resolvers: {mine: {share: 100%, ttl_min: 5min, overstay: {pareto: {min: 9s, shape: 1}}}}",
        ),
        (
            "class: browser",
            "class: {browser: {share: 40%, cache: 30s}, old: {share: 60%, preset: jvm, cache: forever}}",
        ),
        ("rtt: aws-2026", "rtt: {preset: aws-2026, us-east/eu-west: 75ms}"),
        ("[p95 < 10min]", "p95 < 10min"),
        ("[p95 < 10min]", "[{expr: p95 < 10min, level: warn}]"),
        (
            "takes: 30s..60s",
            "takes: {mixture: [{share: 90%, of: 30s..60s}, {share: 10%, of: {median: 2min, p95: 5min}}]}",
        ),
        ("still_reached_by: [us-users]", "still_reached_by: us-users"),
        ("primary: us-east", "primary: us-east\n    product: cloudnative-pg"),
    ],
)
def test_short_and_long_forms_fit_and_load(old: str, new: str, validator: Draft202012Validator) -> None:
    text = GOOD.replace(old, new)
    assert text != GOOD
    loads(text)
    assert [error.message for error in validator.iter_errors(_plain(text))] == []


def test_presets_can_be_completed() -> None:
    options = schema()["$defs"]["Record"]["properties"]["health_check"]["anyOf"]
    assert options[0]["enum"] == library().of_kind("health-check")


def test_every_key_is_described() -> None:
    whole = schema()
    bodies = {"": whole, **whole["$defs"]}
    values = set(definitions())
    told = {f"#/$defs/{name}" for name, body in whole["$defs"].items() if body.get("description")}
    bare = [
        f"{name}.{key}"
        for name, body in bodies.items()
        for key, value in body.get("properties", {}).items()
        if name not in values and not value.get("description") and value.get("$ref") not in told
    ]
    assert bare == []
