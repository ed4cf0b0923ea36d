"""The pruners that people know from Optuna, as schedulers: percentile, median, patient, threshold and Wilcoxon.

They compare a running trial with *complete* ones only: trials that ended of themselves or by a stop condition, not by
the pruner and not with an error. A step is what ``time_attr`` says of a result. Each result waits for a decision; one
of a step that the trial had already reported (it went back to a checkpoint) changes nothing. Given the same values in
the same order, each decides as Optuna's pruner of that name does.

What is kept of a trial is its values until it ends; of a complete one, its values in the sorted lists of their steps
(percentile), or nothing unless it is the best (Wilcoxon). A decision costs a search in a sorted list, or the test.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

from sortedcontainers import SortedList

from tune_core.core.events import Lease
from tune_core.core.objective import lookup
from tune_core.core.optional_imports import require
from tune_core.core.trial import TERMINATED, Status, TrialView
from tune_core.core.validation import integer, number, python_values
from tune_core.core.values import Metrics
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers.base import Continue, Decision, Scheduler, Stop

Step = Any


class Course:
    """The values of one trial that is not complete, by step, in the order in which they came."""

    __slots__ = ("before", "last", "values")

    def __init__(self) -> None:
        self.values: dict[Step, float] = {}
        self.last: Step = -1
        self.before: Step = -1  # the step before the last

    def add(self, step: Step, value: float) -> None:
        self.values[step] = value
        self.before, self.last = self.last, step


class Pruner(Scheduler):
    """What the pruners share: the values of each trial, and the question after each of them.

    A subclass answers :meth:`reason`, and may learn from a complete trial in :meth:`learn`.
    """

    in_any_order = False
    """Whether steps are names, which may come in any order."""

    def __init__(self, metric: str | None, mode: str | None, time_attr: str) -> None:
        super().__init__(metric, mode, time_attr)
        self._courses: dict[int, Course] = {}
        self._pruned: set[int] = set()

    @property
    def maximises(self) -> bool:
        """Whether higher values are better."""
        return self.objective is not None and self.objective.mode == "max"

    def begin(self, index: int) -> None:
        """Trial ``index`` begins."""

    def note(self, index: int, course: Course) -> None:
        """The last value of ``course`` has come; no decision yet."""

    def reason(self, index: int, course: Course) -> str | None:
        """Why the trial of this course is to end now; None: it goes on."""
        raise NotImplementedError

    def learn(self, course: Course) -> None:
        """A trial is complete."""

    def forget(self, index: int) -> None:
        """Trial ``index`` has ended, for whatever reason."""

    # --- the scheduler's questions ------------------------------------------------------------------------------------

    def on_add(self, trial: TrialView) -> None:
        self._courses[trial.index] = Course()
        self.begin(trial.index)

    def lease(self, trial: TrialView) -> Lease:
        return Lease(steps=1)

    def on_result(self, trial: TrialView, result: Metrics) -> Decision:
        assert self.objective is not None
        course = self._courses[trial.index]
        step, value = lookup(result, self.time_attr), _number(lookup(result, self.objective.metric))
        known = step in course.values if self.in_any_order else step is not None and step <= course.last
        if value is None or step is None or known:
            return Continue(steps=1)
        course.add(step, value)
        self.note(trial.index, course)
        reason = self.reason(trial.index, course)
        if reason is None:
            return Continue(steps=1)
        self._pruned.add(trial.index)
        return Stop(f"at {self.time_attr} {step}: {reason}")

    def on_end(self, trial: TrialView, status: Status) -> None:
        course = self._courses.pop(trial.index)
        if status is TERMINATED and trial.index not in self._pruned and course.values:
            self.learn(course)
        self._pruned.discard(trial.index)
        self.forget(trial.index)

    def show(self, value: float) -> str:
        """A value with its metric's name."""
        assert self.objective is not None
        return f"{self.objective.metric} {value:.6g}"


