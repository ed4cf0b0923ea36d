"""Stopping rules by their public calls: ``stopper(trial_id, result)`` and ``stop_all()``."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from .conftest import Api


def ask(stopper: Any, values: list[Any], trial: str = "a", metric: str = "loss") -> list[bool]:
    return [bool(stopper(trial, {metric: v, "training_iteration": i})) for i, v in enumerate(values, 1)]


def test_maximum_iteration(api: Api) -> None:
    stopper = api("stopper").MaximumIterationStopper(max_iter=2)
    assert ask(stopper, [0, 0, 0])[1:] == [True, True]
    assert not stopper.stop_all()


def test_noop(api: Api) -> None:
    stopper = api("stopper").NoopStopper()
    assert ask(stopper, [1, 2]) == [False, False] and not stopper.stop_all()


def test_function(api: Api) -> None:
    stopper = api("stopper").FunctionStopper(lambda trial_id, result: result["loss"] < 1)
    assert ask(stopper, [3, 0.5]) == [False, True] and not stopper.stop_all()
    assert api("stopper").FunctionStopper.is_valid_function(lambda a, b: True)
    assert not api("stopper").FunctionStopper.is_valid_function(api("stopper").NoopStopper())


def test_combined_stops_when_any_does(api: Api) -> None:
    s = api("stopper")
    combined = s.CombinedStopper(
        s.MaximumIterationStopper(max_iter=3), s.FunctionStopper(lambda trial_id, result: result["loss"] < 1)
    )
    assert ask(combined, [5, 5, 5]) == [False, False, True]
    assert ask(combined, [0], trial="b") == [True]


def test_trial_plateau_needs_its_results_and_its_grace(api: Api) -> None:
    make = api("stopper").TrialPlateauStopper
    assert ask(make("loss", std=0.01, num_results=3, grace_period=3), [1, 1, 1]) == [False, False, True]
    assert ask(make("loss", std=0.01, num_results=2, grace_period=4), [1, 1, 1, 1]) == [False, False, False, True]
    assert ask(make("loss", std=0.01, num_results=3, grace_period=3), [1, 2, 3, 4]) == [False] * 4


def test_trial_plateau_with_a_threshold(api: Api) -> None:
    stopper = api("stopper").TrialPlateauStopper(
        "loss", std=0.01, num_results=2, grace_period=2, metric_threshold=0.5, mode="min"
    )
    assert ask(stopper, [1, 1, 1]) == [False, False, False]
    assert ask(stopper, [0.1, 0.1], trial="b") == [False, True]


def test_trials_plateau_one_by_one(api: Api) -> None:
    stopper = api("stopper").TrialPlateauStopper("loss", num_results=2, grace_period=2)
    assert ask(stopper, [1], trial="a") == [False]
    assert ask(stopper, [1], trial="b") == [False]
    assert ask(stopper, [1], trial="a") == [True]


def test_trial_plateau_refuses_a_threshold_without_a_mode(api: Api) -> None:
    with pytest.raises(ValueError):
        api("stopper").TrialPlateauStopper("loss", metric_threshold=0.5)


def test_experiment_plateau_ends_the_whole_run(api: Api) -> None:
    stopper = api("stopper").ExperimentPlateauStopper("loss", std=0.01, top=3, mode="min", patience=0)
    for trial in "abcd":
        ask(stopper, [1.0], trial=trial)
    assert stopper.stop_all()


def test_experiment_plateau_goes_on_while_the_best_improve(api: Api) -> None:
    stopper = api("stopper").ExperimentPlateauStopper("loss", std=0.01, top=3, mode="min")
    for number, trial in enumerate("abcd"):
        ask(stopper, [10.0 - number], trial=trial)
    assert not stopper.stop_all()


@pytest.mark.parametrize("arguments", [{"std": 0}, {"std": -1}, {"top": 0}, {"mode": "best"}, {"patience": -1}])
def test_experiment_plateau_refuses_arguments_that_cannot_be(api: Api, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        api("stopper").ExperimentPlateauStopper("loss", **arguments)


@pytest.mark.parametrize("timeout", [1, 2.5, datetime.timedelta(seconds=3)])
def test_timeout_takes_seconds_or_a_timedelta(api: Api, timeout: Any) -> None:
    stopper = api("stopper").TimeoutStopper(timeout)
    assert not stopper("a", {"loss": 1})
    assert not stopper.stop_all()


def test_timeout_refuses_what_is_no_time(api: Api) -> None:
    with pytest.raises(ValueError):
        api("stopper").TimeoutStopper("soon")
