"""XGBoost on the breast cancer data: one more argument of `xgboost.train`, and ASHA
ends poor trials.
"""

import xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import tune_core as tune
from tune_core.schedulers import ASHAScheduler
from tune_xgboost import TuneReportCheckpointCallback, get_model

ROUNDS = 81


def train(config, data):
    X_train, X_valid, y_train, y_valid = data
    params = {
        "objective": "binary:logistic",
        "eval_metric": ["logloss", "error"],
        "seed": 0,
        **config,
    }
    xgboost.train(
        params,
        xgboost.DMatrix(X_train, y_train),
        num_boost_round=ROUNDS,
        evals=[(xgboost.DMatrix(X_valid, y_valid), "valid")],
        verbose_eval=False,
        callbacks=[
            TuneReportCheckpointCallback(
                {"logloss": "valid-logloss", "error": "valid-error"}
            )
        ],  # the change
    )


X, y = load_breast_cancer(return_X_y=True)
data = train_test_split(X, y, test_size=0.25, stratify=y, random_state=1)

results = tune.Tuner(
    tune.with_parameters(train, data=data),
    param_space={
        "eta": tune.loguniform(1e-3, 1.0),
        "max_depth": tune.randint(1, 8),
        "subsample": tune.uniform(0.5, 1.0),
        "min_child_weight": tune.choice([1, 2, 4]),
    },
    tune_config=tune.TuneConfig(
        metric="logloss",
        mode="min",
        num_samples=30,
        scheduler=ASHAScheduler(max_t=ROUNDS, grace_period=3, reduction_factor=3),
        seed=3,
    ),
    run_config=tune.RunConfig(verbose=0),
).fit()

best = results.get_best_result()
rounds = sum(result.metrics["training_iteration"] for result in results)
asked = len(results) * ROUNDS
print(
    f"Best of {len(results)} trials: logloss {best.metrics['logloss']:.4f}, "
    f"error {best.metrics['error']:.1%}"
)
print("with " + ", ".join(f"{name}={value:.3g}" for name, value in best.config.items()))
print(
    f"Boosting rounds: {rounds} of {asked}, "
    f"{1 - rounds / asked:.0%} saved by early stopping"
)
print(f"Its model has {get_model(best.checkpoint).num_boosted_rounds()} rounds")
