"""The eighteen defects of the package whose name this one carries, each as a test that it is not here."""

from __future__ import annotations

import os
import random
import warnings

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, KFold, RandomizedSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import tune_core as tune
from integrations.tune_sklearn.helpers import Fragile, Recording, assert_same_results
from tune_sklearn import TuneGridSearchCV, TuneSearchCV
from tune_sklearn._spaces import domains_of


class Keeping(Recording):
    """A :class:`Recording` that keeps what each of its models was given, also those of the folds."""

    seen: list = []

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        Keeping.seen.append((np.sort(X[:, 0]).tobytes(), None if sample_weight is None else sample_weight.copy()))
        return super().partial_fit(X, y, classes, sample_weight)


@pytest.fixture
def kept():
    Keeping.seen = []
    return Keeping.seen


def test_01_splits_are_made_once_so_that_no_epoch_trains_on_earlier_test_rows(kept, binary):
    X, y = binary
    cv = ShuffleSplit(2, test_size=0.5)  # without a seed: each call of split() gives others
    TuneGridSearchCV(
        Keeping(), {"level": [0.1, 0.2]}, cv=cv, early_stopping=True, max_iters=4, resource="iterations", refit=False
    ).fit(X, y)
    assert len({rows for rows, _ in kept}) == 2


def test_02_sample_weight_reaches_every_partial_fit_and_the_scorer(kept, binary):
    X, y = binary
    weights = np.linspace(1, 2, len(X))
    search = TuneGridSearchCV(Keeping(), {"level": [0.1]}, cv=KFold(2), early_stopping=True, max_iters=3)
    search.fit(X, y, sample_weight=weights)
    given = [w for _, w in kept]
    assert len(given) == 2 * 3 + 3
    assert all(w is not None and len(w) in (60, 120) for w in given)
    np.testing.assert_array_equal(given[0], weights[60:])


def test_02_fit_parameters_reach_the_steps_of_a_pipeline_that_is_grown(kept, binary):
    X, y = binary
    pipe = make_pipeline(StandardScaler(), Keeping())
    search = TuneGridSearchCV(pipe, {"keeping__level": [0.1]}, cv=2, early_stopping=True, max_iters=2)
    search.fit(X, y, keeping__sample_weight=np.ones(len(X)))
    assert all(w is not None for _, w in kept)


@pytest.mark.parametrize(
    ("model", "grid", "size"),
    [
        (RandomForestClassifier(12, random_state=0), {"max_depth": [2, 5]}, lambda m: len(m.estimators_)),
        (
            GradientBoostingClassifier(n_estimators=12, random_state=0),
            {"max_depth": [2, 3]},
            lambda m: len(m.estimators_),
        ),
        (HistGradientBoostingClassifier(max_iter=12, random_state=0), {"max_depth": [2, 3]}, lambda m: m.n_iter_),
    ],
    ids=["forest", "boosting", "histogram boosting"],
)
def test_03_refitted_model_has_the_size_that_was_scored(binary, model, grid, size):
    search = TuneGridSearchCV(model, grid, cv=2, early_stopping=True, resource="iterations").fit(*binary)
    assert search.early_stopping_["steps"][-1] == 12
    assert size(search.best_estimator_) == 12
    scored = model.set_params(**search.best_params_).fit(*binary)
    np.testing.assert_array_equal(search.predict(binary[0]), scored.predict(binary[0]))
    assert search.best_estimator_.get_params() == scored.get_params()


def test_03_refitted_partial_fit_model_had_as_many_epochs_as_the_scored_one(binary):
    search = TuneGridSearchCV(Recording(), {"level": [0.1]}, cv=2, early_stopping=True, max_iters=5).fit(*binary)
    assert len(search.best_estimator_.rows_) == 5 == search.cv_results_["training_iteration"][0]
    assert search.best_score_ == pytest.approx(0.1 + 5 / 1000)


def test_04_mode_min_and_callable_refit_give_params_and_index_of_the_same_candidate(iris):
    def loss(estimator, X, y):
        return estimator.C

    search = TuneGridSearchCV(SVC(), {"C": [3, 1, 2]}, cv=2, scoring=loss, mode="min").fit(*iris)
    assert (search.best_index_, search.best_params_, search.best_score_) == (1, {"C": 1}, 1)
    assert search.cv_results_["rank_test_score"].tolist() == [3, 1, 2]
    chosen = TuneGridSearchCV(SVC(), {"C": [3, 1, 2]}, cv=2, refit=lambda results: 2).fit(*iris)
    assert (chosen.best_index_, chosen.best_params_, chosen.best_estimator_.C) == (2, {"C": 2}, 2)


def test_05_n_splits_is_a_number(iris):
    assert TuneGridSearchCV(SVC(), {"C": [1]}, cv=3).fit(*iris).n_splits_ == 3


def test_06_more_epochs_than_trees_still_train_at_each_step(binary):
    forest = RandomForestClassifier(n_estimators=3, random_state=0)
    search = TuneGridSearchCV(forest, {"max_depth": [2]}, cv=2, early_stopping=True, max_iters=10).fit(*binary)
    assert search.early_stopping_["steps"] == [1, 2, 3]
    assert len(search.best_estimator_.estimators_) == 3


def test_07_histogram_boosting_learns_at_each_step(binary):
    model = HistGradientBoostingClassifier(max_iter=8, random_state=0)
    search = TuneGridSearchCV(model, {"max_depth": [2, 3]}, cv=2, early_stopping=True, max_iters=4).fit(*binary)
    plain = GridSearchCV(model, {"max_depth": [2, 3]}, cv=2).fit(*binary)
    done = search.cv_results_["stop_reason"] == ""
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"][done], plain.cv_results_["mean_test_score"][done]
    )
    assert search.best_estimator_.n_iter_ == 8


