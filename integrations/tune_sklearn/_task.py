"""All that fitting any candidate on any fold takes; sent to each worker once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import sklearn
from sklearn.base import clone

import tune_core as tune
from tune_sklearn._budget import BudgetSteps
from tune_sklearn._prefix import Prefixes, Remainder, same
from tune_sklearn._rows import FoldedData, Rows
from tune_sklearn._sklearn_private import fit_and_score

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


@dataclass
class SearchTask:
    """What a search evaluates, on which data, and how.

    The splits of ``data`` are made once for all candidates. ``metric`` is what schedulers and searchers compare trials
    by, ``compares`` whether they do. ``budget_steps`` is None where nothing is stopped early.
    """

    no_trial_changes_it: ClassVar[bool] = True  # fits are of clones, on rows taken out: workers need not load it anew

    estimator: BaseEstimator
    data: FoldedData
    scorer: Any
    metric: str
    candidates: list[dict[str, object]] | None = None
    error_score: object = np.nan
    return_train_score: bool = False
    verbose: int = 0
    config: Mapping[str, object] = field(default_factory=dict)  # scikit-learn's
    filters: list[object] = field(default_factory=list)  # of warnings
    budget_steps: BudgetSteps | None = None
    compares: bool = False
    classes: object = None
    contexts: list[object] | None = None  # scikit-learn's callbacks, one a fit
    caller: object = None
    in_process: bool = True
    n_candidates: int = 0
    raised: list[BaseException] = field(default_factory=list)  # in this process: the very exception
    fold_threads: tuple[int, ...] = ()  # for each step of the budget: folds of a candidate fitted at once
    memory: dict[int, Any] | None = (
        None  # in this process: reports, fits and times of paused candidates; None: not kept
    )
    prefixes: Prefixes = field(default_factory=Prefixes)  # of this process

    @property
    def n_folds(self) -> int:
        """How many folds there are."""
        return len(self.data.folds)

    def params_of(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The candidate's parameters, by its number or from the searcher's own configuration."""
        if self.candidates is not None:
            listed: dict[str, Any] = self.candidates[config["candidate"]]
            return listed
        return dict(config)

    def number_of(self, config: Mapping[str, Any]) -> int:
        """The candidate's number, for messages."""
        if self.candidates is not None:
            return int(config["candidate"])
        return int(tune.get_trial_id() or 0)

    def __getstate__(self) -> dict[str, object]:
        """Without what is this process's own."""
        return {**self.__dict__, "prefixes": Prefixes()}

    def fit_folds(
        self, position: int, folds: Iterable[int], fit: Callable[[int], dict[str, Any]]
    ) -> dict[int, dict[str, Any]]:
        """What ``fit`` gives for each fold at a step of the budget; several at once where there are idle workers."""
        folds = list(folds)
        threads = min(self.fold_threads[position], len(folds)) if self.fold_threads else 1
        if threads <= 1:
            return {fold: fit(fold) for fold in folds}

        def with_settings(fold: int) -> dict[str, Any]:
            with sklearn.config_context(**self.config):  # which are each thread's own
                return fit(fold)

        with ThreadPoolExecutor(threads) as pool:
            return dict(zip(folds, pool.map(with_settings, folds), strict=True))

    def fit_fold(
        self,
        estimator: BaseEstimator,
        number: int,
        fold: int,
        params: Any,
        positions: object = None,
        error_score: object = None,
        step: int | None = None,
    ) -> dict[str, Any]:
        """Fit ``estimator`` on one fold, or on some ``positions`` of its training rows, and score it.

        With ``params`` a clone is fitted, on which they are set; a model that grows has its own and is fitted itself.
        ``error_score`` is what a failing fit scores; None: as the search says. ``step`` is the budget's, where other
        steps take other rows. First steps of pipelines that are the same for several candidates are fitted once.
        """
        rows = self.data.rows_of(fold, positions)
        given = self.error_score if error_score is None else error_score
        if params is None:
            return self._fit_and_score(estimator, None, rows, number, fold, given)
        chance = np.random.get_state()  # of the generator that unseeded estimators draw from
        left = self._left_to_fit(estimator, params, rows, fold, step)
        if left is not None:
            after = self._fit_and_score(left.estimator, None, left.rows, number, fold, np.nan)
            if after["fit_error"] is None and _all_finite(after["test_scores"]):
                after["fit_time"] += left.fit_s
                after["score_time"] += left.score_s
                return after
        if not same(chance, np.random.get_state()):
            np.random.set_state(chance)  # the pipeline is to draw what it would have drawn
        whole = self._fit_and_score(clone(estimator), params, rows, number, fold, given)
        if left is not None and whole["fit_error"] is None and _all_finite(whole["test_scores"]):
            self.prefixes.fails = True
        return whole

    def _left_to_fit(
        self, estimator: BaseEstimator, params: Any, rows: Rows, fold: int, step: int | None
    ) -> Remainder | None:
        if self.return_train_score or self.verbose > 1 or self.contexts:  # which show or see more of a fit
            return None
        is_told = step is None or self.budget_steps is None or not self.budget_steps.is_partial(step)
        return self.prefixes.remainder(estimator, params, self.scorer, rows, (fold, step), is_told)

    def _fit_and_score(
        self, estimator: BaseEstimator, params: Any, rows: Rows, number: int, fold: int, error_score: object
    ) -> dict[str, Any]:
        contexts = self.contexts
        return fit_and_score(
            estimator,
            rows.X,
            rows.y,
            scorer=self.scorer,
            train=rows.train,
            test=rows.test,
            verbose=self.verbose,
            parameters=params,
            fit_params=rows.fit_params,
            score_params=rows.score_params,
            return_train_score=self.return_train_score,
            split_progress=(fold, self.n_folds),
            candidate_progress=(number, self.n_candidates),
            error_score=error_score,
            caller=self.caller,
            callback_ctx=contexts[number * self.n_folds + fold] if contexts else None,
        )


def _all_finite(scores: Any) -> bool:
    return bool(np.isfinite(list(scores.values()) if isinstance(scores, Mapping) else scores).all())
