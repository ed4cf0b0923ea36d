"""A study of Optuna's whose ``optimize`` runs the trials with tune-core."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import tune_core as tune
from tune_core import integration as tc
from tune_core.errors import TrialError, UserCodeError, in_terms_of
from tune_core.storage import default_storage_path
from tune_optuna.driver import StudyScheduler, StudySearch
from tune_optuna.load import load_trials
from tune_optuna.trial import StudyFacts, worker_objective

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial


optuna: Any = tc.require("tune_optuna", "optuna", "optuna")

_NAMES = {"time_budget_s": "timeout", "num_samples": "n_trials", "max_concurrent_trials": "n_jobs"}
"""What the arguments of a Tuner are called in :meth:`Study.optimize`."""


def create_study(
    *,
    storage: object = None,
    sampler: object = None,
    pruner: object = None,
    study_name: str | None = None,
    direction: object = None,
    load_if_exists: bool = False,
    directions: Sequence[object] | None = None,
    storage_path: str | None = None,
) -> Study:
    """Make a study as ``optuna.create_study`` does, whose trials run with tune-core.

    A study in a storage of Optuna's (SQLite, a journal file) goes on with the trials that the storage has. One in
    memory with a ``study_name`` and ``load_if_exists=True`` has the trials of tune-core's experiment of that name, and
    goes on with it: also with trials that were cut off.

    Parameters
    ----------
    storage, sampler, pruner, study_name, direction, load_if_exists, directions
        As for ``optuna.create_study``.
    storage_path
        tune-core's folder of experiments; None takes the default one.
    """
    made = optuna.create_study(
        storage=storage,
        sampler=sampler,
        pruner=pruner,
        study_name=study_name,
        direction=direction,
        load_if_exists=load_if_exists,
        directions=directions,
    )
    study = Study(made.study_name, made._storage, made.sampler, made.pruner, storage_path)
    study._experiment = study_name
    if load_if_exists and study_name and study._is_in_memory():
        study._load(study_name)
    return study


def load_study(
    *, study_name: str | None, storage: Any, sampler: Any = None, pruner: Any = None, storage_path: str | None = None
) -> Study:
    """Load a study as ``optuna.load_study`` does, whose further trials run with tune-core.

    Parameters
    ----------
    study_name, storage, sampler, pruner
        As for ``optuna.load_study``.
    storage_path
        tune-core's folder of experiments; None takes the default one.
    """
    found = optuna.load_study(study_name=study_name, storage=storage, sampler=sampler, pruner=pruner)
    return Study(found.study_name, found._storage, found.sampler, found.pruner, storage_path)


class Study(optuna.Study):
    """An ``optuna.Study`` whose :meth:`optimize` runs trials with tune-core, in parallel worker processes.

    Parameters
    ----------
    study_name, storage, sampler, pruner
        As for ``optuna.Study``: the study must be in the storage. Use :func:`create_study` or :func:`load_study`.
    storage_path
        tune-core's folder of experiments; None takes the default one.
    """

    def __init__(
        self,
        study_name: str,
        storage: object,
        sampler: object = None,
        pruner: object = None,
        storage_path: str | None = None,
    ) -> None:
        super().__init__(study_name, storage, sampler, pruner)
        self._experiment: str | None = None  # its name, if it has one
        self._loaded: dict[str, int] = {}  # trials in the storage, by their ids in the experiment that is gone on with
        self._storage_path = storage_path
        self._folder: str | None = None  # of the experiment, once there is one
        self._optimizes = False
        self._stops = False

    def __getstate__(self) -> dict[Any, Any]:
        """A copy has the trials that there are, and an experiment of its own for those that it will run."""
        state: dict[Any, Any] = super().__getstate__()
        if self._is_in_memory():
            state.update(_experiment=None, _folder=None, _loaded={})
        return state

    def stop(self) -> None:
        """Let :meth:`optimize` start no more trials, as ``optuna.Study.stop``; for callbacks and objectives."""
        if not self._optimizes:
            super().stop()  # Optuna's own error, or the end of a loop of Optuna's own
        self._stops = True

    def optimize(
        self,
        func: Callable[[Trial], Any],
        n_trials: int | None = None,
        timeout: float | None = None,
        n_jobs: int | None = None,
        catch: object = (),
        callbacks: Sequence[Callable[[Study, FrozenTrial], None]] | None = None,
        gc_after_trial: bool = False,
        show_progress_bar: bool = False,
        run_config: object = None,
    ) -> None:
        """Run the objective, as ``optuna.Study.optimize`` does, but in worker processes.

        Parameters
        ----------
        func, n_trials, timeout, catch, callbacks, show_progress_bar
            As in Optuna. Callbacks run in this process, one after the other, and may call ``study.stop()``. When the
            ``timeout`` (seconds) is over, running trials end at their next report.
        n_jobs
            How many trials may run at once; None (the default) or -1: as many as the machine has room for. Optuna's
            own default is 1, with which a sampler's seed gives the values that it gives in Optuna.
        gc_after_trial
            Whether workers collect garbage after each trial.
        run_config
            A ``tune_core.RunConfig`` to use in place of the default one. Whether a failure ends the study is for
            ``catch`` to say, not for its ``failure_config``.

        Raises
        ------
        Exception
            What the objective raised and ``catch`` does not name: an exception of the same class and message, whose
            cause tells the trial and its traceback. Where the class cannot be made from a message, a TrialError.
        RuntimeError
            If it is called by a callback or an objective of the study's own.
        """
        if self._optimizes:
            raise RuntimeError("Nested invocation of `Study.optimize` method isn't allowed.")
        if n_trials == 0 or (timeout is not None and timeout <= 0):
            return  # nothing is left to do, as after n_trials=100 - len(study.trials)
        self._optimizes, self._stops = True, False
        try:
            objective = worker_objective(func, _as_tuple(catch), StudyFacts.of(self), gc_after_trial)
            self._run(objective, n_trials, timeout, n_jobs, callbacks or (), show_progress_bar, run_config)
        finally:
            self._optimizes = False

    def _run(
        self,
        objective: Callable[[Any], Any],
        n_trials: int | None,
        timeout: float | None,
        n_jobs: int | None,
        callbacks: Sequence[Callable[[Study, FrozenTrial], None]],
        shows: bool,
        run_config: Any,
    ) -> None:
        config = run_config or tune.RunConfig(
            name=self._experiment if self._is_in_memory() else None,
            storage_path=self._storage_path,
            verbose=1 if shows else 0,
        )
        given = config.failure_config
        retries = given.max_failures if given is not None else 0
        failure_config = tune.FailureConfig(max_failures=retries, fail_fast="raise")
        config = dataclasses.replace(config, failure_config=failure_config)
        search = StudySearch(self, callbacks, one_by_one=n_jobs == 1)
        with in_terms_of("study.optimize", _NAMES):
            tune_config = tune.TuneConfig(
                chdir_to_trial_dir=False,  # scripts for Optuna expect paths as they are
                metric="value",
                mode="min" if self.directions[0].name == "MINIMIZE" else "max",
                search_alg=search,
                scheduler=StudyScheduler(self, search),
                num_samples=-1 if n_trials is None else n_trials,
                max_concurrent_trials=None if n_jobs in (None, -1) else n_jobs,
                time_budget_s=timeout,
            )
        folder = self._folder_to_resume(config)
        if folder is None:
            tuner = tune.Tuner(objective, tune_config=tune_config, run_config=config)
        else:
            tuner = self._restored(folder, objective, tune_config, config, n_trials, search)
        try:
            with warnings.catch_warnings(), in_terms_of("create_study", {"storage_path": "storage_path"}):
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                tuner.fit()
        except TrialError as error:
            raise _users_exception(error) from error
        except UserCodeError as error:  # of a sampler, a pruner or a callback: as it is, like Optuna
            cause = error.__cause__
            if isinstance(cause, Exception):
                raise cause from cause.__cause__
            raise
        finally:
            self._folder = tuner._folder

    def _is_in_memory(self) -> bool:
        return isinstance(self._storage, optuna.storages.InMemoryStorage)

    def _folder_to_resume(self, config: Any) -> str | None:
        """The experiment's folder, if this study goes on with one: the storage of a study in memory."""
        return self._folder if self._is_in_memory() else None

    def _load(self, name: str) -> None:
        """Take the trials of an experiment, if there is one of that name."""
        base = self._storage_path or default_storage_path() or "."
        folder = os.path.join(os.path.abspath(os.path.expanduser(base)), name)
        if tune.Tuner.can_restore(folder):
            self._folder = folder
            self._loaded = load_trials(self, tune.ResultGrid.from_path(folder))

    def _restored(
        self, folder: str, objective: Any, tune_config: Any, config: Any, n_trials: int | None, search: StudySearch
    ) -> Any:
        grid = tune.ResultGrid.from_path(folder)
        objective.__name__ = grid._header.trainable or objective.__name__  # a study may go on with another objective
        search.known = {result.trial_id for result in grid if str(result.status) in ("TERMINATED", "ERROR")}
        tuner: Any = tune.Tuner.restore(folder, objective, param_space={}, tune_config=tune_config, run_config=config)
        if n_trials is not None:  # so many more; those that were cut off are the first of them
            tuner._tune.num_samples = max(len(grid), len(search.known) + int(n_trials))
            tuner._restored["num_samples"] = tuner._tune.num_samples
        return tuner


def _as_tuple(catch: object) -> tuple[object, ...]:
    return tuple(catch) if isinstance(catch, Iterable) else (catch,)


def _users_exception(error: TrialError) -> Exception:
    """The exception that the objective raised in its worker, as far as its class and message tell; else ``error``."""
    traceback = error.found.rpartition("Traceback (most recent call last):")[2]
    last = re.search(r"^([\w.]+)(?:: (.*))?$", traceback, re.MULTILINE)
    if last is None:
        return error
    module, _, cls = last[1].rpartition(".")
    message = last[2] or ""
    found = getattr(sys.modules.get(module or "builtins"), cls, None)
    if isinstance(found, type) and issubclass(found, Exception):
        try:
            made: Exception = found(message)
        except TypeError:
            return error
        return made
    return error
