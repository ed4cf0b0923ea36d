"""Early stopping: what a candidate is given more and more of (iterations, samples, folds), in which steps, by whom."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from tune_core.errors import InvalidArgumentError
from tune_sklearn._growing import Growth, LastStep, PartialFit, Rebuild, growth_of
from tune_sklearn._racing import SuccessiveHalving
from tune_sklearn._schedulers import scheduler_for, wanted

RESOURCES = ("auto", "iterations", "samples", "folds")
_FEW_SAMPLES = 1000  # training rows below which a fraction of them says little
_LEAST_SAMPLES = 60
_LEAST_ITERATIONS = 3
_ENOUGH_TEST_ROWS = 5000  # an accuracy is then known to about half a per cent


@dataclass(frozen=True)
class Ladder:
    """The steps on which a candidate is scored, each with more of the resource than the one before.

    ``steps`` are amounts of the resource in all, the last one being everything: a candidate that reaches it has been
    scored in full. ``orders`` (for samples) gives each fold's training rows in the order in which they are taken;
    ``checkpoints`` are the steps (counted from 1) after which state is saved, None standing for all; ``first_folds``
    says on how many folds all but the last step are scored, 0 standing for all.
    """

    resource: str
    steps: tuple[int, ...]
    growth: Growth | None = None
    orders: tuple[Any, ...] = ()
    fractions: tuple[float, ...] = ()
    checkpoints: tuple[int, ...] | None = None
    first_folds: int = 0

    def train_subset(self, fold: int, position: int, train: Any) -> Any:
        """The rows that a fold trains on at a step; None: all of them."""
        if self.resource != "samples" or position + 1 == len(self.steps):
            return None
        order = self.orders[fold]
        count = max(1, round(self.fractions[position] * len(order)))
        return np.sort(order[:count])

    def folds_at(self, position: int, n_folds: int) -> int:
        """On how many folds a step is scored."""
        return self.first_folds if self.first_folds and position < len(self.steps) - 1 else n_folds

    def saves_after(self, step: int) -> bool:
        """Whether a candidate may be put aside after this step."""
        return self.checkpoints is None or step in self.checkpoints

    @property
    def unit(self) -> str:
        """What the steps count."""
        if self.growth is None:
            return self.resource
        return self.growth.parameter or "epochs"

    def describe(self) -> str:
        """For people: the resource, how it is given, and the steps."""
        how = f", by {self.growth.name}" if self.growth is not None else ""
        return f"{self.unit}{how}: {', '.join(map(str, self.steps))}"


def plan(
    search: Any,
    estimator: Any,
    y: Any,
    folds: list[tuple[Any, Any]],
    space: Mapping[str, Any],
    n_candidates: int | None,
    seed: int,
) -> tuple[Ladder | None, Any]:
    """The budget_steps and the scheduler that a search asks for; (None, None) without early stopping.

    ``space`` has the names that are searched as its keys; ``n_candidates`` is None where they are not known beforehand.

    Raises
    ------
    InvalidArgumentError
        If the resource that was asked for cannot be had with this estimator or this search space.
    """
    asked = wanted(search)
    if asked is False:
        return None, None
    rng = np.random.RandomState(seed % 2**32)
    budget_steps = _ladder(search, estimator, y, folds, space, rng, geometric=asked is True and search.max_iters <= 1)
    if asked is not True:
        return budget_steps, scheduler_for(asked, len(budget_steps.steps), space, seed)
    if search.max_iters <= 1 and budget_steps.resource != "folds":
        budget_steps = replace(budget_steps, first_folds=_first_folds(folds))
    rungs = _rungs(len(budget_steps.steps), search)
    # only there is a candidate put aside, to go on from its checkpoint
    budget_steps = replace(budget_steps, checkpoints=rungs if n_candidates is not None else ())
    return budget_steps, SuccessiveHalving(
        n_candidates, len(budget_steps.steps), search.factor, budget_steps.unit, rungs
    )


def _first_folds(folds: list[tuple[Any, Any]]) -> int:
    """Enough folds to tell candidates apart roughly: on large data fewer than all."""
    rows = max(1, min(len(test) for _, test in folds))
    return min(len(folds), max(2, math.ceil(_ENOUGH_TEST_ROWS / rows)))


def _rungs(steps: int, search: Any) -> tuple[int, ...]:
    """The steps after which candidates are compared: all, but with ``max_iters``, where each epoch is one, some."""
    if search.max_iters <= 1:
        return tuple(range(1, steps))
    marks, at = [], 1
    while at < steps:
        marks.append(at)
        at *= max(2, math.ceil(search.factor))
    return tuple(marks)


# --- the steps of the budget ----------------------------------------------------------------------------------------


def _ladder(
    search: Any,
    estimator: Any,
    y: Any,
    folds: list[tuple[Any, Any]],
    names: Collection[str],
    rng: np.random.RandomState,
    geometric: bool,
) -> Ladder:
    resource = search.resource
    if resource == "n_samples":
        resource = "samples"
    if resource == "auto":
        resource = _choose(search, estimator, folds, names)
    if resource == "folds":
        return Ladder("folds", _fold_steps(len(folds), search))
    if resource == "samples":
        return _sample_ladder(search, estimator, y, folds, rng)
    if resource == "iterations":
        growth = growth_of(estimator, search.pipeline_auto_early_stop)
        if growth is None:
            raise InvalidArgumentError(
                "early_stopping with resource='iterations'",
                f"was asked for {estimator!r}",
                "it has neither partial_fit nor a warm start that could train it further",
                'Use resource="samples" or resource="folds", which work with every estimator.',
            )
    else:
        growth = _growth_by(resource, estimator, search.pipeline_auto_early_stop)
    if growth.parameter in names:
        raise InvalidArgumentError(
            f"The search space's {growth.parameter!r}",
            "is what early stopping gives more and more of",
            "a parameter cannot both be searched and be the resource",
            'Take it out of the search space, or use resource="samples" or "folds".',
        )
    return Ladder("iterations", _iteration_steps(search, growth, estimator, geometric), growth)


def _choose(search: Any, estimator: Any, folds: list[tuple[Any, Any]], names: Collection[str]) -> str:
    """The resource that suits: size of the model, else training rows if there are many, else folds."""
    growth = growth_of(estimator, search.pipeline_auto_early_stop)
    if growth is not None and growth.parameter not in names:
        asked = search.max_iters > 1 or search.early_stopping is not True
        total = growth.total_of(estimator)
        if (asked and not (growth.natural and total is None)) or (
            growth.natural and total is not None and total >= 2 * _LEAST_ITERATIONS
        ):
            return "iterations"
    if min(len(train) for train, _ in folds) >= _FEW_SAMPLES or len(folds) == 1:
        return "samples"
    return "folds"


def _growth_by(name: str, estimator: Any, inside_pipelines: bool) -> Growth:
    """The growth whose resource is the estimator's own parameter ``name``."""
    growth = growth_of(estimator, inside_pipelines)
    if growth is not None and growth.parameter == name:
        return growth
    params = estimator.get_params()
    if name not in params:
        raise InvalidArgumentError(
            f"resource={name!r}",
            f"is no parameter of {estimator!r}",
            f"a resource is one of {', '.join(RESOURCES)}, or a parameter of the estimator",
            f"Its parameters: {', '.join(sorted(params))}.",
        )
    if Rebuild(name).total_of(estimator) is None:
        raise InvalidArgumentError(
            f"resource={name!r}",
            f"has the value {params[name]!r} in {estimator!r}",
            "the value is the most that a candidate is given",
            f"Set it to a whole number above 1, e.g. {name}=100.",
        )
    return Rebuild(name)


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


