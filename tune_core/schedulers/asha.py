"""ASHA: successive halving without waiting, by stopping early or by pausing and promoting."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

from tune_core.core.events import Lease
from tune_core.core.objective import lookup
from tune_core.core.time_attribute import is_time
from tune_core.core.trial import TERMINATED, Status, TrialView
from tune_core.core.validation import fraction, integer, one_of, python_values
from tune_core.core.values import Metrics
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers.base import Continue, Decision, Pause, Scheduler, Stop, WaitingTrials
from tune_core.schedulers.rung_levels import ITERATION, Rung, as_number, milestones, show, show_share


class _RungEntry:
    """Where a trial stands: its bracket, the rung that it runs to, and its loss on the rung below."""

    __slots__ = ("bracket", "loss", "requeued", "target", "waits")

    def __init__(self, bracket: int) -> None:
        self.bracket = bracket
        self.target = 0  # position of the rung that it runs to; past the last rung, to max_t
        self.waits = False  # on rung target - 1, for promotion
        self.loss = math.inf  # there
        self.requeued = False


class AsyncHyperBandScheduler(Scheduler):
    """Stop or pause, on each rung, the trials that are not among the best 1/η of those that reached it.

    Rungs are at r·η^k steps, counted exactly. No trial ever waits for another.

    Parameters
    ----------
    time_attr
        The result field that measures progress; must never decrease.
    metric, mode
        What to compare trials by; None takes ``TuneConfig``'s.
    max_t
        R: trials end when they reach it.
    grace_period
        r: no trial ends sooner.
    reduction_factor
        η, any number above 1: one in η goes on from each rung.
    brackets
        How many brackets to spread trials over; bracket s has its first rung at r·η^s. Each trial's bracket depends on
        the seed and the trial's index alone; brackets with more rungs get more trials, as in Ray Tune.
    stop_last_trials
        Whether trials end at ``max_t``; False lets them run on.
    rule
        ``"stopping"``: a trial outside the best 1/η (and not the best so far) stops for good. It saves no
        checkpoints. ``"promotion"``: the paper's rule; a trial that reaches a rung goes on if it is the one to promote,
        otherwise it is paused with its checkpoint, and resumes when enough others have done worse.
    seed
        For the choice of brackets; None takes the run's.

    Notes
    -----
    A trial that jumps over rungs between two reports is counted on the highest that it reached. One that goes back to a
    checkpoint after a failure is not counted a second time. NaN, infinite and missing values rank last and never go on.
    Under ``"promotion"``, if the last suggestion has run and no trial was trained in full, the best trial of the
    highest rung goes on, so that a short run ends with a fully trained trial. That is one that has reached ``max_t``,
    or that has ended by itself beyond all rungs on which others wait: by returning, or by a stop condition.

    References
    ----------
    Li, Jamieson, Rostamizadeh, Gonina, Ben-Tzur, Hardt, Recht, Talwalkar: A System for Massively Parallel
    Hyperparameter Tuning. MLSys 2020, Algorithm 2.

    Examples
    --------
    >>> scheduler = AsyncHyperBandScheduler(metric="loss", mode="min", max_t=81, reduction_factor=3)
    >>> scheduler.rungs()
    [1, 3, 9, 27, 81]
    """

    restarts_without_checkpoint = True

    @python_values
    def __init__(
        self,
        time_attr: str = ITERATION,
        metric: str | None = None,
        mode: str | None = None,
        max_t: float = 100,
        grace_period: float = 1,
        reduction_factor: float = 4,
        brackets: int = 1,
        stop_last_trials: bool = True,
        *,
        rule: str = "stopping",
        seed: int | None = None,
    ) -> None:
        super().__init__(metric, mode, time_attr)
        name = type(self).__name__
        one_of(f"{name}(rule)", rule, ("stopping", "promotion"))
        self._factor = fraction(f"{name}(reduction_factor)", reduction_factor, above=1)
        if fraction(f"{name}(grace_period)", grace_period) > fraction(f"{name}(max_t)", max_t):
            raise InvalidArgumentError(
                f"{name}(grace_period)",
                f"is {grace_period!r}, above max_t={max_t!r}",
                "no trial would ever be compared",
                "Use a grace_period below max_t; the first comparison is made when it is over.",
            )
        integer(f"{name}(brackets)", brackets)
        self.max_t = as_number(fraction("max_t", max_t))
        self.grace_period = grace_period
        self.reduction_factor = reduction_factor
        self.rule = rule
        self.stop_last_trials = stop_last_trials
        self.saves_at_lease_end = rule == "promotion"
        self.seed = seed
        whole = time_attr == ITERATION
        self._brackets = [
            [Rung(at, self._factor) for at in milestones(grace_period, max_t, reduction_factor, s, whole)]
            for s in range(brackets)
        ]
        self._order = sorted((rung for rungs in self._brackets for rung in rungs), key=lambda rung: -rung.milestone)
        self._bounds = _cumulated_softmax([len(rungs) for rungs in self._brackets])
        self._places: dict[int, _RungEntry] = {}
        self._active: set[int] = set()  # pending or running: may still report
        self._trained_to: Any = -math.inf  # the latest time at which a trial ended that had all that it could get
        self._finish: int | None = None  # the trial that goes on to max_t since no other will

    def setup(self, metric: str | None, mode: str | None, seed: int, space: Mapping[str, object] | None) -> None:
        super().setup(metric, mode, seed, space)
        if self.seed is None:
            self.seed = seed

    def rungs(self, bracket: int = 0) -> list[Any]:
        """The times at which trials of a bracket are compared."""
        return [rung.milestone for rung in self._brackets[bracket]]

    # --- trials -------------------------------------------------------------------------------------------------------

    def on_add(self, trial: TrialView) -> None:
        bracket = 0
        if len(self._brackets) > 1:
            drawn = random.Random(f"{self.seed}:{trial.index}").random()
            bracket = next(s for s, below in enumerate(self._bounds) if drawn < below)
        self._places[trial.index] = _RungEntry(bracket)
        self._active.add(trial.index)

    def lease(self, trial: TrialView) -> Lease:
        place = self._places[trial.index]
        self._active.add(trial.index)
        if place.waits and not place.requeued:
            self._promote(trial.index, place)
        place.requeued = False
        return Lease(self._next_stop(place))

    def on_result(self, trial: TrialView, result: Metrics) -> Decision:
        place = self._places[trial.index]
        time = lookup(result, self.time_attr)
        rungs = self._brackets[place.bracket]
        reached = place.target
        while reached < len(rungs) and time >= rungs[reached].milestone:
            reached += 1
        if time >= self.max_t:
            self._trained_to = math.inf
            if self.stop_last_trials:
                if reached > place.target:
                    place.target = reached
                    rungs[reached - 1].record(trial.index, self._loss(result))
                return Stop(f"has reached max_t={self.max_t}", early=False)
        if place.waits:  # counted already; came back after a failure
            return self._aside(trial.index, place, rungs[place.target - 1])
        if reached == place.target:
            return Continue(self._next_stop(place))
        place.target = reached
        place.loss = self._loss(result)
        rung = rungs[reached - 1]
        if trial.index == self._finish:
            rung.record(trial.index, place.loss)
            return Continue(self._next_stop(place), "the best of those that are left goes on to max_t")
        if self.rule == "stopping":
            return self._stop_or_go(trial.index, place, rung)
        rung.enter(trial.index, place.loss)
        place.waits = True
        if trial.index == self._best_promotable(None):
            self._promote(trial.index, place)
            why = (
                f"rung {rung.milestone}: {self._show(place.loss)} is among the best {show_share(self._factor)} "
                f"of {len(rung)}: promoted"
            )
            return Continue(self._next_stop(place), why)
        return self._aside(trial.index, place, rung)

    def on_end(self, trial: TrialView, status: Status) -> None:
        place = self._places.get(trial.index)
        self._active.discard(trial.index)
        if trial.index == self._finish:
            self._finish = None
        if place is not None and place.waits:
            self._brackets[place.bracket][place.target - 1].leave(trial.index, place.loss)
        elif self.rule == "promotion" and status is TERMINATED and trial.last_result:
            self._has_ended(trial.last_result)

    def on_requeue(self, trial: TrialView) -> None:
        place = self._places[trial.index]
        self._active.add(trial.index)
        if place.waits:
            place.requeued = True
            self._brackets[place.bracket][place.target - 1].reopen(trial.index, place.loss)

    def choose(self, waiting: WaitingTrials) -> int | None:
        """The best promotable trial of the highest rung that has one (Algorithm 2, ``get_job``)."""
        if self.rule == "stopping":
            return None
        if self._finish is not None and waiting.is_paused(self._finish):
            return self._finish
        return self._best_promotable(waiting)

    def on_stall(self, exhausted: bool) -> None:
        if not exhausted or self._active or self.rule == "stopping" or self._finish is not None:
            return
        for rung in self._order:
            if rung.milestone <= self._trained_to:
                return  # whoever waits here, another was trained in full from here on
            best = rung.best_open()
            if best is not None:
                self._finish = best
                return

    def describe(self) -> str:
        brackets = f", {len(self._brackets)} brackets" if len(self._brackets) > 1 else ""
        return f"ASHA, {self.rule} rule: rungs {', '.join(map(str, self.rungs()))}; max_t {self.max_t}{brackets}"

    def debug_string(self) -> str:
        rungs = (f"{rung.milestone}: {len(rung)}" for rungs in self._brackets for rung in rungs)
        return f"ASHA, trials by rung: {', '.join(rungs)}"

    # --- decisions ----------------------------------------------------------------------------------------------------

    def _stop_or_go(self, index: int, place: _RungEntry, rung: Rung) -> Decision:
        assert self.objective is not None
        stop, why = rung.stop_or_continue(index, place.loss, self.objective, f"rung {rung.milestone}")
        return stop or Continue(self._next_stop(place), why)

    def _aside(self, index: int, place: _RungEntry, rung: Rung) -> Decision:
        self._active.discard(index)
        if place.loss == math.inf:
            return Stop(f"rung {rung.milestone}: {self._metric} is missing or no finite number, the worst there is")
        return Pause(
            f"rung {rung.milestone}: {self._show(place.loss)} waits to be among the best {show_share(self._factor)} "
            f"of {len(rung)} or more"
        )

    def _has_ended(self, result: Metrics) -> None:
        """A trial has ended between two rungs: by itself, since on a rung it would wait. That is all its training."""
        time = lookup(result, self.time_attr)
        if is_time(time) and self._loss(result) != math.inf:
            self._trained_to = max(self._trained_to, time)

    def _promote(self, index: int, place: _RungEntry) -> None:
        self._brackets[place.bracket][place.target - 1].leave(index, place.loss)
        place.waits = False

    def _best_promotable(self, waiting: WaitingTrials | None) -> int | None:
        """Which trials to promote: of all, or of those that are paused now."""
        for rung in self._order:
            for index in rung.promotable():
                if waiting is None or waiting.is_paused(index):
                    return index
        return None

    def _next_stop(self, place: _RungEntry) -> Any:
        rungs = self._brackets[place.bracket]
        if place.waits:
            return rungs[place.target - 1].milestone
        if place.target < len(rungs):
            return rungs[place.target].milestone
        return self.max_t if self.stop_last_trials else None

    # --- words --------------------------------------------------------------------------------------------------------

    @property
    def _metric(self) -> str:
        assert self.objective is not None
        return self.objective.metric

    def _loss(self, result: Metrics) -> float:
        assert self.objective is not None
        return self.objective.loss(result)

    def _show(self, loss: float) -> str:
        assert self.objective is not None
        return show(self.objective, loss)


ASHAScheduler = AsyncHyperBandScheduler


def _cumulated_softmax(sizes: list[int]) -> list[float]:
    """Cumulated probabilities of brackets, by their number of rungs."""
    weights = [math.exp(size - max(sizes)) for size in sizes]
    return [math.fsum(weights[: s + 1]) / math.fsum(weights) for s in range(len(sizes) - 1)] + [1.0]
