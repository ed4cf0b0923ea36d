"""optuna-integration's pruning callback of Keras."""

import keras
import optuna
from optuna_integration import KerasPruningCallback
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale

X, y = load_iris(return_X_y=True)
X = scale(X)


def objective(trial):
    keras.utils.set_random_seed(trial.number)
    units = trial.suggest_int("units", 2, 16)
    model = keras.Sequential([keras.layers.Dense(units, activation="relu"), keras.layers.Dense(3)])
    model.compile(
        optimizer=keras.optimizers.Adam(trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    callbacks = [KerasPruningCallback(trial, "val_loss", interval=2)]
    history = model.fit(
        X[::2], y[::2], batch_size=25, epochs=8, validation_data=(X[1::2], y[1::2]), callbacks=callbacks, verbose=0
    )
    return history.history["val_loss"][-1]


if __name__ == "__main__":
    study = optuna.create_study(
        sampler=optuna.samplers.RandomSampler(seed=0), pruner=optuna.pruners.MedianPruner(n_startup_trials=3)
    )
    study.optimize(objective, n_trials=8)
    names = {trial.state.name for trial in study.trials}
    assert names == {"COMPLETE", "PRUNED"}, names
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    assert all(sorted(trial.intermediate_values) == [1, 3, 5, 7] for trial in complete)
    print("best below 0.9:", study.best_value < 0.9)
