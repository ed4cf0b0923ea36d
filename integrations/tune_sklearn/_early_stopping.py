"""Early stopping: what a candidate is given more and more of (iterations, samples, folds), in which steps, by whom."""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone, is_classifier

from tune_core.errors import InvalidArgumentError
from tune_sklearn._budget import (
    ENOUGH_OF_A_CLASS,
    LEAST_AFTER_PART,
    LEAST_ALIVE,
    BudgetSteps,
    fold_race,
    fold_steps,
    geometric_steps,
    linear_steps,
    sample_steps,
)
from tune_sklearn._growing import classes_for, counts_again, partial_fit_of
from tune_sklearn._racing import SuccessiveHalving
from tune_sklearn._rows import FoldedData
from tune_sklearn._schedulers import is_population, scheduler_for, wanted
from tune_sklearn._sizes import Size, size_of, whole
from tune_sklearn._sklearn_private import check_method_params, safe_indexing
from tune_sklearn._variants import Variant, variants_of

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from tune_sklearn._base import TuneBaseSearchCV


RESOURCES = ("auto", "iterations", "samples", "folds")
_FEW_SAMPLES = 1000  # training rows below which a fraction of them says little
_LEAST_ITERATIONS = 3
_EPOCHS = 16  # of partial fits, where nobody says how many
_ENOUGH_TEST_ROWS = 500  # for the first comparisons, in which all candidates are scored on the same rows
_LEAST_ITERATIONS_OF_A_PART = 10
_WORSE_BY, _WORSE_BY_WITHOUT_PART = 0.7, 1.5  # standard errors: where a part holds too few rows, folds tell less, too
_PROBE_ROWS = 15  # of each class, to see whether partial_fit takes a candidate's parameters


def plan(
    search: TuneBaseSearchCV,
    estimator: BaseEstimator,
    data: FoldedData,
    candidates: list[dict[str, object]] | None,
    space: Mapping[str, Any],
    seed: int,
) -> tuple[BudgetSteps | None, Any]:
    """The budget_steps and the scheduler that a search asks for; (None, None) without early stopping.

    ``candidates`` is None where they are not known beforehand; ``space`` has the names that are searched as its keys.

    Raises
    ------
    InvalidArgumentError
        If the resource that was asked for cannot be had with this estimator or this search space.
    """
    asked = wanted(search)
    if asked is False:
        _warn_of_ignored(search)
        return None, None
    rng = np.random.RandomState(seed % 2**32)
    choice = _Choice(search, estimator, data, candidates, space, rng)
    budget_steps = choice.budget_steps()
    if len(budget_steps.steps) == 1:
        _warn(search, f"nothing can be stopped early: there is one step, {budget_steps.describe()}.")
    if is_population(search):
        _warn(
            search,
            "under population-based training candidates go on from copies of each other's models. What such a copy "
            "scores is not the score of its parameters alone: it ranks behind the others, and stop_reason says so.",
        )
    if asked is not True:
        return budget_steps, scheduler_for(asked, len(budget_steps.steps), space, seed)
    if not _counts_epochs(search, budget_steps) and budget_steps.resource != "folds":
        budget_steps = replace(budget_steps, first_folds=_first_folds(data, _label_codes(estimator, data.y)))
    rungs = _rungs(len(budget_steps.steps), search, budget_steps)
    if choice.races() and choice.is_short() and budget_steps.steps[0] == 1:
        rungs = rungs[1:] or rungs  # so few are compared on two folds at least
    # only there is a candidate paused, to go on from its checkpoint
    budget_steps = replace(budget_steps, checkpoints=rungs if candidates is not None else ())
    number = None if candidates is None else len(candidates)
    steps = len(budget_steps.steps)
    keep_unscored = sum(not budget_steps.is_conclusive(position) for position in range(steps))
    least: int | tuple[int, ...] = 1
    worse_by = None
    if choice.races():
        least = tuple(LEAST_AFTER_PART if budget_steps.is_partial(rung - 1) else LEAST_ALIVE for rung in rungs)
        worse_by = None if number is None else _WORSE_BY if budget_steps.is_partial(0) else _WORSE_BY_WITHOUT_PART
    scheduler = SuccessiveHalving(
        number,
        steps,
        search.factor,
        budget_steps.unit,
        rungs,
        keep_unscored,
        least=least,
        worse_by=worse_by,
        gentle=budget_steps.gentle,
    )
    return budget_steps, scheduler


def explain(budget_steps: BudgetSteps, scheduler: object) -> Mapping[str, Any]:
    """What ``early_stopping_`` shows: what was chosen, and why."""
    return {
        "resource": budget_steps.unit,
        "kind": budget_steps.how,
        "steps": list(budget_steps.steps),
        "scheduler": type(scheduler).__name__,
        "reason": budget_steps.why,
    }


