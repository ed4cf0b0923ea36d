"""Stopping rules: when each says yes, and what ``stop=`` accepts."""

import datetime
import inspect
import math
import pickle

import pytest

import tune_core as tune
from tune_core.errors import InvalidArgumentError, UserCodeError
from tune_core.stopper import (
    CombinedStopper,
    ExperimentPlateauStopper,
    FunctionStopper,
    MaximumIterationStopper,
    NoopStopper,
    Stopper,
    TimeoutStopper,
    TrialPlateauStopper,
    coerce,
)


def feed(stopper, values, trial="00000", metric="loss"):
    return [stopper(trial, {metric: value, "training_iteration": i}) for i, value in enumerate(values, 1)]


def test_noop_never_stops():
    assert feed(NoopStopper(), [1, 2, 3]) == [False] * 3
    assert not NoopStopper().stop_all()


def test_maximum_iteration_stops_each_trial_at_its_iteration():
    stopper = MaximumIterationStopper(max_iter=3)
    assert feed(stopper, [0, 0, 0, 0]) == [False, False, True, True]
    assert not stopper.stop_all()
    assert "max_iter=3" in stopper.reason()


def test_trial_plateau_stops_when_the_last_results_no_longer_move():
    stopper = TrialPlateauStopper("loss", std=0.01, num_results=3, grace_period=4)
    assert feed(stopper, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]) == [False] * 5 + [True]
    assert "loss" in stopper.reason()


def test_trial_plateau_needs_its_full_window():
    stopper = TrialPlateauStopper("loss", num_results=4, grace_period=1)
    assert feed(stopper, [1.0] * 4) == [False, False, False, True]


def test_trial_plateau_keeps_its_trials_apart():
    stopper = TrialPlateauStopper("loss", num_results=2, grace_period=2)
    assert feed(stopper, [1.0], "a") == [False]
    assert feed(stopper, [1.0], "b") == [False]
    assert feed(stopper, [1.0], "a") == [True]


@pytest.mark.parametrize(("mode", "value", "stops"), [("min", 0.9, False), ("min", 0.1, True), ("max", 0.9, True)])
def test_trial_plateau_waits_for_its_threshold(mode, value, stops):
    stopper = TrialPlateauStopper("loss", num_results=2, grace_period=2, metric_threshold=0.5, mode=mode)
    assert feed(stopper, [value] * 2)[-1] is stops


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None, "x"])
def test_trial_with_unusable_values_is_no_plateau(bad):
    stopper = TrialPlateauStopper("loss", num_results=2, grace_period=2)
    assert feed(stopper, [bad, bad, 1.0, 1.0]) == [False, False, False, True]


def test_experiment_plateau_stops_all_when_the_best_are_alike():
    stopper = ExperimentPlateauStopper("loss", std=0.01, top=3)
    assert feed(stopper, [5.0, 1.0, 1.0, 9.0, 1.0]) == [False] * 4 + [True]
    assert stopper.stop_all()


def test_experiment_plateau_waits_for_its_patience():
    stopper = ExperimentPlateauStopper("loss", std=1e-9, top=2, patience=3)
    assert feed(stopper, [1.0, 1.0, 1.0, 1.0]) == [False, False, False, True]


def test_experiment_plateau_starts_again_when_a_better_result_comes():
    stopper = ExperimentPlateauStopper("loss", std=1e-9, top=2, patience=2)
    assert feed(stopper, [1.0, 1.0, 0.5, 0.5, 0.5]) == [False, False, False, False, True]


def test_experiment_plateau_maximises():
    stopper = ExperimentPlateauStopper("acc", std=0.001, top=2, mode="max")
    assert feed(stopper, [0.1, 0.1001, 0.9, 0.9], metric="acc") == [False, True, False, True]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nonfinite_results_are_never_among_the_best(bad):
    stopper = ExperimentPlateauStopper("loss", std=0.01, top=2)
    assert feed(stopper, [bad, bad, bad, 1.0, bad, 1.0]) == [False] * 5 + [True]


def test_no_results_are_no_plateau():
    assert not ExperimentPlateauStopper("loss").stop_all()


