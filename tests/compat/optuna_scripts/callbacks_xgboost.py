"""optuna-integration's pruning callback of XGBoost."""

import optuna
import xgboost
from optuna_integration import XGBoostPruningCallback
from sklearn.datasets import load_breast_cancer

X, y = load_breast_cancer(return_X_y=True)


def objective(trial):
    train, valid = xgboost.DMatrix(X[::2], y[::2]), xgboost.DMatrix(X[1::2], y[1::2])
    options = {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "nthread": 1,
        "eta": trial.suggest_float("eta", 1e-2, 0.5, log=True),
        "max_depth": trial.suggest_int("max_depth", 1, 6),
    }
    callback = XGBoostPruningCallback(trial, "validation-logloss")
    history = {}
    xgboost.train(
        options,
        train,
        8,
        evals=[(valid, "validation")],
        callbacks=[callback],
        evals_result=history,
        verbose_eval=False,
    )
    return history["validation"]["logloss"][-1]


if __name__ == "__main__":
    study = optuna.create_study(
        sampler=optuna.samplers.RandomSampler(seed=1), pruner=optuna.pruners.MedianPruner(n_startup_trials=3)
    )
    study.optimize(objective, n_trials=10)
    names = {trial.state.name for trial in study.trials}
    assert names == {"COMPLETE", "PRUNED"}, names
    print("best below 0.6:", study.best_value < 0.6)
