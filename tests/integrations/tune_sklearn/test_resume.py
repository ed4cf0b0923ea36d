"""A search that was killed goes on with ``fit(X, y, resume=True)`` and ends with the results it would have had."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import psutil
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import make_scorer
from sklearn.model_selection import KFold
from sklearn.svm import SVC

from integrations.tune_sklearn.helpers import comparable
from tune_core.errors import InvalidArgumentError, RestoreError, StorageError
from tune_sklearn import TuneGridSearchCV, TuneSearchCV

KILLED_AT = [1, 2, 3, 5, 7, 8, 11, 13, 14, 15]


def _count_and_maybe_die():
    """Count a fit in a file; at a certain one this process kills itself."""
    counter = os.environ.get("FIT_COUNTER")
    if counter:
        with open(counter, "ab") as file:
            file.write(b".")
        if os.path.getsize(counter) == int(os.environ["FIT_DEADLINE"]):
            os.kill(os.getpid(), signal.SIGKILL)


class Deadly(SVC):
    """Counts its fits, one of which kills the process."""

    def fit(self, X, y, sample_weight=None):
        _count_and_maybe_die()
        return super().fit(X, y, sample_weight)


class DeadlyForest(RandomForestClassifier):
    """The same for a forest that grows."""

    def fit(self, X, y, sample_weight=None):
        _count_and_maybe_die()
        return super().fit(X, y, sample_weight)


def _in_a_child(action):
    """Run ``action`` in a fork of this process; the signal that ended it."""
    pid = os.fork()
    if pid == 0:  # pragma: no cover
        try:
            action()
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("early_stopping", [None, True], ids=["in full", "racing over folds"])
def test_search_killed_at_ten_moments_ends_with_the_same_results(iris, tmp_path, monkeypatch, early_stopping):
    def search(name):
        return TuneSearchCV(
            Deadly(),
            {"C": list(np.logspace(-3, 3, 7)), "gamma": ["scale", 1.0]},
            n_trials=6,
            cv=3,
            random_state=0,
            early_stopping=early_stopping,
            resource="folds" if early_stopping else "auto",
            local_dir=tmp_path,
            name=name,
        )

    monkeypatch.setenv("FIT_COUNTER", str(tmp_path / "whole.count"))
    monkeypatch.setenv("FIT_DEADLINE", "0")
    expected = search("whole").fit(*iris)
    needed = os.path.getsize(tmp_path / "whole.count")
    for moment in KILLED_AT[: 10 if early_stopping is None else 6]:
        name = f"killed_{moment}"
        monkeypatch.setenv("FIT_COUNTER", str(tmp_path / f"{name}.count"))
        monkeypatch.setenv("FIT_DEADLINE", str(moment))
        assert _in_a_child(lambda name=name: search(name).fit(*iris)) == signal.SIGKILL
        resumed = search(name).fit(*iris, resume=True)
        assert comparable(resumed.cv_results_) == comparable(expected.cv_results_)
        assert resumed.best_params_ == expected.best_params_
        lost = 1 if early_stopping is None else 3  # what the killed trial had not yet saved
        assert os.path.getsize(tmp_path / f"{name}.count") <= needed + lost


@pytest.mark.parametrize(("resource", "moments"), [("iterations", (1, 9, 17, 20)), ("auto", (3, 9, 11))])
def test_forests_killed_and_resumed_end_alike(binary, tmp_path, monkeypatch, resource, moments):
    def search(name):
        grid = {"max_depth": [1, 2, 3, 5], "max_features": [2, 4]}
        forest = DeadlyForest(n_estimators=27, random_state=0)
        arguments = {"resource": resource, "local_dir": tmp_path, "name": name}
        return TuneGridSearchCV(forest, grid, cv=2, early_stopping=True, **arguments)

    expected = search("whole").fit(*binary)
    for moment in moments:
        name = f"killed_{moment}"
        monkeypatch.setenv("FIT_COUNTER", str(tmp_path / f"{name}.count"))
        monkeypatch.setenv("FIT_DEADLINE", str(moment))
        assert _in_a_child(lambda name=name: search(name).fit(*binary)) == signal.SIGKILL
        resumed = search(name).fit(*binary, resume=True)
        assert comparable(resumed.cv_results_) == comparable(expected.cv_results_)


@pytest.mark.slow
def test_driver_killed_with_workers_running_is_resumed_and_leaves_no_process(iris, tmp_path):
    script = textwrap.dedent(
        """
        import sys, time
        from sklearn.datasets import load_iris
        from sklearn.svm import SVC
        from tune_sklearn import TuneGridSearchCV

        class Slow(SVC):
            def fit(self, X, y, sample_weight=None):
                time.sleep(0.05)
                return super().fit(X, y, sample_weight)

        search = TuneGridSearchCV(
            Slow(), {"C": [0.001, 0.1, 1, 10, 100]}, cv=4, n_jobs=2, local_dir=sys.argv[1], name="mine"
        )
        search.fit(*load_iris(return_X_y=True), resume=True)
        print(search.cv_results_["mean_test_score"].tolist())
        """
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    journal = tmp_path / "mine" / "journal.jsonl"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while not (journal.exists() and journal.read_bytes().count(b'"e":"report"') >= 4):
            assert process.poll() is None
            time.sleep(0.01)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert workers and not psutil.wait_procs(workers, timeout=30)[1]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = TuneGridSearchCV(SVC(), {"C": [0.001, 0.1, 1, 10, 100]}, cv=4).fit(*iris)
    assert done.stdout.strip() == str(expected.cv_results_["mean_test_score"].tolist())


def test_finished_search_resumed_gives_the_same_again(iris, tmp_path):
    search = TuneGridSearchCV(SVC(), {"C": [1, 2, 3]}, cv=2, local_dir=tmp_path, name="mine")
    first = comparable(search.fit(*iris).cv_results_)
    assert comparable(search.fit(*iris, resume=True).cv_results_) == first


def test_name_that_is_taken_is_refused_and_another_search_too(iris, tmp_path):
    search = TuneGridSearchCV(SVC(), {"C": [1, 2]}, cv=2, local_dir=tmp_path, name="mine").fit(*iris)
    with pytest.raises(StorageError, match="resume=True"):
        search.fit(*iris)
    search.set_params(param_grid={"C": [1, 3]})
    with pytest.raises(RestoreError, match="candidates differ"):
        search.fit(*iris, resume=True)
    search.set_params(param_grid={"C": [1, 2]}, cv=KFold(2))
    with pytest.raises(RestoreError, match="folds differ"):
        search.fit(*iris, resume=True)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"y": 1}, "target"),
        ({"X": 2.0}, "data"),
        ({"weights": 1}, "fit parameters"),
        ({"estimator": SVC(kernel="linear")}, "estimator"),
        ({"scoring": "f1_macro"}, "scoring"),
        ({"scoring": make_scorer(lambda y, p: 1.0)}, "scoring"),
        ({"early_stopping": True, "factor": 2}, "early stopping"),
        ({"return_train_score": True}, "return_train_score"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_resuming_with_other_data_or_arguments_is_refused(iris, tmp_path, change, what):
    X, y = iris
    arguments = {"cv": KFold(3, shuffle=True, random_state=0), "local_dir": tmp_path, "name": "mine"}
    weights = np.linspace(1, 2, len(y))
    TuneGridSearchCV(SVC(), {"C": [0.1, 10]}, **arguments).fit(X, y, sample_weight=weights)
    change = dict(change)
    y = np.roll(y, change.pop("y", 0))
    X, weights = X * change.pop("X", 1.0), np.roll(weights, change.pop("weights", 0))
    again = TuneGridSearchCV(change.pop("estimator", SVC()), {"C": [0.1, 10]}, **arguments, **change)
    with pytest.raises(RestoreError, match=f"its .*{what}.* differ"):
        again.fit(X, y, sample_weight=weights, resume=True)


def test_same_data_in_another_process_has_the_same_fingerprint():
    code = (
        "from sklearn.metrics import make_scorer\nfrom sklearn.svm import SVC\nimport numpy as np\n"
        "from tune_sklearn._fingerprint import fingerprint\n"
        "score = make_scorer(lambda y, p: 1.0 if len(y) in {1, 2, 'a', 'b'} else 2.0)\n"
        "print(fingerprint(np.arange(9), {'b': 1, 'a': 'x'}, {'x', 'y', 'z'}, SVC(C=2), score))"
    )
    found = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    }
    assert len(found) == 1


def test_resuming_a_search_without_a_name_says_what_is_missing(iris):
    search = TuneGridSearchCV(SVC(), {"C": [1]}, cv=2).fit(*iris)
    with pytest.raises(InvalidArgumentError, match="name="):
        search.set_params(local_dir="somewhere").fit(*iris, resume=True)
    with pytest.raises(InvalidArgumentError, match="name="):
        search.set_params(local_dir=None).fit(*iris, resume=True)


def test_interrupted_search_raises_and_is_resumed(iris, tmp_path, monkeypatch):
    class Interrupting(SVC):
        def fit(self, X, y, sample_weight=None):
            if os.environ.get("INTERRUPT") and self.C == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return super().fit(X, y, sample_weight)

    search = TuneGridSearchCV(Interrupting(), {"C": [1, 2, 3]}, cv=2, local_dir=tmp_path, name="mine")
    monkeypatch.setenv("INTERRUPT", "yes")
    with pytest.raises(KeyboardInterrupt) as without:
        clone(search).set_params(name=None, local_dir=None).fit(*iris)
    assert "resume" not in str(without.value)  # nothing is kept of a search without a name
    with pytest.raises(KeyboardInterrupt, match="resume=True"):
        search.fit(*iris)
    monkeypatch.delenv("INTERRUPT")
    search.fit(*iris, resume=True)
    assert search.cv_results_["param_C"].tolist() == [1, 2, 3]
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()


def test_search_in_several_rounds_is_kept_and_resumed_round_by_round(iris, tmp_path):
    class Rounds(TuneGridSearchCV):
        def _run_search(self, evaluate_candidates):
            evaluate_candidates([{"C": 1}, {"C": 2}])
            evaluate_candidates([{"C": 3}])

    search = Rounds(SVC(), {}, cv=2, local_dir=tmp_path, name="mine")
    first = comparable(search.fit(*iris).cv_results_)
    assert sorted(os.listdir(tmp_path)) == ["mine", "mine_round_2"]
    assert comparable(search.fit(*iris, resume=True).cv_results_) == first
