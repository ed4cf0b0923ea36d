"""What a trial does: fit one candidate on its folds, step by step where it may be stopped early, and report."""

from __future__ import annotations

import contextlib
import io
import json
import os
import traceback
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import cloudpickle
import numpy as np
import sklearn
from sklearn.base import clone

import tune_core as tune
from tune_core.errors import FatalError, InvalidArgumentError, MetricError
from tune_core.integration import draft
from tune_sklearn._budget import BudgetSteps
from tune_sklearn._fingerprint import fingerprint
from tune_sklearn._racing import BY_FOLD
from tune_sklearn._task import SearchTask

STATE_FILE = "folds.json"
MODELS_FILE = "models.pkl"


class FitRaised(FatalError):
    """A fit or a scorer raised, and the search was asked to raise it (or scikit-learn would): ends the run at once."""


def evaluate(config: dict[str, Any], work: SearchTask) -> None:
    """The objective of every trial: one fold of a candidate, or all of them, or as many steps as it is let run."""
    with _surroundings(work) as extras:
        try:
            if work.budget_steps is not None:
                _climb(config, work, extras)
            else:
                folds = [config["split"]] if work.candidates is not None else range(work.n_folds)
                params, number = work.params_of(config), work.number_of(config)
                fits = {k: work.fit_fold(work.estimator, number, k, params) for k in folds}
                tune.report({**summary(work, fits), **extras.take()})
        except (KeyboardInterrupt, MetricError):
            raise
        except Exception as error:
            work.raised.append(error)
            tune.report({work.metric: float("nan"), "raised": describe_exception(error)}, raise_on_stop=False)
            raise FitRaised("A fit", f"raised {type(error).__name__}: {error}") from error


def summary(work: SearchTask, fits: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    """Fits of one candidate as a report: each fold's outcome, and the mean of each score over these folds.

    Raises
    ------
    InvalidArgumentError
        If candidates are compared as the search goes on, and the scores have none of the name to compare them by.
    """
    metrics: dict[str, Any] = {}
    by_name: dict[str, list[Any]] = {}
    for fit in fits.values():
        scores = fit["test_scores"]
        for name, value in scores.items() if isinstance(scores, dict) else (("score", scores),):
            by_name.setdefault(name, []).append(value)
    for name, values in by_name.items():
        metrics[f"average_test_{name}"] = float(np.mean(np.asarray(values, dtype=np.float64)))
    if work.compares and work.metric not in metrics and any(isinstance(f["test_scores"], dict) for f in fits.values()):
        raise unnamed_score(by_name)
    metrics.setdefault(work.metric, float("nan"))
    if work.budget_steps is not None and work.budget_steps.resource == "folds":
        metrics[BY_FOLD] = by_name.get(work.metric.removeprefix("average_test_"), [])
    metrics["fits"] = {str(fold): fit for fold, fit in fits.items()}
    return metrics


def unnamed_score(names: Any) -> InvalidArgumentError:
    """The error for several scores of which none is named as the one to compare candidates by."""
    return InvalidArgumentError(
        f"scoring with the scores {', '.join(map(repr, names))}",
        "leaves open by which of them candidates are compared while the search goes on",
        "refit names none of them, and early stopping and searchers need one score",
        f"Name it, e.g. refit={next(iter(names), 'accuracy')!r}, or search at random without early stopping.",
    )


# --- step by step -----------------------------------------------------------------------------------------------------


def _climb(config: dict[str, Any], work: SearchTask, extras: _Extras) -> None:
    """Evaluate on the budget's steps, one report each, until told to stop; go on from a checkpoint if there is one.

    Where this process remembers a candidate that was paused, it reports again what it has, and goes on from there.
    """
    assert work.budget_steps is not None
    budget_steps, number, params = work.budget_steps, work.number_of(config), work.params_of(config)
    identity = {} if work.memory is not None else {name: fingerprint(value) for name, value in params.items()}
    step, fits, models, times = _load(budget_steps, params, identity)
    reports: list[dict[str, Any]] = []
    if work.memory is not None:
        reports, fits, times = work.memory.setdefault(number, (reports, fits, times))
        step = len(reports)
        for metrics in reports[:]:
            tune.report(metrics)
    for position in range(step, len(budget_steps.steps)):
        amount = budget_steps.steps[position]
        done = budget_steps.folds_before(position) if budget_steps.resource == "folds" else 0
        folds = range(done, budget_steps.folds_at(position, work.n_folds))

        def fit(fold: int, position: int = position) -> dict[str, Any]:
            if budget_steps.growth is not None:
                return _grow_fold(work, number, fold, params, models, fits.get(fold), position)
            return _fit_anew(work, number, fold, params, fits.get(fold), position)

        with _quiet(budget_steps, position):
            fits.update(work.fit_folds(position, folds, fit))
        times.append(sum(float(one["fit_time"] + one["score_time"]) for one in fits.values()))
        metrics = {**summary(work, fits), "n_resources": amount, "times_s": list(times), **extras.take()}
        if budget_steps.is_last(position):
            tune.report(metrics)
            return
        if work.memory is not None or not budget_steps.saves_after(position + 1):
            reports.append(metrics)
            tune.report(metrics)
            continue
        with draft() as folder:
            state = {"step": position + 1, "fits": fits, "params": identity, "times": times}
            saved = _save(folder, state, models if budget_steps.growth is not None else None)
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder) if saved else None)