class PercentilePruner(Pruner):
    """Stop a trial whose best value so far is not among the best ``percentile`` of complete trials at the same step.

    Parameters
    ----------
    percentile
        From 0 to 100: 25 keeps the best quarter.
    n_startup_trials
        So many trials must be complete before one is stopped.
    n_warmup_steps
        No trial is stopped at an earlier step.
    interval_steps
        A trial is judged at its first value in each stretch of so many steps after the warm-up.
    n_min_trials
        So many complete trials must have a value at the step.
    metric, mode
        What to compare trials by; None takes ``TuneConfig``'s.
    time_attr
        The result field that counts the steps.

    Examples
    --------
    >>> PercentilePruner(25.0, n_startup_trials=10).describe()
    'PercentilePruner: the best 25 % go on; after 10 complete trials'
    """

    @python_values
    def __init__(
        self,
        percentile: float,
        n_startup_trials: int = 5,
        n_warmup_steps: int = 0,
        interval_steps: int = 1,
        *,
        n_min_trials: int = 1,
        metric: str | None = None,
        mode: str | None = None,
        time_attr: str = "training_iteration",
    ) -> None:
        super().__init__(metric, mode, time_attr)
        name = type(self).__name__
        self.percentile = number(f"{name}(percentile)", percentile, 0.0)
        if self.percentile > 100.0:
            raise InvalidArgumentError(
                f"{name}(percentile)", f"is {percentile!r}", "it is a percentage", "Use a number from 0 to 100."
            )
        self.n_startup_trials = integer(f"{name}(n_startup_trials)", n_startup_trials, 0)
        self.n_warmup_steps = integer(f"{name}(n_warmup_steps)", n_warmup_steps, 0)
        self.interval_steps = integer(f"{name}(interval_steps)", interval_steps)
        self.n_min_trials = integer(f"{name}(n_min_trials)", n_min_trials)
        self._at_step: dict[Step, SortedList] = {}  # the values of complete trials, without NaN
        self._came: dict[Step, int] = {}  # how many there were, with NaN
        self._complete = 0
        self._best: dict[int, float] = {}

    def note(self, index: int, course: Course) -> None:
        value = course.values[course.last]
        best = self._best.get(index, math.nan)
        if math.isnan(best) or (value > best if self.maximises else value < best):
            self._best[index] = value

    def reason(self, index: int, course: Course) -> str | None:
        if not self._complete or self._complete < self.n_startup_trials:
            return None
        if not _is_due(course, self.n_warmup_steps, self.interval_steps):
            return None
        best = self._best[index]
        if math.isnan(best):
            return f"no value of {self.metric} so far is a number"
        known = self._at_step.get(course.last)
        if not known or self._came[course.last] < self.n_min_trials:
            return None
        limit = _percentile(known, 100 - self.percentile if self.maximises else self.percentile)
        if not (best < limit if self.maximises else best > limit):
            return None
        return (
            f"best so far {self.show(best)} is outside the best {self.percentile:g} % of {self._came[course.last]} "
            f"complete trials (cutoff {limit:.6g})"
        )

    def learn(self, course: Course) -> None:
        self._complete += 1
        for step, value in course.values.items():
            self._came[step] = self._came.get(step, 0) + 1
            if not math.isnan(value):
                self._at_step.setdefault(step, SortedList()).add(value)

    def forget(self, index: int) -> None:
        self._best.pop(index, None)

    def describe(self) -> str:
        after = f"after {self.n_startup_trials} complete trials"
        return f"{type(self).__name__}: the best {self.percentile:g} % go on; {after}"


class MedianPruner(PercentilePruner):
    """Stop a trial whose best value so far is worse than the median of complete trials' values at the same step.

    :class:`~tune_core.schedulers.MedianStoppingRule` compares with averages of all trials, running ones too.

    Parameters
    ----------
    n_startup_trials, n_warmup_steps, interval_steps, n_min_trials, metric, mode, time_attr
        As for :class:`PercentilePruner`.
    """

    @python_values
    def __init__(
        self,
        n_startup_trials: int = 5,
        n_warmup_steps: int = 0,
        interval_steps: int = 1,
        *,
        n_min_trials: int = 1,
        metric: str | None = None,
        mode: str | None = None,
        time_attr: str = "training_iteration",
    ) -> None:
        super().__init__(
            50.0,
            n_startup_trials,
            n_warmup_steps,
            interval_steps,
            n_min_trials=n_min_trials,
            metric=metric,
            mode=mode,
            time_attr=time_attr,
        )


