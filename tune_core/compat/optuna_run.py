"""How ``study.optimize`` of :mod:`tune_core.compat.optuna` runs: objective, searcher and pruning scheduler."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tune_core.core.events import Lease
from tune_core.core.trial import TrialView
from tune_core.schedulers.base import Continue, Decision, Scheduler, Stop
from tune_core.search.base import Searcher


def run(
    study: Any,
    func: Callable[[Any], Any],
    n_trials: int | None,
    timeout: float | None,
    n_jobs: int | None,
    catch: tuple[Any, ...],
    callbacks: Sequence[Callable[[Any, Any], None]],
    show_progress_bar: bool,
    run_config: Any,
) -> None:
    """One call of ``optimize``."""
    import tune_core as tune
    from tune_core.storage import default_storage_path

    config = run_config or tune.RunConfig(
        name=study._name,
        storage_path=study._storage_path,
        verbose=1 if show_progress_bar else 0,
        failure_config=tune.FailureConfig(fail_fast="raise"),
    )
    objective = _objective(func, catch)
    folder = study._folder
    if folder is None and study._resumes and study._name:
        base = config.storage_path or default_storage_path() or "."
        found = os.path.join(os.path.abspath(os.path.expanduser(base)), study._name)
        folder = found if tune.Tuner.can_restore(found) else None
    if folder is not None:
        study._study = _emptied(study)
    directions = [d.name.lower() for d in study._study.directions]
    tune_config = tune.TuneConfig(
        chdir_to_trial_dir=False,  # users of this interface expect paths as they are
        metric="value",
        mode="min" if directions[0] == "minimize" else "max",
        search_alg=StudySearch(study, callbacks),
        scheduler=PrunerScheduler(study) if len(directions) == 1 else None,
        num_samples=-1 if n_trials is None else n_trials,
        max_concurrent_trials=None if n_jobs in (None, -1) else n_jobs,
        time_budget_s=timeout,
    )
    if folder is None:
        tuner = tune.Tuner(objective, tune_config=tune_config, run_config=config)
    else:
        before = len(tune.ResultGrid.from_path(folder))
        tuner = tune.Tuner.restore(folder, objective, param_space={}, tune_config=tune_config, run_config=config)
        if n_trials is not None:
            done = study._done or before
            tuner._tune.num_samples = done + n_trials if study._done else max(before, n_trials)
            tuner._restored["num_samples"] = tuner._tune.num_samples  # type: ignore[index]
    try:
        grid = tuner.fit()
        study._done = len(grid)
    finally:
        study._folder = tuner._folder


def _emptied(study: Any) -> Any:
    """A study without trials, but with what is enqueued: the journal tells the trials again."""
    fresh = study._new_study(False) if study._options["storage"] is None else study._study
    for key, value in study._study.user_attrs.items():
        fresh.set_user_attr(key, value)
    return fresh


def _objective(func: Callable[[Any], Any], catch: tuple[Any, ...]) -> Callable[[Mapping[str, Any]], Any]:
    """The user's objective as tune-core calls it."""

    def objective(config: Mapping[str, Any]) -> dict[str, Any] | None:
        import optuna

        from tune_core.compat.optuna import Trial

        trial = Trial(config["number"], config["params"], config["seed"])
        try:
            value = func(trial)
        except optuna.TrialPruned:
            if trial._pruned:
                return None  # the pruner's own decision is in the journal
            last = trial._last
            return {"value": last[1] if last else float("nan"), "state": "PRUNED", **trial._record()}
        except catch:
            return {"value": float("nan"), "state": "FAIL", **trial._record()}
        if trial._pruned:
            return None
        values = [float(v) for v in value] if isinstance(value, (list, tuple)) else [float(value)]
        return {"value": values[0], "values": values, "state": "COMPLETE", **trial._record()}

    objective.__name__ = getattr(func, "__name__", type(func).__name__)
    return objective


_ALIKE = 10
"""So many trials must have used the same parameters for the space to count as the same for all."""


