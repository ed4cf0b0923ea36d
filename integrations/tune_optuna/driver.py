"""The driver's side: a searcher that asks and tells the study, and a scheduler that asks its sampler and pruner."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tune_core import integration as tc
from tune_core.schedulers import Continue, Decision, Lease, Scheduler, TrialView
from tune_core.search import Searcher
from tune_optuna.ahead import Drawn, draw_ahead
from tune_optuna.parameters import from_text, internal_values
from tune_optuna.trial import ASK, END, PRUNE, REPORT, event_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, Trial, TrialState

    from tune_optuna.study import Study


optuna: Any = tc.require("tune_optuna", "optuna", "optuna")

_ALIKE = 10
"""So many trials in a row must have used the same parameters for the space to count as the same for all."""

_logger = optuna.logging.get_logger("optuna.study._optimize")  # the one that Optuna's own loop writes to


class StudySearch(Searcher):
    """Asks and tells an Optuna study whose space is known only from the trials that have run.

    Parameters
    ----------
    study
        A :class:`tune_optuna.Study`.
    callbacks
        Called with the study and each trial that has ended.
    one_by_one
        Whether a trial begins only when the one before it has ended and was told, and each value is drawn when the
        objective asks for it: then the sampler sees what it sees in Optuna, and a seed gives the same values.
    """

    replays = False  # trials carry their parameters, so the study is filled again from the journal

    def __init__(
        self, study: Study, callbacks: Sequence[Callable[[Study, FrozenTrial], None]], one_by_one: bool = False
    ) -> None:
        super().__init__()
        self._study, self._callbacks, self._one_by_one = study, callbacks, one_by_one
        self.trials: dict[str, Trial] = {}  # unfinished trials of Optuna's, by our ids
        self.known: set[str] = set()  # ended before this process went on with the experiment
        self._distributions: dict[str, BaseDistribution] = {}  # the latest of each parameter
        self._alike = 0  # trials in a row that have used the same parameters
        self._asked: dict[str, BaseDistribution] = {}  # by the last trial, in its order
        self._drawn = Drawn()  # for the trial that runs, where trials run one by one
        self._seed = 0
        self._reporting = threading.Lock()
        self._sampling = threading.RLock()  # asks, draws and tells come from two threads

    def __deepcopy__(self, memo: object) -> StudySearch:
        return self  # it belongs to the study of this process

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a study of Optuna stays in its process")

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: Mapping[str, Any], **spec: Any
    ) -> bool:
        """Take the seed."""
        self._seed = spec.get("seed") or 0
        return super().set_search_properties(metric, mode, config, **spec)

    # --- asking -------------------------------------------------------------------------------------------------------

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Values for all parameters seen so far; the trial asks for what is new to it, by :meth:`draw`."""
        if self._study._stops:
            return self.FINISHED
        if self._one_by_one and self.trials:
            return None
        with self._sampling:
            trial = self.trials[trial_id] = self._study.ask()
            frozen = trial._cached_frozen_trial
            free = {} if self._one_by_one else self._distributions
            params = {n: self._propose(trial, n, d) for n, d in free.items() if n not in trial._fixed_params}
            self._drawn = draw_ahead(trial, self._asked) if self._one_by_one else Drawn()
        config = {
            "number": trial.number,
            "params": params,
            "ahead": self._drawn.describe(trial),
            "seed": (self._seed * 1_000_003 + trial.number) % 2**32,
            "user_attrs": dict(frozen.user_attrs),
            "system_attrs": dict(self._study._storage.get_trial_system_attrs(trial._trial_id)),
        }
        return {key: value for key, value in config.items() if value or key in ("number", "params", "seed")}

    def _propose(self, trial: Trial, name: str, distribution: BaseDistribution) -> Any:
        is_relative = trial._is_relative_param(name, distribution)
        if (is_relative or self._alike >= _ALIKE) and self._study._is_in_memory():
            return trial._suggest(name, distribution)  # set at once, so that the sampler knows of it while it runs
        if is_relative:
            return trial.relative_params[name]
        latest = trial._get_latest_trial()  # with what the sampler has noted on it
        study = optuna.pruners._filter_study(self._study, latest)
        return study.sampler.sample_independent(study, latest, name, distribution)

    def draw(self, trial: Trial, result: Mapping[str, Any]) -> str:
        """The sampler's value for a parameter that the trial asks for, as Optuna keeps it in its storage."""
        name, distribution = result["asks"], from_text(result["distribution"])
        with self._sampling:
            for unused in self._drawn.undo(self._study.sampler, result.get("params") or {}, has_ended=False):
                self._take_back(trial, unused)
            if trial._cached_frozen_trial.distributions.get(name, distribution) != distribution:
                self._take_back(trial, name)  # proposed for another one
            self._study._thread_local.cached_all_trials = None  # of this thread: other threads have told trials since
            value = trial._suggest(name, distribution)
        return repr(float(distribution.to_internal_repr(value)))

    def adopt(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """A trial of an earlier life: its parameters come with its results."""
        if trial_id in self.trials:
            return
        storage, study_id = self._study._storage, self._study._study_id
        found = self._study._loaded.get(trial_id)
        if found is None:
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
        if trial is not None and event_of(result) == REPORT:
            self.report(trial, result)

    def report(self, trial: Trial, result: Mapping[str, Any]) -> None:
        """Report an intermediate value to the study once."""
        with self._reporting:
            if int(result["step"]) not in trial._cached_frozen_trial.intermediate_values:
                trial.report(result["value"], result["step"])

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """Tell the study how a trial ended."""
        states = optuna.trial.TrialState
        result = result or {}
        state = states[str(result["state"])] if event_of(result) == END else states.FAIL
        if error and state is states.COMPLETE and all(map(math.isfinite, result["values"])):
            state = states.FAIL  # an infinite value is the engine's error, and none of Optuna's
        self._end(trial_id, result, state)

    def on_trial_pruned(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Tell the study of a trial that its pruner ended."""
        self._end(trial_id, result, optuna.trial.TrialState.PRUNED)

    def _end(self, trial_id: str, result: Mapping[str, Any], state: TrialState) -> None:
        trial = self.trials.get(trial_id)
        if trial is None:
            return
        with self._sampling:
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
        with self._sampling:
            told = self._study.tell(trial, values, state=state)
            del self.trials[trial_id]
        if trial_id not in self.known:
            self._log(told, result)
            try:
                for callback in self._callbacks:
                    callback(self._study, told)
            except Exception:
                self._study._stops = True  # no further trial begins
                raise

    def _log(self, trial: FrozenTrial, result: Mapping[str, Any]) -> None:
        """A line for each trial, in Optuna's words."""
        if trial.state.name == "COMPLETE":
            self._study._log_completed_trial(trial.values, trial.number, trial.params)
        elif trial.state.name == "PRUNED":
            _logger.info("Trial %d pruned. %s", trial.number, result.get("why", ""))
        else:
            why = str(result.get("why") or "it was ended before its objective returned")
            _logger.warning(
                "Trial %d failed with parameters: %s because of the following error: %s.%s",
                trial.number,
                trial.params,
                why.rstrip("."),
                f"\n{result['traceback']}" if result.get("traceback") else "",
            )

    def _take_back(self, trial: Trial, name: str) -> None:
        """Unset a parameter; only studies in memory have any that were set before the objective asked."""
        frozen = trial.storage._get_trial(trial._trial_id)
        for one in (frozen, trial._cached_frozen_trial):
            one.params.pop(name, None)
            one.distributions.pop(name, None)

    def _take_parameters(self, trial: Trial, result: Mapping[str, Any]) -> None:
        """The parameters that the trial has used, and no others."""
        found = {name: from_text(text) for name, text in (result.get("distributions") or {}).items()}
        if event_of(result) == END:  # else the trial was cut off, perhaps between an answer and its next report
            self._drawn.undo(self._study.sampler, found, has_ended=True)
            self._asked = found
            for name in trial.params.keys() - found.keys():  # proposed, and not used after all
                self._take_back(trial, name)
        for name, value in internal_values(result).items():
            if name not in trial.params:
                trial.storage.set_trial_param(trial._trial_id, name, value, found[name])
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


class StudyScheduler(Scheduler):
    """Answers a trial's questions: the sampler's values for its parameters, and what the pruner says of its reports.

    Parameters
    ----------
    study
        A :class:`tune_optuna.Study`.
    search
        Its searcher, which has the study's trials.
    """

    needs_metric = False  # a trial asks for parameters before it has a value

    def __init__(self, study: Study, search: StudySearch) -> None:
        super().__init__()
        self._study, self._search = study, search

    def __deepcopy__(self, memo: object) -> StudyScheduler:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a study of Optuna stays in its process")

    def lease(self, trial: TrialView) -> Lease:
        """One result at a time."""
        return Lease(steps=1)

    def on_result(self, trial: TrialView, result: Mapping[str, Any]) -> Decision:
        """Ask sampler or pruner, and tell the trial. What the pruner says is for the objective to heed or not."""
        running, event = self._search.trials.get(trial.trial_id), event_of(result)
        if running is not None and event == ASK:
            return Continue(steps=1, advice=self._search.draw(running, result))
        if running is None or event != REPORT:
            return Continue(steps=1)
        self._search.report(running, result)
        if running.should_prune():
            why = f"{type(self._study.pruner).__name__}: {result['value']:.6g} at step {result['step']}"
            return Continue(steps=1, reason=why, advice=PRUNE)
        return Continue(steps=1)
