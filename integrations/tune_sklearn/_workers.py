"""Where fits run: in this process, on workers of this machine or on Ray; and how many of them at once."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import joblib

import tune_core as tune
from tune_core.errors import InvalidArgumentError
from tune_sklearn._racing import SuccessiveHalving

if TYPE_CHECKING:
    from tune_sklearn._base import TuneBaseSearchCV
    from tune_sklearn._task import SearchTask


def executor_for(search: TuneBaseSearchCV, n_fits: int | None) -> tuple[Any, dict[str, float], bool]:
    """The executor, what a fit asks of it, and whether fits run in this very process."""
    asked = search.executor
    if asked is None and tune.get_trial_id() is not None:
        asked = "inline"  # a search inside a trial of another: its worker is the place that it was given
    if asked is None and search.n_jobs is not None and _ray_is_up():
        asked = "ray"
    if asked == "inline":
        return tune.InlineExecutor(), {"cpu": 1}, True
    gpu = _gpu_share(search)
    if asked is not None and asked != "local":
        return asked, {"cpu": 1, **gpu}, getattr(asked, "name", "") == "inline"
    workers = joblib.effective_n_jobs(search.n_jobs)
    if gpu:
        _check_for_a_gpu(search)
    if asked is None and (workers <= 1 or _is_threading(search)):
        return tune.InlineExecutor(), {"cpu": 1}, True
    if n_fits is not None:
        workers = max(1, min(workers, n_fits))
    from tune_core.executors.machine_resources import available_cpus

    threads = max(1, available_cpus() // workers)
    return tune.LocalExecutor(num_cpus=workers * threads), {"cpu": threads, **gpu}, False


_BEAR_THREADS = frozenset(("sklearn", "xgboost", "lightgbm"))
"""Whose estimators keep what a fit needs, chance included, to themselves."""


def fold_threads(work: SearchTask, scheduler: object, executor: object, resources: dict[str, float]) -> tuple[int, ...]:
    """At each step, how many folds of a candidate are fitted at once: more than one if workers would else be idle."""
    if work.budget_steps is None or work.in_process or not isinstance(executor, tune.LocalExecutor):
        return ()
    if not isinstance(scheduler, SuccessiveHalving):
        return ()
    numbers = [scheduler.candidates_at(position) for position in range(len(work.budget_steps.steps))]
    if None in numbers or not _bear_threads([work.estimator, *(v for c in work.candidates or () for v in c.values())]):
        return ()
    workers = int(executor.capacity()["cpu"] // resources["cpu"])
    return tuple(max(1, workers // (number or 1)) for number in numbers)


def _bear_threads(things: Sequence[object]) -> bool:
    """Whether all estimators among these, and all inside of them, can be fitted in threads side by side."""
    estimators = [thing for thing in things if hasattr(thing, "get_params") and not isinstance(thing, type)]
    parts = [part for e in estimators for part in (e, *e.get_params().values()) if hasattr(part, "get_params")]
    return all(type(part).__module__.partition(".")[0] in _BEAR_THREADS for part in parts)


def _gpu_share(search: TuneBaseSearchCV) -> dict[str, float]:
    """One GPU a fit, or where there are fewer GPUs than workers an equal share of one."""
    if not search.use_gpu:
        return {}
    if search.n_jobs is None or search.n_jobs < 1:
        return {"gpu": 1}
    from tune_core.executors.machine_resources import discover_gpus

    gpus = len(discover_gpus(None))
    return {"gpu": 1 if gpus >= search.n_jobs or not gpus else int(10_000 * gpus / search.n_jobs) / 10_000}


def _check_for_a_gpu(search: TuneBaseSearchCV) -> None:
    from tune_core.executors.machine_resources import discover_gpus

    if not discover_gpus(None):
        raise InvalidArgumentError(
            f"{type(search).__name__}(use_gpu)",
            f"is {search.use_gpu!r}",
            "there is no GPU on this machine, or CUDA_VISIBLE_DEVICES hides it",
            'Leave it out, or use executor="ray" where the cluster has GPUs.',
        )


def _ray_is_up() -> bool:
    ray = sys.modules.get("ray")
    return bool(ray is not None and ray.is_initialized())


def _is_threading(search: object) -> bool:
    """Whether joblib's threads are the backend: answered by fits one by one in this process, with a word."""
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    if not getattr(backend, "supports_sharedmem", False) or type(backend).__name__ != "ThreadingBackend":
        return False
    if getattr(backend, "nesting_level", 0):
        return True  # joblib's own answer to nested parallelism, not the user's wish
    warnings.warn(
        f"joblib's threading backend was asked for: {type(search).__name__} runs in processes or one fit after "
        "another, not in threads. It fits one after another in this process now; use another backend, or pass "
        "executor='local'.",
        UserWarning,
        stacklevel=2,
    )
    return True


def most_at_once(search: TuneBaseSearchCV, executor: object) -> int | None:
    """On a cluster, n_jobs limits what runs at once."""
    on_cluster = executor == "ray" or getattr(executor, "name", "") == "ray"
    return int(search.n_jobs) if on_cluster and search.n_jobs is not None and search.n_jobs > 0 else None
