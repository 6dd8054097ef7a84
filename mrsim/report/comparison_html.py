"""What a notebook shows of a comparison."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from mrsim.report.comparison import EXPLANATION, budgets_said, letters_of, no_effect, remarks, rows_of, wins_said
from mrsim.report.html import box, number_cell, table, title
from mrsim.report.naming import pretty_column

if TYPE_CHECKING:
    from mrsim.study.compare import Comparison


def comparison_html(comparison: Comparison) -> str:
    """Return a comparison: its postures, one table per metric, and what has no effect."""
    letters = letters_of(comparison)
    said = f"{comparison.n} trials of each posture, seed {comparison.seed}; the same outages in all"
    parts = [title("comparison", said)]
    postures = [
        (letter, escape(label), escape(budgets_said(results)))
        for letter, label, results in zip(letters, comparison.labels, comparison.studies, strict=True)
    ]
    parts.append(table("", ("", "posture", "budgets"), postures))
    for column in comparison.columns:
        parts.append(f"<div><b>{escape(pretty_column(column))}</b></div>")
        for letter, label in zip(letters[1:], comparison.labels[1:], strict=True):
            contrast = comparison.contrast(column, label)
            if not contrast.differs:
                parts.append(f'<div class="mrsim-dim">{escape(letter)}: {escape(no_effect(contrast))}</div>')
                continue
            rows = [
                (
                    escape(row.name),
                    number_cell(row.a),
                    number_cell(row.b),
                    number_cell(row.difference, f' <span class="mrsim-dim">{escape(row.interval)}</span>'),
                )
                for row in rows_of(contrast)
            ]
            parts.append(table("", ("", letters[0], letter, f"{letter} − {letters[0]}"), rows))
            below = [*remarks(contrast), f"{letter} is {wins_said(contrast.wins)}"]
            parts += [f'<div class="mrsim-dim">{escape(text)}</div>' for text in below]
    parts.append(f'<details class="mrsim-details"><summary>how to read it</summary>{escape(EXPLANATION)}</details>')
    return box(parts)
