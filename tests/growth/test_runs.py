"""Runs in this process with each stopper and each logger, and runs that are restored: twice as long, twice the work."""

from __future__ import annotations

import importlib.util
import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from growth.counting import exponent, stays_linear, work
from tune_core import logger, stopper
from tune_core.dashboard import board, views
from tune_core.engine import suggestions
from tune_core.search import create_searcher
from tune_core.search.library_searcher import ModelSearcher
from tune_core.trainable import prepare as prepare_trainable

N = 30


def objective(config: dict[str, Any]) -> None:
    for step in range(1, config["steps"] + 1):
        tune.report({"loss": config["x"] + 1 / step})


def tuner(folder: Path, n: int, trials: str = "many", search_alg: Any = None, **run: Any) -> tune.Tuner:
    """``n`` trials of 4 results, or 4 trials of ``n``."""
    run_config = {"executor": "inline", "storage_path": str(folder), "name": str(n), "verbose": 0, **run}
    return tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0, 1), "steps": 4 if trials == "many" else n},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", num_samples=n if trials == "many" else 4, seed=1, search_alg=search_alg
        ),
        run_config=tune.RunConfig(**run_config),
    )


# --- stoppers ---------------------------------------------------------------------------------------------------------

STOPPERS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "thresholds": lambda: {"training_iteration": 10**9, "loss": -1.0},
    "function": lambda: lambda trial_id, result: result["loss"] < -1,
    "no stopper": stopper.NoopStopper,
    "iterations": lambda: stopper.MaximumIterationStopper(10**9),
    "plateau of the experiment": lambda: stopper.ExperimentPlateauStopper("loss", std=1e-9, top=10, patience=10**9),
    "plateau of trials": lambda: stopper.TrialPlateauStopper("loss", std=0.0),
    "time": lambda: stopper.TimeoutStopper(10**9),
    "several": lambda: stopper.CombinedStopper(stopper.TimeoutStopper(10**9), stopper.MaximumIterationStopper(10**9)),
}


@pytest.mark.parametrize("trials", ["many", "long"])
@pytest.mark.parametrize("name", STOPPERS)
def test_stoppers(tmp_path: Path, name: str, trials: str) -> None:
    stays_linear(lambda n: tuner(tmp_path, n, trials, stop=STOPPERS[name]()).fit, N)


# --- loggers ----------------------------------------------------------------------------------------------------------

LOGGERS: dict[str, Callable[[Path, int], Any]] = {
    "json": lambda folder, n: logger.JsonLoggerCallback(),
    "csv": lambda folder, n: logger.CSVLoggerCallback(),
    "tensorboardX": lambda folder, n: logger.TBXLoggerCallback(),
    "optuna": lambda folder, n: logger.OptunaLoggerCallback(str(folder / f"study{n}.journal")),
    "mlflow": lambda folder, n: logger.MLflowLoggerCallback((folder / f"mlruns{n}").as_uri(), experiment_name="e"),
}
FEW = {"optuna": 10, "mlflow": 3}
"""Slow ones are given less."""


@pytest.mark.parametrize("trials", ["many", "long"])
@pytest.mark.parametrize("name", LOGGERS)
def test_loggers(tmp_path: Path, name: str, trials: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"needs {name}")
    stays_linear(lambda n: tuner(tmp_path, n, trials, callbacks=[LOGGERS[name](tmp_path, n)]).fit, FEW.get(name, N))


@pytest.mark.parametrize("look", ["summaries", "rows", "trial", "chart"])
def test_dashboard_takes_in_what_is_new(tmp_path: Path, look: str) -> None:
    """The first look at an experiment costs in proportion to it, and a further one nothing."""
    looks: dict[str, Callable[[board.LiveExperiment], object]] = {
        "summaries": lambda live: live.summary(),
        "rows": lambda live: views.rows(live, 0),
        "trial": lambda live: views.trial(live, 0),
        "chart": lambda live: views.chart("history", [live]),
    }

    def prepare(n: int) -> Callable[[], object]:
        tuner(tmp_path, n).fit()
        live = board.LiveExperiment(str(tmp_path / str(n)))
        return lambda: (live.update(), looks[look](live))

    stays_linear(prepare, N)


def test_a_dashboard_that_is_up_to_date_sends_nothing_again(tmp_path: Path) -> None:
    costs = {}
    for n in (N, 8 * N):
        tuner(tmp_path, n).fit()
        live = board.LiveExperiment(str(tmp_path / str(n)))
        version = live.update()
        costs[n] = work(lambda live=live, version=version: views.rows(live, version))  # type: ignore[misc]
    assert costs[8 * N] <= 1.5 * costs[N]


