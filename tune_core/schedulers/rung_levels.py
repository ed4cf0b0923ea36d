"""Rungs, counted exactly: their milestones, and who ranks where on each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from sortedcontainers import SortedList

from tune_core.core.objective import Objective
from tune_core.core.validation import fraction
from tune_core.schedulers.base import Stop

ITERATION = "training_iteration"


def milestones(
    grace_period: object, max_t: object, reduction_factor: object, bracket: int = 0, whole: bool = True
) -> list[Any]:
    """The times r·η^(s+k), k = 0, 1, …, up to ``max_t``, without a logarithm or a rounding error.

    Parameters
    ----------
    grace_period, max_t, reduction_factor
        r, R and η; η may be any number above 1.
    bracket
        s, the early-stopping rate: the bracket starts at r·η^s.
    whole
        Times are counted in whole steps, so one that falls between two is reached at the later.

    Examples
    --------
    >>> milestones(1, 243, 3)
    [1, 3, 9, 27, 81, 243]
    >>> milestones(1, 10, 1.5)
    [1, 2, 3, 4, 6, 8]
    >>> milestones(60, 400, 1.5, whole=False)
    [60, 90, 135, 202.5, 303.75]
    """
    start = fraction("grace_period", grace_period)
    end = fraction("max_t", max_t)
    factor = fraction("reduction_factor", reduction_factor, above=1)
    at = start * factor**bracket
    if at.denominator == factor.denominator == 1:
        return _integer_milestones(at.numerator, math.floor(end), factor.numerator)
    found: list[Any] = []
    while at <= end:
        step = math.ceil(at) if whole else as_number(at)
        if (not found or step != found[-1]) and step <= end:
            found.append(step)
        at *= factor
    return found


def _integer_milestones(at: int, end: int, factor: int) -> list[Any]:
    found = []
    while at <= end:
        found.append(at)
        at *= factor
    return found


def as_number(exact: Fraction) -> int | float:
    """A fraction as an int where it is one."""
    return exact.numerator if exact.denominator == 1 else float(exact)


def best_share(number: int, factor: Fraction) -> int:
    """How many of ``number`` are the best 1/η of them: ⌊n/η⌋, exactly."""
    return int(number * factor.denominator // factor.numerator)


class Rung:
    """The losses that trials had when they reached one milestone, each trial once.

    Parameters
    ----------
    milestone
        The time at which it is reached.
    factor
        η: the best 1/η go on.
    """

    __slots__ = ("_above", "_all", "_below", "_open", "factor", "milestone")

    def __init__(self, milestone: Any, factor: Fraction) -> None:
        self.milestone = milestone
        self.factor = factor
        self._above, self._below = factor.numerator, factor.denominator
        self._all = SortedList()  # (loss, trial)
        self._open = SortedList()  # of these, the ones that were not promoted yet and have not ended

    def __len__(self) -> int:
        return len(self._all)

    @property
    def ranking(self) -> list[tuple[float, int]]:
        """(loss, trial) of all that reached this rung, best first."""
        return list(self._all)

    @property
    def quota(self) -> int:
        """How many of those that reached it are the best 1/η."""
        return len(self._all) * self._below // self._above

    def record(self, trial: int, loss: float) -> int:
        """Take a trial in; how many of those before are strictly better."""
        self._all.add((loss, trial))
        return int(self._all.bisect_left((loss, -1)))

    def cutoff(self, places: int) -> float:
        """The loss of the last of the best ``places``."""
        return float(self._all[places - 1][0])

    def stop_or_continue(self, trial: int, loss: float, objective: Objective, at: str) -> tuple[Stop | None, str]:
        """Take a trial in and apply ASHA's stopping rule: it stops if it is outside the best 1/η, but never the best.

        Parameters
        ----------
        trial, loss
            Who reached the rung, and with which loss.
        objective, at
            The metric and the rung's name, for the reason.

        Returns
        -------
        tuple
            The decision to stop, or None; and the reason to continue.
        """
        better = self.record(trial, loss)
        places = max(1, self.quota)
        if loss == math.inf:
            return Stop(f"{at}: {objective.metric} is missing or no finite number, the worst there is"), ""
        share = f"the best {show_share(self.factor)} of {len(self)}"
        here = f"{at}: {show(objective, loss)}"
        if better >= places:
            cutoff = objective.as_value(self.cutoff(places))
            return Stop(f"{here} is outside {share} (cutoff {cutoff:.6g})"), ""
        return None, f"{here} is the best so far of {len(self)}" if better == 0 else f"{here} is within {share}"

    # --- promotion ----------------------------------------------------------------------------------------------------

    def enter(self, trial: int, loss: float) -> None:
        """Take in a trial that waits for its promotion."""
        self.record(trial, loss)
        self._open.add((loss, trial))

    def promotable(self) -> Iterator[int]:
        """Trials among the best 1/η that were not promoted yet, best first (Li et al. 2020, Algorithm 2, line 15)."""
        if not self._open:
            return
        quota = len(self._all) * self._below // self._above
        if quota == 0:
            return
        last = self._all[quota - 1]
        for entry in self._open:
            if entry > last or entry[0] == math.inf:
                return
            yield entry[1]

    def best_open(self) -> int | None:
        """The best trial that was not promoted, if its loss is a number."""
        return self._open[0][1] if self._open and self._open[0][0] != math.inf else None

    def reopen(self, trial: int, loss: float) -> None:
        """A trial that had ended waits for its promotion again."""
        if (loss, trial) not in self._open:
            self._open.add((loss, trial))

    def leave(self, trial: int, loss: float) -> None:
        """A trial was promoted, or ended: it is not promoted again, and still counts."""
        self._open.discard((loss, trial))


def show(objective: Objective, loss: float) -> str:
    """A loss for a reason: in the metric's own name and sign."""
    return f"{objective.metric} {objective.as_value(loss):.6g}"


def show_share(factor: Fraction) -> str:
    """1/η for a reason."""
    return f"1/{as_number(factor):g}"
