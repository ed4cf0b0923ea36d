"""Whole runs through ``Tuner``: seeds, limits, stops, failures, callbacks, and foreign code that misbehaves."""

from __future__ import annotations

import math
import os
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.core import events as ev
from tune_core.engine.loop_settings import LoopSettings
from tune_core.errors import (
    ExperimentLockedError,
    FatalError,
    InvalidArgumentError,
    TrialError,
    TuneError,
    UserCodeError,
)
from tune_core.journal import reader as journal
from tune_core.journal.lock import Lock
from tune_core.schedulers import ASHAScheduler, Continue, Scheduler
from tune_core.search import Searcher
from tune_core.stopper import Stopper

EXECUTORS = ["inline", "local"]


@pytest.fixture
def fit(tmp_path, monkeypatch):
    """Runs an objective and returns the results; keywords go where they belong."""

    def run(objective: Any, space: Any = None, executor: Any = "inline", restore: bool = False, **options: Any) -> Any:
        fields = tune.TuneConfig.__dataclass_fields__
        config = {key: options.pop(key) for key in list(options) if key in fields}
        options = {"name": "run", "storage_path": str(tmp_path), "verbose": 0, **options}
        return tune.Tuner(
            objective,
            param_space=space,
            tune_config=tune.TuneConfig(**config),
            run_config=tune.RunConfig(executor=executor, **options),
        ).fit()

    return run


@pytest.fixture
def events(tmp_path):
    """The events of the run in the journal, of one kind."""
    return lambda kind: [e for e in journal.read(str(tmp_path / "run")).events if type(e) is kind]


def three(config):
    for i in range(3):
        tune.report({"loss": config.get("x", 0) + i})


# --- seeds ------------------------------------------------------------------------------------------------------------

WIDE = {
    "u": tune.uniform(0, 1),
    "l": tune.loguniform(1e-4, 1),
    "n": tune.randint(0, 1000),
    "g": tune.grid_search(["a", "b"]),
    "m": tune.choice([{"k": "x", "d": tune.uniform(0, 1)}, {"k": "y"}]),
}


def report_u(config):
    for i in range(4):
        tune.report({"loss": config["u"] / (i + 1)})


@pytest.mark.real
def test_the_same_seed_gives_the_same_configurations_on_any_number_of_workers(fit):
    def configs(executor: Any, **options: Any) -> list[Any]:
        options = {"num_samples": 6, "metric": "loss", "mode": "min", **options}
        return [r.config for r in fit(report_u, WIDE, executor, name=None, **options)]

    first = configs("inline", seed=1)
    assert len(first) == 12 and len({c["u"] for c in first}) == 12
    for workers in (1, 2, 4):
        assert configs(tune.LocalExecutor(num_cpus=workers), seed=1) == first
    assert (
        configs(tune.LocalExecutor(num_cpus=4), seed=1, scheduler=ASHAScheduler(max_t=4, reduction_factor=2)) == first
    )
    assert configs("inline", seed=2) != first


def test_an_unseeded_run_journals_the_seed_it_drew(fit, tmp_path):
    first = [r.config for r in fit(report_u, WIDE)]
    seed = journal.read(str(tmp_path / "run")).header.seed
    assert [r.config for r in fit(report_u, WIDE, seed=seed, name="again")] == first


# --- stopping ---------------------------------------------------------------------------------------------------------


def endless(config):
    i = 0
    while i < 10_000:
        i += 1
        tune.report({"loss": 1.0 / i, "score": i, "deep": {"score": i}, "odd": math.nan if i < 5 else math.inf})


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("stop", "iterations"),
    [
        ({"training_iteration": 3}, 3),
        ({"score": 4}, 4),
        ({"score": 3.5}, 4),
        ({"deep/score": 2}, 2),
        ({"score": 7, "training_iteration": 5}, 5),
        ({"odd": 1, "score": 9}, 9),
        ({"missing": 1, "score": 2}, 2),
        (lambda trial_id, result: result["loss"] < 0.3, 4),
        (tune.stopper.MaximumIterationStopper(6), 6),
        ([{"score": 5}, tune.stopper.MaximumIterationStopper(6)], 5),
    ],
)
def test_a_trial_stops_at_or_above_the_threshold(fit, executor, stop, iterations):
    result = fit(endless, stop=stop, executor=executor)[0]
    assert (result.metrics["training_iteration"], str(result.status)) == (iterations, "TERMINATED")
    assert result.reason


