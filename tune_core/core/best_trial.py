"""Which trial of a run is the best: by the run's metric, among those that break its constraints least."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from tune_core.core.constraints import Constraint, violation
from tune_core.core.trial import Trial, known_value


class RankedTrials(Sequence[Any]):
    """Trials of which it is known, before any of them is looked at, which ones are the best by the run's metric."""

    @abstractmethod
    def first(self, by: str) -> Trial | None:
        """The trial with the best of all values (``by="best"``), or of the last known ones (``"last"``).

        None where no trial has a finite one. Of equal trials the first one.
        """

    @abstractmethod
    def ranked(self, limit: int) -> list[Trial]:
        """The first trials for people to look at: running ones, then the best, then the newest."""


def violation_of(trial: Trial, constraints: Sequence[Constraint]) -> float:
    """By how much a trial's last known values break constraints; 0 if they meet them or there are none."""
    return violation(constraints, {one.metric: known_value(trial, one.metric) for one in constraints})


def least_broken(trials: Sequence[Trial], constraints: Sequence[Constraint]) -> tuple[Sequence[Trial], float]:
    """The trials whose last known values break constraints least, and by how much: 0 if any trial meets them."""
    if not constraints or not trials:
        return trials, 0.0
    broken = [violation_of(trial, constraints) for trial in trials]
    least = min(broken)
    return [trial for trial, by in zip(trials, broken, strict=True) if by == least], least


def best_of(trials: Iterable[Trial], constraints: Sequence[Constraint]) -> Trial | None:
    """The trial with the best value of the run's metric among those that break constraints least; None without one."""
    if isinstance(trials, RankedTrials) and not constraints:
        return trials.first("best")
    rated = (trial for trial in trials if trial.best is not None and trial.best_loss < math.inf)
    return min(rated, key=lambda trial: (violation_of(trial, constraints), trial.best_loss, trial.index), default=None)
