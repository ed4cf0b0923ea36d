"""A name that is used again on a store: the earlier experiment gets another one, wholly, whenever that is cut off."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import fsspec
import pytest

import tune_core as tune
from tune_core.cli.main import main
from tune_core.errors import ExperimentLockedError, JournalError
from tune_core.fit import stored
from tune_core.fit.stored import StoredExperiment
from tune_core.fit.stored_aside import MOVING
from tune_core.journal.stored import experiments_below
from tune_core.storage import lease as leases
from tune_core.storage.connect import object_store
from tune_core.storage.segments import INCOMPLETE, read_segments

pytestmark = pytest.mark.usefixtures("machine")


def objective(config):
    for step in range(1, 4):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(f"{config['run']} {step}")
            Path(folder, "more").write_bytes(bytes(1000))
            tune.report({"loss": config["run"] + 1 / step}, checkpoint=tune.Checkpoint.from_directory(folder))


def fit(place, run, samples=2, function=objective, **space):
    url, filesystem = place
    return tune.Tuner(
        function,
        param_space={"run": run, **space},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=samples),
        run_config=tune.RunConfig(
            name="x",
            storage_path=url,
            storage_filesystem=filesystem,
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
            sync_config=tune.SyncConfig(mirror_interval_s=0.1),
        ),
    ).fit()


def read(place):
    """From each experiment's name to what another machine finds: each trial's last loss, and its checkpoints."""
    url, filesystem = place
    found = {}
    for name in experiments_below(url, filesystem):
        grid = tune.ResultGrid.from_path(name, storage_filesystem=filesystem)
        trials = []
        for result in grid:
            steps = []
            for checkpoint, _ in result.best_checkpoints:
                with checkpoint.as_directory() as folder:
                    assert Path(folder, "more").read_bytes() == bytes(1000)
                    steps.append(Path(folder, "step").read_text())
            trials.append((round(result.metrics["loss"], 6), sorted(steps)))
        found[name.rpartition("/")[2]] = trials
    return found


def whole(run, samples=2):
    return [(round(run + 1 / 3, 6), [f"{run} 2", f"{run} 3"])] * samples


def test_name_can_be_used_again(place, machine, capsys):
    first = fit(place, 1)
    machine("b")
    second = fit(place, 2, samples=1)
    assert second.experiment_path == f"{place[0]}/x"
    machine("c")
    found = read(place)
    assert found.pop("x") == whole(2, 1)
    (name, old), *others = found.items()
    assert name.startswith("x_20") and old == whole(1) and not others
    assert first.experiment_path == f"{place[0]}/{name}"  # it went along
    keys = object_store(*place).keys("x")
    assert MOVING not in str(keys) and INCOMPLETE not in str(keys) and "trial_00001" not in str(keys)
    url = f"{place[0]}/{name}"
    assert len(tune.Tuner.restore(url, objective, num_samples=3, storage_filesystem=place[1]).fit()) == 3
    machine("d")
    assert read(place)[name] == whole(1, 3)
    if place[1] is None:
        capsys.readouterr()
        for arguments, expected in ((["ls", place[0]], name), (["show", url], "3 trials"), (["best", url], "loss=")):
            assert main(arguments) == 0
            assert expected in capsys.readouterr().out


def test_name_can_be_used_many_times(place):
    for run in range(1, 5):
        fit(place, run, samples=1)
    found = read(place)
    assert found.pop("x") == whole(4, 1)
    assert sorted(found.values()) == [whole(run, 1) for run in (1, 2, 3)]


def test_running_experiment_stays_where_it_is(place, machine, tmp_path):
    go_on = tmp_path / "go-on"

    def waits(config):
        while not go_on.exists():
            time.sleep(0.02)
        objective(config)

    grids = []
    thread = threading.Thread(target=lambda: grids.append(fit(place, 1, function=waits)))
    thread.start()
    try:
        wait_for(lambda: StoredExperiment(f"{place[0]}/x", place[1]).exists())
        with pytest.raises(ExperimentLockedError, match=f"process {os.getpid()}"):
            fit(place, 2)  # on the same machine
        machine("b")
        with pytest.raises(ExperimentLockedError, match=f"process {os.getpid()}"):
            fit(place, 3)
    finally:
        go_on.touch()
        thread.join(60)
    assert grids[0].num_errors == 0
    assert read(place) == {"x": whole(1)}


def test_driver_that_was_replaced_by_a_new_experiment_stops(place, machine, tmp_path):
    """It was silent for longer than its lease; what it does later reaches neither experiment."""
    go_on = tmp_path / "go-on"

    def waits(config):
        tune.report({"loss": 1.0})
        while not go_on.exists():
            time.sleep(0.02)
        objective(config)

    errors = []

    def drive():
        try:
            fit(place, 1, samples=1, function=waits)
        except ExperimentLockedError as error:
            errors.append(error)

    thread = threading.Thread(target=drive)
    thread.start()
    try:
        other = StoredExperiment(f"{place[0]}/x", place[1])
        wait_for(lambda: b'"report"' in read_segments(other.store).data)
        machine("b")
        record = leases.new_lease(leases.last_lease(other.store).epoch + 1)
        assert leases.create_lease(other.store, record)  # as if the holder had been silent
        other.folder = str(tmp_path / "working")
        other._begin(record)
    finally:
        go_on.touch()
        thread.join(60)
    other.release()
    assert not thread.is_alive() and "process" in str(errors[0])
    assert not StoredExperiment(f"{place[0]}/x", place[1]).exists()
    machine("c")
    fit(place, 2, samples=1)
    found = read(place)
    assert found.pop("x") == whole(2, 1)
    assert list(found.values()) == [[(1.0, [])]]


# --- cut off ----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """Objects of a process that is killed at its ``requests``-th change of the store."""

    def __init__(self, store, process):
        self._store = store
        self._process = process

    def __getattr__(self, name):
        value = getattr(self._store, name)
        if not callable(value):
            return value

        def call(*arguments):
            with self._process["lock"]:
                if name not in ("get", "size", "keys", "folders"):
                    self._process["left"] -= 1
                if self._process["left"] < 0:
                    raise Killed
                return value(*arguments)

        return call


def mortal(monkeypatch, changes):
    process = {"left": changes, "lock": threading.Lock()}
    monkeypatch.setattr(stored, "object_store", lambda *place: Mortal(object_store(*place), process))
    return process


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # its threads are killed, too
def test_move_that_is_cut_off_anywhere_loses_nothing(machine, monkeypatch, tmp_path):
    """Whichever change of the store was the last: readers find the old experiment, and the next run goes on with it."""
    origin = (str(tmp_path / "origin"), fsspec.filesystem("file"))
    fit(origin, 1, samples=3)
    monkeypatch.setenv("TUNE_CORE_LEASE_EXPIRY_S", "0.3")
    monkeypatch.setattr("tune_core.fit.stored_aside._THREADS", 1)
    cut, seen = 0, set()
    while True:
        place = (str(tmp_path / f"store{cut}"), origin[1])
        shutil.copytree(origin[0], place[0])
        machine(f"killed{cut}")
        with monkeypatch.context() as patch:
            mortal(patch, cut)
            new = StoredExperiment(f"{place[0]}/x", place[1])
            try:
                new.claim_new(move_aside=True)
            except Killed:
                pass
            else:
                break
        machine(f"reader{cut}")
        found = read(place)
        assert found and all(trials == whole(1, 3) for trials in found.values()), f"after {cut} changes"
        seen.add(tuple(sorted("aside" if name != "x" else "x" for name in found)))
        machine(f"next{cut}")
        if cut % 8 == 0:
            fit(place, 2, samples=1)
        else:
            following = StoredExperiment(f"{place[0]}/x", place[1])
            following.claim_new(move_aside=True)
            following.release()
        found = read(place)
        assert found.pop("x", None) == (whole(2, 1) if cut % 8 == 0 else None), f"after {cut} changes"
        assert list(found.values()) == [whole(1, 3)], f"after {cut} changes"
        assert not any(MOVING in key or INCOMPLETE in key for key in object_store(*place).keys(""))
        cut += 1
    assert cut > 40 and seen - {("aside", "x")} == {("x",), ("aside",)}  # renewals of the lease are changes, too


def test_experiment_whose_move_was_cut_off_can_be_gone_on_with(machine, monkeypatch, tmp_path):
    place = (str(tmp_path / "store"), fsspec.filesystem("file"))
    fit(place, 1)
    machine("b")
    with monkeypatch.context() as patch:
        mortal(patch, 15)
        with pytest.raises(Killed):
            StoredExperiment(f"{place[0]}/x", place[1]).claim_new(move_aside=True)
    machine("c")
    assert read(place) == {"x": whole(1)}
    assert len(tune.Tuner.restore(f"{place[0]}/x", objective, num_samples=3, storage_filesystem=place[1]).fit()) == 3
    fit(place, 2, samples=1)
    found = read(place)
    assert found.pop("x") == whole(2, 1)
    assert list(found.values()) == [whole(1, 3)]


def test_copy_that_somebody_went_on_with_is_not_written_over(machine, monkeypatch, tmp_path):
    """The mover was killed when it had copied all: both places hold the experiment, and both may go on."""
    place = (str(tmp_path / "store"), fsspec.filesystem("file"))
    fit(place, 1)
    changes = 0
    while len(read(place)) == 1:
        changes += 1
        machine(f"b{changes}")
        shutil.rmtree(place[0]) if changes > 1 else shutil.copytree(place[0], tmp_path / "origin")
        if changes > 1:
            shutil.copytree(tmp_path / "origin", place[0])
        with monkeypatch.context() as patch:
            mortal(patch, 10 + changes)
            with pytest.raises(Killed):
                StoredExperiment(f"{place[0]}/x", place[1]).claim_new(move_aside=True)
        machine(f"c{changes}")
    aside = next(name for name in read(place) if name != "x")
    tune.Tuner.restore(f"{place[0]}/{aside}", objective, num_samples=4, storage_filesystem=place[1]).fit()
    fit(place, 2, samples=1)
    found = read(place)
    assert found.pop("x") == whole(2, 1)
    assert found.pop(aside) == whole(1, 4)
    assert list(found.values()) == [whole(1)]


def test_mover_that_was_replaced_deletes_nothing(machine, monkeypatch, tmp_path):
    """It wakes up when another has moved the experiment and begun a new one."""
    place = (str(tmp_path / "store"), fsspec.filesystem("file"))
    fit(place, 1)
    machine("b")
    woken, asleep = threading.Event(), threading.Event()
    errors = []

    class Sleeping(Mortal):
        def __getattr__(self, name):
            value = getattr(self._store, name)
            if name != "delete":
                return value

            def delete(keys):
                asleep.set()
                woken.wait(60)
                raise ConnectionError("the connection was closed while the machine slept")

            return delete

    def sleeps():
        try:
            slow.claim_new(move_aside=True)
        except ExperimentLockedError as error:
            errors.append(error)

    with monkeypatch.context() as patch:
        patch.setattr(stored, "object_store", lambda *place: Sleeping(object_store(*place), {}))
        patch.setattr("tune_core.fit.stored_aside._Holding._run", lambda self: None)  # no sign of life
        slow = StoredExperiment(f"{place[0]}/x", place[1])
        thread = threading.Thread(target=sleeps)
        thread.start()
        assert asleep.wait(60)
    machine("c")
    fit(place, 2, samples=1)
    woken.set()
    thread.join(60)
    assert not thread.is_alive() and errors
    found = read(place)
    assert found.pop("x") == whole(2, 1)
    assert list(found.values()) == [whole(1)]


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[2])
from test_stored_aside import fit
fit((sys.argv[1], None), 2, samples=1)
"""


