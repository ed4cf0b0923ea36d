"""The demonstration: a digit classifier of scikit-learn, trained epoch by epoch, tuned with ASHA on local workers."""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

from tune_core.core.values import Config
from tune_core.errors import MissingDependencyError

EPOCHS = 81


@functools.cache
def digits() -> tuple[Any, Any, Any, Any]:
    """The bundled images of handwritten digits, scaled and split: train and test images, train and test labels."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images / 16.0, labels, test_size=0.25, random_state=0, stratify=labels)
    return tuple(split)


def train_digits(config: Config) -> None:
    """Train a linear classifier by stochastic gradient descent, reporting its test accuracy after each epoch."""
    import numpy as np
    from sklearn.linear_model import SGDClassifier

    import tune_core as tune

    x_train, x_test, y_train, y_test = digits()
    model = SGDClassifier(
        loss=config["loss"],
        alpha=config["alpha"],
        learning_rate="constant",
        eta0=config["eta0"],
        average=config["average"],
        random_state=0,
    )
    order = np.random.default_rng(0)
    for _ in range(EPOCHS):
        shuffled = order.permutation(len(x_train))
        model.partial_fit(x_train[shuffled], y_train[shuffled], classes=np.arange(10))
        tune.report({"accuracy": float(model.score(x_test, y_test))})


def run(num_samples: int = 100, storage_path: str | None = None, verbose: int = 1, seed: int = 0) -> Any:
    """Run the demonstration and return its :class:`tune_core.ResultGrid`.

    Raises
    ------
    MissingDependencyError
        If scikit-learn is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise MissingDependencyError("tune-core demo", "sklearn", "sklearn")

    import tune_core as tune
    from tune_core.schedulers import ASHAScheduler

    tuner = tune.Tuner(
        train_digits,
        param_space={
            "loss": tune.choice(["hinge", "log_loss", "modified_huber"]),
            "alpha": tune.loguniform(1e-6, 1e-1),
            "eta0": tune.loguniform(1e-4, 1.0),
            "average": tune.choice([True, False]),
        },
        tune_config=tune.TuneConfig(
            metric="accuracy",
            mode="max",
            num_samples=num_samples,
            scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=1, reduction_factor=3),
            seed=seed,
        ),
        run_config=tune.RunConfig(storage_path=storage_path, verbose=verbose),
    )
    return tuner.fit()


def verdict(results: Any) -> str:
    """What the demonstration showed, in a few lines."""
    _, accuracy, _ = results.best_value(scope="all")
    stopped = next((result for result in results if result.reason), results[0])
    epochs = sum(result.metrics.get("training_iteration", 0) for result in results)
    every = len(results) * EPOCHS
    return (
        f"\nThe best of {len(results)} classifiers recognises {accuracy:.1%} of the test digits.\n"
        f"ASHA spent {epochs} epochs of training; running every trial to its end would have taken {every}.\n"
        f"Why a trial was stopped: tune-core explain {results.experiment_path} {stopped.trial_id}\n"
        f"Look at all of it: tune-core report {results.experiment_path} -o report.html"
        f"; live: tune-core dashboard {results.experiment_path}"
    )
