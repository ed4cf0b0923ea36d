"""Estimators and comparisons that several of these test files need."""

from __future__ import annotations

import os
import signal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

EXTRA_COLUMNS = ("training_iteration", "time_total_s", "n_resources", "stop_reason")


def assert_same_results(ours, theirs):
    """Same keys in the same order, and the same values to the last bit, times aside."""
    keys = [k for k in ours if k not in EXTRA_COLUMNS]
    assert keys == list(theirs)
    for key in keys:
        if key == "params":
            assert ours[key] == theirs[key]
        elif not key.endswith("_time"):
            assert type(ours[key]) is type(theirs[key]), key
            assert ours[key].dtype == theirs[key].dtype, key
            mine, other = np.ma.asarray(ours[key]), np.ma.asarray(theirs[key])
            np.testing.assert_array_equal(np.ma.getmaskarray(mine), np.ma.getmaskarray(other))
            np.testing.assert_array_equal(mine.compressed(), other.compressed(), err_msg=key)


def comparable(results, ignore=("time",)):
    """``cv_results_`` without what depends on the clock, as plain values."""
    return {
        key: [repr(v) for v in values] for key, values in results.items() if not any(word in key for word in ignore)
    }


class Fragile(LogisticRegression):
    """Fails for one value of its parameter."""

    def __init__(self, C=1.0, fails=False, dies=False):
        super().__init__(C=C)
        self.fails = fails
        self.dies = dies

    def fit(self, X, y=None, sample_weight=None):
        if self.fails:
            raise ArithmeticError("this candidate cannot be fitted")
        if self.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y, sample_weight)


class Recording(ClassifierMixin, BaseEstimator):
    """Grows by partial fits and remembers what it was given."""

    def __init__(self, level=0.0):
        self.level = level

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        self.classes_ = np.asarray(classes) if classes is not None else self.classes_
        self.rows_ = [*getattr(self, "rows_", []), np.sort(np.asarray(X)[:, 0])]
        self.weights_ = [*getattr(self, "weights_", []), sample_weight]
        self.n_features_in_ = X.shape[1]
        return self

    def fit(self, X, y, sample_weight=None):
        for name in ("rows_", "weights_"):
            self.__dict__.pop(name, None)
        return self.partial_fit(X, y, np.unique(y), sample_weight)

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y=None, sample_weight=None):
        return self.level + len(self.rows_) / 1000
