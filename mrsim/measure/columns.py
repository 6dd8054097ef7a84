"""The table that measures fill: columns by canonical name, and the status of those that can stay unfinished."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from mrsim.metrics import BY_NAME, CLIENT_QUANTILES, WRITE_QUANTILES
from mrsim.scenario.budgets import column_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrsim.scenario.model import Scenario

    Floats = NDArray[np.float64]


class Status(IntEnum):
    """What became of a quantity in a trial."""

    OBSERVED = 0
    CENSORED = 1
    NEVER = 2
    NO_EFFECT = 3


@dataclass
class Measures:
    """What a chunk of trials meant.

    Attributes
    ----------
    first, count
        The trials: ``first`` … ``first + count - 1``.
    values
        Per column: one number per trial.
    status
        Per column that can be unfinished: a :class:`Status` code per trial.
    episodes
        Columns of a table of episodes; ``trial`` is the absolute number.
    curves
        Per name: shape ``(count, G)``, at ``curve_times_s`` after the fault.
    curve_times_s
        Shape ``(G,)``.
    """

    first: int
    count: int
    values: dict[str, Floats] = field(default_factory=dict)
    status: dict[str, NDArray[np.int8]] = field(default_factory=dict)
    episodes: dict[str, NDArray[Any]] = field(default_factory=dict)
    curves: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    curve_times_s: Floats = field(default_factory=lambda: np.zeros(0))

    def put(self, metric: str, labels: dict[str, str], values: Floats, status: NDArray[np.int8] | None = None) -> None:
        """Add a column.

        Parameters
        ----------
        metric
            Name of a metric, or of a helper such as ``phase_s``.
        labels
            Labels by name, in registry order.
        values
            Shape ``(count,)``.
        status
            Status codes, shape ``(count,)``; observed throughout if not given and the metric can be unfinished.
        """
        column = column_name(metric, labels)
        self.values[column] = np.asarray(values, dtype=np.float64)
        if status is None and metric in BY_NAME and BY_NAME[metric].unfinished:
            status = np.zeros(self.count, dtype=np.int8)
        if status is not None:
            self.status[column] = status.astype(np.int8)


def client_quantiles(
    scenario: Scenario, metrics: tuple[str, ...], service: str, op: str, of: str | None
) -> tuple[str, ...]:
    """Return the client quantiles of a service that tables show or a budget on one of ``metrics`` names, ascending."""
    names = dict.fromkeys(CLIENT_QUANTILES if of != "all" else ())
    for budget in scenario.budgets:
        labels = budget.labels
        mine = budget.metric in metrics and labels.get("service") == service and labels.get("op") == op
        if mine and (of is None or labels.get("of", "affected") == of):
            names[labels["clients"]] = None
    return tuple(sorted(names, key=level))


def write_quantiles(scenario: Scenario, service: str) -> tuple[str, ...]:
    """Return the quantiles over a service's writes that tables show or a budget names, ascending."""
    names = dict.fromkeys(WRITE_QUANTILES)
    for budget in scenario.budgets:
        asked = budget.labels.get("writes", "mean")
        if budget.labels.get("service") == service and asked != "mean":
            names[asked] = None
    return tuple(sorted(names, key=level))


def level(share: str) -> float:
    """Return the quantile that a label such as ``99%`` names, as a share."""
    return float(share.removesuffix("%")) / 100.0
