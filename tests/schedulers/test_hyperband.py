"""HyperBand and synchronous halving: brackets as published, and none that waits for ever."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tune_core as tune
from tune_core.errors import InvalidArgumentError
from tune_core.schedulers import Continue, HyperBandForBOHB, HyperBandScheduler, Pause, Stop, SuccessiveHalvingScheduler
from tune_core.schedulers.hyperband import hyperband_plan
from tune_core.search import Searcher
from tune_core.simulation import Faults, Simulation, simulate

from .helpers import Bench


def curve(config: dict[str, Any], step: int) -> tuple[float, dict[str, Any]]:
    return 1.0, {"loss": config["x"]}


def run(scheduler: Any, objective: Any = curve, **more: Any) -> Simulation:
    settings = {"metric": "loss", "mode": "min", "workers": 8, "num_samples": 143, **more}
    return simulate(objective, {"x": tune.uniform(0, 1)}, scheduler=scheduler, **settings)


def lengths(result: Simulation) -> Counter[int]:
    return Counter(t.iteration for t in result.trials)


def test_brackets_are_those_of_the_paper() -> None:
    assert hyperband_plan(81, 3) == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]


@given(st.integers(1, 3000), st.sampled_from([2, 3, 4, 5, 2.5]))
def test_no_bracket_plans_more_than_its_budget(max_t: int, factor: float) -> None:
    plans = hyperband_plan(max_t, factor)
    for plan in plans:
        done, spent = 0, 0
        for number, time in plan:
            spent += number * (time - done)
            done = time
        slack = plan[0][0] * plan[0][1]  # ⌈n⌉ is one more than the budget has room for, at most
        assert spent <= len(plans) * max_t + slack
        assert plan[-1][1] == max_t
        assert all(a[0] > b[0] or b[0] == 1 for a, b in pairwise(plan))


def test_full_set_of_brackets_trains_as_many_as_planned_to_each_length() -> None:
    result = run(HyperBandScheduler(max_t=81))  # 81 + 34 + 15 + 8 + 5 = 143
    assert lengths(result) == {1: 54, 3: 18 + 23, 9: 6 + 8 + 10, 27: 2 + 2 + 4 + 6, 81: 1 + 1 + 1 + 2 + 5}


@pytest.mark.parametrize("workers", [1, 2, 7, 200])
def test_number_of_workers_changes_nothing_in_the_outcome(workers: int) -> None:
    assert lengths(run(HyperBandScheduler(max_t=81), workers=workers)) == lengths(run(HyperBandScheduler(max_t=81)))


def test_best_of_each_rung_go_on() -> None:
    result = run(HyperBandScheduler(max_t=9), num_samples=9)
    by_loss = sorted(result.trials, key=lambda t: t.config["x"])
    assert [t.iteration for t in by_loss] == [9, 3, 3, 1, 1, 1, 1, 1, 1]


def test_bracket_that_cannot_fill_is_closed_and_run() -> None:
    result = run(HyperBandScheduler(max_t=9), num_samples=5)
    assert lengths(result) == {9: 1, 1: 4}


def test_bracket_of_one_trial_runs_to_the_end() -> None:
    assert lengths(run(HyperBandScheduler(max_t=9), num_samples=1)) == {9: 1}


def test_searcher_that_waits_for_results_closes_the_bracket() -> None:
    class ThreeAtATime(Searcher):
        unfinished = 0
        made = 0

        def suggest(self, trial_id: str) -> Any:
            if self.made == 12:
                return self.FINISHED
            if self.unfinished == 3:
                return None
            self.unfinished += 1
            self.made += 1
            return {"x": 1 / self.made}

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            self.unfinished -= 1

    result = run(HyperBandScheduler(max_t=9), search_alg=ThreeAtATime(), num_samples=-1)
    assert len(result.trials) == 12
    assert all(t.status == "TERMINATED" for t in result.trials)


def test_trials_that_fail_or_end_early_leave_their_bracket() -> None:
    def fails(config: dict[str, Any], step: int) -> Any:
        if config["x"] < 0.3:
            raise RuntimeError("no")
        return None if config["x"] < 0.6 and step == 2 else (1.0, {"loss": config["x"]})

    result = run(HyperBandScheduler(max_t=9), fails, num_samples=60)
    assert Counter(str(t.status) for t in result.trials)["ERROR"] > 5
    assert lengths(result)[9] >= 5


def test_bracket_whose_trials_all_fail_does_not_hold_up_the_next() -> None:
    def fails(config: dict[str, Any], step: int) -> Any:
        raise RuntimeError("no")

    assert all(t.status == "ERROR" for t in run(HyperBandScheduler(max_t=9), fails, num_samples=30).trials)


def test_nan_never_goes_on() -> None:
    result = run(HyperBandScheduler(max_t=9), lambda c, s: (1.0, {"loss": math.nan}), num_samples=9)
    assert lengths(result) == {1: 9}
    assert all("no finite number" in str(t.reason) for t in result.trials)


def test_last_of_a_rung_goes_on_without_a_pause_or_stops_at_once() -> None:
    def last(loss: float) -> Any:
        bench = Bench(SuccessiveHalvingScheduler(max_t=3, reduction_factor=3))
        for index in range(3):
            bench.start(index)
        assert bench.report(0, 1, 0.5) == Pause("bracket 0, rung 1: waits for 2 others")
        bench.report(1, 1, 0.6)
        return bench.report(2, 1, loss)

    assert last(0.1) == Continue(3, "bracket 0 goes on to 3 with this trial")
    assert last(0.9) == Stop("bracket 0, rung 1: loss 0.9 is outside the best 1 of 3 (cutoff 0.5)")


def test_those_left_behind_are_ended_with_the_reason() -> None:
    result = run(SuccessiveHalvingScheduler(max_t=9), num_samples=9)
    behind = [t for t in result.trials if t.iteration == 1]
    assert len(behind) == 6
    assert all("is outside the best 3 of 9" in str(t.reason) for t in behind)


def test_without_stop_last_trials_they_run_on() -> None:
    result = run(HyperBandScheduler(max_t=9, stop_last_trials=False), num_samples=9, stop={"training_iteration": 20})
    assert lengths(result) == {20: 1, 3: 2, 1: 6}


def test_any_result_field_can_measure_progress() -> None:
    def epochs(config: dict[str, Any], step: int) -> Any:
        return 1.0, {"loss": config["x"], "epoch": step / 2}

    result = run(HyperBandScheduler(time_attr="epoch", max_t=9), epochs, num_samples=9)
    assert lengths(result) == {18: 1, 6: 2, 2: 6}


def test_hyperband_for_bohb_gives_the_searcher_every_result() -> None:
    class Learns(Searcher):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[tuple[str, int]] = []

        def suggest(self, trial_id: str) -> Any:
            return {"x": len(self.seen) / 100}

        def on_trial_result(self, trial_id: str, result: Any) -> None:
            self.seen.append((trial_id, result["training_iteration"]))

    result = run(HyperBandForBOHB(max_t=9), search_alg=Learns(), num_samples=17, workers=2)
    searcher_saw = {t.trial_id: t.iteration for t in result.trials}
    assert len(searcher_saw) == 17
    assert HyperBandForBOHB(max_t=9).budgets == [1, 3, 9]


def test_survives_crashes_and_driver_deaths() -> None:
    faults = Faults(crash_rate=0.01, node_loss_rate=0.001, node_size=2, driver_deaths=2)
    result = run(HyperBandScheduler(max_t=27), num_samples=60, faults=faults, max_failures=-1)
    assert all(t.status == "TERMINATED" for t in result.trials)


@pytest.mark.parametrize("arguments", [{"max_t": 0}, {"reduction_factor": 1}, {"reduction_factor": "3"}, {"mode": "x"}])
def test_impossible_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        HyperBandScheduler(**arguments)
    assert next(iter(arguments)) in str(raised.value)


def test_lost_trials_leave_their_places_to_others_unless_the_letter_of_the_algorithm_is_wanted() -> None:
    third = sorted(t.config["x"] for t in run(SuccessiveHalvingScheduler(max_t=9), num_samples=9, seed=1).trials)[2]

    def fails(config: dict[str, Any], step: int) -> Any:
        if step == 2 and config["x"] == third:
            raise RuntimeError("no")
        return 1.0, {"loss": config["x"]}

    kept = run(SuccessiveHalvingScheduler(max_t=9), fails, num_samples=9, seed=1)
    lost = run(SuccessiveHalvingScheduler(max_t=9, refill=False), fails, num_samples=9, seed=1)
    assert any(t.status == "ERROR" for t in kept.trials)
    assert lengths(kept)[9] == 1
    assert lengths(lost)[9] == 0


@pytest.mark.parametrize("scheduler", [HyperBandScheduler(max_t=9), SuccessiveHalvingScheduler(max_t=9)])
@pytest.mark.parametrize("workers", [1, 8])
def test_who_has_been_trained_to_the_end_is_complete_and_nobody_else(scheduler: Any, workers: int) -> None:
    result = run(scheduler, workers=workers, num_samples=30)
    stops = {d.trial: d.complete for d in result.decisions() if d.do == "stop"}
    assert stops == {t.index: t.iteration == 9 for t in result.trials}
    assert Counter(stops.values())[True] >= 3


def test_bracket_that_ends_names_each_trial_once() -> None:
    bench = Bench(SuccessiveHalvingScheduler(max_t=1, num_trials=3))
    for index in range(3):
        bench.start(index)
    bench.scheduler.on_stall(True)
    for index in range(3):
        assert bench.report(index, 1, 0.5) == Stop("bracket 0, rung 1, the end of its bracket", early=False)
        bench.end(index)
    assert list(bench.scheduler.discard()) == []
