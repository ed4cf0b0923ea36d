"""Early stopping drops nobody for a wrong reason, and what it leaves is what the plain search would have found."""

from __future__ import annotations

import threading
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.datasets import load_iris, make_classification, make_regression
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from tune_core.errors import InvalidArgumentError, SerializationError
from tune_core.schedulers import ASHAScheduler
from tune_core.stopper import MaximumIterationStopper
from tune_sklearn import TuneGridSearchCV, TuneSearchCV
from tune_sklearn._budget import fold_race, sample_steps
from tune_sklearn._rows import plain_folds


def both(estimator, grid, X, y, early=None, **arguments):
    """The grid searched by scikit-learn and by ours with early stopping; the winner's score has to be the same."""
    theirs = GridSearchCV(estimator, grid, **arguments).fit(X, y)
    ours = TuneGridSearchCV(estimator, grid, early_stopping=True, **(early or {}), **arguments).fit(X, y)
    score = "score" if not isinstance(arguments.get("refit"), str) else arguments["refit"]
    assert ours.best_score_ == theirs.cv_results_[f"mean_test_{score}"][ours.best_index_]
    return ours, theirs


# --- models that are trained step by step are those of one fit --------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(16, random_state=0, class_weight="balanced", oob_score=True),
        GradientBoostingClassifier(n_estimators=16, subsample=0.5, max_features=2, random_state=0),
        GradientBoostingClassifier(n_estimators=16, n_iter_no_change=2, random_state=0),
        HistGradientBoostingClassifier(max_iter=16, max_features=0.5, random_state=0),
        HistGradientBoostingClassifier(max_iter=16, early_stopping=True, n_iter_no_change=2, random_state=0),
        BaggingClassifier(DecisionTreeClassifier(max_depth=2), 16, random_state=0),
        BaggingClassifier(DecisionTreeClassifier(max_depth=2), 16, oob_score=True, random_state=0),
    ],
    ids=lambda model: str(model)[:40],
)
@pytest.mark.filterwarnings("error::UserWarning")
def test_grown_classifiers_predict_as_those_of_one_fit(binary, model):
    grid = (
        {"max_depth": [1, 2, 3, 4, 5]} if "max_depth" in model.get_params() else {"max_samples": [0.5, 0.6, 0.7, 0.8]}
    )
    ours, _ = both(model, grid, *binary, {"resource": "iterations"}, cv=3)
    assert ours.early_stopping_["resource"] in ("n_estimators", "max_iter")
    assert len(set(ours.cv_results_["n_resources"])) > 1
    alone = clone(model).set_params(**ours.best_params_).fit(*binary)
    np.testing.assert_array_equal(ours.predict_proba(binary[0]), alone.predict_proba(binary[0]))
    assert str(ours.best_estimator_.get_params()) == str(alone.get_params())


@pytest.mark.parametrize("model", [ExtraTreesRegressor(16, random_state=0), HistGradientBoostingRegressor(max_iter=16)])
def test_grown_regressors_predict_as_those_of_one_fit(model):
    X, y = make_regression(120, 5, noise=1, random_state=0)
    model, grid = model.set_params(random_state=0), {"max_depth": [1, 2, 3, 4, 5]}
    ours, _ = both(model, grid, X, y, {"resource": "iterations"}, cv=3)
    np.testing.assert_array_equal(ours.predict(X), clone(model).set_params(**ours.best_params_).fit(X, y).predict(X))


def test_search_whose_folds_do_not_stop_early_by_themselves_but_whose_refit_does_is_refitted_in_one_go():
    X, y = make_classification(10_400, 4, n_informative=2, n_redundant=0, random_state=0)
    model = HistGradientBoostingClassifier(max_iter=8, n_iter_no_change=1, tol=1e9, random_state=0)
    search = TuneGridSearchCV(model, {"max_depth": [1, 2]}, cv=KFold(26), early_stopping=True, min_resources=2)
    search.set_params(cv=[(np.arange(9000), np.arange(9000, 10_400))]).fit(X, y)  # "auto" is off in the fold
    assert search.early_stopping_["kind"] == "warm_start with max_iter"
    assert search.best_estimator_.n_iter_ == clone(model).set_params(**search.best_params_).fit(X, y).n_iter_ < 8


