"""Trials without an engine, to ask a scheduler one question at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tune_core.core.automatic import result_of
from tune_core.core.events import Reported
from tune_core.core.trial import PAUSED, RUNNING, TERMINATED, Trial
from tune_core.schedulers.base import Decision, Pause, Scheduler


class Bench:
    """Asks one scheduler, and keeps the waiting lists as the engine would."""

    def __init__(self, scheduler: Scheduler, mode: str = "min", seed: int = 0, metric: str = "loss") -> None:
        self.scheduler = scheduler
        self.metric = metric
        self.trials: dict[int, Trial] = {}
        self._paused: dict[int, Trial] = {}
        scheduler.setup(metric, mode, seed, {})

    @property
    def pending(self) -> Iterable[Trial]:
        return [t for t in self.trials.values() if str(t.status) == "PENDING"]

    @property
    def paused(self) -> Iterable[Trial]:
        return self._paused.values()

    def is_paused(self, index: int) -> bool:
        return index in self._paused

    def start(self, index: int, config: dict[str, Any] | None = None) -> Any:
        """Suggest a trial if it is new, launch it, and return its lease's end."""
        if index not in self.trials:
            self.trials[index] = Trial(index, config or {})
            self.scheduler.on_add(self.trials[index])
        trial = self.trials[index]
        self._paused.pop(index, None)
        trial.status = RUNNING
        return self.scheduler.lease(trial).until

    def report(self, index: int, iteration: int, loss: float, **more: Any) -> Decision:
        """A result at the lease's end."""
        trial = self.trials[index]
        trial.iteration = iteration
        trial.last = Reported(index, iteration, 0.0, float(iteration), {self.metric: loss, **more})
        decision = self.scheduler.on_result(trial, result_of(trial.last))
        if isinstance(decision, Pause):
            trial.status = PAUSED
            self._paused[index] = trial
        return decision

    def end(self, index: int) -> None:
        trial = self.trials[index]
        self._paused.pop(index, None)
        trial.status = TERMINATED
        self.scheduler.on_end(trial, TERMINATED)

    def choose(self) -> int | None:
        return self.scheduler.choose(self)
