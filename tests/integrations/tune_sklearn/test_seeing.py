"""What a search shows: the progress bar and where it appears, the plot, the trials."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.svm import SVC

from tune_core.errors import InvalidArgumentError
from tune_sklearn import TuneGridSearchCV
from tune_sklearn._progress import Bar, NullProgress, bar_for

GRID = {"C": [0.01, 0.1, 1.0, 10.0], "kernel": ["linear", "rbf"]}


def test_bar_is_off_under_pytest_and_when_not_verbose(monkeypatch):
    assert isinstance(bar_for(1, 5), NullProgress) and not isinstance(bar_for(1, 5), Bar)
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert isinstance(bar_for(1, 5), Bar)
    assert not isinstance(bar_for(0, 5), Bar)
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    assert not isinstance(bar_for(1, 5), Bar)


def test_bar_is_drawn_on_a_terminal_and_taken_away():
    import os
    import pty

    script = (
        "from tune_sklearn import TuneGridSearchCV\nfrom sklearn.svm import SVC\n"
        "from sklearn.datasets import load_iris\n"
        "TuneGridSearchCV(SVC(), {'C': [0.1, 1, 10]}, cv=2, verbose=1).fit(*load_iris(return_X_y=True)); print('done')"
    )
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"} | {"TERM": "xterm-256color"}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=theirs, stderr=subprocess.STDOUT, env=environment)
    os.close(theirs)
    text = b""
    while chunk := _read(ours):
        text += chunk
    assert process.wait() == 0, text
    os.close(ours)
    assert b"/6" in text and b"done" in text and b"totalling 6 fits" in text


def _read(descriptor):
    import os

    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""


def test_plot_shows_each_candidate_and_marks_those_that_were_stopped(iris):
    pytest.importorskip("matplotlib").use("Agg")
    search = TuneGridSearchCV(SVC(), GRID, cv=3)
    with pytest.raises(NotFittedError):
        search.plot()
    axes = search.fit(*iris).plot()
    assert axes.get_xlabel() == "C" and axes.get_xscale() == "log" and axes.get_ylabel() == "mean test score"
    stopped = search.set_params(early_stopping=True).fit(*iris).plot("kernel", ax=None)
    assert [t.get_text() for t in stopped.get_legend().get_texts()] == ["evaluated in full", "stopped early"]
    assert [t.get_text() for t in stopped.get_xticklabels()] == ["linear", "rbf"]
    with pytest.raises(InvalidArgumentError, match="parameter"):
        search.plot("no such")


def test_trials_are_there_as_a_result_grid(iris):
    search = TuneGridSearchCV(SVC(), GRID, cv=3, early_stopping=True, resource="folds").fit(*iris)
    assert len(search.results_) == 8
    first = search.results_[0]
    assert first.config["params"] == {"C": 0.01, "kernel": "linear"}
    best = search.results_.get_best_result()
    assert np.isclose(best.metrics["average_test_score"], search.cv_results_["mean_test_score"].max())


def test_loggers_by_name_and_class_write_beside_the_search(iris, tmp_path):
    from tune_core.logger import JsonLoggerCallback

    loggers = ["csv", JsonLoggerCallback]
    TuneGridSearchCV(SVC(), {"C": [1.0]}, cv=2, local_dir=tmp_path, name="mine", loggers=loggers).fit(*iris)
    written = {path.name for path in (tmp_path / "mine").rglob("*") if path.is_file()}
    assert {"progress.csv", "result.json"} <= written
    with pytest.raises(InvalidArgumentError, match="no logger of that name"):
        TuneGridSearchCV(SVC(), {"C": [1.0]}, local_dir=tmp_path, loggers=["paper"]).fit(*iris)


def test_time_budget_too_short_for_one_candidate_leaves_what_was_scored_and_says_so(iris):
    from datetime import timedelta

    search = TuneGridSearchCV(SVC(), {"C": [1.0]}, cv=2, time_budget_s=timedelta(microseconds=1))
    search.fit(*iris)
    assert search.predict(iris[0]).shape == (150,)
    assert np.isnan(search.cv_results_["split1_test_score"][0])
    assert "time budget" in search.cv_results_["stop_reason"][0]
