"""The same searches on Ray: candidates, scores to the last bit, errors, and early stopping."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.svm import SVC

from integrations.tune_sklearn.helpers import Fragile, assert_same_results
from integrations.tune_sklearn.test_same_as_sklearn import CASES
from tune_sklearn import TuneGridSearchCV, TuneSearchCV

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.parametrize(("data", "model", "space"), CASES, ids=[case[0] for case in CASES])
def test_random_search_on_ray_is_randomized_search_cv(request, data, model, space):
    X, y = request.getfixturevalue(data)
    arguments = {"cv": 3, "random_state": 3, "return_train_score": True, "n_iter": 4}
    ours = TuneSearchCV(model, space, n_jobs=2, **arguments).fit(X, y)  # Ray is up
    theirs = RandomizedSearchCV(model, space, **arguments).fit(X, y)
    assert_same_results(ours.cv_results_, theirs.cv_results_)


def test_grid_search_on_ray_is_grid_search_cv(iris):
    grid = {"C": [0.1, 1.0], "kernel": ["linear", "rbf"]}
    ours = TuneGridSearchCV(SVC(), grid, cv=3, executor="ray").fit(*iris)
    theirs = GridSearchCV(SVC(), grid, cv=3).fit(*iris)
    assert_same_results(ours.cv_results_, theirs.cv_results_)


def test_early_stopping_on_ray_is_that_of_this_process(iris):
    search = TuneGridSearchCV(SVC(), {"C": list(np.logspace(-4, 2, 6))}, cv=3, early_stopping=True)
    here = search.fit(*iris).cv_results_
    there = search.set_params(executor="ray").fit(*iris).cv_results_
    for key in here:
        if "time" not in key and key != "params":
            assert list(map(repr, here[key])) == list(map(repr, there[key])), key


def test_errors_come_home_from_ray(iris):
    search = TuneGridSearchCV(Fragile(), {"fails": [True]}, cv=2, executor="ray", error_score="raise")
    with pytest.raises(ArithmeticError, match="cannot be fitted"):
        search.fit(*iris)
