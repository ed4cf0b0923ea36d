"""Handwritten digits: a neural network trained epoch by epoch, with ASHA and
without, on the same configurations.
"""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import tune_core as tune
from tune_core.schedulers import ASHAScheduler

EPOCHS = 27


def train(config, data):
    X_train, X_valid, y_train, y_valid = data
    model = MLPClassifier(
        hidden_layer_sizes=(config["width"],) * config["layers"],
        learning_rate_init=config["learning_rate"],
        alpha=config["alpha"],
        batch_size=config["batch_size"],
        random_state=0,
    )
    for _ in range(EPOCHS):
        model.partial_fit(X_train, y_train, classes=range(10))
        tune.report({"accuracy": model.score(X_valid, y_valid)})


X, y = load_digits(return_X_y=True)
data = train_test_split(X / 16.0, y, test_size=0.3, stratify=y, random_state=0)


def tune_with(scheduler):
    return tune.Tuner(
        tune.with_parameters(
            train, data=data
        ),  # the arrays are mapped by the workers, not copied into each trial
        param_space={
            "layers": tune.randint(1, 3),
            "width": tune.qlograndint(8, 64, 8),
            "learning_rate": tune.loguniform(1e-5, 1e-1),
            "alpha": tune.loguniform(1e-6, 1e-1),
            "batch_size": tune.choice([32, 64, 128]),
        },
        tune_config=tune.TuneConfig(
            metric="accuracy", mode="max", num_samples=40, scheduler=scheduler, seed=1
        ),
        run_config=tune.RunConfig(verbose=0),
    ).fit()


print(f"{'':>14} {'best accuracy':>14} {'epochs':>7} {'of them':>8}")
for name, scheduler in (
    ("every trial", None),
    ("ASHA", ASHAScheduler(max_t=EPOCHS, grace_period=1, reduction_factor=3)),
):
    results = tune_with(scheduler)
    best = results.get_best_result(scope="all")
    score = best.metrics_dataframe["accuracy"].max()
    epochs = sum(result.metrics["training_iteration"] for result in results)
    print(
        f"{name:>14} {score:>14.4f} {epochs:>7} "
        f"{epochs / (len(results) * EPOCHS):>8.0%}"
    )

print(
    "\nASHA's best: "
    + ", ".join(f"{name}={value:.3g}" for name, value in best.config.items())
)
stopped = max(
    (r for r in results if r.metrics["training_iteration"] < EPOCHS),
    key=lambda r: r.metrics["accuracy"],
)
print("\nThe best of those that it stopped early:\n" + stopped.explain())