def _iteration_steps(search: Any, growth: Growth, estimator: Any, geometric: bool) -> tuple[int, ...]:
    total = growth.total_of(estimator)
    inner = growth.inner if isinstance(growth, LastStep) else growth
    if isinstance(inner, PartialFit):
        total = search.max_iters if search.max_iters > 1 else 81
    if total is None:
        raise InvalidArgumentError(
            "early_stopping by iterations",
            f"finds no number of iterations in {estimator!r}",
            f"{growth.parameter} has no whole number as its value",
            f"Set {growth.parameter} to the most that a candidate is to be given.",
        )
    if not geometric:
        count = min(search.max_iters, total) if search.max_iters > 1 else min(total, 16)
        return tuple(sorted({max(1, total * (i + 1) // count) for i in range(count)}))
    least = search.min_resources if isinstance(search.min_resources, int) else _least_iterations(total, search.factor)
    return geometric_steps(total, search.factor, least)


def _least_iterations(total: int, factor: float) -> int:
    """Few enough to be cheap, and enough to tell candidates apart."""
    return max(_LEAST_ITERATIONS, int(total // factor**3))


def _fold_steps(n_folds: int, search: Any) -> tuple[int, ...]:
    least = search.min_resources if isinstance(search.min_resources, int) else 1
    steps, at = [], float(max(1, min(least, n_folds)))
    while at < n_folds:
        steps.append(int(at))
        at = max(at * search.factor, at + 1)
    return (*dict.fromkeys(steps), n_folds)


def _sample_ladder(
    search: Any, estimator: Any, y: Any, folds: list[tuple[Any, Any]], rng: np.random.RandomState
) -> Ladder:
    sizes = [len(train) for train, _ in folds]
    total = min(sizes)
    labels = y if y is not None and is_classifier(estimator) else None
    orders = tuple(_order(np.asarray(train), labels, rng) for train, _ in folds)
    least = search.min_resources if isinstance(search.min_resources, int) else _least_samples(labels, total, search)
    steps = geometric_steps(total, search.factor, least)
    return Ladder("samples", steps, None, orders, tuple(s / total for s in steps))


def _least_samples(labels: Any, total: int, search: Any) -> int:
    """Several of each class, and not so few that every model fails."""
    classes = 1 if labels is None else len(np.unique(np.asarray(labels)))
    return max(_LEAST_SAMPLES, 5 * classes, int(total // search.factor**3))


def _order(train: Any, labels: Any, rng: np.random.RandomState) -> Any:
    """Training rows in an order of which every beginning has the classes in proportion."""
    shuffled = train[rng.permutation(len(train))]
    if labels is None:
        return shuffled
    target = np.asarray(labels)
    if target.ndim != 1:
        return shuffled
    _, codes = np.unique(target[shuffled], return_inverse=True)
    position = np.empty(len(shuffled))
    for code in range(codes.max() + 1):
        members = np.flatnonzero(codes == code)
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    return shuffled[np.argsort(position, kind="stable")]


def explain(budget_steps: Ladder | None, scheduler: Any) -> Mapping[str, Any] | None:
    """What ``early_stopping_`` shows: what was chosen."""
    if budget_steps is None:
        return None
    return {
        "resource": budget_steps.unit,
        "kind": budget_steps.growth.name if budget_steps.growth is not None else f"racing over {budget_steps.resource}",
        "steps": list(budget_steps.steps),
        "scheduler": type(scheduler).__name__,
    }
