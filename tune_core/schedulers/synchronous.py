"""Synchronous brackets: all of a rung's trials are compared at once, when the last of them has reached it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from tune_core.core.events import Lease
from tune_core.core.objective import lookup
from tune_core.core.trial import Status, TrialView
from tune_core.core.validation import fraction
from tune_core.core.values import Metrics
from tune_core.schedulers.base import Continue, Decision, Pause, Scheduler, Stop, WaitingTrials
from tune_core.schedulers.rung_levels import ITERATION, as_number, show

BracketPlan = list[tuple[int, Any]]
"""(number of trials, the time that they run to) for each rung of a bracket, from the bottom."""


class _Bracket:
    """Trials that are compared with one another.

    A member runs (its loss is None), or has reached the present rung (its loss is there). When the bracket takes in no
    more trials and nobody runs, the best go on to the next rung.
    """

    __slots__ = ("above", "below", "closed", "losses", "name", "plan", "quotas", "rung", "running", "size")

    def __init__(self, name: str, plan: BracketPlan, factor: Fraction) -> None:
        self.name = name
        self.above, self.below = factor.numerator, factor.denominator
        self.plan = plan
        self.quotas = [number for number, _ in plan]
        self.rung = 0
        self.size = 0  # trials taken in
        self.closed = False
        self.losses: dict[int, float | None] = {}
        self.running = 0  # members that have not reached the present rung: counted, so that a wait costs no scan

    def enter(self, trial: int) -> None:
        """A trial runs towards the present rung."""
        self.losses[trial] = None
        self.running += 1

    def arrive(self, trial: int, loss: float) -> None:
        """A member has reached the present rung."""
        self.losses[trial] = loss
        self.running -= 1

    def leave(self, trial: int) -> bool:
        """A trial ended; whether it was a member."""
        if trial not in self.losses:
            return False
        self.running -= self.losses.pop(trial) is None
        return True

    @property
    def milestone(self) -> Any:
        """The time of the present rung."""
        return self.plan[self.rung][1]

    @property
    def is_last(self) -> bool:
        """Whether the present rung is the top one."""
        return self.rung == len(self.plan) - 1

    def close(self) -> None:
        """Take in no more trials: where fewer came than were planned, fewer go on, in the same proportion."""
        self.closed = True
        planned = self.plan[0][0]
        if self.size < planned:
            self.quotas = [max(1, number * self.size // planned) for number, _ in self.plan]

    def is_complete(self) -> bool:
        """Whether all that are left have reached the present rung."""
        return self.closed and bool(self.losses) and not self.running

    def ranked(self) -> list[tuple[float, int]]:
        """(loss, trial) of all that are left, best first."""
        return sorted((math.inf if loss is None else loss, trial) for trial, loss in self.losses.items())


class SynchronousScheduler(Scheduler):
    """Base of HyperBand and successive halving; a subclass says by :meth:`plans` which brackets there are.

    A free worker never waits: while a rung is incomplete, it starts the next bracket's trials. A bracket that no
    further trial will join is closed and run with those that it has. Trials that end or fail leave their bracket.
    """

    saves_at_lease_end = True
    restarts_without_checkpoint = True

    def __init__(
        self,
        time_attr: str = ITERATION,
        metric: str | None = None,
        mode: str | None = None,
        stop_last_trials: bool = True,
        reduction_factor: float = 3,
    ) -> None:
        super().__init__(metric, mode, time_attr)
        self.stop_last_trials = stop_last_trials
        self.refill = True
        self._factor = fraction(f"{type(self).__name__}(reduction_factor)", reduction_factor, above=1)
        self._whole = time_attr == ITERATION
        self._brackets: dict[int, _Bracket] = {}  # by trial
        self._filling: _Bracket | None = None
        self._opened = 0
        self._ready: dict[int, None] = {}  # promoted and not yet resumed, in order
        self._dropped: dict[int, Stop] = {}  # they will not go on, and the controller does not know yet
        self._over: set[int] = set()  # came back after their bracket had gone on
        self._open: dict[_Bracket, None] = {}  # with members

    def plans(self, number: int) -> tuple[str, BracketPlan]:
        """Name and plan of the ``number``-th bracket, from 0."""
        raise NotImplementedError

    # --- trials -------------------------------------------------------------------------------------------------------

    def on_add(self, trial: TrialView) -> None:
        bracket = self._filling
        if bracket is None:
            bracket = self._filling = _Bracket(*self.plans(self._opened), self._factor)
            self._opened += 1
            self._open[bracket] = None
        self._brackets[trial.index] = bracket
        bracket.enter(trial.index)
        bracket.size += 1
        if bracket.size >= bracket.plan[0][0]:
            self._close_filling()

    def lease(self, trial: TrialView) -> Lease:
        self._ready.pop(trial.index, None)
        bracket = self._brackets[trial.index]
        return Lease(self._until(bracket))

    def on_result(self, trial: TrialView, result: Metrics) -> Decision:
        index = trial.index
        bracket = self._brackets[index]
        if index in self._over:
            return Stop(f"{bracket.name} went on while this trial had failed")
        time = lookup(result, self.time_attr)
        if time < bracket.milestone:
            return Continue(self._until(bracket))
        if bracket.losses.get(index) is not None:  # counted already; came back after a failure
            return self._wait(bracket, index)
        assert self.objective is not None
        loss = self.objective.loss(result)
        if loss == math.inf:
            return Stop(f"{self._at(bracket)}: {self.objective.metric} is missing or no finite number")
        bracket.arrive(index, loss)
        if bracket.is_complete():
            self._compare(bracket)
            stop = self._dropped.pop(index, None)
            if stop is not None:
                return stop
            self._ready.pop(index, None)
            if index in bracket.losses:
                return Continue(self._until(bracket), f"{bracket.name} goes on to {bracket.milestone} with this trial")
        return self._wait(bracket, index)

    def on_end(self, trial: TrialView, status: Status) -> None:
        bracket = self._brackets.get(trial.index)
        self._ready.pop(trial.index, None)
        self._dropped.pop(trial.index, None)
        self._over.discard(trial.index)
        if bracket is not None and bracket.leave(trial.index) and bracket in self._open:
            if bracket.is_complete():
                self._compare(bracket)
            elif not bracket.losses and bracket.closed:
                self._forget(bracket)

    def on_requeue(self, trial: TrialView) -> None:
        bracket = self._brackets[trial.index]
        if trial.index not in bracket.losses:  # it had ended, and is tried again
            if bracket in self._open and not bracket.is_complete():
                bracket.enter(trial.index)
            else:
                self._over.add(trial.index)

    def choose(self, waiting: WaitingTrials) -> int | None:
        return next((index for index in self._ready if waiting.is_paused(index)), None)

    def discard(self) -> Iterable[tuple[int, Stop]]:
        if not self._dropped:
            return ()
        dropped, self._dropped = list(self._dropped.items()), {}
        return dropped

    def on_stall(self, exhausted: bool) -> None:
        if self._filling is not None:
            self._close_filling()

    def debug_string(self) -> str:
        shown = (f"{b.name} at {b.milestone}: {len(b.losses)} trials" for b in self._open)
        return f"{self.describe()}; {'; '.join(shown)}"

    # --- brackets -----------------------------------------------------------------------------------------------------

    def _close_filling(self) -> None:
        bracket, self._filling = self._filling, None
        if bracket is not None:
            bracket.close()
            if bracket.is_complete():
                self._compare(bracket)
            elif not bracket.losses:
                self._forget(bracket)

    def _compare(self, bracket: _Bracket) -> None:
        """All have reached the rung: the best go on, the others are dropped (successive halving's one step)."""
        ranked = bracket.ranked()
        at = self._at(bracket)
        if bracket.is_last:
            self._finish(bracket, at)
            return
        places = bracket.quotas[bracket.rung + 1] if self.refill else len(ranked) * bracket.below // bracket.above
        bracket.rung += 1
        if not places:
            self._dropped.update({i: Stop(f"{at}: none of {len(ranked)} is the best 1/η") for _, i in ranked})
            bracket.losses.clear()
            self._forget(bracket)
            return
        cutoff = ranked[min(places, len(ranked)) - 1][0]
        assert self.objective is not None
        value = self.objective.as_value(cutoff)
        for place, (loss, index) in enumerate(ranked):
            if place < places:
                bracket.enter(index)
                self._ready[index] = None
            else:
                bracket.leave(index)
                self._dropped[index] = Stop(
                    f"{at}: {show(self.objective, loss)} is outside the best {places} of {len(ranked)} "
                    f"(cutoff {value:.6g})"
                )

    def _finish(self, bracket: _Bracket, at: str) -> None:
        """The top rung was reached by all."""
        for index in bracket.losses:
            if self.stop_last_trials:
                self._dropped[index] = Stop(f"{at}, the end of its bracket", early=False)
            else:
                self._ready[index] = None
        self._forget(bracket)

    def _forget(self, bracket: _Bracket) -> None:
        self._open.pop(bracket, None)

    def _until(self, bracket: _Bracket) -> Any:
        if bracket not in self._open and not self.stop_last_trials and bracket.is_last:
            return None
        return bracket.milestone

    def _wait(self, bracket: _Bracket, index: int) -> Decision:
        if bracket.is_last and self.stop_last_trials:
            return Stop(f"{self._at(bracket)}, the end of its bracket", early=False)
        if bracket.is_last:
            return Continue(None, f"{self._at(bracket)}, the end of its bracket: runs on")
        missing = 0 if bracket.closed else bracket.plan[0][0] - bracket.size
        return Pause(f"{self._at(bracket)}: waits for {bracket.running + missing} others")

    def _at(self, bracket: _Bracket) -> str:
        return f"{bracket.name}, rung {bracket.milestone}"


def halvings(number: int, start: object, factor: object, levels: int, end: object, whole: bool) -> BracketPlan:
    """A bracket: ⌊n·η^-i⌋ trials run to r·η^i, for i = 0 … ``levels``; the last to ``end``."""
    eta, at, left = fraction("reduction_factor", factor, above=1), fraction("start", start), fraction("n", number)
    plan: BracketPlan = []
    for level in range(levels + 1):
        exact = at * eta**level
        time = end if level == levels else max(1, math.floor(exact)) if whole else as_number(exact)
        many = max(1, math.floor(left / eta**level))
        if plan and plan[-1][1] >= time:
            plan[-1] = (plan[-1][0], time)  # two levels at the same whole step
        else:
            plan.append((many, time))
    return plan
