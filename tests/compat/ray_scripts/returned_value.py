"""A function that returns its metrics: a dict, or a bare number for a run without a metric's name."""

from ray import tune


def square(config):
    return {"loss": (config["x"] - 2) ** 2}


def bare(config):
    return config["x"] ** 2


if __name__ == "__main__":
    space = {"x": tune.grid_search([0, 1, 2, 3])}
    results = tune.Tuner(square, param_space=space).fit()
    assert results.get_best_result("loss", "min").config["x"] == 2
    assert results.get_best_result(metric="loss", mode="max").config["x"] == 0

    analysis = tune.run(bare, config=space, mode="max", verbose=0)
    assert analysis.best_config == {"x": 3}
    assert analysis.best_result["_metric"] == 9
