"""ASHA: who goes on, who stops, who is promoted, and why."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest

from tune_core.errors import InvalidArgumentError
from tune_core.schedulers import ASHAScheduler, AsyncHyperBandScheduler, Continue, FIFOScheduler, Pause, Stop

from .helpers import Bench


def asha(**more: Any) -> ASHAScheduler:
    return ASHAScheduler(**{"max_t": 27, "reduction_factor": 3, **more})


# --- the stopping rule ------------------------------------------------------------------------------------------------


def test_fifo_lets_every_trial_run_to_its_end() -> None:
    bench = Bench(FIFOScheduler())
    assert bench.start(0) is None
    assert bench.choose() is None


def test_lease_reaches_to_the_next_rung() -> None:
    bench = Bench(asha())
    assert bench.start(0) == 1
    assert bench.report(0, 1, 0.5).until == 3
    assert bench.report(0, 3, 0.5).until == 9
    assert bench.report(0, 9, 0.5).until == 27


def test_trial_outside_the_best_share_stops_and_says_why() -> None:
    bench = Bench(asha())
    for index in range(27):
        bench.start(index)
    for index in range(26):
        bench.report(index, 1, index / 100)
    decision = bench.report(26, 1, 0.52)
    assert decision == Stop("rung 1: loss 0.52 is outside the best 1/3 of 27 (cutoff 0.08)")


def test_trial_that_is_the_best_so_far_goes_on() -> None:
    bench = Bench(asha())
    for index, loss in enumerate([0.9, 0.8, 0.7, 0.6]):
        bench.start(index)
        assert isinstance(bench.report(index, 1, loss), Continue)


def test_equal_losses_all_go_on() -> None:
    bench = Bench(asha(), mode="max", metric="accuracy")
    for index in range(10):
        bench.start(index)
        assert isinstance(bench.report(index, 1, 1.0), Continue)


def test_mode_max_is_compared_and_shown_in_its_own_sign() -> None:
    bench = Bench(asha(), mode="max", metric="accuracy")
    bench.start(0)
    bench.start(1)
    bench.report(0, 1, 0.9)
    assert bench.report(1, 1, 0.8) == Stop("rung 1: accuracy 0.8 is outside the best 1/3 of 2 (cutoff 0.9)")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, "diverged", None])
@pytest.mark.parametrize("rule", ["stopping", "promotion"])
def test_a_metric_that_is_no_number_never_goes_on(bad: Any, rule: str) -> None:
    bench = Bench(asha(rule=rule))
    bench.start(0)
    decision = bench.report(0, 1, bad)
    assert isinstance(decision, Stop)
    assert "no finite number" in decision.reason


def test_nan_is_counted_among_those_that_reached_the_rung() -> None:
    bench = Bench(asha())
    for index, loss in enumerate([math.nan, math.nan, math.nan, 0.3, 0.4]):
        bench.start(index)
        bench.report(index, 1, loss)
    bench.start(5)
    assert isinstance(bench.report(5, 1, 0.35), Continue)  # second of six


def test_trial_stops_at_max_t_although_no_rung_is_there() -> None:
    bench = Bench(asha(max_t=20))
    bench.start(0)
    bench.report(0, 1, 0.5)
    bench.report(0, 3, 0.5)
    assert bench.report(0, 9, 0.5).until == 20
    assert bench.report(0, 20, 0.5) == Stop("has reached max_t=20", early=False)


def test_without_stop_last_trials_a_trial_runs_on_past_max_t() -> None:
    bench = Bench(asha(stop_last_trials=False))
    bench.start(0)
    decision = None
    for at in (1, 3, 9, 27):
        decision = bench.report(0, at, 0.5)
    assert isinstance(decision, Continue)
    assert decision.until is None


def test_late_reporter_is_counted_once_on_the_highest_rung_that_it_reached() -> None:
    bench = Bench(asha())
    for index in range(3):
        bench.start(index)
    assert bench.report(0, 10, 0.5).until == 27  # jumped over 1 and 3
    assert isinstance(bench.report(1, 9, 0.9), Stop)  # compared with it on 9
    assert isinstance(bench.report(2, 1, 0.9), Continue)  # alone on 1


def test_trial_that_goes_back_to_a_checkpoint_is_not_counted_twice() -> None:
    bench = Bench(asha())
    bench.start(0)
    bench.report(0, 1, 0.5)
    bench.report(0, 3, 0.5)
    bench.scheduler.on_requeue(bench.trials[0])
    assert bench.start(0) == 9
    assert "1: 1, 3: 1, 9: 0" in bench.scheduler.debug_string()


def test_any_result_field_can_measure_progress() -> None:
    bench = Bench(asha(time_attr="epoch", max_t=10, reduction_factor=2.5))
    assert bench.start(0) == 1
    assert bench.report(0, 4, 0.5, epoch=1).until == 2.5
    assert bench.report(0, 9, 0.5, epoch=2.5).until == 6.25


def test_brackets_start_at_their_own_rungs_and_depend_on_seed_and_index_alone() -> None:
    def leases(order: list[int]) -> dict[int, Any]:
        bench = Bench(asha(brackets=3), seed=7)
        return {index: bench.start(index) for index in order}

    forward, backward = leases(list(range(300))), leases(list(range(299, -1, -1)))
    assert forward == backward
    counts = Counter(forward.values())
    assert set(counts) == {1, 3, 9}
    assert counts[1] > counts[3] > counts[9]  # softmax of 4, 3 and 2 rungs: 67 %, 24 %, 9 %


def test_names_are_ray_tunes() -> None:
    assert ASHAScheduler is AsyncHyperBandScheduler
    scheduler = AsyncHyperBandScheduler("training_iteration", "loss", "min", 100, 1, 4, 1, True)
    assert scheduler.rungs() == [1, 4, 16, 64]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"max_t": 0}, "max_t"),
        ({"grace_period": 0}, "grace_period"),
        ({"grace_period": 30}, "grace_period"),
        ({"reduction_factor": 1}, "reduction_factor"),
        ({"reduction_factor": "3"}, "reduction_factor"),
        ({"brackets": 0}, "brackets"),
        ({"brackets": 1.5}, "brackets"),
        ({"rule": "halving"}, "rule"),
        ({"mode": "best"}, "mode"),
    ],
)
def test_impossible_arguments_are_refused_by_name(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named) as raised:
        asha(**arguments)
    assert raised.value.fix


# --- the promotion rule -----------------------------------------------------------------------------------------------


def test_trials_pause_on_a_rung_until_they_are_among_the_best_share() -> None:
    bench = Bench(asha(rule="promotion"))
    for index, loss in enumerate([0.5, 0.6]):
        bench.start(index)
        assert isinstance(bench.report(index, 1, loss), Pause)
    assert bench.choose() is None  # 2 // 3 = 0 may go on
    bench.start(2)
    assert isinstance(bench.report(2, 1, 0.7), Pause)
    assert bench.choose() == 0
    assert bench.start(0) == 3
    assert bench.choose() is None


def test_trial_that_is_itself_the_one_to_promote_goes_on_without_a_pause() -> None:
    bench = Bench(asha(rule="promotion"))
    for index, loss in enumerate([0.5, 0.6]):
        bench.start(index)
        bench.report(index, 1, loss)
    bench.start(2)
    decision = bench.report(2, 1, 0.1)
    assert isinstance(decision, Continue)
    assert decision.until == 3
    assert decision.reason == "rung 1: loss 0.1 is among the best 1/3 of 3: promoted"


def test_higher_rungs_are_promoted_first() -> None:
    bench = Bench(asha(rule="promotion"))
    for index in range(12):  # worse and worse, so nobody promotes himself
        bench.start(index)
        bench.report(index, 1, 0.1 * index)
    for expected in (0, 1, 2):
        assert bench.choose() == expected
        bench.start(expected)
        bench.report(expected, 3, 0.1 * expected)
    assert bench.choose() == 0  # rung 3 has three; rung 1 has a fourth to promote, too


def test_choose_changes_nothing() -> None:
    bench = Bench(asha(rule="promotion"))
    for index in range(3):
        bench.start(index)
        bench.report(index, 1, 0.1 * index)
    assert [bench.choose() for _ in range(3)] == [0, 0, 0]


def test_trial_lost_after_its_verdict_is_not_promoted_by_coming_back() -> None:
    bench = Bench(asha(rule="promotion"))
    bench.start(0)
    bench.report(0, 1, 0.5)
    bench.scheduler.on_requeue(bench.trials[0])
    assert bench.start(0) == 1
    assert isinstance(bench.report(0, 2, 0.4), Pause)
    assert "1: 1, 3: 0" in bench.scheduler.debug_string()


def test_ended_trial_is_not_promoted_but_counts() -> None:
    bench = Bench(asha(rule="promotion"))
    for index, loss in enumerate([0.1, 0.2, 0.3, 0.4, 0.5]):
        bench.start(index)
        bench.report(index, 1, loss)
    bench.end(0)
    assert bench.choose() is None
    bench.start(5)
    bench.report(5, 1, 0.9)
    assert bench.choose() == 1  # second of six


def test_short_run_ends_with_one_trial_trained_to_max_t() -> None:
    bench = Bench(asha(rule="promotion"))
    for index, loss in enumerate([0.5, 0.6]):
        bench.start(index)
        bench.report(index, 1, loss)
    bench.scheduler.on_stall(exhausted=True)
    assert bench.choose() == 0
    assert bench.start(0) == 3
    assert bench.report(0, 3, 0.5).until == 9
    assert bench.report(0, 9, 0.5).until == 27
    assert isinstance(bench.report(0, 27, 0.5), Stop)


def test_on_stall_does_nothing_while_trials_run() -> None:
    bench = Bench(asha(rule="promotion"))
    bench.start(0)
    bench.report(0, 1, 0.5)
    bench.start(1)
    bench.scheduler.on_stall(exhausted=True)
    assert bench.choose() is None


def test_promotion_rule_asks_for_checkpoints_and_the_stopping_rule_does_not() -> None:
    assert asha(rule="promotion").saves_at_lease_end
    assert not asha().saves_at_lease_end
