"""A Searcher of one's own: with a ConcurrencyLimiter, with a Repeater, and saved and restored."""

import json
import os
import tempfile

from ray import tune
from ray.tune.search import ConcurrencyLimiter, Repeater, Searcher


class Halving(Searcher):
    """Walks towards the best point in steps that get smaller."""

    def __init__(self, metric="mean_loss", mode="min", **kwargs):
        super().__init__(metric=metric, mode=mode, **kwargs)
        self.best, self.value, self.step, self.live, self.sign = 0.0, float("inf"), 4.0, {}, 1

    def suggest(self, trial_id):
        x = self.best + self.sign * self.step
        self.live[trial_id] = x
        return {"x": x}

    def on_trial_complete(self, trial_id, result=None, error=False, **kwargs):
        x = self.live.pop(trial_id)
        if not result:
            return
        value = result[self.metric]
        if value < self.value:
            self.best, self.value = x, value
        elif self.sign == 1:
            self.sign = -1
        else:
            self.sign, self.step = 1, self.step / 2

    def save(self, checkpoint_path):
        with open(checkpoint_path, "w") as file:
            json.dump([self.best, self.value, self.step], file)

    def restore(self, checkpoint_path):
        with open(checkpoint_path) as file:
            self.best, self.value, self.step = json.load(file)


def objective(config):
    tune.report({"mean_loss": (config["x"] - 3) ** 2})


if __name__ == "__main__":
    algo = Halving()
    results = tune.Tuner(
        objective,
        tune_config=tune.TuneConfig(
            search_alg=ConcurrencyLimiter(algo, max_concurrent=1), num_samples=16, metric="mean_loss", mode="min"
        ),
    ).fit()
    best = results.get_best_result()
    assert len(results) == 16
    assert abs(best.config["x"] - 3) < 0.6, best.config
    assert algo.value == best.metrics["mean_loss"], (algo.value, best.metrics)

    with tempfile.TemporaryDirectory() as folder:
        algo.save(os.path.join(folder, "state"))
        other = Halving()
        other.restore(os.path.join(folder, "state"))
        assert other.best == algo.best

    repeated = Repeater(Halving(), repeat=3)
    results = tune.Tuner(
        objective, tune_config=tune.TuneConfig(search_alg=repeated, num_samples=6, max_concurrent_trials=1)
    ).fit()
    xs = sorted(r.config["x"] for r in results)
    assert len(xs) == 6 and len(set(xs)) == 2, xs
