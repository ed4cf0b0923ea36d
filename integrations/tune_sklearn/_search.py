"""The searches: :class:`TuneSearchCV` samples candidates or has them proposed, :class:`TuneGridSearchCV` takes all."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_core.errors import InvalidArgumentError
from tune_core.search import BasicVariantGenerator
from tune_sklearn import _sklearn_private as private
from tune_sklearn._base import Proposals, TuneBaseSearchCV
from tune_sklearn._schedulers import is_population, speaking_of
from tune_sklearn._spaces import domains_of, gridded, sampled

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


_COMMON = """
    early_stopping
        None or False: every candidate is evaluated in full. True: candidates race over a part of one fold, one
        fold, two and so on (or what ``resource`` says; ``early_stopping_`` has the steps), and those that fall behind
        are stopped. Or a scheduler of tune-core's, by
        name or instance.
    scoring, refit, cv, verbose, error_score, return_train_score, pre_dispatch
        As in scikit-learn. ``pre_dispatch`` is accepted and has no effect: nothing is copied for each fit.
    n_jobs
        None or 1: in this process, one fit after another. n: that many worker processes; -1: one for each core. On Ray,
        where that is up, n limits how many fits run at once.
    local_dir, name
        Folder and name under which the search is kept, so that ``fit(X, y, resume=True)`` can go on with it. Without
        them nothing is left on disk.
    max_iters
        With early stopping: how many epochs (steps) a candidate is trained for at most, each followed by a score.
        1 lets the steps be chosen.
    use_gpu
        Give each fit a GPU, or where there are fewer GPUs than workers a share of one.
    loggers
        "csv", "json", "tensorboard", "mlflow", or instances or classes of ``tune_core.Callback``.
    pipeline_auto_early_stop
        Whether a pipeline is trained step by step through its last step.
    stopper
        A ``tune_core.Stopper`` or a function of trial id and result; ends trials, or the search.
    time_budget_s
        Seconds, or a ``timedelta``, that the search may take, without the refit.
    sk_n_jobs
        Accepted for tune-sklearn's sake; only None and 1.
    mode
        "max" (the default, as scikit-learn's scorers are all greater for better), or "min" if your score is a loss.
    executor
        Where fits run if not as ``n_jobs`` says: "ray", "local", "inline", or an executor of tune-core's.
    resource
        What early stopping gives candidates more and more of: "iterations" (a growing model), "samples" (of the
        training data), "folds", or a parameter of the estimator such as "n_estimators". "auto": folds and parts of the
        first one, or with ``max_iters`` epochs; with ``min_resources`` iterations, samples or folds, as suits.
    factor
        One in ``factor`` candidates goes on to the next step.
    min_resources
        How much of the resource the first step has; "auto" chooses.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, multimetric_
        As in scikit-learn. Where candidates may be stopped (by early stopping, a stopper or a time budget)
        ``cv_results_`` has further columns: ``training_iteration`` (steps done), ``time_total_s`` (seconds),
        ``n_resources`` and ``stop_reason`` (empty for those evaluated in full).
    early_stopping_
        What early stopping works with: resource, kind, steps and scheduler.
    results_
        The trials as a ``tune_core.ResultGrid``.
"""


class TuneSearchCV(TuneBaseSearchCV):
    __doc__ = f"""Search over parameters that are sampled or proposed by a search algorithm, scored by cross-validation.

    A drop-in for scikit-learn's ``RandomizedSearchCV``: the same candidates and scores for the same ``random_state``.

    Parameters
    ----------
    estimator
        The estimator to tune.
    param_distributions
        A dict of names to lists, distributions (anything with ``rvs``), domains of tune-core, or those of Optuna,
        Hyperopt, scikit-optimize and ConfigSpace; or with random search a list of such dicts. For other searches also
        ``(low, high)`` and ``(low, high, "log-uniform")``: whole numbers if both are, with both ends included.
    n_trials, n_iter
        How many candidates to try. ``n_iter`` is scikit-learn's name and wins if both are given.
    random_state
        Seed of the sampling or the search: an int, a ``RandomState`` or None.
    search_optimization
        "random", or who proposes candidates: "bayesian", "bohb", "hyperopt", "optuna", any other searcher of
        tune-core's by name, or an instance.
    search_kwargs
        Arguments for that searcher.
{_COMMON}
    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from tune_sklearn import TuneSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> space = {{"C": loguniform(1e-3, 1e3)}}
    >>> search = TuneSearchCV(LogisticRegression(max_iter=500), space, n_iter=5, random_state=0).fit(X, y)
    >>> sorted(search.best_params_)
    ['C']
    """

    _parameter_constraints: dict[str, Any] = {
        **TuneBaseSearchCV._parameter_constraints,
        "param_distributions": "no_validation",
        "n_trials": [private.Interval(numbers.Integral, 1, None, closed="left")],
        "n_iter": [private.Interval(numbers.Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "search_optimization": [str, private.HasMethods(["suggest"])],
        "search_kwargs": [dict, None],
    }

    def __init__(
        self,
        estimator: BaseEstimator,
        param_distributions: object,
        early_stopping: object = None,
        n_trials: int = 10,
        scoring: object = None,
        n_jobs: int | None = None,
        refit: object = True,
        cv: Any = None,
        verbose: int = 0,
        random_state: object = None,
        error_score: object = np.nan,
        return_train_score: bool = False,
        local_dir: object = None,
        name: str | None = None,
        max_iters: int = 1,
        search_optimization: object = "random",
        use_gpu: bool = False,
        loggers: object = None,
        pipeline_auto_early_stop: bool = True,
        stopper: object = None,
        time_budget_s: object = None,
        sk_n_jobs: int | None = None,
        mode: str | None = None,
        search_kwargs: dict[str, Any] | None = None,
        *,
        n_iter: int | None = None,
        pre_dispatch: object = "2*n_jobs",
        executor: object = None,
        resource: str = "auto",
        factor: float = 4,
        min_resources: object = "auto",
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_distributions = param_distributions
        self.early_stopping = early_stopping
        self.n_trials = n_trials
        self.random_state = random_state
        self.local_dir = local_dir
        self.name = name
        self.max_iters = max_iters
        self.search_optimization = search_optimization
        self.use_gpu = use_gpu
        self.loggers = loggers
        self.pipeline_auto_early_stop = pipeline_auto_early_stop
        self.stopper = stopper
        self.time_budget_s = time_budget_s
        self.sk_n_jobs = sk_n_jobs
        self.mode = mode
        self.search_kwargs = search_kwargs
        self.n_iter = n_iter
        self.executor = executor
        self.resource = resource
        self.factor = factor
        self.min_resources = min_resources

    def _candidates(self) -> list[dict[str, object]] | Proposals:
        number = self.n_iter if self.n_iter is not None else self.n_trials
        if isinstance(self.search_optimization, str) and self.search_optimization.lower() == "random":
            if self.search_kwargs:
                raise InvalidArgumentError(
                    "TuneSearchCV(search_kwargs)",
                    f"is {self.search_kwargs!r} with search_optimization='random'",
                    "random search takes no arguments",
                    "Leave search_kwargs out, or name the search algorithm they are for.",
                )
            if is_population(self):
                return Proposals(BasicVariantGenerator(), domains_of(self.param_distributions), number)
            return sampled(self.param_distributions, number, self.random_state)
        searcher = self._searcher()
        own_space = getattr(searcher, "_space_given", None)
        if own_space is None:
            return Proposals(searcher, domains_of(self.param_distributions), number)
        if self.param_distributions:
            warnings.warn(
                f"{type(self).__name__}: param_distributions is not used, since {type(searcher).__name__} has a space "
                "of its own.",
                UserWarning,
                stacklevel=2,
            )
        return Proposals(searcher, {}, number, own_space)

    def _searcher(self) -> Any:
        if not isinstance(self.search_optimization, str):
            return self.search_optimization
        import tune_core as tune

        name = self.search_optimization.lower()
        with speaking_of("TuneSearchCV(search_optimization)"):
            return tune.create_searcher(_SEARCHERS.get(name, name), **(self.search_kwargs or {}))


_SEARCHERS: Mapping[str, str] = {"bayesian": "bayesopt"}


class TuneGridSearchCV(TuneBaseSearchCV):
    __doc__ = f"""Search over all combinations of given values, scored by cross-validation.

    A drop-in for scikit-learn's ``GridSearchCV``: the same candidates, order and scores.

    Parameters
    ----------
    estimator
        The estimator to tune.
    param_grid
        A dict of names to lists of values (or ``tune.grid_search([...])``), or a list of such dicts.
{_COMMON}
    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from tune_sklearn import TuneGridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> search = TuneGridSearchCV(SVC(), {{"kernel": ["linear", "rbf"], "C": [1, 10]}}).fit(X, y)
    >>> len(search.cv_results_["params"])
    4
    """

    _parameter_constraints: dict[str, Any] = {
        **TuneBaseSearchCV._parameter_constraints,
        "param_grid": [dict, list],
    }

    def __init__(
        self,
        estimator: BaseEstimator,
        param_grid: object,
        early_stopping: object = None,
        scoring: object = None,
        n_jobs: int | None = None,
        cv: Any = None,
        refit: object = True,
        verbose: int = 0,
        error_score: object = np.nan,
        return_train_score: bool = False,
        local_dir: object = None,
        name: str | None = None,
        max_iters: int = 1,
        use_gpu: bool = False,
        loggers: object = None,
        pipeline_auto_early_stop: bool = True,
        stopper: object = None,
        time_budget_s: object = None,
        sk_n_jobs: int | None = None,
        mode: str | None = None,
        *,
        pre_dispatch: object = "2*n_jobs",
        executor: object = None,
        resource: str = "auto",
        factor: float = 4,
        min_resources: object = "auto",
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_grid = param_grid
        self.early_stopping = early_stopping
        self.local_dir = local_dir
        self.name = name
        self.max_iters = max_iters
        self.use_gpu = use_gpu
        self.loggers = loggers
        self.pipeline_auto_early_stop = pipeline_auto_early_stop
        self.stopper = stopper
        self.time_budget_s = time_budget_s
        self.sk_n_jobs = sk_n_jobs
        self.mode = mode
        self.executor = executor
        self.resource = resource
        self.factor = factor
        self.min_resources = min_resources

    def _candidates(self) -> list[dict[str, object]] | Proposals:
        if is_population(self):
            raise InvalidArgumentError(
                "TuneGridSearchCV(early_stopping)",
                "is PopulationBasedTraining",
                "it changes parameters on the way, which a grid has not",
                "Use TuneSearchCV with distributions.",
            )
        return gridded(self.param_grid)
