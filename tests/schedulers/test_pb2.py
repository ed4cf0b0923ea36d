"""PB2: within its bounds, repeatable, and better informed than chance."""

from __future__ import annotations

from typing import Any

import pytest

import tune_core as tune
from tune_core.errors import InvalidArgumentError
from tune_core.simulation import Faults, Simulation, simulate

numpy = pytest.importorskip("numpy")

from tune_core.schedulers import PB2
from tune_core.schedulers.pb2 import confidence_width, fitted


def pb2(**more: Any) -> PB2:
    settings = {
        "time_attr": "training_iteration",
        "perturbation_interval": 4,
        "hyperparam_bounds": {"rate": [0.0, 1.0]},
    }
    return PB2(**{**settings, **more})


def grow(config: dict[str, Any], step: int, state: Any) -> Any:
    """The best rate is 0.8."""
    score = (state or 0.0) + 1.0 - abs(config["rate"] - 0.8)
    return (1.0, {"score": score}, score) if step <= 60 else None


def run(scheduler: Any, objective: Any = grow, **more: Any) -> Simulation:
    settings = {"metric": "score", "mode": "max", "workers": 4, "num_samples": 4, **more}
    return simulate(objective, settings.pop("space", {}), scheduler=scheduler, **settings)


def test_copies_come_to_the_best_hyperparameters() -> None:
    distances = []
    for seed in range(5):
        result = run(pb2(synch=True), space={"rate": tune.uniform(0, 1)}, seed=seed)
        rates = [d.config["rate"] for d in result.decisions() if d.do == "exploit"]
        assert len(rates) > 5
        assert all(0.0 <= r <= 1.0 for r in rates)
        distances.append(sorted(abs(rate - 0.8) for rate in rates[-5:])[2])
    assert sum(distances) / len(distances) < 0.16  # about 0.3 by chance


def test_width_of_the_confidence_bound_is_that_of_the_authors() -> None:
    """β = 0.2 + max(0, log(0.4·n)): worked out by hand."""
    assert confidence_width(2) == pytest.approx(0.447214, abs=1e-6)  # log(0.8) < 0
    assert confidence_width(10) == pytest.approx(1.259482, abs=1e-6)  # √(0.2 + 1.386294)
    assert confidence_width(100) == pytest.approx(1.972024, abs=1e-6)  # √(0.2 + 3.688879)


def test_forgetting_and_noise_are_those_that_explain_the_data_best() -> None:
    """An optimum that moves calls for forgetting, one that stays does not."""
    generator = numpy.random.default_rng(0)
    points, times = generator.random((80, 1)), numpy.repeat(numpy.arange(20.0), 4)
    still = numpy.sin(6 * points[:, 0])
    moving = numpy.sin(6 * points[:, 0] + times)
    inputs = numpy.column_stack([points, times])
    assert fitted(inputs, still).forgetting == 0.0
    assert fitted(inputs, still).noise < 0.01
    assert fitted(inputs, moving).forgetting > 0.0


def test_bounds_of_nested_parameters_choose_nested_parameters() -> None:
    bounds = {"optimizer": {"rate": [0.2, 0.6], "decay": {"every": [1, 4]}}, "width": [numpy.int64(2), 5]}

    def nested(config: dict[str, Any], step: int, state: Any) -> Any:
        return grow({"rate": config["optimizer"]["rate"]}, step, state)

    result = run(pb2(hyperparam_bounds=bounds), nested, space={"optimizer": {"name": "sgd"}})
    copies = [d.config for d in result.decisions() if d.do == "exploit"]
    assert copies
    for config in [*copies, *(t.config for t in result.trials)]:
        assert set(config) == {"optimizer", "width"}
        assert config["optimizer"]["name"] == "sgd"
        assert 0.2 <= config["optimizer"]["rate"] <= 0.6
        assert config["optimizer"]["decay"]["every"] in (1, 2, 3, 4)
        assert config["width"] in (2, 3, 4, 5)
    assert any("optimizer/rate" in d.why for d in result.decisions())


def test_wrong_nested_bounds_are_named() -> None:
    with pytest.raises(InvalidArgumentError, match=r"hyperparam_bounds\['optimizer'\]\['rate'\]"):
        pb2(hyperparam_bounds={"optimizer": {"rate": [1, 0]}})


def test_seed_repeats_everything() -> None:
    assert run(pb2(), seed=1).journal == run(pb2(), seed=1).journal


def test_integers_stay_integers_and_log_domains_are_chosen_on_their_scale() -> None:
    scheduler = pb2(hyperparam_bounds={"rate": [1e-4, 1.0], "layers": [1, 5]}, synch=True)
    space = {"rate": tune.loguniform(1e-4, 1.0), "layers": tune.randint(1, 6)}
    result = run(scheduler, space=space)
    copies = [d.config for d in result.decisions() if d.do == "exploit"]
    assert copies
    assert all(isinstance(c["layers"], int) and 1 <= c["layers"] <= 5 for c in copies)
    assert all(1e-4 <= c["rate"] <= 1.0 for c in copies)


def test_what_the_space_lacks_is_drawn_within_the_bounds() -> None:
    result = run(pb2(hyperparam_bounds={"rate": [0.2, 0.4], "n": [1, 3]}))
    assert all(t.config["n"] in (1, 2, 3) for t in result.trials)


def test_synchronous_and_under_faults_it_ends() -> None:
    faults = Faults(crash_rate=0.005, straggling=0.5, driver_deaths=1)
    result = run(pb2(synch=True), faults=faults, max_failures=-1, num_samples=6)
    assert all(t.iteration == 60 for t in result.trials)


@pytest.mark.parametrize(
    "bounds", [{}, {"rate": [1, 0]}, {"rate": 3}, {"rate": [0, float("inf")]}, {"rate": ["a", "b"]}]
)
def test_impossible_bounds_are_refused(bounds: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="hyperparam_bounds"):
        pb2(hyperparam_bounds=bounds)


@pytest.mark.parametrize(
    ("rate", "bounds", "kind"),
    [(0.5, [0, 1], float), (tune.choice([0.25, 0.5]), [0, 1], float), (50, [1.0, 100.0], int), (None, [0, 9], int)],
    ids=["float", "choice", "whole", "from_bounds"],
)
def test_the_configuration_says_whether_a_number_is_whole_and_not_how_its_bounds_are_written(
    rate: Any, bounds: Any, kind: type
) -> None:
    space = {} if rate is None else {"rate": rate}
    result = run(pb2(hyperparam_bounds={"rate": bounds}, synch=True), space=space, seed=1)
    rates = [d.config["rate"] for d in result.decisions() if d.do == "exploit"]
    assert {type(rate) for rate in rates} == {kind}
    assert any(bounds[0] < rate < bounds[1] for rate in rates)
