"""PB2: within its bounds, repeatable, and better informed than chance."""

from __future__ import annotations

from typing import Any

import pytest

import tune_core as tune
from tune_core.errors import InvalidArgumentError
from tune_core.simulation import Faults, Simulation, simulate

pytest.importorskip("numpy")

from tune_core.schedulers import PB2


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
    result = run(pb2(synch=True), space={"rate": tune.uniform(0, 1)}, seed=2)
    rates = [d.config["rate"] for d in result.decisions() if d.do == "exploit"]
    assert len(rates) > 5
    assert sorted(abs(r - 0.8) for r in rates[-5:])[2] < 0.15  # the median of the last
    assert all(0.0 <= r <= 1.0 for r in rates)


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
