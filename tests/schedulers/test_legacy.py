"""Schedulers written for Ray Tune go on working."""

from __future__ import annotations

from typing import Any

import pytest

import tune_core as tune
from tune_core.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PASHAScheduler,
    PopulationBasedTraining,
    SuccessiveHalvingScheduler,
    TrialScheduler,
    scheduler_from,
)
from tune_core.schedulers.legacy import LegacyController
from tune_core.simulation import Simulation, simulate


def run(scheduler: Any, **more: Any) -> Simulation:
    def curve(config: dict[str, Any], step: int) -> Any:
        if config["x"] > 0.9:
            raise RuntimeError("too large")
        return (1.0, {"loss": config["x"]}) if step <= 10 else None

    settings = {"metric": "loss", "mode": "min", "workers": 2, "num_samples": 12, **more}
    return simulate(curve, {"x": tune.uniform(0, 1)}, scheduler=scheduler, **settings)


def learn(scheduler: Any) -> Simulation:
    def curve(config: dict[str, Any], step: int, state: Any) -> Any:
        return (1.0, {"loss": config["x"] + 1 / step}, step) if step <= 20 else None

    return simulate(
        curve, {"x": tune.uniform(0, 1)}, metric="loss", mode="min", workers=1, num_samples=12, scheduler=scheduler
    )


BUILT_IN = [
    FIFOScheduler,
    lambda: ASHAScheduler(max_t=16, grace_period=2, reduction_factor=2),
    lambda: ASHAScheduler(max_t=16, reduction_factor=2, rule="promotion"),
    lambda: PASHAScheduler(max_t=16, reduction_factor=2),
    lambda: HyperBandScheduler(max_t=9),
    lambda: SuccessiveHalvingScheduler(max_t=9),
    lambda: MedianStoppingRule("training_iteration", grace_period=2),
    lambda: PopulationBasedTraining(
        "training_iteration", perturbation_interval=4, hyperparam_mutations={"x": tune.uniform(0, 1)}
    ),
]


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


@pytest.mark.parametrize("make", BUILT_IN, ids=lambda make: type(make()).__name__)
def test_subclass_that_leaves_the_decision_to_its_base_changes_nothing(make: Any) -> None:
    """Each built-in scheduler: the same decisions, reasons and ends, with every hook overridden and passed on."""

    class Watching(type(make())):  # type: ignore[misc]
        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            assert not hasattr(tune_controller, "no_such_thing")
            return super().on_trial_result(tune_controller, trial, result)  # type: ignore[no-any-return]

        def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
            super().on_trial_add(tune_controller, trial)

        def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
            super().on_trial_complete(tune_controller, trial, result)

        def choose_trial_to_run(self, tune_controller: Any) -> Any:
            return super().choose_trial_to_run(tune_controller)

    plain = make()
    watching = make()
    watching.__class__ = Watching
    runs = [learn(scheduler) for scheduler in (plain, watching)]
    first, second = ([(d.trial, d.do, d.why, d.complete) for d in run.decisions()] for run in runs)
    assert second == first
    assert [(t.status, t.iteration, t.reason) for t in runs[1].trials] == [
        (t.status, t.iteration, t.reason) for t in runs[0].trials
    ]


def test_subclass_may_decide_itself_now_and_then() -> None:
    class Strict(ASHAScheduler):
        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            if result["loss"] > 0.5:
                return self.STOP
            return super().on_trial_result(tune_controller, trial, result)

    result = run(Strict(max_t=10, grace_period=2, reduction_factor=2))
    reasons = {trial.reason for trial in result.trials if 0.5 < trial.config["x"] <= 0.9}
    assert reasons == {"Strict said STOP at 1"}
    assert any("has reached max_t" in str(trial.reason) for trial in result.trials)


def test_method_of_the_controller_that_is_not_there_is_an_attribute_error() -> None:
    controller = LegacyController()
    assert not hasattr(controller, "stop_trial")
    assert getattr(controller, "trial_executor", None) is None
