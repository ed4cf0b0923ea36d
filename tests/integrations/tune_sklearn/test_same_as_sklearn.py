"""The same candidates as scikit-learn's searches, the same scores to the last bit; in this process and in workers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import loguniform, randint
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from integrations.tune_sklearn.helpers import assert_same_results
from tune_sklearn import TuneGridSearchCV, TuneSearchCV

CASES = [
    ("iris", SVC(random_state=0), {"C": loguniform(1e-2, 1e2), "kernel": ["rbf", "linear"]}),
    ("digits", SGDClassifier(random_state=0), {"alpha": loguniform(1e-6, 1e-1), "penalty": ["l1", "l2"]}),
    ("cancer", RandomForestClassifier(10, random_state=0), {"max_depth": randint(1, 9), "max_features": [2, 5]}),
]


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize(("data", "model", "space"), CASES, ids=[case[0] for case in CASES])
def test_random_search_is_randomized_search_cv(request, data, model, space, n_jobs):
    X, y = request.getfixturevalue(data)
    arguments = {"n_iter": 5, "cv": 3, "random_state": 3, "return_train_score": True}
    ours = TuneSearchCV(model, space, n_jobs=n_jobs, **arguments).fit(X, y)
    theirs = RandomizedSearchCV(model, space, **arguments).fit(X, y)
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    assert (ours.best_index_, ours.best_params_, ours.best_score_) == (
        theirs.best_index_,
        theirs.best_params_,
        theirs.best_score_,
    )
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_is_grid_search_cv(cancer, n_jobs):
    grid = [{"C": [0.1, 1.0], "solver": ["lbfgs"]}, {"C": [1.0], "solver": ["liblinear"], "l1_ratio": [0, 1]}]
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    scoring = ["roc_auc", "neg_log_loss"]
    arguments = {"cv": cv, "scoring": scoring, "refit": "neg_log_loss"}
    ours = TuneGridSearchCV(LogisticRegression(random_state=0), grid, n_jobs=n_jobs, **arguments).fit(*cancer)
    theirs = GridSearchCV(LogisticRegression(random_state=0), grid, **arguments).fit(*cancer)
    assert_same_results(ours.cv_results_, theirs.cv_results_)


def test_sparse_text_in_workers():
    texts = np.array(["red apple", "green apple", "red car", "blue car"] * 12, dtype=object)
    target = np.array([0, 0, 1, 1] * 12)
    pipe = make_pipeline(TfidfVectorizer(), LogisticRegression())
    grid = {"tfidfvectorizer__ngram_range": [(1, 1), (1, 2)], "logisticregression__C": [0.1, 1.0]}
    ours = TuneGridSearchCV(pipe, grid, cv=3, n_jobs=2).fit(texts, target)
    theirs = GridSearchCV(pipe, grid, cv=3).fit(texts, target)
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    assert sparse.issparse(ours.best_estimator_[0].transform(texts))
