"""An objective as a class: the tuner calls `step`, and saves and loads its state for
you.
"""

import random

import tune_core as tune


class Walker(tune.Trainable):
    """Looks for the lowest point of x² by a random walk that takes only steps
    downhill.
    """

    def setup(self, config):
        self.x = 10.0
        self.random = random.Random(config["seed"])

    def step(self):
        there = self.x + self.random.gauss(0, self.config["stride"])
        if abs(there) < abs(self.x):
            self.x = there
        return {"height": self.x**2, "x": self.x}

    def save_checkpoint(self, checkpoint_dir):
        return {"x": self.x, "random": self.random.getstate()}

    def load_checkpoint(self, state):
        self.x = state["x"]
        self.random.setstate(state["random"])

    def reset_config(self, config):  # the same object serves one trial after another
        self.setup(config)
        return True


results = tune.Tuner(
    Walker,
    param_space={"stride": tune.grid_search([0.1, 0.5, 2.0, 8.0]), "seed": 3},
    tune_config=tune.TuneConfig(metric="height", mode="min"),
    run_config=tune.RunConfig(
        stop={"training_iteration": 40},
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=10, num_to_keep=2),
        verbose=0,
    ),
).fit()

for result in results:
    kept = [metrics["training_iteration"] for _, metrics in result.best_checkpoints]
    print(
        f"stride {result.config['stride']:>3}: x = {result.metrics['x']:7.4f}, "
        f"checkpoints kept: of steps {kept}"
    )
print("Best stride:", results.get_best_result().config["stride"])