class StopAll(Stopper):
    def __call__(self, trial_id, result):
        return False

    def stop_all(self):
        self.asked = getattr(self, "asked", 0) + 1
        return self.asked >= 5


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_stopper_may_end_the_whole_run(fit, executor, events):
    results = fit(endless, stop=StopAll(), num_samples=50, executor=executor)
    assert len(results) <= 8
    assert events(ev.Finished)[0].why.startswith("StopAll")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_time_budget_ends_the_run_and_what_it_runs(fit, executor, events):
    def slow(config):
        for i in range(10_000):
            time.sleep(0.01)
            tune.report({"loss": i})

    results = fit(slow, time_budget_s=0.3, num_samples=-1, executor=executor)
    assert "time budget" in events(ev.Finished)[0].why
    assert {str(r.status) for r in results} == {"TERMINATED"}


def test_endless_sampling_ends_with_the_budget(fit):
    assert len(fit(three, {"x": tune.uniform(0, 1)}, time_budget_s=0.3, num_samples=-1)) > 3


@pytest.mark.real
def test_no_more_trials_run_at_once_than_allowed(fit, events):
    fit(three, num_samples=6, max_concurrent_trials=1, executor=tune.LocalExecutor(num_cpus=3))
    running = most = 0
    for event in events(ev.Launched) and journal_order(events):
        running += 1 if type(event) is ev.Launched else -1
        most = max(most, running)
    assert most == 1


def journal_order(events):
    return sorted([*events(ev.Launched), *events(ev.Ended)], key=lambda e: (e.at, type(e) is ev.Launched))


# --- objectives that misbehave ----------------------------------------------------------------------------------------


@pytest.mark.real
def test_an_objective_that_catches_every_exception_is_stopped_all_the_same(fit):
    def catching(config):
        for i in range(10_000):
            try:
                tune.report({"loss": i})
            except Exception:
                pass

    result = fit(catching, scheduler=ASHAScheduler(max_t=3), metric="loss", mode="min", executor="local")[0]
    assert result.metrics["training_iteration"] == 3


@pytest.mark.real
@pytest.mark.parametrize("how", ["budget", "scheduler"])
def test_an_objective_that_ignores_its_stop_is_ended_after_the_grace_period(fit, how, monkeypatch):
    def stubborn(config):
        while True:
            try:
                tune.report({"loss": 1.0})
            except BaseException:
                pass

    made = LoopSettings.__init__
    monkeypatch.setattr(LoopSettings, "__init__", lambda plan, *a, **k: made(plan, *a, **{**k, "end_grace_s": 0.2}))
    options = {"time_budget_s": 0.5} if how == "budget" else {"scheduler": ASHAScheduler(max_t=3)}
    results = fit(stubborn, metric="loss", mode="min", executor="local", **options)
    assert str(results[0].status) == "TERMINATED"
    assert results.num_errors == 0


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_trial_that_fails_keeps_its_results_and_its_traceback(fit, executor):
    def fails(config):
        tune.report({"loss": 1.0})
        raise KeyError("this one")

    results = fit(fails, executor=executor, num_samples=2)
    assert results.num_errors == 2
    assert "this one" in str(results[0].error) and "in fails" in str(results[0].error)
    assert results[0].metrics["loss"] == 1.0


