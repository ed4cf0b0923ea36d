"""``tune.run`` with about every argument that it has."""

import os
import tempfile

from ray import tune
from ray.tune.schedulers import FIFOScheduler


class Walk(tune.Trainable):
    def setup(self, config):
        self.n = 0

    def step(self):
        self.n += 1
        return {"value": self.n * self.config["x"]}

    def save_checkpoint(self, checkpoint_dir):
        with open(os.path.join(checkpoint_dir, "n"), "w") as file:
            file.write(str(self.n))

    def load_checkpoint(self, checkpoint_dir):
        with open(os.path.join(checkpoint_dir, "n")) as file:
            self.n = int(file.read())


if __name__ == "__main__":
    storage = tempfile.mkdtemp()
    analysis = tune.run(
        Walk,
        name="everything",
        metric="value",
        mode="max",
        stop={"training_iteration": 4},
        time_budget_s=120,
        config={"x": tune.grid_search([1, 2])},
        resources_per_trial={"cpu": 1},
        num_samples=2,
        storage_path=storage,
        search_alg=None,
        scheduler=FIFOScheduler(),
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=2, checkpoint_at_end=True, num_to_keep=2),
        verbose=0,
        log_to_file=True,
        trial_name_creator=lambda trial: f"{trial.trainable_name}_{trial.trial_id}",
        trial_dirname_creator=lambda trial: f"walk_{trial.trial_id}",
        max_failures=1,
        fail_fast=False,
        reuse_actors=False,
        raise_on_failed_trial=True,
        callbacks=[],
        max_concurrent_trials=2,
    )
    assert len(analysis.trials) == 4
    assert analysis.best_config["x"] == 2 and analysis.best_result["value"] == 8
    assert all(str(trial) == f"Walk_{trial.trial_id}" for trial in analysis.trials)
    assert os.path.basename(analysis.best_trial.local_path) == f"walk_{analysis.best_trial.trial_id}"
    with open(os.path.join(analysis.best_checkpoint.path, "n")) as file:
        assert file.read() == "4"
    assert os.path.isdir(os.path.join(storage, "everything"))
    try:
        tune.run(
            Walk, config={"x": "no number", "y": 1}, stop=lambda trial_id, result: 1 / 0, verbose=0, max_failures=0
        )
    except Exception as error:
        assert "division" in str(error) or "ZeroDivision" in repr(error) or type(error).__name__ == "TuneError"
    else:
        raise AssertionError("a stop function that raises passed")