@pytest.mark.parametrize(
    ("module", "model", "total"),
    [
        ("lightgbm", "LGBMClassifier(verbose=-1, n_jobs=1, num_iterations=16)", 16),
        ("lightgbm", "LGBMClassifier(verbose=-1, n_jobs=1, n_iter=16, boosting_type='dart')", 16),
        ("lightgbm", "LGBMClassifier(verbose=-1, n_jobs=1, n_estimators=16, subsample=.5, subsample_freq=1)", 16),
        ("xgboost", "XGBClassifier(n_jobs=1, n_estimators=16, subsample=.5, booster='dart', rate_drop=.5)", 16),
        ("xgboost", "XGBClassifier(n_jobs=1)", 100),
        ("catboost", "CatBoostClassifier(verbose=0, allow_writing_files=False, thread_count=1, n_estimators=16)", 16),
    ],
)
def test_boosting_libraries_score_as_in_one_fit_whatever_the_name_of_their_rounds(binary, module, model, total):
    library = pytest.importorskip(module)
    model = eval(f"library.{model}", {"library": library})
    grid = {"learning_rate": [1e-3, 1e-2, 0.1, 0.3, 0.5]}
    ours, _ = both(model, grid, *binary, {"resource": "iterations"}, cv=2)
    assert ours.early_stopping_["steps"][-1] == total
    alone = clone(model).set_params(**ours.best_params_).fit(*binary)
    np.testing.assert_allclose(ours.predict_proba(binary[0]), alone.predict_proba(binary[0]))


def test_forest_of_xgboost_stays_one(binary):
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBRFClassifier(n_estimators=20, n_jobs=1, random_state=0)
    ours, _ = both(model, {"max_depth": [2, 3, 4]}, *binary, cv=3)
    assert ours.best_estimator_.get_booster().num_boosted_rounds() == 1


def test_early_stopping_of_the_estimator_itself_works_as_in_one_fit(binary):
    lightgbm = pytest.importorskip("lightgbm")
    X, y = binary
    model = lightgbm.LGBMClassifier(n_estimators=60, verbose=-1, n_jobs=1, early_stopping_rounds=2)
    search = TuneGridSearchCV(model, {"learning_rate": [0.05, 0.1, 0.5, 0.9]}, cv=2, early_stopping=True)
    search.fit(X, y, eval_set=[(X[:40], y[:40])])
    alone = clone(model).set_params(**search.best_params_).fit(X, y, eval_set=[(X[:40], y[:40])])
    assert search.best_estimator_.best_iteration_ == alone.best_iteration_


# --- candidates of several kinds --------------------------------------------------------------------------------------


def test_transformers_estimators_and_arrays_as_values_go_on_with_their_scores(cancer):
    pipe = Pipeline([("sc", StandardScaler()), ("clf", GradientBoostingClassifier(n_estimators=16, random_state=0))])
    ours, theirs = both(pipe, {"sc": [StandardScaler(), MinMaxScaler()], "clf__max_depth": [3, 1]}, *cancer, cv=3)
    assert np.isfinite(ours.cv_results_["mean_test_score"]).all()
    assert ours.best_params_["clf__max_depth"] == theirs.best_params_["clf__max_depth"]
    grid = {"sc": [StandardScaler(), MinMaxScaler()], "clf__alpha": [1e-4, 1e-2]}
    pipe = Pipeline([("sc", StandardScaler()), ("clf", SGDClassifier(random_state=0))])
    search = TuneGridSearchCV(pipe, grid, cv=3, early_stopping=True, max_iters=4, factor=2).fit(*cancer)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    priors = {"priors": [np.array([0.5, 0.5]), np.array([0.9, 0.1]), None]}
    search = TuneGridSearchCV(GaussianNB(), priors, cv=3, early_stopping=True, max_iters=4, factor=2).fit(*cancer)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_candidates_of_other_kinds_and_sizes_are_raced_over_what_all_have(cancer):
    forest = RandomForestClassifier(16, random_state=0)
    pipe = Pipeline([("sc", StandardScaler()), ("clf", forest)])
    grid = [{"clf": [forest], "clf__max_depth": [2, 4]}, {"clf": [SVC()], "clf__C": [1, 10]}]
    ours, _ = both(pipe, grid, *cancer, {"min_resources": 1}, cv=3)
    assert ours.early_stopping_["resource"] == "folds" and "SVC" in ours.early_stopping_["reason"]
    grid = {"clf": [forest, RandomForestClassifier(64, random_state=0)]}
    ours, _ = both(pipe, grid, *cancer, {"min_resources": 1}, cv=3)
    assert ours.early_stopping_["resource"] == "folds" and "64" in ours.early_stopping_["reason"]