@pytest.mark.real
@pytest.mark.parametrize(
    ("deed", "named"),
    [
        ("import os; os._exit(3)", "exited with code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("import sys; sys.exit('bye')", "sys.exit('bye')"),
        ("raise MemoryError('too much')", "MemoryError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import tune_core; tune_core.report({'loss': [0] * 10_001})", "loss"),
        ("print('said before it died'); import os; os._exit(1)", "said before it died"),
    ],
)
def test_whatever_a_trial_does_the_others_go_on(fit, deed, named):
    def objective(config):
        if config["bad"]:
            exec(deed)
        tune.report({"loss": 1.0})

    results = fit(objective, {"bad": tune.grid_search([True, False, False])}, executor="local")
    assert [str(r.status) for r in results] == ["ERROR", "TERMINATED", "TERMINATED"]
    assert named in str(results[0].error)


@pytest.mark.real
def test_a_trial_that_hangs_is_ended_by_its_timeout(fit):
    def hangs(config):
        time.sleep(1000)

    results = fit(hangs, executor="local", trial_timeout_s=0.3)
    assert "trial_timeout_s=0.3" in str(results[0].error)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_failed_trial_is_tried_again_from_its_checkpoint(fit, executor, tmp_path):
    def fails_once(config):
        checkpoint = tune.get_checkpoint()
        if checkpoint is None:
            (tmp_path / "state").mkdir()
            tune.report({"loss": 2.0}, checkpoint=tune.Checkpoint.from_directory(tmp_path / "state"))
            raise RuntimeError("once")
        tune.report({"loss": 1.0})

    result = fit(fails_once, executor=executor, failure_config=tune.FailureConfig(max_failures=1))[0]
    assert (result.metrics["loss"], result.metrics["training_iteration"]) == (1.0, 2)


def test_fail_fast_ends_the_run(fit):
    def fails(config):
        raise ValueError("boom")

    results = fit(fails, num_samples=9, failure_config=tune.FailureConfig(fail_fast=True))
    assert len(results) == 1
    with pytest.raises(TrialError, match="boom"):
        fit(fails, num_samples=9, failure_config=tune.FailureConfig(fail_fast="raise"), name="other")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_objective_may_end_the_whole_run(fit, executor, tmp_path):
    def doomed(config):
        raise FatalError("the data set is gone")

    failures = tune.FailureConfig(max_failures=3)
    with pytest.raises(TrialError, match="the data set is gone"):
        fit(doomed, num_samples=9, executor=executor, failure_config=failures)
    assert len(tune.ResultGrid.from_path(tmp_path / "run")) < 9


@pytest.mark.filterwarnings("ignore:TuneConfig.metric. names the metric")
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_metric_that_never_comes_ends_the_run_and_names_what_was_reported(fit, executor, tmp_path):
    with pytest.raises(TrialError, match=r"'accuracy' was never reported; reported were 'loss'") as caught:
        fit(three, num_samples=9, metric="accuracy", mode="max", executor=executor)
    assert "tune.report" in str(caught.value)
    assert len(tune.ResultGrid.from_path(tmp_path / "run")) < 9


@pytest.mark.filterwarnings("ignore:TuneConfig.metric. names the metric")
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_metric_that_is_always_none_is_said_to_be_none(fit, executor):
    def unmeasured(config):
        tune.report({"loss": None, "cost": 1.0})

    with pytest.raises(TrialError, match=r"'loss' was None in each result.*None is no value") as caught:
        fit(unmeasured, num_samples=9, metric="loss", mode="min", executor=executor)
    assert "Did you mean" not in str(caught.value)


def test_the_warning_about_a_metric_that_is_none_does_not_ask_for_its_own_name(fit):
    def unmeasured(config):
        tune.report({"loss": None, "cost": 1.0})

    expected = r"TuneConfig\(metric\) names the metric 'loss', which was None in each result"
    with pytest.warns(UserWarning, match=expected), pytest.raises(TrialError):
        fit(unmeasured, metric="loss", mode="min", executor="inline")


def test_a_misspelt_metric_of_a_constraint_is_named(fit):
    def two(config):
        tune.report({"loss": 1.0, "cost": 1.0})

    options = {"num_samples": 2, "metric": "loss", "mode": "min", "executor": "inline"}
    with pytest.warns(UserWarning, match=r"TuneConfig\(constraints\) names the metric 'costt'.*Did you mean 'cost'"):
        results = fit(two, constraints={"costt": ("<=", 5)}, **options)
    expected = r"none of the 2 trials meets.*costt <= 5.*no result has the metric 'costt' \(did you mean 'cost'\?\)"
    with pytest.warns(UserWarning, match=expected):
        results.get_best_result()
    results = fit(two, constraints={"cost": ("<=", 0)}, **options)
    with pytest.warns(UserWarning, match="none of the 2 trials meets") as caught:
        results.get_best_result()
    assert "no result has" not in str(caught[0].message)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_objective_that_reports_nothing_is_told_so(fit, executor):
    results = fit(lambda config: None, num_samples=2, metric="loss", mode="min", executor=executor)
    assert results.num_errors == 2
    assert "without reporting anything" in str(results[0].error)


def test_an_objective_that_reports_nothing_is_fine_without_a_metric(fit):
    assert fit(lambda config: None).num_errors == 0


def test_nan_and_infinite_metrics_count_worst(fit):
    def objective(config):
        tune.report({"loss": config["loss"]})

    values = [math.nan, math.inf, 3.0, -math.inf, 2.0]
    results = fit(objective, {"loss": tune.grid_search(values)}, metric="loss", mode="min")
    assert results.get_best_result().config == {"loss": 2.0}
    assert math.isnan(results[0].metrics["loss"]) and results[3].metrics["loss"] == -math.inf


def test_nested_metrics_are_named_with_slashes(fit):
    def objective(config):
        tune.report({"eval": {"loss": config["x"]}})

    results = fit(objective, {"x": tune.grid_search([3, 1, 2])}, metric="eval/loss", mode="min")
    assert results.get_best_result().config == {"x": 1}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_trial_may_report_from_a_thread(fit, executor):
    def objective(config):
        thread = threading.Thread(target=lambda: [tune.report({"loss": i}) for i in range(5)])
        thread.start()
        thread.join()

    assert fit(objective, executor=executor)[0].metrics["training_iteration"] == 5


@pytest.mark.real
@pytest.mark.parametrize(("outer", "inner"), [("inline", "inline"), ("local", "inline"), ("local", "local")])
def test_a_trial_may_tune_something_itself(fit, tmp_path, outer, inner):
    def objective(config):
        grid = tune.Tuner(
            three,
            param_space={"x": tune.grid_search([1, 2])},
            run_config=tune.RunConfig(storage_path=str(tmp_path / "inner"), verbose=0, executor=inner),
        ).fit()
        tune.report({"loss": sum(r.metrics["loss"] for r in grid)})

    assert fit(objective, executor=outer)[0].metrics["loss"] == 7


# --- plug-ins that misbehave ------------------------------------------------------------------------------------------


class Broken(Searcher):
    def suggest(self, trial_id):
        if trial_id == "00002":
            raise OSError("no answer")
        return {"x": int(trial_id)}


class Wrong(Searcher):
    def suggest(self, trial_id):
        return 42


class Deaf(Searcher):
    def suggest(self, trial_id):
        return {"x": 1}

    def on_trial_complete(self, trial_id, result=None, error=False):
        raise OSError("not listening")


class Never(Searcher):
    def suggest(self, trial_id):
        return None


class Bad(Scheduler):
    def lease(self, trial):
        return ev.Lease(steps=1)

    def on_result(self, trial, result):
        if trial.index == 1:
            raise ZeroDivisionError("by zero")
        return Continue(steps=1)


class BadStopper(Stopper):
    def __call__(self, trial_id, result):
        if trial_id == "00001":
            raise ZeroDivisionError("by zero")
        return False

    def stop_all(self):
        return False


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"search_alg": Broken}, r"Broken\.suggest raised OSError: no answer"),
        ({"search_alg": Wrong}, r"Wrong\.suggest returned 42"),
        ({"search_alg": Deaf}, r"Deaf\.on_trial_complete raised OSError"),
        ({"search_alg": Never}, r"Never\.suggest answered 'not now'"),
        ({"scheduler": Bad}, r"Bad\.on_result raised ZeroDivisionError"),
        ({"stop": BadStopper}, r"BadStopper raised ZeroDivisionError"),
    ],
)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_plug_in_that_raises_is_named_and_all_results_stay_readable(fit, tmp_path, options, named, executor):
    if "Never" in named and executor == "local":
        pytest.skip("it is asked for 20 seconds")
    options = {key: cls() for key, cls in options.items()}
    with pytest.raises(UserCodeError, match=named) as caught:
        fit(three, num_samples=5, metric="loss", mode="min", executor=executor, **options)
    assert all((caught.value.asked, caught.value.found, caught.value.cause, caught.value.fix))
    results = tune.ResultGrid.from_path(tmp_path / "run")
    assert results.num_errors == 0
    assert all(r.metrics["training_iteration"] == 3 for r in results if str(r.status) == "TERMINATED")


