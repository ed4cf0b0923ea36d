"""Checkpoints of a function: made in a temporary folder, a few of the best kept, and read again afterwards."""

import json
import os
import tempfile

from ray import tune
from ray.tune import Checkpoint


def train_fn(config):
    start = 1
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder, open(os.path.join(folder, "step.json")) as file:
            start = json.load(file)["step"] + 1
    for step in range(start, 7):
        value = -abs(step - config["peak"])
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "step.json"), "w") as file:
                json.dump({"step": step}, file)
            tune.report({"value": value, "step": step}, checkpoint=Checkpoint.from_directory(folder))


if __name__ == "__main__":
    tuner = tune.Tuner(
        train_fn,
        param_space={"peak": tune.grid_search([2, 5])},
        tune_config=tune.TuneConfig(metric="value", mode="max"),
        run_config=tune.RunConfig(
            checkpoint_config=tune.CheckpointConfig(
                num_to_keep=2, checkpoint_score_attribute="value", checkpoint_score_order="max"
            )
        ),
    )
    for result in tuner.fit():
        peak = result.config["peak"]
        kept = {metrics["step"] for _, metrics in result.best_checkpoints}
        assert peak in kept, (peak, kept)
        best = result.get_best_checkpoint(metric="value", mode="max")
        with best.as_directory() as folder, open(os.path.join(folder, "step.json")) as file:
            assert json.load(file) == {"step": peak}
        assert os.path.isdir(best.path) and best.to_directory() != best.path
        with result.checkpoint.as_directory() as folder, open(os.path.join(folder, "step.json")) as file:
            assert json.load(file)["step"] == 6
