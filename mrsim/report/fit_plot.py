"""The picture of a fit: samples and distribution side by side, and their quantiles against each other."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from mrsim.report.plots import BLUE, GREY, RED, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from mrsim.distributions import Distribution

    Floats = NDArray[np.float64]

_UNITS = (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3))
_WIDE = 30.0
_MOST = 400
"""Points that are drawn at most; more cannot be told apart."""


def fit_picture(samples_s: Floats, distribution: Distribution, title: str) -> bytes:
    """Draw samples and a distribution fitted to them.

    Parameters
    ----------
    samples_s
        Ascending, in seconds.
    distribution
        The fit.
    title
        Above the picture.

    Returns
    -------
    bytes
        A PNG: on the left both distribution functions, on the right quantile against quantile.
    """
    figure, (left, right) = sheet(2, (9.6, 4.2))
    usual = float(np.quantile(samples_s, 0.9)) or float(samples_s[-1])
    unit, scale = next(((unit, scale) for unit, scale in _UNITS if usual >= 2 * scale), _UNITS[-1])
    _functions(left, samples_s / scale, distribution, scale)
    _quantiles(right, samples_s / scale, distribution, scale)
    left.set_xlabel(f"duration ({unit})")
    right.set_xlabel(f"quantile of the fit ({unit})")
    right.set_ylabel(f"quantile of the samples ({unit})")
    figure.suptitle(title, fontsize="medium")
    stream = BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": "mrsim"})
    return stream.getvalue()


def _functions(ax: Axes, x: Floats, distribution: Distribution, scale: float) -> None:
    """Draw both distribution functions, as far as the bulk and the near tail reach."""
    last, p99 = float(x[-1]), float(x[int(np.ceil(0.99 * len(x))) - 1])
    right = max(1.05 * last if last < 3 * p99 else 1.5 * p99, 1e-12)
    left = max(float(x[0]) - 0.2 * (right - float(x[0])), 0.0) if x[0] > 0.5 * right else 0.0
    shares = np.concatenate([[0.0], np.arange(1, len(x) + 1) / len(x), [1.0]])
    ends = np.concatenate([[left], x, [max(right, last)]])
    ax.step(ends, shares, where="post", color=BLUE, label=f"{len(x)} samples")
    grid = np.linspace(left, right, 600)
    ax.plot(grid, distribution.cdf(grid * scale), color=RED, linestyle="--", label="fit")
    ax.set_xlim(left, right)
    ax.set_ylim(0, 1.02)
    ax.set_ylabel("share that is shorter")
    ax.grid(visible=True, alpha=0.25)
    ax.legend(loc="lower right", framealpha=0.9, edgecolor="none")


def _quantiles(ax: Axes, x: Floats, distribution: Distribution, scale: float) -> None:
    """Draw quantile against quantile; the extremes one by one, the crowd before them thinned."""
    n = len(x)
    crowd, extremes = np.linspace(0, n - 1, _MOST), np.arange(max(n - 20, 0), n)
    shown = np.unique(np.round(np.concatenate([crowd, extremes])).astype(int))
    fitted = distribution.quantile((shown + 0.5) / n) / scale
    ax.plot(fitted, x[shown], color=BLUE, marker="o", markersize=3, linestyle="")
    ends = [min(float(fitted[0]), float(x[0])), max(float(fitted[-1]), float(x[-1]), 1e-12)]
    if ends[0] > 0 and ends[1] > _WIDE * ends[0]:
        ax.set_xscale("log")
        ax.set_yscale("log")
    ax.plot(ends, ends, color=GREY, linewidth=1, zorder=0)
    for place, level in enumerate((0.5, 0.9, 0.99)):
        at = float(distribution.quantile(np.array([level]))[0]) / scale
        height = float(x[int(np.ceil(round(level * n, 9))) - 1])
        ax.plot([at], [height], color=RED, marker="D", markersize=5)
        ax.annotate(
            f"p{100 * level:g}",
            (at, height),
            xytext=((6, -12), (-22, 8), (6, -12))[place],
            textcoords="offset points",
            fontsize="small",
        )
    ax.grid(visible=True, alpha=0.25)