@pytest.mark.parametrize("setting", [{"class_weight": ["balanced", None]}, {"early_stopping": [True, False]}])
def test_what_partial_fit_refuses_is_evaluated_in_another_way_and_said(cancer, setting):
    search = TuneGridSearchCV(
        SGDClassifier(random_state=0), {**setting, "alpha": [1e-4, 1e-3]}, cv=3, early_stopping=True, max_iters=8
    )
    with pytest.warns(UserWarning, match=f"max_iters=8 is not followed: partial_fit refuses {next(iter(setting))}"):
        search.fit(*cancer)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    with pytest.raises(InvalidArgumentError, match="partial_fit refuses"):
        search.set_params(resource="iterations").fit(*cancer)


class TwoOnly(ClassifierMixin, BaseEstimator):
    """Its ``partial_fit`` takes rows and labels, and finds the classes itself."""

    def __init__(self, level=0.0):
        self.level = level

    def partial_fit(self, X, y):
        self.classes_ = np.unique(y)
        self.passes_ = getattr(self, "passes_", 0) + 1
        return self

    def fit(self, X, y):
        self.__dict__.pop("passes_", None)
        return self.partial_fit(X, y)

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y=None):
        return self.level + self.passes_


def test_partial_fit_without_classes_is_called_without_them(binary):
    search = TuneGridSearchCV(TwoOnly(), {"level": [0.1, 0.2]}, cv=2, early_stopping=True, max_iters=3).fit(*binary)
    assert search.best_score_ == pytest.approx(3.2) and search.best_estimator_.passes_ == 3


def test_pipelines_of_imbalanced_learn_draw_their_samples_at_each_step():
    pipelines = pytest.importorskip("imblearn.pipeline")
    from imblearn.over_sampling import RandomOverSampler

    X, y = make_classification(200, weights=[0.9], random_state=0)
    sampler = RandomOverSampler(random_state=0)
    pipe = pipelines.make_pipeline(sampler, RandomForestClassifier(16, random_state=0))
    both(pipe, {"randomforestclassifier__max_depth": [1, 2, 3, 4, 5]}, X, y, cv=3, error_score="raise")
    pipe = pipelines.make_pipeline(sampler, SGDClassifier(random_state=0))
    grid = {"sgdclassifier__alpha": [1e-4, 1e-2]}
    with pytest.warns(UserWarning, match="max_iters=4 is not followed"):
        both(pipe, grid, X, y, {"max_iters": 4}, cv=3, error_score="raise")


# --- rows -------------------------------------------------------------------------------------------------------------


def test_rare_class_is_in_each_step_several_times_or_the_step_is_left_out():
    rng, n = np.random.default_rng(0), 6000
    X, y = rng.normal(size=(n, 3)), np.zeros(n, int)
    y[rng.choice(n, 20, False)] = 1
    X[y == 1, 0] += 5
    grid = {"C": [1e-6, 1e-4, 1e-2, 1, 10]}
    ours, theirs = both(LogisticRegression(), grid, X, y, {"min_resources": 100}, cv=3, scoring="f1")
    assert ours.best_score_ == theirs.best_score_ > 0
    assert "too few of some class" in ours.early_stopping_["reason"]


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("rare", [3, 40, 400])
def test_steps_of_samples_hold_several_of_every_class(rare, outputs):
    labels = np.zeros((4000, outputs), int)
    labels[:rare, -1] = 1
    train = np.random.RandomState(0).permutation(4000)
    found = sample_steps(
        [(train, train[:0])], labels if outputs > 1 else labels[:, 0], 4, None, np.random.RandomState(1)
    )
    for position in range(len(found.steps)):
        taken = found.train_positions(0, position)
        rows = train if taken is None else train[taken]
        assert len(rows) == found.steps[position]
        assert (labels[rows, -1] == 1).sum() >= min(5, rare)
    assert len(found.steps) == {3: 1, 40: 2, 400: 4}[rare]


