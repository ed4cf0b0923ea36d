"""A Keras model whose parameters HyperOpt proposes: one callback reports each epoch."""

# needs: hyperopt
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
from sklearn.datasets import load_digits

import tune_core as tune
from tune_core.search.hyperopt import HyperOptSearch
from tune_keras import TuneReportCallback


def train(config):
    X, y = load_digits(return_X_y=True)
    model = keras.Sequential(
        [
            keras.layers.Dense(config["units"], activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config["lr"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        X / 16,
        y,
        epochs=5,
        validation_split=0.25,
        verbose=0,
        callbacks=[TuneReportCallback({"accuracy": "val_accuracy"})],  # (1)
    )


results = tune.Tuner(
    train,
    param_space={
        "lr": tune.loguniform(1e-4, 1e-1),
        "units": tune.choice([32, 64, 128]),
    },
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        num_samples=8,
        search_alg=HyperOptSearch(random_state_seed=1),  # (2)
    ),
).fit()
print(results.get_best_result(scope="all").config)  # (3)
