"""What both searches share: ``fit`` from its arguments to its attributes, as scikit-learn's searches do it."""

from __future__ import annotations

import copy
import numbers
import time
import warnings
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import sklearn
from sklearn.base import clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils.validation import check_is_fitted

from tune_sklearn import _early_stopping, _run
from tune_sklearn import _results as tables
from tune_sklearn import _sklearn_private as private
from tune_sklearn._budget import BudgetSteps
from tune_sklearn._evaluate import unnamed_score
from tune_sklearn._growing import LastStep, PartialFit, classes_for, grow_to
from tune_sklearn._html import with_state
from tune_sklearn._kept import is_kept, refuse_to_resume_without_a_name
from tune_sklearn._listed import ListedCandidates
from tune_sklearn._plot import plot_search
from tune_sklearn._progress import closing_words, workload
from tune_sklearn._rows import FoldedData, plain_folds
from tune_sklearn._spaces import readable
from tune_sklearn._task import SearchTask


class Proposals:
    """Candidates that a searcher will propose while the search goes on, in place of a list of them."""

    def __init__(self, searcher: Any, space: dict[str, Any], number: int, own_space: object = None) -> None:
        self.searcher = searcher
        self.space = space
        self.number = number
        self.names: Mapping[str, Any] = own_space if isinstance(own_space, Mapping) else space


