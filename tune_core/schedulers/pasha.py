"""PASHA: ASHA that trains longer only while the ranking of the best still changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from tune_core.core.objective import lookup
from tune_core.core.trial import TrialView
from tune_core.schedulers.asha import AsyncHyperBandScheduler
from tune_core.schedulers.base import Decision, Pause, Stop, WaitingTrials
from tune_core.schedulers.rung_levels import ITERATION, Rung


class PASHAScheduler(AsyncHyperBandScheduler):
    """Progressive ASHA: the top rung starts low, and moves up when it ranks trials otherwise than the one below.

    Trials whose losses differ by less than the noise ε rank alike. ε comes from the learning curves: the differences,
    at the top rung, between trials whose curves have crossed more than once.

    Parameters
    ----------
    time_attr, metric, mode, max_t, grace_period, reduction_factor
        As for :class:`ASHAScheduler`, whose promotion rule it follows: trials pause on rungs, and save checkpoints.
    percentile
        Which percentile of those differences ε is.
    seed
        For the choice of brackets; there is just one.

    References
    ----------
    Bohdal, Balles, Wistuba, Ermis, Archambeau, Zappella: PASHA: Efficient HPO and NAS with Progressive Resource
    Allocation. ICLR 2023, Algorithm 1 and section 4.3.
    """

    observes = True

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
        self.percentile = percentile
        self._ladder: list[Rung] = self._brackets[0]
        self._top = min(1, len(self._ladder) - 1)  # K_t: position of the present top rung
        self._curves: dict[int, dict[Any, float]] = {}  # losses by time, of trials on the two top rungs
        self.epsilon = 0.0

    @property
    def top(self) -> Any:
        """The time of the present top rung."""
        return self._ladder[self._top].milestone

    def observe(self, trial: TrialView, result: Mapping[str, Any]) -> None:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        self._curves.setdefault(trial.index, {})[lookup(result, self.time_attr)] = self._loss(result)

    def on_result(self, trial: TrialView, result: Mapping[str, Any]) -> Decision:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        self.observe(trial, result)
        before = len(self._ladder[self._top])
        decision = super().on_result(trial, result)
        if len(self._ladder[self._top]) > before and self._top + 1 < len(self._ladder) and self._ranking_changes():
            self._top += 1
        place = self._places[trial.index]
        if isinstance(decision, Pause) and place.target > self._top + 1:
            return Stop(decision.reason)
        return decision

    def _best_promotable(self, waiting: WaitingTrials | None) -> int | None:
        """Whom to promote; nobody beyond the present top rung."""
        for rung in reversed(self._ladder[: self._top]):
            for index in rung.promotable():
                if waiting is None or waiting.is_paused(index):
                    return index
        return None

    def on_stall(self, exhausted: bool) -> None:
        """Nobody goes beyond the top rung just to have got to the end."""

    def describe(self) -> str:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        return f"PASHA: rungs {', '.join(map(str, self.rungs()))}; starts with {self._ladder[:2][-1].milestone}"

    def debug_string(self) -> str:
        """See :class:`tune_core.schedulers.base.Scheduler`."""
        return f"{super().debug_string()}; top rung {self.top}, ε {self.epsilon:.3g}"

    # --- is the ranking stable? ---------------------------------------------------------------------------------------

    def _ranking_changes(self) -> bool:
        """Whether the two top rungs rank the trials of the top one differently, up to ε (soft ranking)."""
        above = {trial: loss for loss, trial in self._ladder[self._top].ranking}
        below = {trial: loss for loss, trial in self._ladder[self._top - 1].ranking if trial in above}
        common = [trial for _, trial in self._ladder[self._top].ranking if trial in below]
        self.epsilon = self._noise(common)
        order = sorted(common, key=lambda trial: (below[trial], trial))
        for position, trial in enumerate(common):
            there = order[position]
            if there != trial and abs(below[there] - below[trial]) > self.epsilon:
                return True
        return False

    def _noise(self, trials: list[int]) -> float:
        """ε: a percentile of the differences between trials that overtook each other and were overtaken again."""
        top = self.top
        found = []
        for at, one in enumerate(trials):
            for other in trials[:at]:
                a, b = self._curves.get(one, {}), self._curves.get(other, {})
                times = sorted(t for t in a if t in b and t <= top)
                signs = [math.copysign(1, a[t] - b[t]) for t in times if a[t] != b[t]]
                crossings = sum(x != y for x, y in pairwise(signs))
                if crossings > 1 and math.isfinite(a[times[-1]] - b[times[-1]]):
                    found.append(abs(a[times[-1]] - b[times[-1]]))
        if not found:
            return self.epsilon
        found.sort()
        return found[min(len(found) - 1, int(len(found) * self.percentile / 100.0))]