def five_folds(count, rng):
    order = np.array_split(rng.permutation(count), 5)
    return [(np.concatenate([o for o in order if o is not test]), test) for test in order]


@pytest.mark.parametrize(
    ("rows", "number", "steps"),
    [
        (400, 16, (0.25, 1, 2, 4, 5)),
        (400, 5, (1, 2, 4, 5)),  # so few candidates are not sorted out by a rough score
        (400, 7, (1, 2, 4, 5)),  # a part would sort out two
        (400, None, (0.25, 1, 2, 4, 5)),
        (400, 64, (0.25, 1, 2, 4, 5)),  # an eighth would be 40 rows
        (600, 16, (0.125, 1, 2, 4, 5)),
        (20_000, 16, (0.125, 1, 2, 4, 5)),  # two parts would leave one candidate
        (20_000, 64, (0.03125, 0.125, 1, 2, 4, 5)),
        (200, 16, (1, 2, 4, 5)),  # a quarter would be 40 rows
    ],
)
def test_race_begins_on_as_small_a_part_as_says_something(rows, number, steps):
    rng = np.random.RandomState(0)
    labels = rng.randint(2, size=rows)
    found = fold_race(five_folds(rows, rng), labels, None, 4, number, {}, rng)
    assert found.steps == steps
    whole = len(found.steps) - 4
    assert [found.is_partial(i) for i in range(len(steps))] == [True] * whole + [False] * 4
    assert [found.folds_at(i, 5) for i in range(len(steps))] == [1] * whole + [1, 2, 4, 5]
    assert [found.folds_before(i) for i in range(len(steps))] == [0] * (whole + 1) + [1, 2, 4]
    for position in range(whole):
        assert len(found.train_positions(0, position)) == round(steps[position] * rows * 0.8)
    assert found.train_positions(0, whole) is None
    assert found.gentle == (2 if rows == 200 or number == 7 else 0)


@pytest.mark.parametrize(
    ("rare", "steps"), [(20, (3, 5)), (30, (1, 3, 5)), (60, (1, 2, 4, 5)), (120, (0.25, 1, 2, 4, 5))]
)
def test_race_begins_on_enough_rows_of_a_rare_class(rare, steps):
    rng, labels = np.random.RandomState(0), np.zeros(10_000, int)
    labels[rng.choice(10_000, rare, False)] = 1
    folds = list(StratifiedKFold(5).split(labels, labels))
    found = fold_race(folds, labels, None, 4, 16, {}, rng)
    assert found.steps == steps
    assert found.gentle == (2 if steps[0] == 1 else 0)  # on a few rows of the class only half go out
    judged = found.folds_at(1 if found.gentle else 0, 5)
    tested = sum((labels[test] == 1).sum() for _, test in folds[:judged])
    assert tested >= 20 or judged == 3


def test_race_begins_on_more_folds_where_one_has_few_rows_or_rows_unlike_the_others():
    rng = np.random.RandomState(0)
    few = fold_race(five_folds(40, rng), rng.randint(2, size=40), None, 4, 16, {}, rng)
    assert few.steps == (3, 5)  # 8 rows each
    for values in (rng.rand(300), np.sort(rng.rand(300))):
        labels = (values * 4).astype(int)
        folds, is_sorted = list(KFold(6).split(values)), bool((np.diff(values) >= 0).all())
        first = 3 if is_sorted else 0.25
        assert fold_race(folds, labels, None, 4, 16, {}, rng).steps[0] == first
        assert fold_race(folds, None, values, 4, 16, {}, rng).steps[0] == first
        assert fold_race(folds, None, np.c_[rng.rand(300), values], 4, 16, {}, rng).steps[0] == first
    assert fold_race(folds, None, None, 4, 16, {}, rng).steps[0] == 0.25  # nothing is known


