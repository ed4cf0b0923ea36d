"""A support vector machine tuned by Ax."""

# needs: ax
# slow
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

import tune_core as tune
from tune_core.search.ax import AxSearch

X, y = load_digits(return_X_y=True)


def objective(config):
    model = SVC(C=config["C"], gamma=config["gamma"])
    return {"accuracy": cross_val_score(model, X[:600], y[:600], cv=3).mean()}


results = tune.Tuner(
    objective,
    param_space={
        "C": tune.loguniform(1e-2, 1e3),
        "gamma": tune.loguniform(1e-6, 1e-1),
    },
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        search_alg=AxSearch(),
        num_samples=8,
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
