"""Ways to train an estimator further: partial fits, warm starts, more trees, boosting continued; also in a pipeline."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline


class Growth:
    """One way to train a fitted estimator further.

    ``parameter`` is the estimator's parameter that says how far (None for partial fits); ``natural`` says that it fixes
    the size of the trained model, so that training to it step by step gives a model of the very size that one ``fit``
    gives.
    """

    name = ""
    parameter: str | None = None
    natural = False

    def begin(self, estimator: Any) -> Any:
        """Make an unfitted estimator ready to be grown."""
        self.mark(estimator, 0)
        return estimator

    def mark(self, estimator: Any, amount: int) -> None:
        """Note how far it has been grown; also for one that was unpickled, since some classes forget such notes."""
        estimator._tune_grown = amount

    def train(self, estimator: Any, X: Any, y: Any, fit_params: dict[str, Any], amount: int, classes: Any) -> None:
        """Train until ``amount`` is reached."""
        raise NotImplementedError

    def finish(self, estimator: Any, original: Any) -> None:
        """Give the grown estimator back the parameters that it was asked to have."""
        estimator.__dict__.pop("_tune_grown", None)

    def total_of(self, estimator: Any) -> int | None:
        """How far one ``fit`` of ``estimator`` would go, if a parameter says so."""
        value = None if self.parameter is None else estimator.get_params(deep=False).get(self.parameter)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None

    @contextlib.contextmanager
    def fitting(self, estimator: Any, amount: int, classes: Any) -> Iterator[None]:
        """Within this, ``estimator.fit`` trains further, to ``amount``."""

        def fit(X: Any, y: Any = None, **fit_params: Any) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # it was asked to stop half-way
                self.train(estimator, X, y, fit_params, amount, classes)
            self.mark(estimator, amount)
            return estimator

        estimator.fit = fit
        try:
            yield
        finally:
            del estimator.fit


def _fit(estimator: Any, X: Any, y: Any, fit_params: dict[str, Any]) -> None:
    """The class's own ``fit``, past the one that :meth:`Growth.fitting` has put before it."""
    if y is None:
        type(estimator).fit(estimator, X, **fit_params)
    else:
        type(estimator).fit(estimator, X, y, **fit_params)


class PartialFit(Growth):
    """One pass over the data for each step, by ``partial_fit``."""

    name = "partial_fit"

    def train(self, estimator: Any, X: Any, y: Any, fit_params: dict[str, Any], amount: int, classes: Any) -> None:
        arguments = dict(fit_params)
        if classes is not None and "classes" in inspect.signature(estimator.partial_fit).parameters:
            arguments["classes"] = classes
        for _ in range(estimator._tune_grown, amount):
            if y is None:
                estimator.partial_fit(X, **arguments)
            else:
                estimator.partial_fit(X, y, **arguments)


class WarmStart(Growth):
    """``fit`` again from where the last one ended; ``max_iter`` counts the iterations that this call adds."""

    def __init__(self, parameter: str) -> None:
        self.parameter = parameter
        self.name = f"warm_start with {parameter}"

    def begin(self, estimator: Any) -> Any:
        estimator.set_params(warm_start=True)
        return super().begin(estimator)

    def train(self, estimator: Any, X: Any, y: Any, fit_params: dict[str, Any], amount: int, classes: Any) -> None:
        estimator.set_params(**{str(self.parameter): self._argument(estimator._tune_grown, amount)})
        _fit(estimator, X, y, fit_params)

    def _argument(self, reached: int, amount: int) -> int:
        return amount - reached

    def finish(self, estimator: Any, original: Any) -> None:
        reached = estimator._tune_grown
        super().finish(estimator, original)
        estimator.set_params(**{str(self.parameter): reached, "warm_start": original.get_params()["warm_start"]})


class WarmStartTotal(WarmStart):
    """As :class:`WarmStart`, where the parameter is the size of the whole model: trees, or stages of a boosting."""

    natural = True

    def _argument(self, reached: int, amount: int) -> int:
        return amount


class Continuation(Growth):
    """Boosting continued from the last model, by the keyword that XGBoost, LightGBM and CatBoost have for it."""

    natural = True

    def __init__(self, library: str, parameter: str, keyword: str) -> None:
        self.library = library
        self.parameter = parameter
        self.keyword = keyword
        self.name = f"{library} continued ({parameter})"

    def train(self, estimator: Any, X: Any, y: Any, fit_params: dict[str, Any], amount: int, classes: Any) -> None:
        reached = estimator._tune_grown
        if amount <= reached:
            return
        arguments = dict(fit_params)
        if reached:
            arguments[self.keyword] = self._model(estimator)
        more = {str(self.parameter): amount - reached}
        if self.library != "CatBoost":
            _fit(estimator.set_params(**more), X, y, arguments)
            return
        # CatBoost lets no parameter of a fitted model change: a new model continues it and takes its place.
        following = clone(estimator).set_params(**more)
        _fit(following, X, y, arguments)
        vars(estimator).update(vars(following))

    def _model(self, estimator: Any) -> Any:
        if self.library == "XGBoost":
            return estimator.get_booster()
        return estimator.booster_ if self.library == "LightGBM" else estimator

    def finish(self, estimator: Any, original: Any) -> None:
        reached = estimator._tune_grown
        super().finish(estimator, original)
        if self.library == "CatBoost":
            estimator._init_params[str(self.parameter)] = reached
        else:
            estimator.set_params(**{str(self.parameter): reached})


