"""Nearest neighbours tuned by HEBO."""

# needs: hebo, torch
from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

import tune_core as tune
from tune_core.search.hebo import HEBOSearch

X, y = load_wine(return_X_y=True)


def objective(config):
    model = KNeighborsClassifier(**config)
    return {"accuracy": cross_val_score(model, X, y, cv=3).mean()}


results = tune.Tuner(
    objective,
    param_space={
        "n_neighbors": tune.randint(1, 40),
        "weights": tune.choice(["uniform", "distance"]),
        "p": tune.uniform(1, 5),
    },
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        search_alg=HEBOSearch(max_concurrent=2),
        num_samples=10,
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
