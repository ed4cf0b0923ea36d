"""``create_scheduler``, ``create_searcher``, and tune.run with their names."""

from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler, HyperBandScheduler, MedianStoppingRule, create_scheduler
from ray.tune.search import create_searcher


def train_fn(config):
    for i in range(1, 10):
        tune.report({"loss": config["x"] / i})


if __name__ == "__main__":
    assert isinstance(create_scheduler("async_hyperband", max_t=9), AsyncHyperBandScheduler)
    assert isinstance(create_scheduler("hyperband", max_t=9), HyperBandScheduler)
    assert isinstance(create_scheduler("median_stopping_rule", hard_stop=False), MedianStoppingRule)
    searcher = create_searcher("random", metric="loss", mode="min")
    analysis = tune.run(
        train_fn,
        config={"x": tune.uniform(1, 10)},
        num_samples=6,
        search_alg=searcher,
        scheduler=create_scheduler("async_hyperband", metric="loss", mode="min", max_t=9, grace_period=1),
        verbose=0,
    )
    assert len(analysis.trials) == 6
    assert analysis.get_best_trial("loss", "min").config["x"] == min(t.config["x"] for t in analysis.trials)
    analysis = tune.run(
        train_fn,
        config={"x": tune.uniform(1, 10)},
        num_samples=4,
        metric="loss",
        mode="min",
        scheduler="hyperband",
        search_alg="random",
        verbose=0,
    )
    assert len(analysis.trials) == 4