def test_winner_was_evaluated_in_full_even_if_it_has_no_score(iris):
    X, y = iris  # two outputs: those of some folds have scores, those of others none
    grid = {"n_neighbors": [1, 3, 5, 7, 9, 11]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = TuneGridSearchCV(KNeighborsClassifier(), grid, early_stopping=True)
        search.fit(X, np.c_[y, y % 2])
    assert search.cv_results_["stop_reason"][search.best_index_] == ""


def test_steps_before_the_last_are_fitted_once_for_a_part_and_with_each_fit_of_a_whole_fold(digits):
    fits.clear()
    pipe = make_pipeline(Counting(), SVC())
    grid = {"svc__gamma": [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]}
    ours, _ = both(pipe, grid, *digits, cv=4)
    whole = np.isfinite([ours.cv_results_[f"split{k}_test_score"] for k in range(4)])
    beyond = ours.cv_results_["n_resources"] >= 1
    assert fits.count("fit") == 8 * 4 + 1 + 1 + whole[:, beyond].sum() + 1  # theirs with refit, a part, folds, refit
    fits.clear()
    grid = {"svc__gamma": [1e-5, 1e-4, 1e-3, 1e-2], "counting__level": [1, 2]}
    ours = TuneGridSearchCV(pipe, grid, cv=4, early_stopping=True, refit=False).fit(*digits)
    whole = np.isfinite([ours.cv_results_[f"split{k}_test_score"] for k in range(4)])
    assert fits.count("fit") == 2 + whole[:, ours.cv_results_["n_resources"] >= 1].sum()


fits = []


class Counting(TransformerMixin, BaseEstimator):
    """Counts its fits."""

    def __init__(self, level=1):
        self.level = level

    def fit(self, X, y=None):
        fits.append("fit")
        return self

    def transform(self, X):
        return X


def test_scores_on_a_part_are_those_of_the_whole_pipeline(digits):
    pipe, gammas = make_pipeline(StandardScaler(), PCA(8), SVC()), [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 2.0, 4.0]
    tables = []
    for scoring in (None, lambda model, X, y: model.score(X, y)):  # the second might look at X, so all is fitted anew
        search = TuneGridSearchCV(pipe, {"svc__gamma": gammas}, cv=3, early_stopping=True, scoring=scoring)
        results = search.fit(*digits).cv_results_
        tables.append([results["split0_test_score"], results["n_resources"]])
    np.testing.assert_array_equal(tables[0], tables[1])
    assert (np.array(tables[0][1]) < 1).sum() == 4


def test_candidates_that_fail_on_few_rows_only_are_not_dropped_for_it():
    X, y = make_classification(
        4000, 4, n_informative=2, n_redundant=0, flip_y=0.4, n_clusters_per_class=1, random_state=0
    )
    grid = {"n_neighbors": [1, 2, 3, 4, 900]}  # the last one needs more rows than the first steps have
    ours, theirs = both(KNeighborsClassifier(), grid, X, y, {"resource": "samples"}, cv=3)
    assert ours.early_stopping_["resource"] == "samples" and ours.early_stopping_["steps"][0] < 900
    assert ours.best_params_ == theirs.best_params_ == {"n_neighbors": 900}
    ours, _ = both(KNeighborsClassifier(), grid, X, y, cv=3, error_score="raise")
    assert ours.best_params_ == {"n_neighbors": 900}


def test_candidates_that_always_fail_get_the_error_score_and_do_not_win(binary):
    X, y = make_classification(3000, 4, random_state=0)
    grid = [{"C": [0.1, 1.0]}, {"kernel": ["no such kernel"], "C": [1.0]}]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for data in ((X, y), binary):
            for error_score in (np.nan, -1.0):
                ours, theirs = both(SVC(max_iter=200), grid, *data, cv=3, error_score=error_score)
                assert ours.best_params_.get("kernel") is None
                np.testing.assert_array_equal(
                    ours.cv_results_["mean_test_score"][2], theirs.cv_results_["mean_test_score"][2]
                )
    with pytest.raises(ValueError, match="no such kernel"):
        TuneGridSearchCV(SVC(), grid, cv=3, early_stopping=True, error_score="raise").fit(X, y)


def test_several_outputs(cancer):
    X, y = cancer
    Y = np.c_[y, y + (X[:, 0] > 0.5)]

    def share(estimator, X, Y):
        return float((estimator.predict(X) == Y).mean())

    grid = {"max_depth": [1, 2, 3, 4, 5]}
    both(RandomForestClassifier(16, random_state=0), grid, X, Y, cv=3, scoring=share)
    both(DecisionTreeClassifier(random_state=0), grid, X, Y, {"resource": "samples"}, cv=3, scoring=share)
    from sklearn.multioutput import MultiOutputClassifier

    model = MultiOutputClassifier(SGDClassifier(random_state=0))
    search = TuneGridSearchCV(
        model, {"estimator__alpha": [1e-4, 1.0]}, cv=3, scoring=share, early_stopping=True, max_iters=4
    ).fit(X, Y)
    assert search.early_stopping_["kind"] == "partial_fit" and search.best_score_ > 0.5


# --- splits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_jobs", "early_stopping"), [(None, None), (None, True), (2, True)])
def test_masks_negative_rows_slices_and_lists_as_splits(monkeypatch, iris, n_jobs, early_stopping):
    X, y = iris
    rows = np.random.RandomState(0).permutation(150)
    mask = np.zeros(150, bool)
    mask[rows[:100]] = True
    plain = [(np.flatnonzero(mask), np.flatnonzero(~mask)), (rows[:90], rows[90:])]
    forms = [
        [(mask, ~mask), (rows[:90], rows[90:])],
        [(plain[0][0] - 150, plain[0][1]), (rows[:90] - 150, rows[90:].tolist())],
        [(mask.tolist(), (~mask).tolist()), (rows[:90].astype(np.int32), tuple(rows[90:]))],
    ]
    monkeypatch.setattr("tune_sklearn._rows.LARGE_BYTES", 1)
    want = GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=plain).fit(X, y)
    for cv in forms:
        got = TuneGridSearchCV(
            SVC(), {"C": [0.1, 1]}, cv=cv, n_jobs=n_jobs, early_stopping=early_stopping, resource="auto"
        ).fit(X, y)
        assert got.best_score_ == want.cv_results_["mean_test_score"][got.best_index_]
        assert got.best_params_ == want.best_params_


