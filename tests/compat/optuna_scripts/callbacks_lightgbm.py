"""optuna-integration's pruning callback of LightGBM."""

import lightgbm
import optuna
from optuna_integration import LightGBMPruningCallback
from sklearn.datasets import load_breast_cancer

X, y = load_breast_cancer(return_X_y=True)


def objective(trial):
    data = lightgbm.Dataset(X[::2], y[::2])
    options = {
        "objective": "binary",
        "metric": "auc",
        "verbosity": -1,
        "num_threads": 1,
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 0.3, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 2, 31),
    }
    valid = data.create_valid(X[1::2], y[1::2])
    callback = LightGBMPruningCallback(trial, "auc")
    model = lightgbm.train(options, data, 10, valid_sets=[valid], callbacks=[callback])
    return model.best_score["valid_0"]["auc"]


if __name__ == "__main__":
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    study.optimize(objective, n_trials=10)
    names = {trial.state.name for trial in study.trials}
    assert names == {"COMPLETE", "PRUNED"}, names
    assert all(trial.intermediate_values for trial in study.trials)
    print("best above 0.9:", study.best_value > 0.9)
