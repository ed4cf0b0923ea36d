"""A random forest tuned by SMAC, which is itself built on random forests."""

# needs: smac
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

import tune_core as tune
from tune_core.search.smac import SMACSearch

X, y = load_wine(return_X_y=True)


def objective(config):
    model = RandomForestClassifier(random_state=0, n_jobs=1, **config)
    return {"accuracy": cross_val_score(model, X, y, cv=3).mean()}


results = tune.Tuner(
    objective,
    param_space={
        "n_estimators": tune.lograndint(5, 60),
        "max_depth": tune.randint(1, 9),
        "max_features": tune.quniform(0.1, 1.0, 0.1),
        "criterion": tune.choice(["gini", "entropy"]),
    },
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        search_alg=SMACSearch(),
        num_samples=16,
        max_concurrent_trials=2,
        seed=0,
    ),
    run_config=tune.RunConfig(verbose=0),
).fit()

best = results.get_best_result()
print(
    f"Best of {len(results)} trials: "
    f"accuracy {best.metrics['accuracy']:.3f} with {best.config}"
)