@pytest.mark.parametrize("seed", range(int(os.environ.get("TUNE_CORE_KILL_SEEDS", "2"))))
def test_mover_is_killed(s3_bucket, machine, seed):
    """By the kernel, on S3, at any moment from when it began."""
    place = (f"{s3_bucket}/experiments", None)
    fit(place, 1, samples=6)
    machine("b")
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, place[0], os.path.dirname(__file__)],
        start_new_session=True,
        env=dict(os.environ),
    )
    try:
        store = object_store(f"{place[0]}/x")
        wait_for(lambda: store.size(MOVING) is not None or child.poll() is not None)
        time.sleep(random.Random(seed).uniform(0.0, 1.5))
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    machine("c")
    found = read(place)
    assert found.pop("x", None) in (whole(1, 6), whole(2, 1), None, [])
    assert all(trials == whole(1, 6) for trials in found.values())
    fit(place, 3, samples=1)
    found = read(place)
    assert found.pop("x") == whole(3, 1)
    assert whole(1, 6) in found.values()


def test_reader_of_what_was_moved_finds_nothing_there(place, machine):
    fit(place, 1)
    machine("b")
    new = StoredExperiment(f"{place[0]}/x", place[1])
    assert new.claim_new(move_aside=True)
    new.release()
    machine("c")
    with pytest.raises(JournalError, match="holds no experiment"):
        tune.ResultGrid.from_path(f"{place[0]}/x", storage_filesystem=place[1])
    assert read(place) == {new.moved.rpartition("/")[2]: whole(1)}


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
