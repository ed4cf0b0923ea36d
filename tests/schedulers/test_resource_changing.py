"""Resources move to the trials that are left."""

from __future__ import annotations

from typing import Any

import pytest

import tune_core as tune
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers import (
    ASHAScheduler,
    DistributeResources,
    DistributeResourcesToTopJob,
    ResourceChangingScheduler,
)
from tune_core.simulation import Faults, Simulation, simulate
from tune_core.testing.invariants import Invariants, check_end


def curve(config: dict[str, Any], step: int, state: Any) -> Any:
    length = 4 if config["x"] < 0.5 else 40
    return (1.0, {"loss": config["x"]}, step) if step <= length else None


def run(scheduler: Any, **more: Any) -> Simulation:
    settings = {
        "metric": "loss",
        "mode": "min",
        "workers": 8,
        "num_samples": 8,
        "machine": {"cpu": 8},
        "resources": {"cpu": 1},
        "speed": lambda resources: (resources or {"cpu": 1})["cpu"],
        "check": Invariants(),
        **more,
    }
    result = simulate(curve, {"x": tune.uniform(0, 1)}, scheduler=scheduler, **settings)
    check_end(result.controller)
    return result


def test_what_ended_trials_held_goes_to_those_that_are_left() -> None:
    alone = run(tune.schedulers.FIFOScheduler())
    shared = run(ResourceChangingScheduler())
    assert shared.time_s < 0.7 * alone.time_s
    changes = [d for d in shared.decisions() if d.do == "exploit"]
    assert changes
    assert all(d.source == d.trial and "its share of 8 cpu is" in d.why for d in changes)
    assert max(d.resources["cpu"] for d in changes) == 2


def test_nobody_gets_more_than_there_is() -> None:
    result = run(ResourceChangingScheduler(), machine={"cpu": 3}, workers=8)
    assert all(d.resources["cpu"] <= 3 for d in result.decisions() if d.do == "exploit")


def test_top_job_gets_what_is_free() -> None:
    result = run(ResourceChangingScheduler(None, DistributeResourcesToTopJob(metric="loss", mode="max")), num_samples=4)
    changes = [d for d in result.decisions() if d.do == "exploit"]
    assert {d.resources["cpu"] for d in changes} >= {5}


def test_reserved_resources_are_left_over_and_portions_kept() -> None:
    allocate = DistributeResources(increase_by={"CPU": 2}, reserve_resources={"cpu": 1})
    result = run(ResourceChangingScheduler(None, allocate), num_samples=2)
    assert {d.resources["cpu"] for d in result.decisions() if d.do == "exploit"} <= {1, 3, 5, 7}


def test_base_scheduler_still_decides() -> None:
    base = ASHAScheduler(max_t=27, reduction_factor=3)
    result = run(ResourceChangingScheduler(base), num_samples=20)
    assert any(d.do == "stop" and "rung" in d.why for d in result.decisions())
    assert any(d.do == "exploit" and "its share" in d.why for d in result.decisions())


def test_under_faults_it_ends() -> None:
    faults = Faults(crash_rate=0.02, node_loss_rate=0.002, driver_deaths=1, latency_s=0.1)
    result = run(ResourceChangingScheduler(), faults=faults, max_failures=-1)
    assert all(t.status == "TERMINATED" for t in result.trials)


def test_own_allocation_function() -> None:
    result = run(ResourceChangingScheduler(None, lambda shares, trial, result, scheduler: {"CPU": 2}), num_samples=2)
    changes = [d for d in result.decisions() if d.do == "exploit"]
    assert len(changes) == 2
    assert all(d.resources == {"cpu": 2} for d in changes)


@pytest.mark.parametrize("arguments", [{"base_scheduler": "asha"}, {"check_every": 0}])
def test_impossible_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        ResourceChangingScheduler(**arguments)
    assert next(iter(arguments)) in str(raised.value)
