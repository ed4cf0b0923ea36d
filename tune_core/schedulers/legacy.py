"""Schedulers written for Ray Tune, through thin adapters: its ``TrialScheduler``, and subclasses of the ones here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tune_core.core.events import Lease
from tune_core.core.flatten import flatten
from tune_core.core.trial import ERROR, PAUSED, PENDING, TERMINATED, Status, TrialView
from tune_core.core.values import ConfigView, Metrics, ResultDict
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers.base import Continue, Decision, Exploit, Pause, Scheduler, Stop, WaitingTrials
from tune_core.schedulers.ray_methods import CONTINUE, NOOP, PAUSE, STOP, word_of
from tune_core.trainable.resources import Request


class TrialScheduler:
    """Ray Tune's interface for schedulers: derive from it what was written for Ray Tune.

    For new schedulers :class:`tune_core.schedulers.Scheduler` is shorter and faster: this one is asked after every
    result.
    """

    CONTINUE, PAUSE, STOP, NOOP = CONTINUE, PAUSE, STOP, NOOP

    _metric: str | None = None
    _supports_buffered_results = True

    @property
    def metric(self) -> str | None:
        """What trials are compared by."""
        return self._metric

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: object) -> bool:
        """Take the run's metric and mode."""
        if self._metric and metric:
            return False
        self._metric = self._metric or metric
        if mode:
            self._mode = mode
        return True

    def on_trial_add(self, tune_controller: object, trial: Any) -> None:
        """A trial was added."""

    def on_trial_error(self, tune_controller: object, trial: Any) -> None:
        """A trial failed."""

    def on_trial_result(self, tune_controller: object, trial: Any, result: ResultDict) -> str:
        """A result: go on, pause or stop?"""
        return self.CONTINUE

    def on_trial_complete(self, tune_controller: object, trial: Any, result: ResultDict) -> None:
        """A trial came to its end."""

    def on_trial_remove(self, tune_controller: object, trial: Any) -> None:
        """A trial was stopped before its end."""

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The trial to start or resume next."""
        for trial in tune_controller.get_trials():
            if trial.status == PENDING:
                return trial
        for trial in tune_controller.get_trials():
            if trial.status == PAUSED:
                return trial
        return None

    def debug_string(self) -> str:
        """One line on the present state."""
        return type(self).__name__


class LegacyTrial:
    """A trial as Ray Tune's schedulers know it; read-only."""

    PENDING, RUNNING, PAUSED, TERMINATED, ERROR = "PENDING", "RUNNING", "PAUSED", "TERMINATED", "ERROR"

    def __init__(self, view: TrialView) -> None:
        self._view = view

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._view, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LegacyTrial) and other._view.index == self._view.index

    def __hash__(self) -> int:
        return hash(self._view.index)

    @property
    def view(self) -> TrialView:
        """The trial as schedulers of this package see it."""
        return self._view

    @property
    def evaluated_params(self) -> ConfigView:
        """The configuration."""
        return self._view.config

    def is_finished(self) -> bool:
        """Whether it has ended."""
        return self._view.status in (TERMINATED, ERROR)


class LegacyController:
    """What Ray Tune's schedulers may ask of the run; what would change it is an error that says what to return."""

    def __init__(self) -> None:
        self._trials: dict[int, LegacyTrial] = {}
        self.waiting: Any = None  # WaitingTrials, while a scheduler is asked whom to run

    def add(self, view: TrialView) -> LegacyTrial:
        """Take a trial in."""
        trial = self._trials[view.index] = LegacyTrial(view)
        return trial

    def trial_at(self, index: int) -> LegacyTrial:
        """A trial by its position."""
        return self._trials[index]

    def get_trials(self) -> list[LegacyTrial]:
        """All trials."""
        return list(self._trials.values())

    def get_live_trials(self) -> list[LegacyTrial]:
        """Trials that have not ended."""
        return [trial for trial in self._trials.values() if not trial.is_finished()]

    def get_trial(self, trial_id: str) -> LegacyTrial | None:
        """A trial by its id."""
        return self._trials.get(int(trial_id)) if trial_id.isdecimal() else None

    def has_resources_for_trial(self, trial: Any) -> bool:
        """The engine asks only when a place is free."""
        return True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise NotInControllerError(
            f"tune_controller.{name}",
            "is not there",
            "a scheduler decides by what it returns, and cannot reach into the run",
            "Return CONTINUE, PAUSE or STOP; or derive from tune_core.schedulers.Scheduler, which can also copy.",
        )


