"""The worker's side: a real ``optuna.Trial`` over a storage that holds this one trial."""

from __future__ import annotations

import gc
import math
import pickle
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tune_core as tune
from tune_core import integration as tc
from tune_optuna.parameters import described, to_text

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


optuna: Any = tc.require("tune_optuna", "optuna", "optuna")

PRUNE = "prune"
"""The study's pruner would end the trial. Whether it ends is for the objective to say, as in Optuna."""

ASK, REPORT, END = "ask", "report", "end"
"""What a result is (``"event"``): a question for a parameter's value, an intermediate value, or the trial's outcome."""


def event_of(result: Mapping[str, Any]) -> str:
    """What a result is; journals written by tune-core 0.1 say it by the keys that results have."""
    by_keys = END if "state" in result else REPORT if "step" in result else ""
    return str(result.get("event", by_keys))


@dataclass(frozen=True)
class StudyFacts:
    """What a worker is told of the study: enough for the trial's own needs, whatever the number of trials."""

    name: str
    directions: tuple[str, ...]
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    metric_names: tuple[str, ...] | None = None
    shared: bytes | None = None  # the storage, pickled, if other processes can open it

    @classmethod
    def of(cls, study: Study) -> StudyFacts:
        """The facts of a study."""
        shared = None
        if not isinstance(study._storage, optuna.storages.InMemoryStorage):
            shared = _pickled(study._storage)
        names = study.metric_names
        return cls(
            study.study_name,
            tuple(d.name.lower() for d in study.directions),
            dict(study.user_attrs),
            tuple(names) if names else None,
            shared,
        )


def _pickled(value: Any) -> bytes | None:
    try:
        return pickle.dumps(value)
    except Exception:  # whatever a storage raises: then the worker goes without
        return None


class WorkerStudy(optuna.Study):
    """``trial.study`` in a worker: it holds one trial; the others are read from a storage that can be shared."""

    def __init__(self, facts: StudyFacts, sampler: Any) -> None:
        storage = optuna.storages.InMemoryStorage()
        directions = [optuna.study.StudyDirection[d.upper()] for d in facts.directions]
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(max(level, optuna.logging.WARNING))  # a new study announces itself
        try:
            study_id = storage.create_new_study(directions, facts.name)
        finally:
            optuna.logging.set_verbosity(level)
        for key, value in facts.user_attrs.items():
            storage.set_study_user_attr(study_id, key, value)
        super().__init__(facts.name, storage, sampler, optuna.pruners.NopPruner())
        if facts.metric_names:
            self.set_metric_names(list(facts.metric_names))
        self._given_user_attrs = dict(storage.get_study_user_attrs(study_id))
        self._given_system_attrs = dict(storage.get_study_system_attrs(study_id))
        self._facts = facts
        self.stops = False

    def stop(self) -> None:
        """Let the study start no more trials."""
        self.stops = True

    def optimize(self, *args: Any, **options: Any) -> None:
        """Not inside of an objective, as in Optuna."""
        raise RuntimeError("Nested invocation of `Study.optimize` method isn't allowed.")

    @property
    def _whole(self) -> Any:
        """The study with all of its trials."""
        if self._facts.shared is None:
            raise RuntimeError(
                "The objective asked its study for other trials. It runs in a process of its own, and the study's "
                "trials are in the memory of another. Create the study with a storage that processes can share, e.g. "
                'create_study(storage="sqlite:///study.db").'
            )
        return optuna.load_study(study_name=self._facts.name, storage=pickle.loads(self._facts.shared))

    def get_trials(self, deepcopy: bool = True, states: Any = None) -> Any:
        """As in Optuna."""
        return self._whole.get_trials(deepcopy, states)

    @property
    def trials(self) -> Any:
        """As in Optuna."""
        return self.get_trials()

    @property
    def best_trial(self) -> FrozenTrial:
        """As in Optuna."""
        return self._whole.best_trial

    @property
    def best_trials(self) -> Any:
        """As in Optuna."""
        return self._whole.best_trials

    def changes(self) -> dict[str, Any]:
        """What the objective has set on the study, for the driver."""
        users = {k: v for k, v in self.user_attrs.items() if self._given_user_attrs.get(k, _NOTHING) != v}
        systems = {
            k: v
            for k, v in self._storage.get_study_system_attrs(self._study_id).items()
            if self._given_system_attrs.get(k, _NOTHING) != v
        }
        found = {"study_user_attrs": users, "study_system_attrs": systems, "stop": self.stops}
        return {key: value for key, value in found.items() if value}


_NOTHING = object()


