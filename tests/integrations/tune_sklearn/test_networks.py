"""Networks that behave as scikit-learn's estimators: skorch and SciKeras, with early stopping and without."""

from __future__ import annotations

import os
from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tune_core.schedulers import ASHAScheduler
from tune_sklearn import TuneGridSearchCV, TuneSearchCV
from tune_sklearn._sizes import size_of

FOLDS = StratifiedKFold(3)
RATES = {"lr": [0.3, 1e-2, 1e-4, 1e-6]}
pytestmark = pytest.mark.filterwarnings("ignore")

torch = pytest.importorskip("torch")

if find_spec("skorch"):
    from skorch import NeuralNetClassifier
    from skorch.callbacks import EarlyStopping


class Net(torch.nn.Module):
    """The same weights whenever it is made."""

    def __init__(self, hidden=4):
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(torch.nn.Linear(6, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 2))

    def forward(self, X):
        return self.layers(X)


@pytest.fixture
def floats(binary):
    X, y = binary
    return X.astype("float32"), y.astype("int64")


@pytest.fixture
def net():
    pytest.importorskip("skorch")
    return NeuralNetClassifier(
        Net, criterion=torch.nn.CrossEntropyLoss, max_epochs=12, train_split=None, verbose=0, batch_size=32
    )


def test_without_early_stopping_the_scores_are_those_of_scikit_learns_search(net, floats):
    ours = TuneGridSearchCV(net, RATES, cv=FOLDS).fit(*floats)
    theirs = GridSearchCV(net, RATES, cv=FOLDS).fit(*floats)
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(ours.predict(floats[0]), theirs.predict(floats[0]))


@pytest.mark.parametrize("early_stopping", [True, "ASHAScheduler"])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_early_stopping_gives_a_net_its_epochs_bit_by_bit(net, floats, early_stopping, n_jobs):
    X, y = floats
    search = TuneGridSearchCV(
        net, RATES, cv=FOLDS, early_stopping=early_stopping, resource="iterations", max_iters=4, n_jobs=n_jobs
    ).fit(X, y)
    results = search.cv_results_
    assert search.early_stopping_["resource"] == "max_epochs"
    assert search.early_stopping_["steps"] == [3, 6, 9, 12]
    assert min(results["n_resources"]) < 12 and max(results["n_resources"]) == 12
    for fold, (rows, others) in enumerate(FOLDS.split(X, y)):
        for params, epochs, score in zip(results["params"], results["n_resources"], results[f"split{fold}_test_score"]):
            if not np.isnan(score):
                model = clone(net).set_params(**params, max_epochs=int(epochs)).fit(X[rows], y[rows])
                assert score == model.score(X[others], y[others])
    assert len(search.best_estimator_.history) == 12
    assert search.best_estimator_.get_params()["max_epochs"] == 12


def test_nets_with_callbacks_are_trained_anew_since_those_would_begin_again(net):
    assert size_of(net).growth is not None
    assert size_of(net.set_params(callbacks=[EarlyStopping()])).growth is None


def test_nets_of_one_epoch_are_trained_by_partial_fits(net, floats):
    search = TuneGridSearchCV(net.set_params(max_epochs=1), RATES, cv=FOLDS, early_stopping=True, max_iters=4)
    search.fit(*floats)
    assert search.early_stopping_["kind"] == "partial_fit"
    assert len(search.best_estimator_.history) == 4


def test_parameters_of_the_module_are_searched_in_a_pipeline_with_early_stopping(net, floats):
    space = {"neuralnetclassifier__module__hidden": [2, 4, 8], "neuralnetclassifier__lr": [0.01, 0.3]}
    search = TuneSearchCV(
        make_pipeline(StandardScaler(), net), space, n_trials=4, cv=FOLDS, random_state=0,
        early_stopping=ASHAScheduler(max_t=12, grace_period=3), resource="iterations",
    ).fit(*floats)  # fmt: skip
    assert search.early_stopping_["resource"] == "neuralnetclassifier__max_epochs"
    assert search.best_score_ > 0.5


# --- SciKeras ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def keras_model():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    wrappers = pytest.importorskip("scikeras.wrappers")
    return wrappers.KerasClassifier(
        build, hidden=4, loss="binary_crossentropy", optimizer="sgd", optimizer__learning_rate=0.1, epochs=2, verbose=0
    )  # fmt: skip


def build(hidden, meta):
    import keras

    keras.utils.set_random_seed(0)  # the estimator's random_state does not reach Keras' other backends
    return keras.Sequential(
        [keras.Input((meta["n_features_in_"],)), keras.layers.Dense(hidden), keras.layers.Dense(1, "sigmoid")]
    )


@pytest.mark.timeout(300)
def test_scikeras_is_searched_with_early_stopping_and_without(keras_model, floats):
    grid = {"optimizer__learning_rate": [1e-6, 1e-3, 0.5]}
    whole = TuneGridSearchCV(keras_model, grid, cv=FOLDS).fit(*floats)
    theirs = GridSearchCV(keras_model, grid, cv=FOLDS).fit(*floats)
    np.testing.assert_allclose(whole.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])

    raced = TuneGridSearchCV(keras_model, grid, cv=FOLDS, early_stopping=True, max_iters=4).fit(*floats)
    assert raced.early_stopping_["kind"] == "partial_fit"
    assert set(raced.cv_results_["n_resources"]) == {1, 4}
    assert raced.best_estimator_.current_epoch == 4
