"""HyperOpt with a space of its own that has conditions."""

from hyperopt import hp
from ray import tune
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.hyperopt import HyperOptSearch


def objective(config):
    layer = config["layer"]
    penalty = layer["mult"] if layer["kind"] == "relu" else 5
    tune.report({"mean_loss": (config["width"] - 10) ** 2 + penalty})


if __name__ == "__main__":
    space = {
        "layer": hp.choice("layer", [{"kind": "relu", "mult": hp.uniform("mult", 1, 2)}, {"kind": "tanh"}]),
        "width": hp.uniform("width", 0, 20),
        "steps": 3,
    }
    algo = HyperOptSearch(space=space, metric="mean_loss", mode="min", n_initial_points=4)
    results = tune.Tuner(
        objective,
        tune_config=tune.TuneConfig(search_alg=ConcurrencyLimiter(algo, max_concurrent=2), num_samples=10),
    ).fit()
    assert not results.errors, results.errors
    assert all(("mult" in r.config["layer"]) == (r.config["layer"]["kind"] == "relu") for r in results)
    assert all(r.config["steps"] == 3 for r in results)
