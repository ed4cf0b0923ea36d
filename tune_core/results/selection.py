"""Picks the best of a run's trials, by any metric and any scope, or says what was reported instead."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from typing import Any

from tune_core.core.events import Header, Reported, error_line
from tune_core.core.objective import Objective, check_mode, lookup
from tune_core.core.trial import ERROR, RUNNING
from tune_core.errors import InvalidArgumentError, MetricError
from tune_core.results.experiment_reader import reports

SCOPES = ("last", "avg", "last-5-avg", "last-10-avg", "min", "max", "all")
_TAIL = {"avg": None, "last-5-avg": 5, "last-10-avg": 10}


def metric_and_mode(asked: str, metric: str | None, mode: str | None, header: Header) -> tuple[str, str]:
    """The metric and mode in force: those given, else the run's."""
    metric = metric if metric is not None else header.metric
    mode = mode if mode is not None else header.mode
    if metric is None or mode is None:
        missing = "metric" if metric is None else "mode"
        raise InvalidArgumentError(
            f"{asked}({missing})",
            "is None",
            f"the run was not given a {missing} either",
            f'Call {asked}(metric="loss", mode="min"), or set both in TuneConfig.',
        )
    check_mode(mode, f"{asked}(mode)")
    return metric, mode


def best_trial(
    trials: Sequence[Any],
    folder: str,
    header: Header,
    metric: str,
    mode: str,
    scope: str,
    filter_nan_and_inf: bool,
    asked: str,
) -> tuple[Any, Any]:
    """The trial that is best by ``metric`` in ``scope``, and the value; see ``ResultGrid.get_best_result``."""
    if scope not in SCOPES:
        raise InvalidArgumentError(
            f"{asked}(scope)", f"is {scope!r}", "it says which of a trial's values counts", f"Use one of {SCOPES}."
        )
    objective = Objective(metric, mode)
    values = scores(trials, folder, header, objective, scope)
    if not values:
        raise _nothing_to_compare(trials, metric, asked)
    losses = {index: objective.as_loss(value) for index, value in values.items()}
    if filter_nan_and_inf:
        losses = {index: loss for index, loss in losses.items() if loss < math.inf}
        if not losses:
            example = next(iter(values.values()))
            raise MetricError(
                f"{asked}(metric={metric!r})",
                f"found only NaN and infinite values, e.g. {example!r}",
                "all trials diverged, or the metric is computed wrongly",
                "Look at get_dataframe(), or pass filter_nan_and_inf=False to get one of them all the same.",
            )
    best = min(losses, key=lambda index: (losses[index], index))
    return next(trial for trial in trials if trial.index == best), values[best]


def scores(trials: Sequence[Any], folder: str, header: Header, objective: Objective, scope: str) -> dict[int, Any]:
    """Each trial's value of the metric in ``scope``, by trial index; trials that never reported it are left out."""
    metric, mode = objective.metric, objective.mode
    found: dict[int, Any]
    if scope == "last":
        found = {t.index: lookup(t.last.metrics, metric) for t in trials if t.last is not None}
        return {index: value for index, value in found.items() if value is not None}
    wanted = mode if scope == "all" else scope
    if wanted == mode and (metric, mode) == (header.metric, header.mode):
        found = {t.index: lookup(t.best.metrics, metric) for t in trials if t.best is not None}
        return {index: value for index, value in found.items() if value is not None}
    values = _values(folder, metric)
    if wanted in ("min", "max"):
        extreme = Objective(metric, wanted)
        return {index: min((v for _, v in course), key=extreme.as_loss) for index, course in values.items()}
    tail = _TAIL[scope]
    return {index: _mean([v for _, v in (course[-tail:] if tail else course)]) for index, course in values.items()}


def _values(folder: str, metric: str) -> dict[int, list[tuple[int, Any]]]:
    """Each trial's values of a metric along its course, with their iterations (see ``records.history``)."""
    found: dict[int, list[tuple[int, Any]]] = {}
    for event in reports(folder):
        course = found.setdefault(event.trial, [])
        while course and course[-1][0] >= event.iteration:
            course.pop()
        value = lookup(event.metrics, metric)
        if value is not None:
            course.append((event.iteration, value))
    return {index: course for index, course in found.items() if course}


