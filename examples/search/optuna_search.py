"""Optuna with two objectives: how well a random forest does, and how many nodes it
has. Prints the best compromises.
"""

# needs: optuna

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

import tune_core as tune
from tune_core.search.optuna import OptunaSearch

X, X_test, y, y_test = train_test_split(*load_wine(return_X_y=True), random_state=1)


def objective(config):
    model = RandomForestClassifier(random_state=0, n_jobs=1, **config).fit(X, y)
    nodes = sum(tree.tree_.node_count for tree in model.estimators_)
    return {"accuracy": model.score(X_test, y_test), "nodes": nodes}


results = tune.Tuner(
    objective,
    param_space={
        "n_estimators": tune.lograndint(1, 60),
        "max_depth": tune.randint(1, 9),
        "min_samples_leaf": tune.randint(1, 9),
    },
    tune_config=tune.TuneConfig(
        search_alg=OptunaSearch(metric=["accuracy", "nodes"], mode=["max", "min"]),
        num_samples=30,
        max_concurrent_trials=2,
        seed=0,
    ),
    run_config=tune.RunConfig(verbose=0),
).fit()

front = results.pareto_front(["accuracy", "nodes"], ["max", "min"])
for best in sorted(front, key=lambda result: result.metrics["nodes"]):
    print(
        f"{best.metrics['nodes']:5} nodes: "
        f"accuracy {best.metrics['accuracy']:.3f} with {best.config}"
    )
volume = results.hypervolume(["accuracy", "nodes"], ["max", "min"], (0.0, 1000))
print(
    f"{len(front)} of {len(results)} trials are on the front; hypervolume {volume:.0f}"
)