def test_rows_that_are_not_there_are_named():
    for wrong in ([150], [-151], np.ones(149, bool)):
        with pytest.raises(IndexError, match=r"150 rows"):
            plain_folds([(np.arange(10), wrong)], 150)
    (train, test) = plain_folds([(slice(0, 3), [])], 150)[0]
    assert train.tolist() == [0, 1, 2] and test.tolist() == []


# --- several scores ---------------------------------------------------------------------------------------------------


def two_scores(estimator, X, y):
    return {"acc": estimator.score(X, y), "size": -float(estimator.n_estimators)}


@pytest.mark.parametrize(
    ("scoring", "refit"),
    [
        (two_scores, lambda results: 0),
        (two_scores, False),
        (["accuracy", "f1"], lambda results: 0),
        ({"a": "accuracy", "b": "f1"}, False),
    ],
)
def test_several_scores_of_which_none_is_named_cannot_be_raced_by(binary, scoring, refit):
    model = GradientBoostingClassifier(n_estimators=16, random_state=0)
    search = TuneGridSearchCV(model, {"max_depth": [1, 2]}, cv=2, scoring=scoring, refit=refit, early_stopping=True)
    for n_jobs in (2, None) if refit is False else (None,):
        with pytest.raises(InvalidArgumentError, match="leaves open by which"):
            search.set_params(n_jobs=n_jobs).fit(*binary)
    search.set_params(early_stopping=None).fit(*binary)  # nobody is compared before the end
    assert ("mean_test_acc" if callable(scoring) else f"mean_test_{next(iter(scoring))}") in search.cv_results_


