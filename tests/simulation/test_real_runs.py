"""Decisions made in real runs on local workers are made again, all of them, from the journal."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.core import events as ev
from tune_core.engine.rules import Rules
from tune_core.journal.reader import read
from tune_core.schedulers import (
    ASHAScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    Scheduler,
)
from tune_core.simulation import simulate
from tune_core.testing.invariants import decisions_again

SPACE = {"x": tune.uniform(0, 1)}

SCHEDULERS: dict[str, Callable[[], Scheduler]] = {
    "asha": lambda: ASHAScheduler(max_t=27, reduction_factor=3),
    "asha-promotion": lambda: ASHAScheduler(max_t=27, reduction_factor=3, rule="promotion"),
    "hyperband": lambda: HyperBandScheduler(max_t=9),
    "median": lambda: MedianStoppingRule("training_iteration", grace_period=2),
    "pbt": lambda: PopulationBasedTraining(
        "training_iteration", perturbation_interval=5, hyperparam_mutations={"x": tune.uniform(0, 1)}
    ),
}


class Curve(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        self.steps = 0

    def step(self) -> dict[str, Any]:
        self.steps += 1
        noise = random.Random(f"{self.config['x']}:{self.steps}").random()
        return {"loss": self.config["x"] + 1 / self.steps + 0.1 * noise, "done": self.steps == 27}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.steps = checkpoint["steps"]


@pytest.mark.real
@pytest.mark.parametrize("name", SCHEDULERS)
def test_decisions_of_a_real_run_are_made_again_from_its_events(tmp_path: Path, name: str) -> None:
    tune.Tuner(
        Curve,
        param_space=SPACE,
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=12, scheduler=SCHEDULERS[name](), seed=1),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path), name="real", verbose=0, executor=tune.LocalExecutor(num_cpus=2)
        ),
    ).fit()
    log = read(str(tmp_path / "real"))
    made = [event for event in log.events if type(event) is ev.Decided]
    assert made
    assert decisions_again(log, SCHEDULERS[name](), Rules("loss", "min"), SPACE) == made


@pytest.mark.real
def test_real_run_on_one_worker_and_its_simulation_decide_the_same(tmp_path: Path) -> None:
    """One worker leaves no race: the simulator, told the same results, must make the very same decisions."""
    for name in ("asha", "asha-promotion", "hyperband"):
        tune.Tuner(
            Curve,
            param_space=SPACE,
            tune_config=tune.TuneConfig(
                metric="loss", mode="min", num_samples=12, scheduler=SCHEDULERS[name](), seed=1
            ),
            run_config=tune.RunConfig(
                storage_path=str(tmp_path), name=name, verbose=0, executor=tune.LocalExecutor(num_cpus=1)
            ),
        ).fit()

        def again(config: dict[str, Any], step: int) -> Any:
            noise = random.Random(f"{config['x']}:{step}").random()
            done = step == 27
            return (1.0, {"loss": config["x"] + 1 / step + 0.1 * noise, "done": done}) if step <= 27 else None

        simulated = simulate(
            again, SPACE, metric="loss", mode="min", workers=1, num_samples=12, scheduler=SCHEDULERS[name](), seed=1
        )
        made = [event for event in read(str(tmp_path / name)).events if type(event) is ev.Decided]
        assert made == simulated.decisions()
