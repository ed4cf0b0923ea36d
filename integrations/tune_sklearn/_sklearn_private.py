"""The names of scikit-learn that are not promised to stay, all in one place, with what differs between its releases."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sklearn.model_selection._validation import (
    _fit_and_score,
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.validation import _check_method_params, _num_samples, indexable

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.model_selection import BaseSearchCV


try:
    from sklearn.metrics._scorer import _BaseScorer, _MultimetricScorer, _PassthroughScorer
except ImportError:  # pragma: no cover
    _BaseScorer = _MultimetricScorer = _PassthroughScorer = ()

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "begin_callbacks",
    "check_method_params",
    "end_callbacks",
    "fit_and_score",
    "fit_context",
    "fit_contexts",
    "format_results",
    "indexable",
    "insert_error_scores",
    "looks_at_predictions_only",
    "num_samples",
    "pairwise",
    "plain_scorers",
    "process_routing",
    "refit_callbacks",
    "routed_params",
    "safe_indexing",
    "scorers_of",
    "search_context",
    "warn_or_raise_about_fit_failures",
    "without_nonfinite_warning",
]

check_method_params = _check_method_params
num_samples = _num_samples
safe_indexing = _safe_indexing
insert_error_scores = _insert_error_scores
warn_or_raise_about_fit_failures = _warn_or_raise_about_fit_failures

_FIT_AND_SCORE_TAKES = frozenset(inspect.signature(_fit_and_score).parameters)


def fit_context(method: object) -> Any:
    """Validate the constructor's arguments before ``fit``, and look after scikit-learn's callbacks around it."""
    from sklearn.base import _fit_context

    return _fit_context(prefer_skip_nested_validation=False)(method)


def fit_and_score(estimator: BaseEstimator, X: Any, y: Any, **arguments: object) -> dict[str, Any]:
    """One fit and its scores, exactly as scikit-learn's searches do it; arguments that a release lacks are left out."""
    known = {name: value for name, value in arguments.items() if name in _FIT_AND_SCORE_TAKES}
    answer: dict[str, object] = _fit_and_score(
        estimator,
        X,
        y,
        return_n_test_samples=True,
        return_times=True,
        return_parameters=False,
        **known,
    )
    return answer


def scorers_of(search: BaseSearchCV) -> tuple[Any, str]:
    """The scorer or scorers in force and the name of the metric to refit by."""
    if "convert_multimetric" in inspect.signature(search._get_scorers).parameters:  # up to 1.4
        return search._get_scorers(convert_multimetric=True)  # type: ignore[no-any-return]
    return search._get_scorers()  # type: ignore[no-any-return]


def plain_scorers(scorers: object) -> Any:
    """What ``scorer_`` shows: a callable, or for several metrics a dict of them."""
    return scorers._scorers if isinstance(scorers, _MultimetricScorer) else scorers


def looks_at_predictions_only(scorer: Any) -> bool:
    """Whether a scorer is scikit-learn's own, which sees no more of ``X`` than what the estimator says of it."""
    scorers = scorer._scorers.values() if isinstance(scorer, _MultimetricScorer) else (scorer,)
    return all(isinstance(one, (_BaseScorer, _PassthroughScorer)) for one in scorers)


def routed_params(search: BaseSearchCV, params: Mapping[str, Any]) -> Any:
    """Which of ``fit``'s keywords go to the estimator, to the splitter and to the scorers."""
    return search._get_routed_params_for_fit(dict(params))


def format_results(
    search: BaseSearchCV,
    candidates: list[dict[str, Any]],
    n_splits: int,
    out: list[dict[str, Any]],
    more: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """``cv_results_`` as this release of scikit-learn lays it out."""
    results: dict[str, Any] = search._format_results(candidates, n_splits, out, more or {})
    return results


def pairwise(estimator: BaseEstimator) -> bool:
    """Whether ``X`` holds distances or kernels between samples, so that training on fewer samples cuts columns too."""
    try:
        from sklearn.utils import get_tags

        return bool(get_tags(estimator).input_tags.pairwise)
    except ImportError:  # before 1.6
        from sklearn.utils._tags import _safe_tags

        return bool(_safe_tags(estimator, key="pairwise"))


# --- scikit-learn's callbacks (from 1.9) ------------------------------------------------------------------------------


def begin_callbacks(search: BaseSearchCV, X: Any, y: Any, metadata: object) -> Any:
    """Set up the callbacks of ``search`` and say that its fit begins; None where there are none."""
    if not hasattr(search, "_init_callback_context"):
        return None
    context = search._init_callback_context(max_subtasks=1 + (search.refit is not False))
    return context.call_on_fit_task_begin(estimator=search, X=X, y=y, metadata=metadata)


def end_callbacks(search: BaseSearchCV, context: Any, X: Any, y: Any, metadata: Any) -> None:
    """Say that a task is over."""
    if context is not None:
        context.call_on_fit_task_end(estimator=search, X=X, y=y, metadata=metadata)


@contextmanager
def refit_callbacks(
    search: object, root: Any, estimator: BaseEstimator, X: Any, y: Any, metadata: object
) -> Iterator[None]:
    """Around the refit: the hooks of the search, and its callbacks handed on to the estimator."""
    if root is None:
        yield
        return
    context = root.subcontext(task_name="refit-with-best-params")
    with context.propagate_callback_context(estimator):
        context.call_on_fit_task_begin(estimator=search, X=X, y=y, metadata=metadata)
        yield
    context.call_on_fit_task_end(estimator=search, X=X, y=y, metadata=metadata)


def search_context(search: BaseSearchCV, root: Any, n_fits: int | None) -> Any:
    """The callbacks' context of the search itself, below which the fits are."""
    if root is None:
        return None
    context = root.subcontext(task_name="search", max_subtasks=n_fits, sequential_subtasks=False)
    return context.call_on_fit_task_begin(estimator=search)


def fit_contexts(search: object, estimator: BaseEstimator, parent: Any, n_fits: int) -> list[Any] | None:
    """One callback context a fit; None if nobody listens, so that none has to travel to the workers."""
    if parent is None or not (_listens(search) or hasattr(search, "_parent_callback_ctx") or _listens(estimator)):
        return None
    return [parent.subcontext(task_name="candidate-split-evaluation", task_id=i) for i in range(n_fits)]


def _listens(estimator: BaseEstimator) -> bool:
    """Whether an estimator or one inside of it has callbacks."""
    parts = [estimator, *estimator.get_params().values()] if hasattr(estimator, "get_params") else [estimator]
    return any(getattr(part, "_skl_callbacks", None) for part in parts)


@contextmanager
def without_nonfinite_warning(when: bool) -> Iterator[None]:
    """Silence the warning about scores that are not finite, where a stopped candidate explains them."""
    with warnings.catch_warnings():
        if when:
            warnings.filterwarnings("ignore", message="One or more of the", category=UserWarning)
        yield
