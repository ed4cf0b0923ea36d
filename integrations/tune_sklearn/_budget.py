"""The steps of a budget: amounts of iterations, training rows or folds, each larger than the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tune_sklearn._growing import Growth

LEAST_SAMPLES = 60
SEVERAL = 5
"""Rows of each class that a step of samples holds at least, or all that there are."""


@dataclass(frozen=True)
class BudgetSteps:
    """The steps on which a candidate is scored, each with more of the resource than the one before.

    ``steps`` are amounts of the resource in all, the last one being everything: a candidate that reaches it has been
    scored in full. ``growth`` trains a candidate's models on from step to step; without it they are trained anew, with
    the amount as the value of ``parameter`` where that is set. ``orders`` (for samples) gives for each fold the
    positions of its training rows in the order in which they are taken, ``fractions`` how many of them at each step.
    ``checkpoints`` are the steps (counted from 1) after which state is saved, None standing for all; ``first_folds``
    says on how many folds all but the last step are scored, 0 standing for all. ``why`` tells why this resource.
    """

    resource: str
    steps: tuple[int, ...]
    growth: Growth | None = None
    parameter: str | None = None
    orders: tuple[Any, ...] = ()
    fractions: tuple[float, ...] = ()
    checkpoints: tuple[int, ...] | None = None
    first_folds: int = 0
    why: str = ""

    def is_last(self, position: int) -> bool:
        """Whether a step is the one with everything."""
        return position + 1 == len(self.steps)

    def train_positions(self, fold: int, position: int) -> Any:
        """Which of a fold's training rows a step trains on, by their positions; None: all of them."""
        if not self.orders or self.is_last(position):
            return None
        order = self.orders[fold]
        return np.sort(order[: max(1, round(self.fractions[position] * len(order)))])

    def settings(self, position: int) -> dict[str, Any]:
        """Parameters that a step sets, over those of the candidate."""
        if self.parameter is None or self.growth is not None or self.is_last(position):
            return {}
        return {self.parameter: self.steps[position]}

    def folds_at(self, position: int, n_folds: int) -> int:
        """On how many folds a step is scored."""
        return self.first_folds if self.first_folds and not self.is_last(position) else n_folds

    def saves_after(self, step: int) -> bool:
        """Whether a candidate may be paused after this step."""
        return self.checkpoints is None or step in self.checkpoints

    def is_conclusive(self, position: int) -> bool:
        """Whether a fit that fails at a step would fail with everything, too."""
        return self.resource == "folds" or self.growth is not None or self.is_last(position)

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
        return f"{self.unit}{by}: {', '.join(map(str, self.steps))}{why}"


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


def sample_steps(
    folds: list[tuple[Any, Any]], labels: Any, factor: float, asked: int | None, rng: np.random.RandomState
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


def _codes(labels: Any, rows: Any) -> Any:
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
