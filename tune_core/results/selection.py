"""Picks the best of a run's trials, by any metric and any scope, or says what was reported instead."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tune_core.core.best_trial import RankedTrials, best_of, least_broken
from tune_core.core.constraints import Constraint, constraints_of
from tune_core.core.events import Header, Reported, error_line, value_of
from tune_core.core.flatten import flatten
from tune_core.core.near_names import nearest
from tune_core.core.objective import DEFAULT_METRIC, SCOPES, Objective, check_mode
from tune_core.core.trial import ERROR, RUNNING, Trial, known_value
from tune_core.core.user_warnings import warn_user
from tune_core.core.values import Config
from tune_core.errors import InvalidArgumentError, MetricError, NoResultError
from tune_core.journal.histories import Histories, ReportWithConfig
from tune_core.space.serialization import as_given

_TAIL = {"avg": None, "last-5-avg": 5, "last-10-avg": 10}


def metric_and_mode(asked: str, metric: str | None, mode: str | None, header: Header) -> tuple[str, str]:
    """The metric and mode in force: those given, else the run's."""
    if metric is None and header.objectives:
        names = [name for name, _ in header.objectives]
        raise InvalidArgumentError(
            f"{asked}(metric)",
            "is None",
            f"the run had {len(names)} metrics, and what is best by one is not by another",
            f"Take a compromise from pareto_front(), or name one: {asked}(metric={names[0]!r}, "
            f"mode={header.objectives[0][1]!r}).",
        )
    metric = metric if metric is not None else header.metric
    mode = mode if mode is not None else dict(header.objectives).get(metric or "", header.mode)
    if metric is None and header.mode is not None:
        metric = DEFAULT_METRIC  # the name of a bare number that an objective returned
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


class Score(NamedTuple):
    """A trial's value of a metric, and the configuration that made it; None where several results made it."""

    value: Any
    config: Config | None


def best_trial(
    trials: Sequence[Trial],
    folder: str,
    header: Header,
    metric: str,
    mode: str,
    scope: str,
    filter_nan_and_inf: bool,
    asked: str,
) -> tuple[Trial, Score]:
    """The trial that is best by ``metric`` in ``scope``, and its value; see ``ResultGrid.get_best_result``."""
    if scope not in SCOPES:
        raise InvalidArgumentError(
            f"{asked}(scope)", f"is {scope!r}", "it says which of a trial's values counts", f"Use one of {SCOPES}."
        )
    objective = Objective(metric, mode)
    trials = feasible_first(trials, header, asked)
    if (best_one := _known_best(trials, header, metric, mode, scope, filter_nan_and_inf)) is not None:
        return best_one, scores([best_one], folder, header, objective, scope)[best_one.index]
    values = scores(trials, folder, header, objective, scope)
    if not values:
        raise _nothing_to_compare(trials, metric, asked)
    losses = {index: objective.as_loss(score.value) for index, score in values.items()}
    if filter_nan_and_inf:
        losses = {index: loss for index, loss in losses.items() if loss < math.inf}
        if not losses:
            example = next(iter(values.values())).value
            raise MetricError(
                f"{asked}(metric={metric!r})",
                f"found only NaN and infinite values, e.g. {example!r}",
                "all trials diverged, or the metric is computed wrongly",
                "Look at get_dataframe(), or pass filter_nan_and_inf=False to get one of them all the same.",
            )
    best = min(losses, key=lambda index: (losses[index], index))
    return next(trial for trial in trials if trial.index == best), values[best]


def _known_best(
    trials: Sequence[Trial], header: Header, metric: str, mode: str, scope: str, filter_nan_and_inf: bool
) -> Trial | None:
    """The best trial, where that is known without a look at the others; else None."""
    if not isinstance(trials, RankedTrials) or not filter_nan_and_inf or (metric, mode) != (header.metric, header.mode):
        return None
    by = {"last": "last", "all": "best", mode: "best"}.get(scope)
    return None if by is None else trials.first(by)


def feasible_first(trials: Sequence[Trial], header: Header, asked: str) -> Sequence[Trial]:
    """The trials that meet the run's constraints; if there are none, those that break them least, with a warning."""
    constraints = constraints_of(header)
    chosen, least = least_broken(trials, constraints)
    if least > 0.0:
        warn_user(
            f"{asked}: none of the {len(trials)} trials meets the run's constraints "
            f"({', '.join(map(str, constraints))}); "
            f"{_without_values(trials, constraints)}those that break them least are used."
        )
    return chosen


def _without_values(trials: Sequence[Trial], constraints: Sequence[Constraint]) -> str:
    """Which of the constraints' metrics no trial has, as a clause of a warning; most often they are misspelt."""
    metrics = dict.fromkeys(one.metric for one in constraints)
    absent = [name for name in metrics if all(known_value(trial, name) is None for trial in trials)]
    if not absent:
        return ""
    reported = dict.fromkeys(name for trial in trials if trial.known for name in flatten(trial.known))
    close = nearest(absent[0], [name for name in reported if name not in absent])
    hint = f" (did you mean {close!r}?)" if close else ""
    return f"no result has the metric {', '.join(map(repr, absent))}{hint}; "