class StudySearch(Searcher):
    """Asks and tells an Optuna study whose space is known only from the trials that have run.

    Parameters
    ----------
    study
        A :class:`tune_core.compat.optuna.Study`.
    callbacks
        Called with the study and each trial that has ended.
    """

    replays = False  # trials carry their parameters, so the study is filled again from the journal

    def __init__(self, study: Any, callbacks: Sequence[Callable[[Any, Any], None]]) -> None:
        super().__init__()
        self._owner, self._callbacks = study, callbacks
        self.trials: dict[str, Any] = {}  # Optuna's trials by our ids
        self._known: dict[str, Any] = {}  # the latest distribution of each parameter
        self._alike = 0  # trials in a row that have used the same parameters
        self._seed = 0

    def __deepcopy__(self, memo: Any) -> StudySearch:
        return self  # it belongs to the study of this process

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a study of Optuna stays in its process")

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: Mapping[str, Any], **spec: Any
    ) -> bool:
        """Take the seed."""
        self._seed = spec.get("seed") or 0
        return super().set_search_properties(metric, mode, config, **spec)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Values for all parameters seen so far; the trial draws what is new to it."""
        if self._owner._stopped:
            return self.FINISHED
        trial = self.trials[trial_id] = self._owner._study.ask()
        params = dict(trial._fixed_params)
        for name, distribution in self._known.items():
            if name not in params:
                params[name] = self._propose(trial, name, distribution)
        return {"number": trial.number, "params": params, "seed": (self._seed * 1_000_003 + trial.number) % 2**32}

    def _propose(self, trial: Any, name: str, distribution: Any) -> Any:
        if self._alike >= _ALIKE and self._owner._options["storage"] is None:
            return trial._suggest(name, distribution)  # set at once, so that the sampler knows of it while it runs
        if trial._is_relative_param(name, distribution):
            return trial.relative_params[name]
        study = self._owner._study
        return study.sampler.sample_independent(study, trial._cached_frozen_trial, name, distribution)

    def adopt(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """A trial of an earlier life: its parameters come with its results."""
        if trial_id not in self.trials:
            self.trials[trial_id] = self._owner._study.ask()

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """Tell the study how a trial ended."""
        import optuna

        states = optuna.trial.TrialState
        state = states[str((result or {}).get("state", "FAIL"))]
        if error and state is states.COMPLETE:
            state = states.FAIL
        self._end(trial_id, result or {}, state)

    def on_trial_pruned(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Tell the study of a trial that its pruner ended."""
        import optuna

        self._end(trial_id, result, optuna.trial.TrialState.PRUNED)

    def _end(self, trial_id: str, result: Mapping[str, Any], state: Any) -> None:
        from optuna.distributions import json_to_distribution

        trial = self.trials.get(trial_id)
        study = self._owner._study
        if trial is None or study.trials[trial.number].state.is_finished():
            return
        params = result.get("params") or {}
        found = {name: json_to_distribution(text) for name, text in (result.get("distributions") or {}).items()}
        for name in trial.params.keys() - found.keys():  # proposed, and not used after all
            frozen = trial.storage._get_trial(trial._trial_id)
            frozen.params.pop(name)
            frozen.distributions.pop(name)
        for name, distribution in found.items():
            if name not in trial.params:
                internal = distribution.to_internal_repr(params[name])
                trial.storage.set_trial_param(trial._trial_id, name, internal, distribution)
        if found:
            self._alike = self._alike + 1 if found.keys() == self._known.keys() or not self._known else 0
        self._known.update(found)
        for key, value in (result.get("user_attrs") or {}).items():
            trial.set_user_attr(key, value)
        values = result.get("values") if state.name == "COMPLETE" else None
        told = study.tell(trial.number, values, state=state)
        for callback in self._callbacks:
            callback(self._owner, told)


class PrunerScheduler(Scheduler):
    """Lets the study's pruner decide after each reported value.

    Parameters
    ----------
    study
        A :class:`tune_core.compat.optuna.Study`.
    """

    def __init__(self, study: Any) -> None:
        super().__init__()
        self._owner = study
        self._number = 0
        self._trials: dict[int, Any] = {}

    def __deepcopy__(self, memo: Any) -> PrunerScheduler:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a study of Optuna stays in its process")

    def lease(self, trial: TrialView) -> Lease:
        """One result at a time."""
        return Lease(steps=1)

    def on_result(self, trial: TrialView, result: Mapping[str, Any]) -> Decision:
        """Ask the pruner."""
        import optuna

        study = self._owner._study
        number = trial.config["number"]
        if "step" not in result or number >= len(study.trials):
            return Continue(steps=1)
        frozen = study.trials[number]
        if frozen.state.is_finished():
            return Continue(steps=1)
        running = optuna.trial.Trial(study, frozen._trial_id)
        running.report(result["value"], result["step"])
        if running.should_prune():
            return Stop(f"{type(study.pruner).__name__}: {result['value']:.6g} at step {result['step']}")
        return Continue(steps=1)
