"""Small data sets that these tests share."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

if find_spec("sklearn") is None:
    collect_ignore_glob = ["*.py"]
else:
    from sklearn.datasets import load_breast_cancer, load_digits, load_iris, make_classification


@pytest.fixture(scope="session")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="session")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600] / 16.0, y[:600]


@pytest.fixture(scope="session")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


@pytest.fixture(scope="session")
def binary():
    return make_classification(n_samples=120, n_features=6, random_state=0)