def _mean(values: list[Any]) -> float:
    try:
        return math.fsum(values) / len(values)
    except (TypeError, ValueError, OverflowError):  # no numbers, or infinities of both signs
        return math.nan


def best_reports(trials: Sequence[Any], folder: str, header: Header, metric: str, mode: str) -> dict[int, Reported]:
    """Each trial's best report by ``metric``; trials that never reported it are left out."""
    check_mode(mode, "filter_mode")
    if (metric, mode) == (header.metric, header.mode):
        return {t.index: t.best for t in trials if t.best is not None and lookup(t.best.metrics, metric) is not None}
    objective = Objective(metric, mode)
    best: dict[int, Reported] = {}
    for event in reports(folder):
        if lookup(event.metrics, metric) is None:
            continue
        before = best.get(event.trial)
        if before is None or objective.loss(event.metrics) < objective.loss(before.metrics):
            best[event.trial] = event
    if not best and any(trial.last is not None for trial in trials):
        raise _nothing_to_compare(trials, metric, "get_dataframe")
    return best


def best_known(trials: Iterable[Any], header: Header) -> Any:
    """The trial with the best result by the run's own metric, or None. Reads nothing."""
    if header.metric is None:
        return None
    usable = (trial for trial in trials if trial.best is not None and trial.best_loss < math.inf)
    return min(usable, key=lambda trial: (trial.best_loss, trial.index), default=None)


def ranked(trials: Iterable[Any], header: Header, limit: int = 100) -> list[Any]:
    """The first ``limit`` trials for people to look at: running ones, then the best, then the newest."""

    def key(trial: Any) -> tuple[bool, bool, float, int]:
        has_best = header.metric is not None and trial.best is not None
        return trial.status is not RUNNING, not has_best, trial.best_loss if has_best else 0.0, -trial.index

    return heapq.nsmallest(limit, trials, key=key)


def find_trial(trials: Sequence[Any], trial_id: str | int) -> Any:
    """The trial of an id such as ``"00003"``, ``"trial_00003"``, ``"3"`` or 3."""
    text = str(trial_id).removeprefix("trial_")
    if text.isdigit():
        for trial in trials[int(text) : int(text) + 1]:
            if trial.index == int(text):
                return trial
        for trial in trials:
            if trial.index == int(text):
                return trial
    known = f"it has {trials[0].trial_id} to {trials[-1].trial_id}" if trials else "it has no trials"
    raise InvalidArgumentError(
        f"The trial {trial_id!r}", "is not in this experiment", known, "Give a trial's id, e.g. 00003 or 3."
    )


def missing_metric(asked: str, reported: Iterable[str]) -> MetricError:
    """The error for a metric that nobody reported."""
    names = sorted({str(name) for name in reported})
    return MetricError(
        asked,
        "was never reported",
        f"what was reported: {', '.join(names[:20]) or 'nothing'}",
        "Use one of these names, or report the metric with tune.report({...}).",
    )


def _nothing_to_compare(trials: Sequence[Any], metric: str, asked: str) -> MetricError:
    asked = f"{asked}(metric={metric!r})"
    reported = {name for trial in trials if trial.last is not None for name in trial.last.metrics}
    if reported:
        return missing_metric(asked, reported)
    failed = [trial for trial in trials if trial.status is ERROR]
    if failed:
        first = failed[0]
        return MetricError(
            asked,
            "has no result to look at",
            f"{len(failed)} of {len(trials)} trials failed before their first report; "
            f"trial {first.trial_id}: {error_line(first.error or first.reason or '')}",
            "Mend the objective and run again; ResultGrid.errors has every traceback.",
        )
    cause = "no trial has reported yet" if trials else "the run has no trials"
    return MetricError(asked, "has no result to look at", cause, "Let the run go on: Tuner.restore(path, ...).fit().")
