"""Schedulers written for Ray Tune's ``TrialScheduler``, through a thin adapter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tune_core.core.events import Lease
from tune_core.core.trial import ERROR, PAUSED, PENDING, TERMINATED, Status, TrialView
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers.base import Continue, Decision, Pause, Scheduler, Stop, WaitingTrials


class TrialScheduler:
    """Ray Tune's interface for schedulers: derive from it what was written for Ray Tune.

    For new schedulers :class:`tune_core.schedulers.Scheduler` is shorter and faster: this one is asked after every
    result.
    """

    CONTINUE = "CONTINUE"
    PAUSE = "PAUSE"
    STOP = "STOP"
    NOOP = "NOOP"

    _metric: str | None = None
    _supports_buffered_results = True

    @property
    def metric(self) -> str | None:
        """What trials are compared by."""
        return self._metric

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Take the run's metric and mode."""
        if self._metric and metric:
            return False
        self._metric = self._metric or metric
        if mode:
            self._mode = mode
        return True

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """A trial was added."""

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """A trial failed."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """A result: go on, pause or stop?"""
        return self.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """A trial came to its end."""

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
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
    def evaluated_params(self) -> Mapping[str, Any]:
        """The configuration."""
        return self._view.config

    def is_finished(self) -> bool:
        """Whether it has ended."""
        return self._view.status in (TERMINATED, ERROR)


class LegacyController:
    """What Ray Tune's schedulers may ask of the run; what would change it is an error that says what to return."""

    def __init__(self) -> None:
        self._trials: dict[int, LegacyTrial] = {}

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
        raise InvalidArgumentError(
            f"tune_controller.{name}",
            "is not there",
            "a scheduler decides by what it returns, and cannot reach into the run",
            "Return CONTINUE, PAUSE or STOP; or derive from tune_core.schedulers.Scheduler, which can also copy.",
        )


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

    def setup(self, metric: str | None, mode: str | None, seed: int, space: Mapping[str, Any] | None) -> None:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        super().setup(metric, mode, seed, space)
        if hasattr(self.scheduler, "set_search_properties"):
            self.scheduler.set_search_properties(metric, mode)

    def on_add(self, trial: TrialView) -> None:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        legacy = self._controller._trials[trial.index] = LegacyTrial(trial)
        self._tell("on_trial_add", legacy)

    def lease(self, trial: TrialView) -> Lease:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        return Lease(steps=1)

    def on_result(self, trial: TrialView, result: Mapping[str, Any]) -> Decision:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        legacy = self._controller._trials[trial.index]
        answer = self.scheduler.on_trial_result(self._controller, legacy, dict(result))
        name = type(self.scheduler).__name__
        if answer == TrialScheduler.STOP:
            self._stopped.add(trial.index)
            return Stop(f"{name} said STOP at {trial.iteration}")
        if answer == TrialScheduler.PAUSE:
            return Pause(f"{name} said PAUSE at {trial.iteration}")
        if answer in (TrialScheduler.CONTINUE, TrialScheduler.NOOP, None):
            return Continue(steps=1)
        raise InvalidArgumentError(
            f"{name}.on_trial_result",
            f"returned {answer!r}",
            "it is to return CONTINUE, PAUSE or STOP",
            "Return one of the constants of TrialScheduler.",
        )

    def on_end(self, trial: TrialView, status: Status) -> None:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        legacy = self._controller._trials[trial.index]
        if status is ERROR:
            self._tell("on_trial_error", legacy)
        elif trial.index in self._stopped or not trial.last_result:
            self._tell("on_trial_remove", legacy)
        else:
            self._tell("on_trial_complete", legacy, dict(trial.last_result))

    def choose(self, waiting: WaitingTrials) -> int | None:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        choose = getattr(self.scheduler, "choose_trial_to_run", None)
        if choose is None:
            return next((trial.index for trial in waiting.paused), None) if not _any(waiting.pending) else None
        chosen = choose(self._controller)
        if chosen is None or chosen.status not in (PENDING, PAUSED):
            return None
        return int(chosen.index)

    def describe(self) -> str:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        return f"{type(self.scheduler).__name__} (asked after every result)"

    def _tell(self, method: str, *args: Any) -> None:
        call = getattr(self.scheduler, method, None)
        if call is not None:
            call(self._controller, *args)


def _any(trials: Iterable[Any]) -> bool:
    return any(True for _ in trials)
