"""Prune unpromising trials of an incremental classifier."""

import optuna
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

X, y = load_digits(return_X_y=True)
split = train_test_split(X / 16.0, y, test_size=0.3, random_state=0)


def objective(trial):
    X_train, X_valid, y_train, y_valid = split
    alpha = trial.suggest_float("alpha", 1e-6, 10.0, log=True)
    model = SGDClassifier(alpha=alpha, random_state=0)
    for step in range(8):
        model.partial_fit(X_train, y_train, classes=range(10))
        trial.report(model.score(X_valid, y_valid), step)
        if trial.should_prune():
            raise optuna.TrialPruned()
    return model.score(X_valid, y_valid)


if __name__ == "__main__":
    pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    sampler = optuna.samplers.TPESampler(seed=1)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    study.optimize(objective, n_trials=16)

    states = optuna.trial.TrialState
    pruned = study.get_trials(deepcopy=False, states=[states.PRUNED])
    complete = study.get_trials(deepcopy=False, states=[states.COMPLETE])
    assert len(pruned) + len(complete) == 16
    assert pruned and complete
    assert all(trial.intermediate_values for trial in pruned)
    assert study.best_value == max(trial.value for trial in complete)
    print("pruned some:", bool(pruned), "| best above 0.9:", study.best_value > 0.9)
