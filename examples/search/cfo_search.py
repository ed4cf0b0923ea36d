"""A decision tree tuned by FLAML's CFO, a local search that begins at a cheap point."""

# needs: flaml
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_score
from sklearn.tree import DecisionTreeClassifier

import tune_core as tune
from tune_core.search.flaml import CFO

X, y = load_breast_cancer(return_X_y=True)


def objective(config):
    model = DecisionTreeClassifier(random_state=0, **config)
    return {"accuracy": cross_val_score(model, X, y, cv=3).mean()}


results = tune.Tuner(
    objective,
    param_space={
        "max_depth": tune.randint(1, 12),
        "min_samples_leaf": tune.lograndint(1, 60),
        "ccp_alpha": tune.loguniform(1e-5, 1e-1),
        "splitter": tune.choice(["best", "random"]),
    },
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        search_alg=CFO(low_cost_partial_config={"max_depth": 1}),
        num_samples=24,
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
