"""What a trial does: fit one candidate on its folds, step by step where it may be stopped early, and report."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import cloudpickle
import numpy as np
import sklearn
from sklearn.base import clone

import tune_core as tune
from tune_core.errors import FatalError, MetricError
from tune_sklearn._early_stopping import Ladder
from tune_sklearn._rows import LaidOut, Rows
from tune_sklearn._sklearn_private import fit_and_score

STATE_FILE = "folds.json"
MODELS_FILE = "models.pkl"


class FitRaised(FatalError):
    """A fit or a scorer raised, and the search was asked to raise it (or scikit-learn would): ends the run at once."""


@dataclass
class SearchTask:
    """All that fitting any candidate on any fold takes; sent to each worker once.

    ``folds`` holds the train and test indices of each split, made once for all candidates. ``metric`` is what
    schedulers and searchers compare trials by. ``budget_steps`` is None where nothing is stopped early.
    """

    estimator: Any
    X: Any
    y: Any
    folds: list[tuple[Any, Any]]
    scorer: Any
    metric: str
    candidates: list[dict[str, Any]] | None = None
    fit_params: Mapping[str, Any] = field(default_factory=dict)
    score_params: Mapping[str, Any] = field(default_factory=dict)
    error_score: Any = np.nan
    return_train_score: bool = False
    verbose: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)  # scikit-learn's
    budget_steps: Ladder | None = None
    classes: Any = None
    contexts: list[Any] | None = None  # scikit-learn's callbacks, one a fit
    caller: Any = None
    in_process: bool = True
    n_candidates: int = 0
    raised: list[BaseException] = field(default_factory=list)  # in this process: the very exception
    shared_arrays: list[LaidOut] | None = None  # each fold's rows, where X is large
    fold_threads: tuple[int, ...] = ()  # for each step of the budget: folds of a candidate fitted at once

    def __getstate__(self) -> dict[str, Any]:
        """Without what nobody looks at where the folds are laid out."""
        state = dict(self.__dict__)
        if self.shared_arrays is not None and not (
            self.budget_steps is not None and self.budget_steps.resource == "samples"
        ):
            state.update(X=None, y=None, fit_params={}, score_params={})
        return state

    def params_of(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The candidate's parameters, by its number or from the searcher's own configuration."""
        if self.candidates is not None:
            listed: dict[str, Any] = self.candidates[config["candidate"]]
            return listed
        return dict(config)

    def number_of(self, config: Mapping[str, Any]) -> int:
        """The candidate's number, for messages."""
        if "candidate" in config:
            return int(config["candidate"])
        return int(tune.get_trial_id() or 0)

    def rows_of(self, fold: int, train: Any = None) -> Rows:
        """What there is to fit on and to score on in one fold; ``train``: on these rows and not on all of the fold."""
        if self.shared_arrays is not None and train is None:
            return self.shared_arrays[fold].load()
        all_train, test = self.folds[fold]
        return Rows(self.X, self.y, self.fit_params, self.score_params, all_train if train is None else train, test)

    def fit_folds(
        self, position: int, folds: Iterable[int], fit: Callable[[int], dict[str, Any]]
    ) -> dict[int, dict[str, Any]]:
        """What ``fit`` gives for each fold at a step of the budget; several at once where there are idle workers."""
        folds = list(folds)
        threads = min(self.fold_threads[position], len(folds)) if self.fold_threads else 1
        if threads <= 1:
            return {fold: fit(fold) for fold in folds}

        def with_settings(fold: int) -> dict[str, Any]:
            with sklearn.config_context(**self.config):  # which are each thread's own
                return fit(fold)

        with ThreadPoolExecutor(threads) as pool:
            return dict(zip(folds, pool.map(with_settings, folds), strict=True))

    def fit_fold(self, estimator: Any, number: int, fold: int, params: Any, train: Any = None) -> dict[str, Any]:
        """Fit ``estimator`` with ``params`` on one fold and score it."""
        rows = self.rows_of(fold, train)
        contexts = self.contexts
        return fit_and_score(
            estimator,
            rows.X,
            rows.y,
            scorer=self.scorer,
            train=rows.train,
            test=rows.test,
            verbose=self.verbose,
            parameters=params,
            fit_params=rows.fit_params,
            score_params=rows.score_params,
            return_train_score=self.return_train_score,
            split_progress=(fold, len(self.folds)),
            candidate_progress=(number, self.n_candidates),
            error_score=self.error_score,
            caller=self.caller,
            callback_ctx=contexts[number * len(self.folds) + fold] if contexts else None,
        )


