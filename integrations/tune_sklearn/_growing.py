"""Ways to train a fitted estimator further: passes over the data by ``partial_fit``, more trees by a warm start."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


class Growth:
    """One way to train a fitted estimator further.

    ``parameter`` is the estimator's parameter that says how far; None for partial fits, which no parameter limits.
    """

    name = ""
    parameter: str | None = None

    def begin(self, estimator: BaseEstimator) -> Any:
        """Make an unfitted estimator ready to be grown."""
        self.mark(estimator, 0)
        return estimator

    def mark(self, estimator: BaseEstimator, amount: int) -> None:
        """Note how far it has been grown; also for one that was unpickled, since some classes forget such notes."""
        estimator._tune_grown = amount

    def train(
        self, estimator: BaseEstimator, X: Any, y: Any, fit_params: dict[str, Any], amount: int, classes: Any
    ) -> None:
        """Train until ``amount`` is reached."""
        raise NotImplementedError

    def finish(self, estimator: BaseEstimator) -> None:
        """Remove the notes from an estimator that will not be grown any more."""
        estimator.__dict__.pop("_tune_grown", None)

    @contextlib.contextmanager
    def fitting(self, estimator: BaseEstimator, amount: int, classes: Any) -> Iterator[None]:
        """Within this, ``estimator.fit`` trains further, to ``amount``."""

        def fit(X: Any, y: Any = None, **fit_params: Any) -> Any:
            self.train(estimator, X, y, fit_params, amount, classes)
            self.mark(estimator, amount)
            return estimator

        estimator.fit = fit
        try:
            yield
        finally:
            del estimator.fit


class PartialFit(Growth):
    """One pass over the data for each step, by ``partial_fit``."""

    name = "partial_fit"

    def train(
        self, estimator: BaseEstimator, X: Any, y: Any, fit_params: dict[str, Any], amount: int, classes: Any
    ) -> None:
        arguments = dict(fit_params)
        if classes is not None and "classes" in inspect.signature(estimator.partial_fit).parameters:
            arguments["classes"] = classes
        for _ in range(estimator._tune_grown, amount):
            if y is None:
                estimator.partial_fit(X, **arguments)
            else:
                estimator.partial_fit(X, y, **arguments)


class WarmStart(Growth):
    """``fit`` again from where the last one ended, with a larger number of trees or boosting stages."""

    def __init__(self, parameter: str) -> None:
        self.parameter = parameter
        self.name = f"warm_start with {parameter}"

    def begin(self, estimator: BaseEstimator) -> Any:
        return super().begin(estimator.set_params(warm_start=True))

    def train(
        self, estimator: BaseEstimator, X: Any, y: Any, fit_params: dict[str, Any], amount: int, classes: Any
    ) -> None:
        estimator.set_params(**{str(self.parameter): amount})
        if y is None:  # the class's own fit, past the one that `fitting` has put before it
            type(estimator).fit(estimator, X, **fit_params)
        else:
            type(estimator).fit(estimator, X, y, **fit_params)


class Epochs(WarmStart):
    """skorch: ``partial_fit`` for the epochs that are missing; ``max_epochs`` says how many each call trains."""

    def __init__(self, parameter: str) -> None:
        super().__init__(parameter)
        self.name = f"partial_fit with {parameter}"

    def begin(self, estimator: BaseEstimator) -> Any:
        return Growth.begin(self, estimator)

    def train(
        self, estimator: BaseEstimator, X: Any, y: Any, fit_params: dict[str, Any], amount: int, classes: Any
    ) -> None:
        estimator.set_params(**{str(self.parameter): amount - estimator._tune_grown})
        try:
            estimator.partial_fit(X, y, **fit_params)
        finally:
            estimator.set_params(**{str(self.parameter): amount})


class LastStep(Growth):
    """The last step of a pipeline grows by partial fits; the steps before it are fitted once, with the first step."""

    def __init__(self, inner: PartialFit, step: str) -> None:
        self.inner = inner
        self.step = step
        self.name = f"{inner.name} of the last step {step!r}"

    def begin(self, estimator: BaseEstimator) -> Any:
        self.inner.begin(estimator.steps[-1][1])
        return super().begin(estimator)

    def mark(self, estimator: BaseEstimator, amount: int) -> None:
        super().mark(estimator, amount)
        self.inner.mark(estimator.steps[-1][1], amount)

    def train(
        self, estimator: BaseEstimator, X: Any, y: Any, fit_params: dict[str, Any], amount: int, classes: Any
    ) -> None:
        by_step = _params_by_step(estimator, fit_params)
        last = estimator.steps[-1][1]
        data = self._transformed(estimator, X, y, by_step)
        self.inner.train(last, data, y, by_step[self.step], amount, classes)

    def _transformed(self, pipeline: Pipeline, X: Any, y: Any, by_step: dict[str, dict[str, Any]]) -> Any:
        first_time = pipeline._tune_grown == 0
        for position, (name, transformer) in enumerate(pipeline.steps[:-1]):
            if transformer is None or (isinstance(transformer, str) and transformer == "passthrough"):
                continue
            if first_time:
                transformer = clone(transformer)
                if hasattr(transformer, "fit_transform"):
                    X = transformer.fit_transform(X, y, **by_step[name])
                else:
                    X = transformer.fit(X, y, **by_step[name]).transform(X)
                pipeline.steps[position] = (name, transformer)
            else:
                X = transformer.transform(X)
        return X

    def finish(self, estimator: BaseEstimator) -> None:
        super().finish(estimator)
        self.inner.finish(estimator.steps[-1][1])


def _params_by_step(pipeline: Pipeline, fit_params: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A pipeline's fit parameters, sorted by step as its own ``fit`` sorts them."""
    from sklearn import get_config

    names = [name for name, _ in pipeline.steps]
    by_step: dict[str, dict[str, Any]] = {name: {} for name in names}
    if not fit_params:
        return by_step
    if get_config()["enable_metadata_routing"]:
        from tune_sklearn._sklearn_private import process_routing

        routed = process_routing(pipeline, "fit", **fit_params)
        for name in names[:-1]:
            by_step[name] = dict(routed[name].get("fit_transform") or routed[name].get("fit") or {})
        by_step[names[-1]] = dict(routed[names[-1]].fit)
        return by_step
    for key, value in fit_params.items():
        step, separator, name = key.partition("__")
        if not separator or step not in by_step:
            raise ValueError(
                f"Pipeline.fit does not accept the {key} parameter. You can pass parameters to specific steps of your "
                f"pipeline using the stepname__parameter format, e.g. `{names[-1]}__{key}`."
            )
        by_step[step][name] = value
    return by_step


