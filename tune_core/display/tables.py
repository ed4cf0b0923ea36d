"""Trials as rows of a table: for the live view, for notebooks and for the command line."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from tune_core.core.flatten import flatten
from tune_core.core.objective import lookup
from tune_core.core.trial import RUNNING

MAX_PARAMETERS = 8


def parameter_names(trials: Iterable[Any], limit: int = MAX_PARAMETERS) -> list[str]:
    """Names of the configuration's values, nested ones joined by ``/``: those that differ between the trials first."""
    values: dict[str, set[str]] = {}
    for trial in trials:
        for name, value in flatten(trial.config).items():
            values.setdefault(name, set()).add(repr(value)[:80])
    names = list(values)
    varied = [name for name in names if len(values[name]) > 1]
    if len(names) > limit:
        names = [*varied, *(name for name in names if name not in varied)][:limit]
    return names


def table_of(
    trials: Sequence[Any],
    metric: str | None,
    parameters: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    now: float | None = None,
) -> tuple[list[str], list[list[Any]]]:
    """Header and rows: trial, status, parameters, iteration, metrics, time.

    The metric's value is the best so far; other metrics show their last value.
    """
    names = list(parameters) if parameters is not None else parameter_names(trials)
    if metrics is None:
        metrics = [metric] if metric else first_metrics(trials)
    now = time.time() if now is None else now
    header = ["trial", "status", *names, "iter", *metrics, "time (s)"]
    rows = []
    for trial in trials:
        config = flatten(trial.config)
        rows.append(
            [
                trial.trial_id,
                str(trial.status),
                *(config.get(name, "") for name in names),
                trial.last.iteration if trial.last is not None else 0,
                *(_metric(trial, name, metric) for name in metrics),
                _seconds(trial, now),
            ]
        )
    return header, rows


def first_metrics(trials: Iterable[Any], limit: int = 3) -> list[str]:
    """Names of the first numbers that trials reported, for runs without a metric."""
    for trial in trials:
        if trial.last is not None:
            numbers = (n for n, v in trial.last.metrics.items() if isinstance(v, (int, float)) and n != "done")
            return [name for name, _ in zip(numbers, range(limit))]
    return []


def _metric(trial: Any, name: str, metric: str | None) -> Any:
    if name == "training_iteration":
        return trial.iteration
    report = trial.best if name == metric and trial.best is not None else trial.last
    value = lookup(report.metrics, name) if report is not None else None
    if value is None and report is not None and name == "time_total_s":
        value = report.seconds
    return "" if value is None else value


def _seconds(trial: Any, now: float) -> Any:
    if trial.last is not None and trial.status is not RUNNING:
        return round(trial.last.seconds, 2)
    if trial.started_at is None:
        return ""
    end = trial.ended_at if trial.ended_at is not None and trial.status is not RUNNING else now
    return round(max(0.0, end - trial.started_at), 2)
