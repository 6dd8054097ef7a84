"""The pictures that a run leaves as files: which ones a study is worth, and their bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from mrsim.errors import ResultsError
from mrsim.report import plots
from mrsim.report.tables import recovery_tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mrsim.study.results import Results


def pictures(results: Results) -> Iterator[tuple[str, bytes]]:
    """Draw what a study can show, each picture as a file's name and its PNG.

    A picture for which there is nothing to draw is left out.
    """
    services = [(table.service, table.op) for table in recovery_tables(results)]
    drawings: list[tuple[str, Callable[[Axes], Axes]]] = [("phases.png", _drawn(plots.phases, results))]
    for column in _distributions(results):
        drawings.append((f"ecdf-{plots.file_name(column)}.png", _drawn(plots.ecdf, results, column)))
    for service, op in services:
        drawings.append(
            (f"restored-{plots.file_name(f'{service} {op}')}.png", _drawn(plots.restored, results, service, op))
        )
    for name, draw in drawings:
        figure, (ax,) = plots.sheet(1, (7.2, 4.0))
        try:
            draw(ax)
        except ResultsError:
            continue
        stream = BytesIO()
        figure.savefig(stream, format="png", metadata={"Software": "mrsim"})
        yield name, stream.getvalue()


def _drawn(draw: Callable[..., Axes], results: Results, *arguments: str) -> Callable[[Axes], Axes]:
    return lambda ax: draw(results, *arguments, ax=ax)


def _distributions(results: Results) -> list[str]:
    """Return the columns whose distribution is worth a picture: those that budgets name, else one per service."""
    budgeted = dict.fromkeys(budget.column for budget in results.scenario.budgets if budget.metric.endswith("_s"))
    if budgeted:
        return list(budgeted)
    return [table.rows[min(1, len(table.rows) - 1)].column for table in recovery_tables(results)]
