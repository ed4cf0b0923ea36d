"""optuna-integration's pruning callbacks with the estimators and the cross-validation of XGBoost and LightGBM."""

import lightgbm
import optuna
import xgboost
from sklearn.datasets import load_breast_cancer

X, y = load_breast_cancer(return_X_y=True)


def with_estimators(trial):
    rate = trial.suggest_float("rate", 1e-3, 0.5, log=True)
    if trial.suggest_categorical("library", ["xgboost", "lightgbm"]) == "xgboost":
        callback = optuna.integration.XGBoostPruningCallback(trial, "validation_0-auc")
        model = xgboost.XGBClassifier(
            n_estimators=8, max_depth=2, n_jobs=1, learning_rate=rate, eval_metric="auc", callbacks=[callback]
        )
        model.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], verbose=False)
    else:
        model = lightgbm.LGBMClassifier(n_estimators=8, num_leaves=4, n_jobs=1, learning_rate=rate, verbosity=-1)
        callback = optuna.integration.LightGBMPruningCallback(trial, "auc", report_interval=2)
        model.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], eval_metric="auc", callbacks=[callback])
    return model.score(X[1::2], y[1::2])


def with_cross_validation(trial):
    rate = trial.suggest_float("rate", 1e-3, 0.5, log=True)
    if trial.suggest_categorical("library", ["xgboost", "lightgbm"]) == "xgboost":
        found = xgboost.cv(
            {"objective": "binary:logistic", "eta": rate, "nthread": 1, "max_depth": 2, "eval_metric": "auc"},
            xgboost.DMatrix(X, y),
            num_boost_round=6,
            nfold=3,
            callbacks=[optuna.integration.XGBoostPruningCallback(trial, "test-auc")],
        )
        return found["test-auc-mean"].iloc[-1]
    found = lightgbm.cv(
        {"objective": "binary", "metric": "auc", "learning_rate": rate, "num_threads": 1, "verbosity": -1},
        lightgbm.Dataset(X, y),
        6,
        nfold=3,
        callbacks=[optuna.integration.LightGBMPruningCallback(trial, "auc")],
    )
    return found["valid auc-mean"][-1]


if __name__ == "__main__":
    for objective in (with_estimators, with_cross_validation):
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(seed=2),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
        )
        study.optimize(objective, n_trials=12)
        names = {trial.state.name for trial in study.trials}
        assert names == {"COMPLETE", "PRUNED"}, names
        assert {trial.params["library"] for trial in study.trials} == {"xgboost", "lightgbm"}
        print("best above 0.6:", study.best_value > 0.6)
