"""The steps of a budget: amounts of iterations, training rows or folds, each larger than the one before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from tune_sklearn._growing import Growth

LEAST_SAMPLES = 60
SEVERAL = 5
"""Rows of each class that a step of samples holds at least, or all that there are."""
ENOUGH_OF_A_CLASS = 20
"""Rows of a rare class that a first comparison is trained on and scored on."""
RARE = 0.2
"""A class is rare that has less than this part of the rows that it would have if all classes were equal."""
LEAST_OF_PART = LEAST_SAMPLES
ENOUGH_TESTED = 20
"""Test rows of a first comparison."""
UNLIKE = 0.25
"""What part of some rows may be of other classes than all rows are, beyond what chance does."""
ROWS_OF_SMALLER_PARTS = 250
"""From this many rows on there are parts smaller than the first one."""
LEAST_ALIVE = 3
"""Candidates that any comparison by rank alone lets go on."""
LEAST_AFTER_PART = 5
"""Those that a comparison on a part of a fold lets go on."""


@dataclass(frozen=True)
class BudgetSteps:
    """The steps on which a candidate is scored, each with more of the resource than the one before.

    ``steps`` are amounts of the resource in all, the last one being everything: a candidate that reaches it has been
    scored in full. Amounts of folds below 1 are parts of the first fold's training rows. ``growth`` trains a
    candidate's models on from step to step; without it they are trained anew, with the amount as the value of
    ``parameter`` where that is set. ``orders`` (for samples) gives for each fold the positions of its training rows in
    the order in which they are taken, ``fractions`` how many of them at each step. ``smaller`` are parameters for the
    steps on a part of a fold, ``gentle`` is after how many of the first steps more candidates go on than after the
    others. ``checkpoints`` are the steps (counted from 1) after which state is saved, None standing
    for all; ``first_folds`` says on how many folds all but the last step are scored, 0 standing for all. ``why`` tells
    why this resource.
    """

    resource: str
    steps: tuple[int, ...] | tuple[float, ...]
    growth: Growth | None = None
    parameter: str | None = None
    orders: tuple[Any, ...] = ()
    fractions: tuple[float, ...] = ()
    checkpoints: tuple[int, ...] | None = None
    first_folds: int = 0
    smaller: Mapping[str, Any] = field(default_factory=dict)
    gentle: int = 0
    why: str = ""

    def is_last(self, position: int) -> bool:
        """Whether a step is the one with everything."""
        return position + 1 == len(self.steps)

    def train_positions(self, fold: int, position: int) -> Any:
        """Which of a fold's training rows a step trains on, by their positions; None: all of them."""
        if not self.orders or self.is_last(position) or not self.fractions[position]:
            return None
        order = self.orders[fold]
        return np.sort(order[: max(1, round(self.fractions[position] * len(order)))])

    def settings(self, position: int) -> dict[str, Any]:
        """Parameters that a step sets, over those of the candidate."""
        if self.is_partial(position):
            return dict(self.smaller)
        if self.parameter is None or self.growth is not None or self.is_last(position):
            return {}
        return {self.parameter: self.steps[position]}

    def folds_at(self, position: int, n_folds: int) -> int:
        """On how many folds a step is scored."""
        if self.resource == "folds":
            return max(1, int(self.steps[position]))
        return self.first_folds if self.first_folds and not self.is_last(position) else n_folds

    def saves_after(self, step: int) -> bool:
        """Whether a candidate may be paused after this step."""
        return self.checkpoints is None or step in self.checkpoints

    def is_conclusive(self, position: int) -> bool:
        """Whether a fit that fails at a step would fail with everything, too."""
        if self.resource == "folds":
            return not self.is_partial(position)
        return self.growth is not None or self.is_last(position)

    def is_partial(self, position: int) -> bool:
        """Whether a step of folds is one on a part of the first fold."""
        return self.resource == "folds" and self.steps[position] < 1

    @property
    def redone(self) -> int:
        """How many of the first steps are for comparing alone: what they fit is fitted anew by a later one."""
        if self.resource == "folds":
            return sum(map(self.is_partial, range(len(self.steps))))
        return 0 if self.growth is not None else len(self.steps) - 1

    def folds_before(self, position: int) -> int:
        """How many folds have been fitted with everything when a step of folds begins."""
        return 0 if position == 0 or self.is_partial(position - 1) else int(self.steps[position - 1])

    @property
    def unit(self) -> str:
        """What the steps count."""
        if self.resource != "iterations":
            return self.resource
        return self.parameter or "epochs"

    @property
    def how(self) -> str:
        """In which way the steps are trained."""
        if self.growth is not None:
            return self.growth.name
        return f"new fits with a larger {self.parameter}" if self.parameter else f"racing over {self.resource}"

    def describe(self) -> str:
        """For people: the resource, how it is given, and the steps."""
        by = f", by {self.how}" if self.resource == "iterations" else ""
        why = f" ({self.why})" if self.why else ""
        amounts = (str(Fraction(step).limit_denominator(1000)) for step in self.steps)
        smaller = "".join(f", first with {name}={value}" for name, value in self.smaller.items())
        return f"{self.unit}{by}: {', '.join(amounts)}{smaller}{why}"