def evaluate(config: dict[str, Any], work: SearchTask) -> None:
    """The objective of every trial: one fold of a candidate, or all of them, or as many steps as it is let run."""
    with _surroundings(work) as extras:
        try:
            if work.budget_steps is not None:
                _climb(config, work, extras)
            else:
                folds = [config["split"]] if "split" in config else range(len(work.folds))
                params, number = work.params_of(config), work.number_of(config)
                fits = {k: work.fit_fold(clone(work.estimator), number, k, params) for k in folds}
                tune.report({**summary(work, fits), **extras.take()})
        except (KeyboardInterrupt, MetricError):
            raise
        except Exception as error:
            work.raised.append(error)
            tune.report({work.metric: float("nan"), "raised": describe_exception(error)}, raise_on_stop=False)
            raise FitRaised("A fit", f"raised {type(error).__name__}: {error}") from error


def summary(work: SearchTask, fits: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    """Fits of one candidate as a report: each fold's outcome, and the mean of each score over these folds."""
    metrics: dict[str, Any] = {}
    by_name: dict[str, list[Any]] = {}
    for fit in fits.values():
        scores = fit["test_scores"]
        for name, value in scores.items() if isinstance(scores, dict) else (("score", scores),):
            by_name.setdefault(name, []).append(value)
    for name, values in by_name.items():
        metrics[f"average_test_{name}"] = float(np.mean(np.asarray(values, dtype=np.float64)))
    metrics.setdefault(work.metric, float("nan"))
    metrics["fits"] = {str(fold): fit for fold, fit in fits.items()}
    return metrics


# --- step by step -----------------------------------------------------------------------------------------------------


def _climb(config: dict[str, Any], work: SearchTask, extras: _Extras) -> None:
    """Evaluate on the budget's steps, one report each, until told to stop; go on from a checkpoint if there is one."""
    assert work.budget_steps is not None
    budget_steps, number = work.budget_steps, work.number_of(config)
    params = work.params_of(config)
    step, fits, models = _load(budget_steps)
    for model in models.values():
        if any(model.get_params().get(name, model) != value for name, value in params.items()):
            model.set_params(**clone(dict(params), safe=False))  # taken over from another candidate
    for position in range(step, len(budget_steps.steps)):
        amount = budget_steps.steps[position]
        n_folds = budget_steps.folds_at(position, len(work.folds))
        folds = range(len(fits), amount) if budget_steps.resource == "folds" else range(n_folds)

        def fit(fold: int, position: int = position, amount: int = amount) -> dict[str, Any]:
            if budget_steps.growth is not None:
                return _grow_fold(work, number, fold, params, models, fits.get(fold), amount)
            train = budget_steps.train_subset(fold, position, work.folds[fold][0])
            return work.fit_fold(clone(work.estimator), number, fold, params, train)

        fits.update(work.fit_folds(position, folds, fit))
        metrics = {**summary(work, fits), "n_resources": amount, **extras.take()}
        if position + 1 == len(budget_steps.steps):
            tune.report(metrics)
            return
        if not budget_steps.saves_after(position + 1):
            tune.report(metrics)
            continue
        with tempfile.TemporaryDirectory(prefix="tune-sklearn-") as folder:
            saved = _save(folder, position + 1, fits, models if budget_steps.growth is not None else None)
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder) if saved else None)


def _grow_fold(
    work: SearchTask,
    number: int,
    fold: int,
    params: Mapping[str, Any],
    models: dict[int, Any],
    before: dict[str, Any] | None,
    amount: int,
) -> dict[str, Any]:
    """Grow one fold's model to ``amount`` and score it; the times of its earlier steps are added."""
    assert work.budget_steps is not None and work.budget_steps.growth is not None
    growth = work.budget_steps.growth
    if before is not None and before["fit_error"] is not None:
        return before
    model = models.get(fold)
    if model is None:
        model = models[fold] = growth.begin(clone(work.estimator).set_params(**clone(dict(params), safe=False)))
    with growth.fitting(model, amount, work.classes):
        after = work.fit_fold(model, number, fold, None)
    if before is not None:
        after["fit_time"] += before["fit_time"]
        after["score_time"] += before["score_time"]
    return after


def _save(folder: str, step: int, fits: Mapping[int, dict[str, Any]], models: Mapping[int, Any] | None) -> bool:
    """Write what is needed to go on; False if a model cannot be pickled: the candidate then starts over."""
    if models is not None:
        try:
            body = cloudpickle.dumps(dict(models), protocol=5)
        except Exception:
            return False
        with open(os.path.join(folder, MODELS_FILE), "wb") as file:
            file.write(body)
    with open(os.path.join(folder, STATE_FILE), "w") as file:
        json.dump({"step": step, "fits": fits}, file)
    return True


def _load(budget_steps: Ladder) -> tuple[int, dict[int, dict[str, Any]], dict[int, Any]]:
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        return 0, {}, {}
    with checkpoint.as_directory() as folder:
        with open(os.path.join(folder, STATE_FILE)) as file:
            state = json.load(file)
        models: dict[int, Any] = {}
        if budget_steps.growth is not None:
            with open(os.path.join(folder, MODELS_FILE), "rb") as file:
                models = cloudpickle.load(file)
            for model in models.values():
                budget_steps.growth.mark(model, budget_steps.steps[state["step"] - 1])
    return state["step"], {int(k): v for k, v in state["fits"].items()}, models


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
