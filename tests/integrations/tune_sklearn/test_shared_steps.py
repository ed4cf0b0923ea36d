"""The first steps of pipelines are fitted once for all candidates that have them alike, and nobody can tell."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_classif, mutual_info_classif
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.svm import SVC

import tune_sklearn._prefix as prefix
from tune_sklearn import TuneGridSearchCV, TuneSearchCV

X, y = load_iris(return_X_y=True)


@pytest.fixture
def scalings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """One number for each time that a StandardScaler is fitted in this process: of rows."""
    seen: list[int] = []
    fit = StandardScaler.fit

    def counted(self: Any, X: Any, y: Any = None, **params: Any) -> Any:
        seen.append(len(X))
        return fit(self, X, y, **params)

    monkeypatch.setattr(StandardScaler, "fit", counted)
    yield seen


def assert_equal_scores(estimator: Any, grid: Any, X: Any, y: Any, **how: Any) -> TuneGridSearchCV:
    """All scores are those of scikit-learn's search, to the last bit."""
    theirs = GridSearchCV(estimator, grid, cv=3, **how).fit(X, y)
    ours = TuneGridSearchCV(estimator, grid, cv=3, **how).fit(X, y)
    assert ours.cv_results_.keys() == theirs.cv_results_.keys()
    for name, values in theirs.cv_results_.items():
        if "score" in name and "time" not in name:
            np.testing.assert_array_equal(ours.cv_results_[name], values, err_msg=name)
    assert ours.best_params_.keys() == theirs.best_params_.keys()
    return ours


class Centred(TransformerMixin, BaseEstimator):
    """Somebody's own transformer."""

    def fit(self, X: Any, y: Any = None) -> Centred:
        self.scaler_ = StandardScaler().fit(X)
        return self

    def transform(self, X: Any) -> Any:
        return self.scaler_.transform(X)


class WritesIntoItsRows(ClassifierMixin, BaseEstimator):
    """Takes its rows for its own, as some estimators do that are told not to copy."""

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift

    def fit(self, X: Any, y: Any) -> WritesIntoItsRows:
        X += self.shift
        self.model_ = LogisticRegression().fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X: Any) -> Any:
        X += self.shift
        return self.model_.predict(X)


class DrawsAndWrites(WritesIntoItsRows):
    """Draws a number before it writes into rows that may be read-only."""

    def fit(self, X: Any, y: Any) -> DrawsAndWrites:
        X[:, 0] *= np.random.rand(len(X))
        super().fit(X, y)
        return self


def accuracy(estimator: Any, X: Any, y: Any) -> float:
    return float(accuracy_score(y, estimator.predict(X)))


def some_columns(X: Any) -> list[int]:
    return [0, 2]


def plus_one(X: Any) -> Any:
    return X + 1


SVCS = {"svc__C": [0.1, 1.0, 10.0], "svc__gamma": [0.01, 0.1]}


def test_equal_first_steps_are_fitted_once_a_fold(scalings: list[int]) -> None:
    assert_equal_scores(make_pipeline(StandardScaler(), SVC()), SVCS, X, y, refit=False)
    assert scalings == [100] * 3 * 6 + [100] * 3, "scikit-learn's for each fit, ours for each fold"


def test_first_steps_that_differ_are_fitted_once_each(scalings: list[int]) -> None:
    grid = {
        "pca__n_components": [1, 2],
        "svc__C": [0.1, 1.0, 10.0],
        "standardscaler": [StandardScaler(), "passthrough"],
    }
    assert_equal_scores(make_pipeline(StandardScaler(), PCA(random_state=0), SVC()), grid, X, y, refit=False)
    assert len(scalings) == 3 * 6 + 3 * 2


def test_last_steps_may_be_other_estimators(scalings: list[int]) -> None:
    pipe = Pipeline([("scale", StandardScaler()), ("model", SVC())])
    grid = [
        {"model": [SVC(), SVC(kernel="linear")], "model__C": [0.1, 1.0]},
        {"model": [KNeighborsClassifier()], "model__n_neighbors": [1, 5]},
        {"model": [KNeighborsClassifier()], "scale": [MinMaxScaler(), StandardScaler(with_mean=False)]},
    ]
    assert_equal_scores(pipe, grid, X, y, refit=False)
    assert len(scalings) == 3 * 7 + 3 * 2


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_words_are_counted_once(n_jobs: int | None) -> None:
    rng = np.random.RandomState(0)
    words = np.array([f"w{i}" for i in range(200)])
    docs = [" ".join(rng.choice(words, 30)) + " yes" * (i % 2) for i in range(120)]
    pipe = make_pipeline(TfidfVectorizer(), SGDClassifier(random_state=0))
    grid = {"sgdclassifier__alpha": [1e-4, 1e-2], "tfidfvectorizer__ngram_range": [(1, 1), (1, 2)]}
    assert_equal_scores(
        pipe, grid, docs, np.arange(120) % 2, n_jobs=n_jobs, scoring=["accuracy", "roc_auc"], refit="accuracy"
    )


