"""Estimators whose model has a size that a parameter fixes: trees, stages of a boosting, epochs of a network.

Training to half of that size costs half, and tells much about the whole. Some can be trained from there to a larger
size with exactly the model that one ``fit`` gives; all others are trained anew with the larger value.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sklearn.pipeline import Pipeline

from tune_sklearn._growing import Epochs, WarmStart

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


_LIGHTGBM_ALIASES = (
    "num_iterations",
    "num_iteration",
    "n_iter",
    "num_tree",
    "num_trees",
    "num_round",
    "num_rounds",
    "nrounds",
    "num_boost_round",
    "max_iter",
)
_CATBOOST_ALIASES = ("iterations", "n_estimators", "num_boost_round", "num_trees")
_XGBOOST_DEFAULT, _CATBOOST_DEFAULT = 100, 1000


@dataclass(frozen=True)
class Size:
    """The parameter that fixes the size of an estimator's model.

    ``total`` is its value, ``names`` are all names under which it may be set. ``growth`` trains a model on to a larger
    size exactly as one fit would; None where that is not sure. ``is_default`` says that the value is the library's own
    and stands nowhere in the parameters.
    """

    parameter: str
    total: int
    names: frozenset[str]
    growth: WarmStart | None = None
    is_default: bool = False


def size_of(estimator: BaseEstimator, rows: int = 0, inside_pipelines: bool = True) -> Size | None:
    """The size of the model that ``estimator`` trains; None if no parameter is known to fix it.

    Parameters
    ----------
    estimator
        An unfitted estimator.
    rows
        Training rows of the largest fold.
    inside_pipelines
        Whether a pipeline has the size of its last step.
    """
    if isinstance(estimator, Pipeline):
        return _size_of_last_step(estimator, rows) if inside_pipelines and estimator.steps else None
    if not hasattr(estimator, "get_params") or isinstance(estimator, type):
        return None
    library = next(
        filter(None, (_LIBRARIES.get(c.__module__.partition(".")[0]) for c in type(estimator).__mro__)), None
    )
    if library is not None:
        return library(estimator)
    parameter = "max_iter" if _is_histogram_boosting(estimator) else "n_estimators"
    total = whole(estimator.get_params(deep=False).get(parameter))
    if total is None:
        return None
    growth = WarmStart(parameter) if _continues_exactly(estimator, rows) else None
    return Size(parameter, total, frozenset({parameter}), growth)


def whole(value: Any) -> int | None:
    """``value`` if it is a whole number above 0."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        return None
    return int(value) if int(value) > 0 else None


def _size_of_last_step(pipeline: Pipeline, rows: int) -> Size | None:
    """That of the last step. Its model is never trained on: the rows that reach it may differ from fit to fit."""
    name, last = pipeline.steps[-1]
    inner = None if last is None or isinstance(last, str) else size_of(last, rows)
    if inner is None:
        return None
    names = frozenset(f"{name}__{one}" for one in inner.names)
    return Size(f"{name}__{inner.parameter}", inner.total, names, None, inner.is_default)


# --- libraries with names and defaults of their own -------------------------------------------------------------------


def _xgboost(estimator: BaseEstimator) -> Size | None:
    if any(c.__name__.startswith("XGBRF") for c in type(estimator).__mro__):
        return None  # its n_estimators are the trees of one round
    value = estimator.get_params(deep=False).get("n_estimators")
    return _library_size("n_estimators", value, _XGBOOST_DEFAULT, ("n_estimators",))


def _lightgbm(estimator: BaseEstimator) -> Size | None:
    params = estimator.get_params(deep=False)
    parameter = next((name for name in _LIGHTGBM_ALIASES if params.get(name) is not None), "n_estimators")
    return _library_size(parameter, params.get(parameter), None, ("n_estimators", *_LIGHTGBM_ALIASES))


def _catboost(estimator: BaseEstimator) -> Size | None:
    params = estimator.get_params(deep=False)
    parameter = next((name for name in _CATBOOST_ALIASES if params.get(name) is not None), "iterations")
    return _library_size(parameter, params.get(parameter), _CATBOOST_DEFAULT, _CATBOOST_ALIASES)


def _skorch(estimator: BaseEstimator) -> Size | None:
    """Its epochs. A net of one epoch is left to partial fits, each of which is an epoch then.

    What its callbacks keep (an early stopping's patience, a schedule of rates) begins anew with each ``partial_fit``.
    """
    params = estimator.get_params(deep=False)
    total = whole(params.get("max_epochs"))
    if total is None or total == 1:
        return None
    growth = None if params.get("callbacks") else Epochs("max_epochs")
    return Size("max_epochs", total, frozenset({"max_epochs"}), growth)


def _library_size(parameter: str, value: Any, default: int | None, names: tuple[str, ...]) -> Size | None:
    total = default if value is None else whole(value)
    return None if total is None else Size(parameter, total, frozenset(names), None, value is None)


_LIBRARIES: dict[str, Callable[[BaseEstimator], Size | None]] = {
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
    "skorch": _skorch,
}


# --- which of scikit-learn's are exact --------------------------------------------------------------------------------


def _is_histogram_boosting(estimator: BaseEstimator) -> bool:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return isinstance(estimator, (HistGradientBoostingClassifier, HistGradientBoostingRegressor))


_STOPS_FROM_ROWS = 10_000
"""Histogram boosting with ``early_stopping="auto"`` stops early by itself on more rows than these."""


def _continues_exactly(estimator: BaseEstimator, rows: int) -> bool:
    """Whether a warm start of scikit-learn's gives the very model that one fit of the larger size gives."""
    from sklearn.ensemble import (
        BaggingClassifier,
        BaggingRegressor,
        GradientBoostingClassifier,
        GradientBoostingRegressor,
    )
    from sklearn.ensemble._forest import BaseForest

    params = estimator.get_params(deep=False)
    seed = params.get("random_state")
    if not type(estimator).fit.__module__.startswith("sklearn."):
        return False  # a fit of the user's own: nobody knows what it does the second time
    if "warm_start" not in params or not (seed is None or isinstance(seed, numbers.Integral)):
        return False
    if _is_histogram_boosting(estimator):
        stops = params["early_stopping"]
        return stops in (False,) or (stops == "auto" and rows <= _STOPS_FROM_ROWS)
    if isinstance(estimator, (GradientBoostingClassifier, GradientBoostingRegressor)):
        return params["n_iter_no_change"] is None
    if isinstance(estimator, (BaggingClassifier, BaggingRegressor)):
        return not params["oob_score"]
    return isinstance(estimator, BaseForest)
