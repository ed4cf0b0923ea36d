"""Bad inputs over the whole public face: each is an error with all four parts, before any trial has started."""
# ruff: noqa: E501 - a table

from __future__ import annotations

import datetime
import math
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core import schedulers, search, stopper
from tune_core.errors import (
    CheckpointError,
    InvalidArgumentError,
    JournalError,
    MetricError,
    ResourceError,
    RestoreError,
    SearchSpaceError,
    SerializationError,
    StorageError,
    TuneError,
)
from tune_core.journal.format import JOURNAL_FILE

A = InvalidArgumentError
Row = tuple[str, Callable[[Path], Any], type[TuneError], str]


def started(config):
    raise AssertionError("no trial may start")


def two(config, data):
    raise AssertionError("no trial may start")


def nothing():
    raise AssertionError("no trial may start")


class NotATrainable:
    def step(self):
        return {}


class Stepping(tune.Trainable):
    def step(self):
        raise AssertionError("no trial may start")


class WithData(tune.Trainable):
    def setup(self, config, data):
        raise AssertionError("no trial may start")


def tuner(trainable: Any = started, **options: Any) -> tune.Tuner:
    return tune.Tuner(trainable, **options)


def fit(path: Path, trainable: Any = started, space: Any = None, **options: Any) -> Any:
    fields = tune.TuneConfig.__dataclass_fields__
    config = {key: options.pop(key) for key in list(options) if key in fields}
    options = {"name": "run", "storage_path": str(path), "verbose": 0, "executor": "local", **options}
    return tune.Tuner(
        trainable, param_space=space, tune_config=tune.TuneConfig(**config), run_config=tune.RunConfig(**options)
    ).fit()


def finished(path: Path) -> Path:
    """The folder of a small experiment."""
    if not (path / "done" / JOURNAL_FILE).exists():

        def objective(config):
            if config["x"] == 3:
                raise ValueError("boom")
            return {"loss": config["x"]}

        config = tune.TuneConfig(metric="loss", mode="min")
        run = tune.RunConfig(name="done", storage_path=str(path), verbose=0, executor="inline")
        tune.Tuner(objective, param_space={"x": tune.grid_search([1, 2, 3])}, tune_config=config, run_config=run).fit()
    return path / "done"


def results(path: Path) -> tune.ResultGrid:
    return tune.ResultGrid.from_path(finished(path))


def run_config(**options: Any) -> Callable[[Path], Any]:
    return lambda path: tune.RunConfig(**options)


def tune_config(**options: Any) -> Callable[[Path], Any]:
    return lambda path: tune.TuneConfig(**options)


def a_file(path: Path) -> str:
    (path / "file").write_text("x")
    return str(path / "file")


def capturing() -> Callable[[dict[str, Any]], Any]:
    lock = threading.Lock()

    def objective(config):
        with lock:
            raise AssertionError("no trial may start")

    return objective


def newer(path: Path) -> Path:
    import zlib

    text = b'{"e":"run","schema":99,"version":"9.9"}'
    (path / JOURNAL_FILE).write_bytes(b'%b,"crc":"%08x"}\n' % (text[:-1], zlib.crc32(text)))
    return path


