"""The median stopping rule: averages up to the same time, the median of the others, and what waits."""

from __future__ import annotations

import math
from typing import Any

import pytest

import tune_core as tune
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers import Continue, MedianStoppingRule, Pause, Stop
from tune_core.simulation import simulate

from .helpers import Bench


def bench(**more: Any) -> Bench:
    settings = {"time_attr": "training_iteration", "grace_period": 0, "min_samples_required": 2}
    made = Bench(MedianStoppingRule(**{**settings, **more}))
    for index in range(4):
        made.start(index)
    return made


def test_trial_worse_than_the_median_of_the_averages_stops_and_says_so() -> None:
    b = bench()
    for step, losses in enumerate([(0.1, 0.5), (0.3, 0.3)], start=1):
        for index, loss in enumerate(losses):
            assert isinstance(b.report(index, step, loss), Continue)
    decision = b.report(2, 2, 0.31)  # averages of the others up to 2: 0.2 and 0.4, median 0.3
    assert decision == Stop(
        "at training_iteration 2: best so far loss 0.31 is worse than 0.3, the median of 2 others' averages"
    )


def test_best_result_counts_and_not_the_last() -> None:
    b = bench()
    for index in (0, 1):
        b.report(index, 1, 0.5)
        b.report(index, 2, 0.5)
    b.report(2, 1, 0.4)
    assert isinstance(b.report(2, 2, 0.9), Continue)


def test_only_results_up_to_the_same_time_count() -> None:
    b = bench()
    for index in (0, 1):
        b.report(index, 1, 0.9)
        b.report(index, 2, 0.1)
    assert isinstance(b.report(2, 1, 0.8), Continue)


def test_nobody_is_judged_in_the_grace_period_or_by_too_few() -> None:
    b = bench(grace_period=5)
    assert b.start(3) == 5
    assert b.report(3, 4, 9.0) == Continue(5)
    b = bench()
    b.report(0, 1, 0.1)
    assert isinstance(b.report(1, 1, 0.9), Continue)


def test_nan_is_the_worst() -> None:
    b = bench()
    b.report(0, 1, 0.1)
    b.report(1, 1, 0.2)
    decision = b.report(2, 1, math.nan)
    assert isinstance(decision, Stop)
    assert "no finite result" in decision.reason


def test_soft_stop_puts_aside_and_runs_on_when_nothing_else_is_left() -> None:
    b = bench(hard_stop=False)
    b.report(0, 1, 0.1)
    b.report(1, 1, 0.2)
    assert isinstance(b.report(2, 1, 0.9), Pause)
    assert b.choose() is None  # a new trial may come
    b.scheduler.on_stall(exhausted=True)
    assert b.choose() == 2
    assert b.start(2) is None


def test_time_slice_lets_waiting_trials_run_while_there_is_too_little_to_judge_by() -> None:
    def curve(config: dict[str, Any], step: int) -> Any:
        return (1.0, {"loss": config["x"]}) if step <= 20 else None

    rule = MedianStoppingRule("training_iteration", grace_period=0, min_samples_required=3, min_time_slice=4)
    result = simulate(
        curve, {"x": tune.uniform(0, 1)}, metric="loss", mode="min", workers=1, num_samples=6, scheduler=rule
    )
    assert any(d.do == "pause" for d in result.decisions())
    assert any(d.do == "stop" for d in result.decisions())


def test_saves_time_and_keeps_the_best() -> None:
    def curve(config: dict[str, Any], step: int) -> Any:
        return (1.0, {"loss": config["x"] + 1 / step}) if step <= 50 else None

    settings: dict[str, Any] = {"metric": "loss", "mode": "min", "workers": 4, "num_samples": 40, "seed": 3}
    all_of_it = simulate(curve, {"x": tune.uniform(0, 1)}, **settings)
    rule = MedianStoppingRule("training_iteration", grace_period=5)
    early = simulate(curve, {"x": tune.uniform(0, 1)}, scheduler=rule, **settings)
    assert early.best_value == all_of_it.best_value
    assert early.working_s < 0.7 * all_of_it.working_s


@pytest.mark.parametrize(
    "arguments", [{"min_samples_required": 0}, {"grace_period": -1}, {"min_time_slice": "long"}, {"mode": "median"}]
)
def test_impossible_arguments_are_refused_by_name(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        MedianStoppingRule(**arguments)
    assert next(iter(arguments)) in str(raised.value)
