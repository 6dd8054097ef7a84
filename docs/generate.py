"""Write the generated blocks of the pages: `python -m docs.generate` (`make docs`).

A block stands between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->``; the rest is written by hand.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from docs import cloudnative_pg
from mrsim.metrics import METRICS, Metric
from mrsim.report.metrics import metric_cells
from mrsim.scenario.schema import schema

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    *("README.md", "docs/metrics.md", "docs/language.md", "docs/command-line.md", "docs/calibration.md"),
    *("docs/studies.md", "docs/rare-events.md", "docs/cloudnative-pg.md"),
)
COMMANDS = (
    "run",
    "check",
    "compare",
    "sweep",
    "solve",
    "sensitivity",
    "rare",
    "validate",
    "trace",
    "schema",
    "presets",
    "metrics",
    "calibrate",
    "score",
)
SHOWN = ("Recovery time", "Where the time went", "Data loss", "Budgets", "seed")
"""Beginnings of the parts of a report that the README shows."""
BOOKSTORE = "scenarios/active-passive/bookstore-region-loss.yaml"
READS = "rto{service=storefront, op=read, clients=90%}"
WRITES = "rto{service=orders, op=write, clients=90%}"
_DECIDE = "stores.orders-db.failover.decide"
_SYNCHRONOUS = "stores.orders-db.commit={any: 1, of: [eu-west, ap-southeast]}"
SESSIONS = {
    "compare": (
        *("compare", BOOKSTORE, "--variant", "dns.shop.ttl=30s", "--variant", _SYNCHRONOUS),
        *("--metric", READS, "--metric", "rpo{store=orders-db}", "--trials", "200", "--seed", "7"),
    ),
    "sweep": (
        *("sweep", BOOKSTORE, "--set", "dns.shop.ttl=30s,60s,300s"),
        *("--set", "dns.shop.health_check=route53-fast,route53-standard"),
        *("--metric", READS, "--trials", "100", "--seed", "7"),
    ),
    "solve": (
        *("solve", BOOKSTORE, "--vary", "dns.shop.ttl=3min..5min", "--until", f"{READS} p95 < 5min"),
        *("--trials", "100", "--seed", "7"),
    ),
    "sensitivity": (
        *("sensitivity", BOOKSTORE, "--of", f"{WRITES} p95", "--vary", f"{_DECIDE}.assess=10s..3min"),
        *("--vary", f"{_DECIDE}.waits_at_most=2min..10min", "--vary", "stores.orders-db.failover.detect.fails=1..6"),
        *("--vary", "dns.shop.ttl=10s..5min", "--vary", "stores.orders-db.wal.commits=100/s..400/s"),
        *("--trials", "100", "--seed", "7"),
    ),
    "rare": (
        *(
            "rare",
            "scenarios/active-passive/isolation-no-fencing.yaml",
            "--set",
            "faults[0].lasts={median: 4s, p95: 10s}",
        ),
        *("--metric", "split_brain", "--trials", "3000", "--seed", "7"),
    ),
    "promotions": ("calibrate", "docs/examples/promotions.csv", "--column", "promote_to_write_s"),
    "lag": ("calibrate", "docs/examples/replication.csv", "--column", "replay_lag_ms", "--one-way", "--key", "lag"),
    "score": (
        *("score", "scenarios/active-passive/bookstore-region-loss.yaml", "docs/examples/drills.csv"),
        *("--trials", "1000", "--seed", "7"),
    ),
}
"""Blocks that are a command with its whole output."""
WIDE = {**os.environ, "COLUMNS": "120"}
"""Environment of the commands: the pages are the same for everybody, however wide the writer's terminal is."""
PICTURES = {
    "compare": "restored-storefront-read.png",
    "sweep": "map-rto_s-service-storefront-op-read-clients-90-of-affected-p95.png",
    "sensitivity": "tornado-rto_s-service-orders-op-write-clients-90-of-affected-p95.png",
}
"""Sessions that also draw, and which of their pictures ``docs/studies.md`` shows as ``docs/img/studies-NAME.png``."""
_BLOCK = re.compile(r"(<!-- begin: ([a-z: -]+?) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)


def pages(names: Sequence[str] = PAGES) -> Iterator[tuple[Path, str]]:
    """Yield pages with generated blocks, and their texts as they should be."""
    for name in names:
        path = ROOT / name
        yield path, _BLOCK.sub(_filled, path.read_text(encoding="utf-8"))


def _filled(match: re.Match[str]) -> str:
    return f"{match[1]}{BLOCKS[match[2]]()}{match[3]}"


def metrics() -> str:
    """Return the table of all metrics."""
    head = "| metric | kind | labels (default) | aggregations | what it is |\n|---|---|---|---|---|\n"
    return head + "".join(_metric_row(metric) for metric in METRICS)


def _metric_row(metric: Metric) -> str:
    names, kind, labels, aggregations, said = metric_cells(metric)
    quoted = ", ".join(f"`{name}`" for name in names.split(", "))
    return f"| {quoted} | {kind} | {labels} | {aggregations} | {said} |\n"


def reference() -> str:
    """Return one table per mapping of the language, from the JSON Schema; first the file, then in order of name."""
    whole = schema()
    mappings = [("The file", whole), *((name, part) for name, part in whole["$defs"].items() if "properties" in part)]
    return "\n".join(_table(title, mapping) for title, mapping in mappings)


def _table(title: str, mapping: dict[str, Any]) -> str:
    required = set(mapping.get("required", ()))
    head = ["| key | value | default | what it is |", "|---|---|---|---|"]
    lines = [f"### {title}\n", f"{mapping.get('description', '')}\n", *head]
    for key, field in mapping["properties"].items():
        default = "**required**" if key in required else _default(field)
        lines.append(f"| `{key}` | {_cell(_form(field))} | {default} | {_cell(field.get('description', ''))} |")
    return "\n".join(lines) + "\n"


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    return "" if value in (None, "", [], {}) else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _form(field: dict[str, Any]) -> str:
    """Return how a value is written, in a few words."""
    if "$ref" in field:
        return f"*{field['$ref'].rsplit('/', 1)[-1]}*"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in field:
            return " or ".join(dict.fromkeys(_form(item) for item in field[key]))
    if field.get("type") == "array":
        return f"list of {_form(field.get('items', {}))}"
    if field.get("type") == "object":
        (inner,) = field.get("patternProperties", {"": field.get("additionalProperties")}).values()
        return f"name: {_form(inner)}" if isinstance(inner, dict) else "mapping"
    if field.get("examples"):
        return f"`{field['examples'][0]}`"
    return "name" if "pattern" in field else str(field.get("type", "any"))


def usage() -> str:
    """Return what each command says about itself."""
    parts = []
    for command in COMMANDS:
        parts.append(f"## mrsim {command}\n\n```text\n{_mrsim(command, '--help').strip()}\n```\n")
    return "\n" + "\n".join(parts)


def _mrsim(*arguments: str) -> str:
    """Return what a command prints; a verdict other than passed is worth printing too, an error is not."""
    command = [sys.executable, "-m", "mrsim", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=WIDE)
    if done.returncode not in (0, 1, 3) or done.stderr:
        message = f"mrsim {' '.join(arguments)}: {done.stderr}"
        raise RuntimeError(message)
    return done.stdout


def bookstore() -> str:
    """Return the command that the README shows, and the parts of its report that fit there."""
    arguments = ("run", "scenarios/active-passive/bookstore-region-loss.yaml", "--seed", "7")
    parts = _mrsim(*arguments).rstrip().split("\n\n")
    shown = [part for index, part in enumerate(parts) if index == 0 or part.startswith(SHOWN)]
    return f"```text\n$ mrsim {' '.join(arguments)}\n" + "\n\n".join(shown) + "\n```\n"


def session(*arguments: str) -> str:
    """Return a command and all that it prints."""
    return f"```text\n$ mrsim {shlex.join(arguments)}\n{_mrsim(*arguments).rstrip()}\n```\n"


BLOCKS: dict[str, Callable[[], str]] = {
    "metrics": metrics,
    "schema": reference,
    "help": usage,
    "bookstore": bookstore,
    "cloudnative-pg": cloudnative_pg.table,
    **{name: partial(session, *arguments) for name, arguments in SESSIONS.items()},
}


def main() -> None:
    """Rewrite the pages that are not as they should be."""
    for path, text in pages():
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
            if path.name == "studies.md":
                draw()


def draw() -> None:
    """Draw the pictures of the page on studies."""
    for name, picture in PICTURES.items():
        with tempfile.TemporaryDirectory() as folder:
            _mrsim(*SESSIONS[name], "--plot", folder)
            target = ROOT / "docs" / "img" / f"studies-{name}.png"
            target.write_bytes((Path(folder) / picture).read_bytes())
            print(f"wrote {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
