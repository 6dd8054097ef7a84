"""Claims often met, published figures and assumed defaults, beside what the simulator does; values from its presets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from mrsim.scenario.library import Preset
from mrsim.scenario.presets import names, show
from mrsim.scenario.stores import CommitRule

FILE = Path(__file__).with_name("claims.yaml")


@dataclass(frozen=True)
class Claim:
    """A claim, what sources say, what we default to and how to choose otherwise."""

    claim: str
    sources: str
    default: str
    otherwise: str


def preset(name: str) -> Preset:
    """Return a preset by name."""
    return show(name)


def value(name: str, key: str) -> str:
    """Return the value of a preset as it would be written in a scenario."""
    (found,) = [entry.value for entry in preset(name).entries if entry.key == key]
    return str(found)


def _commit() -> str:
    rule = CommitRule()
    return "asynchronous" if rule.any is None and rule.first is None else "synchronous"


def _filled(text: str) -> str:
    """Return a text with each {preset key} replaced by the value of the preset."""
    return re.sub(r"\{([\w-]+) ([\w./-]+)\}", lambda m: value(m[1], m[2]), text).replace("{commit}", _commit())


def all_claims() -> tuple[Claim, ...]:
    """Return every claim, settled."""
    found = YAML(typ="safe", pure=True).load(FILE)
    return tuple(Claim(**{key: _filled(text) for key, text in one.items()}) for one in found)


def table() -> str:
    """Return the table of claims."""
    head = "| claim | what sources say | what mrsim defaults to | how to choose otherwise |\n|---|---|---|---|\n"
    return head + "".join(f"| {x.claim} | {x.sources} | {x.default} | {x.otherwise} |\n" for x in all_claims())


def published() -> str:
    """Return published and derived figures of Route 53 beside what the engine gives."""
    from tests.reference.test_engine_detection_against_theory import FIGURES

    lines = ["| health check | connections | time to the verdict, p5 / p50 / p95 |\n|---|---|---|\n"]
    lines += [f"| `{name}` | {how} | {low} / {mid} / {high} s |\n" for name, how, (low, mid, high) in FIGURES]
    return "".join(lines)


def assumptions() -> str:
    """Return the preset values that are assumptions: nobody published or measured them."""
    lines = ["| preset | values that are assumptions |\n|---|---|\n"]
    for _, name, _ in names():
        found = show(name)
        assumed = [f"`{x.key}: {_written(x.value)}`" for x in found.entries if x.kind == "assumption"]
        if assumed:
            lines.append(f"| `{name}` | {', '.join(assumed)} |\n")
    return "".join(lines)


def _written(item: object) -> str:
    if isinstance(item, dict):
        return "{" + ", ".join(f"{key}: {x}" for key, x in item.items()) + "}"
    return str(item).lower() if isinstance(item, bool) else str(item)
