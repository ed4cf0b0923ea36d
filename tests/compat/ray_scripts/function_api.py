"""A function that reports once an epoch, a grid, and its best result."""

from ray import tune


def train_fn(config):
    score = 0.0
    for _ in range(4):
        score += config["a"] * config["b"]
        tune.report({"score": score})


if __name__ == "__main__":
    tuner = tune.Tuner(
        train_fn,
        param_space={"a": tune.grid_search([1, 2, 3]), "b": tune.choice([10])},
        tune_config=tune.TuneConfig(metric="score", mode="max"),
    )
    results = tuner.fit()
    best = results.get_best_result()
    assert best.config == {"a": 3, "b": 10}, best.config
    assert best.metrics["score"] == 120.0
    assert best.metrics["training_iteration"] == 4
    assert list(best.metrics_dataframe["score"]) == [30.0, 60.0, 90.0, 120.0]
    assert sorted(results.get_dataframe()["config/a"]) == [1, 2, 3]