class Recorder(tune.Callback):
    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def setup(self, **info):
        self.calls.append(("setup", info["num_samples"]))

    def on_experiment_end(self, trials, **info):
        self.calls.append(("end", len(trials)))

    def __getattribute__(self, name):
        if name.startswith("on_trial") or name == "on_checkpoint":
            return lambda **info: self.calls.append((name, info["trial"].trial_id))
        return super().__getattribute__(name)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_callbacks_are_called_in_order(fit, executor, tmp_path):
    (tmp_path / "state").mkdir()

    def objective(config):
        tune.report({"loss": 1.0})
        tune.report({"loss": 0.5}, checkpoint=tune.Checkpoint.from_directory(tmp_path / "state"))
        if config["bad"]:
            raise ValueError("boom")

    recorder = Recorder()
    space = {"bad": tune.grid_search([False, True])}
    fit(objective, space, executor=executor, callbacks=[recorder])
    assert recorder.calls[0] == ("setup", 1) and recorder.calls[-1] == ("end", 2)
    course = ["on_trial_start", "on_trial_result", "on_trial_result", "on_trial_save", "on_checkpoint"]
    for trial, last in (("00000", "on_trial_complete"), ("00001", "on_trial_error")):
        assert [name for name, which in recorder.calls if which == trial] == [*course, last]


