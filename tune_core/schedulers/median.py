"""The median stopping rule: stop a trial whose best result is worse than the median of the others' averages."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from tune_core.core.events import Lease
from tune_core.core.objective import lookup
from tune_core.core.trial import Status, TrialView
from tune_core.core.validation import fraction, integer
from tune_core.schedulers.base import Continue, Decision, Pause, Scheduler, Stop, WaitingTrials
from tune_core.schedulers.rung_levels import show


class _TrialHistory:
    """One trial's results since the grace period: times, and the average of the losses up to each."""

    __slots__ = ("averages", "best", "since", "sum", "times")

    def __init__(self) -> None:
        self.times: list[Any] = []
        self.averages: list[float] = []
        self.best = math.inf
        self.sum = 0.0
        self.since: Any = 0  # when it was last resumed

    def add(self, time: Any, loss: float) -> None:
        self.times.append(time)
        self.sum += loss
        self.averages.append(self.sum / len(self.times))
        self.best = min(self.best, loss)

    def average_at(self, time: Any) -> float:
        """The average up to ``time``."""
        return self.averages[bisect_right(self.times, time) - 1]


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
        With fewer, a trial that has run so long since it last started is put aside for those that wait; 0: never.
    hard_stop
        False puts trials aside instead of stopping them; they go on when nothing else is left to run.

    Notes
    -----
    Each result after the grace period waits for a decision.

    References
    ----------
    Golovin, Solnik, Moitra, Kochanski, Karro, Sculley: Google Vizier: A Service for Black-Box Optimization. KDD 2017,
    section 3.2.2.
    """

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
        self._courses: dict[int, _TrialHistory] = {}
        self._put_aside: set[int] = set()  # judged: not judged again
        self._waiting: set[int] = set()
        self._is_whole = False  # no further trial will come, for now

    def on_add(self, trial: TrialView) -> None:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        self._courses[trial.index] = _TrialHistory()
        self._waiting.add(trial.index)
        self._is_whole = False

    def lease(self, trial: TrialView) -> Lease:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        self._waiting.discard(trial.index)
        course = self._courses[trial.index]
        if trial.index in self._put_aside:
            return Lease()
        if course.times:
            course.since = course.times[-1]
        return Lease(steps=1) if course.times or not self.grace_period else Lease(self.grace_period)

    def on_result(self, trial: TrialView, result: Mapping[str, Any]) -> Decision:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        index, course = trial.index, self._courses[trial.index]
        time = lookup(result, self.time_attr)
        if time < self.grace_period:
            return Continue(self.grace_period)
        assert self.objective is not None
        if course.times and time <= course.times[-1]:
            return Continue(steps=1)  # repeats what it had done before a failure
        course.add(time, self.objective.loss(result))
        others = [
            c.average_at(time) for i, c in self._courses.items() if i != index and c.times and c.times[-1] >= time
        ]
        if len(others) < self.min_samples_required:
            someone_waits = bool(self._waiting) or not self._is_whole
            if self.min_time_slice and someone_waits and time - course.since >= self.min_time_slice:
                self._waiting.add(index)
                return Pause(
                    f"only {len(others)} others have come to {self.time_attr} {time}: lets those that wait run"
                )
            return Continue(steps=1)
        median = _median(others)
        if course.best <= median and course.best != math.inf:
            return Continue(steps=1)
        best = "no finite result" if course.best == math.inf else show(self.objective, course.best)
        limit = self.objective.as_value(median)
        reason = (
            f"at {self.time_attr} {time}: best so far {best} is worse than {limit:.6g}, the median of {len(others)} "
            "others' averages"
        )
        if self.hard_stop:
            return Stop(reason)
        self._put_aside.add(index)
        self._waiting.add(index)
        return Pause(reason)

    def on_end(self, trial: TrialView, status: Status) -> None:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        self._waiting.discard(trial.index)

    def on_requeue(self, trial: TrialView) -> None:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        self._waiting.add(trial.index)

    def choose(self, waiting: WaitingTrials) -> int | None:
        """Those that wait to start; then those put aside for others; then those put aside for good."""
        if any(True for _ in waiting.pending) or not self._is_whole:
            return None
        paused = [t.index for t in waiting.paused]
        return next((i for i in paused if i not in self._put_aside), paused[0] if paused else None)

    def on_stall(self, exhausted: bool) -> None:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        self._is_whole = True

    def describe(self) -> str:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        return (
            f"median stopping rule: after {self.time_attr} {self.grace_period:g}, "
            f"with {self.min_samples_required} others or more"
        )


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
