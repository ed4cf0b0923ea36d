"""Ax with constraints on parameters and on another metric."""

from ray import tune
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.ax import AxSearch


def objective(config):
    tune.report(
        {"loss": (config["x1"] - 0.3) ** 2 + config["x2"], "l2norm": (config["x1"] ** 2 + config["x2"] ** 2) ** 0.5}
    )


if __name__ == "__main__":
    algo = AxSearch(parameter_constraints=["x1 + x2 <= 2.0"], outcome_constraints=["l2norm <= 1.25"])
    results = tune.Tuner(
        objective,
        param_space={"x1": tune.uniform(0.0, 2.0), "x2": tune.uniform(0.0, 2.0)},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", search_alg=ConcurrencyLimiter(algo, max_concurrent=2), num_samples=5
        ),
    ).fit()
    assert not results.errors and len(results) == 5, results.errors
    assert all(r.config["x1"] + r.config["x2"] <= 2.0 + 1e-6 for r in results)
