"""Each domain of a search space, nested and conditional ones, and ``sample_from`` in both of its forms."""

import numpy as np
from ray import tune


def check(config):
    assert -5 <= config["uniform"] <= -1
    assert round(config["quniform"] / 0.2) * 0.2 - config["quniform"] < 1e-9
    assert 1e-4 <= config["loguniform"] <= 1e-1
    assert round(config["qloguniform"] / 5e-5) * 5e-5 - config["qloguniform"] < 1e-12
    assert isinstance(config["randn"], float)
    assert -9 <= config["randint"] < 15 and isinstance(config["randint"], int)
    assert config["qrandint"] % 3 == 0
    assert 1 <= config["lograndint"] < 10
    assert config["choice"] in ("a", "b", "c")
    assert config["func"] == config["uniform"] * 0.01
    assert config["by_config"] == config["uniform"] * 2
    assert config["nested"]["deep"]["width"] in (8, 16)
    assert config["nested"]["depth"] == config["nested"]["deep"]["width"] // 8
    if config["optimizer"]["name"] == "sgd":
        assert 0 <= config["optimizer"]["momentum"] <= 1
    return {"ok": 1, "x": config["uniform"]}


if __name__ == "__main__":
    space = {
        "uniform": tune.uniform(-5, -1),
        "quniform": tune.quniform(3.2, 5.4, 0.2),
        "loguniform": tune.loguniform(1e-4, 1e-1),
        "qloguniform": tune.qloguniform(1e-4, 1e-1, 5e-5),
        "randn": tune.randn(10, 2),
        "qrandn": tune.qrandn(10, 2, 0.2),
        "randint": tune.randint(-9, 15),
        "qrandint": tune.qrandint(-21, 12, 3),
        "lograndint": tune.lograndint(1, 10),
        "qlograndint": tune.qlograndint(1, 10, 2),
        "choice": tune.choice(["a", "b", "c"]),
        "func": tune.sample_from(lambda spec: spec.config.uniform * 0.01),
        "by_config": tune.sample_from(lambda config: config["uniform"] * 2),
        "nested": {
            "deep": {"width": tune.choice([8, 16])},
            "depth": tune.sample_from(lambda spec: spec.config.nested.deep.width // 8),
        },
        "optimizer": tune.choice([{"name": "adam"}, {"name": "sgd", "momentum": tune.uniform(0, 1)}]),
        "grid": tune.grid_search([1, 2]),
        "layers": [tune.choice([1, 2]), tune.choice([3, 4])],
        "constant": np.float64(3.5),
    }
    results = tune.Tuner(check, param_space=space, tune_config=tune.TuneConfig(num_samples=3)).fit()
    assert not results.errors, results.errors
    assert len(results) == 6
    assert sorted(r.config["grid"] for r in results) == [1, 1, 1, 2, 2, 2]
    assert all(r.config["layers"][0] in (1, 2) and r.config["layers"][1] in (3, 4) for r in results)
    assert len({r.config["uniform"] for r in results}) >= 3
