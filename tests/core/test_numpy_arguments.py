"""Counts, seeds, bounds and amounts may be NumPy's: each door takes them, and keeps Python's own numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core import schedulers
from tune_core.compat.scaling import ScalingConfig
from tune_core.core.constraints import constraints_from
from tune_core.core.validation import python_list, python_value
from tune_core.errors import InvalidArgumentError, ResourceError
from tune_core.integration import check_count, steps
from tune_core.logger import TBXLoggerCallback
from tune_core.search import AutoSearch, BasicVariantGenerator, ConcurrencyLimiter, Repeater
from tune_core.search.bayesopt import _own_bounds
from tune_core.search.encoding.native_spaces import from_ax
from tune_core.simulation import Faults
from tune_core.trainable.resources import check_resources

np = pytest.importorskip("numpy")


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(2), 2),
    ],
    ids=repr,
)
def test_scalars_become_pythons_own(given: Any, plain: object) -> None:
    found = python_value(given)
    assert found == plain
    assert type(found) is type(plain)


def test_other_values_stay_as_they_are() -> None:
    array = np.arange(3)
    for value in (None, 3, "a", [1], array, {"x": np.int64(1)}):
        assert python_value(value) is value
    assert python_list(array) == [0, 1, 2]
    assert type(python_list([np.int64(1), "a"])[0]) is int
    assert python_list("text") == "text"


# --- every argument of these that is a number or a truth value --------------------------------------------------------

GIVEN: dict[str, Any] = {
    "max_concurrent_trials": 2,
    "time_budget_s": 5.0,
    "trial_timeout_s": 4.0,
    "seed": 3,
    "reuse_actors": True,
    "end_grace_s": 3.0,
    "verbose": 1,
    "ray_files": True,
    "num_to_keep": 2,
    "num_cpus": 2,
    "num_gpus": 0,
    "idle_s": 3.0,
    "random_state": 3,
    "num_trials": 9,
    "perturbation_interval": 4,
    "max_concurrent": 2,
}

DOORS: dict[str, Callable[..., Any]] = {
    "TuneConfig": tune.TuneConfig,
    "RunConfig": tune.RunConfig,
    "FailureConfig": tune.FailureConfig,
    "CheckpointConfig": tune.CheckpointConfig,
    "SyncConfig": tune.SyncConfig,
    "LocalExecutor": tune.LocalExecutor,
    "RayExecutor": tune.RayExecutor,
    "Faults": Faults,
    "BasicVariantGenerator": BasicVariantGenerator,
    "AutoSearch": AutoSearch,
    "ConcurrencyLimiter": ConcurrencyLimiter,
    "Repeater": Repeater,
    "TBXLoggerCallback": TBXLoggerCallback,
    "ASHA": schedulers.ASHAScheduler,
    "PASHA": schedulers.PASHAScheduler,
    "HyperBand": schedulers.HyperBandScheduler,
    "SuccessiveHalving": schedulers.SuccessiveHalvingScheduler,
    "Median": schedulers.MedianStoppingRule,
    "PBT": schedulers.PopulationBasedTraining,
    "PB2": schedulers.PB2,
    "PercentilePruner": schedulers.PercentilePruner,
    "PatientPruner": schedulers.PatientPruner,
    "WilcoxonPruner": schedulers.WilcoxonPruner,
    "DistributeResources": schedulers.DistributeResources,
}

NEEDED: dict[str, dict[str, Any]] = {
    "ConcurrencyLimiter": {"searcher": BasicVariantGenerator(), "max_concurrent": 2},
    "Repeater": {"searcher": BasicVariantGenerator()},
    "PBT": {"hyperparam_mutations": {"lr": tune.uniform(0, 1)}},
    "PB2": {"hyperparam_bounds": {"lr": [0, 1]}},
    "PercentilePruner": {"percentile": 25.0},
    "PatientPruner": {"wrapped_pruner": None, "patience": 2},
}


def as_numpy(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [np.bool_(value)]
    return [np.int64(value), np.uint64(value)] if isinstance(value, int) else [np.float64(value), np.float32(value)]


def arguments() -> Iterator[tuple[str, str, Any]]:
    for name, door in DOORS.items():
        for parameter in inspect.signature(door).parameters.values():
            value = NEEDED.get(name, {}).get(parameter.name, parameter.default)
            if not isinstance(value, (bool, int, float)):
                value = GIVEN.get(parameter.name)
            if isinstance(value, (bool, int, float)):
                yield name, parameter.name, value


def of_numpy(value: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """Where an object keeps values of NumPy's."""
    if isinstance(value, np.generic):
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from of_numpy(inner, f"{path}[{key}]", depth + 1)
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from of_numpy(inner, f"{path}[{i}]", depth + 1)
    elif depth < 3 and hasattr(value, "__dict__") and type(value).__module__.startswith("tune_core"):
        for key, inner in vars(value).items():
            yield from of_numpy(inner, f"{path}.{key}", depth + 1)


@pytest.mark.parametrize(("name", "parameter", "value"), list(arguments()))
def test_a_numpy_number_is_taken_and_kept_as_pythons(name: str, parameter: str, value: Any) -> None:
    for given in as_numpy(value):
        made = DOORS[name](**{**NEEDED.get(name, {}), parameter: given})
        assert list(of_numpy(made)) == []