def geometric_steps(total: int, factor: float, least: int) -> tuple[int, ...]:
    """Amounts that grow by ``factor`` up to ``total``, none below ``least``; whole numbers all the way.

    Examples
    --------
    >>> geometric_steps(100, 3, 3)
    (3, 11, 33, 100)
    """
    steps, divisor = [total], factor
    while (amount := int(total // divisor)) >= max(least, 1) and amount < steps[0]:
        steps.insert(0, amount)
        divisor *= factor
    return tuple(steps)


def linear_steps(total: int, count: int) -> tuple[int, ...]:
    """``count`` equal steps to ``total``, as far as whole numbers allow."""
    count = min(count, total)
    return tuple(sorted({max(1, total * (i + 1) // count) for i in range(count)}))


def fold_steps(n_folds: int, factor: float, least: int) -> tuple[int, ...]:
    """Numbers of folds that grow by ``factor``, at least by one, from ``least`` to all."""
    steps, at = [], float(max(1, min(least, n_folds)))
    while at < n_folds:
        steps.append(int(at))
        at = max(at * factor, at + 1)
    return (*dict.fromkeys(steps), n_folds)


def fold_race(
    folds: list[tuple[Any, Any]],
    labels: Any,
    targets: object,
    factor: float,
    number: int | None,
    smaller: Mapping[str, object],
    rng: np.random.RandomState,
) -> BudgetSteps:
    """A part of one fold, then one fold, two, four and so on: what tells candidates apart at the least cost.

    The part is half of what ``factor`` says where that is enough rows. Where many candidates start, smaller parts come
    before it; where there are few, or where a part would hold too few rows, or too few of a class, there is none, and
    the first two comparisons are gentle ones. A first fold that says little by itself, for its test rows are few, or
    too few of a rare class, or unlike all rows (which may be sorted), is taken with others, up to half of all; if some
    of a rare class are there, a gentle comparison comes before that.

    Parameters
    ----------
    folds
        Training and test rows of each fold.
    labels
        Labels of all rows as numbers; None for a regression.
    targets
        Targets of a regression; None where there are none.
    factor
        Ratio of one part to the next.
    number
        How many candidates start; None if that is not known.
    smaller
        Parameters that make a fit on a part of a fold cheaper.
    rng
        Draws which rows come first.
    """
    first, is_short = _telling(folds, labels, targets), number is not None and number < 2 * LEAST_ALIVE
    parts: list[float] = []
    if first == 1 and (number is None or number >= LEAST_ALIVE + LEAST_AFTER_PART):
        parts, order = _parts(np.asarray(folds[0][0]), labels, factor, number, rng)
    whole = [first]
    while whole[-1] * 2 < len(folds):
        whole.append(whole[-1] * 2)
    if whole[-1] < len(folds):
        whole.append(len(folds))
    if parts:
        fractions = (*parts, *(0.0 for _ in whole))
        return BudgetSteps("folds", (*parts, *whole), orders=(order,), fractions=fractions, smaller=smaller)
    if is_short or not _say_enough(folds[:1], labels, targets, SEVERAL):
        return BudgetSteps("folds", tuple(whole))
    return BudgetSteps("folds", tuple(dict.fromkeys((1, *whole))), gentle=2)


def _parts(
    train: Any, labels: Any, factor: float, number: int | None, rng: np.random.RandomState
) -> tuple[list[float], Any]:
    """The parts of a fold's training rows that come before all of them, and the order in which rows are taken."""
    least, codes = LEAST_OF_PART, None if labels is None else labels[train].reshape(-1, 1)
    if labels is not None:
        sizes = np.unique(labels[train], return_counts=True)[1]
        if sizes.min() < sizes.mean() * RARE:
            least = max(least, math.ceil(ENOUGH_OF_A_CLASS * len(train) / sizes.min()))
        least = max(least, SEVERAL * len(sizes))
    order = _order(len(train), codes, rng)

    def holds_enough(part: float) -> bool:
        return part * len(train) >= least and _holds_several(order, codes, part)

    parts = [part for part in (1 / (2 * factor), 1 / factor) if holds_enough(part)][:1]
    while (
        parts
        and len(train) * parts[0] / factor >= ROWS_OF_SMALLER_PARTS
        and (number is not None and number / factor ** (len(parts) + 1) >= LEAST_ALIVE)
        and holds_enough(parts[0] / factor)
    ):
        parts.insert(0, parts[0] / factor)
    return parts, order


def _telling(folds: list[tuple[Any, Any]], labels: object, targets: object) -> int:
    """How many folds, half of all at most, have test rows that stand for all rows."""
    most = math.ceil(len(folds) / 2)
    enough = (n for n in range(1, most) if _say_enough(folds[:n], labels, targets, ENOUGH_OF_A_CLASS))
    return next(enough, most)


def _say_enough(folds: list[tuple[Any, Any]], labels: object, targets: object, of_a_class: int) -> bool:
    """Whether the test rows of some folds are enough, also of a rare class, and like all rows."""
    rows = np.concatenate([np.asarray(test) for _, test in folds])
    if len(rows) < ENOUGH_TESTED:
        return False
    if labels is not None:
        return _has_classes(labels, rows, of_a_class)
    return targets is None or _has_level(targets, rows)


def _has_classes(labels: Any, rows: Any, enough: int) -> bool:
    """Whether rows have the classes in about the proportion of all rows, and ``enough`` of those that are rare."""
    every = np.bincount(labels)
    some = np.bincount(labels[rows], minlength=len(every))
    some, every = some[every > 0], every[every > 0]
    if every.min() < every.mean() * RARE and some[every < every.mean() * RARE].min() < enough:
        return False
    distance = np.abs(some / some.sum() - every / every.sum()).sum() / 2
    return bool(distance <= UNLIKE + math.sqrt(len(every) / len(rows)) / 2)


def _has_level(targets: Any, rows: Any) -> bool:
    """Whether the targets of some rows are about as large as those of all."""
    try:
        every = np.asarray(targets, dtype=float).reshape(len(targets), -1)
    except (TypeError, ValueError):
        return True
    shift = np.abs(every[rows].mean(axis=0) - every.mean(axis=0))
    return not bool((shift > (2 * UNLIKE + 2 / math.sqrt(len(rows))) * every.std(axis=0)).any())


def sample_steps(
    folds: list[tuple[Any, Any]], labels: object, factor: float, asked: int | None, rng: np.random.RandomState
) -> BudgetSteps:
    """Growing parts of each fold's training rows; steps that would hold too few of a class are left out.

    Parameters
    ----------
    folds
        Training and test rows of each fold.
    labels
        Labels of all rows, one column for each output; None for a regression.
    factor
        Ratio of one step to the next.
    asked
        Fewest training rows of a step; None chooses.
    rng
        Draws which rows come first.
    """
    total = min(len(train) for train, _ in folds)
    codes = [None if labels is None else _codes(labels, np.asarray(train)) for train, _ in folds]
    orders = tuple(_order(len(train), code, rng) for (train, _), code in zip(folds, codes, strict=True))
    least = asked if asked is not None else max(LEAST_SAMPLES, int(total // factor**3))
    steps = [
        amount
        for amount in geometric_steps(total, factor, least)
        if amount == total
        or all(_holds_several(order, code, amount / total) for order, code in zip(orders, codes, strict=True))
    ]
    return BudgetSteps("samples", tuple(steps), orders=orders, fractions=tuple(s / total for s in steps))


def _codes(labels: Any, rows: Any) -> object:
    """The labels of some rows as numbers: an array of (row, output)."""
    taken = np.asarray(labels)[rows]
    columns = taken.reshape(len(taken), -1).T
    return np.column_stack([np.unique(column, return_inverse=True)[1] for column in columns])


def _order(count: int, codes: Any, rng: np.random.RandomState) -> Any:
    """Positions in an order of which every beginning has the classes in proportion."""
    shuffled = rng.permutation(count)
    if codes is None:
        return shuffled
    _, groups = np.unique(codes[shuffled], axis=0, return_inverse=True)
    groups = groups.reshape(-1)
    by_group = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    place = np.empty(count)
    place[by_group] = (np.arange(count) - starts + 0.5) / np.repeat(sizes, sizes)
    return shuffled[np.argsort(place, kind="stable")]


def _holds_several(order: Any, codes: Any, fraction: float) -> bool:
    """Whether the first ``fraction`` of the rows hold several of every class of every output."""
    if codes is None:
        return True
    first = codes[order[: max(1, round(fraction * len(order)))]]
    for column, part in zip(codes.T, first.T, strict=True):
        every = np.bincount(column)
        if (np.bincount(part, minlength=len(every)) < np.minimum(every, SEVERAL)).any():
            return False
    return True
