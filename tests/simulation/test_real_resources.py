"""Resources that change, in a real run: the trial's context shows what it holds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.schedulers import DistributeResources, PopulationBasedTraining, ResourceChangingScheduler

SHORT, LONG = 2, 300  # the long one goes on, step by step, when the short one has done its last


class Holds(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        self.steps = 0

    def step(self) -> dict[str, Any]:
        self.steps += 1
        ended = Path(str(tune.get_context().get_storage())) / "short_trial_ended"
        if self.config["length"] == SHORT and self.steps == SHORT:
            ended.touch()
        deadline = time.monotonic() + 60
        while self.config["length"] > SHORT and not ended.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        held = tune.get_context().get_trial_resources()["cpu"]
        return {"loss": 1.0, "cpu": held, "steps": self.steps, "done": self.steps >= self.config["length"]}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.steps = checkpoint["steps"]


def run(tmp_path: Path, trainable: Any, space: dict[str, Any], scheduler: Any, executor: Any, samples: int = 1) -> Any:
    return tune.Tuner(
        trainable,
        param_space=space,
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=samples, scheduler=scheduler),
        run_config=tune.RunConfig(storage_path=str(tmp_path), name="run", verbose=0, executor=executor),
    ).fit()


def last_trial_gets_all_there_is(tmp_path: Path, executor: Any, length: int = LONG) -> None:
    """On an executor with two CPUs."""
    scheduler = ResourceChangingScheduler(None, DistributeResources())
    results = run(tmp_path, Holds, {"length": tune.grid_search([SHORT, length])}, scheduler, executor)
    longest = max((result.metrics for result in results), key=lambda metrics: metrics["steps"])
    assert longest["steps"] == length
    assert longest["cpu"] == 2


@pytest.mark.real
def test_last_trial_gets_all_there_is_and_keeps_its_progress(tmp_path: Path) -> None:
    last_trial_gets_all_there_is(tmp_path, tune.LocalExecutor(num_cpus=2))


@pytest.mark.real
@pytest.mark.parametrize("synch", [False, True])
def test_population_that_saves_nothing_trains_on_with_one_warning(synch: bool, tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        for _ in range(20):
            tune.report({"loss": config["x"]})

    scheduler = PopulationBasedTraining(
        "training_iteration", perturbation_interval=2, hyperparam_mutations={"x": tune.uniform(0, 1)}, synch=synch
    )
    with pytest.warns(UserWarning, match="PopulationBasedTraining.*checkpoint") as warned:
        results = run(tmp_path, objective, {}, scheduler, tune.LocalExecutor(num_cpus=2), samples=4)
    assert len([w for w in warned if "PopulationBasedTraining" in str(w.message)]) == 1
    assert [result.metrics["training_iteration"] for result in results] == [20] * 4
    assert not any("copies trial" in result.explain() for result in results)


@pytest.mark.real
def test_functions_are_paused_and_copied_like_classes(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        import json
        import tempfile

        start = tune.get_checkpoint()
        done = 0
        if start is not None:
            with start.as_directory() as folder:
                done = json.loads(Path(folder, "done.json").read_text())
        for step in range(done + 1, 11):
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "done.json").write_text(json.dumps(step))
                checkpoint = tune.Checkpoint.from_directory(folder)
                tune.report({"loss": config["x"] + 1 / step, "step": step}, checkpoint=checkpoint)

    scheduler = PopulationBasedTraining(
        "training_iteration", perturbation_interval=2, hyperparam_mutations={"x": tune.uniform(0, 1)}, synch=True
    )
    results = run(tmp_path, objective, {}, scheduler, tune.LocalExecutor(num_cpus=2), samples=4)
    assert [result.metrics["step"] for result in results] == [10] * 4
    assert any("copies trial" in result.explain() for result in results)
