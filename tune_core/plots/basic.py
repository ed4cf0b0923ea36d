"""Charts of the metric: history, learning curves, Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tune_core.core.objective import lookup
from tune_core.errors import InvalidArgumentError
from tune_core.plots.chart import Axis, Chart, Marks, Panel
from tune_core.plots.palette import OUTCOME_COLORS
from tune_core.results import pareto as fronts
from tune_core.results.recording import OUTCOMES, Recording

MAX_CURVES = 1000


def need_metric(recording: Recording, what: str) -> str:
    """The recording's metric, or an error that says how to give one."""
    if recording.metric is None:
        raise InvalidArgumentError(
            f"plots.{what}(metric)",
            "is None",
            "the run was not given a metric, and no trial has reported a number",
            'Give one: metric="loss", mode="min".',
        )
    return recording.metric


def unnamed(recordings: Sequence[Recording]) -> list[str]:
    """A name for each of several experiments, all different."""
    names = [recording.name for recording in recordings]
    return [f"{name} ({i + 1})" if names.count(name) > 1 else name for i, name in enumerate(names)]


def log_fits(values: Sequence[float]) -> bool:
    """Whether positive values span so much that only a logarithmic axis shows them."""
    finite = [v for v in values if math.isfinite(v)]
    return bool(finite) and min(finite) > 0 and max(finite) / min(finite) > 200


def history(recordings: Sequence[Recording], log: bool | None) -> Chart:
    """Each trial's best value in the order of the trials, and the best so far."""
    metric = need_metric(recordings[0], "history")
    panel = Panel(Axis("trial", integer=True), Axis(metric))
    several = len(recordings) > 1
    notes, every = [], []
    for position, (recording, name) in enumerate(zip(recordings, unnamed(recordings))):
        color = f"c{position % 8}"
        groups: dict[str, list[tuple[int, float]]] = {}
        failed: list[int] = []
        for trial in recording.trials:
            value = recording.best_value(trial)
            if value is None:
                if recording.outcome(trial) in ("failed", "completed", "stopped", "stopped early"):
                    failed.append(trial.index)
                continue
            groups.setdefault("" if several else recording.outcome(trial), []).append((trial.index, value))
            every.append(value)
        for outcome in ("", *OUTCOMES):
            if outcome in groups:
                xs, ys = zip(*groups[outcome])
                panel.marks.append(
                    Marks(
                        "points",
                        [float(x) for x in xs],
                        list(ys),
                        outcome or name,
                        OUTCOME_COLORS.get(outcome, color),
                        ids=list(xs),
                        opacity=0.75,
                        symbol="x" if outcome == "failed" else "circle",
                    )
                )
        best = _best_so_far(recording)
        if best[0]:
            title = f"best so far, {name}" if several else "best so far"
            panel.marks.append(Marks("steps", *best, title, color if several else "best", width=2))
        if failed:
            title = f"no value, {name}" if several else "no value"
            panel.marks.append(Marks("rug", [float(i) for i in failed], [], title, "bad", ids=failed))
            notes.append(f"{len(failed)} ended trials have no finite value of {metric}" + (f" in {name}" * several))
    panel.y.log = log_fits(every) if log is None else log
    if panel.y.log and any(v <= 0 for v in every):
        panel.y.log = False
        notes.append("a logarithmic axis cannot show values of 0 and below")
    if not every:
        notes.append(f"no trial has reported {metric}")
    return Chart("history", f"History of {metric}: each trial's best value", [panel], ". ".join(notes))


def _best_so_far(recording: Recording) -> tuple[list[float], list[float]]:
    xs: list[float] = []
    ys: list[float] = []
    if recording.mode is None:
        return xs, ys
    sign = 1 if recording.mode == "min" else -1
    best = math.inf
    for trial in recording.trials:
        value = recording.best_value(trial)
        if value is not None and sign * value < best:
            best = sign * value
            xs.append(float(trial.index))
            ys.append(value)
    if xs and recording.trials[-1].index > xs[-1]:
        xs.append(float(recording.trials[-1].index))
        ys.append(ys[-1])
    return xs, ys


def learning_curves(recordings: Sequence[Recording], log: bool | None, max_curves: int = MAX_CURVES) -> Chart:
    """Each trial's values over its iterations, coloured by what became of the trial."""
    metric = need_metric(recordings[0], "learning_curves")
    panel = Panel(Axis("training_iteration", integer=True), Axis(metric))
    several = len(recordings) > 1
    notes, every = [], []
    for position, (recording, name) in enumerate(zip(recordings, unnamed(recordings))):
        having = [t for t in recording.trials if t.index in recording.courses]
        chosen = _sample(recording, having, max_curves)
        if len(chosen) < len(having):
            notes.append(f"{len(chosen)} of {len(having)} curves, the best among them" + f" in {name}" * several)
        best = recording.best_trial()
        groups: dict[str, list[int]] = {}
        for trial in chosen:
            groups.setdefault("" if several else recording.outcome(trial), []).append(trial.index)
        for outcome in ("", *reversed(OUTCOMES)):
            if outcome not in groups:
                continue
            xs, ys, ids = _joined(recording, groups[outcome])
            every += [y for y in ys if math.isfinite(y)]
            color = OUTCOME_COLORS.get(outcome, f"c{position % 8}")
            faint = 0.9 if len(chosen) < 30 else 0.45
            panel.marks.append(Marks("line", xs, ys, outcome or name, color, ids=ids, width=1.1, opacity=faint))
            panel.marks.append(_ends(recording, groups[outcome], outcome or name, color))
        if best is not None and best.index in recording.courses:
            xs, ys, ids = _joined(recording, [best.index])
            title = f"best: trial {best.trial_id}" + f", {name}" * several
            panel.marks.append(
                Marks("line", xs, ys, title, f"c{position % 8}" if several else "best", ids=ids, width=2.5)
            )
    panel.y.log = log_fits(every) if log is None else log and all(v > 0 for v in every)
    if any(recording.max_points for recording in recordings):
        notes.append("long curves are thinned")
    title = f"Learning curves of {metric}" + ("" if several else ", by what became of the trial")
    return Chart("learning_curves", title, [panel], ". ".join(notes))