def _first_folds(data: FoldedData, labels: Any) -> int:
    """Enough folds to tell candidates apart roughly: at least two, and as many as hold enough rows of every class."""
    rows, rarest = 0, None
    for number, (_, test) in enumerate(data.folds, 1):
        rows += len(test)
        if labels is not None:
            found = np.bincount(labels[np.asarray(test)], minlength=labels.max() + 1)
            rarest = found if rarest is None else rarest + found
        enough = rarest is None or int(rarest.min()) >= ENOUGH_OF_A_CLASS
        if number >= 2 and rows >= _ENOUGH_TEST_ROWS and enough:
            return number
    return len(data.folds)


def _label_codes(estimator: BaseEstimator, y: Any) -> object:
    """The labels of all rows as numbers; those of several outputs together. None for a regression."""
    if y is None or not is_classifier(estimator):
        return None
    return np.unique(np.asarray(y), axis=0, return_inverse=True)[1].reshape(-1)


def _counts_epochs(search: TuneBaseSearchCV, budget_steps: BudgetSteps) -> bool:
    """Whether each step is one of ``max_iters`` epochs."""
    return bool(search.max_iters > 1 and budget_steps.growth is not None)


def _rungs(steps: int, search: TuneBaseSearchCV, budget_steps: BudgetSteps) -> tuple[int, ...]:
    """The steps after which candidates are compared: all, but with ``max_iters``, where each epoch is one, some."""
    if not _counts_epochs(search, budget_steps):
        return tuple(range(1, steps))
    marks, at = [], 1
    while at < steps:
        marks.append(at)
        at *= max(2, math.ceil(search.factor))
    return tuple(marks)


def _warn(search: object, text: str) -> None:
    warnings.warn(f"{type(search).__name__}: {text}", UserWarning, stacklevel=2)


def _warn_of_ignored(search: object) -> None:
    """Name the arguments that have no effect without early stopping."""
    defaults = {"max_iters": 1, "resource": "auto", "min_resources": "auto", "factor": 4}
    given = [f"{name}={getattr(search, name)!r}" for name, value in defaults.items() if getattr(search, name) != value]
    if given:
        one = "has" if len(given) == 1 else "have"
        _warn(search, f"{', '.join(given)} {one} no effect without early_stopping; set early_stopping=True.")


