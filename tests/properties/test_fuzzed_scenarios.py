"""Broken and mutated scenario files: a problem with a place or a valid scenario, never anything else."""

from __future__ import annotations

import random
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from mrsim.errors import ScenarioError
from mrsim.scenario.loader import load, loads
from mrsim.scenario.model import Scenario
from mrsim.scenario.schema import schema

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.yaml"))
BOOKSTORE = next(path for path in SCENARIOS if path.stem == "bookstore-region-loss")
FITS = Draft202012Validator(schema())
MUTANTS = 600
WORDS = (
    *("", "~", "null", "true", "no", "-1", "0", "1e400", ".nan", "-.inf", "1:30", "010", "[]", "{}", "[[]]", "{a: b}"),
    *("'", '"', "&a *a", "*a", "!x y", "? a", "|", ">", "- -", "a: b: c", "\t", "\x00", "\ufeff", "é", "%", "@", "`"),
    *("30", "30s", "-5s", "5MB", "16MB/s", "40Mbit/s", "99%", "300%", "20x", "200/s", "1s..2s", "2s..1s", "999999d"),
    *(
        "us-east",
        "eu-west",
        "us-east-control",
        "orders-db",
        "orders",
        "shop",
        "us-users",
        "rest",
        "random",
        "permanent",
    ),
    *(
        "{median: 1s, p95: 2s}",
        "{mean: 1s, sd: 2s}",
        "{values: [1s]}",
        "{mixture: [{share: 100%, of: 1s}]}",
        "{preset: 1}",
    ),
    *(
        "{by: lease}",
        "automatic",
        "lease",
        "typical",
        "browser",
        "patroni",
        "{kind: brownout}",
        "most-advanced",
        "on",
        "all",
    ),
)


def _lines(text: str, dice: random.Random) -> str:
    lines = text.split("\n")
    at = dice.randrange(len(lines))
    act = dice.choice(["delete", "double", "swap", "indent", "dedent", "cut"])
    if act == "delete":
        del lines[at]
    elif act == "double":
        lines.insert(dice.randrange(len(lines)), lines[at])
    elif act == "swap":
        other = dice.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif act == "indent":
        lines[at] = "  " + lines[at]
    elif act == "dedent":
        lines[at] = lines[at].removeprefix("  ")
    else:
        lines = lines[:at]
    return "\n".join(lines)


def _values(text: str, dice: random.Random) -> str:
    spots = [match.span(1) for match in re.finditer(r"[:\[,{] *([^\s:,\[\]{}][^,\[\]{}\n]*)", text)]
    start, end = dice.choice(spots or [(0, 0)])
    return text[:start] + dice.choice(WORDS) + text[end:]


def _spelling(text: str, dice: random.Random) -> str:
    words = [match.span() for match in re.finditer(r"[A-Za-z][A-Za-z_-]+", text)]
    start, end = dice.choice(words or [(0, len(text))])
    letters = list(text[start:end])
    dice.shuffle(letters)
    return text[:start] + "".join(letters[: dice.randint(0, len(letters))]) + text[end:]


def _keys(text: str, dice: random.Random) -> str:
    keys = [match.span(1) for match in re.finditer(r"([A-Za-z_-]+):", text)]
    (start, end), other = dice.choice(keys or [(0, 0)]), dice.choice(keys or [(0, 0)])
    return text[:start] + text[slice(*other)] + text[end:]


def _characters(text: str, dice: random.Random) -> str:
    at = dice.randrange(len(text) or 1)
    return (
        text[:at]
        + chr(dice.choice([dice.randrange(1, 128), dice.randrange(1, 0xD800)]))
        + text[at + dice.randint(0, 3) :]
    )


MUTATIONS = (_lines, _values, _values, _spelling, _keys, _characters)


def _outcome(text: str) -> str:
    """Return what came of a text; anything but a scenario or a ScenarioError escapes."""
    refusal: ScenarioError | None = None
    try:
        scenario = loads(text, "fuzzed.yaml")
    except ScenarioError as error:
        refusal = error
    if refusal is not None:
        assert refusal.problems
        assert all(problem.message and "Traceback" not in problem.message for problem in refusal.problems)
        assert all(0 <= problem.line <= text.count("\n") + 2 for problem in refusal.problems)
        return "refused"
    assert isinstance(scenario, Scenario)
    assert scenario.model_dump_json()
    misfits = [error.message for error in FITS.iter_errors(YAML(typ="safe", pure=True).load(text))]
    assert misfits == [], "what the loader reads must fit the schema"
    return "read"


@pytest.mark.parametrize("part", range(6))
def test_mutated_scenarios(part: int) -> None:
    sources = [path.read_text(encoding="utf-8") for path in SCENARIOS]
    outcomes: Counter[str] = Counter()
    for number in range(part, MUTANTS, 6):
        dice = random.Random(number)
        text = dice.choice(sources)
        for _ in range(dice.choice([1, 1, 1, 2, 5])):
            text = dice.choice(MUTATIONS)(text, dice) or "x"
        outcomes[_outcome(text)] += 1
    assert outcomes["refused"] >= MUTANTS / 6 * 0.5, outcomes
    assert outcomes["read"] > 0, "mutants that stay valid show that the mutations are not all gross"


def test_random_bytes(tmp_path: Path) -> None:
    file = tmp_path / "bytes.yaml"
    good = BOOKSTORE.read_bytes()
    for number in range(60):
        dice = random.Random(number)
        raw = bytearray(dice.randbytes(dice.randrange(400)) if number % 2 else good)
        for _ in range(dice.randrange(4)):
            if raw:
                raw[dice.randrange(len(raw))] = dice.randrange(256)
        file.write_bytes(bytes(raw))
        with suppress(ScenarioError):
            assert isinstance(load(file), Scenario)


def test_every_prefix_of_lines() -> None:
    lines = BOOKSTORE.read_text(encoding="utf-8").split("\n")
    outcomes = Counter(_outcome("\n".join(lines[:count]) or "x") for count in range(len(lines)))
    assert outcomes["refused"] > len(lines) / 2
