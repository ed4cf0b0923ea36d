"""The median stopping rule: stop a trial whose best result is worse than the median of the others' averages.

Each trial has a running average of its results since the grace period. When it comes to a *tick* (a whole number of
steps up to 64; beyond, ticks are some 2 % apart) its average there is entered in the tick's sorted list. A result at
time t is compared with the others' averages at the last tick up to t. So a decision costs a search in a sorted list,
whatever the number of trials, and what is kept for a trial is one number a tick, not its reports.
"""

from __future__ import annotations

import math
from typing import Any

from sortedcontainers import SortedList

from tune_core.core.events import Lease
from tune_core.core.objective import lookup
from tune_core.core.trial import Status, TrialView
from tune_core.core.validation import fraction, integer, python_values
from tune_core.core.values import Metrics
from tune_core.schedulers.base import Continue, Decision, Pause, Scheduler, Stop, WaitingTrials
from tune_core.schedulers.rung_levels import show

_DIGITS = 6  # binary digits of a tick: all whole numbers up to 64 are ticks


class _TrialHistory:
    """What is kept of one trial's results since the grace period."""

    __slots__ = ("average_at_tick", "best", "last", "number", "since", "sum", "tick")

    def __init__(self) -> None:
        self.last: Any = None  # time of the last result
        self.best = math.inf
        self.sum = 0.0
        self.number = 0
        self.since: object = 0  # when it was last resumed
        self.tick: float | None = None  # the last one it came to, and its average there
        self.average_at_tick = math.inf

    def add(self, time: Any, loss: float) -> None:
        self.last = time
        self.number += 1
        self.sum += loss
        self.best = min(self.best, loss)

    @property
    def average(self) -> float:
        """The average of its results so far."""
        return self.sum / self.number


