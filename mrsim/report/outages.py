"""The outages whose parts the columns of one trial hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mrsim.study.columns import split_column
from mrsim.trace import PHASES


@dataclass(frozen=True, slots=True)
class OutagePart:
    """What one trial's recovery of one service and operation consisted of: seconds per phase."""

    service: str
    op: str
    clients: str
    """Whose outage: ``95%`` for the client at that quantile, empty for the mean over affected clients."""
    seconds: Mapping[str, float]

    @property
    def total_s(self) -> float:
        """Length of the outage that the parts add up to."""
        return sum(self.seconds.values())


def outage_parts(values: Mapping[str, float]) -> list[OutagePart]:
    """Return the parts of every outage among one trial's columns, phases in the order of :data:`mrsim.trace.PHASES`.

    Parameters
    ----------
    values
        Columns of one trial, by name; ``phase_s{service=,op=,part=}`` and ``phase_at_s{service=,op=,clients=,part=}``
        are read.
    """
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for column, value in values.items():
        metric, labels = split_column(column)
        if metric in ("phase_s", "phase_at_s"):
            key = (labels["service"], labels["op"], labels.get("clients", ""))
            found.setdefault(key, {})[labels["part"]] = value
    return [
        OutagePart(service, op, clients, {part: parts[part] for part in PHASES if part in parts})
        for (service, op, clients), parts in found.items()
    ]
