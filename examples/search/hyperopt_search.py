"""HyperOpt with a conditional space of its own: which model, and the parameters that
only that model has.
"""

# needs: hyperopt

from hyperopt import hp
from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

import tune_core as tune
from tune_core.search.hyperopt import HyperOptSearch

X, y = load_wine(return_X_y=True)
MODELS = {"neighbours": KNeighborsClassifier, "tree": DecisionTreeClassifier}

space = {
    "model": hp.choice(
        "model",
        [
            {"name": "neighbours", "n_neighbors": hp.uniformint("n_neighbors", 1, 40)},
            {
                "name": "tree",
                "max_depth": hp.uniformint("max_depth", 1, 12),
                "ccp_alpha": hp.loguniform("alpha", -9, -2),
            },
        ],
    )
}


def objective(config):
    settings = dict(config["model"])
    model = MODELS[settings.pop("name")](**settings)
    return {"accuracy": cross_val_score(model, X, y, cv=3).mean()}


results = tune.Tuner(
    objective,
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        search_alg=HyperOptSearch(space, n_initial_points=10),
        num_samples=30,
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