def test_early_stopping_scores_candidates_as_a_plain_search_does(scalings: list[int]) -> None:
    data, labels = load_breast_cancer(return_X_y=True)
    pipe = make_pipeline(StandardScaler(), SVC())
    space = {"svc__C": np.logspace(-3, 3, 12).tolist(), "svc__gamma": [0.001, 0.01]}
    search = TuneSearchCV(pipe, space, n_iter=16, random_state=0, early_stopping=True, cv=4, refit=False)
    search.fit(data, labels)
    assert len(scalings) <= 4 + sum(step < 1 for step in search.early_stopping_["steps"])
    whole = np.flatnonzero(search.cv_results_["stop_reason"] == "")
    for row in whole:
        alone = {name: [value] for name, value in search.cv_results_["params"][row].items()}
        theirs = GridSearchCV(pipe, alone, cv=4, refit=False).fit(data, labels)
        for fold in range(4):
            name = f"split{fold}_test_score"
            assert search.cv_results_[name][row] == theirs.cv_results_[name][0]


@pytest.mark.parametrize(
    ("estimator", "grid", "how"),
    [
        pytest.param(make_pipeline(Centred(), StandardScaler(), SVC()), SVCS, {}, id="a transformer of one's own"),
        pytest.param(
            make_pipeline(StandardScaler(), PCA(2, svd_solver="randomized", random_state=None), SVC()),
            SVCS,
            {},
            id="no seed",
        ),
        pytest.param(
            make_pipeline(StandardScaler(), PCA(2, random_state=np.random.RandomState(0)), SVC()),
            SVCS,
            {},
            id="a generator as the seed",
        ),
        pytest.param(
            make_pipeline(StandardScaler(), SelectKBest(mutual_info_classif, k=2), SVC()), SVCS, {}, id="draws inside"
        ),
        pytest.param(
            make_pipeline(StandardScaler(), FunctionTransformer(plus_one), SVC()),
            SVCS,
            {},
            id="a function of one's own",
        ),
        pytest.param(
            make_pipeline(StandardScaler(), ColumnTransformer([("a", "passthrough", some_columns)]), SVC()),
            SVCS,
            {},
            id="a function of one's own in a list",
        ),
        pytest.param(make_pipeline(StandardScaler(), SVC()), SVCS, {"scoring": accuracy}, id="a scorer of one's own"),
        pytest.param(make_pipeline(StandardScaler(), SVC()), SVCS, {"return_train_score": True}, id="training scores"),
        pytest.param(make_pipeline(StandardScaler(), SVC(), verbose=True), SVCS, {}, id="a pipeline that talks"),
    ],
)
def test_what_might_be_seen_is_done_for_each_fit(
    estimator: Any, grid: Any, how: dict[str, Any], scalings: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    TuneGridSearchCV(estimator, grid, cv=3, refit=False, **how).fit(X, y)
    of_a_fit = 1 + any(isinstance(step, Centred) for _, step in estimator.steps)
    draws = any(
        getattr(step, "svd_solver", "") == "randomized" and step.random_state is None for _, step in estimator.steps
    )
    draws |= any(getattr(step, "score_func", None) is mutual_info_classif for _, step in estimator.steps)
    assert len(scalings) == 18 * of_a_fit + 3 * draws, "which shows only when it is tried, once a fold"


def test_what_draws_nothing_needs_no_seed(scalings: list[int]) -> None:
    assert_equal_scores(make_pipeline(StandardScaler(), PCA(2), SVC()), SVCS, X, y, refit=False)
    assert len(scalings) == 18 + 3


def test_numbers_that_are_drawn_without_a_seed_are_those_of_scikit_learn() -> None:
    pipe = make_pipeline(
        PCA(2, svd_solver="randomized"), SelectKBest(mutual_info_classif, k=1), SGDClassifier(max_iter=5)
    )
    drawn = []
    for search in (GridSearchCV, TuneGridSearchCV):
        np.random.seed(3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = search(pipe, {"sgdclassifier__alpha": [1e-4, 1e-2, 1.0]}, cv=3).fit(X, y)
        drawn.append([*found.cv_results_["mean_test_score"], np.random.rand()])
    assert drawn[0] == drawn[1]


def test_last_steps_that_fail_after_drawing_leave_the_numbers_to_their_pipelines() -> None:
    pipe = Pipeline([("scale", StandardScaler()), ("model", DrawsAndWrites())])
    drawn = []
    for search in (GridSearchCV, TuneGridSearchCV):
        np.random.seed(3)
        found = search(pipe, {"model__shift": [0.0, 1.0]}, cv=3, refit=False).fit(X, y)
        drawn.append([*found.cv_results_["mean_test_score"], np.random.rand()])
    assert drawn[0] == drawn[1]


def test_a_users_memory_is_used_as_it_is(tmp_path: Any, scalings: list[int]) -> None:
    pipe = make_pipeline(StandardScaler(), SVC(), memory=str(tmp_path))
    TuneGridSearchCV(pipe, SVCS, cv=3, refit=False).fit(X, y)
    assert len(scalings) == 3
    assert any(tmp_path.rglob("*.pkl"))


def test_weights_for_the_first_steps(scalings: list[int]) -> None:
    weights = np.linspace(0.1, 1, len(y))
    search = TuneGridSearchCV(make_pipeline(StandardScaler(), SVC()), SVCS, cv=3, refit=False)
    search.fit(X, y, standardscaler__sample_weight=weights)
    assert len(scalings) == 18


def test_known_functions_are_no_hindrance(scalings: list[int]) -> None:
    pipe = make_pipeline(StandardScaler(), FunctionTransformer(np.exp), SelectKBest(f_classif, k=2), SVC())
    assert_equal_scores(pipe, SVCS, X, y, refit=False)
    assert len(scalings) == 18 + 3


def test_columns_of_a_frame_by_kind(scalings: list[int]) -> None:
    pandas = pytest.importorskip("pandas")
    columns = ColumnTransformer([("numbers", StandardScaler(), make_column_selector(dtype_include=float))])
    frame = pandas.DataFrame(X, columns=list("abcd"))
    assert_equal_scores(make_pipeline(columns, SVC()), SVCS, frame, y, refit=False)
    assert len(scalings) == 18 + 3


def test_kernels_between_rows() -> None:
    pipe = make_pipeline(FunctionTransformer(), SVC(kernel="precomputed"))
    assert_equal_scores(make_pipeline(SVC(kernel="precomputed")), {"svc__C": [0.1, 1.0]}, rbf_kernel(X), y)
    pipe = make_pipeline(FunctionTransformer(rbf_kernel, kw_args={"Y": X}), SVC())
    assert_equal_scores(pipe, {"svc__C": [0.1, 1.0], "svc__kernel": ["rbf", "linear"]}, X, y)


def test_a_last_step_that_writes_into_its_rows_gets_its_own(scalings: list[int]) -> None:
    pipe = Pipeline([("scale", StandardScaler()), ("model", WritesIntoItsRows())])
    assert_equal_scores(pipe, {"model__shift": [0.0, 1.0, 5.0]}, X, y, refit=False)
    assert len(scalings) > 9 + 3
    regression = make_pipeline(StandardScaler(), LinearRegression(copy_X=False))
    assert_equal_scores(regression, {"linearregression__fit_intercept": [True, False]}, X, X[:, 0] + y)


def test_failing_candidates_say_what_they_say_alone() -> None:
    pipe = make_pipeline(StandardScaler(), SVC())
    grid = {"svc__C": [1.0, -1.0, 10.0]}
    with pytest.warns(FitFailedWarning, match="3 fits failed"):
        assert_equal_scores(pipe, grid, X, y)
    with pytest.raises(ValueError, match="'C' parameter of SVC") as ours:
        TuneGridSearchCV(pipe, grid, cv=3, error_score="raise").fit(X, y)
    with pytest.raises(ValueError, match="'C' parameter of SVC") as theirs:
        GridSearchCV(pipe, grid, cv=3, error_score="raise").fit(X, y)
    assert type(ours.value) is type(theirs.value)


def test_rows_that_first_steps_refuse() -> None:
    spoilt = X.copy()
    spoilt[3, 0] = np.nan
    pipe = make_pipeline(PCA(2), SVC())
    with pytest.warns(FitFailedWarning, match="4 fits failed"):
        assert_equal_scores(pipe, {"svc__C": [0.1, 1.0]}, spoilt, y, refit=False)


def test_more_than_is_to_be_kept(monkeypatch: pytest.MonkeyPatch, scalings: list[int]) -> None:
    monkeypatch.setattr(prefix, "KEPT_BYTES", X.nbytes * 2)
    grid = {"standardscaler__with_std": [True, False], "svc__C": [0.1, 1.0]}
    assert_equal_scores(make_pipeline(StandardScaler(), SVC()), grid, X, y, refit=False)
    assert len(scalings) > 12 + 6
    scalings.clear()
    monkeypatch.setattr(prefix, "KEPT_BYTES", X.nbytes // 2)
    TuneGridSearchCV(make_pipeline(StandardScaler(), SVC()), grid, cv=3, refit=False).fit(X, y)
    assert len(scalings) == 12


def test_fits_are_told_as_long_as_they_would_have_been(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    remainder = prefix.Prefixes.remainder

    def watched(self: Any, *arguments: Any) -> Any:
        seen.append(remainder(self, *arguments))
        return seen[-1]

    monkeypatch.setattr(prefix.Prefixes, "remainder", watched)
    search = TuneGridSearchCV(make_pipeline(StandardScaler(), SVC()), SVCS, cv=3, refit=False).fit(X, y)
    for row, lefts in enumerate(np.array(seen).reshape(6, 3)):
        assert search.cv_results_["mean_fit_time"][row] > np.mean([left.fit_s for left in lefts]) > 0
        assert search.cv_results_["mean_score_time"][row] > np.mean([left.score_s for left in lefts]) > 0
