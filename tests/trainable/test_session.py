"""What an objective may ask and say: inside a trial, and outside of one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.trainable.session import StopTrial, in_session

EXECUTORS = ["inline", "local"]


@pytest.fixture
def fit(tmp_path):
    def run(objective: Any, space: Any = None, executor: Any = "inline", **options: Any) -> Any:
        options = {"name": "run", "storage_path": str(tmp_path), "verbose": 0, **options}
        run_config = tune.RunConfig(executor=executor, **options)
        return tune.Tuner(objective, param_space=space, run_config=run_config).fit()

    return run


def test_outside_of_a_trial_nothing_happens():
    assert tune.report({"loss": 1}) is True
    assert tune.get_checkpoint() is None
    assert not in_session()
    context = tune.get_context()
    for get in ("experiment_name", "trial_name", "trial_id", "trial_resources", "trial_dir", "storage"):
        assert getattr(context, f"get_{get}")() is None
    assert (context.get_config(), context.get_world_size(), context.get_world_rank()) == ({}, 1, 0)
    assert (context.get_local_rank(), context.get_local_world_size(), context.get_node_rank()) == (0, 1, 0)
    assert tune.get_trial_id() is tune.get_trial_name() is tune.get_trial_dir() is tune.get_trial_resources() is None


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_trial_knows_itself(fit, tmp_path, executor):
    def objective(config):
        context = tune.get_context()
        assert dict(context.get_config()) == config
        Path(context.get_trial_dir(), "mine").write_text("x")
        return {
            "experiment": context.get_experiment_name(),
            "storage": context.get_storage(),
            "name": tune.get_trial_name(),
            "id": tune.get_trial_id(),
            "folder": tune.get_trial_dir(),
        }

    result = fit(objective, {"x": tune.grid_search([1, 2])}, executor)[1]
    metrics = result.metrics
    assert (metrics["experiment"], metrics["storage"]) == ("run", str(tmp_path / "run"))
    assert (metrics["name"], metrics["id"]) == ("objective_00001", "00001")
    assert metrics["folder"] == result.path and Path(result.path, "mine").exists()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_report_returns_false_instead_of_raising_if_asked(fit, executor):
    def objective(config):
        count = 0
        while tune.report({"count": count}, raise_on_stop=False):
            count += 1
        assert tune.report({"count": -1}, raise_on_stop=False) is False  # no longer heard
        assert count == 2

    result = fit(objective, executor=executor, stop={"training_iteration": 3})[0]
    assert (str(result.status), result.metrics["count"]) == ("TERMINATED", 2)


def test_a_stop_passes_through_except_exception(fit):
    seen = []

    def objective(config):
        try:
            while True:
                tune.report({"loss": 1})
        except Exception:
            seen.append("exception")
        except StopTrial:
            seen.append("stop")
            raise

    fit(objective, stop={"training_iteration": 2})
    assert seen == ["stop"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_metrics_of_all_kinds_arrive_as_plain_values(fit, executor):
    def objective(config):
        tune.report(
            {"i": 1, "f": 0.5, "s": "text", "b": True, "n": None, "l": [1, 2], "d": {"e": {"f": 1}}, "x": math.nan}
        )

    metrics = fit(objective, executor=executor)[0].metrics
    assert {k: metrics[k] for k in "ifsbnld"} == {
        "i": 1,
        "f": 0.5,
        "s": "text",
        "b": True,
        "n": None,
        "l": [1, 2],
        "d": {"e": {"f": 1}},
    }
    assert math.isnan(metrics["x"])


@pytest.mark.parametrize("bad", [{"x": "a" * 2_000_000}, {("x", "y"): 1}, [1], None, "loss", 3])
def test_metrics_that_cannot_be_reported_are_the_trials_error(fit, bad):
    results = fit(lambda config: tune.report(bad))
    assert results.num_errors == 1
    assert str(results[0].error)


@pytest.mark.parametrize("bad", ["/nowhere", 3, {"a": 1}])
def test_a_checkpoint_that_is_none_is_the_trials_error(fit, bad):
    results = fit(lambda config: tune.report({"loss": 1}, checkpoint=bad))
    assert "Checkpoint" in str(results[0].error)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_checkpoint_is_in_place_when_report_returns(fit, executor, tmp_path):
    source = tmp_path / "source"
    source.mkdir()

    def objective(config):
        for i in range(2):
            (source / "step").write_text(str(i))
            tune.report({"loss": i}, checkpoint=tune.Checkpoint.from_directory(source))
        (source / "step").write_text("changed after the report")

    result = fit(objective, executor=executor)[0]
    assert [Path(c.path, "step").read_text() for c, _ in result.best_checkpoints] == ["0", "1"]
