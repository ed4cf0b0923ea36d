"""Whole runs in the simulator: engine, journal, searcher and scheduler together do as much for each trial, always."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tune_core as tune
from growth.counting import stays_linear
from tune_core import schedulers
from tune_core.schedulers import Scheduler
from tune_core.schedulers.registry import NAMES, scheduler_class
from tune_core.simulation import simulate

SPACE = {"x": tune.uniform(0, 1), "pace": tune.uniform(0.5, 1.5)}
MUTATIONS = {"x": tune.uniform(0, 1)}


def curve(config: dict[str, Any], step: int, state: Any) -> Any:
    return (config["pace"], {"loss": config["x"] + config["pace"] / step}, step) if step <= 9 else None


def population(**more: Any) -> Scheduler:
    given = {"perturbation_interval": 3, "hyperparam_mutations": MUTATIONS, **more}
    return schedulers.PopulationBasedTraining("training_iteration", **given)


MAKERS: dict[str, Callable[[int], Any]] = {
    "fifo": lambda n: None,
    "asha": lambda n: schedulers.ASHAScheduler(max_t=9, reduction_factor=3),
    "asha by promotion": lambda n: schedulers.ASHAScheduler(max_t=9, reduction_factor=3, rule="promotion"),
    "pasha": lambda n: schedulers.PASHAScheduler(max_t=9),
    "hyperband": lambda n: schedulers.HyperBandScheduler(max_t=9),
    "hb_bohb": lambda n: schedulers.HyperBandForBOHB(max_t=9),
    "sha": lambda n: schedulers.SuccessiveHalvingScheduler(max_t=9),
    "sha, one bracket of all": lambda n: schedulers.SuccessiveHalvingScheduler(max_t=9, num_trials=n),
    "median": lambda n: schedulers.MedianStoppingRule("training_iteration", grace_period=2),
    "median, pausing": lambda n: schedulers.MedianStoppingRule("training_iteration", grace_period=2, hard_stop=False),
    "pbt": lambda n: population(),
    "pbt, synchronous": lambda n: population(synch=True),
    "pb2": lambda n: schedulers.PB2(
        "training_iteration", perturbation_interval=3, hyperparam_bounds={"x": [0.0, 1.0]}, seed=1
    ),
    "median pruner": lambda n: schedulers.MedianPruner(),
    "percentile pruner": lambda n: schedulers.PercentilePruner(25.0),
    "patient pruner": lambda n: schedulers.PatientPruner(schedulers.MedianPruner(), patience=1),
    "threshold pruner": lambda n: schedulers.ThresholdPruner(upper=1.0),
    "wilcoxon pruner": lambda n: schedulers.WilcoxonPruner(),
    "auto": lambda n: "auto",
    "resource_changing": lambda n: schedulers.ResourceChangingScheduler(
        schedulers.ASHAScheduler(max_t=9), lambda *about: None
    ),
}
FEW = {"pb2": 15}
"""Slow ones are given less."""
ELSEWHERE = {
    "pbt_replay": "one trial",
}


def made(name: str, n: int) -> Any:
    """A scheduler; those that need a library are left out where it is not there."""
    for library in {"wilcoxon pruner": ["scipy"], "pb2": ["numpy", "pandas"]}.get(name, []):
        pytest.importorskip(library)
    return MAKERS[name](n)


def test_every_scheduler_is_tried() -> None:
    for library in ("scipy", "numpy", "pandas"):
        pytest.importorskip(library)
    tried = {type(scheduler).__name__ for name in MAKERS if isinstance(scheduler := made(name, 10), Scheduler)}
    named = {scheduler_class(name).__name__ for name in set(NAMES) - set(ELSEWHERE) - {"auto", "fifo"}}
    assert named <= tried


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("workers", ["few", "all"])
def test_twice_the_trials_are_twice_the_work(name: str, workers: str) -> None:
    def prepare(n: int) -> Callable[[], object]:
        scheduler = made(name, n)
        return lambda: simulate(
            curve,
            SPACE,
            metric="loss",
            mode="min",
            workers=n if workers == "all" or name.startswith(("pb", "sha, one")) else 4,
            num_samples=n,
            scheduler=scheduler,
        )

    stays_linear(prepare, FEW.get(name, 80))