class Proposals(optuna.samplers.BaseSampler):
    """Gives the values that the driver's sampler proposed, and asks it for what it did not know of.

    Parameters
    ----------
    proposed
        Values by parameter.
    seed
        For what is drawn here, when the run ends and nobody answers.
    ahead
        Values that were drawn ahead, as Optuna's storages keep them, each with the distribution that it holds for:
        they count only if they are asked for in this order.
    """

    def __init__(self, proposed: Mapping[str, Any], seed: int, ahead: Mapping[str, Sequence[Any]]) -> None:
        self._proposed = proposed
        self._ahead = dict(ahead)
        self._seed = seed
        self._others: Any = None  # made where it is needed: few trials do
        self.record: Callable[[], dict[str, Any]] = dict  # what the trial has so far; it is journaled with the question

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        """Nothing is drawn together."""
        return {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Any) -> dict[str, Any]:
        """Nothing is drawn together."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The proposal, if it is one for this distribution."""
        value, text = self._proposed.get(param_name, _NOTHING), to_text(param_distribution)
        if self._ahead:
            first, ahead = next(iter(self._ahead)), self._ahead.pop(param_name, (0.0, ""))
            if first == param_name and ahead[1] == text:
                return param_distribution.to_external_repr(ahead[0])
            self._ahead.clear()  # the sampler would have drawn the others after this one
        if value is not _NOTHING and _holds(param_distribution, value):
            return value
        question = {"event": ASK, "asks": param_name, "distribution": text, **self.record()}
        if tune.report(question, raise_on_stop=False) and tc.advice():
            return param_distribution.to_external_repr(float(tc.advice()))
        self._others = self._others or optuna.samplers.RandomSampler(seed=self._seed)
        return self._others.sample_independent(study, trial, param_name, param_distribution)


class Trial(optuna.trial.Trial):
    """The objective's trial: an ``optuna.Trial`` whose reports go to the driver, where the study's pruner decides.

    Parameters
    ----------
    config
        The trial's number, proposals, attributes and seed, as :class:`tune_optuna.driver.StudySearch` gives them.
    facts
        What is known of the study.
    """

    def __init__(self, config: Mapping[str, Any], facts: StudyFacts) -> None:
        proposals = Proposals(config["params"], config["seed"], config.get("ahead") or {})
        study = WorkerStudy(facts, proposals)
        template = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            user_attrs=dict(config.get("user_attrs") or {}),
            system_attrs=dict(config.get("system_attrs") or {}),
        )
        trial_id = study._storage.create_new_trial(study._study_id, template)
        study._storage._studies[study._study_id].trials[0].number = config["number"]
        super().__init__(study, trial_id)
        proposals.record = self.record
        self.is_pruned = False
        self.last: float | None = None

    def report(self, value: float, step: int) -> None:
        """As in Optuna; the value is journaled, and the study's pruner sees it at once."""
        before = len(self._cached_frozen_trial.intermediate_values)
        super().report(value, step)
        if len(self._cached_frozen_trial.intermediate_values) == before:
            return  # a step that was reported already is ignored
        self.last = float(value)
        result = {"event": REPORT, "value": self.last, "step": int(step), **self.record()}
        goes_on = tune.report(result, raise_on_stop=False)
        self.is_pruned = not goes_on or tc.advice() == PRUNE

    def should_prune(self) -> bool:
        """Whether the study's pruner would end this trial, or the run ends."""
        if len(self.study.directions) > 1:
            return bool(super().should_prune())  # Optuna's own error
        return self.is_pruned

    def record(self) -> dict[str, Any]:
        """What the driver is to know of the trial: parameters, attributes, constraints."""
        frozen = self.storage.get_trial(self._trial_id)
        found: dict[str, Any] = {
            **described(frozen.params, frozen.distributions),
            "user_attrs": frozen.user_attrs,
            "system_attrs": frozen.system_attrs,
        }
        return {**{key: value for key, value in found.items() if value}, **self.study.changes()}


def worker_objective(
    func: Callable[[Any], Any], catch: tuple[Any, ...], facts: StudyFacts, collects: bool
) -> Callable[[Mapping[str, Any]], Any]:
    """The user's objective as tune-core calls it, in a worker."""

    def objective(config: Mapping[str, Any]) -> dict[str, Any]:
        trial = Trial(config, facts)
        try:
            return _outcome(func, trial, catch)
        finally:
            if collects:
                gc.collect()

    objective.__name__ = getattr(func, "__name__", type(func).__name__)
    return objective


def _outcome(func: Callable[[Any], Any], trial: Trial, catch: tuple[Any, ...]) -> dict[str, Any]:
    """The trial's last result."""

    def end(state: str, **more: Any) -> dict[str, Any]:
        return {"event": END, "value": float("nan"), "state": state, **trial.record(), **more}

    try:
        value = func(trial)
    except optuna.TrialPruned as error:
        return end("PRUNED", value=float("nan") if trial.last is None else trial.last, why=str(error))
    except catch as error:
        return end("FAIL", why=repr(error), traceback=traceback.format_exc())
    except Exception as error:
        tune.report(end("FAIL", why=repr(error)), raise_on_stop=False)  # what the trial had set is kept, as in Optuna
        raise
    values, why = _values(value, len(trial.study.directions))
    if why:
        return end("FAIL", why=f"{why}. It returned {value!r}")
    return end("COMPLETE", value=values[0], values=values)


def _values(value: Any, number: int) -> tuple[list[float], str]:
    """What an objective returned as numbers, or in Optuna's words why it fails the trial."""
    given = list(value) if isinstance(value, (list, tuple)) else [value]
    values, errors = [], []
    for one in given:
        try:
            values.append(float(one))
        except (TypeError, ValueError):
            errors.append(f"The value {one!r} could not be cast to float")
            continue
        if math.isnan(values[-1]):
            errors.append(f"The value {one} is not acceptable")
    if not errors and len(values) != number:
        errors = [f"The number of the values {len(values)} did not match the number of the objectives {number}"]
    return values, "; ".join(errors)


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (ValueError, TypeError, KeyError):
        return False
