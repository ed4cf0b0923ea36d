"""A notebook, executed: one live view that ends quietly, and results that show themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

from tune_core.display.formatting import sparkline, sparkline_svg

RUN = """
import time
import tune_core as tune
def objective(config):
    for step in range(20):
        tune.report({"loss": config["x"] / (step + 1)})
        time.sleep(0.05)
results = tune.Tuner(
    objective, param_space={"x": tune.uniform(0, 1)},
    tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=6, seed=0, max_concurrent_trials=2),
    run_config=tune.RunConfig(storage_path="runs", name="shown<b>"),
).fit()
"""


@pytest.mark.real
def test_a_notebook_has_one_live_view_and_results_that_show_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    monkeypatch.setenv("TUNE_CORE_PROGRESS", "notebook")
    new = nbformat.v4
    cells = [new.new_code_cell(code) for code in (RUN, "results", "results.plot.learning_curves()")]
    notebook = new.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(tmp_path)}}).execute()
    views = [o for o in notebook.cells[0].outputs if "text/html" in o.get("data", {})]
    (view,) = views
    html = view["data"]["text/html"]
    assert "6/6 trials ended" in html
    assert "aria-label='the best value over time'" in html
    assert "shown&lt;b&gt;" in html and "shown<b>" not in html
    table = html_of(notebook.cells[1])
    assert table.count("<tr>") == 7
    assert "<iframe" in table
    assert "Learning curves of loss" in html_of(notebook.cells[2])
    nbformat.write(notebook, tmp_path / "executed.ipynb")


def html_of(cell: Any) -> str:
    return str(cell.outputs[-1]["data"]["text/html"])


def test_sparklines_show_the_course() -> None:
    assert sparkline([1.0, 2.0, float("nan"), 3.0]) == "▁▄█"
    assert sparkline([5.0]) == ""
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert len(sparkline(list(map(float, range(100))), 10)) == 10
    assert sparkline_svg([1.0, 2.0]).startswith("<svg")
    assert sparkline_svg([]) == ""
