"""Whole runs with a store as their storage path, and what another machine makes of them."""

import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import fsspec
import pytest

import tune_core as tune
from storage.steps import report_step, steps_done
from tune_core.cli.main import main
from tune_core.errors import ExperimentLockedError, JournalError
from tune_core.fit.stored import StoredExperiment
from tune_core.journal.mirror import MirrorSettings
from tune_core.storage.connect import object_store

QUIET = {"verbose": 0}
TESTS = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.usefixtures("machine")


def objective(config):
    start = steps_done()
    for step in range(start + 1, config.get("steps", 5) + 1):
        report_step(step, {"loss": config["x"] / step, "start": start}, same=b"content that never changes")


def tuner(place, name="run", samples=3, function=objective, space=None, **run):
    url, filesystem = place
    return tune.Tuner(
        function,
        param_space=space or {"x": tune.uniform(1, 2)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=samples, seed=1),
        run_config=tune.RunConfig(name=name, storage_path=url, storage_filesystem=filesystem, **{**QUIET, **run}),
    )


def losses(grid):
    return [result.metrics["loss"] for result in grid]


def test_results_are_read_on_another_machine(place, machine):
    grid = tuner(place).fit()
    assert grid.experiment_path == f"{place[0]}/run"
    machine("b")
    read = tune.ResultGrid.from_path(f"{place[0]}/run", storage_filesystem=place[1])
    assert losses(read) == losses(grid)
    assert read.experiment_path == grid.experiment_path
    best = read.get_best_result()
    assert best.path.startswith(place[0])
    with best.checkpoint.as_directory() as folder:
        assert sorted(os.listdir(folder)) == ["same", "step"]
    one = tune.Result.from_path(best.path, storage_filesystem=place[1])
    assert one.metrics["loss"] == best.metrics["loss"]
    analysis = tune.ExperimentAnalysis(f"{place[0]}/run", storage_filesystem=place[1])
    assert analysis.best_result["loss"] == best.metrics["loss"]
    assert len(analysis.trial_dataframes) == 3 or pytest.importorskip("pandas")


def test_all_of_a_run_that_ends_at_once_is_there():
    """The mirror may just have looked at the journal when the run ends."""
    for attempt in range(20):
        grid = tune.Tuner(
            lambda config: {"loss": config["x"]},
            param_space={"x": tune.grid_search([1, 2])},
            run_config=tune.RunConfig(
                name=f"run{attempt}", storage_path="memory://at-once", executor="inline", verbose=0
            ),
        ).fit()
        assert losses(tune.ResultGrid.from_path(grid.experiment_path)) == [1, 2]


def test_experiment_goes_on_on_another_machine(place, machine):
    url = f"{place[0]}/run"
    tuner(place).fit()
    machine("b")
    assert tune.Tuner.can_restore(url, storage_filesystem=place[1])
    restored = tune.Tuner.restore(url, objective, num_samples=5, storage_filesystem=place[1])
    assert len(restored.fit()) == 5
    machine("c")
    assert losses(tune.ResultGrid.from_path(url, storage_filesystem=place[1])) == losses(
        tuner(place, "unbroken", samples=5).fit()
    )


def test_trial_goes_on_from_a_checkpoint_in_the_store(place, machine):
    def breaks(config):
        if tune.get_checkpoint() is None:
            objective({**config, "steps": 3})
            raise RuntimeError("lost")
        objective(config)

    assert tuner(place, function=breaks).fit().num_errors == 3
    machine("b")
    url = f"{place[0]}/run"
    restored = tune.Tuner.restore(url, breaks, resume_errored=True, storage_filesystem=place[1])
    grid = restored.fit()
    assert [(r.metrics["training_iteration"], r.metrics["start"]) for r in grid] == [(5, 3)] * 3


