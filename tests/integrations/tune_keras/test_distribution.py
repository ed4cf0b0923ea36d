"""Keras' own distribution, over the devices of one process, inside a trial: JAX is the backend that has it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

keras = pytest.importorskip("keras")
if keras.config.backend() != "jax":
    pytest.skip("keras.distribution needs Keras on JAX", allow_module_level=True)

import numpy as np

import tune_core as tune
from tune_keras import TuneReportCheckpointCallback, get_model

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def objective(config: dict[str, Any]) -> None:
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"  # read when JAX is first used
    import jax

    assert len(jax.devices()) == 2
    if config["spread"]:
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    if config["spread"]:
        assert len(model.trainable_variables[0].value.sharding.device_set) == 2
    model.fit(
        X, Y, validation_data=(X, Y), batch_size=32, epochs=3, shuffle=False, verbose=0,
        callbacks=[TuneReportCheckpointCallback({"loss": "val_loss"})],
    )  # fmt: skip


@pytest.mark.timeout(300)
def test_model_spread_over_two_devices_learns_what_one_learns_and_is_kept(tmp_path: Path) -> None:
    results = tune.Tuner(
        objective,
        param_space={"spread": tune.grid_search([False, True])},
        tune_config=tune.TuneConfig(reuse_actors=False),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="local"),
    ).fit()
    assert results.num_errors == 0, results.errors
    alone, spread = ([row["loss"] for row in result._history()] for result in results)
    assert len(spread) == 3 and spread[-1] < spread[0]
    assert spread == pytest.approx(alone, rel=1e-4)
    again = get_model(results[1].checkpoint).evaluate(X, Y, verbose=0)
    assert again == pytest.approx(spread[-1], rel=1e-4)
