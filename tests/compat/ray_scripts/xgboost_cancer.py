"""XGBoost with its callback: metrics and checkpoints, and the best model loaded again."""

import sklearn.datasets
import xgboost as xgb
from ray import tune
from ray.tune.integration.xgboost import TuneReportCheckpointCallback
from ray.tune.schedulers import ASHAScheduler
from sklearn.model_selection import train_test_split


def train_breast_cancer(config):
    data, target = sklearn.datasets.load_breast_cancer(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(data, target, test_size=0.25, random_state=0)
    train_set, test_set = xgb.DMatrix(train_x, label=train_y), xgb.DMatrix(test_x, label=test_y)
    xgb.train(
        {**config, "nthread": 1},
        train_set,
        num_boost_round=6,
        evals=[(test_set, "eval")],
        verbose_eval=False,
        callbacks=[TuneReportCheckpointCallback({"loss": "eval-logloss", "error": "eval-error"}, frequency=1)],
    )


if __name__ == "__main__":
    space = {
        "objective": "binary:logistic",
        "eval_metric": ["logloss", "error"],
        "max_depth": tune.randint(1, 9),
        "subsample": tune.uniform(0.5, 1.0),
        "eta": tune.loguniform(1e-3, 1),
    }
    results = tune.Tuner(
        tune.with_resources(train_breast_cancer, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", num_samples=4, scheduler=ASHAScheduler(max_t=6, grace_period=1)
        ),
    ).fit()
    assert not results.errors, results.errors
    best = results.get_best_result()
    assert best.metrics["loss"] == min(r.metrics["loss"] for r in results)
    model = TuneReportCheckpointCallback.get_model(best.checkpoint)
    assert isinstance(model, xgb.Booster) and model.num_boosted_rounds() == best.metrics["training_iteration"]