def test_timeout_counts_from_the_first_question():
    now = [100.0]
    stopper = TimeoutStopper(datetime.timedelta(seconds=10), clock=lambda: now[0])
    assert stopper.timeout_s == 10
    assert not stopper.stop_all()
    now[0] = 109.0
    assert not stopper("00000", {})
    now[0] = 110.0
    assert stopper("00000", {})
    assert stopper.stop_all()


def test_pickled_timeout_keeps_the_time_that_was_spent():
    stopper = TimeoutStopper(1000.0)
    stopper._spent = 999.0
    again = pickle.loads(pickle.dumps(stopper))
    assert again._spent == 999.0
    assert not again.stop_all()


def test_function_stopper_calls_the_function():
    stopper = FunctionStopper(lambda trial_id, result: result["loss"] < 0.1)
    assert feed(stopper, [1.0, 0.05]) == [False, True]
    assert not stopper.stop_all()
    assert "lambda" in stopper.reason()


def test_is_valid_function():
    assert FunctionStopper.is_valid_function(lambda trial_id, result: True)
    assert not FunctionStopper.is_valid_function(NoopStopper())
    assert not FunctionStopper.is_valid_function(NoopStopper)
    assert not FunctionStopper.is_valid_function(3)


def test_a_function_with_stop_all_must_be_a_stopper():
    class Almost:
        def __call__(self, trial_id, result):
            return True

        def stop_all(self):
            return True

    with pytest.raises(InvalidArgumentError, match="Derive its class from"):
        coerce(Almost())


def test_combined_stopper_shows_every_result_to_all():
    plateau = TrialPlateauStopper("loss", num_results=3, grace_period=3)
    stopper = CombinedStopper(FunctionStopper(lambda t, r: r["loss"] > 5), plateau)
    assert feed(stopper, [9.0, 9.0, 9.0]) == [True] * 3
    assert feed(plateau, [9.0, 9.0]) == [False, False]  # had stopped at the third, so it begins anew


def test_combined_stopper_gives_the_reason_of_the_one_that_stopped():
    stopper = CombinedStopper(NoopStopper(), MaximumIterationStopper(1))
    assert feed(stopper, [0.0]) == [True]
    assert "max_iter=1" in stopper.reason()
    assert not stopper.stop_all()


def test_combined_stopper_takes_the_shortest_timeout_and_all_metrics():
    stopper = CombinedStopper(
        TimeoutStopper(20), TimeoutStopper(10), TrialPlateauStopper("a"), ExperimentPlateauStopper("b")
    )
    assert stopper.timeout_s == 10
    assert stopper.metrics == ("a", "b")


@pytest.mark.parametrize(
    ("stopper", "parameters"),
    [
        (MaximumIterationStopper, {"max_iter": inspect.Parameter.empty}),
        (ExperimentPlateauStopper, {"std": 0.001, "top": 10, "mode": "min", "patience": 0}),
        (
            TrialPlateauStopper,
            {"std": 0.01, "num_results": 4, "grace_period": 4, "metric_threshold": None, "mode": None},
        ),
        (TimeoutStopper, {"timeout": inspect.Parameter.empty}),
    ],
)
def test_documented_arguments_and_defaults(stopper, parameters):
    found = inspect.signature(stopper).parameters
    assert {name: found[name].default for name in parameters} == parameters


def test_coerce_nothing():
    assert coerce(None) == ({}, None)
    assert coerce({}) == ({}, None)
    assert coerce([]) == ({}, None)


def test_coerce_thresholds():
    thresholds, stopper = coerce({"training_iteration": 10, "acc": 0.5, "done": True})
    assert thresholds == {"training_iteration": 10.0, "acc": 0.5, "done": 1.0}
    assert stopper is None


def test_coerce_function_and_stopper():
    _, wrapped = coerce(lambda trial_id, result: True)
    assert isinstance(wrapped, FunctionStopper)
    mine = NoopStopper()
    assert coerce(mine) == ({}, mine)