class TuneBaseSearchCV(BaseSearchCV):
    """Base of :class:`TuneSearchCV` and :class:`TuneGridSearchCV`; a :class:`sklearn.model_selection.BaseSearchCV`."""

    _parameter_constraints: dict[str, Any] = {
        **BaseSearchCV._parameter_constraints,
        "early_stopping": ["boolean", str, None, private.HasMethods(["on_result"])],
        "max_iters": [private.Interval(numbers.Integral, 1, None, closed="left")],
        "use_gpu": ["boolean"],
        "loggers": [list, tuple, None],
        "pipeline_auto_early_stop": ["boolean"],
        "mode": [private.StrOptions({"min", "max"}), None],
        "name": [str, None],
        "factor": [private.Interval(numbers.Real, 1, None, closed="neither")],
        "resource": [str],
        "min_resources": [private.Interval(numbers.Integral, 1, None, closed="left"), private.StrOptions({"auto"})],
    }
    for _free in ("stopper", "time_budget_s", "sk_n_jobs", "local_dir", "executor"):
        _parameter_constraints[_free] = "no_validation"
    del _free

    # --- what the two searches differ in ------------------------------------------------------------------------------

    @abstractmethod
    def _candidates(self) -> list[dict[str, object]] | Proposals:
        """The candidates, or who will propose them."""

    def _run_search(self, evaluate_candidates: Any, *, callback_ctx: Any = None) -> None:
        candidates = self._candidates()
        number = candidates.number if isinstance(candidates, Proposals) else len(candidates)
        context = private.search_context(self, callback_ctx, number * self.n_splits_)
        evaluate_candidates(candidates, callback_ctx=context)
        if context is not None:
            context.call_on_fit_task_end(estimator=self)

    # --- fit ----------------------------------------------------------------------------------------------------------

    @private.fit_context
    def fit(self, X: Any, y: Any = None, **params: object) -> TuneBaseSearchCV:
        """Search, and refit the best candidate on all of the data.

        Parameters
        ----------
        X
            Training data, as the estimator takes it.
        y
            Target; None where there is none.
        **params
            As in scikit-learn: ``groups`` for the splitter, ``sample_weight`` and others for the estimator's ``fit``
            and for scorers, or by metadata routing. One more is for the search itself: ``resume=True`` goes on with
            the search of this ``name`` where it was cut off.

        Returns
        -------
        TuneBaseSearchCV
            The fitted search.
        """
        began = time.monotonic()
        resume = bool(params.pop("resume", False))
        self.__dict__.pop("early_stopping_", None)
        _refuse_old_arguments(self, params)
        refuse_to_resume_without_a_name(self, resume)
        scorers, refit_metric = private.scorers_of(self)
        X, y = private.indexable(X, y)
        params = private.check_method_params(X, params=params)
        routed = private.routed_params(self, params)
        metadata = None if params.get("sample_weight") is None else {"sample_weight": params["sample_weight"]}
        root = private.begin_callbacks(self, X, y, metadata)

        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        self.n_splits_ = cv.get_n_splits(X, y, **routed.splitter.split)
        evaluation = _Evaluation(self, X, y, scorers, refit_metric, cv, routed, resume)
        if "callback_ctx" in _parameters(self._run_search):
            self._run_search(evaluation, callback_ctx=root)
        else:  # a subclass written for scikit-learn before 1.9
            self._run_search(evaluation)
        self._take(evaluation, refit_metric)
        if self.refit:
            best = evaluation.outcomes[self.best_index_]
            self._refit(X, y, routed.estimator.fit, best, evaluation, root, metadata)
        self.scorer_ = private.plain_scorers(scorers)
        self.cv_results_ = evaluation.results
        self.results_ = evaluation.grid
        private.end_callbacks(self, root, X, y, metadata)
        if self.verbose > 0:
            print(closing_words(self, evaluation.facts(time.monotonic() - began)), flush=True)
        evaluation.warn()
        return self

    def _repr_html_inner(self) -> str:
        """The diagram of the search and its state, for notebooks."""
        return with_state(super()._repr_html_inner(), self)

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object]:
        """The same, beside the text."""
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] = with_state(bundle["text/html"], self)
        return bundle

    def _take(self, evaluation: _Evaluation, refit_metric: Any) -> None:
        """The best candidate, out of what came of the evaluation."""
        results, outcomes = evaluation.results, evaluation.outcomes
        first = next(iter(outcomes[0].fits.values()))["test_scores"] if outcomes[0].fits else None
        self.multimetric_ = isinstance(first if first is not None else evaluation.example, Mapping)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(evaluation.example)
            refit_metric = self.refit
        if self.refit or not self.multimetric_:
            self.best_index_ = self._best_of(results, outcomes, refit_metric)
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{refit_metric}"][self.best_index_]
            self.best_params_ = results["params"][self.best_index_]

    def _best_of(self, results: dict[str, Any], outcomes: list[tables.Outcome], refit_metric: str) -> int:
        """The best candidate's row, one that was evaluated in full; a callable ``refit`` is shown only such ones."""
        whole = [row for row, outcome in enumerate(outcomes) if outcome.complete]
        if len(whole) in (0, len(outcomes)):
            return self._select_best_index(self.refit, refit_metric, results)  # type: ignore[no-any-return]
        shown = {k: [v[i] for i in whole] if isinstance(v, list) else v[whole] for k, v in results.items()}
        return int(whole[self._select_best_index(self.refit, refit_metric, shown)])

    def _refit(
        self, X: Any, y: Any, fit_params: Any, best: tables.Outcome, evaluation: Any, root: object, metadata: object
    ) -> None:
        """Train the best candidate on all data, as far and in the way in which it was scored."""
        estimator = clone(evaluation.estimator).set_params(**clone(self.best_params_, safe=False))
        self.best_estimator_ = estimator
        budget_steps, reached = evaluation.budget_steps, max(0, best.training_iteration - 1)
        if budget_steps is not None and budget_steps.parameter is not None and not budget_steps.is_last(reached):
            estimator.set_params(**{budget_steps.parameter: budget_steps.steps[reached]})  # stopped by others
        with private.refit_callbacks(self, root, estimator, X, y, metadata):
            began = time.time()
            if budget_steps is not None and isinstance(budget_steps.growth, (PartialFit, LastStep)):
                steps = budget_steps.steps[: reached + 1]
                grow_to(budget_steps.growth, estimator, X, y, dict(fit_params), steps, classes_for(estimator, y))
            elif y is not None:
                estimator.fit(X, y, **fit_params)
            else:
                estimator.fit(X, **fit_params)
            self.refit_time_ = time.time() - began
        if hasattr(estimator, "feature_names_in_"):
            self.feature_names_in_ = estimator.feature_names_in_

    def plot(self, parameter: str | None = None, metric: str | None = None, ax: object = None) -> Any:
        """Draw each candidate's score over one of its parameters, stopped ones marked.

        Parameters
        ----------
        parameter
            Which parameter; None: the first that has numbers as its values.
        metric
            Which score, of several; None: the one to refit by.
        ax
            Axes of matplotlib's to draw on; None makes a figure.

        Returns
        -------
        matplotlib.axes.Axes
            What was drawn on.
        """
        check_is_fitted(self, "cv_results_")
        return plot_search(self, parameter, metric, ax)

    def _seed(self, draws: bool) -> int | None:
        """A seed for the run. From a ``RandomState`` it is drawn if ``draws``, else that stays as it was; None: any."""
        random_state = getattr(self, "random_state", None)
        if random_state is None:
            return None
        if isinstance(random_state, numbers.Integral):
            return int(random_state)
        return int((random_state if draws else copy.deepcopy(random_state)).randint(2**31 - 1))


