"""Committed scenarios with a few words changed: what a user would edit to ask the next question."""

from __future__ import annotations

from pathlib import Path

from mrsim.scenario.loader import loads
from mrsim.scenario.model import Scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios" / "active-passive"
BOOKSTORE = SCENARIOS / "bookstore-region-loss.yaml"

ALPHA = 1e-5
"""False-alarm rate of every statistical test of this folder, by the sampling error of its fixed number of trials."""


def variant(name: str, *changes: tuple[str, str]) -> Scenario:
    """Return a committed scenario in which every (old, new) replaces a text that is there exactly once."""
    text = (SCENARIOS / f"{name}.yaml").read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times in {name}"
        text = text.replace(old, new)
    return loads(text, f"{name}.yaml")


def rto(op: str, clients: str = "90%") -> str:
    """Return the column of the recovery time of the storefront's reads or the orders' writes."""
    service = {"read": "storefront", "write": "orders"}[op]
    return f"rto_s{{service={service},op={op},clients={clients},of=affected}}"


def of_store(metric: str) -> str:
    """Return the column of a metric of the one store."""
    return f"{metric}{{store=orders-db}}"