def test_coerce_list_combines_its_parts():
    plateau = TrialPlateauStopper("loss")
    thresholds, stopper = coerce([{"a": 5}, {"a": 3, "b": 1}, plateau, lambda t, r: r["training_iteration"] >= 2])
    assert thresholds == {"a": 3.0, "b": 1.0}
    assert isinstance(stopper, CombinedStopper)
    assert feed(stopper, [0, 1]) == [False, True]


@pytest.mark.parametrize("others, most", [([], 4), ([{"training_iteration": 3}], 3), ([{"training_iteration": 9}], 4)])
def test_a_stopper_that_is_a_threshold_becomes_one(others, most):
    stopper = MaximumIterationStopper(4)
    for parts in ([*others, stopper], [stopper, *others]):
        assert coerce(parts) == ({"training_iteration": most}, None)


def test_a_stopper_derived_from_one_that_is_a_threshold_stays_a_stopper():
    class Mine(MaximumIterationStopper):
        pass

    mine = Mine(4)
    assert coerce(mine) == ({}, mine)


BAD = [
    (lambda: coerce(3), "stop"),
    (lambda: coerce("loss"), "stop"),
    (lambda: coerce(NoopStopper), "NoopStopper(...)"),
    (lambda: coerce({"loss": "0.1"}), "stop['loss']"),
    (lambda: coerce({"loss": math.nan}), "stop['loss']"),
    (lambda: coerce({"loss": None}), "stop['loss']"),
    (lambda: coerce({"loss": {"a": 1}}), "stop['loss']"),
    (lambda: coerce({1: 0.1}), "key 1"),
    (lambda: coerce(lambda result: True), "signature (result)"),
    (lambda: coerce([NoopStopper(), 3]), "stop"),
    (lambda: CombinedStopper(NoopStopper(), lambda t, r: True), "stopper 1"),
    (lambda: FunctionStopper(3), "FunctionStopper(function)"),
    (lambda: MaximumIterationStopper(0), "max_iter"),
    (lambda: MaximumIterationStopper(2.5), "max_iter"),
    (lambda: ExperimentPlateauStopper("loss", std=-1), "std"),
    (lambda: ExperimentPlateauStopper("loss", top=1), "top"),
    (lambda: ExperimentPlateauStopper("loss", mode="best"), "mode"),
    (lambda: ExperimentPlateauStopper("loss", patience=-1), "patience"),
    (lambda: TrialPlateauStopper("loss", std=math.nan), "std"),
    (lambda: TrialPlateauStopper("loss", num_results=0), "num_results"),
    (lambda: TrialPlateauStopper("loss", grace_period=-1), "grace_period"),
    (lambda: TrialPlateauStopper("loss", metric_threshold=0.5), "mode"),
    (lambda: TrialPlateauStopper("loss", metric_threshold="x", mode="min"), "metric_threshold"),
    (lambda: TimeoutStopper("1h"), "timeout"),
    (lambda: TimeoutStopper(-1), "timeout"),
]


@pytest.mark.parametrize(("make", "words"), BAD)
def test_bad_arguments_have_the_four_parts(make, words):
    with pytest.raises(InvalidArgumentError) as caught:
        make()
    error = caught.value
    assert all([error.asked, error.found, error.cause, error.fix])
    assert words in str(error)


def test_base_class_must_be_completed():
    with pytest.raises(NotImplementedError):
        Stopper()("00000", {})
    with pytest.raises(NotImplementedError):
        Stopper().stop_all()


def test_answers_and_thresholds_may_be_of_numpy():
    np = pytest.importorskip("numpy")
    stopper = FunctionStopper(lambda trial_id, result: np.bool_(result["loss"] < 0.1))
    assert feed(stopper, [1.0, 0.05]) == [False, True]
    assert coerce({"acc": np.float32(0.5)}) == ({"acc": 0.5}, None)


@pytest.mark.parametrize(
    ("stop", "thresholds", "kinds"),
    [
        (CombinedStopper(MaximumIterationStopper(8), TimeoutStopper(9)), {"training_iteration": 8}, [TimeoutStopper]),
        (CombinedStopper(CombinedStopper(MaximumIterationStopper(9))), {"training_iteration": 9}, []),
        ([CombinedStopper(MaximumIterationStopper(9)), {"training_iteration": 5}], {"training_iteration": 5}, []),
    ],
)
def test_what_workers_can_test_waits_for_no_driver_in_a_combined_stopper_either(stop, thresholds, kinds):
    found, stopper = coerce(stop)
    assert found == thresholds
    assert [type(one) for one in [stopper] if one is not None] == kinds


