"""The scheduler behind ``early_stopping=True``: at each step the best 1/factor go on, the others are stopped."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean, variance
from typing import Any

from tune_core.schedulers import Continue, Decision, Lease, Pause, Scheduler, Status, Stop, TrialView, WaitingTrials

BY_FOLD = "scores_by_fold"
"""The name under which a report has the scores on each fold."""


class SuccessiveHalving(Scheduler):
    """Successive halving over the candidates of one search.

    With all candidates known (``n_candidates``) each step waits until every candidate has reached it, so who goes on
    depends on the scores alone, and not on the order in which trials finish. Without, each candidate is compared with
    those that were there before it. A comparison in which no candidate has a finite score drops nobody.

    Parameters
    ----------
    n_candidates
        How many candidates start; None if that is not known.
    n_steps
        How many results a candidate that is never stopped reports.
    factor
        One in ``factor`` candidates goes on.
    unit
        What the steps give more of, for the reasons.
    rungs
        The results (counted from 1) after which candidates are compared; None: all but the last.
    keep_unscored
        Whether candidates without a finite score go on, besides one in ``factor`` of the others: right where a fit may
        fail for no other reason than that it was given little. A number: after that many of the first comparisons.
    least
        How many candidates go on at least, after each of the comparisons or after any.
    worse_by
        Candidates that were scored on the same two or more folds are compared fold by fold, too: those go out that are
        worse than the best by more than so many standard errors of the differences. None: they are not.
    gentle
        After that many of the first comparisons, for they tell little, one in the square root of ``factor`` goes on.

    References
    ----------
    Jamieson, Talwalkar: Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016.
    """

    restarts_without_checkpoint = True

    def __init__(
        self,
        n_candidates: int | None,
        n_steps: int,
        factor: float,
        unit: str = "steps",
        rungs: tuple[int, ...] | None = None,
        keep_unscored: bool | int = False,
        least: int | tuple[int, ...] = 1,
        worse_by: float | None = None,
        gentle: int = 0,
    ) -> None:
        super().__init__()
        self.n_steps = n_steps
        self.factor = factor
        self.unit = unit
        self.rungs = tuple(range(1, n_steps)) if rungs is None else rungs
        self._waits = n_candidates is not None
        self._rungs = [
            _Rung(
                math.sqrt(factor) if number < gentle else factor,
                least if isinstance(least, int) else least[number],
                worse_by,
                number < keep_unscored if type(keep_unscored) is int else bool(keep_unscored),
            )
            for number in range(len(self.rungs))
        ]
        if self._rungs:
            self._rungs[0].expected = n_candidates or 0
        self._heading: dict[int, int] = {}  # the rung that a trial is on its way to
        self._ended: set[int] = set()
        self._go: dict[int, None] = {}  # paused trials that are to go on, in order
        self._out: deque[tuple[int, str]] = deque()

    def describe(self) -> str:
        """One line for the journal."""
        return f"SuccessiveHalving(factor={self.factor:g}, {self.unit}, compared after results {list(self.rungs)})"

    def candidates_at(self, position: int) -> int | None:
        """How many candidates take the step at ``position`` (counted from 0) at most; None if that is not known."""
        if not self._waits or not self._rungs:
            return None
        number = self._rungs[0].expected
        for rung in self._rungs[: sum(mark <= position for mark in self.rungs)]:
            number = min(number, _quota(number, rung.factor, rung.least))
        return number

    # --- the scheduler's side -----------------------------------------------------------------------------------------

    def lease(self, trial: TrialView) -> Lease:
        """Up to the next comparison."""
        self._go.pop(trial.index, None)
        return Lease(until=self._next_mark(trial.iteration))

    def on_add(self, trial: TrialView) -> None:
        """A candidate starts on its way to the first comparison."""
        self._heading[trial.index] = 0

    def on_result(self, trial: TrialView, result: Mapping[str, Any]) -> Decision:
        """Compare, once all have come; or with those that came before."""
        done, index = int(result["training_iteration"]), trial.index
        if done not in self.rungs:
            return Continue(until=self._next_mark(done))
        number = self.rungs.index(done)
        rung = self._rungs[number]
        rung.losses[index] = self._loss(result)
        rung.by_fold[index] = self._losses_by_fold(result)
        self._heading[index] = number + 1
        if not self._waits:
            rung.expected = len(rung.losses)
            goes_on = index in rung.best()
            return Continue(until=self._next_mark(done)) if goes_on else Stop(self._reason(index, number))
        if rung.is_complete():
            self._decide(number)
            self._out = deque((i, why) for i, why in self._out if i != index)
            if self._go.pop(index, self) is None:
                return Continue(until=self._next_mark(done))
        if rung.winners is not None and index in rung.winners:  # it came here before, and had to start over
            return Continue(until=self._next_mark(done))
        if rung.winners is not None or rung.is_surely_out(index):
            return Stop(self._reason(index, number))
        return Pause(f"waits for the other candidates at step {done} ({self.unit})")

    def on_end(self, trial: TrialView, status: Status) -> None:
        """A candidate that failed or was stopped by others is not waited for any more."""
        self._ended.add(trial.index)
        number = self._heading.get(trial.index)
        if not self._waits or number is None or number >= len(self._rungs):
            return
        before = self._rungs[number - 1].winners if number else {trial.index}
        if before is not None and trial.index in before:
            self._rungs[number].lost += 1
            if self._rungs[number].is_complete():
                self._decide(number)

    def choose(self, waiting: WaitingTrials) -> int | None:
        """Those that have been found worth going on."""
        return next((i for i in self._go if waiting.is_paused(i)), None)

    def discard(self) -> Iterable[tuple[int, str]]:
        """Those that have been found not to be among the best."""
        while self._out:
            yield self._out.popleft()

    # --- comparing ----------------------------------------------------------------------------------------------------

    def _loss(self, result: Mapping[str, object]) -> float:
        value = result.get(str(self.metric))
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            return math.inf
        return -value if self.mode == "max" else value

    def _losses_by_fold(self, result: Mapping[str, Any]) -> tuple[float, ...]:
        """Losses on the folds that were fitted with everything; none where these are not compared."""
        sign = -1.0 if self.mode == "max" else 1.0
        values = tuple(sign * float(value) for value in result.get(BY_FOLD, ()))
        return values if all(map(math.isfinite, values)) else ()

    def _next_mark(self, done: int) -> float:
        return next((m for m in self.rungs if m > done), self.n_steps + 1)

    def _decide(self, number: int) -> None:
        """Everybody is here: the best go on, the others are out."""
        rung = self._rungs[number]
        rung.winners = rung.best()
        alive = [i for i in sorted(rung.losses, key=lambda i: (rung.losses[i], i)) if i not in self._ended]
        self._go.update(dict.fromkeys(sorted(i for i in alive if i in rung.winners)))
        self._out.extend((i, self._reason(i, number)) for i in alive if i not in rung.winners)
        if number + 1 < len(self._rungs):
            following = self._rungs[number + 1]
            following.expected = len(rung.winners)
            following.lost = len(rung.winners & self._ended)
            if following.is_complete():
                self._decide(number + 1)

    def _reason(self, index: int, number: int) -> str:
        rung = self._rungs[number]
        score = -rung.losses[index] if self.mode == "max" else rung.losses[index]
        quota = _quota(rung.expected, rung.factor, rung.least)
        best = f"{quota} of {rung.expected}" if self._waits else f"1/{rung.factor:g} up to then"
        where = f"step {self.rungs[number]} of {self.n_steps} ({self.unit})"
        if math.isinf(score):
            return f"{where}: {self.metric} was no finite number, and others had one"
        if rung.is_worse_fold_by_fold(index):
            return f"{where}: {self.metric} {score:.6g} was worse than the best by more than the folds differ"
        return f"{where}: {self.metric} {score:.6g} was not among the best {best}"


@dataclass
class _Rung:
    """One comparison: who has come with which loss, how many are expected, and who goes on."""

    factor: float
    least: int
    worse_by: float | None
    keep_unscored: bool
    expected: int = 0
    lost: int = 0  # expected, but ended before they came
    losses: dict[int, float] = field(default_factory=dict)
    by_fold: dict[int, tuple[float, ...]] = field(default_factory=dict)
    winners: set[int] | None = None  # None until decided

    def best(self) -> set[int]:
        """Those that go on if nobody else comes; of equal ones the earlier candidate."""
        scored = sorted((loss, index) for index, loss in self.losses.items() if loss != math.inf)
        unscored = {index for index, loss in self.losses.items() if loss == math.inf}
        if not scored:
            return unscored
        quota = _quota(self.expected - (len(unscored) if self.keep_unscored else 0), self.factor, self.least)
        first = {index for _, index in scored[:quota] if not self.is_worse_fold_by_fold(index)}
        return first | (unscored if self.keep_unscored else set())

    def is_worse_fold_by_fold(self, index: int) -> bool:
        """Whether a candidate is worse than the best on the same folds by more than the differences scatter.

        How they scatter is taken from all that would go on by rank: of one candidate alone there are two or three.
        """
        if self.worse_by is None:
            return False
        ranked = sorted(self.losses, key=lambda i: (self.losses[i], i))
        best, rivals = ranked[0], ranked[1 : _quota(self.expected, self.factor, self.least)]
        mine, scatter = self._behind(index, best), [d for i in rivals if (d := self._behind(i, best))]
        if not mine or not scatter:
            return False
        return fmean(mine) > self.worse_by * math.sqrt(fmean(map(variance, scatter)) / len(mine))

    def _behind(self, index: int, best: int) -> list[float]:
        """How much larger a candidate's loss is than the best one's, fold by fold; none without two folds of both."""
        mine, other = self.by_fold.get(index, ()), self.by_fold.get(best, ())
        if len(mine) < 2 or len(mine) != len(other):
            return []
        return [a - b for a, b in zip(mine, other, strict=True)]

    def is_surely_out(self, index: int) -> bool:
        """Whether a candidate will not go on, whoever else comes."""
        mine = (self.losses[index], index)
        if mine[0] == math.inf and self.keep_unscored:
            return False
        better = sum((loss, other) < mine for other, loss in self.losses.items() if loss != math.inf)
        return better >= _quota(self.expected, self.factor, self.least)

    def is_complete(self) -> bool:
        """Whether all that could come have come, and nobody has decided yet."""
        return self.winners is None and len(self.losses) + self.lost >= self.expected


def _quota(number: int, factor: float, least: int) -> int:
    """How many of a number go on: one in ``factor``, rounded, and at least so many."""
    return max(least, int(number / factor + 0.5))
