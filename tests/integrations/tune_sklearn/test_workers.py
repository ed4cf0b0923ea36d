"""Fits in worker processes: what comes home from them, what is shared with them, and that none is left."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import warnings

import joblib
import numpy as np
import psutil
import pytest
import sklearn
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits, load_iris
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV, ShuffleSplit, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from integrations.tune_sklearn.helpers import Fragile, assert_same_results, comparable
from tune_core.executors.local import pool
from tune_core.search import Searcher
from tune_sklearn import TuneGridSearchCV, TuneSearchCV, _rows, _run, _workers

pd = pytest.importorskip("pandas")


class WhereAmI(ClassifierMixin, BaseEstimator):
    """Scores by what its process looks like."""

    def __init__(self, what="pid"):
        self.what = what

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y=None, sample_weight=None):
        if self.what == "threads":
            from threadpoolctl import threadpool_info

            return max([info["num_threads"] for info in threadpool_info()], default=1)
        if self.what == "assume_finite":
            return float(sklearn.get_config()["assume_finite"])
        return float(os.getpid())


@pytest.mark.skipif(not pool.can_fork(), reason="workers are started one by one here")
def test_no_process_and_no_open_file_is_left_after_fit_but_those_that_serve_the_next(iris):
    pool.end_templates()
    gc.collect()
    me = psutil.Process()
    children, files, descriptors = set(me.children(recursive=True)), me.open_files(), me.num_fds()
    kept = []
    for _ in range(3):
        TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=2, n_jobs=2).fit(*iris)
        gc.collect()
        kept.append((set(me.children(recursive=True)) - children, me.num_fds()))
    assert kept[0] == kept[1] == kept[2] and len(kept[0][0]) <= 3  # two workers, and the template of both
    pool.end_templates()
    assert set(me.children(recursive=True)) <= children
    assert len(me.open_files()) <= len(files) and me.num_fds() <= descriptors


def test_n_jobs_none_fits_in_this_process_and_two_in_others(iris):
    here = TuneGridSearchCV(WhereAmI(), {"what": ["pid"]}, cv=2).fit(*iris)
    assert here.best_score_ == os.getpid()
    elsewhere = TuneGridSearchCV(WhereAmI(), {"what": ["pid"]}, cv=4, n_jobs=2).fit(*iris)
    pids = {elsewhere.cv_results_[f"split{k}_test_score"][0] for k in range(4)}
    assert os.getpid() not in pids and len(pids) == 2  # folds of one candidate ran beside each other


def test_workers_have_the_callers_configuration_and_few_threads(iris):
    with sklearn.config_context(assume_finite=True):
        grid = {"what": ["assume_finite", "threads"]}
        search = TuneGridSearchCV(WhereAmI(), grid, cv=2, n_jobs=2).fit(*iris)
    assert search.cv_results_["mean_test_score"][0] == 1.0
    assert search.cv_results_["mean_test_score"][1] <= max(1, len(os.sched_getaffinity(0)) // 2)


def test_errors_come_home_with_their_type_and_the_workers_traceback(iris):
    search = TuneGridSearchCV(Fragile(), {"fails": [True]}, cv=2, n_jobs=2, error_score="raise")
    with pytest.raises(ArithmeticError, match="cannot be fitted") as caught:
        search.fit(*iris)
    assert "in fit" in str(caught.value.__cause__)


def test_warnings_of_fits_are_repeated_here_once(iris):
    class Warns(DummyClassifier):
        def fit(self, X, y, sample_weight=None):
            warnings.warn("fitted with a doubt", RuntimeWarning, stacklevel=1)
            return super().fit(X, y, sample_weight)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        TuneGridSearchCV(Warns(), {"strategy": ["prior", "uniform"]}, cv=2, n_jobs=2, refit=False).fit(*iris)
    assert [str(w.message) for w in caught if w.category is RuntimeWarning] == ["fitted with a doubt"]


def test_verbose_lines_of_workers_are_printed_here(iris, capsys):
    TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=2, verbose=2, n_jobs=2).fit(*iris)
    assert capsys.readouterr().out.count("END") == 4


def test_frames_and_sparse_matrices_arrive_as_they_are(iris):
    X, y = iris
    big = pd.DataFrame(np.tile(X, (60, 1)), columns=list("abcd"))
    target = np.tile(y, 60)
    for data in (big, sparse.csr_matrix(big.to_numpy())):
        ours = TuneGridSearchCV(DummyClassifier(), {"strategy": ["prior"]}, cv=2, n_jobs=2).fit(data, target)
        theirs = GridSearchCV(DummyClassifier(), {"strategy": ["prior"]}, cv=2).fit(data, target)
        assert_same_results(ours.cv_results_, theirs.cv_results_)


def test_locally_defined_estimators_and_scorers_reach_the_workers(iris):
    class Local(SVC):
        pass

    search = TuneGridSearchCV(Local(), {"C": [1, 2]}, cv=2, n_jobs=2, scoring=lambda e, X, y: e.C).fit(*iris)
    assert search.best_params_ == {"C": 2}


def test_joblibs_configuration_is_honoured_or_said_to_be_impossible(iris):
    search = TuneGridSearchCV(WhereAmI(), {"what": ["pid"]}, cv=2)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        assert search.fit(*iris).best_score_ != os.getpid()
    with joblib.parallel_config(backend="threading", n_jobs=2), pytest.warns(UserWarning, match="threading backend"):
        assert search.fit(*iris).best_score_ == os.getpid()


def test_search_inside_a_trial_of_another_run_stays_in_its_worker(iris):
    inner = TuneGridSearchCV(WhereAmI(), {"what": ["pid"]}, cv=2, n_jobs=2)
    outer = TuneGridSearchCV(inner, {"refit": [True]}, cv=2, n_jobs=2).fit(*iris)
    assert outer.best_score_ != os.getpid()


def test_searcher_proposes_candidates_to_workers(iris):
    told = []

    class Proposes(Searcher):
        def __init__(self):
            super().__init__()
            self.asked = 0

        def suggest(self, trial_id):
            self.asked += 1
            return {"C": 2.0 ** (self.asked - 1), "kernel": "linear"}

        def on_trial_complete(self, trial_id, result=None, error=False):
            told.append(result["average_test_score"])

    searcher = Proposes()
    space = {"C": (0.5, 64.0), "kernel": ["linear", "rbf"]}
    search = TuneSearchCV(SVC(), space, n_trials=4, cv=2, search_optimization=searcher).fit(*iris)
    for _ in range(2):  # a second fit finds the searcher as it was
        assert [p["C"] for p in search.fit(*iris).cv_results_["params"]] == [1.0, 2.0, 4.0, 8.0]
    assert told[-4:] == search.cv_results_["mean_test_score"].tolist()
    assert searcher.asked == 0


class Thrifty(ClassifierMixin, BaseEstimator):
    """Fits nothing; scores by how much memory of its own, not mapped from a file, the process has (in MB)."""

    def __init__(self, number=0):
        self.number = number

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X))

    def score(self, X, y=None):
        with open("/proc/self/smaps_rollup") as file:
            (line,) = [line for line in file if line.startswith("Anonymous:")]
        return int(line.split()[1]) / 1024


needs_linux = pytest.mark.skipif(
    not os.path.exists("/proc/self/smaps_rollup"), reason="reads Linux's account of memory"
)


@needs_linux
def test_large_data_is_mapped_by_workers_so_that_a_fit_costs_hardly_any_memory_of_its_own():
    rows = 40_000
    X, y = np.zeros((rows, 500)), np.arange(rows) % 2  # 160 MB
    arguments = {"cv": 3, "n_jobs": 2, "refit": False}
    large = TuneGridSearchCV(Thrifty(), {"number": [0, 1]}, **arguments).fit(X, y)
    small = TuneGridSearchCV(Thrifty(), {"number": [0, 1]}, **arguments).fit(X[:300], y[:300])
    assert large.cv_results_["mean_test_score"].max() - small.cv_results_["mean_test_score"].min() < 40


class Careless(SGDClassifier):
    """Changes the rows that it is given, and says where a fit finds that somebody did so before."""

    def fit(self, X, y, sample_weight=None):
        assert X.max() <= 16, "these rows are not as they were"
        super().fit(X, y, sample_weight=sample_weight)
        X += 100
        return self


@pytest.mark.parametrize("memory", [0, 1 << 40], ids=["on disk", "in memory"])
@pytest.mark.parametrize("folds", [3, 4], ids=["folds", "whole"])
def test_large_data_for_all_workers_gives_the_same_scores_and_is_each_fits_own(monkeypatch, memory, folds):
    X, y = load_digits(return_X_y=True)
    weights = np.random.RandomState(0).rand(len(y))
    space = {"alpha": [1e-5, 1e-3], "average": [False, True]}
    arguments = {"cv": ShuffleSplit(folds, random_state=0), "error_score": "raise"}
    theirs = GridSearchCV(SGDClassifier(max_iter=5, tol=None, random_state=0), space, **arguments)
    theirs.fit(X, y, sample_weight=weights)
    monkeypatch.setattr(_rows, "LARGE_BYTES", 1)
    monkeypatch.setattr(_rows, "available_memory", lambda: memory)
    written = []
    new_file = _rows._new_file
    monkeypatch.setattr(_rows, "_new_file", lambda *args: written.append(args[0]) or new_file(*args))
    estimator = Careless(max_iter=5, tol=None, random_state=0)
    ours = TuneGridSearchCV(estimator, space, n_jobs=2, refit=False, **arguments).fit(X, y, sample_weight=weights)
    assert written == [tempfile.gettempdir() if memory == 0 else "/dev/shm"] * (3 if folds == 3 else 1)
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])


def frame(kind):
    """Iris as what people hold their data in."""
    X, y = load_iris(return_X_y=True)
    if kind == "csr":
        return sparse.csr_matrix(X), y
    if kind == "csc array":
        return sparse.csc_array(X), y
    if kind == "C order":
        return X, y
    if kind == "Fortran order":
        return np.asfortranarray(X.astype(np.float32)), y
    if kind == "gaps":
        return np.repeat(X, 2, axis=1)[:, ::2], y
    if kind == "polars":
        polars = pytest.importorskip("polars")
        return polars.DataFrame(X, schema=list("abcd")), polars.Series("y", y)
    table = pd.DataFrame(X, columns=list("abcd"), index=np.arange(len(X)) * 10)
    if kind == "pandas, gaps":
        table = table.loc[np.repeat(table.index, 2)].iloc[::2, ::-1][list("abcd")]
    if kind == "pandas, nullable":
        table = table.astype({"a": "Float64", "b": "Float32"}).assign(c=(table["c"] * 10).astype("Int64"))
    if kind == "pandas, mixed":
        table = table.assign(e=pd.Categorical(np.array(["x", "yy"])[y % 2]), f=[f"word {i % 3}" for i in y])
    return table, pd.Series(y, index=table.index)


KINDS = ["csr", "csc array", "C order", "Fortran order", "gaps", "pandas", "pandas, gaps", "pandas, nullable"]


@pytest.mark.parametrize("workers", [1, 2], ids=["whole", "folds"])
@pytest.mark.parametrize("kind", [*KINDS, "pandas, mixed"])
def test_arrays_frames_and_sparse_matrices_arrive_as_they_are(monkeypatch, kind, workers):
    X, y = frame(kind)
    cv = list(StratifiedKFold(3, shuffle=True, random_state=0).split(np.zeros(150), np.asarray(y)))
    work = _rows.FoldedData(X, y, cv, {}, {})
    monkeypatch.setattr(_rows, "LARGE_BYTES", 1)
    with work.shared(DecisionTreeClassifier(), workers):
        assert (work.laid_out is None, work.whole is None) == (workers == 1, workers == 2)
        there = pickle.loads(pickle.dumps(work))  # as it goes to a worker
        assert there.X is None
        for fold, (train, test) in enumerate(cv):
            rows = there.rows_of(fold)
            for numbers, ours in ((train, rows.train), (test, rows.test)):
                piece, want = _rows.safe_indexing(rows.X, ours), _rows.safe_indexing(X, numbers)
                assert type(piece) is type(want)
                same(piece, want)
            few = there.rows_of(fold, np.array([0, 3, 7]))
            same(_rows.safe_indexing(few.X, few.train), _rows.safe_indexing(X, np.asarray(train)[[0, 3, 7]]))
    assert work.laid_out is None and work.whole is None


def same(piece, want):
    if sparse.issparse(piece):
        assert (piece != want).nnz == 0 and piece.format == want.format
    elif hasattr(piece, "equals"):
        assert piece.equals(want)
        assert list(piece.columns) == list(want.columns) and list(map(str, piece.dtypes)) == list(map(str, want.dtypes))
    else:
        np.testing.assert_array_equal(piece, want)
        assert piece.flags.c_contiguous == want.flags.c_contiguous


@pytest.mark.parametrize("folds", [3, 4], ids=["folds", "whole"])
@pytest.mark.parametrize("kind", ["csr", "polars", "pandas, nullable"])
def test_frames_and_sparse_matrices_are_searched_by_workers_as_by_scikit_learn(monkeypatch, kind, folds):
    X, y = frame(kind)
    monkeypatch.setattr(_rows, "LARGE_BYTES", 1)
    arguments = {"cv": folds, "error_score": "raise", "return_train_score": True}
    grid = {"max_depth": [1, 3]}
    theirs = GridSearchCV(DecisionTreeClassifier(random_state=0), grid, **arguments).fit(X, y)
    ours = TuneGridSearchCV(DecisionTreeClassifier(random_state=0), grid, n_jobs=2, **arguments).fit(X, y)
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    if kind != "csr":
        assert list(ours.feature_names_in_) == list("abcd")


@pytest.mark.parametrize("folds", [3, 4], ids=["folds", "whole"])
@pytest.mark.parametrize("resource", ["samples", "folds"])
def test_large_data_is_raced_as_other_is(monkeypatch, resource, folds):
    X, y = load_digits(return_X_y=True)
    arguments = {"cv": folds, "n_jobs": 2, "early_stopping": True, "resource": resource, "refit": False}
    tables = []
    for large in (1 << 40, 1):
        monkeypatch.setattr(_rows, "LARGE_BYTES", large)
        search = TuneGridSearchCV(GaussianNB(), {"var_smoothing": np.logspace(-9, 2, 8)}, **arguments).fit(X, y)
        tables.append(comparable(search.cv_results_))
    assert tables[0] == tables[1]


def test_kernels_are_not_laid_out(monkeypatch):
    X, y = load_digits(return_X_y=True)
    X, y = X[:200], y[:200]
    monkeypatch.setattr(_rows, "LARGE_BYTES", 1)
    monkeypatch.setattr(_rows, "_write", lambda *args: pytest.fail("laid out"))
    arguments = {"cv": 3, "refit": False}
    kernel = (X @ X.T, y)
    ours = TuneGridSearchCV(SVC(kernel="precomputed"), {"C": [1, 2]}, n_jobs=2, **arguments).fit(*kernel)
    theirs = GridSearchCV(SVC(kernel="precomputed"), {"C": [1, 2]}, **arguments).fit(*kernel)
    assert_same_results(ours.cv_results_, theirs.cv_results_)


def test_last_candidates_have_their_folds_fitted_by_workers_that_would_be_idle(monkeypatch):
    X, y = load_digits(return_X_y=True)
    planned = []
    plan = _workers.fold_threads
    monkeypatch.setattr(_run, "fold_threads", lambda *args: planned.append(plan(*args)) or planned[-1])
    estimator = RandomForestClassifier(n_estimators=24, random_state=0)
    arguments = {"early_stopping": True, "resource": "iterations", "cv": 4, "refit": False}
    tables = []
    for n_jobs in (None, 4):
        search = TuneGridSearchCV(estimator, {"max_depth": [2, 3, 4, 5, 6, 7, 8]}, n_jobs=n_jobs, **arguments)
        tables.append(comparable(search.fit(X, y).cv_results_))
    assert planned[0] == ()  # in this process
    assert planned[1][0] == 1
    assert planned[1][-1] == 2  # two candidates are left to four workers
    assert tables[0] == tables[1]


def test_folds_of_estimators_that_may_share_something_are_fitted_one_after_another():
    assert _workers._bear_threads([RandomForestClassifier(), make_pipeline(StandardScaler(), SVC()), 3, "C", None])
    assert not _workers._bear_threads([WhereAmI()])
    assert not _workers._bear_threads([make_pipeline(StandardScaler(), WhereAmI())])


KILLED = """
import os, signal, sys, tempfile, threading, time
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import SGDClassifier
from tune_sklearn import TuneSearchCV, _kept

