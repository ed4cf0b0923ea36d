"""A search algorithm of your own: an evolution strategy in thirty lines, beside random
search.

The engine asks for a configuration (`suggest`), tells how the trial ended
(`on_trial_complete`), and keeps both in the journal, so that a restored run repeats
them: a searcher needs no state file.
"""

import random

import tune_core as tune
from tune_core.search import Searcher


class OnePlusOne(Searcher):
    """Tries a neighbour of the best point so far, at a distance that adapts
    (Rechenberg's one-fifth rule).
    """

    def __init__(self, bounds):
        super().__init__()
        self.bounds = bounds
        self.best = None  # (loss, point)
        self.stride = 0.3  # of the width of the bounds
        self.tried = {}

    def set_search_properties(self, metric, mode, config, **spec):
        self.random = random.Random(spec.get("seed"))
        return super().set_search_properties(metric, mode, config, **spec)

    def suggest(self, trial_id):
        point = {}
        for name, (low, high) in self.bounds.items():
            if self.best is None:
                point[name] = self.random.uniform(low, high)
            else:
                step = self.random.gauss(0, self.stride * (high - low))
                point[name] = min(high, max(low, self.best[1][name] + step))
        self.tried[trial_id] = point
        return point

    def on_trial_complete(self, trial_id, result=None, error=False):
        point = self.tried.pop(trial_id)
        if error:
            return
        loss = result[self.metric] if self.mode == "min" else -result[self.metric]
        better = self.best is None or loss < self.best[0]
        self.stride = min(1.0, self.stride * (1.5 if better else 1.5**-0.25))
        if better:
            self.best = (loss, point)


def rosenbrock(config):
    return {
        "height": (1 - config["x"]) ** 2 + 100 * (config["y"] - config["x"] ** 2) ** 2
    }


def height(**how):
    results = tune.Tuner(
        rosenbrock,
        tune_config=tune.TuneConfig(
            metric="height", mode="min", num_samples=400, seed=2, **how.pop("tune", {})
        ),
        run_config=tune.RunConfig(verbose=0),
        **how,
    ).fit()
    best = results.get_best_result()
    x, y = best.config["x"], best.config["y"]
    return f"height {best.metrics['height']:.6f} at x={x:.3f}, y={y:.3f}"


print("The valley's floor:  height 0 at x=1, y=1")
print(
    "Random search:      ",
    height(param_space={"x": tune.uniform(-2, 2), "y": tune.uniform(-1, 3)}),
)
searcher = OnePlusOne({"x": (-2, 2), "y": (-1, 3)})
print(
    "Evolution strategy: ",
    height(tune={"search_alg": searcher, "max_concurrent_trials": 1}),
)
