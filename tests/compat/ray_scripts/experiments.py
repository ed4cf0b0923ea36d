"""Trainables by name, ``Experiment`` and ``run_experiments``."""

from ray import tune
from ray.tune.registry import get_trainable_cls, register_trainable


def train_fn(config):
    for i in range(config.get("n", 2)):
        tune.report({"score": config["alpha"] * (i + 1)})


if __name__ == "__main__":
    register_trainable("my_trainable", train_fn)
    assert get_trainable_cls("my_trainable") is not None
    analysis = tune.run(
        "my_trainable", config={"alpha": tune.grid_search([1, 5])}, metric="score", mode="max", verbose=0
    )
    assert analysis.best_config == {"alpha": 5}

    spec = tune.Experiment(
        "alone", run="my_trainable", config={"alpha": tune.grid_search([1, 2, 3])}, stop={"training_iteration": 1}
    )
    trials = tune.run_experiments(spec, verbose=0)
    assert sorted(t.last_result["score"] for t in trials) == [1, 2, 3]
    trials = tune.run_experiments(
        {"as_dict": {"run": "my_trainable", "config": {"alpha": 7, "n": 3}, "num_samples": 2}}, verbose=0
    )
    assert [t.last_result["score"] for t in trials] == [21, 21]
    assert all(t.status == "TERMINATED" for t in trials)