def test_callbacks_see_results_with_the_documented_fields(fit):
    seen: list[dict[str, Any]] = []

    class Looks(tune.Callback):
        def on_trial_result(self, iteration, trials, trial, result, **info):
            assert trials[0].trial_id == trial.trial_id == result["trial_id"]
            seen.append(result)

    fit(three, {"x": 1}, callbacks=[Looks()])
    assert [r["training_iteration"] for r in seen] == [1, 2, 3]
    for key in ("loss", "time_total_s", "timestamp", "config", "done", "trial_id"):
        assert key in seen[0]
    assert seen[0]["config"] == {"x": 1}


class Raises(tune.Callback):
    def on_trial_result(self, **info):
        raise RuntimeError("in the callback")


@pytest.mark.parametrize("verbose", [1])
def test_a_callback_that_raises_is_said_once_and_the_run_goes_on(fit, capsys, monkeypatch, verbose):
    monkeypatch.setenv("TUNE_CORE_PROGRESS", "plain")
    results = fit(three, num_samples=3, callbacks=[Raises()], verbose=verbose)
    assert len(results) == 3 and results.num_errors == 0
    printed = capsys.readouterr()
    said = printed.out + printed.err
    assert said.count("Raises.on_trial_result raised RuntimeError: in the callback") == 1
    assert "The run goes on, and Raises is called further; Raises.strict = True would end the run instead." in said


def test_a_strict_callback_ends_the_run(fit, tmp_path):
    strict = Raises()
    strict.strict = True
    with pytest.raises(UserCodeError, match=r"Raises\.on_trial_result raised RuntimeError") as raised:
        fit(three, num_samples=3, callbacks=[strict])
    assert "It ends the run, as Raises.strict = True asks" in str(raised.value)
    assert "goes on" not in str(raised.value)
    assert len(tune.ResultGrid.from_path(tmp_path / "run")) >= 1


@pytest.mark.parametrize("hook", ["setup", "on_experiment_end"])
def test_a_strict_callback_may_raise_at_the_start_or_the_end(fit, hook):
    callback = type("Strict", (tune.Callback,), {"strict": True, hook: lambda self, **info: 1 / 0})()
    for executor in EXECUTORS:
        with pytest.raises(UserCodeError, match=rf"Strict\.{hook} raised ZeroDivisionError"):
            fit(three, callbacks=[callback], executor=executor, name=executor)


# --- parts that are used again ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["scheduler", "search_alg"])
def test_a_part_that_learnt_from_one_run_is_refused_by_another(fit, option):
    part = ASHAScheduler(max_t=3) if option == "scheduler" else tune.search.BasicVariantGenerator()
    fit(three, metric="loss", mode="min", **{option: part})
    with pytest.raises(InvalidArgumentError, match="another run has used"):
        fit(three, metric="loss", mode="min", name="second", **{option: part})


def test_a_run_that_could_not_begin_uses_up_nothing(fit, tmp_path):
    scheduler = ASHAScheduler(max_t=3)
    too_much = tune.with_resources(three, {"cpu": 10_000})
    with pytest.raises(TuneError, match="10000"):
        fit(too_much, metric="loss", mode="min", scheduler=scheduler, executor="local")
    assert not (tmp_path / "run").exists()
    assert len(fit(three, metric="loss", mode="min", scheduler=scheduler)) == 1


@pytest.mark.real
def test_an_executor_can_be_used_for_one_run_after_another(fit):
    for executor in (tune.LocalExecutor(num_cpus=2), tune.InlineExecutor()):
        for name in ("first", "second"):
            assert fit(three, executor=executor, num_samples=2, name=name + executor.name).num_errors == 0