class MedianStoppingRule(Scheduler):
    """Stop a trial whose best result so far is worse than the median of the averages of the others up to that time.

    Parameters
    ----------
    time_attr
        The result field that measures progress.
    metric, mode
        What to compare trials by; None takes ``TuneConfig``'s.
    grace_period
        No trial is stopped sooner, and no earlier result counts.
    min_samples_required
        How many other trials must have come as far.
    min_time_slice
        With fewer, a trial that has run so long since it last started is paused for those that wait; 0: never.
    hard_stop
        False puts trials aside instead of stopping them; they go on when nothing else is left to run.

    Notes
    -----
    Each result after the grace period waits for a decision. Trials are compared at whole numbers of ``time_attr`` up to
    64 and at times about 2 % apart beyond; an average at such a time takes in the first result at or past it.

    References
    ----------
    Golovin, Solnik, Moitra, Kochanski, Karro, Sculley: Google Vizier: A Service for Black-Box Optimization. KDD 2017,
    section 3.2.2.
    """

    restarts_without_checkpoint = True

    @python_values
    def __init__(
        self,
        time_attr: str = "time_total_s",
        metric: str | None = None,
        mode: str | None = None,
        grace_period: float = 60.0,
        min_samples_required: int = 3,
        min_time_slice: float = 0,
        hard_stop: bool = True,
    ) -> None:
        super().__init__(metric, mode, time_attr)
        fraction("MedianStoppingRule(grace_period)", grace_period, above=-1)
        fraction("MedianStoppingRule(min_time_slice)", min_time_slice, above=-1)
        self.grace_period = grace_period
        self.min_samples_required = integer("MedianStoppingRule(min_samples_required)", min_samples_required)
        self.min_time_slice = min_time_slice
        self.hard_stop = hard_stop
        self.saves_at_lease_end = not hard_stop or min_time_slice > 0
        self._histories: dict[int, _TrialHistory] = {}
        self._averages: dict[float, SortedList] = {}  # by tick: (average, trial) of all that came to it
        self._put_aside: set[int] = set()  # judged: not judged again
        self._waiting: set[int] = set()
        self._made_room: dict[int, None] = {}  # paused to let others run, in that order; not judged yet
        self._is_whole = False  # no further trial will come, for now

    def on_add(self, trial: TrialView) -> None:
        self._histories[trial.index] = _TrialHistory()
        self._waiting.add(trial.index)
        self._is_whole = False

    def lease(self, trial: TrialView) -> Lease:
        self._waiting.discard(trial.index)
        self._made_room.pop(trial.index, None)
        history = self._histories[trial.index]
        if trial.index in self._put_aside:
            return Lease()
        if history.number:
            history.since = history.last
        return Lease(steps=1) if history.number or not self.grace_period else Lease(self.grace_period)

    def on_result(self, trial: TrialView, result: Metrics) -> Decision:
        history = self._histories[trial.index]
        time = lookup(result, self.time_attr)
        if time < self.grace_period:
            return Continue(self.grace_period)
        assert self.objective is not None
        if history.number and time <= history.last:
            return Continue(steps=1)  # repeats what it had done before a failure
        history.add(time, self.objective.loss(result))
        self._enter(trial.index, history)
        return self._judge(trial.index, history)

    def _enter(self, index: int, history: _TrialHistory) -> None:
        """Enter the trial's average at each tick that it has come to with this result."""
        latest = _tick(history.last)
        if history.tick is None:
            tick = _tick(self.grace_period) if self.grace_period else latest
        else:
            tick = _next(history.tick)
        while tick <= latest:
            self._averages.setdefault(tick, SortedList()).add((history.average, index))
            history.tick, history.average_at_tick = tick, history.average
            tick = _next(tick)

    def _judge(self, index: int, history: _TrialHistory) -> Decision:
        assert self.objective is not None and history.tick is not None
        time, averages = history.last, self._averages[history.tick]
        others = len(averages) - 1
        if others < self.min_samples_required:
            someone_waits = bool(self._waiting) or not self._is_whole
            if self.min_time_slice and someone_waits and time - history.since >= self.min_time_slice:
                self._waiting.add(index)
                self._made_room[index] = None
                return Pause(f"only {others} others have come to {self.time_attr} {time}: lets those that wait run")
            return Continue(steps=1)
        median = _median_of_others(averages, averages.index((history.average_at_tick, index)))
        if history.best <= median and history.best != math.inf:
            return Continue(steps=1)
        best = "no finite result" if history.best == math.inf else show(self.objective, history.best)
        limit = self.objective.as_value(median)
        reason = (
            f"at {self.time_attr} {time}: best so far {best} is worse than {limit:.6g}, the median of {others} "
            "others' averages"
        )
        if self.hard_stop:
            return Stop(reason)
        self._put_aside.add(index)
        self._waiting.add(index)
        return Pause(reason)

    def on_end(self, trial: TrialView, status: Status) -> None:
        self._waiting.discard(trial.index)
        self._made_room.pop(trial.index, None)

    def on_requeue(self, trial: TrialView) -> None:
        self._waiting.add(trial.index)

    def choose(self, waiting: WaitingTrials) -> int | None:
        """Those that wait to start; then those paused to let others run; then those paused for good."""
        if any(True for _ in waiting.pending) or not self._is_whole:
            return None
        for index in self._made_room:
            if waiting.is_paused(index):
                return index
        return next((trial.index for trial in waiting.paused), None)

    def on_stall(self, exhausted: bool) -> None:
        self._is_whole = True

    def describe(self) -> str:
        return (
            f"median stopping rule: after {self.time_attr} {self.grace_period:g}, "
            f"with {self.min_samples_required} others or more"
        )


def _tick(time: float) -> float:
    """The last tick up to ``time``: its leading binary digits, so no rounding is involved."""
    mantissa, exponent = math.frexp(time)
    return math.ldexp(math.floor(math.ldexp(mantissa, _DIGITS)), exponent - _DIGITS)


def _next(tick: float) -> float:
    """The next tick after ``tick``."""
    return tick + math.ldexp(1.0, math.frexp(tick)[1] - _DIGITS)


def _median_of_others(averages: SortedList, own: int) -> float:
    """The median of all but the entry at position ``own``."""
    number = len(averages) - 1

    def other(position: int) -> float:
        return float(averages[position if position < own else position + 1][0])

    middle = number // 2
    return other(middle) if number % 2 else (other(middle - 1) + other(middle)) / 2