class NotInControllerError(InvalidArgumentError, AttributeError):
    """A scheduler wanted something of the run that is not there; ``hasattr`` sees an AttributeError."""


class LegacyScheduler(Scheduler):
    """Makes a scheduler of Ray Tune's kind one of ours: it is asked after every result.

    Parameters
    ----------
    scheduler
        An object with ``on_trial_result`` and, as far as it has them, the other methods of ``TrialScheduler``.
    """

    needs_metric = False
    saves_at_lease_end = True
    restarts_without_checkpoint = True

    def __init__(self, scheduler: Any) -> None:
        super().__init__(time_attr=getattr(scheduler, "_time_attr", "training_iteration"))
        self.scheduler = scheduler
        self._controller = LegacyController()
        self._stopped: set[int] = set()

    def setup(self, metric: str | None, mode: str | None, seed: int, space: Mapping[str, object] | None) -> None:
        super().setup(metric, mode, seed, space)
        if hasattr(self.scheduler, "set_search_properties"):
            self.scheduler.set_search_properties(metric, mode)

    def on_add(self, trial: TrialView) -> None:
        self._tell("on_trial_add", self._controller.add(trial))

    def lease(self, trial: TrialView) -> Lease:
        return Lease(steps=1)

    def on_result(self, trial: TrialView, result: Metrics) -> Decision:
        legacy = self._controller.trial_at(trial.index)
        answer = self.scheduler.on_trial_result(self._controller, legacy, flat_result(trial, result))
        decision = decision_of(self.scheduler, answer, trial)
        if isinstance(decision, Stop):
            self._stopped.add(trial.index)
        return decision

    def on_end(self, trial: TrialView, status: Status) -> None:
        legacy = self._controller.trial_at(trial.index)
        if status is ERROR:
            self._tell("on_trial_error", legacy)
        elif trial.index in self._stopped or not trial.last_result:
            self._tell("on_trial_remove", legacy)
        else:
            self._tell("on_trial_complete", legacy, {**flat_result(trial, trial.last_result), "done": True})

    def choose(self, waiting: WaitingTrials) -> int | None:
        choose = getattr(self.scheduler, "choose_trial_to_run", None)
        if choose is None:
            return next((trial.index for trial in waiting.paused), None) if not _any(waiting.pending) else None
        chosen = choose(self._controller)
        if chosen is None or chosen.status not in (PENDING, PAUSED):
            return None
        return int(chosen.index)

    def describe(self) -> str:
        return f"{type(self.scheduler).__name__} (asked after every result)"

    def _tell(self, method: str, *args: object) -> None:
        call = getattr(self.scheduler, method, None)
        if call is not None:
            call(self._controller, *args)