def test_score_of_a_callable_is_raced_by_if_it_is_named(binary):
    grid = {"learning_rate": [1e-6, 1e-5, 1e-4, 0.3]}
    model = GradientBoostingClassifier(n_estimators=16, random_state=0)
    ours, theirs = both(model, grid, *binary, cv=3, scoring=two_scores, refit="acc")
    assert ours.best_params_ == theirs.best_params_ == {"learning_rate": 0.3}


def test_callable_refit_is_shown_candidates_in_full_only(digits):
    shown = []

    def least_gamma(results):
        shown.append(len(results["params"]))
        return int(np.argmin(results["param_gamma"]))

    grid = {"gamma": [1e-6, 1e-5, 1e-4, 1e-1, 1.0, 10.0]}
    search = TuneGridSearchCV(SVC(), grid, cv=4, refit=least_gamma, early_stopping=True, factor=2).fit(*digits)
    whole = np.flatnonzero(search.cv_results_["stop_reason"] == "")
    assert shown == [len(whole)] and len(whole) < 6
    assert search.best_index_ == whole[0] and search.best_params_ == search.cv_results_["params"][whole[0]]


# --- arguments are not used up ----------------------------------------------------------------------------------------


def test_scheduler_stopper_and_search_are_as_good_as_new_after_a_fit(iris):
    search = TuneGridSearchCV(
        SGDClassifier(random_state=0),
        {"alpha": [1e-4, 1e-2, 1.0]},
        cv=3,
        early_stopping=ASHAScheduler(max_t=4),
        stopper=MaximumIterationStopper(3),
        max_iters=4,
    )
    first = search.fit(*iris).cv_results_["mean_test_score"].tolist()
    assert search.cv_results_["training_iteration"].max() == 3
    assert search.fit(*iris).cv_results_["mean_test_score"].tolist() == first
    assert clone(search).fit(*iris).cv_results_["mean_test_score"].tolist() == first
    assert np.isfinite(cross_val_score(search, *iris, cv=2)).all()


def test_searcher_instance_serves_several_fits(iris):
    optuna = pytest.importorskip("tune_core.search.optuna")
    pytest.importorskip("optuna")
    search = TuneSearchCV(
        SVC(), {"C": (0.1, 10.0)}, n_trials=4, cv=2, search_optimization=optuna.OptunaSearch(seed=1), random_state=0
    )
    first = [p["C"] for p in search.fit(*iris).cv_results_["params"]]
    assert [p["C"] for p in search.fit(*iris).cv_results_["params"]] == first


def test_searcher_with_a_space_of_its_own_searches_that(iris):
    pytest.importorskip("optuna")
    import tune_core as tune
    from tune_core.search.optuna import OptunaSearch

    searcher = OptunaSearch({"C": tune.uniform(5, 6)}, metric="average_test_score", mode="max", seed=0)
    search = TuneSearchCV(SVC(), {}, n_trials=3, cv=2, search_optimization=searcher).fit(*iris)
    assert all(5 <= p["C"] <= 6 for p in search.cv_results_["params"])
    with pytest.warns(UserWarning, match="space of its own"):
        search.set_params(param_distributions={"C": [1]}).fit(*iris)


# --- nothing is silent ------------------------------------------------------------------------------------------------


def test_arguments_without_effect_are_named(iris, binary):
    with pytest.warns(UserWarning, match=r"max_iters=5, resource='samples' have no effect without early_stopping"):
        TuneGridSearchCV(SVC(), {"C": [1]}, cv=2, max_iters=5, resource="samples").fit(*iris)
    with pytest.warns(UserWarning, match="max_iters=5 is not followed: SVC cannot be trained epoch by epoch"):
        TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=2, max_iters=5, early_stopping=True).fit(*iris)
    with pytest.warns(UserWarning, match="two|2 values"):
        TuneSearchCV(SVC(), {"C": (1, 10**6)}, n_trials=9, cv=2).fit(*iris)
    model = GradientBoostingClassifier(n_estimators=16, random_state=0)
    with pytest.raises(InvalidArgumentError, match="Did you mean 'clf__n_estimators'"):
        TuneGridSearchCV(
            Pipeline([("clf", model)]), {"clf__max_depth": [1]}, early_stopping=True, resource="n_estimators"
        ).fit(*binary)