def test_missing_experiment_is_named(place):
    url, filesystem = f"{place[0]}/nothing", place[1]
    assert not tune.Tuner.can_restore(url, storage_filesystem=filesystem)
    with pytest.raises(JournalError, match="holds no experiment"):
        tune.ResultGrid.from_path(url, storage_filesystem=filesystem)
    with pytest.raises(JournalError, match="holds no experiment"):
        tune.Tuner.restore(url, objective, storage_filesystem=filesystem)


def test_superseded_checkpoints_leave_the_store(place):
    tuner(place, checkpoint_config=tune.CheckpointConfig(num_to_keep=2)).fit()
    keys = object_store(*place).keys("run/trial_00000")
    assert {key.split("/")[2] for key in keys} == {"checkpoint_000004", "checkpoint_000005"}


def test_second_driver_is_told_who_holds_the_experiment(place, machine):
    url, filesystem = f"{place[0]}/run", place[1]
    tuner(place).fit()
    holder = StoredExperiment(url, filesystem)
    holder.claim()
    mirror = holder.mirror(MirrorSettings(interval_s=0.1))
    mirror.start()
    try:
        machine("b")
        other = tune.Tuner.restore(url, objective, num_samples=5, storage_filesystem=filesystem)
        with pytest.raises(ExperimentLockedError, match=f"process {os.getpid()}"):
            other.fit()
    finally:
        mirror.close()
    assert len(tune.Tuner.restore(url, objective, num_samples=5, storage_filesystem=filesystem).fit()) == 5


def test_driver_that_was_replaced_stops(place, machine, tmp_path):
    """A driver that was silent for longer than its lease finds its journal's next segment taken."""
    url, filesystem = f"{place[0]}/run", place[1]
    released = tmp_path / "released"

    def waits(config):
        tune.report({"loss": 1.0})
        while not released.exists():
            time.sleep(0.02)
        tune.report({"loss": 0.5})

    errors = []

    def drive():
        try:
            tuner(place, function=waits, samples=1).fit()
        except ExperimentLockedError as error:
            errors.append(error)

    thread = threading.Thread(target=drive)
    thread.start()
    try:
        store = StoredExperiment(url, filesystem)
        deadline = time.monotonic() + 30
        while not store.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        machine("b")
        other = StoredExperiment(url, filesystem)
        from tune_core.storage import lease

        holder = lease.last_lease(other.store)
        record = lease.new_lease(holder.epoch + 1)
        assert lease.create_lease(other.store, record)  # as if the holder had been silent
        other.lease = record
        other.fence(record)
    finally:
        released.touch()
        thread.join(60)
    assert not thread.is_alive()
    assert "process" in str(errors[0])


def test_secret_of_a_file_system_is_kept_nowhere(place, tmp_path, machine):
    if place[1] is None:
        pytest.skip("S3 is reached with the environment's own credentials here")
    filesystem = fsspec.filesystem("file", password="a-very-secret-word", skip_instance_cache=True)
    tuner((place[0], filesystem)).fit()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"a-very-secret-word" not in path.read_bytes(), path


