"""What every model answers, and when two of them agree."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import binom

CLIENT_LEVELS = (0.50, 0.90, 0.95, 0.99)
JUDGED_LEVEL = 0.90
TRIAL_LEVELS = (0.50, 0.95)
CONFIDENCE = 0.999
"""Of each interval: two independent ones miss each other with a probability below 1e-5 if the models agree."""
RESOLUTION_S = {"read": 0.1, "write": 0.1, "loss": 0.001}
"""What the models leave out differently: the paths of single messages, the commit being written."""

Key = tuple[str, float]
"""A judged quantity and a level over trials."""


@dataclass(frozen=True)
class Answers:
    """One row per trial.

    Attributes
    ----------
    read_s, write_s
        Recovery time, shape (trials, client levels).
    loss_s
        Data loss, shape (trials,).
    """

    read_s: np.ndarray
    write_s: np.ndarray
    loss_s: np.ndarray

    @classmethod
    def joined(cls, parts: list[Answers]) -> Answers:
        """Return the trials of all parts, in order."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))

    @property
    def trials(self) -> int:
        """How many trials these are."""
        return len(self.loss_s)

    def judged(self) -> dict[str, np.ndarray]:
        """Return the per-trial numbers in which the models must agree."""
        column = CLIENT_LEVELS.index(JUDGED_LEVEL)
        return {"read": self.read_s[:, column], "write": self.write_s[:, column], "loss": self.loss_s}


@dataclass(frozen=True)
class Interval:
    """A quantile over trials with a distribution-free interval."""

    value: float
    low: float
    high: float

    def misses(self, other: Interval, resolution: float) -> float:
        """Return the gap between two intervals beyond the resolution; 0 if they touch."""
        return max(0.0, max(self.low, other.low) - min(self.high, other.high) - resolution)


def interval(values: np.ndarray, level: float) -> Interval:
    """Return the quantile at ``level`` with its order-statistic interval (binomial, two-sided)."""
    ordered = np.sort(values)
    count = len(ordered)
    low = int(binom.ppf((1 - CONFIDENCE) / 2, count, level))
    high = int(binom.ppf((1 + CONFIDENCE) / 2, count, level)) + 1
    value = ordered[min(int(np.ceil(level * count)) - 1, count - 1)]
    return Interval(
        float(value),
        float(ordered[low - 1]) if low >= 1 else 0.0,
        float(ordered[high - 1]) if high <= count else float("inf"),
    )


def finest() -> dict[Key, float]:
    """Return the smallest difference that counts, per quantity and level."""
    return {(quantity, level): size for quantity, size in RESOLUTION_S.items() for level in TRIAL_LEVELS}


def of_the_lattice(coarse: Answers, fine: Answers) -> dict[Key, float]:
    """Return the resolution of a model with few clients per stratum: how far its own answer moves with many more.

    Two lattices of so few points spread a client quantile differently over trials; that is no disagreement about the
    drill.
    """
    found = finest()
    for quantity, values in coarse.judged().items():
        for level in TRIAL_LEVELS:
            moved = abs(interval(values, level).value - interval(fine.judged()[quantity], level).value)
            found[quantity, level] += moved if quantity != "loss" else 0.0
    return found


def disagreements(models: dict[str, Answers], resolution: dict[Key, float]) -> list[str]:
    """Return one line per quantile in which two models differ by more than sampling error and resolution."""
    found = []
    for (name, one), (other_name, other) in combinations(models.items(), 2):
        for quantity, values in one.judged().items():
            for level in TRIAL_LEVELS:
                a, b = interval(values, level), interval(other.judged()[quantity], level)
                if gap := a.misses(b, resolution[quantity, level]):
                    found.append(f"{quantity} p{level * 100:g}: {name} and {other_name} are {gap:.3f} s further apart")
    return found
