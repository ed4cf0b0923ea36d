"""LightGBM on the breast cancer data, cross-validated: each round's mean is
reported, and ASHA decides.
"""

import lightgbm
from sklearn.datasets import load_breast_cancer

import tune_core as tune
from tune_core.schedulers import ASHAScheduler
from tune_lightgbm import TuneReportCallback

ROUNDS = 54


def cross_validate(config, data):
    X, y = data
    params = {
        "objective": "binary",
        "metric": ["auc", "binary_logloss"],
        "verbose": -1,
        "seed": 0,
        **config,
    }
    lightgbm.cv(
        params,
        lightgbm.Dataset(X, y),
        num_boost_round=ROUNDS,
        nfold=4,
        callbacks=[
            TuneReportCallback({"auc": "valid-auc-mean", "auc_std": "valid-auc-stdv"})
        ],  # the change
    )


results = tune.Tuner(
    tune.with_parameters(cross_validate, data=load_breast_cancer(return_X_y=True)),
    param_space={
        "learning_rate": tune.loguniform(1e-3, 0.5),
        "num_leaves": tune.lograndint(2, 64),
        "feature_fraction": tune.uniform(0.3, 1.0),
        "min_data_in_leaf": tune.lograndint(2, 50),
    },
    tune_config=tune.TuneConfig(
        metric="auc",
        mode="max",
        num_samples=30,
        scheduler=ASHAScheduler(max_t=ROUNDS, grace_period=2, reduction_factor=3),
        seed=3,
    ),
    run_config=tune.RunConfig(verbose=0),
).fit()

best = results.get_best_result()
rounds = sum(result.metrics["training_iteration"] for result in results)
asked = len(results) * ROUNDS
print(
    f"Best of {len(results)} trials: AUC {best.metrics['auc']:.4f}, "
    f"give or take {best.metrics['auc_std']:.4f}"
)
print("with " + ", ".join(f"{name}={value:.3g}" for name, value in best.config.items()))
print(
    f"Boosting rounds: {rounds} of {asked}, "
    f"{1 - rounds / asked:.0%} saved by early stopping"
)
