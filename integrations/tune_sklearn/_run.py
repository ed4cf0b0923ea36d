"""One run of the core for one search: where it is kept, how it is resumed, what it tells the user."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import inspect
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tune_core as tune
from tune_core.errors import InvalidArgumentError, RestoreError, StorageError, TrialError
from tune_sklearn._evaluate import FitRaised, SearchTask, evaluate
from tune_sklearn._progress import bar_for
from tune_sklearn._rows import shared_arrays
from tune_sklearn._spaces import readable
from tune_sklearn._workers import executor_for, fold_threads, most_at_once

_IDENTITY = "search.json"
_CRASH_RETRIES = 1


# --- where it is kept -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def place(search: Any, round_: int) -> Iterator[tuple[str | None, str | None]]:
    """Folder of experiments and name of this one: the user's, or a temporary folder that is gone afterwards."""
    if search.name is not None or search.local_dir is not None or search.loggers:
        local_dir = None if search.local_dir is None else os.path.expanduser(os.fspath(search.local_dir))
        name = search.name if round_ == 1 or search.name is None else f"{search.name}_round_{round_}"
        yield local_dir, name
        return
    folder = tempfile.mkdtemp(prefix="tune-sklearn-")
    try:
        yield folder, "search"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(storage: str | None, name: str | None) -> str | None:
    if name is None:
        return None
    from tune_core.storage import default_storage_path

    return os.path.join(os.path.abspath(storage or default_storage_path()), name)


def identity(work: SearchTask, space: Any) -> dict[str, Any]:
    """What has to be the same for a search to be resumed."""
    shown = [readable(c) for c in work.candidates] if work.candidates is not None else repr(space)
    folds = hashlib.sha256()
    for train, test in work.folds:
        folds.update(bytes(memoryview(_as_bytes(train))) + b"|" + bytes(memoryview(_as_bytes(test))))
    return {
        "estimator": type(work.estimator).__name__,
        "data": str(getattr(work.X, "shape", None) or len(work.X)),
        "score": work.metric,
        "candidates": hashlib.sha256(json.dumps(shown, sort_keys=True, default=str).encode()).hexdigest(),
        "folds": folds.hexdigest(),
        "steps": list(work.budget_steps.steps) if work.budget_steps is not None else [],
    }


def _as_bytes(indices: Any) -> Any:
    import numpy as np

    return np.ascontiguousarray(np.asarray(indices))


def _check_identity(folder: str, wanted: dict[str, Any]) -> None:
    try:
        with open(os.path.join(folder, _IDENTITY)) as file:
            found = json.load(file)
    except (OSError, ValueError):
        return
    differing = [key for key in wanted if found.get(key) != wanted[key]]
    if differing:
        raise RestoreError(
            f"fit(resume=True) of the search in {folder}",
            f"finds another search there: its {', '.join(differing)} differ",
            "its results belong to others; a splitter or a search without random_state draws anew",
            "Give random_state to the search and to the splitter as in the first run, or another name.",
        )


# --- the run ----------------------------------------------------------------------------------------------------------


class SearchDriver(tune.Callback):
    """Hands on what workers printed and warned of, and keeps the exception that ended the search."""

    def __init__(self) -> None:
        self.raised: dict[str, Any] | None = None

    def __reduce__(self) -> Any:
        return (SearchDriver, ())

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        """See :class:`tune_core.Callback`."""
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


def run(search: Any, work: SearchTask, plan: SearchPlan) -> Any:
    """Run all trials of a search and return their results, with everything that was to be raised raised."""
    n_fits = (
        None
        if work.candidates is None
        else len(work.candidates) * (len(work.folds) if work.budget_steps is None else 1)
    )
    executor, resources, work.in_process = executor_for(search, n_fits)
    view = bar_for(search.verbose, plan.num_samples, work.candidates is None or work.budget_steps is not None)
    work.fold_threads = fold_threads(work, plan.scheduler, executor, resources)
    driver = SearchDriver()
    with place(search, plan.round) as (storage, name):
        folder = _folder(storage, name)
        objective = tune.with_resources(tune.with_parameters(evaluate, work=work), resources)
        parts: dict[str, Any] = {
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
                stop=search.stopper,
                callbacks=[driver, *_loggers(search)],
                progress_reporter=view,
                executor=executor,
            ),
        }
        tuner = _tuner(objective, parts, folder, identity(work, plan.space), plan.resume)
        on_this_machine = isinstance(executor, tune.LocalExecutor)
        try:
            with shared_arrays(work) if on_this_machine else contextlib.nullcontext():
                results = tuner.fit()
        except TrialError:
            _raise_original(work, driver)
            raise
        _raise_original(work, driver)
        if view.interrupted:
            go_on = "" if folder is None else "; fit(X, y, resume=True) goes on with it"
            raise KeyboardInterrupt(f"the search was interrupted{go_on}")
    driver.warn()
    return results


def _tuner(objective: Any, parts: dict[str, Any], folder: str | None, mine: dict[str, Any], resume: bool) -> tune.Tuner:
    if folder is None:
        if resume:
            raise InvalidArgumentError(
                "fit(resume=True)",
                "was called on a search without a name",
                "nothing was kept that could be resumed",
                "Give the search name=... (and local_dir=...) from the start.",
            )
        return tune.Tuner(objective, **parts)
    if tune.Tuner.can_restore(folder):
        if not resume:
            raise StorageError(
                f"The search {parts['run_config'].name!r} in {os.path.dirname(folder)}",
                "exists already",
                "a new search would mix with its results",
                "Go on with it by fit(X, y, resume=True), or choose another name.",
            )
        _check_identity(folder, mine)
        return tune.Tuner.restore(folder, objective, **parts)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, _IDENTITY), "w") as file:
        json.dump(mine, file)
    return tune.Tuner(objective, **parts)


_LOGGERS = {
    "csv": "CSVLoggerCallback",
    "json": "JsonLoggerCallback",
    "tensorboard": "TBXLoggerCallback",
    "mlflow": "MLflowLoggerCallback",
}


def _loggers(search: Any) -> list[Any]:
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


def _resolve(module: str, name: str) -> Any:
    """The object of that name in an imported or importable module; None if there is none."""
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found