def test_keys_of_the_environment_are_kept_nowhere(s3_bucket, tmp_path, capfd):
    place = (f"{s3_bucket}/experiments", None)
    tuner(place, verbose=1).fit()
    os.environ["AWS_SECRET_ACCESS_KEY"], before = "another-secret-key", os.environ["AWS_SECRET_ACCESS_KEY"]
    try:
        store = object_store(s3_bucket)
        found = [(path, path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file()]
        found += [(key, store.get(key)) for key in store.keys("")]
    finally:
        os.environ["AWS_SECRET_ACCESS_KEY"] = before
    out, err = capfd.readouterr()
    for name, data in [*found, ("out", out.encode()), ("err", err.encode())]:
        for secret in (before, os.environ["AWS_ACCESS_KEY_ID"]):
            assert secret.encode() not in data, name


def test_command_reads_a_store(s3_bucket, machine, capsys):
    url = f"{s3_bucket}/experiments"
    tuner((url, None)).fit()
    machine("b")
    for arguments, expected in (
        (["ls", url], "finished"),
        (["show", f"{url}/run"], "3 trials (3 TERMINATED)"),
        (["best", f"{url}/run"], "loss="),
        (["explain", f"{url}/run", "1"], "completed"),
        (["export", f"{url}/run"], "trial_id,status"),
        (["watch", f"{url}/run", "--once"], "finished"),
    ):
        assert main(arguments) == 0
        assert expected in capsys.readouterr().out
    assert main(["show", f"{url}/nothing"]) == 1
    assert "holds no experiment" in capsys.readouterr().err


def test_default_storage_path_may_be_a_store(s3_bucket, machine, monkeypatch, capsys):
    monkeypatch.setenv("TUNE_CORE_STORAGE", f"{s3_bucket}/experiments")
    tune.run(objective, name="by_run", config={"x": 1}, metric="loss", mode="min", verbose=0)
    machine("b")
    again = tune.run(objective, name="by_run", config={"x": 1}, metric="loss", mode="min", verbose=0, resume="AUTO")
    assert again.experiment_path == f"{s3_bucket}/experiments/by_run"
    assert main(["best", "by_run"]) == 0
    assert main(["explain", "0"]) == 0
    assert "loss" in capsys.readouterr().out


SCRIPT = """
import sys, tempfile, time
from pathlib import Path
import tune_core as tune
sys.path.insert(0, sys.argv[2])
from storage.test_stored_runs import slow, tuner
tuner((sys.argv[1], None), "killed", samples=6, function=slow).fit()
"""


def slow(config):
    start = steps_done()
    for step in range(start + 1, 11):
        time.sleep(0.05)
        report_step(step, {"loss": config["x"] / step})


@pytest.mark.parametrize("seed", range(int(os.environ.get("TUNE_CORE_KILL_SEEDS", "1"))))
def test_killed_driver_is_replaced_on_another_machine(s3_bucket, tmp_path, machine, seed):
    import random
    import signal

    url = f"{s3_bucket}/experiments"
    place = (url, None)
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, url, str(TESTS)], start_new_session=True, env=dict(os.environ)
    )
    store = StoredExperiment(f"{url}/killed")
    deadline = time.monotonic() + 60
    while not store.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(random.Random(seed).uniform(0.0, 4.0))
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    machine("b")
    grid = tune.Tuner.restore(f"{url}/killed", slow).fit()
    machine("c")
    assert losses(grid) == losses(tuner(place, "unbroken", samples=6, function=slow).fit())
    assert losses(tune.ResultGrid.from_path(f"{url}/killed")) == losses(grid)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for result in grid:
            assert Path(result.checkpoint.to_directory(), "step").read_text() == "10"


def dies_while_it_sends(config):
    """Leaves a part of a checkpoint in the store that no result will name."""
    part = f"{config['url']}/run/trial_00000/checkpoint_000077/part"
    for number in range(steps_done() + 1, 5):
        if number == 3 and not config["filesystem"].exists(part):
            with config["filesystem"].open(part, "wb") as file:
                file.write(b"half")
            os._exit(1)
        report_step(number, {"loss": 1 / number})


def test_what_a_dead_worker_was_sending_does_not_stay_in_the_store(place):
    url, filesystem = place
    filesystem = fsspec.filesystem("s3") if filesystem is None else fsspec.filesystem("file", auto_mkdir=True)
    space = {"url": url.removeprefix("s3://"), "filesystem": filesystem}
    tries = tune.FailureConfig(max_failures=1)
    grid = tuner(place, samples=1, function=dies_while_it_sends, space=space, failure_config=tries).fit()
    assert grid[0].metrics["loss"] == 1 / 4
    folders = {key.rpartition("/")[0] for key in filesystem.find(url) if "/checkpoint_" in key}
    assert len(folders) == 4 and not any("000077" in folder for folder in folders)
