"""A result reports the value of the model in the checkpoint that it names, with early stopping and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

keras = pytest.importorskip("keras")

import numpy as np

from integrations.runs import run, stop_at
from tune_keras import TuneReportCheckpointCallback, get_model

X = np.random.default_rng(0).normal(size=(64, 4))
Y = X.sum(axis=1, keepdims=True) + np.random.default_rng(1).normal(size=(64, 1))


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("frequency", [0, 1])
@pytest.mark.parametrize("order", ["alone", "before", "after"])
def test_reported_value_is_that_of_the_checkpoints_model(
    tmp_path: Path, order: str, frequency: int, stopped: bool
) -> None:
    def objective(config: dict[str, Any]) -> None:
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.7, momentum=0.9), "mse")  # gets worse after its best epoch
        ours = TuneReportCheckpointCallback({"loss": "val_loss"}, frequency=frequency)
        stop = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
        callbacks = {"alone": [ours], "before": [stop, ours], "after": [ours, stop]}[order]
        model.fit(X[:32], Y[:32], validation_data=(X[32:], Y[32:]), epochs=6, verbose=0, callbacks=callbacks)

    result = run(objective, tmp_path, scheduler=stop_at(3) if stopped else None)
    assert result.checkpoint is not None
    for checkpoint, metrics in result.best_checkpoints:
        again = get_model(checkpoint).evaluate(X[32:], Y[32:], verbose=0)
        assert again == pytest.approx(metrics["loss"], rel=1e-5), metrics["training_iteration"]