def test_08_nan_score_leaves_the_other_ranks_right(iris):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = TuneGridSearchCV(Fragile(), {"fails": [True, False], "C": [1e-4, 1]}, cv=2).fit(*iris)
    ranks = dict(
        zip(map(str, search.cv_results_["params"]), search.cv_results_["rank_test_score"].tolist(), strict=True)
    )
    assert sorted(ranks.values()) == [1, 2, 3, 3]
    assert ranks["{'C': 1, 'fails': False}"] == 1


def test_09_columns_have_one_length_after_a_time_budget(iris):
    class Slow(SVC):
        def fit(self, X, y, sample_weight=None):
            import time

            time.sleep(0.02)
            return super().fit(X, y, sample_weight)

    search = TuneGridSearchCV(Slow(), {"C": list(np.linspace(1, 2, 200))}, cv=2, time_budget_s=0.5).fit(*iris)
    assert {len(values) for values in search.cv_results_.values()} == {200}
    unfinished = search.cv_results_["stop_reason"] != ""
    assert unfinished.any() and not unfinished.all()
    assert search.cv_results_["stop_reason"][search.best_index_] == ""
    assert search.predict(iris[0]).shape == (150,)


def test_10_set_params_after_construction_counts_and_fit_changes_no_argument(iris):
    search = TuneSearchCV(SVC(), {"C": [1, 2, 3]}, n_trials=2, cv=2, random_state=0)
    search.set_params(scoring="f1_macro", n_trials=3, random_state=1, early_stopping=True, n_jobs=None)
    before = search.get_params(deep=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(*iris)
    assert search.get_params(deep=False) == before
    assert len(search.cv_results_["params"]) == 3 and search.scorer_ is not None
    assert "stop_reason" in search.cv_results_


def test_11_global_generators_are_left_alone_and_lists_drawn_without_replacement(iris):
    np.random.seed(5)
    random.seed(5)
    before = np.random.get_state()[1].copy(), random.getstate()
    model = LogisticRegression()
    search = TuneSearchCV(model, {"C": list(range(1, 9))}, n_trials=8, cv=2, random_state=0).fit(*iris)
    assert (np.random.get_state()[1] == before[0]).all() and random.getstate() == before[1]
    assert sorted(p["C"] for p in search.cv_results_["params"]) == list(range(1, 9))


def test_12_unfitted_search_has_the_methods_of_its_estimator():
    search = TuneSearchCV(LogisticRegression(), {"C": [1]})
    assert hasattr(search, "predict") and not hasattr(search, "transform")


def test_13_runs_on_this_scikit_learn_with_the_results_of_its_own_search(iris):
    space = {"C": loguniform(1e-2, 1e2)}
    ours = TuneSearchCV(SVC(), space, n_trials=4, random_state=0, return_train_score=True).fit(*iris)
    theirs = RandomizedSearchCV(SVC(), space, n_iter=4, random_state=0, return_train_score=True).fit(*iris)
    assert_same_results(ours.cv_results_, theirs.cv_results_)


def test_14_one_lost_worker_is_one_failed_candidate(iris):
    search = TuneGridSearchCV(Fragile(), {"dies": [False, True]}, cv=2, n_jobs=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(*iris)
    assert search.best_params_ == {"dies": False}
    assert np.isnan(search.cv_results_["mean_test_score"][1])
    assert any("SIGKILL" in str(w.message) for w in caught)


def test_15_nothing_is_left_on_disk_unless_asked_for(iris, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TUNE_CORE_STORAGE", str(tmp_path / "storage"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=2, early_stopping=True).fit(*iris)
    assert os.listdir(tmp_path) == []
    TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=2, local_dir=tmp_path / "kept", name="mine").fit(*iris)
    assert os.listdir(tmp_path / "kept") == ["mine"]


def test_16_ranges_of_whole_numbers_give_whole_numbers():
    domain = domains_of({"n": (2, 4)})["n"]
    assert sorted(set(domain.sample(size=99, random_state=0))) == [2, 3, 4]
    assert isinstance(domains_of({"x": (2.0, 4.0)})["x"].sample(random_state=0), float)


@pytest.mark.parametrize("early_stopping", [True, "ASHAScheduler"])
def test_17_no_candidate_is_trained_beyond_max_iters(binary, early_stopping):
    search = TuneGridSearchCV(
        SGDClassifier(random_state=0), {"alpha": [1e-4, 1e-3, 1e-2]}, cv=2, early_stopping=early_stopping, max_iters=4
    ).fit(*binary)
    assert search.cv_results_["training_iteration"].max() == 4
    assert search.best_estimator_.t_ == 4 * len(binary[0]) + 1


def test_18_constructor_neither_validates_nor_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search = TuneSearchCV(SVC(), None, early_stopping="no such", n_trials=-1, max_iters=0, n_jobs=-9, sk_n_jobs=4)
        clone(search)
    with pytest.raises(ValueError):
        search.fit([[0.0], [1.0]], [0, 1])


def test_domains_of_tune_core_are_sampled_too(iris):
    space = {"C": tune.loguniform(0.1, 10), "kernel": tune.choice(["rbf", "linear"])}
    first = TuneSearchCV(SVC(), space, n_trials=5, cv=2, random_state=0).fit(*iris)
    again = TuneSearchCV(SVC(), space, n_trials=5, cv=2, random_state=0).fit(*iris)
    assert first.cv_results_["params"] == again.cv_results_["params"]
    assert len({p["C"] for p in first.cv_results_["params"]}) == 5