class OverriddenScheduler(Scheduler):
    """Runs a scheduler of this package whose class overrides Ray Tune's methods: it is asked after every result.

    Where the override leaves a decision to ``super()`` and returns its answer, the decision is carried out as the
    scheduler itself would have it: with its reason, as complete or pruned, and copies with their source.

    Parameters
    ----------
    scheduler
        The instance.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__(scheduler.metric, scheduler.mode, scheduler.time_attr)
        self.scheduler = scheduler
        self.needs_metric = scheduler.needs_metric
        self.saves_at_lease_end = scheduler.saves_at_lease_end
        self.restarts_without_checkpoint = scheduler.restarts_without_checkpoint
        self.goes_on_without_checkpoint = scheduler.goes_on_without_checkpoint
        self._controller = LegacyController()
        self._stopped: set[int] = set()

    def setup(self, metric: str | None, mode: str | None, seed: int, space: Mapping[str, object] | None) -> None:
        super().setup(metric, mode, seed, space)
        self.scheduler.set_search_properties(metric, mode)
        self.scheduler.setup(metric, mode, seed, space)

    def on_add(self, trial: TrialView) -> None:
        self.scheduler.on_trial_add(self._controller, self._controller.add(trial))

    def lease(self, trial: TrialView) -> Lease:
        self.scheduler.lease(trial)  # it takes note of those that start
        return Lease(steps=1)

    def on_result(self, trial: TrialView, result: Metrics) -> Decision:
        scheduler = self.scheduler
        scheduler.decided = None
        answer = scheduler.on_trial_result(
            self._controller, self._controller.trial_at(trial.index), flat_result(trial, result)
        )
        decided: Decision | None = scheduler.decided
        if decided is None or answer != word_of(decided):
            decided = decision_of(scheduler, answer, trial)
        if isinstance(decided, Stop):
            self._stopped.add(trial.index)
        return Continue(steps=1, reason=decided.reason) if isinstance(decided, Continue) else decided

    def on_end(self, trial: TrialView, status: Status) -> None:
        legacy = self._controller.trial_at(trial.index)
        if status is ERROR:
            self.scheduler.on_trial_error(self._controller, legacy)
        elif trial.index in self._stopped or not trial.last_result:
            self.scheduler.on_trial_remove(self._controller, legacy)
        else:
            self.scheduler.on_trial_complete(
                self._controller, legacy, {**flat_result(trial, trial.last_result), "done": True}
            )

    def on_requeue(self, trial: TrialView) -> None:
        self._stopped.discard(trial.index)
        self.scheduler.on_requeue(trial)

    def choose(self, waiting: WaitingTrials) -> int | None:
        self._controller.waiting = waiting
        chosen = self.scheduler.choose_trial_to_run(self._controller)
        return None if chosen is None else int(chosen.index)

    def discard(self) -> Iterable[tuple[int, Stop | str]]:
        return self.scheduler.discard()

    def pending_exploits(self) -> Iterable[tuple[int, Exploit]]:
        return self.scheduler.pending_exploits()

    def complete_space(self, space: Mapping[str, object]) -> Mapping[str, object]:
        return self.scheduler.complete_space(space)

    def set_cluster_resources(self, capacity: Mapping[str, float], default_resources: Request | None) -> None:
        self.scheduler.set_cluster_resources(capacity, default_resources)

    def on_stall(self, exhausted: bool) -> None:
        self.scheduler.on_stall(exhausted)

    def describe(self) -> str:
        return f"{type(self.scheduler).__name__} ({self.scheduler.describe()}; asked after every result)"

    def debug_string(self) -> str:
        return self.scheduler.debug_string()


def decision_of(scheduler: Any, answer: Any, trial: TrialView) -> Decision:
    """The decision that one of Ray Tune's words stands for."""
    name = type(scheduler).__name__
    if answer == STOP:
        return Stop(f"{name} said STOP at {trial.iteration}")
    if answer == PAUSE:
        return Pause(f"{name} said PAUSE at {trial.iteration}")
    if answer in (CONTINUE, NOOP, None):
        return Continue(steps=1)
    raise InvalidArgumentError(
        f"{name}.on_trial_result",
        f"returned {answer!r}",
        "it is to return CONTINUE, PAUSE or STOP",
        "Return one of the constants of TrialScheduler.",
    )


def flat_result(trial: TrialView, result: Metrics) -> ResultDict:
    """A result with all its automatic fields, as Ray Tune's schedulers get it: nested names joined by ``/``."""
    last = trial.last_result
    whole = last if last.get("training_iteration") == result.get("training_iteration") else result
    return flatten(whole)


def _any(trials: Iterable[Any]) -> bool:
    return any(True for _ in trials)
