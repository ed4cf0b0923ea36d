"""LightGBM with its callback, its metrics renamed."""

import lightgbm as lgb
import sklearn.datasets
from ray import tune
from ray.tune.integration.lightgbm import TuneReportCheckpointCallback
from sklearn.model_selection import train_test_split


def train_breast_cancer(config):
    data, target = sklearn.datasets.load_breast_cancer(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(data, target, test_size=0.25, random_state=0)
    train_set = lgb.Dataset(train_x, label=train_y)
    lgb.train(
        {**config, "num_threads": 1},
        train_set,
        num_boost_round=5,
        valid_sets=[lgb.Dataset(test_x, label=test_y)],
        valid_names=["eval"],
        callbacks=[
            TuneReportCheckpointCallback(
                {"binary_error": "eval-binary_error", "logloss": "eval-binary_logloss"}, frequency=1
            )
        ],
    )


if __name__ == "__main__":
    results = tune.Tuner(
        train_breast_cancer,
        param_space={
            "objective": "binary",
            "metric": ["binary_error", "binary_logloss"],
            "verbose": -1,
            "num_leaves": tune.randint(10, 100),
            "learning_rate": tune.loguniform(1e-3, 1e-1),
        },
        tune_config=tune.TuneConfig(metric="logloss", mode="min", num_samples=3),
    ).fit()
    assert not results.errors, results.errors
    best = results.get_best_result()
    assert best.metrics["training_iteration"] == 5
    booster = TuneReportCheckpointCallback.get_model(best.checkpoint)
    assert booster.current_iteration() == 5
