"""Every notebook runs from top to bottom, and is stored with what it showed."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def test_there_is_one() -> None:
    assert NOTEBOOKS


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def tables(notebook: Any) -> list[str]:
    """Return the tables that a notebook prints, as text."""
    plain = [output.get("data", {}).get("text/plain", "") for output in outputs(notebook)]
    return [text for text in plain if "\n" in text]


@each_notebook
def test_it_is_stored_as_it_ran(path: Path) -> None:
    notebook = read(path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run: make notebook"
    assert {output.output_type for output in outputs(notebook)} <= {"display_data", "execute_result"}
    assert sum("image/png" in output.get("data", {}) for output in outputs(notebook)) >= 4
    assert tables(notebook)
    # Beside the value of a cell only pictures are displayed: a report whose text is asked for shows nothing itself.
    displayed = [output.data for output in outputs(notebook) if output.output_type == "display_data"]
    assert all("image/png" in data for data in displayed)


@pytest.mark.slow
@each_notebook
def test_stored_studies_are_of_the_scenarios_as_they_are(path: Path) -> None:
    from mrsim.scenario.loader import load
    from mrsim.study.provenance import provenance

    pages = [output.get("data", {}).get("text/html", "") for output in outputs(read(path))]
    stored = {found for page in pages for found in re.findall(r"scenario_sha256</td><td>(\w+)", "".join(page))}
    files = (ROOT / "scenarios" / "postures").glob("*.yaml")
    known = {provenance(load(file), seed=7, trials_asked=1, trials=1)["scenario_sha256"] for file in files}
    assert stored, "no study is shown"
    assert stored <= known, "run: make notebook"


@pytest.mark.slow
@each_notebook
def test_stored_numbers_are_those_of_a_fresh_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = read(path)
    stored = tables(notebook)
    NotebookClient(notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    assert tables(notebook) == stored, "run: make notebook"


@each_notebook
def test_every_picture_comes_with_words(path: Path) -> None:
    cells = read(path).cells
    for before, cell in pairwise(cells):
        if cell.cell_type == "code" and "plt.subplots" in cell.source:
            assert before.cell_type == "markdown"


@each_notebook
def test_it_runs_with_few_trials(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRSIM_NOTEBOOK_TRIALS", "64")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = read(path)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = outputs(notebook)
    kinds = [kind for output in shown for kind in output.get("data", {})]
    assert kinds.count("image/png") >= 4
    assert kinds.count("text/html") >= 3
    errors = [output.text for output in shown if output.output_type == "stream" and output.name == "stderr"]
    assert not errors
