"""What may stand where a number is uncertain: frozen distributions that map uniforms by inversion.

All of them are distributions of non-negative durations in seconds. A draw is ``quantile(u)`` of a uniform from
:mod:`mrsim.rng`; no class here makes random numbers. How each is written in a file is said by its ``str()``, and read
by :mod:`mrsim.written_distributions`. Those made of several values or parts are in :mod:`mrsim.mixtures`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrsim.units import write

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Base of all distributions: an inversion, a distribution function and declared moments.

    Subclasses are frozen, hashable and picklable; equal parameters mean equal distributions.
    """

    @property
    def continuous(self) -> bool:
        """Whether ``cdf(quantile(u)) == u`` for every u in (0, 1)."""
        return True

    def quantile(self, u: ArrayLike) -> Floats:
        """Return the inverse of the distribution function at ``u`` in (0, 1), elementwise, in seconds."""
        raise TypeError(self._abstract())

    def cdf(self, x: ArrayLike) -> Floats:
        """Return P(X <= x), elementwise."""
        raise TypeError(self._abstract())

    def mean(self) -> float:
        """Return the expectation in seconds; may be infinite."""
        raise TypeError(self._abstract())

    def sd(self) -> float:
        """Return the standard deviation in seconds; may be infinite."""
        raise TypeError(self._abstract())

    @property
    def is_constant(self) -> bool:
        """Whether every draw is the same number."""
        return False

    def written(self) -> object:
        """Return plain data that reads back as this distribution."""
        raise TypeError(self._abstract())

    def _abstract(self) -> str:
        return f"{type(self).__name__} is abstract"

    def __str__(self) -> str:
        return _flow(self.written())


def _flow(data: object) -> str:
    if isinstance(data, dict):
        return "{" + ", ".join(f"{key}: {_flow(value)}" for key, value in data.items()) + "}"
    if isinstance(data, list):
        return "[" + ", ".join(_flow(value) for value in data) + "]"
    return str(data)


def written_s(value: float) -> str:
    """Return a duration as it is written in a file."""
    return write(value, "duration")


@dataclass(frozen=True, slots=True)
class Constant(Distribution):
    """Always the same value; written as a scalar, ``30s``."""

    value: float

    def __post_init__(self) -> None:
        require(0 <= self.value < math.inf, "a duration cannot be negative or without end")

    @property
    def continuous(self) -> bool:
        """False."""
        return False

    def quantile(self, u: ArrayLike) -> Floats:
        """Return the value for every ``u``."""
        return np.full(np.shape(u), self.value)

    def cdf(self, x: ArrayLike) -> Floats:
        """Return 0 below the value and 1 from it on."""
        return (np.asarray(x, dtype=float) >= self.value).astype(float)

    def mean(self) -> float:
        """Return the value."""
        return self.value

    def sd(self) -> float:
        """Return 0."""
        return 0.0

    @property
    def is_constant(self) -> bool:
        """True."""
        return True

    def written(self) -> object:
        """Return the scalar."""
        return written_s(self.value)


@dataclass(frozen=True, slots=True)
class Uniform(Distribution):
    """Uniform between two values; written as a range, ``30s..2min``."""

    low: float
    high: float

    def __post_init__(self) -> None:
        require(0 <= self.low < self.high < math.inf, "a range needs its smaller end first")

    def quantile(self, u: ArrayLike) -> Floats:
        """Return ``low + (high - low) u``."""
        return self.low + (self.high - self.low) * np.asarray(u, dtype=float)

    def cdf(self, x: ArrayLike) -> Floats:
        """Return the share of the range below ``x``."""
        return np.clip((np.asarray(x, dtype=float) - self.low) / (self.high - self.low), 0.0, 1.0)

    def mean(self) -> float:
        """Return the middle."""
        return 0.5 * (self.low + self.high)

    def sd(self) -> float:
        """Return ``(high - low) / sqrt(12)``."""
        return (self.high - self.low) / math.sqrt(12.0)

    def written(self) -> object:
        """Return the range."""
        return f"{written_s(self.low)}..{written_s(self.high)}"


