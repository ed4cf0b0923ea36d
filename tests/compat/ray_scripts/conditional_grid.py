"""A grid whose second parameter depends on the first, and one inside of a dict."""

from ray import tune


def _iter():
    for a in range(5, 8):
        for b in range(a):
            yield a, b


def train_fn(config):
    a, b = config["ab"] if "ab" in config else (config["a"], config["b"])
    tune.report({"product": a * b})


if __name__ == "__main__":
    results = tune.Tuner(train_fn, param_space={"ab": tune.grid_search(list(_iter()))}).fit()
    assert len(results) == 18
    assert tuple(results.get_best_result("product", "max").config["ab"]) == (7, 6)

    dependent = {"a": tune.grid_search([1, 2]), "b": tune.sample_from(lambda spec: spec.config.a * 100)}
    results = tune.Tuner(train_fn, param_space=dependent).fit()
    assert {(r.config["a"], r.config["b"]) for r in results} == {(1, 100), (2, 200)}
    assert sorted(results.get_dataframe()["product"]) == [100, 400]