class _Evaluation:
    """What ``_run_search`` is given to call: evaluates candidates, once or several times, and keeps what came out."""

    def __init__(
        self,
        search: TuneBaseSearchCV,
        X: Any,
        y: Any,
        scorers: object,
        refit_metric: str,
        cv: Any,
        routed: Any,
        resume: bool,
    ) -> None:
        self.search = search
        self.X, self.y = X, y
        self.scorers = scorers
        self.several = _several(scorers)
        self.metric = f"average_test_{_optimised(search, self.several, refit_metric)}"
        self.cv = cv
        self.routed = routed
        self.resume = resume
        self.estimator = clone(search.estimator)
        self.outcomes: list[tables.Outcome] = []
        self.results: dict[str, Any] = {}
        self.example: Any = None  # test scores of some fit that went well
        self.budget_steps: BudgetSteps | None = None
        self.grid: Any = None
        self.load: Any = None
        self._rounds = 0
        self._warnings: list[warnings.WarningMessage] = []
        self._more: dict[str, list[Any]] = defaultdict(list)

    def __call__(
        self,
        candidate_params: Iterable[dict[str, Any]] | Proposals,
        cv: Any = None,
        more_results: Mapping[str, Any] | None = None,
        callback_ctx: Any = None,
    ) -> dict[str, Any]:
        """Evaluate candidates and return ``cv_results_`` of all so far."""
        search, n_splits = self.search, self.search.n_splits_
        proposals = candidate_params if isinstance(candidate_params, Proposals) else None
        candidates = None if proposals is not None else list(candidate_params)  # type: ignore[arg-type]
        number = proposals.number if proposals is not None else len(candidates or ())
        folds = self._split(cv or self.cv)
        if number == 0 or not folds:
            raise ValueError("No fits were performed. Was the CV iterator empty? Were there no candidates?")
        work = self._work(candidates, folds, number)
        seed = search._seed(draws=proposals is not None)
        scheduler = self._stop_early(work, proposals, seed)
        if search.verbose > 0:
            print(_opening_words(n_splits, number, work.budget_steps), flush=True)
        work.contexts = self._contexts(callback_ctx, number * n_splits)
        work.caller = search if work.contexts is not None else None
        searcher, space = self._searcher(candidates, proposals, work)
        n_trials = searcher.total if isinstance(searcher, ListedCandidates) else number
        self._rounds += 1
        if proposals is None and seed is None:
            seed = 0  # nothing is drawn; the core would ask NumPy's global generator for one
        plan = _run.SearchPlan(searcher, n_trials, scheduler, space, seed, self.resume, self._rounds)
        self.load = workload(work, scheduler, number)
        for key, value in (more_results or {}).items():
            self._more[key].extend(value)
        self.grid, driver = _run.run(search, work, plan, self.load)
        with warnings.catch_warnings(record=True) as late:
            # nothing that has been computed is lost to a warning that the user turned into an error
            warnings.simplefilter("always")
            driver.warn()
            self._tabulate(work, candidates)
        self._warnings += late
        return self.results

    def _tabulate(self, work: SearchTask, candidates: list[dict[str, Any]] | None) -> None:
        search, n_splits = self.search, self.search.n_splits_
        steps = work.budget_steps.steps if work.budget_steps is not None else ()
        self.outcomes += tables.outcomes_of(self.grid, candidates, n_splits, search.error_score, steps)
        may_stop = self.budget_steps is not None or search.stopper is not None or search.time_budget_s is not None
        self.results = tables.build(search, self.outcomes, n_splits, self._more, may_stop)
        good = (f for o in self.outcomes for f in o.fits.values() if f["fit_error"] is None)
        self.example = next(good, {"test_scores": None})["test_scores"]

    def facts(self, seconds: float) -> dict[str, Any]:
        """What the closing words tell: times, and what early stopping saved, guessed from the part that was done."""
        times = [sum(f["fit_time"] + f["score_time"] for f in o.fits.values()) for o in self.outcomes]
        in_full = None
        if self.budget_steps is not None:
            steps = self.budget_steps
            in_full = tables.seconds_in_full([o.times_s for o in self.outcomes], len(steps.steps), steps.redone)
        if in_full is None:
            in_full = sum(
                time / share if (share := self.load.share(o.training_iteration)) else 0.0
                for time, o in zip(times, self.outcomes, strict=True)
            )
        return {
            "seconds": seconds,
            "candidates": len(times),
            "stopped": sum(not outcome.complete for outcome in self.outcomes),
            "saved": 1 - sum(times) / in_full if in_full > 0 else 0.0,
            "folder": self.grid.experiment_path if is_kept(self.search) else "",
        }

    def warn(self) -> None:
        """Give the warnings that came up while the search ran and was summed up."""
        for one in self._warnings:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)

    def _split(self, cv: Any) -> list[tuple[Any, Any]]:
        folds = list(cv.split(self.X, self.y, **self.routed.splitter.split))
        if len(folds) != self.search.n_splits_:
            raise ValueError(
                "cv.split and cv.get_n_splits return inconsistent results. "
                f"Expected {self.search.n_splits_} splits, got {len(folds)}"
            )
        return plain_folds(folds, private.num_samples(self.X))

    def _work(self, candidates: list[dict[str, Any]] | None, folds: list[tuple[Any, Any]], number: int) -> SearchTask:
        search = self.search
        return SearchTask(
            estimator=self.estimator,
            data=FoldedData(self.X, self.y, folds, self.routed.estimator.fit, self.routed.scorer.score),
            scorer=self.scorers,
            metric=self.metric,
            candidates=candidates,
            error_score=search.error_score,
            return_train_score=search.return_train_score,
            verbose=search.verbose,
            config=sklearn.get_config(),
            filters=list(warnings.filters),
            n_candidates=number,
        )

    def _stop_early(self, work: SearchTask, proposals: Proposals | None, seed: int | None) -> Any:
        search = self.search
        listed: dict[str, Any] = {name: None for c in work.candidates or () for name in c}
        space = listed if proposals is None else proposals.names
        budget_steps, scheduler = _early_stopping.plan(
            search, self.estimator, work.data, work.candidates, space, seed or 0
        )
        work.budget_steps = self.budget_steps = budget_steps
        work.compares = budget_steps is not None or proposals is not None
        if work.compares and len(self.several) > 1 and not isinstance(search.refit, str):
            raise unnamed_score(self.several)
        if budget_steps is not None:
            if isinstance(budget_steps.growth, (PartialFit, LastStep)):
                work.classes = classes_for(self.estimator, self.y)
            search.early_stopping_ = _early_stopping.explain(budget_steps, scheduler)
        return scheduler

    def _contexts(self, parent: object, n_fits: int) -> list[Any] | None:
        steps = self.budget_steps
        if steps is not None and (steps.resource != "folds" or any(map(steps.is_partial, range(len(steps.steps))))):
            return None  # fits of one fold are many, and scikit-learn's callbacks know of one
        return private.fit_contexts(self.search, self.estimator, parent, n_fits)

    def _searcher(
        self, candidates: list[dict[str, Any]] | None, proposals: Proposals | None, work: SearchTask
    ) -> tuple[Any, dict[str, Any]]:
        if proposals is not None:
            return _run.unused(proposals.searcher), proposals.space
        shown = [readable(c) for c in candidates or ()]
        return ListedCandidates(shown, work.n_folds if work.budget_steps is None else 0), {}


