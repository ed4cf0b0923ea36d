"""Runs of each kind, to be cut off and restored: ``python runs.py KIND FOLDER [restore]``."""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import tune_core as tune
from tune_core.schedulers import PopulationBasedTraining

STEPS = 12
STEP_S = float(os.environ.get("TRUST_STEP_S", "0.05"))


def kept() -> int:
    """The number that the trial's checkpoint holds; 0 without one."""
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        return int(json.loads(Path(folder, "state.json").read_text())["step"])


def trains(config: dict[str, Any]) -> None:
    """Report with a checkpoint at each step."""
    weights = random.Random(config["x"]).randbytes(4000)
    for step in range(kept() + 1, STEPS + 1):
        time.sleep(STEP_S)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "state.json").write_text(json.dumps({"step": step}))
            Path(folder, "deep").mkdir()
            Path(folder, "deep", "weights.bin").write_bytes(weights)
            tune.report({"loss": config["x"] / step, "step": step}, checkpoint=tune.Checkpoint.from_directory(folder))


class Model(tune.Trainable):
    """A class trainable with a state of two files."""

    def setup(self, config: dict[str, Any]) -> None:
        self.step_number = 0

    def step(self) -> dict[str, Any]:
        time.sleep(STEP_S)
        self.step_number += 1
        return {"loss": self.config["x"] / self.step_number, "step": self.step_number}

    def save_checkpoint(self, folder: str) -> dict[str, Any]:
        return {"step": self.step_number, "weights": b"w" * 4000}

    def load_checkpoint(self, state: Any) -> None:
        assert len(state["weights"]) == 4000
        self.step_number = state["step"]


def tuner(kind: str, folder: str, executor: Any = "local") -> tune.Tuner:
    """A run of one kind: ``fifo``, ``keep_one``, ``pbt`` or ``class``."""
    checkpoints = tune.CheckpointConfig()
    scheduler = None
    trainable: Any = trains
    if kind == "keep_one":
        checkpoints = tune.CheckpointConfig(num_to_keep=1)
    elif kind == "pbt":
        scheduler = PopulationBasedTraining(
            "training_iteration", perturbation_interval=3, hyperparam_mutations={"x": tune.uniform(0.5, 4.0)}
        )
    elif kind == "class":
        checkpoints = tune.CheckpointConfig(num_to_keep=2, checkpoint_frequency=2, checkpoint_at_end=True)
        trainable = Model
    return tune.Tuner(
        trainable,
        param_space={"x": tune.grid_search([1.0, 2.0, 3.0, 4.0])},
        tune_config=tune.TuneConfig(metric="loss", mode="min", scheduler=scheduler, seed=3),
        run_config=tune.RunConfig(
            name="run",
            storage_path=folder,
            verbose=0,
            executor=executor,
            stop={"training_iteration": STEPS},
            checkpoint_config=checkpoints,
        ),
    )


def restored(kind: str, folder: str, executor: Any = "local") -> tune.Tuner:
    """The same run, taken up again."""
    return tune.Tuner.restore(
        os.path.join(folder, "run"),
        Model if kind == "class" else trains,
        run_config=tune.RunConfig(
            verbose=0,
            executor=executor,
            stop={"training_iteration": STEPS},
            checkpoint_config=tuner(kind, folder)._run.checkpoint_config,
        ),
    )


if __name__ == "__main__":
    kind, folder, *rest = sys.argv[1:]
    results = (restored if rest else tuner)(kind, folder).fit()
    print(
        json.dumps(
            {
                "statuses": [str(result.status) for result in results],
                "iterations": [result.metrics.get("training_iteration") for result in results],
                "steps": [result.metrics.get("step") for result in results],
                "errors": [str(error) for error in results.errors],
            }
        )
    )
