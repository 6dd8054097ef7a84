"""The generated blocks of docs/validation.md, as they should be; ``docs/validate.py`` writes them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from tests.lab import claims, laws, theory
from tests.lab.judge import VERDICTS, Row, holm
from tests.lab.studies import archives, backlogs, commits, crashes, health, lags, leases, names, partitions

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "validation.md"
IMAGES = ROOT / "docs" / "img"
STUDIES: dict[str, Callable[[], list[Row]]] = {
    "names": names.study,
    "health": health.study,
    "leases": leases.study,
    "partitions": partitions.study,
    "crashes": crashes.study,
    "backlogs": backlogs.study,
    "archives": archives.study,
    "lags": lags.study,
    "commits": commits.study,
}
HEAD = (
    "| what | n | measured p50 / p90 / p99 | predicted p50 / p90 / p99 | predicted 90 % range | distance (limit) "
    "| verdict |\n|---|---|---|---|---|---|---|\n"
)
_BLOCK = re.compile(r"(<!-- begin: ([a-z: -]+?) -->\n)(.*?)(<!-- end: \2 -->)", re.DOTALL)


@cache
def rows_of(family: str) -> list[Row]:
    """Return the judged rows of one data set."""
    return holm(STUDIES[family]())


def table(rows: Iterable[Row]) -> str:
    """Return the table of one data set, and why its misses are left standing."""
    lines, reasons = [], []
    for row in rows:
        note = ""
        if not row.hit:
            if row.reason not in reasons:
                reasons.append(row.reason)
            note = f" [{reasons.index(row.reason) + 1}]"
        lines.append(_line(row, note))
    notes = "".join(f"{number}. {reason[0].upper()}{reason[1:]}.\n" for number, reason in enumerate(reasons, start=1))
    return HEAD + "".join(lines) + (f"\nWhy the misses stand:\n\n{notes}" if notes else "")


def _line(row: Row, note: str) -> str:
    n = str(row.n) if row.n == row.effective_n else f"{row.n} in {row.effective_n} blocks"
    if row.rule == "share":
        measured, ours = f"{row.measured[0]:.1%}", f"{row.predicted[0]:.1%}"
        around = f"{row.band[0]:.1%} – {row.band[1]:.1%}"
        distance = f"p = {row.p_value:.2g}"
    else:
        measured, ours, around = (_numbers(row, x, sep) for x, sep in
                                  ((row.measured, " / "), (row.predicted, " / "), (row.band, " – ")))  # fmt: skip
        distance = _distance(row)
    return f"| {row.what} | {n} | {measured} | {ours} | {around} | {distance} | {row.verdict}{note} |\n"


def _distance(row: Row) -> str:
    if row.rule == "band":
        return f"{row.distance:.0%} inside, p = {row.p_value:.2g}"
    if row.rule == "pairs":
        return f"typical error {row.distance:.1%} ({row.limit:.0%})"
    ratio = row.predicted[0] / row.measured[0] if row.measured[0] else math.nan
    return f"KS {row.distance:.3f} ({row.limit:.3f}), p50 ratio {ratio:.2f}"


def _numbers(row: Row, values: tuple[float, ...], separator: str) -> str:
    if any(math.isnan(value) for value in values):
        return "–"
    if "(rows)" in row.what:
        return separator.join(f"{value:g}" for value in values)
    if max(values) < 1.0:
        return separator.join(f"{1000.0 * value:.3g}" for value in values) + " ms"
    return separator.join(f"{value:.3g}" for value in values) + " s"


def verdicts(block: str) -> dict[str, str]:
    """Return the verdict of each row of a table as it is written on a page."""
    cells = [
        line.split(" | ") for line in block.splitlines() if line.startswith("| ") and not line.startswith("| what")
    ]
    return {row[0].removeprefix("| "): re.sub(r" \[\d+\] \|$| \|$", "", row[-1]) for row in cells}


def worse(before: str, rows: Iterable[Row]) -> list[str]:
    """Return the rows whose verdict is worse than on the page, or that are gone from it or new and missed."""
    old, new = verdicts(before), {row.what: row.verdict for row in rows}
    found = [f"{what}: judged no longer" for what in old if what not in new]
    for what, verdict in new.items():
        was = old.get(what, "miss, known")
        if VERDICTS.index(verdict) > VERDICTS.index(was):
            found.append(f"{what}: was {was}, is {verdict}")
    return found


def blocks(text: str) -> dict[str, str]:
    """Return the generated blocks of a page by name."""
    return {match[2]: match[3] for match in _BLOCK.finditer(text)}


def summary(page: str) -> str:
    """Return how many rows of each data set hit and missed, counted on the page itself."""
    head = "| data set | judged rows | " + " | ".join(VERDICTS) + " |\n|---" + "|---" * (len(VERDICTS) + 1) + "|\n"
    found, lines, total = blocks(page), [], Counter[str]()
    for family in STUDIES:
        count = Counter(verdicts(found[family]).values())
        total += count
        lines.append((family, count))
    lines.append(("all", total))
    return head + "".join(
        f"| {family} | {sum(count.values())} | " + " | ".join(str(count[x]) for x in VERDICTS) + " |\n"
        for family, count in lines
    )


STATIC: dict[str, Callable[[], str]] = {
    "closed forms": theory.table,
    "laws": laws.table,
    "claims": claims.table,
    "published": claims.published,
    "assumptions": claims.assumptions,
}


def picture(family: str) -> Path:
    """Return where the picture of a data set is."""
    return IMAGES / f"validation-{family}.png"


def block(name: str) -> str:
    """Return what a block (other than the summary) should hold."""
    return STATIC[name]() if name in STATIC else f"\n{table(rows_of(name))}\n"


def filled(text: str) -> str:
    """Return the page with all its blocks as they should be."""

    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}{match[3] if match[2] == 'summary' else block(match[2])}{match[4]}"

    text = _BLOCK.sub(fill, text)
    return _BLOCK.sub(lambda m: f"{m[1]}{summary(text) if m[2] == 'summary' else m[3]}{m[4]}", text)
