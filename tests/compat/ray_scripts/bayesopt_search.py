"""bayes_opt: a space of tune's or of its own, a limit, and points that were evaluated before."""

from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.bayesopt import BayesOptSearch


def objective(config):
    for step in range(1, 4):
        tune.report(
            {"iterations": step, "mean_loss": (config["width"] - 3) ** 2 + (config["height"] + 1) ** 2 / 10 + 1 / step}
        )


if __name__ == "__main__":
    algo = BayesOptSearch(utility_kwargs={"kind": "ucb", "kappa": 2.5}, random_state=1, random_search_steps=4)
    results = tune.Tuner(
        objective,
        param_space={"width": tune.uniform(0, 20), "height": tune.uniform(-10, 10), "steps": 3},
        tune_config=tune.TuneConfig(
            metric="mean_loss",
            mode="min",
            search_alg=ConcurrencyLimiter(algo, max_concurrent=1),
            scheduler=AsyncHyperBandScheduler(),
            num_samples=14,
        ),
    ).fit()
    assert len(results) == 14 and all(r.config["steps"] == 3 for r in results)
    assert results.get_best_result().metrics["mean_loss"] < 20

    own = BayesOptSearch(space={"width": (0, 20), "height": (-10, 10)}, metric="mean_loss", mode="min", random_state=2)
    results = tune.Tuner(objective, tune_config=tune.TuneConfig(search_alg=own, num_samples=4)).fit()
    assert len(results) == 4 and all(0 <= r.config["width"] <= 20 for r in results)
