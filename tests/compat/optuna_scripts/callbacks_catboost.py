"""optuna-integration's pruning callback of CatBoost."""

import catboost
import optuna
from optuna_integration import CatBoostPruningCallback
from sklearn.datasets import load_breast_cancer

X, y = load_breast_cancer(return_X_y=True)


def objective(trial):
    model = catboost.CatBoostClassifier(
        iterations=10,
        thread_count=1,
        eval_metric="AUC",
        allow_writing_files=False,
        learning_rate=trial.suggest_float("learning_rate", 1e-3, 0.3, log=True),
        depth=trial.suggest_int("depth", 1, 6),
        bootstrap_type=trial.suggest_categorical("bootstrap_type", ["Bayesian", "Bernoulli"]),
    )
    callback = CatBoostPruningCallback(trial, "AUC")
    model.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], verbose=0, callbacks=[callback])
    callback.check_pruned()
    return model.get_best_score()["validation"]["AUC"]


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