def _ends(recording: Recording, indexes: Sequence[int], name: str, color: str) -> Marks:
    """A point where each course ends: all that there is to see of a trial with one value."""
    ends = [(c.iterations[-1], c.values[-1]) for c in (recording.courses[i] for i in indexes)]
    xs, ys = [x for x, _ in ends], [y if math.isfinite(y) else math.nan for _, y in ends]
    return Marks("points", xs, ys, name, color, ids=list(indexes), size=4, opacity=0.7, legend=False)


def _sample(recording: Recording, trials: list[Any], limit: int) -> list[Any]:
    """At most ``limit`` trials: the best tenth of them and every n-th of the others."""
    if len(trials) <= limit:
        return trials
    sign = 1 if recording.mode != "max" else -1
    ranked = sorted(trials, key=lambda t: sign * (v if (v := recording.best_value(t)) is not None else math.inf))
    top = {t.index for t in ranked[: limit // 10]}
    rest = [t for t in trials if t.index not in top]
    step = math.ceil(len(rest) / (limit - len(top)))
    keep = top | {t.index for t in rest[::step]}
    return [t for t in trials if t.index in keep]


def _joined(recording: Recording, indexes: Sequence[int]) -> tuple[list[float], list[float], list[int]]:
    """Several courses as one line, NaN between them."""
    xs: list[float] = []
    ys: list[float] = []
    ids: list[int] = []
    for index in indexes:
        course = recording.courses[index]
        xs += [*course.iterations, math.nan]
        ys += [v if math.isfinite(v) else math.nan for v in course.values] + [math.nan]
        ids += [index] * (len(course.iterations) + 1)
    return xs[:-1], ys[:-1], ids[:-1]


def pareto(recordings: Sequence[Recording], metrics: Sequence[str], modes: str | Sequence[str]) -> Chart:
    """Two metrics against each other by the trials' last values, and the trials that no other one beats in both."""
    if len(metrics) != 2:
        raise InvalidArgumentError(
            "plots.pareto(metrics)", f"has {len(metrics)} names", "a flat picture has two axes", "Give two names."
        )
    panel = Panel(Axis(metrics[0]), Axis(metrics[1]))
    several = len(recordings) > 1
    notes = []
    for position, (recording, name) in enumerate(zip(recordings, unnamed(recordings))):
        points: dict[int, tuple[float, float]] = {}
        for trial in recording.trials:
            values = [lookup(trial.last.metrics, m) for m in metrics] if trial.last is not None else [None]
            numbers = [float(v) for v in values if isinstance(v, (int, float)) and math.isfinite(v)]
            if len(numbers) == 2:
                points[trial.index] = (numbers[0], numbers[1])
        if len(points) < len(recording.trials):
            missing = len(recording.trials) - len(points)
            notes.append(f"{missing} trials have no finite value of both metrics" + f" in {name}" * several)
        indexes = list(points)
        rows = [dict(zip(metrics, points[i])) for i in indexes]
        best = {indexes[i] for i in fronts.front(fronts.losses_of(rows, metrics, modes))} if rows else set()
        color = f"c{position % 8}" if several else "muted"
        others = [i for i in indexes if i not in best]
        panel.marks.append(_points(points, others, f"dominated, {name}" if several else "dominated", color, 0.5))
        on_it = sorted(best, key=lambda i: points[i])
        front = _points(
            points, on_it, f"Pareto front, {name}" if several else "Pareto front", color if several else "best", 1.0
        )
        panel.marks.append(Marks("line", front.x, front.y, "", front.color, ids=front.ids, legend=False))
        panel.marks.append(front)
    panel.x.log = log_fits([x for m in panel.marks for x in m.x])
    panel.y.log = log_fits([y for m in panel.marks for y in m.y])
    title = f"Pareto front of {metrics[0]} and {metrics[1]}: each trial's last values"
    return Chart("pareto", title, [panel], ". ".join(notes))


def _points(points: dict[int, tuple[float, float]], ids: list[int], name: str, color: str, opacity: float) -> Marks:
    xs, ys = [points[i][0] for i in ids], [points[i][1] for i in ids]
    return Marks("points", xs, ys, name, color, ids=ids, opacity=opacity, size=6)
