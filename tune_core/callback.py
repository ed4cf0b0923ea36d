"""Hooks that run in the driver while an experiment goes on, and the base of all loggers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tune_core.core import trial as _trial
from tune_core.core.values import ResultDict

__all__ = ["Callback", "LoggerCallback", "TrialView"]


class TrialView(_trial.TrialView, Protocol):
    """What a callback may read of a trial."""

    @property
    def path(self) -> str:
        """The trial's folder; whoever writes there makes it (``os.makedirs(trial.path, exist_ok=True)``)."""


Trials = Sequence[TrialView]


class Callback:
    """Base of callbacks: override the hooks you need, and give instances as ``RunConfig(callbacks=[…])``.

    Hooks are called with keyword arguments, in the driver, one at a time. ``iteration`` counts the turns of the
    driver's loop, ``trials`` are all trials so far and ``trial`` is the one concerned: views, which cannot be changed.
    An exception in a hook is reported once and the run goes on.

    Examples
    --------
    >>> class Printer(Callback):
    ...     def on_trial_result(self, iteration, trials, trial, result, **info):
    ...         print(trial.trial_id, result["loss"])
    """

    def setup(
        self,
        stop: Any = None,
        num_samples: int | None = None,
        total_num_samples: int | None = None,
        **info: object,
    ) -> None:
        """Before the first trial. ``stop`` is the run's stop rule, ``total_num_samples`` counts the grid too."""

    def on_step_begin(self, iteration: int, trials: Trials, **info: object) -> None:
        """A turn of the driver's loop begins."""

    def on_step_end(self, iteration: int, trials: Trials, **info: object) -> None:
        """A turn of the driver's loop ended."""

    def on_trial_start(self, iteration: int, trials: Trials, trial: TrialView, **info: object) -> None:
        """A trial was launched, also after a pause or a failure."""

    def on_trial_restore(self, iteration: int, trials: Trials, trial: TrialView, **info: object) -> None:
        """A trial was launched from a checkpoint."""

    def on_trial_save(self, iteration: int, trials: Trials, trial: TrialView, **info: object) -> None:
        """A trial saved a checkpoint."""

    def on_trial_result(
        self, iteration: int, trials: Trials, trial: TrialView, result: ResultDict, **info: object
    ) -> None:
        """A trial reported a result."""

    def on_trial_complete(self, iteration: int, trials: Trials, trial: TrialView, **info: object) -> None:
        """A trial ended well: it returned, or was stopped."""

    def on_trial_recover(self, iteration: int, trials: Trials, trial: TrialView, **info: object) -> None:
        """A trial failed and will be tried again."""

    def on_trial_error(self, iteration: int, trials: Trials, trial: TrialView, **info: object) -> None:
        """A trial failed for good."""

    def on_checkpoint(self, iteration: int, trials: Trials, trial: TrialView, checkpoint: Any, **info: object) -> None:
        """A trial's checkpoint is in place; ``checkpoint`` is a :class:`~tune_core.checkpoint.Checkpoint`."""

    def on_experiment_end(self, trials: Trials, **info: object) -> None:
        """The run is over."""

    def get_state(self) -> dict[str, Any] | None:
        """State to keep for a restored run, of values that JSON can hold; None keeps nothing.

        Asked for about once a second while trials do something, and at the end of the run.
        """
        return None

    def set_state(self, state: dict[str, Any]) -> None:
        """Take the state that :meth:`get_state` gave in the run that is being restored; called before :meth:`setup`."""


class LoggerCallback(Callback):
    """Base of loggers: override ``log_trial_start``, ``log_trial_result`` and ``log_trial_end``.

    A trial's log is started once in a run, at the first thing to log, also when the trial is retried or paused.
    """

    _open_logs: set[str] | None = None  # made at first use: subclasses need not call super().__init__()

    def log_trial_start(self, trial: TrialView) -> None:
        """Start a trial's log. After a restore it may be there already: append to it."""

    def log_trial_restore(self, trial: TrialView) -> None:
        """The trial goes on from a checkpoint."""

    def log_trial_save(self, trial: TrialView) -> None:
        """The trial saved a checkpoint."""

    def log_trial_result(self, iteration: int, trial: TrialView, result: ResultDict) -> None:
        """Log a result."""

    def log_trial_end(self, trial: TrialView, failed: bool = False) -> None:
        """Close a trial's log; ``failed`` says that it ended with an error."""

    def on_trial_start(self, iteration: int, trials: Trials, trial: TrialView, **info: object) -> None:
        self._ensure_started(trial)

    def on_trial_restore(self, iteration: int, trials: Trials, trial: TrialView, **info: object) -> None:
        self._ensure_started(trial)
        self.log_trial_restore(trial)

    def on_trial_save(self, iteration: int, trials: Trials, trial: TrialView, **info: object) -> None:
        self._ensure_started(trial)
        self.log_trial_save(trial)

    def on_trial_result(
        self, iteration: int, trials: Trials, trial: TrialView, result: ResultDict, **info: object
    ) -> None:
        self._ensure_started(trial)
        self.log_trial_result(iteration, trial, result)

    def on_trial_complete(self, iteration: int, trials: Trials, trial: TrialView, **info: object) -> None:
        self._end(trial, failed=False)

    def on_trial_error(self, iteration: int, trials: Trials, trial: TrialView, **info: object) -> None:
        self._end(trial, failed=True)

    def on_experiment_end(self, trials: Trials, **info: object) -> None:
        """Close the logs of trials that did not end, e.g. because the run was interrupted."""
        for trial in trials if self._open_logs else ():
            if trial.trial_id in (self._open_logs or ()):
                self._end(trial, failed=False)

    def _ensure_started(self, trial: TrialView) -> None:
        if self._open_logs is None:
            self._open_logs = set()
        if trial.trial_id not in self._open_logs:
            self._open_logs.add(trial.trial_id)
            self.log_trial_start(trial)

    def _end(self, trial: TrialView, failed: bool) -> None:
        self._ensure_started(trial)
        if self._open_logs is not None:
            self._open_logs.discard(trial.trial_id)
        self.log_trial_end(trial, failed=failed)
