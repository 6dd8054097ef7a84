"""The rule by which a prediction hits or misses a measurement.

The rule was given before any prediction: a miss is a Kolmogorov distance above 0.10 plus the 95 % critical value at the
effective size of the judged half; the 50 % and 90 % quantiles lie within the largest of 15 %, the measurement's
interval and 5 ms; sets with many zeros are judged by an exact test of their share, then the rest; sets below 30 by how
many values lie in the predicted 90 % band; several sets are corrected after Holm; rows of one crash or flip count as
one block.

Whether Holm's correction extends to the measurement's interval is left open by that text. The first run used plain 95 %
intervals; the correction was extended to them after its misses had been seen. So every row carries both verdicts:
``hit`` (everything corrected) and ``hit_plain`` (nothing corrected). The page shows both where they differ.

A distribution misses if Kolmogorov's distance exceeds 0.10 plus the 95 % critical value at the effective size of the
judged half, or if its 50 % or 90 % quantile is off by more than the largest of 15 %, 5 ms and what the measurement can
tell (an exact test that the predicted quantile is that of the measured sample). A share is judged by an exact binomial
test, a set of fewer than 30 by how many of its values lie in the predicted 90 % band. The exact tests of one family are
corrected after Holm, so that many sets do not miss by chance.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

TOLERANCE = 0.10
CONFIDENCE = 0.95
SMALL = 30
POWERLESS = 10
"""A band or a share judged on fewer values than this can hardly miss; it is shown, and not called a hit."""
QUANTILES = (0.50, 0.90, 0.99)
VERDICTS = ("hit", "too few", "hit; miss without correction", "miss, known", "miss")
"""From best to worst. Too few means: judged on so few values that it could hardly miss."""


@dataclass(frozen=True)
class Row:
    """One judged set: what was measured, what was predicted, and what the rule says."""

    family: str
    what: str
    rule: str
    n: int
    effective_n: int
    measured: tuple[float, ...]
    predicted: tuple[float, ...]
    band: tuple[float, float]
    distance: float
    limit: float
    p_value: float
    hit: bool = True
    hit_plain: bool = True
    reason: str = ""
    """Why a miss is known and left standing."""
    samples: tuple[Floats, Floats] | None = field(default=None, repr=False, compare=False)
    """What a picture shows: measured, predicted."""

    @property
    def verdict(self) -> str:
        """What the page prints: one of :data:`VERDICTS`."""
        if not self.hit:
            return "miss, known" if self.reason else "miss"
        if not self.hit_plain:
            return "hit; miss without correction"
        return "hit" if self.effective_n >= POWERLESS or self.rule == "KS" else "too few"


def half(rows: NDArray[np.int64] | Floats) -> NDArray[np.bool_]:
    """Which rows are judged: those of odd blocks. The even ones are for fitting."""
    return np.asarray(rows, dtype=np.int64) % 2 == 1


def _quantile_p(sample: Floats, level: float, value: float, effective_n: int) -> float:
    """Return the p-value of ``value`` being that quantile: of as many independent values, that many lie below."""
    below = round(float(np.mean(sample <= value)) * effective_n)
    return float(stats.binomtest(below, effective_n, level).pvalue)


def _quantiles(sample: Floats) -> tuple[float, ...]:
    return tuple(float(x) for x in np.quantile(sample, QUANTILES, method="inverted_cdf"))


def distribution(
    family: str, what: str, measured: Floats, predicted: Floats, *, blocks: int | None = None, reason: str = ""
) -> Row:
    """Judge a distribution; ``blocks`` is the number of independent blocks that the measured rows come from."""
    if (blocks or len(measured)) < SMALL:
        return _band(family, what, measured, predicted, blocks or len(measured), reason)
    size = blocks or len(measured)
    distance = float(stats.ks_2samp(measured, predicted, method="asymp").statistic)
    limit = TOLERANCE + 1.358 * float(np.sqrt(1.0 / size + 1.0 / len(predicted)))
    ours, theirs = _quantiles(predicted), _quantiles(measured)
    p_value = 1.0
    for level, one, other in zip(QUANTILES[:2], ours, theirs, strict=False):
        if abs(one - other) > max(0.15 * other, 0.005):
            p_value = min(p_value, 2.0 * _quantile_p(measured, level, one, size))
    band = tuple(float(x) for x in np.quantile(predicted, [0.05, 0.95]))
    return Row(
        family,
        what,
        "KS",
        len(measured),
        size,
        theirs,
        ours,
        band,
        distance,
        limit,
        p_value,
        distance <= limit,
        distance <= limit,
        reason,
        (measured, predicted),
    )


def _band(family: str, what: str, measured: Floats, predicted: Floats, blocks: int, reason: str) -> Row:
    low, high = (float(x) for x in np.quantile(predicted, [0.05, 0.95]))
    # Clocks and schedulers blur both ends by a few milliseconds.
    inside = int(np.sum((measured >= low - 0.005) & (measured <= high + 0.005)))
    scaled = round(inside * blocks / len(measured))
    p_value = float(stats.binom.cdf(scaled, blocks, 0.90))
    share = inside / len(measured)
    ours, theirs = _quantiles(predicted), _quantiles(measured)
    return Row(
        family, what, "band", len(measured), blocks, theirs, ours, (low, high), share, 0.90, p_value, reason=reason,
        samples=(measured, predicted),
    )  # fmt: skip


def pooled(family: str, what: str, rows: list[Row], *, reason: str = "") -> Row:
    """Judge small sets together: sets of a few values cannot miss by themselves, many of them can."""
    n = sum(row.n for row in rows)
    inside = sum(round(row.distance * row.n) for row in rows)
    p_value = float(stats.binom.cdf(inside, n, 0.90))
    none = (float("nan"),) * 3
    return Row(family, what, "band", n, n, none, none, (np.nan, np.nan), inside / n, 0.90, p_value, reason=reason)


def pairs(family: str, what: str, measured: Floats, predicted: Floats, blocks: int, *, reason: str = "") -> Row:
    """Judge predictions made one by one: both quantiles within 15 %, and the typical error of a pair too."""
    ours, theirs = _quantiles(predicted), _quantiles(measured)
    distance = float(np.median(np.abs(predicted / measured - 1.0)))
    hit = distance <= 0.15 and all(
        abs(a - b) <= max(0.15 * b, 0.005) for a, b in zip(ours[:2], theirs[:2], strict=True)
    )
    band = tuple(float(x) for x in np.quantile(predicted, [0.05, 0.95]))
    samples = (measured, predicted)
    return Row(
        family, what, "pairs", len(measured), blocks, theirs, ours, band, distance, 0.15, 1.0, hit, hit, reason, samples
    )


def share(family: str, what: str, hits: int, n: int, probability: float, *, reason: str = "") -> Row:
    """Judge how often something happened by an exact binomial test."""
    p_value = float(stats.binomtest(hits, n, probability).pvalue)
    low, high = stats.binom.ppf([0.05, 0.95], n, probability) / n
    one, other = (hits / n,) * 3, (probability,) * 3
    return Row(
        family, what, "share", n, n, one, other, (float(low), float(high)), abs(hits / n - probability), 0.0, p_value,
        reason=reason,
    )  # fmt: skip


def holm(rows: list[Row]) -> list[Row]:
    """Return the rows with the verdicts of exact tests, corrected for their number (Holm) at 5 % in all."""
    order = sorted((row.p_value, index) for index, row in enumerate(rows))
    found = list(rows)
    rejecting = True
    for rank, (p_value, index) in enumerate(order):
        rejecting = rejecting and p_value <= (1 - CONFIDENCE) / (len(order) - rank)
        found[index] = replace(
            rows[index],
            hit=rows[index].hit and not rejecting,
            hit_plain=rows[index].hit_plain and p_value > 1 - CONFIDENCE,
        )
    return found
