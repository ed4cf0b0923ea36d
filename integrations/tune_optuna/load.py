"""A study's trials, read from the experiment that they ran in."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from tune_core import integration as tc
from tune_optuna.parameters import from_text, internal_values
from tune_optuna.trial import END, REPORT, event_of

if TYPE_CHECKING:
    from optuna import Study


optuna: Any = tc.require("tune_optuna", "optuna", "optuna")


def load_trials(study: Study, grid: Any) -> dict[str, int]:
    """Fill a study in memory with an experiment's trials; the storage's number of each, by its id in the experiment.

    Trials that were cut off are RUNNING, with the parameters that they have: they go on with the experiment.
    """
    loaded = {}
    for result in sorted(grid, key=lambda result: int(result.config["number"])):
        loaded[result.trial_id] = study._storage.create_new_trial(study._study_id, _frozen(result))
        for key, value in (result.metrics.get("study_user_attrs") or {}).items():
            study.set_user_attr(key, value)
        for key, value in (result.metrics.get("study_system_attrs") or {}).items():
            study._storage.set_study_system_attr(study._study_id, key, value)
    return loaded


def _frozen(result: Any) -> Any:
    metrics, states = result.metrics, optuna.trial.TrialState
    state = states.RUNNING
    if str(result.status) in ("TERMINATED", "ERROR"):
        state = states[metrics["state"]] if event_of(metrics) == END else states.FAIL
        if "event" not in metrics and event_of(metrics) == REPORT:  # in 0.1, the pruner itself ended a trial
            state = states.PRUNED
        if result.error is not None and state is states.COMPLETE:
            state = states.FAIL
    reported = {int(r["step"]): float(r["value"]) for r in result._history() if event_of(r) == REPORT}
    values = list(metrics["values"]) if state is states.COMPLETE else None
    if state is states.PRUNED and reported and reported[max(reported)] == reported[max(reported)]:
        values = [reported[max(reported)]]
    distributions = {name: from_text(text) for name, text in (metrics.get("distributions") or {}).items()}
    internal = internal_values(metrics)
    if event_of(metrics) != END:  # cut off: what was drawn for it ahead, it may have got
        for name, (value, text) in (result.config.get("ahead") or {}).items():
            if name not in distributions:
                distributions[name], internal[name] = from_text(text), value
    trial = optuna.trial.create_trial(
        state=state,
        values=values,
        params={name: d.to_external_repr(internal[name]) for name, d in distributions.items()},
        distributions=distributions,
        user_attrs=dict(metrics.get("user_attrs") or {}),
        system_attrs={**(result.config.get("system_attrs") or {}), **(metrics.get("system_attrs") or {})},
        intermediate_values=reported,
    )
    if "timestamp" in metrics:
        last = datetime.datetime.fromtimestamp(metrics["timestamp"])
        trial.datetime_start = last - datetime.timedelta(seconds=float(metrics.get("time_total_s") or 0))
        trial.datetime_complete = last if state.is_finished() else None
    return trial
