"""The fields that every result has by itself: time, place, counts since the last restore, the experiment tag.

A trial's first report of each attempt tells where the attempt runs and from where it counts
(:attr:`tune_core.core.events.Reported.began`); all else follows from the reports in their order, so that callbacks,
stoppers, data frames and analyses, live or read from a folder, have the same fields.
"""

from __future__ import annotations

import datetime
import math
import os
import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tune_core.core.flatten import flatten
from tune_core.core.values import ConfigView, Metrics, ResultDict

if TYPE_CHECKING:
    from tune_core.core.events import Reported

MAX_TAG = 130
"""Most characters of an experiment tag; ``$TUNE_MAX_LEN_IDENTIFIER`` changes it."""

TOTALS = {"timesteps_this_iter": "timesteps_total", "episodes_this_iter": "episodes_total"}
"""Counts of one iteration that are added up, and the names of their sums."""


def fields_of(event: Reported, previous_s: float, began: tuple[int, float, Any]) -> ResultDict:
    """A report with its automatic fields.

    Parameters
    ----------
    event
        The report.
    previous_s
        Training time at the result before it.
    began
        Iteration and training time at which its attempt began, and the attempt's :attr:`Reported.began`.
    """
    result = result_of(event)
    if event.attempt == 0:  # read from the files of another system, which told all its fields
        if event.checkpoint is not None:
            result["checkpoint_dir_name"] = event.checkpoint
        return {**result, **event.metrics}
    iteration, seconds, place = began
    steps = 0
    if place is not None:
        result["hostname"], result["node_ip"], result["pid"], seconds, steps = place
    result.setdefault("date", date_text(event.at))
    result.setdefault("time_this_iter_s", max(0.0, event.seconds - previous_s))
    result["time_since_restore"] = max(0.0, event.seconds - seconds)
    result["iterations_since_restore"] = event.iteration - iteration
    if "timesteps_this_iter" in event.metrics and "timesteps_total" in event.metrics:
        result["timesteps_since_restore"] = event.metrics["timesteps_total"] - (steps or 0)
    if event.checkpoint is not None:
        result.setdefault("checkpoint_dir_name", event.checkpoint)
    return result


AUTO_RESULT_KEYS = (
    "training_iteration",
    "episodes_total",
    "timesteps_total",
    "node_ip",
    "hostname",
    "pid",
    "time_total_s",
    "time_this_iter_s",
    "timestamp",
    "date",
    "time_since_restore",
    "timesteps_since_restore",
    "iterations_since_restore",
    "config",
    "checkpoint_dir_name",
)
"""Names of the fields that results have by themselves."""


_ALWAYS_OURS = frozenset(
    (
        "checkpoint_dir_name",
        "config",
        "date",
        "experiment_tag",
        "hostname",
        "iterations_since_restore",
        "logdir",
        "node_ip",
        "pid",
        "time_since_restore",
        "time_total_s",
        "timestamp",
        "training_iteration",
        "trial_id",
    )
)


def is_always_ours(name: str, value: object = None) -> bool:
    """Whether a reported metric has the name of a field, or of a column of data frames, that is filled in anyway.

    ``{"done": True}`` is a trial's wish to end; any other value of that name is a metric. Other automatic fields, like
    ``time_this_iter_s``, are filled in only where they are not reported.
    """
    if name == "done":
        return not isinstance(value, bool)
    return name in _ALWAYS_OURS or name.startswith("config/")


class Course:
    """One trial's reports so far, as far as later ones need them."""

    __slots__ = ("attempt", "began", "seconds")

    def __init__(self) -> None:
        self.attempt = 0
        self.began: tuple[int, float, object] = (0, 0.0, None)
        self.seconds = 0.0  #: training time at the last report

    def fields(self, event: Reported, before_s: float | None = None) -> ResultDict:
        """A report with its automatic fields; to be called once a report, in order.

        ``before_s`` is the training time at the result before, where that is not the one that was passed last.
        """
        self.seconds = before_s if before_s is not None else self.seconds
        if event.attempt != self.attempt:
            self.attempt = event.attempt
            if event.began is not None:
                self.seconds = event.began[3]
            elif event.iteration == 1:
                self.seconds = 0.0
            self.began = (event.iteration - 1, self.seconds, event.began)
        result = fields_of(event, self.seconds, self.began)
        self.seconds = event.seconds
        return result


