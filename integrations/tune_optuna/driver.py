"""The driver's side: a searcher that asks and tells the study, and a scheduler that asks its pruner."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tune_core import integration as tc
from tune_core.schedulers import Continue, Decision, Lease, Scheduler, TrialView
from tune_core.search import Searcher
from tune_optuna.trial import PRUNE

optuna: Any = tc.require("tune_optuna", "optuna", "optuna")

_ALIKE = 10
"""So many trials in a row must have used the same parameters for the space to count as the same for all."""


class StudySearch(Searcher):
    """Asks and tells an Optuna study whose space is known only from the trials that have run.

    Parameters
    ----------
    study
        A :class:`tune_optuna.Study`.
    callbacks
        Called with the study and each trial that has ended.
    """

    replays = False  # trials carry their parameters, so the study is filled again from the journal

    def __init__(self, study: Any, callbacks: Sequence[Callable[[Any, Any], None]]) -> None:
        super().__init__()
        self._study, self._callbacks = study, callbacks
        self.trials: dict[str, Any] = {}  # unfinished trials of Optuna's, by our ids
        self.known: set[str] = set()  # ended before this process went on with the experiment
        self._distributions: dict[str, Any] = {}  # the latest of each parameter
        self._alike = 0  # trials in a row that have used the same parameters
        self._seed = 0
        self._reporting = threading.Lock()

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

    # --- asking -------------------------------------------------------------------------------------------------------

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Values for all parameters seen so far; the trial draws what is new to it."""
        if self._study._stops:
            return self.FINISHED
        trial = self.trials[trial_id] = self._study.ask()
        frozen = trial._cached_frozen_trial
        params = {n: self._propose(trial, n, d) for n, d in self._distributions.items() if n not in trial._fixed_params}
        config = {
            "number": trial.number,
            "params": params,
            "seed": (self._seed * 1_000_003 + trial.number) % 2**32,
            "user_attrs": dict(frozen.user_attrs),
            "system_attrs": dict(self._study._storage.get_trial_system_attrs(trial._trial_id)),
        }
        return {key: value for key, value in config.items() if value or key in ("number", "params", "seed")}

    def _propose(self, trial: Any, name: str, distribution: Any) -> Any:
        if self._alike >= _ALIKE and self._study._is_in_memory():
            return trial._suggest(name, distribution)  # set at once, so that the sampler knows of it while it runs
        if trial._is_relative_param(name, distribution):
            return trial.relative_params[name]
        latest = trial._get_latest_trial()  # with what the sampler has noted on it
        study = optuna.pruners._filter_study(self._study, latest)
        return study.sampler.sample_independent(study, latest, name, distribution)

    def adopt(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """A trial of an earlier life: its parameters come with its results."""
        if trial_id in self.trials:
            return
        storage, study_id = self._study._storage, self._study._study_id
        try:
            found = storage.get_trial_id_from_study_id_trial_number(study_id, config["number"])
        except KeyError:
            self.trials[trial_id] = self._study.ask()
            return
        if not storage.get_trial(found).state.is_finished():
            self.trials[trial_id] = optuna.trial.Trial(self._study, found)

    # --- telling ------------------------------------------------------------------------------------------------------

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """An intermediate value that the study does not have yet: of a run that is gone on with."""
        trial = self.trials.get(trial_id)
        if trial is not None and "step" in result:
            self.report(trial, result)

    def report(self, trial: Any, result: Mapping[str, Any]) -> None:
        """Report an intermediate value to the study once."""
        with self._reporting:
            if int(result["step"]) not in trial._cached_frozen_trial.intermediate_values:
                trial.report(result["value"], result["step"])

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """Tell the study how a trial ended."""
        states = optuna.trial.TrialState
        state = states[str((result or {}).get("state", "FAIL"))]
        if error and state is states.COMPLETE:
            state = states.FAIL
        self._end(trial_id, result or {}, state)

    def on_trial_pruned(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Tell the study of a trial that its pruner ended."""
        self._end(trial_id, result, optuna.trial.TrialState.PRUNED)

    def _end(self, trial_id: str, result: Mapping[str, Any], state: Any) -> None:
        trial = self.trials.pop(trial_id, None)
        if trial is None:
            return
        self._take_parameters(trial, result)
        storage = self._study._storage
        for key, value in (result.get("user_attrs") or {}).items():
            storage.set_trial_user_attr(trial._trial_id, key, value)
        known = storage.get_trial_system_attrs(trial._trial_id)
        for key, value in (result.get("system_attrs") or {}).items():
            if known.get(key) != value:
                storage.set_trial_system_attr(trial._trial_id, key, value)
        self._take_attributes_of_the_study(result)
        values = result.get("values") if state.name == "COMPLETE" else None
        told = self._study.tell(trial, values, state=state)
        if trial_id not in self.known:
            for callback in self._callbacks:
                callback(self._study, told)

    def _take_parameters(self, trial: Any, result: Mapping[str, Any]) -> None:
        """The parameters that the trial has used, and no others."""
        params = result.get("params") or {}
        from_json = optuna.distributions.json_to_distribution
        found = {name: from_json(text) for name, text in (result.get("distributions") or {}).items()}
        for name in trial.params.keys() - found.keys():  # proposed, and not used after all
            frozen = trial.storage._get_trial(trial._trial_id)
            frozen.params.pop(name)
            frozen.distributions.pop(name)
        for name, distribution in found.items():
            if name not in trial.params:
                internal = distribution.to_internal_repr(params[name])
                trial.storage.set_trial_param(trial._trial_id, name, internal, distribution)
        if found:
            same = not self._distributions or found.keys() == self._distributions.keys()
            self._alike = self._alike + 1 if same else 0
        self._distributions.update(found)

    def _take_attributes_of_the_study(self, result: Mapping[str, Any]) -> None:
        """What the objective has set on ``trial.study``."""
        study = self._study
        for key, value in (result.get("study_user_attrs") or {}).items():
            study.set_user_attr(key, value)
        for key, value in (result.get("study_system_attrs") or {}).items():
            study._storage.set_study_system_attr(study._study_id, key, value)
        if result.get("stop"):
            study._stops = True


class PrunerScheduler(Scheduler):
    """Lets the study's pruner decide after each reported value.

    Parameters
    ----------
    study
        A :class:`tune_optuna.Study`.
    search
        Its searcher, which has the study's trials.
    """

    def __init__(self, study: Any, search: StudySearch) -> None:
        super().__init__()
        self._study, self._search = study, search

    def __deepcopy__(self, memo: Any) -> PrunerScheduler:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a study of Optuna stays in its process")

    def lease(self, trial: TrialView) -> Lease:
        """One result at a time."""
        return Lease(steps=1)

    def on_result(self, trial: TrialView, result: Mapping[str, Any]) -> Decision:
        """Ask the pruner, and tell the trial what it says: the objective may heed it, or ask for nothing at all."""
        running = self._search.trials.get(trial.trial_id)
        if running is None or "step" not in result or "state" in result:
            return Continue(steps=1)
        self._search.report(running, result)
        if running.should_prune():
            why = f"{type(self._study.pruner).__name__}: {result['value']:.6g} at step {result['step']}"
            return Continue(steps=1, reason=why, advice=PRUNE)
        return Continue(steps=1)
