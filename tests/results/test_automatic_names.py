"""Metrics that have the names of automatic fields: the field stays what it is, everywhere, and that is said once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.core.automatic import is_always_ours

TAKEN = {"config": 1, "trial_id": "mine", "date": "1970", "pid": -1, "config/lr": 3.0, "done": 0.5, "logdir": "/x"}


class Watches(tune.Callback):
    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        self.results.append(dict(result))


class Never(tune.Stopper):
    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []

    def __call__(self, trial_id: str, result: Any) -> bool:
        self.results.append(dict(result))
        return False

    def stop_all(self) -> bool:
        return False


def reports_them(config: dict[str, Any]) -> None:
    tune.report({"loss": config["lr"]})
    tune.report({"loss": config["lr"], **TAKEN})


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_results_frames_callbacks_stoppers_and_files_have_the_automatic_value(tmp_path: Path, executor: str) -> None:
    callback, stopper = Watches(), Never()
    callbacks = [callback, tune.logger.JsonLoggerCallback()]
    run_config = tune.RunConfig(
        storage_path=str(tmp_path),
        verbose=0,
        executor=executor,
        stop=stopper,
        callbacks=callbacks,
    )
    grid = tune.Tuner(reports_them, param_space={"lr": 0.1}, run_config=run_config).fit()
    read = tune.ResultGrid.from_path(grid.experiment_path)
    lines = Path(grid[0].path, "result.json").read_text().splitlines()
    seen = [grid[0].metrics, read[0].metrics, callback.results[-1], stopper.results[-1], json.loads(lines[-1])]
    for result in seen:
        assert result["config"] == {"lr": 0.1} and "config/lr" not in result
        assert result["trial_id"] == "00000" and result["pid"] > 0 and result["date"] > "2"
        assert isinstance(result.get("done", False), bool) and result.get("logdir") != "/x"
    pytest.importorskip("pandas")
    for frame in (grid.get_dataframe(), grid[0].metrics_dataframe):
        row = frame.iloc[-1]
        assert row["trial_id"] == "00000" and row.get("config/lr", 0.1) == 0.1
        assert "config" not in frame.columns


def test_each_such_name_is_told_once_for_all_trials(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run_config = tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor=tune.LocalExecutor(2))
    tune.Tuner(reports_them, param_space={"lr": tune.grid_search([0.1, 0.2, 0.3])}, run_config=run_config).fit()
    assert caplog.text.count("have names of fields that every result has by itself") == 1
    assert all(repr(name) in caplog.text for name in TAKEN)


def test_own_count_of_iterations_is_told_only_where_it_differs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def counts(config: dict[str, Any]) -> None:
        for step in range(3):
            tune.report({"loss": 1.0, "training_iteration": step + config["first"]})

    for first in (1, 0):
        caplog.clear()
        run_config = tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="inline")
        result = tune.Tuner(counts, param_space={"first": first}, run_config=run_config).fit()[0]
        assert result.metrics["training_iteration"] == 3
        assert ("'training_iteration' has the name of" in caplog.text) == (first == 0)


def test_wish_to_end_and_own_times_are_the_users() -> None:
    assert not is_always_ours("done", True)
    assert not is_always_ours("time_this_iter_s", 3.0)
    assert not is_always_ours("configuration", 1)
