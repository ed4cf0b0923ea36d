"""``scheduler="auto"``: stop early what falls behind, without knowing how long trials are."""

from __future__ import annotations

from fractions import Fraction

from tune_core.core.events import Lease
from tune_core.core.trial import TrialView
from tune_core.core.values import Metrics
from tune_core.schedulers.base import Continue, Decision, Scheduler
from tune_core.schedulers.rung_levels import Rung


class AutoScheduler(Scheduler):
    """ASHA's stopping rule with η = 3, the first rung at 3 results and no last one: nothing has to be set.

    Trials that report less than three times, and runs without a metric, go on as if there were no scheduler. Where the
    length of trials is known, ``ASHAScheduler(max_t=...)`` saves more.

    Parameters
    ----------
    metric, mode
        What to compare trials by; None takes ``TuneConfig``'s.
    """

    needs_metric = False
    grace_period = 3
    reduction_factor = 3

    def __init__(self, metric: str | None = None, mode: str | None = None) -> None:
        super().__init__(metric, mode)
        self._rungs: list[Rung] = []
        self._reached: dict[int, int] = {}  # rungs that a trial has been counted on

    def lease(self, trial: TrialView) -> Lease:
        if self.objective is None:
            return Lease()
        return Lease(self._rung(self._reached.get(trial.index, 0)).milestone)

    def on_result(self, trial: TrialView, result: Metrics) -> Decision:
        position = self._reached.get(trial.index, 0)
        rung = self._rung(position)
        if self.objective is None or result["training_iteration"] < rung.milestone:
            return Continue(rung.milestone)
        self._reached[trial.index] = position + 1
        loss, at = self.objective.loss(result), f"after {rung.milestone} results"
        stop, why = rung.stop_or_continue(trial.index, loss, self.objective, at)
        return stop or Continue(self._rung(position + 1).milestone, why)

    def describe(self) -> str:
        return "auto: ASHA's stopping rule after 3, 9, 27, … results"

    def _rung(self, position: int) -> Rung:
        while len(self._rungs) <= position:
            at = self.grace_period * self.reduction_factor ** len(self._rungs)
            self._rungs.append(Rung(at, Fraction(self.reduction_factor)))
        return self._rungs[position]