def _opening_words(n_splits: int, number: int, budget_steps: BudgetSteps | None) -> str:
    if budget_steps is None:
        total = number * n_splits
        return f"Fitting {n_splits} folds for each of {number} candidates, totalling {total} fits"
    return (
        f"Fitting at most {n_splits} folds for each of {number} candidates\nEarly stopping by {budget_steps.describe()}"
    )


def _several(scorers: object) -> list[str]:
    """The names of several scores; none where there is one, or where only a fit will tell."""
    plain = private.plain_scorers(scorers)
    return list(plain) if isinstance(plain, Mapping) else []


def _optimised(search: TuneBaseSearchCV, several: list[str], refit_metric: object) -> str:
    """The score that trials show, and that schedulers and searchers compare: the one to refit by, else the first."""
    if isinstance(search.refit, str):
        return search.refit
    if several:
        return several[0]
    return str(refit_metric) if isinstance(refit_metric, str) else "score"


def _parameters(method: Any) -> Any:
    import inspect

    return inspect.signature(method).parameters


def _refuse_old_arguments(search: TuneBaseSearchCV, params: dict[str, Any]) -> None:
    if search.sk_n_jobs not in (None, 1):
        raise ValueError(f"sk_n_jobs={search.sk_n_jobs!r} is not supported; set n_jobs of the search or the estimator.")
    if not params.get("tune_params"):
        params.pop("tune_params", None)
        return
    raise ValueError(
        "fit(tune_params=...) passed arguments to a function of Ray Tune's that is not used here. Give stopper, "
        "loggers, time_budget_s, name, local_dir or executor to the constructor instead."
    )
