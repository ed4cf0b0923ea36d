"""Trials that end by themselves before ``max_t`` are trained in full: nobody else goes on for want of one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.core.events import Reported
from tune_core.core.trial import ERROR
from tune_core.schedulers import (
    ASHAScheduler,
    HyperBandScheduler,
    PASHAScheduler,
    ResourceChangingScheduler,
    Scheduler,
    SuccessiveHalvingScheduler,
)

from .helpers import Bench

SPACE = {"x": tune.uniform(0, 1)}
LENGTH = 5


def promotion(max_t: float = 100) -> ASHAScheduler:
    return ASHAScheduler(max_t=max_t, reduction_factor=3, rule="promotion")


def simulated(scheduler: Scheduler, length: int = 20, **more: Any) -> Any:
    def curve(config: dict[str, Any], step: int) -> Any:
        return (1.0, {"loss": config["x"] + 1 / step}) if step <= length else None

    return tune.simulate(
        curve, SPACE, metric="loss", mode="min", num_samples=200, workers=8, seed=1, scheduler=scheduler, **more
    )


@pytest.mark.parametrize("max_t", [20, 21, 27, 100])
def test_promotion_stops_as_early_whatever_max_t_is_above_the_trials_length(max_t: int) -> None:
    run = simulated(promotion(max_t))
    assert [run.trained_to(step) for step in (1, 3, 9, 20)] == [200, 66, 22, 8]


def test_a_stop_condition_below_max_t_is_the_length_of_trials() -> None:
    run = simulated(promotion(100), 1000, stop={"training_iteration": 20})
    assert [run.trained_to(step) for step in (1, 3, 9, 20, 21)] == [200, 66, 22, 8, 0]


@pytest.mark.parametrize(
    "scheduler",
    [
        lambda: ResourceChangingScheduler(promotion()),
        lambda: ASHAScheduler(max_t=100, reduction_factor=3, rule="promotion", brackets=3),
        lambda: PASHAScheduler(max_t=100),
        lambda: HyperBandScheduler(max_t=81),
        lambda: SuccessiveHalvingScheduler(max_t=81),
    ],
    ids=["resources change", "brackets", "PASHA", "HyperBand", "successive halving"],
)
def test_other_schedulers_do_not_train_each_trial_in_full_either(scheduler: Callable[[], Scheduler]) -> None:
    run = simulated(scheduler())
    assert run.trained_to(1) == 200
    assert run.trained_to(20) < 100


# --- which trials count -----------------------------------------------------------------------------------------------


def waiting_on_the_first_two_rungs() -> Bench:
    """Trial 0 is above rung 9; trials 1 and 2 wait on rung 3, others on rung 1."""
    bench = Bench(promotion(27))
    for index in range(9):
        bench.start(index)
        bench.report(index, 1, 0.1 * index)
    for index in range(3):
        bench.start(index)
        bench.report(index, 3, 0.1 * index)
    bench.start(0)
    bench.report(0, 9, 0.0)
    bench.start(0)
    return bench


def test_a_trial_that_returns_beyond_the_rungs_of_all_others_is_the_complete_one() -> None:
    bench = waiting_on_the_first_two_rungs()
    bench.end(0)
    bench.scheduler.on_stall(exhausted=True)
    assert bench.choose() is None


def test_a_trial_that_failed_is_not_complete() -> None:
    bench = waiting_on_the_first_two_rungs()
    bench.scheduler.on_end(bench.trials[0], ERROR)
    bench.scheduler.on_stall(exhausted=True)
    assert bench.choose() == 1


def test_a_trial_that_returns_with_nan_is_not_complete() -> None:
    bench = Bench(promotion(27))
    for index in range(3):
        bench.start(index)
        bench.report(index, 1, 0.1 * index)
    bench.start(0)
    bench.trials[0].last = Reported(0, 2, 0.0, 2.0, {"loss": float("nan")})
    bench.end(0)
    bench.scheduler.on_stall(exhausted=True)
    assert bench.choose() == 1


def test_a_trial_that_returns_below_the_rung_of_another_leaves_that_one_to_be_trained_in_full() -> None:
    bench = Bench(promotion(27))
    for index in range(6):
        bench.start(index)
        bench.report(index, 1, 0.1 * index)
    for index in (0, 1):
        bench.start(index)
    bench.report(0, 3, 0.0)  # waits on rung 3
    bench.trials[1].last = Reported(1, 2, 0.0, 2.0, {"loss": 0.1})
    bench.end(1)
    bench.scheduler.on_stall(exhausted=True)
    assert bench.choose() == 0


# --- real runs --------------------------------------------------------------------------------------------------------


def saving(config: dict[str, Any]) -> None:
    start = tune.get_checkpoint()
    done = 0
    if start is not None:
        with start.as_directory() as folder:
            done = json.loads((Path(folder) / "step.json").read_text())
    draft = Path("draft")
    draft.mkdir(exist_ok=True)
    for step in range(done + 1, config.get("length", LENGTH) + 1):
        (draft / "step.json").write_text(json.dumps(step))
        tune.report({"loss": config["x"] + 1 / step}, checkpoint=tune.Checkpoint(str(draft)))


class Steps(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        self.steps = 0

    def step(self) -> dict[str, Any]:
        self.steps += 1
        return {"loss": self.config["x"] + 1 / self.steps, "done": self.steps == LENGTH}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.steps = checkpoint["steps"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("trainable", "more", "stop"),
    [
        (saving, {}, None),
        (Steps, {}, None),
        (saving, {"length": 1000}, {"training_iteration": LENGTH}),
    ],
    ids=["function", "class", "stop condition"],
)
def test_real_trials_that_end_below_max_t_are_promoted_as_those_that_reach_it(
    tmp_path: Path, trainable: Any, more: dict[str, Any], stop: dict[str, Any] | None
) -> None:
    def steps(max_t: int) -> list[int]:
        results = tune.Tuner(
            trainable,
            param_space={**SPACE, **more},
            tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=9, scheduler=promotion(max_t), seed=1),
            run_config=tune.RunConfig(
                storage_path=str(tmp_path), verbose=0, executor=tune.LocalExecutor(num_cpus=1), stop=stop
            ),
        ).fit()
        return [result.metrics["training_iteration"] for result in results]

    at_the_length, above = steps(LENGTH), steps(100)
    assert sorted(above) == [1] * 6 + [3, 3, LENGTH]
    assert above == at_the_length
