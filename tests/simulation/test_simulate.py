"""``simulate``: virtual time, faults, and figures that can be checked by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

import tune_core as tune
from tune_core.core import events as ev
from tune_core.errors import InvalidArgumentError
from tune_core.journal.reader import parse
from tune_core.schedulers import ASHAScheduler, Pause, Scheduler, Stop
from tune_core.simulation import Faults, Simulation, SimulationStalledError, simulate

SPACE = {"x": tune.uniform(0, 1)}


def curve(config: dict[str, Any], step: int) -> tuple[float, dict[str, Any]] | None:
    return (10.0, {"loss": config["x"] + 1 / step}) if step <= 5 else None


def run(objective: Any = curve, **more: Any) -> Simulation:
    settings = {"metric": "loss", "mode": "min", "workers": 4, "num_samples": 8, **more}
    return simulate(objective, settings.pop("param_space", SPACE), **settings)


def test_virtual_time_is_what_arithmetic_says() -> None:
    result = run()
    assert result.time_s == 100.0  # 8 trials of 50 s on 4 workers
    assert result.utilisation == 1.0
    assert result.reports == 40


def test_a_thousand_hours_take_no_time_to_simulate() -> None:
    assert run(lambda config, step: (3.6e6, {"loss": 1.0}) if step == 1 else None).time_s == 7.2e6


def test_generator_objective_runs_like_the_plain_function() -> None:
    def generator(config: dict[str, Any]) -> Iterator[tuple[float, dict[str, Any]]]:
        for step in range(1, 6):
            yield 10.0, {"loss": config["x"] + 1 / step}

    assert run(generator).journal == run().journal


def test_generator_objective_goes_on_from_its_checkpoint() -> None:
    def generator(config: dict[str, Any]) -> Iterator[tuple[float, dict[str, Any]]]:
        for step in range(1, 6):
            yield 10.0, {"loss": config["x"] + 1 / step, "epoch": step}

    result = run(generator, faults=Faults(crash_rate=0.01), max_failures=-1, checkpoint_every=1, seed=3)
    assert sum(t.failures for t in result.trials) > 0
    assert all(t.last is not None and t.last.metrics["epoch"] == t.last.iteration == 5 for t in result.trials)


def test_state_travels_in_checkpoints() -> None:
    def count(config: dict[str, Any], step: int, state: Any) -> Any:
        done = (state or 0) + 1
        return (1.0, {"loss": 1.0, "done": done}, done) if step <= 20 else None

    result = run(count, faults=Faults(crash_rate=0.05), max_failures=-1, checkpoint_every=3, seed=1)
    assert sum(t.failures for t in result.trials) > 0
    assert all(t.last is not None and t.last.metrics["done"] == 20 for t in result.trials)


def test_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    faults = Faults(straggling=1, crash_rate=0.01, latency_s=1, duplicates=0.1)
    assert run(faults=faults, seed=5).journal == run(faults=faults, seed=5).journal
    assert run(faults=faults, seed=5).journal != run(faults=faults, seed=6).journal


def test_time_budget_ends_the_run_at_that_moment() -> None:
    result = run(time_budget_s=72.0)
    assert result.time_s == pytest.approx(80.0)  # trials are let go at their next report
    stops = [e for e in parse(result.journal).events if type(e) is ev.StopRequested]
    assert [e.why for e in stops] == ["the time budget of 72 s is used up"]


def test_time_to_target_is_when_the_first_result_was_as_good() -> None:
    result = run(param_space={"x": 0.0}, target=0.5)
    assert result.time_to_target_s == 20.0
    assert run(param_space={"x": 0.0}, target=0.1).time_to_target_s is None


def test_slow_workers_take_longer() -> None:
    assert run(faults=Faults(slow_workers=1.0, slow_by=3.0)).time_s == 300.0


def test_stragglers_lengthen_each_lease_by_half_a_normal_deviate() -> None:
    result = run(lambda c, s: (1.0, {"loss": 1.0}) if s == 1 else None, num_samples=4000, faults=Faults(straggling=1.0))
    mean = result.working_s / 4000
    assert mean == pytest.approx(1 + math.sqrt(2 / math.pi), abs=0.05)


def test_crashes_count_against_max_failures() -> None:
    result = run(faults=Faults(crash_rate=0.05), max_failures=1)
    assert any(t.status == "ERROR" and t.failures == 2 for t in result.trials)
    assert all(t.failures <= 2 for t in result.trials)


def test_lost_nodes_do_not_count_against_max_failures() -> None:
    result = run(faults=Faults(node_loss_rate=0.01, node_size=2, repair_s=5), num_samples=20)
    assert all(t.status == "TERMINATED" for t in result.trials)
    assert sum(t.worker_losses for t in result.trials) > 0


def test_duplicates_and_late_messages_change_no_result() -> None:
    result = run(faults=Faults(duplicates=0.5, latency_s=3.0))
    assert all(t.last is not None and t.last.iteration == 5 for t in result.trials)
    assert len(result.trials) == 8


def test_driver_that_dies_goes_on_from_its_journal() -> None:
    for seed in range(10):
        result = run(faults=Faults(driver_deaths=3), checkpoint_every=1, seed=seed)
        assert result.driver_deaths > 0
        assert [t.config for t in result.trials] == [t.config for t in run(seed=seed).trials]
        assert all(t.status == "TERMINATED" and t.iteration == 5 for t in result.trials)


def test_resources_are_shared_out() -> None:
    result = run(resources={"cpu": 2}, machine={"cpu": 4}, workers=100)
    assert result.time_s == 200.0  # two at a time


def test_trial_that_asks_for_more_than_there_is_ends_the_run_clearly() -> None:
    with pytest.raises(SimulationStalledError):
        run(resources={"cpu": 8}, machine={"cpu": 4})


def test_hang_is_said_and_not_waited_for() -> None:
    class Silent(Scheduler):
        """Pauses everything and never resumes; and keeps the engine from ending what is paused."""

        restarts_without_checkpoint = True

        def lease(self, trial: Any) -> Any:
            return ev.Lease(steps=1)

        def on_result(self, trial: Any, result: Any) -> Any:
            return Pause("waits for ever")

    result = run(scheduler=Silent())
    assert all(t.status == "TERMINATED" for t in result.trials)
    assert "nothing is left that could promote it" in str(result.trials[0].reason)


def test_decisions_are_those_of_the_scheduler() -> None:
    result = run(scheduler=ASHAScheduler(max_t=4, reduction_factor=2), num_samples=20)
    assert {d.do for d in result.decisions()} == {"stop", "continue"}
    assert all(d.why for d in result.decisions())


@pytest.mark.parametrize("first", [1, 3])
def test_objective_that_always_fails_is_not_tried_for_ever(first: int) -> None:
    def fails(config: Any, step: int) -> Any:
        if step >= first:
            raise ValueError("always")
        return 1.0, {"loss": 1.0}

    with pytest.raises(SimulationStalledError, match=rf"beyond step {first - 1}: ValueError\('always'\)"):
        run(fails, max_failures=-1, num_samples=2)


def test_objective_that_gets_further_each_time_is_tried_on() -> None:
    failed: set[int] = set()

    def fails_once_a_step(config: Any, step: int) -> Any:
        if step not in failed:
            failed.add(step)
            raise ValueError("once")
        return (1.0, {"loss": 1.0}) if step <= 1100 else None

    result = run(fails_once_a_step, max_failures=-1, num_samples=1, checkpoint_every=1)
    assert result.trials[0].status == "TERMINATED" and result.trials[0].iteration == 1100


def test_own_scheduler_of_a_few_lines_runs() -> None:
    class Third(Scheduler):
        def lease(self, trial: Any) -> Any:
            return ev.Lease(until=3)

        def on_result(self, trial: Any, result: Any) -> Any:
            return Stop("three are enough")

    assert all(t.iteration == 3 for t in run(scheduler=Third()).trials)


def test_summary_is_a_table_of_figures() -> None:
    text = str(run(target=0.5))
    assert "utilisation" in text
    assert "100.0 %" in text
    assert "time to 0.5, s" in text


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"workers": 0}, "workers"),
        ({"workers": True}, "workers"),
        ({"objective": 3}, "objective"),
        ({"objective": lambda: None}, "objective"),
        ({"objective": lambda a, b, c, d: None}, "objective"),
    ],
)
def test_impossible_arguments_are_refused_by_name(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named) as raised:
        run(**arguments)
    assert raised.value.fix


@pytest.mark.parametrize("wrong", [-1, math.nan, math.inf, "often", True])
def test_faults_are_numbers_from_zero(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="crash_rate"):
        Faults(crash_rate=wrong)


@pytest.mark.parametrize("faults", [Faults(), Faults(node_loss_rate=1e-12, node_size=4)])
def test_a_worker_whose_trial_is_stopped_is_free_at_once(faults: Faults) -> None:
    """One worker, rungs after each second: it is never idle; a node that would go in a million years delays nothing."""
    result = tune.simulate(
        lambda config, step: (1.0, {"loss": config["x"]}),
        {"x": tune.grid_search([0.1, 0.9, 0.8, 0.7])},
        metric="loss",
        mode="min",
        workers=1,
        num_samples=1,
        scheduler=ASHAScheduler(max_t=4, reduction_factor=2, grace_period=1),
        faults=faults,
    )
    assert any(decision.do == "stop" for decision in result.decisions())
    assert result.time_s == result.reports
    assert result.utilisation == 1.0
