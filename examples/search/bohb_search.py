"""BOHB's model beside ASHA: a perceptron is trained epoch by epoch, and the model
learns from each budget reached.
"""

# needs: hpbandster, ConfigSpace

from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

import tune_core as tune
from tune_core.search.bohb import TuneBOHB

X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)


def objective(config):
    model = SGDClassifier(random_state=0, learning_rate="constant", **config)
    for _ in range(27):
        model.partial_fit(X, y, classes=range(10))
        tune.report({"accuracy": model.score(X_test, y_test)})


results = tune.Tuner(
    objective,
    param_space={
        "eta0": tune.loguniform(1e-6, 1),
        "alpha": tune.loguniform(1e-7, 1e-1),
        "loss": tune.choice(["hinge", "log_loss", "modified_huber"]),
    },
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        search_alg=TuneBOHB(),
        scheduler=tune.ASHAScheduler(max_t=27),
        num_samples=30,
        max_concurrent_trials=2,
        seed=0,
    ),
    run_config=tune.RunConfig(verbose=0),
).fit()

best = results.get_best_result()
epochs = sum(result.metrics["training_iteration"] for result in results)
print(
    f"Best of {len(results)} trials: "
    f"accuracy {best.metrics['accuracy']:.3f} with {best.config}"
)
print(f"Epochs: {epochs} of {27 * len(results)}")
