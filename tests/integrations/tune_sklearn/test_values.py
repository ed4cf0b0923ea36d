"""Every score is that of the model it belongs to, computed again by scikit-learn alone; also of stopped candidates."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tune_core as tune
from tune_sklearn import TuneGridSearchCV

FOLDS = StratifiedKFold(4)


def in_full(estimator, amount, X, y):
    return estimator.fit(X, y)


def by_trees(estimator, amount, X, y):
    return estimator.set_params(n_estimators=amount).fit(X, y)


def by_passes(estimator, amount, X, y):
    for _ in range(amount):
        estimator.partial_fit(X, y, classes=np.unique(y))
    return estimator


def by_passes_of_the_last_step(pipeline, amount, X, y):
    X = pipeline[0].fit_transform(X)
    by_passes(pipeline[-1], amount, X, y)
    return pipeline


FOREST = RandomForestClassifier(n_estimators=12, random_state=0)
BOOSTING = GradientBoostingClassifier(n_estimators=12, random_state=0)
SCALED = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
DEPTHS = {"max_depth": [1, 2, 4, 8]}
ALPHAS = {"alpha": [1e-5, 1e-2, 1.0, 100.0]}
SCALED_ALPHAS = {f"sgdclassifier__{name}": values for name, values in ALPHAS.items()}
SIZES = {"hidden_layer_sizes": [(1,), (2,), (4,), (8,)]}
STRENGTHS = {"C": [1e-6, 1e-4, 1e-2, 1.0]}

CASES = [
    (FOREST, DEPTHS, {}, in_full),
    (SGDClassifier(random_state=0), ALPHAS, {}, in_full),
    (FOREST, DEPTHS, {"early_stopping": True, "resource": "iterations"}, by_trees),
    (BOOSTING, DEPTHS, {"early_stopping": True, "resource": "iterations"}, by_trees),
    (SGDClassifier(random_state=0), ALPHAS, {"early_stopping": True, "max_iters": 8}, by_passes),
    (MLPClassifier(random_state=0), SIZES, {"early_stopping": True, "max_iters": 4}, by_passes),
    (SCALED, SCALED_ALPHAS, {"early_stopping": True, "max_iters": 8}, by_passes_of_the_last_step),
    (LogisticRegression(), STRENGTHS, {"early_stopping": True, "resource": "folds"}, in_full),
    (SGDClassifier(random_state=0), ALPHAS, {"early_stopping": "ASHAScheduler", "max_iters": 8}, by_passes),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "grid", "how", "train"), CASES)
def test_scores_are_those_of_the_same_training_by_scikit_learn(binary, estimator, grid, how, train):
    X, y = binary
    search = TuneGridSearchCV(estimator, grid, cv=FOLDS, **how).fit(X, y)
    results = search.cv_results_
    amounts = results.get("n_resources", np.zeros(len(results["params"]), int))
    if how:
        assert len(set(amounts)) > 1  # some were stopped
    for fold, (rows, others) in enumerate(FOLDS.split(X, y)):
        for params, amount, score in zip(results["params"], amounts, results[f"split{fold}_test_score"]):
            if np.isnan(score):
                continue  # stopped before this fold
            model = train(clone(estimator).set_params(**params), int(amount), X[rows], y[rows])
            assert score == model.score(X[others], y[others]), (params, fold)
    whole = train(clone(estimator).set_params(**search.best_params_), int(max(amounts)), X, y)
    assert np.array_equal(search.best_estimator_.predict(X), whole.predict(X))


@pytest.mark.parametrize("stopped", [False, True])
def test_value_of_a_result_is_that_of_the_estimator_in_its_checkpoint(binary, tmp_path, stopped):
    X, y = binary

    def objective(config):
        model = SGDClassifier(alpha=config["alpha"], random_state=0)
        for _ in range(8):
            model.partial_fit(X[:80], y[:80], classes=[0, 1])
            (tmp_path / "model").mkdir(exist_ok=True)
            (tmp_path / "model" / "pickle").write_bytes(pickle.dumps(model))
            checkpoint = tune.Checkpoint.from_directory(str(tmp_path / "model"))
            tune.report({"score": model.score(X[80:], y[80:])}, checkpoint=checkpoint)

    def value_of(checkpoint):
        with checkpoint.as_directory() as folder:
            return pickle.loads(Path(folder, "pickle").read_bytes()).score(X[80:], y[80:])

    scheduler = tune.ASHAScheduler(max_t=8, grace_period=2, reduction_factor=2) if stopped else None
    results = tune.Tuner(
        objective,
        param_space={"alpha": tune.grid_search([1e-4, 1.0, 100.0])},
        tune_config=tune.TuneConfig(metric="score", mode="max", scheduler=scheduler),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="inline"),
    ).fit()
    for result in results:
        for checkpoint, metrics in result.best_checkpoints:
            assert value_of(checkpoint) == metrics["score"]
    best = results.get_best_result()
    assert value_of(best.checkpoint) == best.metrics["score"]
    assert (min(r.metrics["training_iteration"] for r in results) < 8) == stopped