@pytest.mark.parametrize("name", ["MedianStoppingRule", "median_stopping_rule"])
def test_median_rule_by_name_counts_steps(binary, name):
    grid = {"alpha": [1e-5, 1e-4, 1e-3, 1e-2, 1e3, 1e6] * 2}
    search = TuneGridSearchCV(SGDClassifier(random_state=0), grid, cv=2, early_stopping=name, max_iters=10)
    iterations = search.fit(*binary).cv_results_["training_iteration"]
    assert iterations.min() < iterations.max() == 10


def test_warnings_that_are_errors_fail_the_fits_of_workers_and_lose_nothing(cancer):
    from sklearn.exceptions import ConvergenceWarning, FitFailedWarning

    arguments = {"cv": 3, "n_jobs": 2}
    search = TuneGridSearchCV(LogisticRegression(max_iter=15), {"C": [1e-5, 1e5]}, **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", ConvergenceWarning)
        search.fit(*cancer)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.simplefilter("error", FitFailedWarning)
        with pytest.raises(FitFailedWarning):
            search.set_params(cv=StratifiedKFold(3)).fit(*cancer)
    assert search.best_params_ == {"C": 1e-5} and search.best_estimator_.predict(cancer[0]).shape == (569,)


def test_regression_that_diverges_for_some_is_won_by_one_that_does_not():
    X, y = make_regression(3000, 5, noise=1, random_state=0)
    grid = {"eta0": [1e-4, 1e-3, 1e-2, 1e5, 1e8], "learning_rate": ["constant"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = both(SGDRegressor(random_state=0), grid, X, y, cv=3)
    assert ours.best_score_ > 0.99 and theirs.best_score_ > 0.99


def test_discriminant_analysis_with_covariance_estimators_as_values(iris):
    from sklearn.covariance import OAS, EmpiricalCovariance

    model = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr"))
    grid = {"lineardiscriminantanalysis__covariance_estimator": [OAS(), EmpiricalCovariance(), None]}
    both(model, grid, *iris, cv=3)


# --- errors speak of the arguments that were given --------------------------------------------------------------------


def score_under(lock: Any, estimator: Any, X: Any, y: Any) -> float:
    with lock:
        return float(estimator.score(X, y))


@pytest.mark.parametrize(
    ("argument", "value", "named"),
    [
        ("scoring", partial(score_under, threading.Lock()), "scoring"),
        ("search_optimization", "optna", "search_optimization"),
        ("early_stopping", "foo", "early_stopping"),
    ],
    ids=["scoring", "search_optimization", "early_stopping"],
)
def test_error_names_the_argument_of_the_search(argument: str, value: Any, named: str) -> None:
    X, y = load_iris(return_X_y=True)
    search = TuneSearchCV(SVC(), {"C": [1, 2, 3]}, n_iter=3, n_jobs=2, **{argument: value})
    with pytest.raises((SerializationError, InvalidArgumentError), match=rf"TuneSearchCV\({named}\)"):
        search.fit(X, y)


def test_paused_candidates_go_on_alike_remembered_saved_and_elsewhere(digits, tmp_path):
    pipe = make_pipeline(Counting(), SVC())
    space = {"svc__gamma": np.logspace(-6, 1, 16).tolist(), "svc__C": [0.1, 1.0, 10.0]}
    how = {"n_iter": 12, "random_state": 0, "early_stopping": True, "cv": 4, "refit": False}
    fits.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of candidates without checkpoints, which would begin anew
        remembered = TuneSearchCV(pipe, space, **how).fit(*digits)
    in_memory = list(fits)
    fits.clear()
    saved = TuneSearchCV(pipe, space, **how, name="saved", local_dir=tmp_path).fit(*digits)
    assert in_memory == fits
    assert list((tmp_path / "saved").rglob("folds.json"))
    elsewhere = TuneSearchCV(pipe, space, **how, n_jobs=2).fit(*digits)
    for other in (saved, elsewhere):
        for name, values in remembered.cv_results_.items():
            if "time" not in name and name != "params":
                np.testing.assert_array_equal(np.asarray(values), np.asarray(other.cv_results_[name]), err_msg=name)
