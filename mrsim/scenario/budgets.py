"""Budgets: limits that a scenario sets on its own numbers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mrsim.scenario.fields import Model


class Budget(Model):
    """One limit, such as ``rto{service=orders, op=write, clients=90%}: p95 < 10min``, parsed and checked."""

    metric: str = Field(description="Canonical metric name, such as rto_s.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels, complete: defaults are filled in.")
    aggregation: str = Field(description="'mean', 'median', 'p95' … over trials, or 'trials' for a rate.")
    op: Literal["<", "<=", ">", ">="]
    limit: float = Field(description="In the metric's base unit (seconds, share, count).")
    level: Literal["error", "warn", "off"] = "error"
    text: str = Field(description="As written, for tables: 'p95 < 10min'.")
    key: str = Field(description="As written, for tables: 'rto{service=orders, op=write, clients=90%}'.")
    line: int = Field(default=0, description="Line in the scenario file; 0 if it came from elsewhere.")

    @property
    def column(self) -> str:
        """Name of the per-trial column that this budget judges."""
        return column_name(self.metric, self.labels)


def column_name(metric: str, labels: dict[str, str]) -> str:
    """Return the canonical column, such as ``rto_s{service=orders,op=write,clients=90%}``, labels in registry order."""
    inside = ",".join(f"{name}={value}" for name, value in labels.items())
    return f"{metric}{{{inside}}}" if inside else metric
