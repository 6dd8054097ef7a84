"""Write the generated blocks of docs/scenarios.md: `python -m docs.scenarios` (`make docs`).

The table compares what documents claim with what the scenarios give; the list names every scenario.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from docs.claims import ROWS, Band, Row
from mrsim.metrics import BY_NAME
from mrsim.scenario.loader import load
from mrsim.study.results import Results
from mrsim.study.run import run
from mrsim.units import format_seconds

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "scenarios.md"
TRIALS, SEED = 200, 7
HEAD = (
    "| scenario | what | its document | a better source | mrsim: p5 / p50 / p95 | verdict |\n"
    "|---|---|---|---|---|---|\n"
)
_BLOCK = re.compile(r"(<!-- begin: ([a-z]+) -->\n)(.*?)(<!-- end: \2 -->)", re.DOTALL)


@cache
def results_of(file: str) -> Results:
    """Return the study of a scenario, named as rows name it."""
    return run(load(ROOT / "scenarios" / f"{file}.yaml"), trials=TRIALS, seed=SEED, workers=1)


def values_of(row: Row) -> NDArray[np.float64]:
    """Return a row's quantity in each trial; an outage that does not end is infinite."""
    results = results_of(row.file)
    return np.sum([results.values_of(results.column_of(name)) for name in row.columns], axis=0) - row.less


def quantiles_of(row: Row) -> tuple[float, float, float]:
    """Return p5, p50 and p95 over trials; of something that happens or not, its share three times."""
    values = values_of(row)
    if row.counts:
        share = float(values.mean())
        return share, share, share
    low, mid, high = (float(x) for x in np.quantile(values, (0.05, 0.5, 0.95), method="inverted_cdf"))
    return low, mid, high


def certain_of(row: Row) -> tuple[float, float]:
    """Return the ends that p5 and p95 surely reach to: order statistics, each wrong with a chance of 5 %."""
    if row.counts:
        return quantiles_of(row)[::2]
    values = np.sort(values_of(row))
    rank = int(binom.ppf(0.95, len(values), 0.05))
    return float(values[rank]), float(values[-1 - rank])


def verdict(row: Row) -> str:
    """Return whether the numbers lie where the document and the better source say."""
    low, high = certain_of(row)
    said = [(name, band) for name, band in (("document", row.claim), ("source", row.source)) if band is not None]
    inside = [name for name, band in said if band.holds(low, high)]
    outside = [name for name, _ in said if name not in inside]
    parts = [f"inside the {' and the '.join(inside)}"] if inside else []
    parts += [f"outside the {' and the '.join(outside)}"] if outside else []
    return ", ".join(parts) + (f": {row.note}" if outside else "")


def line(row: Row) -> str:
    """Return a row of the table."""
    low, mid, high = quantiles_of(row)
    ours = _written(row, low, mid, high)
    return f"{asked(row)} {ours} | {verdict(row)} |\n"


def asked(row: Row) -> str:
    """Return the columns of a row that need no run."""
    name = row.file.rsplit("/", 1)[-1]
    return f"| [{name}](../scenarios/{row.file}.yaml) | {row.what} | {_said(row.claim)} | {_said(row.source)} |"


def _said(band: Band | None) -> str:
    return band.text if band is not None else ""


def _written(row: Row, low: float, mid: float, high: float) -> str:
    if row.counts:
        return f"{mid * TRIALS:.0f} of {TRIALS} trials"
    if row.what.startswith("share of"):
        return f"{mid:.2%}"
    if all(BY_NAME[column.partition("{")[0]].kind == "count" for column in row.columns):
        return f"{low:.0f} / {mid:.0f} / {high:.0f}"
    texts = ["0 s" if value < 5e-7 else format_seconds(value) for value in (low, mid, high)]
    return texts[1] if len(set(texts)) == 1 else " / ".join(texts)


def table(rows: Iterable[Row] = ROWS) -> str:
    """Return the table of claims."""
    return HEAD + "".join(line(row) for row in rows)


def library() -> str:
    """Return the list of all scenarios, by folder."""
    parts = []
    for folder in sorted(path for path in (ROOT / "scenarios").iterdir() if path.is_dir()):
        lines = [_entry(path) for path in sorted(folder.glob("*.yaml"))]
        parts.append(f"### {folder.name}\n\n" + "".join(lines))
    return "\n".join(parts)


def _entry(path: Path) -> str:
    relative = path.relative_to(ROOT / "scenarios")
    return f"- [{path.stem}](../scenarios/{relative}): {load(path).summary}\n"


BLOCKS = {"claims": table, "library": library}


def page() -> str:
    """Return the page as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    return _BLOCK.sub(lambda match: f"{match[1]}{BLOCKS[match[2]]()}{match[4]}", text)


def main() -> None:
    """Rewrite the page if it is not as it should be."""
    text = page()
    if PAGE.read_text(encoding="utf-8") != text:
        PAGE.write_text(text, encoding="utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
