"""A Trainable with checkpoints, stopped by a result's ``done`` or by iterations, and used by hand."""

import json
import os
import tempfile

from ray import tune


class Counter(tune.Trainable):
    def setup(self, config):
        self.step_size = config["step"]
        self.total = 0

    def step(self):
        self.total += self.step_size
        return {"total": self.total, "done": self.total >= 12}

    def save_checkpoint(self, checkpoint_dir):
        with open(os.path.join(checkpoint_dir, "state.json"), "w") as file:
            json.dump({"total": self.total}, file)

    def load_checkpoint(self, checkpoint_dir):
        with open(os.path.join(checkpoint_dir, "state.json")) as file:
            self.total = json.load(file)["total"]

    def reset_config(self, new_config):
        self.step_size = new_config["step"]
        self.total = 0
        return True


if __name__ == "__main__":
    tuner = tune.Tuner(
        Counter,
        param_space={"step": tune.grid_search([1, 4, 6])},
        tune_config=tune.TuneConfig(metric="total", mode="max", reuse_actors=True),
        run_config=tune.RunConfig(
            stop={"training_iteration": 5},
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=2, checkpoint_at_end=True),
        ),
    )
    results = tuner.fit()
    ended = {r.config["step"]: (r.metrics["total"], r.metrics["training_iteration"]) for r in results}
    assert ended == {1: (5, 5), 4: (12, 3), 6: (12, 2)}, ended
    for result in results:
        with result.checkpoint.as_directory() as folder, open(os.path.join(folder, "state.json")) as file:
            assert json.load(file)["total"] == result.metrics["total"]

    counter = Counter(config={"step": 5})
    assert counter.train()["total"] == 5
    with tempfile.TemporaryDirectory() as folder:
        saved = counter.save(folder)
        assert counter.train()["total"] == 10
        counter.restore(saved)
        assert counter.train()["total"] == 10
    assert counter.iteration == 2, counter.iteration
    counter.stop()
