"""The fields that every result has, and those that add up."""

import datetime
import os
import socket

from ray import tune


def train_fn(config):
    for _ in range(3):
        tune.report({"a": 1, "timesteps_this_iter": 10, "episodes_this_iter": 2})


if __name__ == "__main__":
    (result,) = tune.Tuner(train_fn, param_space={"x": 1}).fit()
    metrics = result.metrics
    assert metrics["training_iteration"] == 3 and metrics["iterations_since_restore"] == 3
    assert metrics["timesteps_total"] == 30 and metrics["episodes_total"] == 6
    assert metrics["hostname"] == socket.gethostname()
    assert metrics["pid"] and metrics["node_ip"].count(".") == 3
    assert metrics["config"] == {"x": 1} and metrics["done"] is True
    assert 0 <= metrics["time_this_iter_s"] <= metrics["time_total_s"]
    assert metrics["time_since_restore"] == metrics["time_total_s"]
    assert datetime.datetime.strptime(metrics["date"], "%Y-%m-%d_%H-%M-%S")
    assert metrics["timestamp"] > 1_500_000_000
    assert metrics["trial_id"] in os.path.basename(result.path)
    assert metrics["experiment_tag"].startswith("0")
    assert list(result.metrics_dataframe["timesteps_total"]) == [10, 20, 30]

    results = tune.Tuner(train_fn, run_config=tune.RunConfig(stop={"timesteps_total": 20})).fit()
    assert results[0].metrics["training_iteration"] == 2
