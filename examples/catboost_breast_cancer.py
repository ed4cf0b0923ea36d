"""CatBoost on the breast cancer data: the callback reports each iteration, and ASHA
ends poor trials after a few.
"""

from catboost import CatBoostClassifier
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import tune_core as tune
from tune_catboost import TuneReportCheckpointCallback, get_model
from tune_core.schedulers import ASHAScheduler

ITERATIONS = 81


def train(config, data):
    X_train, X_valid, y_train, y_valid = data
    model = CatBoostClassifier(
        iterations=ITERATIONS,
        thread_count=1,
        random_seed=0,
        verbose=0,
        allow_writing_files=False,
        **config,
    )
    callback = TuneReportCheckpointCallback(model, {"logloss": "validation-Logloss"})
    model.fit(
        X_train,
        y_train,
        eval_set=(X_valid, y_valid),
        use_best_model=False,
        callbacks=[callback],
    )  # the change


X, y = load_breast_cancer(return_X_y=True)
data = train_test_split(X, y, test_size=0.25, stratify=y, random_state=1)

results = tune.Tuner(
    tune.with_parameters(train, data=data),
    param_space={
        "learning_rate": tune.loguniform(1e-3, 0.5),
        "depth": tune.randint(2, 7),
        "l2_leaf_reg": tune.loguniform(0.1, 30),
    },
    tune_config=tune.TuneConfig(
        metric="logloss",
        mode="min",
        num_samples=20,
        scheduler=ASHAScheduler(max_t=ITERATIONS, grace_period=3, reduction_factor=3),
        seed=3,
    ),
    run_config=tune.RunConfig(verbose=0),
).fit()

best = results.get_best_result()
done = sum(result.metrics["training_iteration"] for result in results)
asked = len(results) * ITERATIONS
print(f"Best of {len(results)} trials: logloss {best.metrics['logloss']:.4f}")
print("with " + ", ".join(f"{name}={value:.3g}" for name, value in best.config.items()))
print(f"Iterations: {done} of {asked}, {1 - done / asked:.0%} saved by early stopping")
print(f"Its model has {get_model(best.checkpoint).tree_count_} trees")
