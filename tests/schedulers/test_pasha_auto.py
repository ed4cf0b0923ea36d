"""PASHA stops where the ranking is stable; "auto" needs no argument at all."""

from __future__ import annotations

import random
from typing import Any

import pytest

import tune_core as tune
from schedulers.helpers import Bench
from tune_core.schedulers import ASHAScheduler, AutoScheduler, FIFOScheduler, PASHAScheduler, create_scheduler
from tune_core.simulation import Simulation, simulate


def stable(config: dict[str, Any], step: int) -> Any:
    return (1.0, {"loss": config["x"] + 1 / step}) if step <= 81 else None


def crossing(config: dict[str, Any], step: int) -> Any:
    """Slow starters win: the ranking turns around between the first rung and the second, and then stays."""
    x = config["x"]
    return (1.0, {"loss": (1 - x) + x * 2 / step}) if step <= 81 else None


def noisy(config: dict[str, Any], step: int) -> Any:
    return (1.0, {"loss": config["x"] + 0.3 * random.Random(f"{config['x']}:{step}").random()})


def run(scheduler: Any, objective: Any = stable, **more: Any) -> Simulation:
    settings = {"metric": "loss", "mode": "min", "workers": 4, "num_samples": 80, **more}
    return simulate(objective, {"x": tune.uniform(0, 1)}, scheduler=scheduler, **settings)


def test_stable_ranking_is_never_trained_to_the_end() -> None:
    result = run(PASHAScheduler(max_t=81))
    assert max(t.iteration for t in result.trials) == 3
    assert result.working_s < 0.6 * run(ASHAScheduler(max_t=81, reduction_factor=3, rule="promotion")).working_s
    assert result.best.config["x"] == min(t.config["x"] for t in result.trials)


def test_top_rung_moves_up_while_the_ranking_changes() -> None:
    scheduler = run(PASHAScheduler(max_t=81), crossing).controller.scheduler
    assert scheduler.top == 9


def test_differences_within_the_noise_count_as_equal() -> None:
    result = run(PASHAScheduler(max_t=81), noisy, num_samples=200)
    assert result.controller.scheduler.epsilon > 0.01
    assert "ε 0." in result.controller.scheduler.debug_string()


def test_noise_is_the_percentile_of_differences_between_curves_that_crossed_twice() -> None:
    """Worked by hand, in the order in which the trials reach the top rung at 3.

    At their third result trials 0 and 1 are 0.3 apart after two crossings, 0 and 2 are 0.1 apart after two, 1 and 2
    never cross, and trial 3 crosses each of the others once at most. The 90th percentile of {0.1, 0.3} is 0.28.
    """
    scheduler = PASHAScheduler(max_t=27)
    bench = Bench(scheduler)
    curves = {0: [0.5, 0.7, 0.5], 1: [0.6, 0.65, 0.8], 2: [0.55, 0.6, 0.6], 3: [0.9, 0.9, 0.1]}
    scheduler._common.clear()
    for index, losses in curves.items():
        bench.start(index)
        for step, loss in enumerate(losses, start=1):
            trial = bench.trials[index]
            scheduler.observe(trial, {"loss": loss, "training_iteration": step})
        scheduler._learn_noise(index)
        scheduler._common.append(index)
    assert scheduler.epsilon == pytest.approx(0.28)


def test_trials_on_the_top_rung_are_complete_when_the_run_ends() -> None:
    result = run(PASHAScheduler(max_t=81))
    stops = [d for d in result.decisions() if d.do == "stop"]
    complete = {d.trial for d in stops if d.complete}
    assert complete == {t.index for t in result.trials if t.iteration == 3}
    assert {d.trial for d in stops} - complete


def test_auto_stops_what_falls_behind_without_knowing_how_long_trials_are() -> None:
    result, whole = run(AutoScheduler()), run(FIFOScheduler())
    assert result.working_s < 0.4 * whole.working_s
    assert result.best_value == whole.best_value
    assert any("outside the best 1/3" in d.why for d in result.decisions())


def test_auto_leaves_short_trials_alone() -> None:
    result = run(AutoScheduler(), lambda config, step: (1.0, {"loss": 1.0}) if step <= 2 else None)
    assert not result.decisions()


def test_auto_without_a_metric_is_no_scheduler() -> None:
    scheduler = create_scheduler("auto")
    scheduler.setup(None, None, 0, {})
    assert not scheduler.needs_metric
    assert scheduler.lease(None).until is None


@pytest.mark.parametrize(("trials", "steps"), [(1, [1]), (2, [1, 1]), (3, [3, 1, 1])])
def test_pasha_promotes_nobody_among_fewer_trials_than_the_reduction_factor(trials: int, steps: list[int]) -> None:
    run = tune.simulate(
        lambda config, step: (1.0, {"loss": config["x"] + 1 / step}),
        {"x": tune.grid_search([0.1, 0.2, 0.3][:trials])},
        metric="loss", mode="min", num_samples=1, workers=1, scheduler=PASHAScheduler(max_t=27),
    )  # fmt: skip
    assert [trial.iteration for trial in run.trials] == steps
