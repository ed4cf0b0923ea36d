"""optuna-integration's search for scikit-learn, over a study of the caller's own, with pruning."""

import optuna
from optuna.distributions import FloatDistribution
from optuna_integration import OptunaSearchCV
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier

if __name__ == "__main__":
    X, y = load_iris(return_X_y=True)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    search = OptunaSearchCV(
        SGDClassifier(random_state=0),
        {"alpha": FloatDistribution(1e-6, 10.0, log=True), "eta0": FloatDistribution(1e-3, 1.0, log=True)},
        cv=3,
        enable_pruning=True,
        max_iter=6,
        n_trials=10,
        random_state=0,
        study=study,
    )
    search.fit(X, y)
    assert search.study_ is study
    names = {trial.state.name for trial in study.trials}
    assert names == {"COMPLETE", "PRUNED"}, names
    assert len(search.cv_results_["mean_test_score"]) == 10
    assert search.best_params_ == study.best_params
    print("best above 0.6:", search.best_score_ > 0.6, search.predict(X).shape)