@dataclass(frozen=True, slots=True)
class LogNormal(Distribution):
    """exp of a normal; written by its two quantiles, ``{p50: 1min, p95: 3min}``, or ``{mean: 10s, sd: 3s}``.

    Parameters
    ----------
    mu, sigma
        Mean and standard deviation of the logarithm of the duration in seconds.
    """

    mu: float
    sigma: float

    def __post_init__(self) -> None:
        require(0 < self.sigma < 20 and abs(self.mu) < 100, "the two values are too far apart or equal")

    @classmethod
    def through(cls, p: float, x: float, q: float, y: float) -> LogNormal:
        """Return the log-normal with quantiles ``x`` at level ``p`` and ``y`` at level ``q``."""
        require(0 < p < q < 1 and 0 < x < y, "quantiles must rise with their levels and be above zero")
        zp, zq = (float(z) for z in _ndtri(np.array([p, q])))
        sigma = math.log(y / x) / (zq - zp)
        return cls(math.log(x) - zp * sigma, sigma)

    @classmethod
    def from_moments(cls, mean: float, sd: float) -> LogNormal:
        """Return the log-normal with this mean and standard deviation."""
        require(0 < mean < math.inf and 0 < sd < math.inf, "mean and sd must be above zero")
        variance = math.log1p((sd / mean) ** 2)
        return cls(math.log(mean) - 0.5 * variance, math.sqrt(variance))

    def quantile(self, u: ArrayLike) -> Floats:
        """Return ``exp(mu + sigma * ndtri(u))``."""
        return np.exp(self.mu + self.sigma * _ndtri(np.asarray(u, dtype=float)))

    def cdf(self, x: ArrayLike) -> Floats:
        """Return ``ndtr((log x - mu) / sigma)``."""
        from scipy.special import ndtr

        values = np.asarray(x, dtype=float)
        with np.errstate(divide="ignore"):
            logs = np.log(np.maximum(values, 0.0))
        return np.asarray(ndtr((logs - self.mu) / self.sigma))

    def mean(self) -> float:
        """Return ``exp(mu + sigma^2 / 2)``."""
        return math.exp(self.mu + 0.5 * self.sigma**2)

    def sd(self) -> float:
        """Return ``mean * sqrt(exp(sigma^2) - 1)``."""
        return self.mean() * math.sqrt(math.expm1(self.sigma**2))

    def written(self) -> object:
        """Return its median and 95th percentile, to nine significant digits."""
        median, p95 = math.exp(self.mu), math.exp(self.mu + self.sigma * 1.6448536269514722)
        return {"median": written_s(float(f"{median:.9g}")), "p95": written_s(float(f"{p95:.9g}"))}


@dataclass(frozen=True, slots=True)
class Exponential(Distribution):
    """Memoryless; written ``{exponential: {mean: 30s}}``."""

    scale: float

    def __post_init__(self) -> None:
        require(0 < self.scale < math.inf, "the mean must be above zero")

    def quantile(self, u: ArrayLike) -> Floats:
        """Return ``-mean * log(1 - u)``."""
        return np.asarray(-self.scale * np.log1p(-np.asarray(u, dtype=float)))

    def cdf(self, x: ArrayLike) -> Floats:
        """Return ``1 - exp(-x / mean)``."""
        return np.asarray(-np.expm1(-np.maximum(np.asarray(x, dtype=float), 0.0) / self.scale))

    def mean(self) -> float:
        """Return the mean."""
        return self.scale

    def sd(self) -> float:
        """Return the mean: they are equal."""
        return self.scale

    def written(self) -> object:
        """Return the mapping form."""
        return {"exponential": {"mean": written_s(self.scale)}}


@dataclass(frozen=True, slots=True)
class Pareto(Distribution):
    """Power-law tail, ``P(X > x) = (low / x)^shape``; written ``{pareto: {min: 75s, shape: 0.6}}``."""

    low: float
    shape: float

    def __post_init__(self) -> None:
        require(0 < self.low < math.inf and 0 < self.shape < 1000, "min and shape must be above zero")

    @classmethod
    def through(cls, p: float, x: float, q: float, y: float) -> Pareto:
        """Return the Pareto with ``P(X <= x) = p`` and ``P(X <= y) = q``."""
        require(0 <= p < q < 1 and 0 < x < y, "quantiles must rise with their levels and be above zero")
        shape = math.log((1 - p) / (1 - q)) / math.log(y / x)
        return cls(x * (1 - p) ** (1 / shape), shape)

    def quantile(self, u: ArrayLike) -> Floats:
        """Return ``low * (1 - u)^(-1 / shape)``."""
        return np.asarray(self.low * np.exp(-np.log1p(-np.asarray(u, dtype=float)) / self.shape))

    def cdf(self, x: ArrayLike) -> Floats:
        """Return ``1 - (low / x)^shape`` from ``low`` on."""
        return np.asarray(-np.expm1(self.shape * np.log(self.low / np.maximum(np.asarray(x, dtype=float), self.low))))

    def mean(self) -> float:
        """Return the mean; infinite for a shape of 1 or less."""
        return self.shape * self.low / (self.shape - 1) if self.shape > 1 else math.inf

    def sd(self) -> float:
        """Return the standard deviation; infinite for a shape of 2 or less."""
        if self.shape <= 2:
            return math.inf
        return self.low / (self.shape - 1) * math.sqrt(self.shape / (self.shape - 2))

    def written(self) -> object:
        """Return the mapping form."""
        return {"pareto": {"min": written_s(float(f"{self.low:.9g}")), "shape": f"{self.shape:.9g}"}}


def _ndtri(u: Floats) -> Floats:
    from scipy.special import ndtri

    return np.asarray(ndtri(u))


def require(condition: bool, message: str) -> None:
    """Raise ``ValueError(message)`` unless the condition holds."""
    if not condition:
        raise ValueError(message)
