"""PASHA: ASHA that trains longer only while the ranking of the best still changes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from sortedcontainers import SortedList

from tune_core.core.objective import lookup
from tune_core.core.trial import Status, TrialView
from tune_core.core.validation import python_values, share
from tune_core.core.values import Metrics
from tune_core.schedulers.asha import AsyncHyperBandScheduler
from tune_core.schedulers.base import Decision, Pause, Stop, WaitingTrials
from tune_core.schedulers.rung_levels import ITERATION, Rung

WINDOW = 100
"""Beyond so many trials on the top rung, its noise and its ranking are estimated in portions, so that the work for all
trials together stays proportional to their number."""


class PASHAScheduler(AsyncHyperBandScheduler):
    """Progressive ASHA: the top rung starts low, and moves up when it ranks trials differently from the rung below.

    Trials whose losses differ by less than the noise ε rank alike. ε comes from the learning curves: the differences
    at the top rung between trials whose curves have crossed more than once.

    Parameters
    ----------
    time_attr, metric, mode, max_t, grace_period, reduction_factor
        As for :class:`ASHAScheduler`, whose promotion rule it follows: trials pause on rungs, and save checkpoints.
        The reduction factor is 3 by default, as in the paper's experiments.
    percentile
        Which percentile of those differences ε is, interpolated linearly; 90 in the paper.
    seed
        For the choice of brackets; there is just one.

    Notes
    -----
    The two lowest rungs are compared first. ε is 0 until two curves have crossed twice, and keeps its value while the
    present top rung has no such pair. A trial that reaches the top rung is compared with the latest 100 that have
    reached it before; with n > 100 of them, the rankings are compared after every n/100-th. Trials that stand on the
    top rung when the run ends are complete: PASHA trains nobody longer. With fewer trials than the reduction factor
    nobody is promoted, and each ends on the first rung.

    References
    ----------
    Bohdal, Balles, Wistuba, Ermis, Archambeau, Zappella: PASHA: Efficient HPO and NAS with Progressive Resource
    Allocation. ICLR 2023, Algorithm 1 and section 4.3. The percentile and the soft ranking are those of the authors'
    own implementation in Syne Tune.
    """

    observes = True

    @python_values
    def __init__(
        self,
        time_attr: str = ITERATION,
        metric: str | None = None,
        mode: str | None = None,
        max_t: float = 100,
        grace_period: float = 1,
        reduction_factor: float = 3,
        percentile: float = 90.0,
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(time_attr, metric, mode, max_t, grace_period, reduction_factor, rule="promotion", seed=seed)
        self.percentile = share("PASHAScheduler(percentile)", percentile, 100.0)
        self._ladder: list[Rung] = self._brackets[0]
        self._top = min(1, len(self._ladder) - 1)  # K_t: position of the present top rung
        self._curves: dict[int, dict[object, float]] = {}  # losses by time, of trials that may still reach the top rung
        self._steps: dict[int, dict[int, float]] = {}  # each trial's losses by position of the rung
        self._common: list[int] = []  # trials on the top rung and the one below, in the order of their arrival
        self._differences = SortedList()  # between those whose curves crossed more than once
        self._compared = 0  # how many were on the top rung when the rankings were compared last
        self._at_end: list[int] | None = None  # on the top rung when nothing else can run
        self.epsilon = 0.0

    @property
    def top(self) -> Any:
        """The time of the present top rung."""
        return self._ladder[self._top].milestone

    def observe(self, trial: TrialView, result: Metrics) -> None:
        self._curves.setdefault(trial.index, {})[lookup(result, self.time_attr)] = self._loss(result)

    def on_result(self, trial: TrialView, result: Metrics) -> Decision:
        self.observe(trial, result)
        place = self._places[trial.index]
        before = place.target
        decision = super().on_result(trial, result)
        if place.target > before:
            self._arrive(trial.index, place.target - 1, self._loss(result))
        if isinstance(decision, Pause) and place.target > self._top + 1:
            return Stop(decision.reason, early=False)
        return decision

    def on_end(self, trial: TrialView, status: Status) -> None:
        super().on_end(trial, status)
        if trial.index not in self._common[-WINDOW:]:
            self._curves.pop(trial.index, None)

    def _best_promotable(self, waiting: WaitingTrials | None) -> int | None:
        """Which trial to promote; none beyond the present top rung."""
        for rung in reversed(self._ladder[: self._top]):
            for index in rung.promotable():
                if waiting is None or waiting.is_paused(index):
                    return index
        return None

    def on_stall(self, exhausted: bool) -> None:
        """No trial is trained beyond the top rung: those that have reached it are complete."""
        if exhausted and not self._active:
            on_top = (index for index, place in self._places.items() if place.waits and place.target == self._top + 1)
            self._at_end = list(on_top)

    def discard(self) -> Iterable[tuple[int, Stop | str]]:
        if not self._at_end:
            return ()
        ended, self._at_end = self._at_end, None
        why = f"rung {self.top}, the highest that the ranking has called for"
        return [(index, Stop(f"{why}: {self._show(self._places[index].loss)}", early=False)) for index in ended]

    def describe(self) -> str:
        return f"PASHA: rungs {', '.join(map(str, self.rungs()))}; starts with {self._ladder[:2][-1].milestone}"

    def debug_string(self) -> str:
        return f"{super().debug_string()}; top rung {self.top}, ε {self.epsilon:.3g}"

    # --- is the ranking stable? ---------------------------------------------------------------------------------------

    def _arrive(self, index: int, position: int, loss: float) -> None:
        """A trial has reached the rung at ``position``: raise the top rung if that shows an unstable ranking."""
        self._steps.setdefault(index, {})[position] = loss
        if position != self._top or self._top - 1 not in self._steps[index]:
            return
        self._learn_noise(index)
        self._common.append(index)
        if len(self._common) * WINDOW < self._compared * (WINDOW + 1) or self._top + 1 >= len(self._ladder):
            return
        self._compared = len(self._common)
        if self._ranking_changes():
            self._top += 1
            self._raise_top()

    def _raise_top(self) -> None:
        """Start anew on the next rung, with those that have jumped onto it."""
        arrived = [i for i, steps in self._steps.items() if self._top in steps and self._top - 1 in steps]
        self._common, self._compared = [], 0
        self._differences.clear()
        for index in arrived:
            self._learn_noise(index)
            self._common.append(index)

    def _ranking_changes(self) -> bool:
        """Whether the two top rungs rank the trials of the top one differently, up to ε (soft ranking)."""
        above = {i: self._steps[i][self._top] for i in self._common}
        below = {i: self._steps[i][self._top - 1] for i in self._common}
        order = sorted(below, key=lambda i: (below[i], i))
        ranking = sorted(above, key=lambda i: (above[i], i))
        return any(abs(below[i] - below[there]) > self.epsilon for i, there in zip(ranking, order) if i != there)

    def _learn_noise(self, index: int) -> None:
        """ε: a percentile of the differences between trials that overtook each other and were overtaken again."""
        own = self._curves.get(index, {})
        for other in self._common[-WINDOW:]:
            difference = _noisy_difference(own, self._curves.get(other, {}), self.top)
            if difference is not None:
                self._differences.add(difference)
        if self._differences:
            exact = (len(self._differences) - 1) * self.percentile / 100.0
            low = math.floor(exact)
            least, most = self._differences[low], self._differences[min(low + 1, len(self._differences) - 1)]
            self.epsilon = least + (most - least) * (exact - low)


def _noisy_difference(a: dict[Any, float], b: dict[Any, float], top: Any) -> float | None:
    """How far apart two curves are at their last common time up to ``top``, if they crossed more than once before."""
    times = sorted(t for t in a if t in b and t <= top)
    signs = [math.copysign(1, a[t] - b[t]) for t in times if a[t] != b[t]]
    if sum(x != y for x, y in pairwise(signs)) < 2:
        return None
    difference = abs(a[times[-1]] - b[times[-1]])
    return difference if math.isfinite(difference) else None