def test_a_run_of_the_same_name_moves_the_earlier_one_aside(fit, tmp_path):
    fit(three)
    second = fit(three, num_samples=2)
    (aside,) = (folder for folder in tmp_path.iterdir() if folder.name != "run")
    assert re.fullmatch(r"run_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", aside.name)
    assert [len(tune.ResultGrid.from_path(path)) for path in (aside, second.experiment_path)] == [1, 2]


def test_a_run_that_goes_on_is_not_moved_aside(fit):
    folder = fit(three).experiment_path
    lock = Lock(folder)
    with pytest.raises(ExperimentLockedError):
        fit(three)
    lock.release()
    assert len(tune.ResultGrid.from_path(folder)) == 1


# --- resources --------------------------------------------------------------------------------------------------------


def test_trials_know_their_resources(fit):
    def objective(config):
        tune.report({"cpu": tune.get_trial_resources()["cpu"], "other": tune.get_trial_resources().get("lamp", 0)})

    machine = tune.LocalExecutor(num_cpus=4, resources={"lamp": 3})
    assert fit(objective, executor=machine, name="a")[0].metrics["cpu"] == 1
    bound = tune.with_resources(objective, {"cpu": 2, "lamp": 1})
    assert fit(bound, executor=machine, name="b")[0].metrics["other"] == 1
    by_config = tune.with_resources(objective, lambda config: {"cpu": config["cpus"]})
    results = fit(by_config, {"cpus": tune.grid_search([1, 2, 9])}, executor=machine, name="c")
    assert [r.metrics.get("cpu") for r in results] == [1, 2, None]
    assert "9 cpu" in str(results[2].error)
    bundles = tune.with_resources(objective, tune.PlacementGroupFactory([{"cpu": 1}, {"cpu": 1}]))
    assert fit(bundles, executor=machine, name="d").num_errors in (0, 1)


@pytest.mark.parametrize("answer", [7, {"cpu": -1}, ZeroDivisionError])
def test_a_resource_function_that_is_wrong_is_named(fit, answer):
    def resources(config):
        if answer is ZeroDivisionError:
            raise ZeroDivisionError("by zero")
        return answer

    with pytest.raises(TuneError, match="resources") as caught:
        fit(tune.with_resources(three, resources), executor="local")
    assert all((caught.value.asked, caught.value.found, caught.value.cause, caught.value.fix))


@pytest.mark.real
def test_environment_variables_reach_the_trials_alone(fit):
    def objective(config):
        tune.report({"answer": int(os.environ["TUNE_CORE_TEST_ANSWER"])})

    assert fit(objective, executor="local", env={"TUNE_CORE_TEST_ANSWER": "42"})[0].metrics["answer"] == 42
    assert "TUNE_CORE_TEST_ANSWER" not in os.environ


@pytest.mark.real
def test_trial_output_goes_to_a_file_of_its_own(fit, tmp_path):
    def objective(config):
        print("hello from", config["x"])
        tune.report({"loss": 1.0})

    results = fit(objective, {"x": tune.grid_search([1, 2])}, executor="local")
    for result in results:
        assert Path(result.path, "output.log").read_text() == f"hello from {result.config['x']}\n"


def test_the_executor_may_be_named_by_the_environment(fit, monkeypatch):
    monkeypatch.setenv("TUNE_CORE_EXECUTOR", "inline")
    seen = []
    fit(lambda config: seen.append(os.getpid()), executor=None)
    assert seen == [os.getpid()]


def test_tune_run_returns_an_analysis_and_raises_for_failed_trials(tmp_path):
    def fails(config):
        tune.report({"loss": 1.0})
        raise ValueError("boom")

    common = {"storage_path": str(tmp_path), "verbose": 0, "executor": "inline"}
    analysis = tune.run(three, config={"x": tune.grid_search([2, 1])}, metric="loss", mode="min", name="a", **common)
    assert analysis.best_config == {"x": 1}
    with pytest.raises(TrialError, match="boom"):
        tune.run(fails, name="b", **common)
    assert len(tune.run(fails, name="c", raise_on_failed_trial=False, **common).trials) == 1
    assert (
        len(tune.run(three, config={"x": 1}, name="a", resume="AUTO", metric="loss", mode="min", **common).trials) == 2
    )
