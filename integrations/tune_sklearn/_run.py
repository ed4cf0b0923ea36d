"""One run of the core for one search: where it is kept, how it is resumed, what it tells the user."""

from __future__ import annotations

import contextlib
import copy
import importlib
import inspect
import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cloudpickle

import tune_core as tune
from tune_core.errors import InvalidArgumentError, SerializationError, StorageError, TrialError, in_terms_of
from tune_sklearn._evaluate import FitRaised, evaluate
from tune_sklearn._kept import check_identity, folder_of, identity, is_kept, place, write_identity
from tune_sklearn._progress import Bar, Workload
from tune_sklearn._racing import SuccessiveHalving
from tune_sklearn._task import SearchTask
from tune_sklearn._workers import executor_for, fold_threads, most_at_once

if TYPE_CHECKING:
    from tune_sklearn._base import TuneBaseSearchCV


_CRASH_RETRIES = 1


# --- the run ----------------------------------------------------------------------------------------------------------


class SearchDriver(tune.Callback):
    """Hands on what workers printed and warned of, and keeps the exception that ended the search."""

    def __init__(self) -> None:
        self.raised: dict[str, object] | None = None

    def __reduce__(self) -> Any:
        return (SearchDriver, ())

    def on_trial_result(self, iteration: int, trials: Any, trial: object, result: dict[str, Any], **info: Any) -> None:
        """Print what a worker has printed, and keep its warnings and the first exception."""
        if "printed" in result:
            sys.stdout.write(result["printed"])
            sys.stdout.flush()
        self.pending = getattr(self, "pending", [])
        self.pending.extend(tuple(w) for w in result.get("warnings", ()))
        if "raised" in result and self.raised is None:
            self.raised = result["raised"]

    def warn(self) -> None:
        """Repeat the workers' warnings here, each once."""
        for module, name, text in dict.fromkeys(getattr(self, "pending", [])):
            category = _resolve(module, name)
            if isinstance(category, type) and issubclass(category, Warning):
                warnings.warn(text, category, stacklevel=4)


@dataclass(frozen=True)
class SearchPlan:
    """What is run: who names the trials, how many there are, who stops them, on what space, from which seed."""

    searcher: Any
    num_samples: int
    scheduler: Any
    space: dict[str, Any]
    seed: int | None
    resume: bool
    round: int = 1  # of a search that evaluates candidates several times