def partial_fit_of(estimator: BaseEstimator, inside_pipelines: bool = True) -> PartialFit | LastStep | None:
    """Growth by ``partial_fit``, if the estimator or, ``inside_pipelines``, its last step has it."""
    if isinstance(estimator, Pipeline) and inside_pipelines and estimator.steps:
        name, last = estimator.steps[-1]
        inner = None if last is None or isinstance(last, str) else partial_fit_of(last)
        if not isinstance(inner, PartialFit) or not _is_plain_pipeline(estimator):
            return None
        return LastStep(inner, name)
    return PartialFit() if callable(getattr(estimator, "partial_fit", None)) else None


def counts_again(estimator: BaseEstimator) -> bool:
    """Whether a second partial fit on the same rows counts them once more, instead of training on."""
    from sklearn.cluster import Birch
    from sklearn.decomposition import IncrementalPCA
    from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB

    counting = (BernoulliNB, Birch, CategoricalNB, ComplementNB, GaussianNB, IncrementalPCA, MultinomialNB)
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    parts = (last, *last.get_params().values()) if hasattr(last, "get_params") else (last,)  # also those that it wraps
    return any(isinstance(part, counting) for part in parts)


def _is_plain_pipeline(pipeline: Pipeline) -> bool:
    """Whether its transformers can be fitted once and then used for the same rows again with the same result.

    Not so in pipelines of other libraries, which may also draw samples, and with target encoders, which transform the
    rows they are fitted on by cross fitting.
    """
    if type(pipeline).fit is not Pipeline.fit or getattr(pipeline, "transform_input", None):
        return False
    return not any(type(transformer).__name__ == "TargetEncoder" for _, transformer in pipeline.steps)


def classes_for(estimator: BaseEstimator, y: Any) -> Any:
    """All labels of a classification, which the first partial fit is told of; for several outputs a list of arrays."""
    if y is None or not is_classifier(estimator):
        return None
    from sklearn.utils.multiclass import type_of_target, unique_labels

    if type_of_target(y) == "multiclass-multioutput":
        return [np.unique(column) for column in np.asarray(y).T]
    return unique_labels(y)


def grow_to(
    growth: Growth, estimator: BaseEstimator, X: Any, y: Any, fit_params: dict[str, Any], steps: Any, classes: Any
) -> Any:
    """``estimator`` trained through ``steps``, the way each fold's was."""
    model = growth.begin(estimator)
    for amount in steps:
        with growth.fitting(model, amount, classes):
            if y is None:
                model.fit(X, **fit_params)
            else:
                model.fit(X, y, **fit_params)
    growth.finish(model)
    return model