class ThresholdPruner(Pruner):
    """Stop a trial whose last value is below ``lower``, above ``upper`` or NaN, whatever the mode.

    Parameters
    ----------
    lower, upper
        The bounds of what is allowed; one of them may be None.
    n_warmup_steps, interval_steps, metric, mode, time_attr
        As for :class:`PercentilePruner`.
    """

    @python_values
    def __init__(
        self,
        lower: float | None = None,
        upper: float | None = None,
        n_warmup_steps: int = 0,
        interval_steps: int = 1,
        *,
        metric: str | None = None,
        mode: str | None = None,
        time_attr: str = "training_iteration",
    ) -> None:
        super().__init__(metric, mode, time_attr)
        if lower is None and upper is None:
            raise InvalidArgumentError(
                "ThresholdPruner(lower, upper)", "are both None", "no value is refused", "Give e.g. upper=10.0."
            )
        self.lower = -math.inf if lower is None else number("ThresholdPruner(lower)", lower)
        self.upper = math.inf if upper is None else number("ThresholdPruner(upper)", upper)
        if self.lower > self.upper:
            raise InvalidArgumentError(
                "ThresholdPruner(lower, upper)",
                f"are {lower!r} and {upper!r}",
                "no value lies between them",
                "Give the smaller one as lower.",
            )
        self.n_warmup_steps = integer("ThresholdPruner(n_warmup_steps)", n_warmup_steps, 0)
        self.interval_steps = integer("ThresholdPruner(interval_steps)", interval_steps)

    def reason(self, index: int, course: Course) -> str | None:
        if not _is_due(course, self.n_warmup_steps, self.interval_steps):
            return None
        value = course.values[course.last]
        if math.isnan(value):
            return f"{self.metric} is NaN"
        if value < self.lower:
            return f"{self.show(value)} is below {self.lower:g}"
        return f"{self.show(value)} is above {self.upper:g}" if value > self.upper else None

    def describe(self) -> str:
        return f"ThresholdPruner: values from {self.lower:g} to {self.upper:g} go on"


class PatientPruner(Pruner):
    """Stop a trial that has not improved for ``patience`` steps, or let another pruner decide from then on.

    Parameters
    ----------
    wrapped_pruner
        The pruner of this module that decides once the patience has run out; None stops at once.
    patience
        How many values in a row need bring no improvement before one is stopped.
    min_delta
        The best of the last ``patience + 1`` values must be worse than the best before by more than this.
    metric, mode, time_attr
        As for :class:`PercentilePruner`; the wrapped pruner uses the same.
    """

    @python_values
    def __init__(
        self,
        wrapped_pruner: Pruner | None,
        patience: int,
        min_delta: float = 0.0,
        *,
        metric: str | None = None,
        mode: str | None = None,
        time_attr: str = "training_iteration",
    ) -> None:
        super().__init__(metric, mode, time_attr)
        if wrapped_pruner is not None and not isinstance(wrapped_pruner, Pruner):
            raise InvalidArgumentError(
                "PatientPruner(wrapped_pruner)",
                f"is {wrapped_pruner!r}",
                "it is asked at each value whether the trial is to end, which only the pruners of this module are",
                "Use e.g. PercentilePruner(25.0), or None to stop at once.",
            )
        self.wrapped_pruner = wrapped_pruner
        self.patience = integer("PatientPruner(patience)", patience, 0)
        self.min_delta = number("PatientPruner(min_delta)", min_delta, 0.0)
        self._recent: dict[int, deque[float]] = {}  # the last patience + 1 values
        self._before: dict[int, float] = {}  # the best of those before them

    def setup(self, metric: str | None, mode: str | None, seed: int, space: Mapping[str, object] | None) -> None:
        super().setup(metric, mode, seed, space)
        if self.wrapped_pruner is not None:
            self.wrapped_pruner.time_attr = self.time_attr
            self.wrapped_pruner.setup(self.metric, self.mode, seed, space)

    def begin(self, index: int) -> None:
        self._recent[index] = deque()
        self._before[index] = math.nan
        if self.wrapped_pruner is not None:
            self.wrapped_pruner.begin(index)

    def note(self, index: int, course: Course) -> None:
        recent = self._recent[index]
        recent.append(course.values[course.last])
        if len(recent) > self.patience + 1:
            self._before[index] = self._better(self._before[index], recent.popleft())
        if self.wrapped_pruner is not None:
            self.wrapped_pruner.note(index, course)

    def _better(self, a: float, b: float) -> float:
        if math.isnan(a) or math.isnan(b):
            return b if math.isnan(a) else a
        return max(a, b) if self.maximises else min(a, b)

    def reason(self, index: int, course: Course) -> str | None:
        before, latest = self._before[index], math.nan
        for value in self._recent[index] if len(course.values) > self.patience + 1 else ():
            latest = self._better(latest, value)
        worse = before - self.min_delta > latest if self.maximises else before + self.min_delta < latest
        if not worse:
            return None
        why = f"no value of the last {self.patience + 1} came to the best before, {self.show(before)}"
        if self.wrapped_pruner is None:
            return why
        wrapped = self.wrapped_pruner.reason(index, course)
        return None if wrapped is None else f"{wrapped}; {why}"

    def learn(self, course: Course) -> None:
        if self.wrapped_pruner is not None:
            self.wrapped_pruner.learn(course)

    def forget(self, index: int) -> None:
        self._recent.pop(index, None)
        self._before.pop(index, None)
        if self.wrapped_pruner is not None:
            self.wrapped_pruner.forget(index)

    def describe(self) -> str:
        inner = "" if self.wrapped_pruner is None else f", then {self.wrapped_pruner.describe()}"
        return f"PatientPruner: {self.patience} steps without improvement{inner}"


