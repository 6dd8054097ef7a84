"""From a document to a scenario: resolve, validate, check; every problem goes to the document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from mrsim.scenario.budget_text import read_budgets
from mrsim.scenario.checks import check_scenario
from mrsim.scenario.document import Document
from mrsim.scenario.library import Library
from mrsim.scenario.model import Scenario
from mrsim.scenario.problems import report
from mrsim.scenario.references import check_references
from mrsim.scenario.resolve import resolve
from mrsim.scenario.resolve_network import MOST_REGIONS
from mrsim.scenario.resolving import Resolving
from mrsim.scenario.settings import Setting, apply_expanded, apply_written, is_below
from mrsim.scenario.starts import latest_start_s

AFTER_LAST_FAULT_S = 7200.0
"""Default horizon: this long after the latest start of the last fault."""


def build(
    document: Document, library: Library, path: str, settings: Sequence[Setting] = (), values: Sequence[Document] = ()
) -> Scenario | None:
    """Return the scenario of a document, or None if it cannot be built; problems are noted in the document.

    Parameters
    ----------
    document
        Its data is a mapping.
    library
        Presets.
    path
        File name for the scenario and for messages.
    settings, values
        What to change in the document, and each one's value.
    """
    left = apply_written(document, settings, values)
    regions = document.data.get("regions")
    if isinstance(regions, list) and len(regions) > MOST_REGIONS:
        document.add(("regions",), f"{len(regions)} regions are more than the {MOST_REGIONS} that a scenario may have")
        return None
    state = Resolving(document, library)
    data = resolve(state, path)
    changed = apply_expanded(data, document, settings, values, left)
    state.assumptions = [one for one in state.assumptions if not is_below(one.where, changed)]
    budgets = read_budgets(document)
    check_references(document, data)
    try:
        scenario = Scenario.model_validate(data, context={"written": True})
    except ValidationError as error:
        report(error, document, data)
        return None
    if document.problems:
        return None
    update: dict[str, Any] = {"budgets": budgets, "assumptions": tuple(state.assumptions)}
    if not scenario.horizon_explicit:
        stores = list(scenario.stores.values())
        last = max([latest_start_s(fault, stores) for fault in scenario.faults], default=0.0)
        update["horizon"] = last + AFTER_LAST_FAULT_S
    scenario = scenario.model_copy(update=update)
    check_scenario(scenario, document)
    return None if document.problems else scenario