def test_columns_that_come_later_cost_a_table_of_that_size(tmp_path: Path) -> None:
    """Each result has one more column: n results are a table of n x n, and no more than that is written."""

    def growing(config: dict[str, Any]) -> None:
        for step in range(config["steps"]):
            tune.report({"loss": 1.0, **{f"column{i}": i for i in range(step)}})

    def prepare(n: int) -> Callable[[], object]:
        built = tuner(tmp_path, n, "long", callbacks=[logger.CSVLoggerCallback()])
        built._prepared = prepare_trainable(growing)
        return built.fit

    by_size = {n: work(prepare(n)) for n in (N, 2 * N, 4 * N)}
    assert exponent(by_size) <= 2.15


# --- restoring --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trials", ["many", "long"])
def test_restoring(tmp_path: Path, trials: str) -> None:
    def prepare(n: int) -> Callable[[], object]:
        tuner(tmp_path, n, trials).fit()
        return lambda: tune.Tuner.restore(os.path.join(tmp_path, str(n)), objective).fit()

    stays_linear(prepare, N)


# --- searchers: what is done around the library -----------------------------------------------------------------------

SEARCHERS = {"random": 60, "grid": 60, "points first": 60, "optuna": 15, "hyperopt": 15, "auto": 30}


@pytest.mark.parametrize("name", SEARCHERS)
@pytest.mark.parametrize("restored", [False, True])
def test_searchers(tmp_path: Path, name: str, restored: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restored searcher is asked all again here; where one stood is kept by the clock, for another test."""
    monkeypatch.setattr(suggestions, "KEEP_S", math.inf)
    if name in ("optuna", "hyperopt", "auto"):
        pytest.importorskip("numpy" if name == "auto" else name)

    def made(n: int) -> tune.Tuner:
        points = [{"x": i / n} for i in range(n)]
        searcher = {
            "random": lambda: None,
            "grid": lambda: None,
            "points first": lambda: create_searcher("random", points_to_evaluate=points),
        }.get(name, lambda: create_searcher(name))()
        built = tuner(tmp_path, n, search_alg=searcher)
        if name == "grid":
            built = tune.Tuner(
                objective,
                param_space={"x": tune.grid_search([i / n for i in range(n)]), "steps": 4},
                tune_config=tune.TuneConfig(metric="loss", mode="min"),
                run_config=tune.RunConfig(executor="inline", storage_path=str(tmp_path), name=str(n), verbose=0),
            )
        return built

    def prepare(n: int) -> Callable[[], object]:
        if not restored:
            return made(n).fit
        made(n).fit()
        return lambda: tune.Tuner.restore(os.path.join(tmp_path, str(n)), objective).fit()

    stays_linear(prepare, SEARCHERS[name])


@pytest.mark.parametrize("name", ["optuna", "auto"])
def test_a_restore_does_not_think_again(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes in what the searcher knows: as much for each trial, and little of what the run took."""
    pytest.importorskip("numpy" if name == "auto" else name)
    monkeypatch.setattr(suggestions, "KEEP_S", 0.0)
    runs: dict[int, int] = {}
    asks: list[str] = []
    monkeypatch.setattr(ModelSearcher, "suggest", counted(ModelSearcher.suggest, asks))

    def prepare(n: int) -> Callable[[], object]:
        runs[n] = work(tuner(tmp_path, n, search_alg=create_searcher(name)).fit)
        asks.clear()
        return lambda: tune.Tuner.restore(os.path.join(tmp_path, str(n)), objective).fit()

    restores = stays_linear(prepare, SEARCHERS[name])
    assert not asks
    if name == "auto":  # the other's work is its library's
        most = max(runs)  # a short run's figures are mostly what any restore does
        assert restores[most] < runs[most] / 4, (restores, runs)


def counted(suggest: Callable[..., Any], asks: list[str]) -> Callable[..., Any]:
    def asked(searcher: Any, trial_id: str) -> Any:
        asks.append(trial_id)
        return suggest(searcher, trial_id)

    return asked


def test_a_suggestion_of_auto_costs_the_same_after_many_results() -> None:
    pytest.importorskip("numpy")
    costs = {}
    for told in (500, 4000):
        draw = random.Random(1)
        space = {"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)}
        search: Any = create_searcher("auto", space=space, metric="loss", mode="min", seed=1)
        for i in range(told):
            search.adopt(f"{i:05d}", {"x": draw.random(), "y": draw.random()})
            search.on_trial_complete(f"{i:05d}", {"loss": draw.random()}, False)
        for i in range(12):  # the first ones are no model's
            search.suggest(f"first{i}")
            search.on_trial_complete(f"first{i}", {"loss": draw.random()}, False)
        costs[told] = sum(work(lambda search=search, i=i: search.suggest(f"then{i}")) for i in range(4))  # type: ignore[misc]
    assert costs[4000] <= 1.5 * costs[500]
