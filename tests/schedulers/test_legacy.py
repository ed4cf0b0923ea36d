"""Schedulers written for Ray Tune go on working."""

from __future__ import annotations

from typing import Any

import pytest

import tune_core as tune
from tune_core.schedulers import FIFOScheduler, TrialScheduler, scheduler_from
from tune_core.simulation import Simulation, simulate


def run(scheduler: Any, **more: Any) -> Simulation:
    def curve(config: dict[str, Any], step: int) -> Any:
        if config["x"] > 0.9:
            raise RuntimeError("too large")
        return (1.0, {"loss": config["x"]}) if step <= 10 else None

    settings = {"metric": "loss", "mode": "min", "workers": 2, "num_samples": 12, **more}
    return simulate(curve, {"x": tune.uniform(0, 1)}, scheduler=scheduler, **settings)


def test_stop_pause_and_continue_are_understood() -> None:
    class Own(TrialScheduler):
        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            if result["loss"] > 0.5:
                return TrialScheduler.STOP
            if result["training_iteration"] == 4:
                return TrialScheduler.PAUSE
            return TrialScheduler.CONTINUE

    result = run(Own())
    for trial in result.trials:
        if trial.config["x"] <= 0.9:
            assert trial.iteration == (1 if trial.config["x"] > 0.5 else 10)
            assert trial.config["x"] <= 0.5 or trial.reason == "Own said STOP at 1"


def test_every_hook_is_called() -> None:
    calls: list[tuple[str, str]] = []

    class Own(FIFOScheduler):
        """As often written: derived from FIFO, with one method."""

        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            assert len(tune_controller.get_live_trials()) <= len(tune_controller.get_trials())
            assert not trial.is_finished()
            assert trial.evaluated_params["x"] == trial.config["x"]
            return TrialScheduler.STOP if result["loss"] < 0.2 else TrialScheduler.CONTINUE

        def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
            calls.append(("add", trial.trial_id))

        def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
            calls.append(("error", trial.trial_id))

        def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
            calls.append(("complete", trial.trial_id))

        def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
            calls.append(("remove", trial.trial_id))

    result = run(Own())
    for trial in result.trials:
        x = trial.config["x"]
        expected = "error" if x > 0.9 else "remove" if x < 0.2 else "complete"
        assert ("add", trial.trial_id) in calls
        assert (expected, trial.trial_id) in calls


def test_metric_and_mode_of_the_run_are_handed_on() -> None:
    adapter = scheduler_from(TrialScheduler())
    adapter.setup("loss", "min", 0, {})
    assert adapter.scheduler.metric == "loss"


def test_what_would_reach_into_the_run_is_an_error_that_says_what_to_do() -> None:
    class Own(TrialScheduler):
        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            tune_controller.stop_trial(trial)
            return TrialScheduler.CONTINUE

    with pytest.raises(tune.TuneError, match="stop_trial"):
        run(Own())


def test_answer_that_is_none_of_the_three_is_named() -> None:
    class Own(TrialScheduler):
        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            return "MAYBE"

    with pytest.raises(tune.TuneError, match="MAYBE"):
        run(Own())