def scores(trials: Sequence[Trial], folder: str, header: Header, objective: Objective, scope: str) -> dict[int, Score]:
    """Each trial's value of the metric in ``scope``, by trial index; trials that never reported it are left out."""
    metric, mode = objective.metric, objective.mode
    if scope == "last":
        found = {t.index: Score(known_value(t, metric), t.last_config) for t in trials}
        known = {index: score for index, score in found.items() if score.value is not None}
        copies = [(t, t.last) for t in trials if t.is_copy and t.last is not None and t.index in known]
        older = [trial for trial, last in copies if value_of(last, metric) is None]  # made with another configuration
        return known | _from_histories(older, folder, metric, "last", mode)
    wanted = mode if scope == "all" else scope
    if wanted == mode and (metric, mode) == (header.metric, header.mode):
        return {t.index: Score(value_of(t.best, metric), t.best_config) for t in trials if t.best is not None}
    return _from_histories(trials, folder, metric, wanted, mode)


def _from_histories(trials: Sequence[Trial], folder: str, metric: str, wanted: str, mode: str) -> dict[int, Score]:
    """As :func:`scores`, of all that the trials reported."""

    def keep(event: Reported, config: Config) -> Score | None:
        value = value_of(event, metric)
        return Score(value, config) if value is not None else None

    courses = Histories(folder, keep).values() if trials else {}
    return {
        trial.index: _score(courses[trial.index], trial, wanted, mode) for trial in trials if trial.index in courses
    }


def _score(course: list[Score], trial: Trial, wanted: str, mode: str) -> Score:
    """What counts of the values that a trial reported."""
    if wanted == "last":
        value, config = course[-1]
    elif wanted == mode:  # the best of them: a value that is none is passed over
        objective = Objective("", mode)
        value, config = min(course, key=lambda score: objective.as_loss(score.value))
    elif wanted in ("min", "max"):  # the worst of them, be it infinite
        value, config = max(course, key=lambda score: _height(score.value, 1 if wanted == "max" else -1))
    else:
        tail = _TAIL[wanted]
        value = _mean([score.value for score in (course[-tail:] if tail else course)])
        config = course[-1].config
    return Score(value, _as_it_ran(trial, config) if config is not None else None)


def _as_it_ran(trial: Trial, config: Config) -> Config:
    """A configuration as the journal tells it, with the objects that the trial was given where they are at hand."""
    for given in (trial.config, trial.best_config, trial.last_config):
        if given is not None:
            config = as_given(config, given)
    return config


def _height(value: Any, sign: int) -> float:
    """A value, or less it; what is no number is above all."""
    try:
        height = float(value) * sign
    except (TypeError, ValueError, OverflowError):
        return math.inf
    return math.inf if math.isnan(height) else height


def _mean(values: list[Any]) -> float:
    try:
        return math.fsum(values) / len(values)
    except (TypeError, ValueError, OverflowError):  # no numbers, or infinities of both signs
        return math.nan


def best_reports(
    trials: Sequence[Trial], folder: str, header: Header, metric: str, mode: str
) -> dict[int, ReportWithConfig]:
    """Each trial's best report by ``metric`` with its configuration; trials that never reported it are left out."""
    check_mode(mode, "filter_mode")
    if (metric, mode) == (header.metric, header.mode):
        known = ((t.index, t.best, t.best_config) for t in trials)
        return {i: ReportWithConfig(event, config) for i, event, config in known if event and config is not None}
    objective = Objective(metric, mode)

    def keep(event: Reported, config: Config) -> ReportWithConfig | None:
        return ReportWithConfig(event, config) if value_of(event, metric) is not None else None

    def loss(report: ReportWithConfig) -> float:
        return objective.as_loss(value_of(report.event, metric))

    courses = Histories(folder, keep).values()
    best = {}
    for trial in trials:
        if trial.index in courses:
            event, config = min(courses[trial.index], key=loss)
            best[trial.index] = ReportWithConfig(event, _as_it_ran(trial, config))
    if not best and any(trial.last is not None for trial in trials):
        raise _nothing_to_compare(trials, metric, "get_dataframe")
    return best


def best_known(trials: Iterable[Trial], header: Header) -> Trial | None:
    """The trial with the best result by the run's own metric, or None. Reads nothing."""
    return None if header.metric is None else best_of(trials, constraints_of(header))


def ranked(trials: Iterable[Trial], header: Header, limit: int = 100) -> list[Trial]:
    """The first ``limit`` trials for people to look at: running ones, then the best, then the newest."""
    if isinstance(trials, RankedTrials) and header.metric is not None:
        return trials.ranked(limit)

    def key(trial: Trial) -> tuple[bool, bool, float, int]:
        has_best = header.metric is not None and trial.best is not None
        return trial.status is not RUNNING, not has_best, trial.best_loss if has_best else 0.0, -trial.index

    return heapq.nsmallest(limit, trials, key=key)


def find_trial(trials: Sequence[Trial], trial_id: str | int) -> Trial:
    """The trial of an id such as ``"00003"``, ``"trial_00003"``, ``"3"`` or 3."""
    for trial in trials:
        if trial.folder and trial_id in (trial.trial_id, trial.folder):
            return trial
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


def _nothing_to_compare(trials: Sequence[Trial], metric: str, asked: str) -> MetricError:
    asked = f"{asked}(metric={metric!r})"
    reported = {name for trial in trials if trial.last is not None for name in trial.known or trial.last.metrics}
    if reported:
        return missing_metric(asked, reported)
    failed = [trial for trial in trials if trial.status is ERROR]
    if failed:
        first = failed[0]
        return NoResultError(
            asked,
            "has no result to look at",
            f"{len(failed)} of {len(trials)} trials failed before their first report; "
            f"trial {first.trial_id}: {error_line(first.error or first.reason or '')}",
            "Mend the objective and run again; ResultGrid.errors has every traceback.",
        )
    cause = "no trial has reported yet" if trials else "the run has no trials"
    return NoResultError(asked, "has no result to look at", cause, "Let the run go on: Tuner.restore(path, ...).fit().")
