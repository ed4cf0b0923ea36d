"""Charts of experiments: what they found, how they went, and what mattered.

Each function takes a :class:`~tune_core.ResultGrid`, an :class:`~tune_core.ExperimentAnalysis`, an experiment's
folder, name or URL, or several of these to compare, and returns a :class:`Chart`: a notebook shows it, and
``save("chart.html")``, ``save("chart.png")``, ``plotly()`` and ``matplotlib()`` take it elsewhere. The same functions
are methods of results: ``results.plot.history()``. Journals are only read; nothing is unpickled, nothing fetched.

Everywhere, a trial's value is its best one by the run's mode (its last one in a run without a mode).
"""

from __future__ import annotations

from tune_core.plots.chart import Chart
from tune_core.plots.experiment_charts import (
    Plots,
    contour,
    history,
    importance,
    importances,
    learning_curves,
    parallel_coordinates,
    pareto,
    pbt_lineage,
    rungs,
    slices,
    timeline,
)

__all__ = [
    "Chart",
    "Plots",
    "contour",
    "history",
    "importance",
    "importances",
    "learning_curves",
    "parallel_coordinates",
    "pareto",
    "pbt_lineage",
    "rungs",
    "slices",
    "timeline",
]
