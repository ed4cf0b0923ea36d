"""Runs in this process with each stopper and each logger, and runs that are restored: twice as long, twice the work."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from growth.counting import stays_linear
from tune_core import logger, stopper
from tune_core.search import create_searcher

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
}


@pytest.mark.parametrize("trials", ["many", "long"])
@pytest.mark.parametrize("name", LOGGERS)
def test_loggers(tmp_path: Path, name: str, trials: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"needs {name}")
    some = 10 if name == "optuna" else N
    stays_linear(lambda n: tuner(tmp_path, n, trials, callbacks=[LOGGERS[name](tmp_path, n)]).fit, some)


# --- restoring --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trials", ["many", "long"])
def test_restoring(tmp_path: Path, trials: str) -> None:
    def prepare(n: int) -> Callable[[], object]:
        tuner(tmp_path, n, trials).fit()
        return lambda: tune.Tuner.restore(os.path.join(tmp_path, str(n)), objective).fit()

    stays_linear(prepare, N)


# --- searchers: what is done around the library -----------------------------------------------------------------------

SEARCHERS = {"random": 60, "grid": 60, "points first": 60, "optuna": 15, "hyperopt": 15}


@pytest.mark.parametrize("name", SEARCHERS)
@pytest.mark.parametrize("restored", [False, True])
def test_searchers(tmp_path: Path, name: str, restored: bool) -> None:
    if name in ("optuna", "hyperopt") and importlib.util.find_spec(name) is None:
        pytest.skip(f"needs {name}")

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
