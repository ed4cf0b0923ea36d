"""KerasTuner's `build(hp)` as a search space: kinds of parameters, scopes, branches, models made."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

keras = pytest.importorskip("keras")
kt = pytest.importorskip("keras_tuner")

import numpy as np

import tune_core as tune
from tune_core.errors import SearchSpaceError
from tune_core.space import generate
from tune_keras import TuneReportCallback, default_config, hyperparameters, search_space


@pytest.mark.parametrize(
    ("ask", "domain"),
    [
        (lambda hp: hp.Int("a", 1, 4), tune.randint(1, 5)),
        (lambda hp: hp.Int("a", 32, 100, step=32), tune.qrandint(32, 96, 32)),
        (lambda hp: hp.Int("a", 7, 13, step=3), tune.choice([7, 10, 13])),
        (lambda hp: hp.Int("a", 1, 64, sampling="log"), tune.lograndint(1, 65)),
        (lambda hp: hp.Int("a", 2, 32, step=2, sampling="log"), tune.choice([2, 4, 8, 16, 32])),
        (lambda hp: hp.Int("a", 7, 7), 7),
        (lambda hp: hp.Float("a", 0, 1), tune.uniform(0, 1)),
        (lambda hp: hp.Float("a", 0, 1, step=0.25), tune.quniform(0, 1, 0.25)),
        (lambda hp: hp.Float("a", 1e-4, 1e-1, sampling="log"), tune.loguniform(1e-4, 1e-1)),
        (lambda hp: hp.Choice("a", ["x", "y"]), tune.choice(["x", "y"])),
        (lambda hp: hp.Boolean("a"), tune.choice([False, True])),
        (lambda hp: hp.Fixed("a", 3), 3),
    ],
)
def test_each_kind_of_parameter_is_a_domain(ask: Any, domain: Any) -> None:
    assert search_space(ask) == {"a": domain}


def test_steps_of_both_sides_are_the_same_values() -> None:
    def ask(hp: Any) -> Any:
        return hp.Float("a", 0.1, 0.75, step=0.2), hp.Float("b", 1e-3, 10, step=10, sampling="log")

    hp = kt.HyperParameters()
    ask(hp)
    for theirs, mine in zip(hp.space, search_space(ask).values()):
        assert mine.categories == pytest.approx(list(theirs.values))


def scoped(hp: Any) -> dict[str, Any]:
    found = {"kind": hp.Choice("kind", ["mlp", "cnn", "none"]), "lr": hp.Float("lr", 0.1, 1)}
    with hp.conditional_scope("kind", ["mlp", "cnn"]):
        found["units"] = hp.Int("units", 8, 16)
        found["drop"] = hp.Boolean("drop", default=True)
        with hp.conditional_scope("drop", [True]):
            found["rate"] = hp.Float("rate", 0.1, 0.5)
    with hp.conditional_scope("kind", ["cnn"]):
        found["filters"] = hp.Choice("filters", [3, 5])
    return found


def test_scopes_are_parts_of_a_choice_and_hold_what_keras_tuner_holds() -> None:
    space = search_space(scoped)
    kinds = set()
    for index in range(60):
        config = generate(space, seed=0, index=index)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # nothing is left to a default
            hp = hyperparameters(config)
            got = scoped(hp)
        active = {"kind", "lr"}
        active |= {"units", "drop"} if got["kind"] != "none" else set()
        active |= {"rate"} if got["drop"] else set()
        active |= {"filters"} if got["kind"] == "cnn" else set()
        assert {name for name, value in got.items() if value is not None} == active == set(hp.values)
        kinds.add((got["kind"], got["drop"]))
    assert len(kinds) == 5


def test_parameters_behind_a_branch_of_the_code_are_found() -> None:
    def ask(hp: Any) -> None:
        for i in range(hp.Int("layers", 1, 3)):
            hp.Int(f"units_{i}", 4, 8)
        if hp.Choice("optimizer", ["adam", "sgd"]) == "sgd":
            hp.Float("momentum", 0, 1)

    assert list(search_space(ask)) == ["layers", "units_0", "optimizer", "units_1", "units_2", "momentum"]


def test_parameter_that_the_space_does_not_have_is_said() -> None:
    with pytest.warns(UserWarning, match="'late'.*default 2"):
        assert hyperparameters({"a": 1}).Int("late", 2, 5) == 2


def test_defaults_are_a_point_of_the_space(tmp_path: Path) -> None:
    assert default_config(scoped)["kind"]["kind"] == "mlp"
    from tune_core.search.basic_variant import BasicVariantGenerator

    search = BasicVariantGenerator(points_to_evaluate=[default_config(scoped)])
    grid = tune.Tuner(
        lambda config: {"loss": scoped(hyperparameters(config))["units"]},
        param_space=search_space(scoped),
        tune_config=tune.TuneConfig(search_alg=search, metric="loss", mode="min"),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="inline"),
    ).fit()
    hp = kt.HyperParameters()
    scoped(hp)
    assert hyperparameters(grid[0].config).values == hp.values


def test_sampling_without_counterpart_is_named() -> None:
    with pytest.raises(SearchSpaceError, match="reverse_log"):
        search_space(lambda hp: hp.Float("a", 1, 10, sampling="reverse_log"))


def test_hypermodel_is_built_and_trained_in_trials(tmp_path: Path) -> None:
    class Model(kt.HyperModel):
        def build(self, hp: Any) -> Any:
            model = keras.Sequential(
                [keras.Input((3,)), keras.layers.Dense(hp.Int("units", 2, 5)), keras.layers.Dense(1)]
            )
            model.compile(keras.optimizers.SGD(hp.Float("lr", 1e-3, 1e-1, sampling="log")), "mse")
            return model

    x = np.ones((8, 3))

    def train(config: dict[str, Any]) -> None:
        model = Model().build(hyperparameters(config))
        assert model.layers[0].units == config["units"]
        model.fit(x, x[:, :1], epochs=2, verbose=0, callbacks=[TuneReportCallback()])

    grid = tune.Tuner(
        train,
        param_space=search_space(Model()),
        tune_config=tune.TuneConfig(num_samples=2, metric="loss", mode="min"),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="inline"),
    ).fit()
    assert [result.metrics["training_iteration"] for result in grid] == [2, 2]