def run(search: TuneBaseSearchCV, work: SearchTask, plan: SearchPlan, load: Workload) -> tuple[Any, SearchDriver]:
    """Run all trials of a search; their results, and who still has the workers' warnings. Raises what was raised."""
    n_fits = (
        None if work.candidates is None else len(work.candidates) * (work.n_folds if work.budget_steps is None else 1)
    )
    executor, resources, work.in_process = executor_for(search, n_fits)
    view = Bar(search.verbose, load)
    work.fold_threads = fold_threads(work, plan.scheduler, executor, resources)
    driver = SearchDriver()
    told = [] if work.in_process else [driver]  # what is printed, warned of or raised in this process needs no bearer
    is_small = work.budget_steps is None or work.budget_steps.growth is None
    with in_terms_of(type(search).__name__, _names(search)), place(search, plan.round, is_small) as (storage, name):
        if work.in_process and is_small and not is_kept(search) and isinstance(plan.scheduler, SuccessiveHalving):
            work.memory = {}
            plan.scheduler.warns_of_restarts = False
        folder = folder_of(search, storage, name)
        mine = {} if folder is None else identity(work, plan.space, plan.scheduler)
        objective = tune.with_resources(tune.with_parameters(evaluate, work=work), resources)
        parts: dict[str, object] = {
            "param_space": plan.space,
            "tune_config": tune.TuneConfig(
                chdir_to_trial_dir=False,  # users of this interface expect paths as they are
                metric=work.metric,
                mode=search.mode or "max",
                search_alg=plan.searcher,
                scheduler=plan.scheduler,
                num_samples=plan.num_samples,
                max_concurrent_trials=most_at_once(search, executor),
                time_budget_s=search.time_budget_s,
                seed=plan.seed,
            ),
            "run_config": tune.RunConfig(
                name=name,
                storage_path=storage,
                failure_config=tune.FailureConfig(max_failures=0 if search.error_score == "raise" else _CRASH_RETRIES),
                stop=unused(search.stopper),
                callbacks=[*told, *_loggers(search)],
                progress_reporter=view,
                executor=executor,
            ),
        }
        tuner = _tuner(objective, parts, folder, mine, plan.resume)
        is_local = isinstance(executor, tune.LocalExecutor)
        workers = int(executor.capacity()["cpu"] // resources["cpu"]) if is_local else 0
        try:
            with work.data.shared(work.estimator, workers) if is_local else contextlib.nullcontext():
                results = tuner.fit()
        except SerializationError as error:
            raise _cannot_be_sent(search, work, error) from error
        except TrialError:
            _raise_original(work, driver)
            raise
        _raise_original(work, driver)
        if view.interrupted:
            go_on = "; fit(X, y, resume=True) goes on with it" if folder is not None else ""
            raise KeyboardInterrupt(f"the search was interrupted{go_on}")
    return results, driver


_ITS_NAMES = {
    "callbacks": "loggers",
    "executor": "executor",
    "max_concurrent_trials": "n_jobs",
    "mode": "mode",
    "name": "name",
    "num_samples": "n_trials",
    "scheduler": "early_stopping",
    "search_alg": "search_optimization",
    "seed": "random_state",
    "stop": "stopper",
    "storage_path": "local_dir",
    "time_budget_s": "time_budget_s",
}
"""What the arguments of a Tuner are called in a search."""


def _names(search: TuneBaseSearchCV) -> dict[str, str]:
    has = search.get_params(deep=False)
    return {name: its for name, its in _ITS_NAMES.items() if its in has}


def _cannot_be_sent(search: TuneBaseSearchCV, work: SearchTask, error: SerializationError) -> SerializationError:
    """The error of the core in the terms of the search: which argument of it no worker process can get."""
    given = {
        "estimator": work.estimator,
        "scoring": work.scorer,
        "the candidates": work.candidates,
        "X or y": work.data,
    }
    for name, value in given.items():
        try:
            cloudpickle.dumps(value, protocol=5)
        except Exception as reason:
            return SerializationError(
                f"{type(search).__name__}({name})" if name in search.get_params() else name,
                f"cannot be sent to a worker process: {type(reason).__name__}: {reason}",
                f"n_jobs is {search.n_jobs}, so fits run in other processes",
                'Take out what cannot be pickled, or fit in this process, with n_jobs=1 or executor="inline".',
            )
    return error


def unused(argument: object) -> Any:
    """A copy of a scheduler, searcher or stopper of the user's: what it learns in one fit is not there in the next.

    What cannot be copied, for a connection or a lock that it holds, is used itself.
    """
    try:
        return copy.deepcopy(argument)
    except Exception:
        return argument


def _tuner(
    objective: Any, parts: dict[str, Any], folder: str | None, mine: Mapping[str, object], resume: bool
) -> tune.Tuner:
    if folder is None:
        return tune.Tuner(objective, **parts)
    if tune.Tuner.can_restore(folder):
        if not resume:
            raise StorageError(
                f"The search {parts['run_config'].name!r} in {os.path.dirname(folder)}",
                "exists already",
                "a new search would mix with its results",
                "Go on with it by fit(X, y, resume=True), or choose another name.",
            )
        check_identity(folder, mine)
        return tune.Tuner.restore(folder, objective, **parts)
    write_identity(folder, mine, parts["run_config"].storage_path is None)
    return tune.Tuner(objective, **parts)


_LOGGERS = {
    "csv": "CSVLoggerCallback",
    "json": "JsonLoggerCallback",
    "tensorboard": "TBXLoggerCallback",
    "mlflow": "MLflowLoggerCallback",
}


def _loggers(search: TuneBaseSearchCV) -> list[object]:
    from tune_core import logger

    found = []
    for one in search.loggers or ():
        if isinstance(one, str):
            if one.lower() not in _LOGGERS:
                raise InvalidArgumentError(
                    f"{type(search).__name__}(loggers)",
                    f"holds {one!r}",
                    "there is no logger of that name",
                    f"Use {', '.join(map(repr, _LOGGERS))}, or an instance of tune_core.Callback.",
                )
            one = getattr(logger, _LOGGERS[one.lower()])
        found.append(one() if inspect.isclass(one) else one)
    return found


# --- exceptions -------------------------------------------------------------------------------------------------------


def _raise_original(work: SearchTask, driver: SearchDriver) -> None:
    """Raise what the user's estimator or scorer raised: the very exception, or one made after it."""
    if work.raised:
        raised, work.raised = work.raised[0], []
        raise raised
    if driver.raised is not None:
        raise _like(driver.raised) from FitRaised("In a worker", f"this was raised:\n{driver.raised['traceback']}")


def _like(description: dict[str, Any]) -> Exception:
    kind = _resolve(description["module"], description["name"])
    if isinstance(kind, type) and issubclass(kind, Exception):
        with contextlib.suppress(Exception):
            return kind(*description["args"])
    return TrialError("A fit", f"raised {description['name']}: {', '.join(map(str, description['args']))}")


def _resolve(module: str, name: str) -> object:
    """The object of that name in an imported or importable module; None if there is none."""
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found
