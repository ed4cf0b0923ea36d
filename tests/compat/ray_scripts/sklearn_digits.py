"""scikit-learn: partial_fit, reported epoch by epoch, under ASHA."""

from ray import tune
from ray.tune.schedulers import ASHAScheduler
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split


def train_digits(config, data):
    X_train, X_test, y_train, y_test = data
    model = SGDClassifier(alpha=config["alpha"], penalty=config["penalty"], random_state=0)
    for _ in range(config["epochs"]):
        model.partial_fit(X_train, y_train, classes=range(10))
        tune.report({"mean_accuracy": model.score(X_test, y_test)})


if __name__ == "__main__":
    X, y = load_digits(return_X_y=True)
    data = train_test_split(X / 16, y, test_size=0.3, random_state=0)
    results = tune.Tuner(
        tune.with_parameters(train_digits, data=data),
        param_space={"alpha": tune.loguniform(1e-6, 1e1), "penalty": tune.choice(["l2", "l1"]), "epochs": 6},
        tune_config=tune.TuneConfig(
            metric="mean_accuracy", mode="max", num_samples=10, scheduler=ASHAScheduler(max_t=6, grace_period=1)
        ),
        run_config=tune.RunConfig(stop={"mean_accuracy": 0.999}),
    ).fit()
    assert len(results) == 10 and not results.errors
    best = results.get_best_result()
    assert best.metrics["mean_accuracy"] > 0.9
    assert best.metrics["mean_accuracy"] == max(r.metrics["mean_accuracy"] for r in results)
