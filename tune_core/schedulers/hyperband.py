"""HyperBand: synchronous brackets that trade the number of trials against their length."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from tune_core.core.validation import fraction, integer, python_values
from tune_core.schedulers.rung_levels import ITERATION, as_number
from tune_core.schedulers.synchronous import BracketPlan, SynchronousScheduler, halvings


def hyperband_plan(max_t: object, reduction_factor: object, whole: bool = True) -> list[BracketPlan]:
    """HyperBand's brackets, the most exploring first (Li et al. 2018, Algorithm 1), in exact arithmetic.

    Examples
    --------
    >>> [bracket[0] for bracket in hyperband_plan(81, 3)]
    [(81, 1), (34, 3), (15, 9), (8, 27), (5, 81)]
    >>> hyperband_plan(81, 3)[0]
    [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]
    """
    most, factor = fraction("max_t", max_t), fraction("reduction_factor", reduction_factor, above=1)
    last = 0  # s_max = ⌊log_η R⌋
    while factor ** (last + 1) <= most:
        last += 1
    plans = []
    for s in range(last, -1, -1):
        number = math.ceil(Fraction(last + 1, s + 1) * factor**s)  # n = ⌈B/R · η^s/(s+1)⌉, B = (s_max+1)·R
        plans.append(halvings(number, most / factor**s, reduction_factor, s, as_number(most), whole))
    return plans


class HyperBandScheduler(SynchronousScheduler):
    """Run brackets of successive halving, from many short trials to few long ones, again and again.

    For R = 81 and η = 3 the brackets start with 81 trials of 1 step, 34 of 3, 15 of 9, 8 of 27 and 5 of 81. Trials that
    wait for the others of their rung are paused, so they must save checkpoints (class trainables do by themselves).

    Parameters
    ----------
    time_attr
        The result field that measures progress.
    metric, mode
        What to compare trials by; None takes ``TuneConfig``'s.
    max_t
        R: the longest that a trial may run.
    reduction_factor
        η: one in η goes on from each rung.
    stop_last_trials
        Whether trials end at ``max_t``; False lets them run on.

    Notes
    -----
    A rung between two whole steps is reached at the earlier, so that no bracket exceeds its budget. A bracket that
    cannot fill, since the last suggestion was made or nothing else can run, is closed and run with what it has.

    References
    ----------
    Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar: Hyperband: A Novel Bandit-Based Approach to Hyperparameter
    Optimization. JMLR 2018, Algorithm 1 and Table 1.
    """

    @python_values
    def __init__(
        self,
        time_attr: str = ITERATION,
        metric: str | None = None,
        mode: str | None = None,
        max_t: float = 81,
        reduction_factor: float = 3,
        stop_last_trials: bool = True,
    ) -> None:
        super().__init__(time_attr, metric, mode, stop_last_trials, reduction_factor)
        fraction(f"{type(self).__name__}(max_t)", max_t)
        self.max_t = max_t
        self.reduction_factor = reduction_factor
        self._plans = hyperband_plan(max_t, reduction_factor, self._whole)

    @property
    def brackets(self) -> list[BracketPlan]:
        """(trials, time) of each rung, for each bracket."""
        return [list(plan) for plan in self._plans]

    @property
    def budgets(self) -> list[Any]:
        """All times at which trials are compared, for model-based searchers."""
        return sorted({time for plan in self._plans for _, time in plan})

    def plans(self, number: int) -> tuple[str, BracketPlan]:
        position = number % len(self._plans)
        return f"bracket {number} (s={len(self._plans) - 1 - position})", self._plans[position]

    def describe(self) -> str:
        first = ", ".join(f"{plan[0][0]}×{plan[0][1]}" for plan in self._plans)
        return f"{type(self).__name__}: brackets start with {first} (trials × time); max_t {self.max_t}"


class HyperBandForBOHB(HyperBandScheduler):
    """HyperBand for a model-based searcher such as ``TuneBOHB``, which learns from the results at each rung.

    The same brackets; the searcher gets every result as it comes, those of paused trials too, and its next suggestions
    fill the bracket that is open. Where it has no suggestion while trials wait, the open bracket is closed and run.

    Parameters
    ----------
    time_attr, metric, mode, max_t, reduction_factor, stop_last_trials
        As for :class:`HyperBandScheduler`.
    """


class SuccessiveHalvingScheduler(SynchronousScheduler):
    """Synchronous successive halving: of n trials the best 1/η go on at each rung, until one reaches ``max_t``.

    Parameters
    ----------
    time_attr, metric, mode, max_t, reduction_factor, stop_last_trials
        As for :class:`HyperBandScheduler`.
    grace_period
        r: where the first rung is.
    num_trials
        n, for each bracket; None: η^k for k halvings, so that one trial reaches ``max_t``.
    refill
        Whether as many go on from each rung as were planned, though trials failed there. False takes the best 1/η of
        those that are left: where one of four is lost, none goes on.

    References
    ----------
    Jamieson, Talwalkar: Non-stochastic Best Arm Identification and Hyperparameter Optimization. AISTATS 2016.
    """

    @python_values
    def __init__(
        self,
        time_attr: str = ITERATION,
        metric: str | None = None,
        mode: str | None = None,
        max_t: float = 81,
        grace_period: float = 1,
        reduction_factor: float = 3,
        num_trials: int | None = None,
        stop_last_trials: bool = True,
        refill: bool = True,
    ) -> None:
        super().__init__(time_attr, metric, mode, stop_last_trials, reduction_factor)
        name = type(self).__name__
        factor = self._factor
        self.refill = refill
        start, end = fraction(f"{name}(grace_period)", grace_period), fraction(f"{name}(max_t)", max_t)
        levels = 0
        while start * factor ** (levels + 1) <= end:
            levels += 1
        number = math.ceil(factor**levels) if num_trials is None else integer(f"{name}(num_trials)", num_trials)
        self.max_t = max_t
        self._plan = halvings(number, start, factor, levels, as_number(end), self._whole)

    def plans(self, number: int) -> tuple[str, BracketPlan]:
        return f"bracket {number}", self._plan

    def describe(self) -> str:
        return f"{type(self).__name__}: " + ", ".join(f"{many}×{time}" for many, time in self._plan)
