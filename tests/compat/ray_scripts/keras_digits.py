"""Keras with the callback that reports and saves."""

import keras
from ray import tune
from ray.tune.integration.keras import TuneReportCheckpointCallback
from sklearn.datasets import load_digits


def train_digits(config):
    X, y = load_digits(return_X_y=True)
    model = keras.Sequential(
        [keras.layers.Input((64,)), keras.layers.Dense(config["units"], activation="relu"), keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, optimizer=keras.optimizers.Adam(config["lr"]), metrics=["accuracy"])
    model.fit(
        X / 16,
        y,
        batch_size=64,
        epochs=2,
        verbose=0,
        callbacks=[TuneReportCheckpointCallback(metrics={"accuracy": "accuracy"})],
    )


if __name__ == "__main__":
    results = tune.Tuner(
        train_digits,
        param_space={"units": tune.grid_search([4, 32]), "lr": 0.01},
        tune_config=tune.TuneConfig(metric="accuracy", mode="max"),
    ).fit()
    assert not results.errors, results.errors
    best = results.get_best_result()
    assert best.config["units"] == 32 and best.metrics["training_iteration"] == 2
    assert best.checkpoint is not None
