"""Losses of trials at the steps where trials are compared: the rungs of a scheduler that stops trials early.

The rungs are found from the steps at which trials are stopped, or stand until a scheduler lets them go on.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from sortedcontainers import SortedList

from tune_core.core.values import Array

_MOST_LEVELS = 7
_SHARE = 0.02
"""A step counts as a rung where at least two trials, and this share of all, were stopped or stand."""


class Observation(NamedTuple):
    """The loss of a trial at a level. In order, the least loss at the highest level comes first."""

    below: int  # the negated number of its level
    has_failed: bool
    loss: float  # 0 where it has failed
    course: int
    place: int  # among those of its course


@dataclass
class Course:
    """One trial: its point, and its losses by step."""

    number: int
    row: Array | None
    losses: dict[float, float] = field(default_factory=dict)
    last: float = 0.0  # the step reached; infinity at the end of a complete trial
    ended: bool = False
    observed: list[Observation] = field(default_factory=list)  # what is ranked of it


class LearningCurves:
    """The losses of all trials by step, and the observations that a model is to learn from."""

    def __init__(self) -> None:
        self._courses: list[Course] = []
        self._open: dict[str, Course] = {}
        self._standing: Counter[float] = Counter()  # trials by the step at which they were stopped early, or are now
        self._complete = self._ended_well = 0
        self._stopped = 0  # early
        self._falls = 0  # from a rung to the next: how many more fell than did not
        self._levels: list[float] = [math.inf]  # those that the next is for
        self._ranked: Any = SortedList()  # all observations: an ask looks at few of them

    def __len__(self) -> int:
        """How many trials have a result, or have ended without one."""
        return len(self._courses)

    def has_begun(self, trial_id: str) -> bool:
        """Whether a trial has results and has not ended."""
        return trial_id in self._open

    def is_observed(self, trial_id: str) -> bool:
        """Whether a trial that has not ended was among the observations when they were last asked for."""
        return trial_id in self._open and bool(self._open[trial_id].observed)

    def usable(self) -> int:
        """How many trials have a loss that a model can learn from."""
        self._follow_levels()
        return self._ended_well + sum(bool(course.observed) for course in self._open.values())

    @property
    def has_rungs(self) -> bool:
        """Whether trials are stopped early, or wait, as far as they have been told."""
        return self._levels[0] < math.inf

    def wait(self) -> bool:
        """Whether trials that a scheduler does not let go on wait rather than end: more of them than were stopped."""
        return self.has_rungs and sum(bool(course.observed) for course in self._open.values()) > self._stopped

    @property
    def fall(self) -> bool:
        """Whether losses fall as training goes on, from one rung to the next."""
        return self._falls >= 0

    def begin(self, trial_id: str, row: Array) -> None:
        """A trial has its first result."""
        self._open[trial_id] = course = Course(len(self._courses), row)
        self._courses.append(course)

    def note(self, trial_id: str, step: float, loss: float) -> None:
        """A trial that has not ended reached a loss at a rung."""
        course = self._open[trial_id]
        if step > course.last:
            if course.losses:
                self._falls += 1 if loss < course.losses[course.last] else -1
            self._leave(course)
            course.losses[step], course.last = loss, step
            self._standing[step] += 1
            self._rank(course)

    def end(self, trial_id: str, loss: float, step: float | None = None, row: Array | None = None) -> None:
        """A trial ended; a failure has the loss NaN.

        Parameters
        ----------
        trial_id, row
            The trial, and its point if it has had no result before.
        loss
            Its final loss.
        step
            Where it was stopped early; None: it is complete.
        """
        course = self._open.pop(trial_id, None)
        if course is None:
            course = Course(len(self._courses), row)
            self._courses.append(course)
        at = math.inf if step is None else float(step)
        self._leave(course)
        course.losses[at], course.last, course.ended = loss, at, True
        if loss == loss:
            self._ended_well += 1
            if step is None:
                self._complete += 1
            else:
                self._standing[at] += 1
                self._stopped += 1
        self._rank(course)

    def _leave(self, course: Course) -> None:
        """A trial no longer stands where it stood."""
        if course.losses:
            self._standing[course.last] -= 1
            if not self._standing[course.last]:
                del self._standing[course.last]

    def _rank(self, course: Course) -> None:
        """What a trial came to is known anew."""
        for one in course.observed:
            self._ranked.discard(one)
        course.observed = self._observed(course)
        self._ranked.update(course.observed)

    def levels(self) -> list[float]:
        """The steps at which trials are compared; infinity stands for the end of complete trials."""
        enough = max(2.0, _SHARE * len(self))
        common = sorted(step for step, count in self._standing.most_common(_MOST_LEVELS) if count >= enough)
        return [*common, math.inf] if self._complete or not common else common

    def observations(self, at_most: int) -> tuple[Array, Array, Array, list[float]]:
        """Points, the number of the level of each, their losses, and the levels' steps.

        Beyond ``at_most``, those of the highest levels, with the least loss first, and the latest are kept.
        """
        import numpy as np

        self._follow_levels()
        if len(self._ranked) > at_most:
            chosen = {*islice(self._ranked, 2 * at_most // 5), *islice(self._latest(), 3 * at_most // 5)}
        else:
            chosen = set(self._ranked)
        found = sorted(chosen, key=lambda one: (one.course, one.place))
        rows = np.array([self._courses[one.course].row for one in found])
        losses = np.array([math.nan if one.has_failed else one.loss for one in found])
        return rows, np.array([-one.below for one in found]), losses, self._levels

    def _follow_levels(self) -> None:
        levels = self.levels()
        if levels != self._levels:
            self._levels = levels
            for course in self._courses:
                course.observed = self._observed(course)
            self._ranked = SortedList(one for course in self._courses for one in course.observed)

    def _latest(self) -> Iterator[Observation]:
        """All observations, those of the trials that began last first."""
        for course in reversed(self._courses):
            yield from reversed(course.observed)

    def _observed(self, course: Course) -> list[Observation]:
        """What a trial came to at the levels."""
        return [
            Observation(-level, math.isnan(loss), 0.0 if math.isnan(loss) else loss, course.number, place)
            for place, (level, loss) in enumerate(_at_levels(course, self._levels))
        ]


def _at_levels(course: Course, levels: list[float]) -> list[tuple[int, float]]:
    """A course's loss at each level that it passed: its last one within the level's stretch."""
    if len(levels) == 1 and course.ended:
        return [(0, course.losses[course.last])]
    by_level: dict[int, float] = {}
    for step, loss in sorted(course.losses.items()):
        level = bisect_right(levels, step) - 1  # the highest level that is at or below
        is_end = course.ended and step == course.last and (level >= 0 or loss != loss)
        if step not in levels and not is_end:
            level += 1  # on the way to the next one
            if level >= len(levels) or step < 0.7 * levels[level]:
                continue
        by_level[max(level, 0)] = loss
    return list(by_level.items())
