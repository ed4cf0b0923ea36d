"""The report as one page of HTML that needs nothing but itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from tune_core.core.objective import lookup
from tune_core.core.trial import ERROR
from tune_core.core.values import JsonObject
from tune_core.display.formatting import value_text
from tune_core.plots.basic import history, learning_curves, unnamed
from tune_core.plots.chart import Chart
from tune_core.plots.page import asset, chart_data, floats, integers, page_and_policy
from tune_core.plots.parameter_importance import importance
from tune_core.plots.scheduling import pbt_lineage, rungs, timeline
from tune_core.plots.spaces import contour, parallel_coordinates, slices
from tune_core.reporting import content
from tune_core.results.recording import Recording

MAX_FAILURES = 50
MAX_STORY_BYTES = 1_200_000
MAX_SLICES = 12
MAX_TIMELINE = 20_000


def html(recordings: Sequence[Recording], theme: str | None = None) -> str:
    """The page."""
    names = unnamed(recordings)
    title = f"Report: {names[0]}" if len(names) == 1 else f"Report: {len(names)} experiments"
    data = {
        "title": title,
        "runs": [_run(recording, label) for recording, label in zip(recordings, names)],
        "compared": [],
    }
    measures = {(r.metric, r.mode) for r in recordings}
    if len(recordings) > 1 and len(measures) == 1 and recordings[0].metric is not None:
        charts = (history(recordings, None), learning_curves(recordings, None))
        data["compared"] = [chart_data(chart) for chart in charts]
    body = '<main class="tc-page" id="report"></main><noscript>This report needs JavaScript.</noscript>'
    scripts = [asset("charts.js"), asset("table.js"), asset("report.js", "tune_core.reporting")]
    return page_and_policy(title, body, {"report-data": data}, scripts, theme)[0]


def _run(recording: Recording, label: str) -> JsonObject:
    best = content.best_of(recording)
    steps = content.story(recording)
    size = sum(len(line) for lines in steps.values() for line in lines)
    cut = size > MAX_STORY_BYTES
    if cut:
        steps = _shortened(recording, steps)
    failed = content.failures(recording, MAX_FAILURES)
    return {
        "name": recording.name,
        "label": label,
        "facts": content.facts(recording),
        "best": None
        if best is None
        else {
            "text": f"{recording.metric} = {value_text(best.value)}, trial {best.trial.trial_id} "
            f"at iteration {best.iteration}",
            "config": content.best_config(best.trial),
        },
        "notes": recording.experiment.notes[:10],
        "failed": sum(trial.status is ERROR for trial in recording.trials),
        "failures": [{"trial": trial.index, "line": line, "text": text} for trial, line, text in failed],
        "sort": [recording.metric, recording.mode == "max"],
        "ids": integers([trial.index for trial in recording.trials]),
        "columns": columns(recording),
        "steps": {str(trial): lines for trial, lines in steps.items()},
        "stepsCut": cut,
        "reasons": content.reasons(recording),
        "environment": content.environment(recording),
        "charts": [chart_data(chart) for chart in charts_of(recording)],
    }


def _shortened(recording: Recording, steps: dict[int, list[str]]) -> dict[int, list[str]]:
    """The stories of the best trials and of the first, as many as have room."""
    sign = -1 if recording.mode == "max" else 1
    ranked = sorted(steps, key=lambda i: _rank(recording, i, sign))
    kept: dict[int, list[str]] = {}
    size = 0
    for index in ranked:
        size += sum(map(len, steps[index])) + 20
        if size > MAX_STORY_BYTES:
            break
        kept[index] = steps[index]
    return kept


def _rank(recording: Recording, index: int, sign: int) -> float:
    value = recording.best_value(recording.trials[index])
    return math.inf if value is None else sign * value


def charts_of(recording: Recording) -> list[Chart]:
    """The charts that have something to show for this run."""
    one = [recording]
    if recording.metric is None or not recording.trials:
        return [timeline(one)] if recording.spans else []
    makers: list[Callable[[], Chart]] = [lambda: history(one, None), lambda: learning_curves(one, None)]
    if find_spec("sklearn") is not None or find_spec("optuna") is not None:
        makers.append(lambda: importance(one, "auto", 0))
    makers += [
        lambda: parallel_coordinates(one, None),
        lambda: slices(one, _slice_names(recording), None),
        lambda: contour(one, None),
        lambda: rungs(one),
        lambda: pbt_lineage(one, None),
    ]
    charts = [chart for make in makers if not (chart := make()).is_empty or chart.kind in ("importance", "history")]
    for chart in charts:
        if chart.is_empty:
            chart.panels = []  # its note says why
    if len(recording.spans) <= MAX_TIMELINE:
        charts.append(timeline(one))
    return charts


def _slice_names(recording: Recording) -> list[str] | None:
    from tune_core.plots.parameters import parameters_of

    names = [p.name for p in parameters_of(recording)]
    return names[:MAX_SLICES] if len(names) > MAX_SLICES else None


def columns(recording: Recording, some: Sequence[Any] | None = None) -> list[JsonObject]:
    """The table of trials, all or some, by columns: numbers packed, texts as codes of labels."""
    trials = recording.trials if some is None else some
    found = [
        {"title": "trial", "values": floats([float(t.index) for t in trials]), "pad": True},
        text_column("outcome", [recording.outcome(t) for t in trials]),
    ]
    metric = recording.metric
    if metric is not None:
        found.append(number_column(metric, [recording.best_value(t) for t in trials]))
    cells = [content.config_cells(t) for t in trials]
    for name in dict.fromkeys(name for row in cells for name in row):
        title = name if name != metric else f"config/{name}"
        found.append(_column(title, [row.get(name) for row in cells]))
    found.append(number_column("iterations", [t.last.iteration if t.last is not None else None for t in trials]))
    for name in content.metric_names(recording):
        values = [lookup(t.last.metrics, name) if t.last is not None else None for t in trials]
        found.append(_column(f"last {name}", values))
    found.append(number_column("seconds", [t.last.seconds if t.last is not None else None for t in trials]))
    found.append(text_column("reason", [content.reason_of(recording, t)[:300] for t in trials]))
    return found


def _column(title: str, values: Sequence[object]) -> JsonObject:
    if all(v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)) for v in values):
        return number_column(title, values)
    return text_column(title, ["" if v is None else value_text(v, 60) for v in values])


def number_column(title: str, values: Sequence[object]) -> JsonObject:
    """A column of numbers; None is empty."""
    return {"title": title, "values": floats([math.nan if v is None else _float(v) for v in values])}


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.nan


def text_column(title: str, texts: Sequence[str]) -> JsonObject:
    """A column of texts; equal texts are sent once."""
    position: dict[str, int] = {}
    codes = [position.setdefault(text, len(position)) for text in texts]
    return {"title": title, "labels": list(position), "codes": integers(codes)}