def test_what_was_refused_still_is() -> None:
    for refused in (np.float64(2.5), np.bool_(True), np.int64(-2), np.array([3])):
        with pytest.raises(InvalidArgumentError, match=r"TuneConfig\(num_samples\)"):
            tune.TuneConfig(num_samples=refused)
    for refused in (np.float64(2), np.bool_(True), np.int64(-1)):
        with pytest.raises(InvalidArgumentError, match=r"TuneConfig\(seed\)"):
            tune.TuneConfig(seed=refused)
    with pytest.raises(ResourceError, match="nan"):
        check_resources({"cpu": np.float64("nan")}, "resources")


# --- values inside others ---------------------------------------------------------------------------------------------


def test_amounts_of_resources() -> None:
    found = check_resources({"cpu": np.float64(0.5), "gpu": np.int64(2), "disk": np.float32(1.5)}, "resources")
    assert found == {"cpu": 0.5, "gpu": 2, "disk": 1.5}
    assert [type(amount) for amount in found.values()] == [float, int, float]


def test_bounds_of_constraints() -> None:
    [constraint] = constraints_from({"cost": ("<=", np.float32(0.5))})
    assert constraint.bound == 0.5
    with pytest.raises(InvalidArgumentError):
        constraints_from({"cost": ("<=", np.float32("inf"))})


def test_rewards_of_points_that_were_tried_before() -> None:
    points = [{"x": np.float64(0.25)}, {"x": 0.5}]
    search = AutoSearch(points_to_evaluate=np.array(points), evaluated_rewards=np.array([0.25, 0.5]))
    assert [type(reward) for reward in search._rewards or ()] == [float, float]
    with pytest.raises(InvalidArgumentError, match="evaluated_rewards"):
        AutoSearch(points_to_evaluate=points, evaluated_rewards=np.array([0.3]))


def test_mutations_and_bounds_of_populations() -> None:
    pbt = schedulers.PopulationBasedTraining(
        hyperparam_mutations={"lr": np.linspace(0.25, 1, 4), "net": {"units": [np.int64(8), np.int64(16)]}},
        perturbation_factors=np.array([1.2, 0.8]),
    )
    assert pbt.hyperparam_mutations == {"lr": [0.25, 0.5, 0.75, 1.0], "net": {"units": [8, 16]}}
    assert not list(of_numpy(pbt.hyperparam_mutations)) and not list(of_numpy(pbt.perturbation_factors))
    pb2 = schedulers.PB2(hyperparam_bounds={"units": np.array([8, 64])})
    assert pb2.hyperparam_bounds == {"units": [8, 64]}
    assert type(pb2._unscale(("units",), 0.5)) is int


def test_workers_and_bounds_in_the_notation_of_others() -> None:
    assert len(ScalingConfig(num_workers=np.int64(2)).as_placement_group_factory().bundles) == 3
    assert str(_own_bounds({"x": (np.int64(0), np.float32(1))})) == str({"x": tune.uniform(0, 1.0)})
    given = {"name": "x", "type": "range", "bounds": [np.int64(1), np.int64(4)]}
    assert str(from_ax([given])) == str({"x": tune.randint(1, 5)})


def test_steps_between_whole_numbers_stay_whole() -> None:
    assert str(steps(np.int64(1), np.int64(6), np.int64(2))) == "choice([1, 3, 5])"


def test_counts_of_callbacks() -> None:
    check_count("Callback", "frequency", np.int64(2))
    for refused in (np.int64(-1), np.bool_(True), np.float64(1)):
        with pytest.raises(InvalidArgumentError, match="frequency"):
            check_count("Callback", "frequency", refused)


# --- whole runs -------------------------------------------------------------------------------------------------------


def objective(config: dict[str, Any]) -> None:
    tune.report({"loss": config["x"], "cost": 1.0})


def test_a_run_with_numpys_numbers_everywhere_is_the_same_run(tmp_path: Path) -> None:
    def values(number: Callable[[int], Any]) -> list[float]:
        results = tune.Tuner(
            tune.with_resources(objective, {"cpu": number(1)}),
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(
                metric="loss", mode="min", num_samples=number(3), seed=number(3), max_concurrent_trials=number(2),
                constraints={"cost": ("<=", number(2))},
            ),
            run_config=tune.RunConfig(
                storage_path=str(tmp_path),
                verbose=number(0),
                executor=tune.InlineExecutor(),
                failure_config=tune.FailureConfig(max_failures=number(1)),
                checkpoint_config=tune.CheckpointConfig(num_to_keep=number(1)),
                stop={"training_iteration": number(5)},
            ),
        ).fit()  # fmt: skip
        path = results.experiment_path
        more = tune.Tuner.restore(path, tune.with_resources(objective, {"cpu": 1}), num_samples=number(4)).fit()
        return [result.metrics["loss"] for result in more]

    assert len(values(int)) == 4
    assert values(np.int64) == values(int)


def test_a_simulation_with_numpys_numbers_is_the_same_simulation() -> None:
    def curve(config: dict[str, Any], step: int) -> Any:
        return (np.float64(1.0), {"loss": config["x"] + 1 / step}) if step <= 9 else None

    def journal(number: Callable[[int], Any]) -> bytes:
        return tune.simulate(
            curve, {"x": tune.uniform(0, 1)}, metric="loss", mode="min", num_samples=number(9), workers=number(2),
            seed=number(1), max_failures=number(1), scheduler=tune.ASHAScheduler(max_t=number(9)),
        ).journal  # fmt: skip

    assert journal(np.int64) == journal(int)
