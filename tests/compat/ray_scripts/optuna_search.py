"""Optuna by a space, by a define-by-run function, and for two objectives."""

import optuna
from ray import tune
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.optuna import OptunaSearch


def objective(config):
    for step in range(3):
        tune.report({"mean_loss": (config["width"] - 4) ** 2 + config["height"] * 0.1 + 1 / (step + 1)})


def define_by_run(trial):
    activation = trial.suggest_categorical("activation", ["relu", "tanh"])
    trial.suggest_float("width", 0, 20)
    trial.suggest_float("height", -10, 10)
    if activation == "relu":
        trial.suggest_float("slope", 0.1, 0.9)
    return {"steps": 3}


def two(config):
    tune.report({"loss": config["a"] ** 2, "gain": (config["a"] - 2) ** 2})


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {"width": tune.uniform(0, 20), "height": tune.uniform(-10, 10), "activation": tune.choice(["relu", "tanh"])}
    initial = [{"width": 4, "height": -10, "activation": "relu"}]
    searcher = ConcurrencyLimiter(OptunaSearch(points_to_evaluate=initial, seed=3), max_concurrent=1)
    results = tune.Tuner(
        objective,
        param_space=space,
        tune_config=tune.TuneConfig(metric="mean_loss", mode="min", search_alg=searcher, num_samples=8),
    ).fit()
    assert results.get_best_result().config == {"width": 4, "height": -10, "activation": "relu"}

    searcher = OptunaSearch(space=define_by_run, metric="mean_loss", mode="min", seed=1)
    results = tune.Tuner(objective, tune_config=tune.TuneConfig(search_alg=searcher, num_samples=8)).fit()
    assert all(r.config["steps"] == 3 and ("slope" in r.config) == (r.config["activation"] == "relu") for r in results)

    searcher = OptunaSearch(metric=["loss", "gain"], mode=["min", "max"], seed=2)
    results = tune.Tuner(
        two, param_space={"a": tune.uniform(-3, 3)}, tune_config=tune.TuneConfig(search_alg=searcher, num_samples=10)
    ).fit()
    assert results.get_best_result("loss", "min").metrics["loss"] == min(r.metrics["loss"] for r in results)
    assert results.get_best_result("gain", "max").config["a"] == min(r.config["a"] for r in results)