def test_combined_stoppers_of_ones_own_are_left_whole():
    class Own(CombinedStopper):
        pass

    own = Own(MaximumIterationStopper(10))
    assert coerce(own) == ({}, own)


class Recording(Stopper):
    """Keeps what it has seen."""

    def __init__(self):
        self.seen = []

    def __call__(self, trial_id, result):
        self.seen.append(result)
        return False

    def stop_all(self):
        return False


def test_results_without_the_metric_are_no_part_of_a_trials_plateau():
    stopper = TrialPlateauStopper("acc", num_results=3, grace_period=1)
    reports = [{"acc": 0.5} if i % 2 else {"loss": 1.0 / i} for i in range(1, 10)]
    assert [stopper("00000", report) for report in reports].index(True) == 4  # the third that has it


def test_results_without_the_metric_use_up_no_patience():
    stopper = ExperimentPlateauStopper("acc", top=2, patience=2)
    reports = [{"acc": 0.5}, {"acc": 0.5}, {"loss": 1.0}, {"loss": 2.0}, {"acc": 0.5}]
    assert [stopper("00000", report) for report in reports] == [False, False, False, False, True]


@pytest.mark.parametrize(
    "stopper",
    [
        TrialPlateauStopper("loss", num_results=3, grace_period=3),
        ExperimentPlateauStopper("loss", top=3),
        CombinedStopper(TrialPlateauStopper("loss", num_results=3, grace_period=3), NoopStopper()),
    ],
    ids=["trial", "experiment", "combined"],
)
def test_stopper_given_to_a_second_run_knows_nothing_of_the_first(stopper, tmp_path):
    def steps(number):
        def steady(config):
            for _ in range(number):
                tune.report({"loss": 1.0})

        run = tune.RunConfig(storage_path=str(tmp_path), executor="inline", stop=stopper, verbose=0)
        return tune.Tuner(steady, run_config=run).fit()[0].metrics["training_iteration"]

    assert (steps(2), steps(10)) == (2, 3)


@pytest.mark.parametrize("method", ["__call__", "stop_all"])
def test_stopper_without_one_of_its_methods_is_refused_at_once(method):
    other = "stop_all" if method == "__call__" else "__call__"
    half = type("Half", (Stopper,), {other: lambda self, *of: False})
    with pytest.raises(InvalidArgumentError, match=rf"Half, has no {method} of its own"):
        tune.RunConfig(stop=half())


def test_threshold_beyond_all_floats_is_refused():
    with pytest.raises(InvalidArgumentError, match=r"stop\['steps'\]"):
        coerce({"steps": 10**400})


def test_stopper_that_raises_in_a_restore_is_named(tmp_path):
    def steady(config):
        tune.report({"loss": 1.0})

    class Raising(Recording):
        def __call__(self, trial_id, result):
            return result["missing"]

    run = tune.RunConfig(name="run", storage_path=str(tmp_path), executor="inline", stop=Recording(), verbose=0)
    tune.Tuner(steady, run_config=run).fit()
    other = tune.RunConfig(executor="inline", stop=Raising(), verbose=0)
    with pytest.raises(UserCodeError, match="The stopper Raising raised KeyError"):
        tune.Tuner.restore(str(tmp_path / "run"), steady, run_config=other).fit()


def test_stopper_sees_the_same_in_a_restore_as_in_the_run(tmp_path):
    def steady(config):
        tune.report({"loss": 1.0})

    stopper = Recording()
    run = tune.RunConfig(name="run", storage_path=str(tmp_path), executor="inline", stop=stopper, verbose=0)
    tune.Tuner(steady, param_space={"x": tune.choice([1])}, run_config=run).fit()
    tune.Tuner.restore(str(tmp_path / "run"), steady, run_config=run).fit()
    first, again = stopper.seen
    assert first == again
    assert first["experiment_tag"] == "0_x=1"