@contextlib.contextmanager
def _quiet(budget_steps: BudgetSteps, position: int) -> Iterator[None]:
    """Without warnings where fits are cut short on purpose, and without that of a warm start on the same rows."""
    with warnings.catch_warnings():
        is_whole = budget_steps.is_last(position) or budget_steps.resource == "folds"
        if budget_steps.is_partial(position) or not is_whole:
            warnings.simplefilter("ignore")
        elif budget_steps.growth is not None:
            warnings.filterwarnings("ignore", message="class_weight presets")
        yield


def _fit_anew(
    work: SearchTask,
    number: int,
    fold: int,
    params: Mapping[str, Any],
    before: dict[str, Any] | None,
    position: int,
) -> dict[str, Any]:
    """Fit one fold with what a step gives; what fails on a part of everything says nothing about everything."""
    assert work.budget_steps is not None
    budget_steps = work.budget_steps
    positions = budget_steps.train_positions(fold, position)
    given = {**params, **budget_steps.settings(position)}
    error_score = None if budget_steps.is_conclusive(position) else np.nan
    step = None if positions is None else position
    after = work.fit_fold(work.estimator, number, fold, given, positions, error_score, step)
    return _add_times(after, before)


def _grow_fold(
    work: SearchTask,
    number: int,
    fold: int,
    params: Mapping[str, Any],
    models: dict[int, Any],
    before: dict[str, Any] | None,
    position: int,
) -> dict[str, Any]:
    """Grow one fold's model to the amount of a step and score it."""
    assert work.budget_steps is not None and work.budget_steps.growth is not None
    growth = work.budget_steps.growth
    if before is not None and before["fit_error"] is not None:
        return before
    model = models.get(fold)
    if model is None:
        model = models[fold] = growth.begin(clone(work.estimator).set_params(**clone(dict(params), safe=False)))
    with growth.fitting(model, int(work.budget_steps.steps[position]), work.classes):
        after = work.fit_fold(model, number, fold, None)
    return _add_times(after, before)


def _add_times(after: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """The times of earlier steps are part of what a candidate took."""
    if before is not None:
        after["fit_time"] += before["fit_time"]
        after["score_time"] += before["score_time"]
    return after


def _save(folder: str, state: Mapping[str, Any], models: Mapping[int, Any] | None) -> bool:
    """Write what is needed to go on; False if a model cannot be pickled: the candidate then starts over."""
    if models is not None:
        try:
            body = cloudpickle.dumps(dict(models), protocol=5)
        except Exception:
            return False
        with open(os.path.join(folder, MODELS_FILE), "wb") as file:
            file.write(body)
    with open(os.path.join(folder, STATE_FILE), "w") as file:
        json.dump(state, file)
    return True


def _load(
    budget_steps: BudgetSteps, params: Mapping[str, Any], identity: Mapping[str, str]
) -> tuple[int, dict[int, dict[str, Any]], dict[int, Any], list[float]]:
    """Steps done, the fits and the models of the checkpoint; those of another candidate get this one's parameters.

    Last come the seconds that the fits had taken after each step.
    """
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        return 0, {}, {}, []
    with checkpoint.as_directory() as folder:
        with open(os.path.join(folder, STATE_FILE)) as file:
            state = json.load(file)
        models: dict[int, Any] = {}
        if budget_steps.growth is not None:
            with open(os.path.join(folder, MODELS_FILE), "rb") as file:
                models = cloudpickle.load(file)
            changed = {n: v for n, v in params.items() if state["params"].get(n) != identity[n]}
            for model in models.values():
                if changed:
                    model.set_params(**clone(changed, safe=False))
                budget_steps.growth.mark(model, budget_steps.steps[state["step"] - 1])
    return state["step"], {int(k): v for k, v in state["fits"].items()}, models, state.get("times", [])


# --- around each trial ------------------------------------------------------------------------------------------------


class _Extras:
    """Warnings and output of a worker process, on their way to the user's terminal."""

    def __init__(self, caught: list[Any], printed: io.StringIO | None) -> None:
        self._caught = caught
        self._printed = printed

    def take(self) -> dict[str, Any]:
        """What has gathered since the last call."""
        extras: dict[str, Any] = {}
        if self._caught:
            seen = dict.fromkeys((w.category.__module__, w.category.__qualname__, str(w.message)) for w in self._caught)
            extras["warnings"] = [list(key) for key in seen]
            self._caught.clear()
        if self._printed is not None and self._printed.tell():
            extras["printed"] = self._printed.getvalue()
            self._printed.seek(0)
            self._printed.truncate()
        return extras


@contextlib.contextmanager
def _surroundings(work: SearchTask) -> Iterator[_Extras]:
    """scikit-learn's settings of the calling thread; in a worker also its warnings and output, to be sent home."""
    if work.in_process:
        yield _Extras([], None)
        return
    printed = io.StringIO() if work.verbose > 1 else None
    with contextlib.ExitStack() as stack:
        stack.enter_context(sklearn.config_context(**work.config))
        caught = stack.enter_context(warnings.catch_warnings(record=True))
        warnings.filters[:] = work.filters  # type: ignore[index]  # as in the calling process: an error there is one here
        if printed is not None:
            stack.enter_context(contextlib.redirect_stdout(printed))
        yield _Extras(caught, printed)


def describe_exception(error: BaseException) -> dict[str, Any]:
    """An exception as plain values from which the driver can make its like."""
    kind = type(error)
    plain = [a if isinstance(a, (str, int, float, bool, type(None))) else str(a) for a in error.args]
    return {
        "module": kind.__module__,
        "name": kind.__qualname__,
        "args": plain,
        "traceback": "".join(traceback.format_exception(error)).strip(),
    }