_kept.MEMORY = tempfile.gettempdir()

class Waits(SGDClassifier):
    def score(self, X, y=None, sample_weight=None):
        if self.alpha == 1:
            os.kill(int(os.environ["DRIVER"]), signal.SIGKILL)
            time.sleep(60)
        return super().score(X, y, sample_weight)

os.environ["DRIVER"] = str(os.getpid())
X, y = np.random.RandomState(0).randn(200, 3), np.arange(200) % 2
more = {"early_stopping": sys.argv[1] != "plain", "max_iters": 8 if sys.argv[1] == "epochs" else 1}
TuneSearchCV(Waits(), {"alpha": [1e-4, 1e-3, 1e-2, 1e-1, 0.2, 1.0]}, n_trials=6, cv=2, n_jobs=int(sys.argv[2]),
             search_optimization="random", random_state=0, **more).fit(X, y)
"""


@pytest.mark.parametrize("n_jobs", ["1", "2"])
@pytest.mark.parametrize("how", ["plain", "folds", "epochs"])
def test_nothing_is_left_when_the_process_is_killed(tmp_path, how, n_jobs):
    (tmp_path / "there").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "there")}
    killed = subprocess.run([sys.executable, "-c", KILLED, how, n_jobs], env=environment, timeout=100)
    assert killed.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 30
    while found := os.listdir(tmp_path / "there"):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
