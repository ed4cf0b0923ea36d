"""What a scheduler does with a ``time_attr`` that holds no finite number, or that results lack."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.core.events import WAITS_FOR_SCHEDULER, Exhausted, Launched, Reported, Suggested
from tune_core.core.time_attribute import check_time, is_time
from tune_core.engine.controller import Controller
from tune_core.engine.rules import Rules
from tune_core.errors import MetricError
from tune_core.schedulers import (
    ASHAScheduler,
    HyperBandScheduler,
    MedianPruner,
    MedianStoppingRule,
    PASHAScheduler,
    PopulationBasedTraining,
    Scheduler,
)

SPACE = {"x": tune.grid_search([1, 2, 3])}

SCHEDULERS: dict[str, Callable[[], Scheduler]] = {
    "asha": lambda: ASHAScheduler("epoch", max_t=9, reduction_factor=2),
    "promotion": lambda: ASHAScheduler("epoch", max_t=9, reduction_factor=2, rule="promotion"),
    "pasha": lambda: PASHAScheduler("epoch", max_t=9),
    "hyperband": lambda: HyperBandScheduler("epoch", max_t=9),
    "median": lambda: MedianStoppingRule("epoch", grace_period=1, min_samples_required=1),
    "median at once": lambda: MedianStoppingRule("epoch", grace_period=0, min_samples_required=1),
    "pruner": lambda: MedianPruner(n_startup_trials=1, time_attr="epoch"),
    "pbt": lambda: PopulationBasedTraining(
        "epoch", perturbation_interval=2, hyperparam_mutations={"lr": tune.uniform(0, 1)}
    ),
}


@pytest.mark.parametrize("value", [3, 2.5, 0, -1])
def test_finite_numbers_measure_progress(value: object) -> None:
    assert is_time(value)
    check_time({"epoch": value}, "epoch")


@pytest.mark.parametrize(
    ("value", "shown"), [("nan", "is nan"), ("inf", "is inf"), ("third", "'third'"), ([3], r"\[3\]"), (True, "True")]
)
def test_anything_else_is_refused_by_name(value: object, shown: str) -> None:
    assert not is_time(value)
    with pytest.raises(MetricError, match=f"(?s)'epoch'.*{shown}"):
        check_time({"epoch": value}, "epoch")


def test_a_result_without_the_field_passes() -> None:
    check_time({"loss": 1.0}, "epoch")
    check_time({"epoch": None}, "epoch")
    check_time({"progress": {"epoch": 3}}, "progress/epoch")


# --- real trials ------------------------------------------------------------------------------------------------------


def fit(objective: Callable[[dict[str, Any]], None], scheduler: Scheduler, folder: Path) -> list[Any]:
    results = tune.Tuner(
        objective,
        param_space=SPACE,
        tune_config=tune.TuneConfig(metric="loss", mode="min", scheduler=scheduler, seed=1),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0, executor=tune.InlineExecutor()),
    ).fit()
    return list(results)


@pytest.mark.filterwarnings("ignore:.*saved no checkpoint")
@pytest.mark.filterwarnings("ignore:.*has saved none")
@pytest.mark.parametrize("bad", [math.nan, math.inf, "second"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_trial_that_reports_no_number_fails_by_itself_and_says_which_field(
    tmp_path: Path, name: str, bad: Any
) -> None:
    def objective(config: dict[str, Any]) -> None:
        for epoch in range(1, 10):
            tune.report({"loss": config["x"] / epoch, "epoch": bad if config["x"] == 1 and epoch == 2 else epoch})

    results = fit(objective, SCHEDULERS[name](), tmp_path)
    error = results[0].error
    assert "MetricError" in str(error) and "'epoch'" in str(error) and "finite number" in str(error)
    assert [result.error for result in results[1:]] == [None, None]


@pytest.mark.parametrize("name", ["asha", "median", "median at once", "pruner"])
def test_a_field_that_never_comes_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    def objective(config: dict[str, Any]) -> None:
        for step in range(1, 5):
            tune.report({"loss": config["x"], "epochs": step})

    for result in fit(objective, SCHEDULERS[name](), tmp_path):
        assert re.search(r"(?s)'epoch'.*never reported.*Did you mean 'epochs'", str(result.error))


@pytest.mark.filterwarnings("ignore:.*saved no checkpoint")
@pytest.mark.parametrize("name", ["asha", "pasha", "median", "median at once", "pruner"])
def test_a_result_without_the_field_moves_no_scheduler(tmp_path: Path, name: str) -> None:
    def objective(config: dict[str, Any]) -> None:
        for epoch in range(1, 5):
            tune.report({"loss": 100.0})
            tune.report({"loss": 100.0, "epoch": None})
            tune.report({"loss": config["x"] / epoch, "epoch": epoch})

    results = fit(objective, SCHEDULERS[name](), tmp_path)
    assert [result.error for result in results] == [None] * 3
    assert results[0].metrics["loss"] < 100


class StepTrainable(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        self.steps = 0

    def step(self) -> dict[str, Any]:
        self.steps += 1
        return {"loss": 1.0, "epoch": "third" if self.steps == 3 else self.steps, "done": self.steps == 5}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.steps = checkpoint["steps"]


def test_a_class_trainable_that_is_asked_for_a_checkpoint_first_fails_with_the_same_words(tmp_path: Path) -> None:
    results = fit(StepTrainable, HyperBandScheduler("epoch", max_t=9), tmp_path)  # type: ignore[arg-type]
    errors = [result.error for result in results if result.error is not None]
    assert errors and all("'epoch'" in str(error) and "'third'" in str(error) for error in errors)


# --- the engine and the simulator -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, "second", None])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_an_old_journal_with_such_a_value_ends_no_run(name: str, bad: Any) -> None:
    scheduler = SCHEDULERS[name]()
    scheduler.setup("loss", "min", 0, {"lr": tune.uniform(0, 1)})
    controller = Controller(Rules("loss", "min"), scheduler)
    controller.apply(Suggested(0, {"lr": 0.5}))
    controller.apply(Exhausted())
    controller.apply(Launched(0, "w", 0.0, attempt=1))
    answer = controller.apply(Reported(0, 1, 0.0, 1.0, {"loss": 1.0, "epoch": bad}, None, WAITS_FOR_SCHEDULER, None, 1))
    assert [type(command).__name__ for command in answer] == ["Extend"]


def test_simulated_trials_fail_as_real_ones_do() -> None:
    def curve(config: dict[str, Any], step: int) -> Any:
        epoch = math.nan if config["x"] == 1 and step == 2 else step
        return (1.0, {"loss": config["x"], "epoch": epoch}) if step <= 5 else None

    scheduler = ASHAScheduler("epoch", max_t=9)
    run = tune.simulate(curve, SPACE, metric="loss", mode="min", scheduler=scheduler, num_samples=1, seed=1)
    errors = [trial.error for trial in run.trials]
    assert "'epoch'" in str(errors[0]) and "finite number" in str(errors[0])
    assert errors[1:] == [None, None]
