"""Early stopping for any estimator: what it works with, what it chooses, and what stopped candidates look like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler, TargetEncoder
from sklearn.svm import SVC
from sklearn.utils import check_random_state

from tune_core.errors import InvalidArgumentError
from tune_core.schedulers import ASHAScheduler
from tune_sklearn import TuneGridSearchCV, TuneSearchCV
from tune_sklearn._budget import geometric_steps
from tune_sklearn._growing import counts_again, partial_fit_of
from tune_sklearn._sizes import size_of

GAMMAS = {"gamma": list(np.logspace(-6, 2, 9))}


# --- what is chosen ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (SGDClassifier(), "partial_fit"),
        (MLPClassifier(), "partial_fit"),
        (MLPClassifier(solver="lbfgs"), None),
        (GaussianNB(), "partial_fit"),
        (LogisticRegression(), None),
        (make_pipeline(StandardScaler(), SGDClassifier()), "partial_fit of the last step 'sgdclassifier'"),
        (make_pipeline(TargetEncoder(), SGDClassifier()), None),
        (make_pipeline(StandardScaler(), SVC()), None),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_estimators_that_are_trained_by_partial_fit(estimator, name):
    growth = partial_fit_of(estimator)
    assert (growth.name if growth else None) == name


@pytest.mark.parametrize(
    ("estimator", "parameter", "goes_on"),
    [
        (RandomForestClassifier(), "n_estimators", True),
        (RandomForestClassifier(random_state=np.random.RandomState(0)), "n_estimators", False),
        (GradientBoostingClassifier(), "n_estimators", True),
        (GradientBoostingClassifier(n_iter_no_change=3), "n_estimators", False),
        (BaggingClassifier(), "n_estimators", True),
        (BaggingClassifier(oob_score=True), "n_estimators", False),
        (AdaBoostClassifier(), "n_estimators", False),
        (HistGradientBoostingClassifier(), "max_iter", True),
        (HistGradientBoostingClassifier(early_stopping=True), "max_iter", False),
        (make_pipeline(StandardScaler(), RandomForestClassifier()), "randomforestclassifier__n_estimators", False),
        (SVC(), None, False),
        (LogisticRegression(), None, False),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, (str, bool)) else "",
)
def test_size_of_a_model_and_whether_it_is_surely_trained_on_as_in_one_fit(estimator, parameter, goes_on):
    size = size_of(estimator, rows=500)
    assert (size.parameter if size else None) == parameter
    assert bool(size and size.growth) is goes_on


def test_histogram_boosting_that_stops_early_by_itself_on_many_rows_is_fitted_anew():
    assert size_of(HistGradientBoostingClassifier(), rows=10_000).growth is not None
    assert size_of(HistGradientBoostingClassifier(), rows=10_001).growth is None


@pytest.mark.parametrize(
    ("estimator", "space", "arguments", "resource"),
    [
        (
            RandomForestClassifier(12, random_state=0),
            {"max_depth": [1, 2, 3]},
            {"resource": "iterations"},
            "n_estimators",
        ),
        (RandomForestClassifier(9, random_state=0), {"max_depth": [1, 2, 3]}, {}, "folds"),
        (RandomForestClassifier(9, random_state=0), {"n_estimators": [5, 10]}, {}, "folds"),
        (SVC(), {"C": [0.1, 1, 10]}, {}, "folds"),
        (SVC(), {"C": [0.1, 1, 10]}, {"resource": "samples"}, "samples"),
        (SVC(), {"C": [0.1, 1, 10]}, {"resource": "n_samples"}, "samples"),
        (SGDClassifier(random_state=0), {"alpha": [1e-4, 1e-2]}, {}, "folds"),
        (SGDClassifier(random_state=0), {"alpha": [1e-4, 1e-2]}, {"max_iters": 4}, "epochs"),
        (SGDClassifier(random_state=0), {"alpha": [1e-4, 1e-2]}, {"resource": "max_iter"}, "max_iter"),
        (KNeighborsClassifier(), {"weights": ["uniform", "distance"]}, {"resource": "n_neighbors"}, "n_neighbors"),
    ],
)
def test_resource_is_chosen_or_taken_as_asked_and_said(binary, estimator, space, arguments, resource):
    search = TuneGridSearchCV(estimator, space, cv=3, early_stopping=True, **arguments).fit(*binary)
    assert search.early_stopping_["resource"] == resource
    assert search.early_stopping_["scheduler"] == "SuccessiveHalving"
    assert (search.cv_results_["stop_reason"] == "").any()


def test_many_rows_are_raced_over_samples_where_the_first_step_is_given():
    X, y = make_classification(4500, 5, random_state=0)
    search = TuneGridSearchCV(
        SVC(max_iter=50), {"C": [0.1, 1, 10]}, cv=3, early_stopping=True, min_resources=100, refit=False
    )
    search.fit(X, y)
    assert search.early_stopping_["resource"] == "samples"
    assert search.early_stopping_["steps"][-1] == 3000


def test_verbose_says_what_early_stopping_works_with(binary, capsys):
    TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=3, early_stopping=True, verbose=1).fit(*binary)
    assert "Early stopping by folds: 1, 2, 3" in capsys.readouterr().out


def test_impossible_resources_are_refused_with_what_to_do(binary):
    cases = [
        (SVC(), {"C": [1]}, "iterations", "nor partial_fit"),
        (SVC(), {"C": [1]}, "no_such", "is no parameter"),
        (SVC(), {"C": [1]}, "kernel", "whole number"),
        (RandomForestClassifier(), {"n_estimators": [1, 2]}, "n_estimators", "cannot both be searched"),
        (
            make_pipeline(RandomForestClassifier()),
            {"randomforestclassifier__n_estimators": [1]},
            "iterations",
            "searched",
        ),
    ]
    for estimator, space, resource, message in cases:
        with pytest.raises(InvalidArgumentError, match=message):
            TuneGridSearchCV(estimator, space, early_stopping=True, resource=resource).fit(*binary)


@pytest.mark.parametrize(
    ("total", "factor", "least"), [(100, 3, 3), (243, 3, 1), (7, 2, 1), (10, 3, 20), (1000, 10, 1)]
)
def test_geometric_steps_are_whole_and_end_at_the_total(total, factor, least):
    steps = geometric_steps(total, factor, least)
    assert steps[-1] == total and list(steps) == sorted(set(steps))
    assert all(step >= least for step in steps[:-1])
    assert geometric_steps(243, 3, 1) == (1, 3, 9, 27, 81, 243)


# --- what comes out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["folds", "samples"])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_racing_finds_the_best_candidate_and_its_full_scores(digits, resource, n_jobs):
    arguments = {"cv": StratifiedKFold(4, shuffle=True, random_state=0)}
    ours = TuneGridSearchCV(SVC(), GAMMAS, early_stopping=True, resource=resource, n_jobs=n_jobs, **arguments)
    ours.fit(*digits)
    theirs = GridSearchCV(SVC(), GAMMAS, **arguments).fit(*digits)
    assert ours.best_params_ == theirs.best_params_ and ours.best_score_ == theirs.best_score_
    whole = ours.cv_results_["stop_reason"] == ""
    assert 1 <= whole.sum() <= 3
    for k in range(4):
        column = f"split{k}_test_score"
        np.testing.assert_array_equal(ours.cv_results_[column][whole], theirs.cv_results_[column][whole])


def test_stopped_candidates_carry_their_last_score_and_rank_behind_those_in_full(digits):
    search = TuneGridSearchCV(SVC(), GAMMAS, cv=4, early_stopping=True, resource="folds").fit(*digits)
    results = search.cv_results_
    stopped = results["stop_reason"] != ""
    assert stopped.any()
    assert np.isnan(results["split3_test_score"][stopped]).any()
    np.testing.assert_array_equal(
        results["mean_test_score"][stopped & (results["n_resources"] == 1)],
        results["split0_test_score"][stopped & (results["n_resources"] == 1)],
    )
    assert results["rank_test_score"][~stopped].max() < results["rank_test_score"][stopped].min()
    assert "was not among the best 2 of 9" in results["stop_reason"][0]
    assert results["rank_test_score"].dtype == np.int32


def test_same_results_with_one_worker_two_and_in_this_process(digits):
    model = ExtraTreesClassifier(12, random_state=0)
    grid = {"max_depth": [1, 2, 3, 5, 8, None]}
    tables = []
    for n_jobs in (None, 2):
        search = TuneGridSearchCV(model, grid, cv=2, early_stopping=True, n_jobs=n_jobs).fit(*digits)
        tables.append({k: list(map(repr, v)) for k, v in search.cv_results_.items() if "time" not in k})
    assert tables[0] == tables[1]


def test_full_scores_of_a_grown_forest_are_those_of_one_fit(digits):
    grid = {"max_depth": [1, 2, 4, 12]}
    model = RandomForestClassifier(40, random_state=0)
    ours = TuneGridSearchCV(model, grid, cv=3, early_stopping=True).fit(*digits)
    theirs = GridSearchCV(model, grid, cv=3).fit(*digits)
    whole = ours.cv_results_["stop_reason"] == ""
    np.testing.assert_array_equal(
        ours.cv_results_["mean_test_score"][whole], theirs.cv_results_["mean_test_score"][whole]
    )
    assert ours.best_params_ == theirs.best_params_


def test_partial_fits_are_told_of_all_classes(iris):
    search = TuneGridSearchCV(
        SGDClassifier(random_state=0), {"alpha": [1e-4, 1e-3]}, cv=KFold(3), early_stopping=True, max_iters=3
    ).fit(*iris)  # unshuffled: each fold's training rows lack a class
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()
    assert list(search.classes_) == [0, 1, 2]


def test_regressors_and_several_metrics(binary):
    X, y = binary
    search = TuneGridSearchCV(
        SGDRegressor(random_state=0),
        {"alpha": [1e-4, 1e-2, 1.0]},
        cv=2,
        scoring=["r2", "neg_mean_absolute_error"],
        refit="neg_mean_absolute_error",
        early_stopping=True,
        max_iters=4,
        return_train_score=True,
    ).fit(X, y.astype(float))
    assert {"mean_test_r2", "rank_test_neg_mean_absolute_error", "split1_train_r2"} <= set(search.cv_results_)
    assert search.cv_results_["stop_reason"][search.best_index_] == ""


def test_fitted_transformers_of_a_pipeline_are_kept(binary):
    class Counting(StandardScaler):
        fits = 0

        def fit_transform(self, X, y=None, **params):
            Counting.fits += 1
            return super().fit_transform(X, y, **params)

    pipe = make_pipeline(Counting(), SGDClassifier(random_state=0))
    search = TuneGridSearchCV(pipe, {"sgdclassifier__alpha": [1e-4]}, cv=2, early_stopping=True, max_iters=5)
    search.fit(*binary)
    assert Counting.fits == 2 + 1  # each fold, and the refit
    assert search.best_estimator_[1].t_ == 5 * 120 + 1
    assert search.score(*binary) == get_scorer("accuracy")(search.best_estimator_, *binary)


def test_pipeline_is_left_whole_where_its_last_step_is_not_to_be_grown(binary):
    pipe = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
    with pytest.raises(InvalidArgumentError, match="nor partial_fit"):
        TuneGridSearchCV(
            pipe, {}, early_stopping=True, max_iters=3, resource="iterations", pipeline_auto_early_stop=False
        ).fit(*binary)


def test_failing_candidate_ends_by_itself(binary):
    search = TuneGridSearchCV(
        SGDClassifier(random_state=0), {"loss": ["hinge", "no such loss"]}, cv=2, early_stopping=True, max_iters=3
    )
    with pytest.warns(FitFailedWarning, match="no such loss"):
        search.fit(*binary)
    assert search.best_params_ == {"loss": "hinge"}
    assert np.isnan(search.cv_results_["mean_test_score"][1])


@pytest.mark.parametrize("scheduler", ["asha", "ASHAScheduler", ASHAScheduler(max_t=5, grace_period=1)])
def test_schedulers_of_the_core_by_name_and_instance(binary, scheduler):
    search = TuneGridSearchCV(
        SGDClassifier(random_state=0),
        {"alpha": list(np.logspace(-5, 2, 8))},
        cv=2,
        early_stopping=scheduler,
        max_iters=5,
    ).fit(*binary)
    assert search.early_stopping_["scheduler"] == ASHAScheduler.__name__
    iterations = search.cv_results_["training_iteration"]
    assert iterations.max() == 5 and iterations.min() < 5
    assert search.cv_results_["stop_reason"][search.best_index_] == ""


def test_stopper_ends_a_candidate_and_the_last_score_counts(binary):
    search = TuneGridSearchCV(
        SGDClassifier(random_state=0),
        {"alpha": [1e-4, 1e-3]},
        cv=2,
        early_stopping="fifo",
        max_iters=6,
        stopper=lambda trial_id, result: result["training_iteration"] >= 2,
    ).fit(*binary)
    assert search.cv_results_["training_iteration"].tolist() == [2, 2]
    assert search.best_estimator_.t_ == 2 * 120 + 1, "refitted as far as it was scored"


def test_halving_arguments_are_understood(digits):
    search = TuneGridSearchCV(
        RandomForestClassifier(20, random_state=0),
        {"max_depth": [1, 2, 3, 4]},
        cv=2,
        early_stopping=True,
        resource="n_estimators",
        factor=2,
        min_resources=5,
    ).fit(*digits)
    assert search.early_stopping_["steps"] == [5, 10, 20]
    assert sorted(search.cv_results_["n_resources"].tolist()) == [5, 5, 10, 20]


def test_random_search_with_early_stopping_has_the_candidates_of_one_without(binary):
    space = {"C": loguniform(1e-3, 1e3)}
    arguments = {"n_trials": 6, "cv": 3, "random_state": check_random_state(0).randint(100)}
    with_it = TuneSearchCV(SVC(), space, early_stopping=True, **arguments).fit(*binary)
    without = TuneSearchCV(SVC(), space, **arguments).fit(*binary)
    assert with_it.cv_results_["params"] == without.cv_results_["params"]


# --- boosting libraries -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "catboost"])
def test_boosting_libraries_are_continued_and_refitted_with_as_many_trees(binary, library):
    module = pytest.importorskip(library)
    if library == "xgboost":
        model = module.XGBClassifier(n_estimators=12, max_depth=2, n_jobs=1)
        size = lambda fitted: fitted.get_booster().num_boosted_rounds()  # noqa: E731
    elif library == "catboost":
        model = module.CatBoostClassifier(iterations=12, depth=2, thread_count=1, verbose=0, allow_writing_files=False)
        size = lambda fitted: fitted.tree_count_  # noqa: E731
    else:
        model = module.LGBMClassifier(n_estimators=12, num_leaves=4, n_jobs=1, verbose=-1)
        size = lambda fitted: fitted.booster_.num_trees()  # noqa: E731
    grid = {"learning_rate": [1e-4, 0.1, 0.3]}
    search = TuneGridSearchCV(model, grid, cv=2, early_stopping=True, resource="iterations").fit(*binary)
    theirs = GridSearchCV(model, grid, cv=2).fit(*binary)
    assert search.early_stopping_["steps"] == [3, 12]
    assert size(search.best_estimator_) == 12
    assert search.best_estimator_.get_params()["iterations" if library == "catboost" else "n_estimators"] == 12
    whole = search.cv_results_["stop_reason"] == ""
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"][whole], theirs.cv_results_["mean_test_score"][whole], atol=0.03
    )


def test_models_that_cannot_be_pickled_are_trained_anew_when_they_go_on(binary):
    class Unpicklable(SGDClassifier):
        def __reduce__(self):
            raise TypeError("cannot be pickled")

        def __sklearn_clone__(self):
            return Unpicklable(**self.get_params())

    grid = {"alpha": [1e-4, 1e-2, 1.0, 10.0]}
    arguments = {"cv": 2, "early_stopping": True, "max_iters": 5}
    search = TuneGridSearchCV(Unpicklable(random_state=0), grid, **arguments).fit(*binary)
    plain = TuneGridSearchCV(SGDClassifier(random_state=0), grid, **arguments).fit(*binary)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])


def test_population_based_training_changes_parameters_on_the_way(binary):
    search = TuneSearchCV(
        SGDClassifier(random_state=0),
        {"alpha": loguniform(1e-6, 1.0)},
        early_stopping="PopulationBasedTraining",
        max_iters=8,
        n_trials=4,
        cv=2,
        random_state=0,
    ).fit(*binary)
    assert search.early_stopping_["scheduler"] == "PopulationBasedTraining"
    assert search.cv_results_["training_iteration"].tolist() == [8] * 4
    assert search.best_estimator_.alpha == search.best_params_["alpha"]
    with pytest.raises(InvalidArgumentError, match="TuneSearchCV"):
        TuneGridSearchCV(SGDClassifier(), {"alpha": [1]}, early_stopping="PopulationBasedTraining").fit(*binary)


def test_bohb_brings_its_own_scheduler_which_serves_no_other_search(binary):
    with pytest.raises(InvalidArgumentError, match="bohb"):
        TuneSearchCV(SVC(), {"C": [1.0]}, early_stopping="HyperBandForBOHB").fit(*binary)
    pytest.importorskip("hpbandster")
    with pytest.raises(InvalidArgumentError, match="hyperband"):
        TuneSearchCV(SVC(), {"C": (0.1, 9.0)}, early_stopping=False, search_optimization="bohb").fit(*binary)


def test_searchers_by_name_with_and_without_early_stopping(binary):
    pytest.importorskip("optuna")
    space = {"C": (1e-2, 1e2, "log-uniform"), "kernel": ["rbf", "linear"], "class_weight": [None, "balanced"]}
    arguments = {"n_trials": 6, "cv": 3, "random_state": 0, "search_optimization": "Optuna"}
    for early_stopping in (None, True):
        first = TuneSearchCV(SVC(), space, early_stopping=early_stopping, **arguments).fit(*binary)
        again = TuneSearchCV(SVC(), space, early_stopping=early_stopping, **arguments).fit(*binary)
        assert first.cv_results_["params"] == again.cv_results_["params"]
        assert len(first.cv_results_["params"]) == 6 and first.best_params_["kernel"] in ("rbf", "linear")


@pytest.mark.parametrize(("rare", "folds"), [(0.5, 2), (0.012, 4)], ids=["two folds tell", "few of a class"])
def test_first_steps_are_scored_on_as_many_folds_as_hold_enough_rows_of_each_class(rare, folds):
    X, y = make_classification(2000, 4, n_informative=2, n_redundant=0, weights=[1 - rare], flip_y=0, random_state=0)
    model = RandomForestClassifier(18, random_state=0, max_features=1)
    grid = {"max_depth": [1, 2, 3, 4, 5, 6, 7, 8, 9]}
    search = TuneGridSearchCV(model, grid, cv=4, early_stopping=True, min_resources=2, factor=3, refit=False).fit(X, y)
    results = search.cv_results_
    assert search.early_stopping_["steps"] == [2, 6, 18]
    scored = np.isfinite([results[f"split{k}_test_score"] for k in range(4)]).sum(axis=0)
    assert scored[results["n_resources"] == 2].tolist() == [folds] * 6
    assert scored[results["n_resources"] == 6].tolist() == [folds] * 2
    assert scored[results["n_resources"] == 18].tolist() == [4]
    assert results["stop_reason"][search.best_index_] == ""


def test_promotion_rule_stops_early_where_max_iters_is_below_its_max_t(binary):
    search = TuneGridSearchCV(
        SGDClassifier(random_state=0),
        {"alpha": list(np.logspace(-5, 2, 8))},
        cv=2,
        early_stopping=ASHAScheduler(rule="promotion", reduction_factor=2),
        max_iters=5,
    ).fit(*binary)
    iterations = search.cv_results_["training_iteration"]
    assert iterations.max() == 5
    assert (iterations < 5).sum() >= 4, "half of the candidates end on the first rung"


def test_numpys_truth_value_asks_for_early_stopping_as_pythons_does(binary):
    def fitted(early_stopping):
        return TuneGridSearchCV(
            SGDClassifier(random_state=0), {"alpha": list(np.logspace(-5, 2, 8))}, cv=3, early_stopping=early_stopping
        ).fit(*binary)

    asked, stopped = fitted(True), fitted(np.True_)
    assert stopped.early_stopping_ == asked.early_stopping_
    assert stopped.best_params_ == asked.best_params_
    assert not hasattr(fitted(np.False_), "early_stopping_")


@pytest.mark.parametrize("kind", ["forest", "epochs"])
def test_what_a_copy_scores_under_pbt_is_no_score_of_its_parameters(kind: str) -> None:
    X, y = make_classification(150, 8, n_informative=4, weights=[0.85], random_state=0)
    if kind == "forest":
        estimator, space = RandomForestClassifier(n_estimators=20, random_state=0), {"max_depth": [1, 2, 3, 4, 5, 6, 7]}
    else:
        estimator, space = SGDClassifier(random_state=0), {"alpha": [1e-5, 1e-3, 1e-1, 1, 10, 100]}
    search = TuneSearchCV(estimator, space, n_iter=6, random_state=0, cv=3, early_stopping="pbt", max_iters=5)
    with pytest.warns(UserWarning, match="copies of each other's models"):
        search.fit(X, y)

    def score(params: dict[str, Any]) -> float:
        if kind == "forest":
            return float(cross_val_score(clone(estimator).set_params(**params), X, y, cv=3).mean())
        scores = []
        for train, test in StratifiedKFold(3).split(X, y):
            model = clone(estimator).set_params(**params)
            for _ in range(5):
                model.partial_fit(X[train], y[train], classes=[0, 1])
            scores.append(model.score(X[test], y[test]))
        return float(np.mean(scores))

    found = search.cv_results_
    copies = np.array(["copy" in reason for reason in found["stop_reason"]])
    assert copies.any() and not copies.all()
    for params, mean in zip(np.array(found["params"])[~copies], found["mean_test_score"][~copies]):
        assert mean == pytest.approx(score(params))
    assert found["rank_test_score"][copies].min() > found["rank_test_score"][~copies].max()
    assert search.best_score_ == pytest.approx(score(search.best_params_))


def test_what_counts_rows_does_so_inside_another_estimator() -> None:
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.naive_bayes import MultinomialNB

    assert counts_again(OneVsRestClassifier(MultinomialNB())) and counts_again(MultinomialNB())
    assert not counts_again(OneVsRestClassifier(SGDClassifier())) and not counts_again(SGDClassifier())


@pytest.mark.parametrize("name", ["MultinomialNB", "GaussianNB", "in a pipeline"])
def test_models_that_count_rows_are_not_shown_them_twice(name: str) -> None:
    from sklearn import naive_bayes

    rng = np.random.RandomState(0)
    X, y = rng.poisson(2.0, (300, 6)), rng.randint(0, 2, 300)
    model = naive_bayes.GaussianNB() if name == "GaussianNB" else naive_bayes.MultinomialNB()
    parameter, values = ("var_smoothing", [1e-9, 1e-3, 0.1]) if name == "GaussianNB" else ("alpha", [0.01, 1.0, 100.0])
    if name == "in a pipeline":
        model, parameter = make_pipeline(MaxAbsScaler(), model), f"multinomialnb__{parameter}"
    search = TuneSearchCV(model, {parameter: values}, n_iter=3, random_state=0, early_stopping=True, max_iters=8)
    with pytest.warns(UserWarning, match="counts rows that it is given twice as two"):
        search.fit(X, y)
    plain = GridSearchCV(model, {parameter: values}).fit(X, y)
    last = search.best_estimator_[-1] if name == "in a pipeline" else search.best_estimator_
    assert last.class_count_.sum() == 300 and search.best_score_ == plain.best_score_


@pytest.mark.parametrize("word", ["smallest", "exhaust", "foo"])
def test_a_word_that_is_no_number_of_resources_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"'min_resources' parameter of TuneGridSearchCV must be .* among \{'auto'\}"):
        TuneGridSearchCV(SVC(), {"C": [1, 2]}, early_stopping=True, min_resources=word).fit([[0], [1]] * 9, [0, 1] * 9)
