"""ECDF pairs as small pictures that carry a digest of what they show, so that a stale one is found without drawing."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.lab.judge import Floats, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KEY = "mrsim-data"
COLUMNS = 4
LEVELS = np.linspace(0.0, 1.0, 201)
MEASURED, PREDICTED = "#000000", "#D55E00"


def shown(rows: list[Row]) -> list[Row]:
    """Return the rows that a picture can show: with samples, and more than a handful."""
    return [row for row in rows if row.samples is not None and row.n >= 3]


def curve(sample: Floats) -> Floats:
    """Return what is drawn of a sample: its quantiles, to four digits."""
    return np.quantile(sample, LEVELS, method="inverted_cdf")


def digest(rows: list[Row]) -> str:
    """Return a digest of everything that the picture of these rows shows."""
    found = hashlib.sha256()
    for row in shown(rows):
        assert row.samples is not None
        numbers = [f"{x:.4g}" for sample in row.samples for x in curve(sample)]
        found.update("\n".join((row.what, row.verdict, *numbers)).encode())
    return found.hexdigest()


def digest_of(path: Path) -> str:
    """Return the digest that a picture carries; empty if there is no picture."""
    if not path.exists():
        return ""
    from PIL import Image

    with Image.open(path) as image:
        return str(image.info.get(KEY, ""))


def draw(rows: list[Row], path: Path) -> None:
    """Draw measured and predicted distribution functions, one panel per row, and write them as PNG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    chosen = shown(rows)
    high = -(-len(chosen) // COLUMNS)
    with mpl.rc_context({"font.size": 6.5, "axes.linewidth": 0.5, "lines.linewidth": 1.1}):
        figure = Figure(figsize=(9.6, 1.55 * high + 0.3), dpi=80, layout="constrained")
        axes = np.atleast_1d(figure.subplots(high, COLUMNS, squeeze=False)).ravel()
        for panel, row in zip(axes, chosen, strict=False):
            _panel(panel, row)
        for panel in axes[len(chosen) :]:
            panel.set_axis_off()
        axes[0].legend(loc="lower right", frameon=False)
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, metadata={KEY: digest(rows), "Software": None})


def _panel(panel: Axes, row: Row) -> None:
    assert row.samples is not None
    measured, predicted = row.samples
    panel.step(curve(predicted), LEVELS, where="post", color=PREDICTED, label="predicted")
    panel.step(np.sort(measured), np.arange(1, len(measured) + 1) / len(measured), where="post", color=MEASURED,
               label="measured", linewidth=0.8)  # fmt: skip
    largest = float(max(np.quantile(measured, 0.99), np.quantile(predicted, 0.99)))
    smallest = float(min(measured.min(), predicted.min()))
    margin = max(0.05 * (largest - smallest), 1e-4 * largest)
    panel.set_xlim(smallest - margin, largest + margin)
    panel.set_ylim(0.0, 1.02)
    panel.set_title(_wrapped(row.what), fontsize=6.5, pad=2)
    panel.tick_params(length=2, pad=1)


def _wrapped(text: str) -> str:
    head, _, tail = text.rpartition(": ")
    return f"{head}\n{tail}" if head else text
