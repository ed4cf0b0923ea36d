"""BOHB: its searcher with its scheduler, and a space of ConfigSpace's."""

import ConfigSpace as CS
from ray import tune
from ray.tune.schedulers.hb_bohb import HyperBandForBOHB
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.bohb import TuneBOHB


class Model(tune.Trainable):
    def setup(self, config):
        self.timestep = 0

    def step(self):
        self.timestep += 1
        return {"loss": (self.config["x"] - 1) ** 2 + 1 / self.timestep}

    def save_checkpoint(self, checkpoint_dir):
        with open(f"{checkpoint_dir}/t", "w") as file:
            file.write(str(self.timestep))

    def load_checkpoint(self, checkpoint_dir):
        with open(f"{checkpoint_dir}/t") as file:
            self.timestep = int(file.read())


if __name__ == "__main__":
    space = CS.ConfigurationSpace(seed=1)
    space.add(CS.Float("x", (0.0, 4.0)), CS.Categorical("kind", ["a", "b"]))
    for given, param_space in ((space, {}), (None, {"x": tune.uniform(0, 4), "kind": tune.choice(["a", "b"])})):
        searcher = ConcurrencyLimiter(TuneBOHB(space=given, seed=3), max_concurrent=3)
        scheduler = HyperBandForBOHB(time_attr="training_iteration", max_t=9, reduction_factor=3, stop_last_trials=True)
        results = tune.Tuner(
            Model,
            param_space=param_space,
            run_config=tune.RunConfig(stop={"training_iteration": 9}),
            tune_config=tune.TuneConfig(
                metric="loss", mode="min", scheduler=scheduler, search_alg=searcher, num_samples=9
            ),
        ).fit()
        assert not results.errors, results.errors
        steps = sorted(r.metrics["training_iteration"] for r in results)
        assert len(steps) == 9 and steps[-1] == 9 and steps[0] < 9, steps
