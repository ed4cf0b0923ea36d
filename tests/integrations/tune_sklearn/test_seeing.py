"""What a search shows: the progress bar and where it appears, the plot, the trials."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import loguniform, uniform
from sklearn.exceptions import NotFittedError
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import tune_core as tune
from tune_core.errors import InvalidArgumentError
from tune_sklearn import TuneGridSearchCV, TuneSearchCV
from tune_sklearn._progress import Bar, Workload, standing_of, words
from tune_sklearn._results import seconds_in_full

GRID = {"C": [0.01, 0.1, 1.0, 10.0], "kernel": ["linear", "rbf"]}


LOAD = Workload(4, 1, 3, (1.0, 2.0), (4, 2), "average_test_score")


def test_bar_is_off_under_pytest_without_a_terminal_and_when_not_verbose(monkeypatch):
    assert Bar(1, LOAD).style == "off"
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert Bar(1, LOAD).style == "terminal"
    assert Bar(0, LOAD).style == "off"
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    assert Bar(1, LOAD).style == "off"


def test_bar_counts_what_is_done_alive_and_dropped_and_shows_the_best_in_full():
    def trial(index, status, iteration, score):
        return SimpleNamespace(
            index=index, status=status, last_result={"training_iteration": iteration, "average_test_score": score}
        )

    trials = [
        trial(0, "TERMINATED", 1, 0.99),  # dropped: its score is of a part
        trial(1, "TERMINATED", 2, 0.5),
        trial(2, "PAUSED", 1, 0.7),
        SimpleNamespace(index=3, status="RUNNING", last_result={}),
    ]
    standing = standing_of(trials, LOAD, "max")
    assert (standing.done, standing.finished, standing.alive, standing.dropped) == (1 + 3 + 1, 1, 2, 1)
    assert standing.best == 0.5 and LOAD.total == 8.0
    assert words(standing, LOAD, 65.0) == "1 of 4 in full, 2 alive, 1 dropped, best 0.5, about 1 min 05 s left"
    folds = Workload(2, 2, 2, (1.0,), (4,), "average_test_score")
    standing = standing_of([trial(0, "TERMINATED", 1, 0.2), trial(1, "TERMINATED", 1, 0.4)], folds, "max")
    assert words(standing, folds, None) == "1/2 candidates, best 0.3"


def test_opening_and_closing_words(iris, capsys, tmp_path):
    search = TuneGridSearchCV(SVC(), GRID, cv=3, verbose=1, early_stopping=True, local_dir=tmp_path, name="mine")
    search.fit(*iris)
    opening, steps, best, took = capsys.readouterr().out.splitlines()
    assert opening == "Fitting at most 3 folds for each of 8 candidates" and steps == "Early stopping by folds: 1, 2, 3"
    assert best.startswith(f"Best: score {search.best_score_:.6g} with C=")
    assert "of 8 candidates were stopped early, which saved about" in took and str(tmp_path / "mine") in took
    TuneGridSearchCV(SVC(), GRID, cv=3, verbose=1).fit(*iris)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Fitting 3 folds for each of 8 candidates, totalling 24 fits" and len(lines) == 3
    assert "stopped" not in lines[-1] and "kept" not in lines[-1]


def test_what_was_saved_is_guessed_from_how_the_times_of_those_grew_that_went_on():
    times = [[1.0, 2.0, 4.0], [1.0, 2.0], [2.0], []]
    assert seconds_in_full(times, 3, 0) == 4 + 4 + 8
    assert seconds_in_full(times, 3, 1) == (4 - 1) + (4 - 1) + (8 - 2), "the first step is none of a plain search"
    assert seconds_in_full([[1.0, 2.0], [1.0]], 3, 0) is None, "nobody came to the last step"
    assert seconds_in_full([[0.0, 0.0], [0.0]], 2, 0) == 0.0


@pytest.mark.parametrize("resource", ["auto", "samples"])
def test_each_step_tells_what_the_fits_have_taken_so_far(digits, resource):
    search = TuneGridSearchCV(
        SVC(), {"gamma": list(np.logspace(-6, 2, 9))}, cv=3, early_stopping=True, resource=resource
    )
    search.fit(*digits)
    for result, steps in zip(search.results_, search.cv_results_["training_iteration"], strict=True):
        times = result.metrics["times_s"]
        assert len(times) == steps and times == sorted(times) and times[0] > 0
        fits = result.metrics["fits"].values()
        assert np.isclose(times[-1], sum(fit["fit_time"] + fit["score_time"] for fit in fits))


def test_notebooks_see_how_a_search_stands_below_its_diagram(iris):
    search = TuneGridSearchCV(SVC(), GRID, cv=3, early_stopping=True)
    assert "not fitted yet" in search._repr_html_()
    shown = search.fit(*iris)._repr_mimebundle_()["text/html"]
    assert "of which 6 were stopped early" in shown and f"{search.best_score_:.6g}" in shown
    assert shown.rstrip().endswith("</body>") and "best_estimator_" in shown


@pytest.mark.slow
def test_notebook_shows_one_bar_and_no_other_view(tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    code = (
        "from tune_sklearn import TuneGridSearchCV\nfrom sklearn.svm import SVC\n"
        "from sklearn.datasets import load_digits\n"
        "s = TuneGridSearchCV(SVC(), {'C': [0.1, 1, 10, 20]}, cv=3, verbose=1, early_stopping=True)\n"
        "s.fit(*load_digits(return_X_y=True))"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    nbclient.NotebookClient(notebook, timeout=120).execute(env=environment)
    outputs = notebook.cells[0].outputs
    views = [o for o in outputs if o.output_type == "display_data"]
    assert len(views) <= 1
    assert any("tune-search-state" in o.get("data", {}).get("text/html", "") for o in outputs)
    assert any("Best: score" in o.get("text", "") for o in outputs)


def test_bar_is_drawn_on_a_terminal_and_taken_away():
    import fcntl
    import pty
    import struct
    import termios

    script = (
        "from tune_sklearn import TuneGridSearchCV\nfrom sklearn.svm import SVC\n"
        "from sklearn.datasets import load_iris\n"
        "TuneGridSearchCV(SVC(), {'C': range(1, 161)}, cv=5, verbose=1).fit(*load_iris(return_X_y=True)); print('done')"
    )
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"} | {"TERM": "xterm-256color"}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=theirs, stderr=subprocess.STDOUT, env=environment)
    os.close(theirs)
    text = b""
    while chunk := _read(ours):
        text += chunk
    assert process.wait() == 0, text
    os.close(ours)
    assert b"/160 candidates" in text and b"done" in text and b"totalling 800 fits" in text and b"Best: score" in text


def _read(descriptor):
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


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (loguniform(1.0, 9.0), "log"),
        (tune.loguniform(1.0, 9.0), "log"),
        (uniform(1.0, 900.0), "linear"),
        ([1.0, 2.0, 4.0, 8.0], "log"),
        ([1.0, 2.0, 3.0, 4.0], "linear"),
        ([0.0, 1.0, 1000.0], "linear"),
        ([1, 300, 1000], "log"),
    ],
    ids=str,
)
def test_plot_of_what_was_searched_on_a_log_scale_has_a_log_axis(iris, values, scale):
    pytest.importorskip("matplotlib").use("Agg")
    search = TuneSearchCV(DecisionTreeClassifier(), {"ccp_alpha": values}, n_trials=3, cv=2, random_state=0)
    assert search.fit(*iris).plot().get_xscale() == scale


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