class Rebuild(Growth):
    """No way to go on: a new fit with a larger value of some parameter, as ``HalvingRandomSearchCV`` does it."""

    natural = True

    def __init__(self, parameter: str) -> None:
        self.parameter = parameter
        self.name = f"new fits with a larger {parameter}"

    def train(self, estimator: Any, X: Any, y: Any, fit_params: dict[str, Any], amount: int, classes: Any) -> None:
        estimator.set_params(**{str(self.parameter): amount})
        _fit(estimator, X, y, fit_params)

    def total_of(self, estimator: Any) -> int | None:
        value = estimator.get_params().get(self.parameter)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


class LastStep(Growth):
    """The last step of a pipeline grows; the steps before it are fitted once, with the first step."""

    def __init__(self, inner: Growth, step: str) -> None:
        self.inner = inner
        self.step = step
        self.natural = inner.natural
        self.parameter = None if inner.parameter is None else f"{step}__{inner.parameter}"
        self.name = f"{inner.name} of the last step {step!r}"

    def total_of(self, estimator: Any) -> int | None:
        return self.inner.total_of(estimator.steps[-1][1])

    def begin(self, estimator: Any) -> Any:
        self.inner.begin(estimator.steps[-1][1])
        return super().begin(estimator)

    def mark(self, estimator: Any, amount: int) -> None:
        super().mark(estimator, amount)
        self.inner.mark(estimator.steps[-1][1], amount)

    def train(self, estimator: Any, X: Any, y: Any, fit_params: dict[str, Any], amount: int, classes: Any) -> None:
        by_step = _params_by_step(estimator, fit_params)
        last = estimator.steps[-1][1]
        data = self._transformed(estimator, X, y, by_step)
        self.inner.train(last, data, y, by_step[self.step], amount, classes)

    def _transformed(self, pipeline: Pipeline, X: Any, y: Any, by_step: dict[str, dict[str, Any]]) -> Any:
        first_time = pipeline._tune_grown == 0
        for position, (name, transformer) in enumerate(pipeline.steps[:-1]):
            if transformer is None or transformer == "passthrough":
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

    def finish(self, estimator: Any, original: Any) -> None:
        super().finish(estimator, original)
        self.inner.finish(estimator.steps[-1][1], original.steps[-1][1])


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


# --- which one --------------------------------------------------------------------------------------------------------

_CONTINUED = {
    "xgboost": ("XGBoost", "n_estimators", "xgb_model"),
    "lightgbm": ("LightGBM", "n_estimators", "init_model"),
    "catboost": ("CatBoost", "iterations", "init_model"),
}


def growth_of(estimator: Any, inside_pipelines: bool = True) -> Growth | None:
    """How this estimator can be trained further, or None if it cannot."""
    if isinstance(estimator, Pipeline) and inside_pipelines and estimator.steps:
        name, last = estimator.steps[-1]
        inner = None if last is None or isinstance(last, str) else growth_of(last)
        return None if inner is None else LastStep(inner, name)
    library = _library_of(estimator)
    if library is not None:
        return Continuation(*_CONTINUED[library])
    params = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    if "warm_start" in params and "n_estimators" in params:
        return WarmStartTotal("n_estimators")
    if _is_histogram_boosting(estimator):
        return WarmStartTotal("max_iter")
    if callable(getattr(estimator, "partial_fit", None)):
        return PartialFit()
    if "warm_start" in params and "max_iter" in params and params.get("solver") != "liblinear":
        return WarmStart("max_iter")
    return None


def _library_of(estimator: Any) -> str | None:
    for cls in type(estimator).__mro__:
        library = cls.__module__.partition(".")[0]
        if library in _CONTINUED and hasattr(estimator, "get_params"):
            return library
    return None


def _is_histogram_boosting(estimator: Any) -> bool:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return isinstance(estimator, (HistGradientBoostingClassifier, HistGradientBoostingRegressor))


def classes_for(estimator: Any, y: Any) -> Any:
    """All labels of a classification, which the first partial fit of each fold must be told."""
    if y is None or not is_classifier(estimator):
        return None
    from sklearn.utils.multiclass import unique_labels

    return unique_labels(y)


def grow_to(
    growth: Growth, estimator: Any, X: Any, y: Any, fit_params: dict[str, Any], steps: Any, classes: Any
) -> Any:
    """``estimator`` trained through ``steps``, the way each fold's was."""
    original = clone(estimator)
    model = growth.begin(estimator)
    if isinstance(growth, Rebuild):
        steps = steps[-1:]
    for amount in steps:
        with growth.fitting(model, amount, classes):
            if y is None:
                model.fit(X, **fit_params)
            else:
                model.fit(X, y, **fit_params)
    growth.finish(model, original)
    return model