@dataclass
class _Choice:
    """The choice of a resource for one search."""

    search: TuneBaseSearchCV
    estimator: BaseEstimator
    data: FoldedData
    candidates: list[dict[str, object]] | None
    space: Mapping[str, Any]
    rng: np.random.RandomState

    def __post_init__(self) -> None:
        self.inside = bool(self.search.pipeline_auto_early_stop)
        self.rows = max(len(train) for train, _ in self.data.folds)
        self.variants: list[Variant] = variants_of(self.estimator, self.candidates, self.space)
        self.epochs_asked = self.search.max_iters > 1

    def budget_steps(self) -> BudgetSteps:
        """The steps in the resource that was asked for, or in the one that suits."""
        resource = "samples" if self.search.resource == "n_samples" else self.search.resource
        if resource == "auto":
            return self._chosen()
        if resource == "folds":
            found = self._by_folds()
        elif resource == "samples":
            found = self._by_samples()
        elif resource == "iterations":
            iterations, why = self._by_iterations()
            if iterations is None:
                raise InvalidArgumentError(
                    "early_stopping with resource='iterations'",
                    f"was asked for {self.estimator!r}",
                    why or "it has neither a size that a parameter fixes nor partial_fit",
                    'Use resource="samples" or resource="folds", which work with every estimator.',
                )
            found = iterations
        else:
            found = self._by_parameter(resource)
        if self.epochs_asked and found.growth is None:
            self._tell_epochs(found, f"resource={self.search.resource!r} has steps of its own")
        return found

    def races(self) -> bool:
        """Whether the rule and the steps are both left to choose: then candidates race over folds and parts of one."""
        search = self.search
        chosen = wanted(search) is True and search.resource == "auto" and search.min_resources == "auto"
        return chosen and not self.epochs_asked and len(self.data.folds) > 1

    def is_short(self) -> bool:
        """Whether there are so few candidates that it doesn't pay to sort them out by a rough score."""
        return self.candidates is not None and len(self.candidates) < 2 * LEAST_ALIVE

    def _race(self) -> BudgetSteps:
        labels = _label_codes(self.estimator, self.data.y)
        size = size_of(self.estimator, self.rows, self.inside)
        smaller: dict[str, Any] = {}
        if size is not None and not any(name in size.names for name in self.space):
            others = (size_of(variant.estimator, self.rows, self.inside) for variant in self.variants)
            alike = all(o is not None and (o.parameter, o.total) == (size.parameter, size.total) for o in others)
            if alike and size.total >= 2 * _LEAST_ITERATIONS_OF_A_PART:
                smaller = {size.parameter: max(_LEAST_ITERATIONS_OF_A_PART, size.total // 4)}
        number = None if self.candidates is None else len(self.candidates)
        return fold_race(self.data.folds, labels, self.data.y, self.search.factor, number, smaller, self.rng)

    def _chosen(self) -> BudgetSteps:
        """By the size of the model or, where epochs were asked for, by these; else by rows if many, else by folds."""
        if self.races():
            return self._race()
        found: BudgetSteps | None = None
        why = ""
        if self.epochs_asked or is_population(self.search) or self._size_is_large():
            found, why = self._by_iterations()
        if found is not None and len(found.steps) == 1:
            why = f"{found.unit}={found.steps[0]} is too few to divide"
            found = None
        if found is None:
            found = self._by_rows_or_folds(why)
        if self.epochs_asked and found.growth is None:
            self._tell_epochs(found, found.why or f"{type(self.estimator).__name__} cannot be trained epoch by epoch")
        return found

    def _size_is_large(self) -> bool:
        size = size_of(self.estimator, self.rows, self.inside)
        return size is not None and size.total >= 2 * _LEAST_ITERATIONS

    def _tell_epochs(self, found: BudgetSteps, why: str) -> None:
        _warn(
            self.search,
            f"max_iters={self.search.max_iters} is not followed: {why}. "
            f"Candidates are compared by {replace(found, why='').describe()}.",
        )

    # --- rows and folds -----------------------------------------------------------------------------------------------

    def _by_rows_or_folds(self, why: str) -> BudgetSteps:
        folds = self.data.folds
        if min(len(train) for train, _ in folds) >= _FEW_SAMPLES or len(folds) == 1:
            found = self._by_samples()
            if len(found.steps) > 1 or len(folds) == 1:
                return replace(found, why=why)
            why = "; ".join(filter(None, (why, "fewer rows would hold too few of some class")))
        return replace(self._by_folds(), why=why)

    def _by_samples(self) -> BudgetSteps:
        labels = self.data.y if self.data.y is not None and is_classifier(self.estimator) else None
        return sample_steps(self.data.folds, labels, self.search.factor, whole(self.search.min_resources), self.rng)

    def _by_folds(self) -> BudgetSteps:
        steps = fold_steps(len(self.data.folds), self.search.factor, whole(self.search.min_resources) or 1)
        return BudgetSteps("folds", steps)

    # --- iterations ---------------------------------------------------------------------------------------------------

    def _by_iterations(self) -> tuple[BudgetSteps | None, str]:
        """Steps in the size of the model, else partial fits; or None and why not."""
        sizes = [(variant, size_of(variant.estimator, self.rows, self.inside)) for variant in self.variants]
        first = sizes[0][1]
        if first is not None:
            searched = [name for name in self.space if name in first.names]
            if searched:
                if self.search.resource != "auto":
                    raise self._searched(searched[0])
                return None, f"{searched[0]} is searched itself"
            for variant, size in sizes:
                if size is None or (size.parameter, size.total) != (first.parameter, first.total):
                    return None, f"not all candidates have {first.parameter}={first.total}: {variant.text}"
            exact = all(size is not None and size.growth is not None for _, size in sizes)
            return self._in_size(first if exact else replace(first, growth=None)), ""
        other = next((variant for variant, size in sizes if size is not None), None)
        if other is not None:
            return None, f"not all candidates have a size that a parameter fixes: {other.text}"
        if not (self.epochs_asked or is_population(self.search) or self.search.resource == "iterations"):
            return None, ""
        return self._in_epochs()

    def _searched(self, name: str) -> InvalidArgumentError:
        return InvalidArgumentError(
            f"The search space's {name!r}",
            "is what early stopping gives more and more of",
            "a parameter cannot both be searched and be the resource",
            'Take it out of the search space, or use resource="samples" or "folds".',
        )

    def _in_size(self, size: Size) -> BudgetSteps:
        search = self.search
        if size.growth is not None and (self.epochs_asked or search.early_stopping not in (True,)):
            count = search.max_iters if self.epochs_asked else _EPOCHS
            return BudgetSteps("iterations", linear_steps(size.total, count), size.growth, size.parameter)
        least = whole(search.min_resources) or max(_LEAST_ITERATIONS, int(size.total // search.factor**3))
        why = f"{size.parameter} is not set: {size.total} is the library's default" if size.is_default else ""
        steps = geometric_steps(size.total, search.factor, least)
        return BudgetSteps("iterations", steps, size.growth, size.parameter, why=why)

    def _in_epochs(self) -> tuple[BudgetSteps | None, str]:
        """A pass over the data by ``partial_fit`` for each step; for estimators without, a larger max_iter."""
        growth = partial_fit_of(self.estimator, self.inside)
        if growth is None:
            if whole(self.estimator.get_params(deep=False).get("max_iter")) and "max_iter" not in self.space:
                return self._by_parameter("max_iter"), ""
            return None, ""
        for variant in self.variants:
            if counts_again(variant.estimator):
                return None, f"partial_fit counts rows that it is given twice as two: {variant.text}"
            other = partial_fit_of(variant.estimator, self.inside)
            if other is None or other.name != growth.name:
                return None, f"not all candidates have partial_fit: {variant.text}"
            refusal = self._refusal(variant) if _may_be_refused(variant) else ""
            if refusal:
                return None, f"partial_fit refuses {variant.text}: {refusal}"
        count = self.search.max_iters if self.epochs_asked else _EPOCHS
        return BudgetSteps("iterations", tuple(range(1, count + 1)), growth), ""

    def _refusal(self, variant: Variant) -> str:
        """What ``partial_fit`` says of a candidate that ``fit`` would take, tried on a few rows; empty if nothing."""
        data, classes = self.data, classes_for(self.estimator, self.data.y)
        rows = self._few_rows()
        X, y = safe_indexing(data.X, rows), None if data.y is None else safe_indexing(data.y, rows)
        params = check_method_params(data.X, params=data.fit_params, indices=rows)
        arguments = (X,) if y is None else (X, y)
        growth = partial_fit_of(variant.estimator, self.inside)
        assert growth is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = growth.begin(clone(variant.estimator))
            try:
                with growth.fitting(model, 1, classes):
                    model.fit(*arguments, **params)
            except Exception as error:
                try:
                    clone(variant.estimator).fit(*arguments, **params)
                except Exception:
                    if "partial_fit" not in str(error):
                        return ""  # it fails anyway, on so few rows or for what it is
                return " ".join(str(error).split())[:200]
        return ""

    def _few_rows(self) -> object:
        train = np.asarray(self.data.folds[0][0])
        if self.data.y is None or not is_classifier(self.estimator):
            return train[:20]
        labels = np.asarray(self.data.y)[train]
        _, groups = np.unique(labels, axis=0, return_inverse=True)
        groups = groups.reshape(-1)
        taken = [train[groups == group][:_PROBE_ROWS] for group in range(min(50, groups.max() + 1))]
        return np.sort(np.concatenate(taken))

    def _by_parameter(self, name: str) -> BudgetSteps:
        """Steps in a parameter of the estimator that the user names."""
        size = size_of(self.estimator, self.rows, self.inside)
        if size is not None and name in size.names:
            found, why = self._by_iterations()
            if found is not None:
                return found
            raise InvalidArgumentError(f"resource={name!r}", "cannot be had", why, 'Use resource="samples" or "folds".')
        params = self.estimator.get_params()
        if name not in params:
            raise InvalidArgumentError(
                f"resource={name!r}",
                f"is no parameter of {self.estimator!r}",
                f"a resource is one of {', '.join(RESOURCES)}, or a parameter of the estimator",
                f"{_suggestion(name, params)}Its parameters: {', '.join(sorted(params))}.",
            )
        total = whole(params[name])
        if total is None:
            raise InvalidArgumentError(
                f"resource={name!r}",
                f"has the value {params[name]!r} in {self.estimator!r}",
                "the value is the most that a candidate is given",
                f"Set it to a whole number above 1, e.g. {name}=100.",
            )
        if name in self.space:
            raise self._searched(name)
        without = next((variant for variant in self.variants if name not in variant.estimator.get_params()), None)
        if without is not None:
            raise InvalidArgumentError(
                f"resource={name!r}",
                f"is no parameter of all candidates: not with {without.text}",
                "each candidate is given more and more of it",
                'Search these candidates apart, or use resource="samples" or "folds".',
            )
        return self._in_size(Size(name, total, frozenset({name})))


def _may_be_refused(variant: Variant) -> bool:
    """Whether to try: not for numbers alone, nor for an estimator without the settings that are known for it."""
    params = variant.estimator.get_params()
    settings = {name.rpartition("__")[2]: value for name, value in params.items()}
    return variant.has_words or settings.get("class_weight") is not None or settings.get("early_stopping") in (True,)


def _suggestion(name: str, known: Mapping[str, object]) -> str:
    """The likely name for a parameter that has a step's name before it, or is misspelt."""
    nested = [one for one in known if one.endswith(f"__{name}")]
    close = nested or difflib.get_close_matches(name, list(known), 1)
    return f"Did you mean {close[0]!r}? " if close else ""