class Courses:
    """A :class:`Course` for each trial of a run."""

    def __init__(self) -> None:
        self._courses: dict[int, Course] = {}

    def fields(self, event: Reported, before_s: float | None = None) -> ResultDict:
        course = self._courses.get(event.trial)
        if course is None:
            course = self._courses[event.trial] = Course()
        return course.fields(event, before_s)

    def forget(self, trial: int) -> None:
        """A trial has ended."""
        self._courses.pop(trial, None)


def totals_in(metrics: Metrics | None) -> dict[str, float] | None:
    """Timesteps and episodes so far, of a report that counts them."""
    if not metrics or not any(each in metrics for each in TOTALS):
        return None
    return {total: metrics[total] for each, total in TOTALS.items() if each in metrics and total in metrics}


def result_of(event: Reported) -> ResultDict:
    """A reported event as the flat dict that schedulers and searchers see: the metrics, and what the event tells."""
    result = dict(event.metrics)
    result["training_iteration"] = event.iteration
    result["time_total_s"] = event.seconds
    result["timestamp"] = event.at
    result["trial_id"] = f"{event.trial:05d}"
    return result


def date_text(at: float) -> str:
    """A time (s since the epoch) as results tell it: ``2026-11-25_10-00-00``, in local time."""
    try:
        return _date_text(int(at))
    except (ValueError, OverflowError, OSError):
        return "?"  # no clock says such a time


@lru_cache(maxsize=64)
def _date_text(at: int) -> str:
    return datetime.datetime.fromtimestamp(at).strftime("%Y-%m-%d_%H-%M-%S")


def evaluated_params(config: ConfigView, varied: Collection[str] | None) -> dict[str, object]:
    """The drawn values of a configuration, nested names joined by ``/``; ``varied`` names them, None means all."""
    flat = flatten(config)
    if varied is None:
        return flat
    chosen = {name: value for name, value in flat.items() if _is_varied(name, varied)}
    return chosen


def _is_varied(name: str, varied: Collection[str]) -> bool:
    while name:
        if name in varied:
            return True
        name = name.rpartition("/")[0]
    return False


def varied_in(header: Any) -> Collection[str] | None:
    """Names of what a run's search space varies; None if a searcher has a space of its own."""
    varied = header.settings.get("varied")
    return frozenset(varied) if varied is not None else None


def experiment_tag(index: int, config: ConfigView, varied: Collection[str] | None = None) -> str:
    """A trial's index and its drawn values in one word that can be a folder's name: ``"3_layers=2,lr=0.0100"``."""
    values = sorted(evaluated_params(config, varied).items())
    text = ",".join(f"{_clean(name.rpartition('/')[2])}={_clean(value)}" for name, value in values)
    limit = int(os.environ.get("TUNE_MAX_LEN_IDENTIFIER") or MAX_TAG)
    return f"{index}_{text}"[:limit] if text else str(index)


def _clean(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else re.sub(r"[^a-zA-Z0-9_-]+", "_", str(value)).strip("_")


def metric_analysis(results: Iterable[Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """For each number among a trial's results: its extremes, means and last value."""
    values: dict[str, list[float]] = {}
    for result in results:
        for name, value in flatten({k: v for k, v in result.items() if k != "config"}).items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                values.setdefault(name, []).append(value)
    return {name: _analysed(found) for name, found in values.items()}


def _analysed(values: list[float]) -> dict[str, object]:
    usable = [value for value in values if not math.isnan(value)] or values
    return {
        "max": max(usable),
        "min": min(usable),
        "avg": sum(values) / len(values),
        "last": values[-1],
        "last-5-avg": sum(values[-5:]) / len(values[-5:]),
        "last-10-avg": sum(values[-10:]) / len(values[-10:]),
    }