BAD: list[Row] = [
    # the trainable
    ("trainable is a number", lambda p: tuner(3), A, "trainable"),
    ("trainable is None", lambda p: tuner(None), A, "trainable"),
    ("trainable is a string", lambda p: tuner("PPO"), A, "'PPO'"),
    ("trainable is a dict", lambda p: tuner({"a": 1}), A, "trainable"),
    ("trainable takes no argument", lambda p: tuner(nothing), A, "nothing()"),
    ("trainable takes two arguments", lambda p: tuner(two), A, "with_parameters"),
    ("trainable is a foreign class", lambda p: tuner(NotATrainable), A, "NotATrainable"),
    ("trainable is an instance of Trainable", lambda p: tuner(Stepping({})), A, "Stepping"),
    ("frequency for a function", lambda p: tuner(run_config=tune.RunConfig(checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=2))), A, "checkpoint_frequency"),
    ("at_end for a function", lambda p: tuner(run_config=tune.RunConfig(checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True))), A, "checkpoint_at_end"),
    ("lock in a closure", lambda p: fit(p, capturing()), SerializationError, "'lock'"),
    ("lock as a parameter", lambda p: fit(p, tune.with_parameters(two, data=threading.Lock())), SerializationError, "'data'"),
    # with_parameters, with_resources
    ("parameter unknown to the function", lambda p: tune.with_parameters(started, data=1), A, "started"),
    ("parameter misspelt", lambda p: tune.with_parameters(two, dta=1), A, "dta"),
    ("parameter unknown to setup", lambda p: tune.with_parameters(Stepping, data=1), A, "setup"),
    ("parameter misspelt for setup", lambda p: tune.with_parameters(WithData, dta=1), A, "dta"),
    ("parameters of nothing", lambda p: tune.with_parameters(None, data=1), A, "None"),
    ("parameters of a foreign class", lambda p: tune.with_parameters(NotATrainable, data=1), A, "NotATrainable"),
    ("resources are a number", lambda p: tune.with_resources(started, 2), ResourceError, "resources"),
    ("resources are negative", lambda p: tune.with_resources(started, {"cpu": -1}), ResourceError, "-1"),
    ("resources are NaN", lambda p: tune.with_resources(started, {"gpu": math.nan}), ResourceError, "gpu"),
    ("resources are a string", lambda p: tune.with_resources(started, {"cpu": "2"}), ResourceError, "'2'"),
    ("resources are a bool", lambda p: tune.with_resources(started, {"cpu": True}), ResourceError, "True"),
    ("resource without a name", lambda p: tune.with_resources(started, {1: 1}), ResourceError, "1"),
    ("one GPU and a half", lambda p: tune.with_resources(started, {"gpu": 1.5}), ResourceError, "1.5"),
    ("more CPUs than there are", lambda p: fit(p, tune.with_resources(started, {"cpu": 10_000})), ResourceError, "10000"),
    ("a resource that nobody has", lambda p: fit(p, tune.with_resources(started, {"lamp": 1})), ResourceError, "lamp"),
    ("more GPUs than there are", lambda p: fit(p, tune.with_resources(started, {"gpu": 64})), ResourceError, "64"),
    ("no bundles", lambda p: tune.PlacementGroupFactory([]), ResourceError, "bundles"),
    ("unknown strategy", lambda p: tune.PlacementGroupFactory([{"cpu": 1}], "SCATTER"), ResourceError, "SCATTER"),
    ("bundle that is no dict", lambda p: tune.PlacementGroupFactory([3]), ResourceError, "3"),
    # Tuner
    ("space is a list", lambda p: tuner(param_space=[1]), A, "param_space"),
    ("space with a bad domain", lambda p: tuner(param_space={"lr": tune.uniform}), SearchSpaceError, "lr"),
    ("tune_config is a dict", lambda p: tuner(tune_config={"num_samples": 2}), A, "tune_config"),
    ("run_config is a dict", lambda p: tuner(run_config={"name": "x"}), A, "run_config"),
    ("configs swapped", lambda p: tuner(run_config=tune.TuneConfig()), A, "run_config"),
    ("results before fit", lambda p: tuner().get_results(), RestoreError, "get_results"),
    # TuneConfig
    ("mode misspelt", tune_config(metric="loss", mode="minimum"), A, "'minimum'"),
    ("mode in capitals", tune_config(metric="loss", mode="MIN"), A, "'MIN'"),
    ("metric is a number", tune_config(metric=3, mode="min"), A, "metric"),
    ("metric is empty", tune_config(metric="", mode="min"), A, "metric"),
    ("no samples", tune_config(num_samples=0), A, "num_samples"),
    ("fewer than no samples", tune_config(num_samples=-2), A, "num_samples"),
    ("samples as a float", tune_config(num_samples=10.0), A, "10.0"),
    ("samples as a bool", tune_config(num_samples=True), A, "num_samples"),
    ("negative concurrency", tune_config(max_concurrent_trials=-1), A, "max_concurrent_trials"),
    ("fractional concurrency", tune_config(max_concurrent_trials=1.5), A, "max_concurrent_trials"),
    ("no time", tune_config(time_budget_s=0), A, "time_budget_s"),
    ("negative time", tune_config(time_budget_s=datetime.timedelta(seconds=-1)), A, "time_budget_s"),
    ("time as text", tune_config(time_budget_s="1h"), A, "'1h'"),
    ("time without end", tune_config(time_budget_s=math.inf), A, "time_budget_s"),
    ("time that is NaN", tune_config(time_budget_s=math.nan), A, "time_budget_s"),
    ("no timeout", tune_config(trial_timeout_s=0), A, "trial_timeout_s"),
    ("negative seed", tune_config(seed=-1), A, "seed"),
    ("seed as text", tune_config(seed="lucky"), A, "seed"),
    ("reuse as text", tune_config(reuse_actors="no"), A, "reuse_actors"),
    # searchers and schedulers
    ("unknown scheduler", lambda p: fit(p, scheduler="ashaa"), A, "ashaa"),
    ("scheduler is a class", lambda p: fit(p, scheduler=schedulers.ASHAScheduler), A, "ASHAScheduler"),
    ("scheduler is a number", lambda p: fit(p, scheduler=3), A, "3"),
    ("scheduler without a metric", lambda p: fit(p, scheduler="asha"), A, "metric"),
    ("metrics that differ", lambda p: fit(p, metric="loss", mode="min", scheduler=schedulers.ASHAScheduler(metric="acc", mode="min")), A, "'acc'"),
    ("modes that differ", lambda p: fit(p, metric="loss", mode="min", scheduler=schedulers.ASHAScheduler(mode="max")), A, "'max'"),
    ("unknown searcher", lambda p: fit(p, search_alg="optunaa"), A, "optunaa"),
    ("searcher is a class", lambda p: fit(p, search_alg=search.BasicVariantGenerator), A, "BasicVariantGenerator"),
    ("searcher is a number", lambda p: fit(p, search_alg=3), A, "3"),
    ("create_scheduler of nothing", lambda p: tune.create_scheduler("nothing"), A, "nothing"),
    ("create_searcher of nothing", lambda p: tune.create_searcher("nothing"), A, "nothing"),
    ("grace period above max_t", lambda p: schedulers.ASHAScheduler(max_t=3, grace_period=4), A, "grace_period"),
    ("factor of one", lambda p: schedulers.ASHAScheduler(reduction_factor=1), A, "reduction_factor"),
    ("no brackets", lambda p: schedulers.ASHAScheduler(brackets=0), A, "brackets"),
    ("unknown rule", lambda p: schedulers.ASHAScheduler(rule="demotion"), A, "demotion"),
    ("unknown mode of a scheduler", lambda p: schedulers.ASHAScheduler(mode="best"), A, "best"),
    # RunConfig
    ("name with a slash", run_config(name="a/b"), A, "name"),
    ("name is empty", run_config(name=""), A, "name"),
    ("name is a number", run_config(name=3), A, "name"),
    ("name is the parent", run_config(name=".."), A, "'..'"),
    ("verbosity of nine", run_config(verbose=9), A, "verbose"),
    ("verbosity as text", run_config(verbose="loud"), A, "verbose"),
    ("failure_config is a number", run_config(failure_config=3), A, "failure_config"),
    ("checkpoint_config is a dict", run_config(checkpoint_config={}), A, "checkpoint_config"),
    ("callbacks are one callback", run_config(callbacks=tune.Callback()), A, "callbacks"),
    ("callback is a class", run_config(callbacks=[tune.Callback]), A, "class"),
    ("callback is a function", run_config(callbacks=[print]), A, "callbacks"),
    ("environment with a number", run_config(env={"A": 1}), A, "'A'"),
    ("environment is a list", run_config(env=["A=1"]), A, "env"),
    ("unknown executor", lambda p: fit(p, executor="cluster"), A, "'cluster'"),
    ("executor is a number", lambda p: fit(p, executor=4), A, "executor"),
    ("executor is a class", lambda p: fit(p, executor=tune.LocalExecutor), A, "LocalExecutor"),
    ("negative CPUs", lambda p: tune.LocalExecutor(num_cpus=-1), A, "num_cpus"),
    ("CPUs as text", lambda p: tune.LocalExecutor(num_cpus="all"), A, "num_cpus"),
    ("half a GPU of a machine", lambda p: tune.LocalExecutor(num_gpus=0.5), A, "num_gpus"),
    ("custom resources are a list", lambda p: tune.LocalExecutor(resources=["lamp"]), TuneError, "resources"),
    ("custom resource is negative", lambda p: tune.LocalExecutor(resources={"lamp": -1}), TuneError, "lamp"),
    ("storage is a file", lambda p: fit(p, storage_path=a_file(p)), StorageError, "file"),
    ("storage is a number", run_config(storage_path=3), A, "storage_path"),
    # the other configurations
    ("max_failures of -2", lambda p: tune.FailureConfig(max_failures=-2), A, "max_failures"),
    ("max_failures as a float", lambda p: tune.FailureConfig(max_failures=1.0), A, "max_failures"),
    ("fail_fast as text", lambda p: tune.FailureConfig(fail_fast="yes"), A, "fail_fast"),
    ("no checkpoint to keep", lambda p: tune.CheckpointConfig(num_to_keep=0), A, "num_to_keep"),
    ("checkpoint at the end as text", lambda p: tune.CheckpointConfig(checkpoint_at_end="no"), A, "checkpoint_at_end"),
    ("a variable that no system takes", lambda p: tune.RunConfig(env={"A=B": "1"}), A, "env"),
    ("a way to resume that there is none", lambda p: tune.ResumeConfig(finished="go"), A, "ResumeConfig(finished)"),
    ("a scheduler's name misspelt", lambda p: fit(p, metric="loss", mode="min", scheduler="ahsa"), A, "TuneConfig(scheduler) is 'ahsa'"),
    ("checkpoint order", lambda p: tune.CheckpointConfig(checkpoint_score_order="best"), A, "checkpoint_score_order"),
    ("negative frequency", lambda p: tune.CheckpointConfig(checkpoint_frequency=-1), A, "checkpoint_frequency"),
    ("checkpoint score is a number", lambda p: tune.CheckpointConfig(checkpoint_score_attribute=3), A, "checkpoint_score_attribute"),
    # stopping
    ("stop is a number", run_config(stop=10), A, "stop"),
    ("stop is a class", run_config(stop=stopper.MaximumIterationStopper), A, "MaximumIterationStopper"),
    ("stop threshold as text", run_config(stop={"loss": "low"}), A, "loss"),
    ("stop threshold is NaN", run_config(stop={"loss": math.nan}), A, "loss"),
    ("stop key is a number", run_config(stop={3: 3}), A, "3"),
    ("stop function of one argument", run_config(stop=lambda result: True), A, "result"),
    ("stopper with no iterations", lambda p: stopper.MaximumIterationStopper(0), A, "max_iter"),
    ("plateau of one result", lambda p: stopper.ExperimentPlateauStopper("loss", top=1), A, "top"),
    ("plateau with a bad mode", lambda p: stopper.ExperimentPlateauStopper("loss", mode="x"), A, "mode"),
    ("plateau with a negative deviation", lambda p: stopper.TrialPlateauStopper("loss", std=-1), A, "std"),
    ("timeout in the past", lambda p: stopper.TimeoutStopper(-1), A, "timeout"),
    ("combination of a function", lambda p: stopper.CombinedStopper(print), A, "print"),
    # restoring
    ("restore nothing", lambda p: tune.Tuner.restore(p / "missing", started), JournalError, "missing"),
    ("restore a file", lambda p: tune.Tuner.restore(a_file(p), started), JournalError, "file"),
    ("restore the newer", lambda p: tune.Tuner.restore(newer(p), started), JournalError, "schema 99"),
    ("restore without a trainable", lambda p: tune.Tuner.restore(finished(p), None), A, "trainable"),
    ("restore with fewer samples", lambda p: tune.Tuner.restore(finished(p), started, num_samples=0), RestoreError, "num_samples"),
    ("restore with samples as text", lambda p: tune.Tuner.restore(finished(p), started, num_samples="9"), RestoreError, "num_samples"),
    ("restore both ways at once", lambda p: tune.Tuner.restore(finished(p), started, resume_errored=True, restart_errored=True), RestoreError, "restart_errored"),
    ("restore with another metric", lambda p: tune.Tuner.restore(finished(p), started, tune_config=tune.TuneConfig(metric="acc", mode="max")).fit(), RestoreError, "'acc'"),
    # tune.run
    ("run with an unknown resume", lambda p: tune.run(started, name="x", resume="MAYBE", storage_path=str(p)), A, "'MAYBE'"),
    ("resume without a name", lambda p: tune.run(started, resume="AUTO", storage_path=str(p)), A, "name"),
    ("run of nothing", lambda p: tune.run(None), A, "run_or_experiment"),
    ("run with a bad number", lambda p: tune.run(started, num_samples=0, storage_path=str(p)), A, "num_samples"),
    # results
    ("results of nothing", lambda p: tune.ResultGrid.from_path(p / "missing"), JournalError, "missing"),
    ("best by an unknown metric", lambda p: results(p).get_best_result("acc", "max"), MetricError, "acc"),
    ("best by an unknown mode", lambda p: results(p).get_best_result("loss", "best"), A, "mode"),
    ("best by an unknown scope", lambda p: results(p).get_best_result(scope="first"), A, "scope"),
    ("a trial that isn't there", lambda p: tune.Result.from_path(finished(p) / "trial_00009"), A, "trial_00009"),
    ("a trial that is none", lambda p: tune.Result.from_path(p), TuneError, "trial"),
    # checkpoints
    ("checkpoint of nothing", lambda p: tune.Checkpoint.from_directory(p / "missing"), CheckpointError, "missing"),
    ("checkpoint of a file", lambda p: tune.Checkpoint.from_directory(a_file(p)), CheckpointError, "file"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "error", "named"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_is_an_error_with_all_four_parts(tmp_path, act, error, named):
    with pytest.raises(error) as caught:
        act(tmp_path)

    raised = caught.value
    assert all((raised.asked, raised.found, raised.cause, raised.fix)), (
        raised.asked,
        raised.found,
        raised.cause,
        raised.fix,
    )
    assert named in str(raised)
    journal = tmp_path / "run" / JOURNAL_FILE
    assert not journal.exists() or b'"launch"' not in journal.read_bytes()


def test_there_are_enough_bad_inputs():
    from space.bad_inputs import BAD_INPUTS

    assert len(BAD) >= 80
    assert len({row[0] for row in BAD}) == len(BAD)
    assert len(BAD) + len(BAD_INPUTS) > 180


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a user to give up rights")
def test_a_folder_that_may_not_be_written_is_refused_before_the_first_trial(tmp_path):
    code = (
        "import os, sys; os.setgid(65534); os.setuid(65534)\n"
        "import tune_core as tune\n"
        "def started(config): raise AssertionError\n"
        "try:\n"
        "    tune.Tuner(started, run_config=tune.RunConfig(storage_path=sys.argv[1], name='run', executor='inline')).fit()\n"
        "except tune.TuneError as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    import subprocess

    tmp_path.chmod(0o755)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=env)
    if "ModuleNotFoundError" in done.stderr or "PermissionError" in done.stderr.partition("tune_core")[0]:
        pytest.skip("another user cannot read this installation")
    assert done.stdout.startswith("StorageError"), done.stderr
    assert "storage_path" in done.stdout