class WilcoxonPruner(Pruner):
    """Stop a trial that a signed-rank test takes to be worse than the best complete one, instance by instance.

    For objectives that are a mean over instances (folds, data sets, questions), each of which is one step: the value of
    a trial is the mean of its values. The step names the instance, so ``time_attr`` has to be the same for the same
    instance in each trial; a value of a step that the best trial lacks is not compared.

    Parameters
    ----------
    p_threshold
        The trial is stopped once the one-sided p-value is below this; from 0 to 1.
    n_startup_steps
        So many instances must be shared with the best trial first; at least two are needed in any case.
    metric, mode, time_attr
        As for :class:`PercentilePruner`.

    Notes
    -----
    Needs SciPy. The test is repeated with each value, so the chance of a wrong stop over the whole course is above
    ``p_threshold``. Trials with NaN or infinite values are not stopped, and none is compared with them.

    References
    ----------
    Wilcoxon, 1945, "Individual Comparisons by Ranking Methods".
    """

    @python_values
    def __init__(
        self,
        *,
        p_threshold: float = 0.1,
        n_startup_steps: int = 2,
        metric: str | None = None,
        mode: str | None = None,
        time_attr: str = "training_iteration",
    ) -> None:
        super().__init__(metric, mode, time_attr)
        self.in_any_order = True
        self.p_threshold = number("WilcoxonPruner(p_threshold)", p_threshold, 0.0)
        if self.p_threshold > 1.0:
            raise InvalidArgumentError(
                "WilcoxonPruner(p_threshold)", f"is {p_threshold!r}", "it is a chance", "Use a number from 0 to 1."
            )
        self.n_startup_steps = integer("WilcoxonPruner(n_startup_steps)", n_startup_steps, 0)
        self._test = require("WilcoxonPruner", "scipy.stats", "sklearn").wilcoxon
        self._best: dict[Step, float] = {}  # of the best complete trial
        self._best_mean = math.nan

    def reason(self, index: int, course: Course) -> str | None:
        values = course.values
        shared = [step for step in values if step in self._best]
        if len(shared) < max(2, self.n_startup_steps):
            return None
        if not all(map(math.isfinite, values.values())) or not all(map(math.isfinite, self._best.values())):
            return None
        differences = [values[step] - self._best[step] for step in shared]
        alternative = "less" if self.maximises else "greater"
        p = float(self._test(differences, alternative=alternative, zero_method="zsplit").pvalue)
        mean = _mean(values)
        if not p < self.p_threshold or (self._best_mean <= mean if self.maximises else self._best_mean >= mean):
            return None
        return (
            f"mean {self.show(mean)} is worse than the best trial's, {self._best_mean:.6g}, "
            f"on {len(shared)} instances (p = {p:.3g})"
        )

    def learn(self, course: Course) -> None:
        mean = _mean(course.values)
        if math.isnan(mean):
            return
        better = mean > self._best_mean if self.maximises else mean < self._best_mean
        if better or not self._best:
            self._best, self._best_mean = course.values, mean

    def describe(self) -> str:
        return f"WilcoxonPruner: stops what is worse than the best trial at p < {self.p_threshold:g}"


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _mean(values: Mapping[Step, float]) -> float:
    total = 0.0
    for value in values.values():
        total += value
    return total / len(values)


def _is_due(course: Course, warmup: int, interval: int) -> bool:
    """Whether the last value is the first one in its stretch of ``interval`` steps after the warm-up."""
    if course.last < warmup:
        return False
    return bool(course.before < (course.last - warmup) // interval * interval + warmup)


def _percentile(ordered: SortedList, percentile: float) -> float:
    """The percentile with linear interpolation, rounded as NumPy does; between infinities NaN, which stops nothing."""
    place = (len(ordered) - 1) * (percentile / 100.0)
    below = min(math.floor(place), len(ordered) - 1)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    part, gap = place - below, high - low
    return float(high - gap * (1.0 - part) if part >= 0.5 else low + gap * part)
