"""result.json and params.json: plain JSON of whatever a configuration holds."""

import json
import math
import os

import pytest
from views import View, run

from tune_core.logger import JsonLoggerCallback


def results(trial):
    with open(os.path.join(trial.path, "result.json"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def params(trial):
    with open(os.path.join(trial.path, "params.json"), encoding="utf-8") as file:
        return json.load(file)


def test_one_line_a_result_with_the_configuration(tmp_path):
    trial = View(str(tmp_path / "trial"))
    run(JsonLoggerCallback(), trial, [{"loss": 1.0}, {"loss": 0.5, "val": {"acc": 1}}])
    assert results(trial)[1] == {
        "loss": 0.5,
        "val": {"acc": 1},
        "training_iteration": 2,
        "trial_id": "00000",
        "config": trial.config,
    }
    assert params(trial) == trial.config
    assert sorted(os.listdir(trial.path)) == ["params.json", "result.json"]


def test_params_are_there_without_a_result(tmp_path):
    trial = View(str(tmp_path / "trial"))
    run(JsonLoggerCallback(), trial, [], end="error")
    assert params(trial) == trial.config


def test_nan_and_infinities_come_back(tmp_path):
    trial = View(str(tmp_path))
    run(JsonLoggerCallback(), trial, [{"a": math.nan, "b": math.inf}])
    (result,) = results(trial)
    assert math.isnan(result["a"])
    assert result["b"] == math.inf


def test_params_follow_a_changed_configuration(tmp_path):
    logger, trial = JsonLoggerCallback(), View(str(tmp_path))
    run(logger, trial, [{"loss": 1.0}], end=None)
    trial.config = {"lr": 0.2}
    call = {"iteration": 1, "trials": [trial], "trial": trial}
    logger.on_trial_restore(**call)
    assert params(trial) == {"lr": 0.2}
    trial.config = {"lr": 0.3}
    logger.on_trial_result(**call, result={"loss": 0.5})
    assert params(trial) == {"lr": 0.3}
    assert [result["config"]["lr"] for result in results(trial)] == [0.1, 0.3]


def test_configuration_that_json_cannot_hold_is_written_as_text(tmp_path):
    np = pytest.importorskip("numpy")
    trial = View(str(tmp_path), config={"f": len, "x": np.float32(0.5), "v": np.arange(2)})
    run(JsonLoggerCallback(), trial, [{"loss": 1.0}])
    assert params(trial) == {"f": "<built-in function len>", "x": 0.5, "v": [0, 1]}


def test_restored_run_appends_after_a_torn_line(tmp_path):
    trial = View(str(tmp_path))
    run(JsonLoggerCallback(), trial, [{"loss": 1.0}, {"loss": 0.5}], end=None)
    path = tmp_path / "result.json"
    path.write_bytes(path.read_bytes()[:-5])
    run(JsonLoggerCallback(), trial, [{"loss": 0.25}])
    assert [result["loss"] for result in results(trial)] == [1.0, 0.25]
