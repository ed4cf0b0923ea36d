"""Handwritten digits with Keras, and HyperOpt proposing: everything is passed to
`tune.run`, as in older scripts.
"""

# needs: hyperopt
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import tune_core as tune
from tune_core.schedulers import ASHAScheduler
from tune_core.search.hyperopt import HyperOptSearch
from tune_keras import TuneReportCheckpointCallback, get_model

EPOCHS = 9


def train(config, data):
    x_train, x_valid, y_train, y_valid = data
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(config["width"], activation=config["activation"]),
            keras.layers.Dropout(config["dropout"]),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(config["lr"]),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        x_train,
        y_train,
        validation_data=(x_valid, y_valid),
        epochs=EPOCHS,
        batch_size=64,
        verbose=0,
        callbacks=[
            TuneReportCheckpointCallback({"accuracy": "val_accuracy"}, frequency=0)
        ],  # the change
    )


x, y = load_digits(return_X_y=True)
data = train_test_split(x / 16, y, test_size=0.25, stratify=y, random_state=0)

analysis = tune.run(
    tune.with_parameters(train, data=data),
    metric="accuracy",
    mode="max",
    config={
        "width": tune.qrandint(16, 96, 16),
        "activation": tune.choice(["relu", "tanh"]),
        "dropout": tune.uniform(0.0, 0.5),
        "lr": tune.loguniform(1e-4, 1e-1),
    },
    search_alg=HyperOptSearch(random_state_seed=1, n_initial_points=6),
    scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=1, reduction_factor=3),
    num_samples=16,
    verbose=0,
)

epochs = sum(trial.last_result["training_iteration"] for trial in analysis.trials)
asked = len(analysis.trials) * EPOCHS
print(
    f"Best accuracy {analysis.best_result['accuracy']:.4f} with {analysis.best_config}"
)
print(f"Epochs: {epochs} of {asked}, {1 - epochs / asked:.0%} saved by early stopping")
print(
    "Its model, loaded again, has "
    f"{get_model(analysis.best_checkpoint).count_params()} weights"
)
