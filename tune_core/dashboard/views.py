"""What the dashboard's page asks for, as values that JSON can hold."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence

from tune_core.core.paths import trial_folder
from tune_core.core.values import JsonObject
from tune_core.dashboard.board import LiveExperiment
from tune_core.display.formatting import value_text
from tune_core.errors import TuneError
from tune_core.plots.basic import history, learning_curves
from tune_core.plots.chart import Chart
from tune_core.plots.page import chart_data, floats
from tune_core.plots.parameter_importance import importance
from tune_core.plots.scheduling import pbt_lineage, rungs, timeline
from tune_core.plots.spaces import contour, parallel_coordinates, slices
from tune_core.reporting import content
from tune_core.reporting.html import columns
from tune_core.results.recording import Recording, flat_config

MAX_DRAWN = 20_000
"""Most points of one group of marks that are sent."""
OUTPUT_BYTES = 65_536

CHARTS: dict[str, Callable[[Sequence[Recording]], Chart]] = {
    "history": lambda r: history(r, None),
    "learning_curves": lambda r: learning_curves(r, None, 400),
    "parallel_coordinates": lambda r: parallel_coordinates(r, None, 1000),
    "slices": lambda r: slices(r, None, None),
    "contour": lambda r: contour(r, None),
    "importance": lambda r: importance(r, "auto", 0),
    "rungs": rungs,
    "pbt_lineage": lambda r: pbt_lineage(r, None),
    "timeline": timeline,
}


def chart(kind: str, experiments: Sequence[LiveExperiment]) -> JsonObject:
    """A chart, thinned where it has more points than a screen shows."""
    try:
        drawn = CHARTS[kind](list(experiments))
    except TuneError as error:
        drawn = Chart(kind, "", [], " ".join(str(error).split()))
    if drawn.is_empty:
        drawn.panels = []
    thinned = False
    for marks in drawn.marks():
        step = math.ceil(len(marks.x) / MAX_DRAWN)
        if step > 1 and marks.kind in ("points", "spans", "rug"):
            thinned = True
            for name in ("x", "y", "x2", "y2", "values", "error", "ids", "hover"):
                values = getattr(marks, name)
                if values:
                    setattr(marks, name, values[::step])
    if thinned:
        drawn.note = f"{drawn.note}. not all points are drawn" if drawn.note else "not all points are drawn"
    return chart_data(drawn)


def rows(live: LiveExperiment, since: int) -> JsonObject:
    """The table's columns for the trials that have changed after ``since``."""
    trials = live.since(since)
    return {"version": live.version, "ids": [t.index for t in trials], "columns": columns(live, trials)}


def trial(live: LiveExperiment, index: int) -> JsonObject:
    """All that there is to know of a trial."""
    found = live.trials[index]
    course = live.courses.get(index)
    folder = trial_folder(live.experiment.folder, index, getattr(found, "folder", ""))
    last = dict(found.last.metrics) if found.last is not None else {}
    return {
        "trial": index,
        "outcome": live.outcome(found),
        "status": str(found.status),
        "reason": content.reason_of(live, found),
        "worker": found.worker,
        "attempts": found.attempt,
        "config": [[name, value_text(value, 200)] for name, value in flat_config(found.config).items()],
        "python": content.best_config(found)["Python"],
        "metrics": [[name, value_text(value, 100)] for name, value in last.items()],
        "iterations": floats(course.iterations) if course is not None else [],
        "values": floats(course.values) if course is not None else [],
        "metric": live.metric,
        "steps": [
            {"iteration": s.iteration, "do": s.do if s.source is None else f"{s.do} {s.source:05d}", "why": s.why}
            for s in live.steps
            if s.trial == index
        ],
        "error": content._cut(found.error or "") if found.error else "",
        "checkpoints": [kept.name for kept in found.checkpoints or ()],
        "output": output(live.experiment.folder, folder),
    }


def output(experiment: str, folder: str) -> str:
    """The end of what a trial has printed; nothing outside the experiment's folder is read."""
    path = os.path.realpath(os.path.join(folder, "output.log"))
    if not path.startswith(os.path.realpath(experiment) + os.sep):
        return ""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - OUTPUT_BYTES))
            return file.read(OUTPUT_BYTES).decode("utf-8", "replace")
    except OSError:  # the worker has printed nothing yet
        return ""


def comparison(experiments: Sequence[LiveExperiment]) -> JsonObject:
    """Experiments side by side: their best configurations, and their charts on one axis."""
    names: dict[str, None] = {}
    found = []
    for live in experiments:
        best = live.best_trial()
        config = {n: value_text(v, 60) for n, v in flat_config(best.config).items()} if best is not None else {}
        names.update(dict.fromkeys(config))
        row = live.summary()
        row["config"] = config
        row["best_trial"] = best.index if best is not None else None
        found.append(row)
    charts = [chart(kind, experiments) for kind in ("history", "learning_curves")]
    return {"runs": found, "parameters": list(names), "charts": charts}
