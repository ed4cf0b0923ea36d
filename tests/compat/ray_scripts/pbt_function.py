"""Population based training of a function with checkpoints, and a replay of what the best trial did."""

import glob
import json
import os
import random
import tempfile

from ray import tune
from ray.tune.schedulers import PopulationBasedTraining, PopulationBasedTrainingReplay


def train_fn(config):
    step, accuracy = 1, 0.0
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder, open(os.path.join(folder, "state.json")) as file:
            state = json.load(file)
        step, accuracy = state["step"] + 1, state["accuracy"]
    while step <= 20:
        accuracy += max(0.0, 1 - abs(config["lr"] - 0.5))
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "state.json"), "w") as file:
                json.dump({"step": step, "accuracy": accuracy}, file)
            tune.report({"accuracy": accuracy, "lr": config["lr"]}, checkpoint=tune.Checkpoint.from_directory(folder))
        step += 1


if __name__ == "__main__":
    random.seed(1)
    storage = tempfile.mkdtemp()
    pbt = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=4,
        hyperparam_mutations={"lr": tune.uniform(0.01, 1.0), "h": [1, 2, 3]},
        quantile_fraction=0.5,
        resample_probability=0.5,
        synch=True,
    )
    results = tune.Tuner(
        train_fn,
        param_space={"lr": tune.grid_search([0.02, 0.1, 0.45, 0.9]), "h": 1},
        tune_config=tune.TuneConfig(scheduler=pbt, metric="accuracy", mode="max", reuse_actors=True),
        run_config=tune.RunConfig(name="pbt", storage_path=storage, stop={"training_iteration": 20}),
    ).fit()
    assert not results.errors, results.errors
    assert len(results) == 4
    best = results.get_best_result()
    assert best.metrics["training_iteration"] == 20 and best.metrics["accuracy"] > 15
    assert sum(r.metrics["lr"] not in (0.02, 0.1, 0.45, 0.9) for r in results) >= 1

    policies = sorted(glob.glob(os.path.join(storage, "pbt", "pbt_policy_*.txt")))
    assert policies and os.path.exists(os.path.join(storage, "pbt", "pbt_global.txt"))
    replay = PopulationBasedTrainingReplay(policies[0])
    (again,) = tune.Tuner(
        train_fn,
        tune_config=tune.TuneConfig(scheduler=replay),
        run_config=tune.RunConfig(stop={"training_iteration": 20}),
    ).fit()
    assert again.error is None and again.metrics["training_iteration"] == 20
