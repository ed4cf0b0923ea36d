"""Two machines on one share: FUSE mounts of one folder that behave like clients of NFS, each with its drivers."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tune_core as tune
from storage.steps import report_step, steps_done

pytest.importorskip("mfusepy")
HERE = Path(__file__).resolve().parent
CACHE_S = 2.0


def objective(config):
    for step in range(steps_done() + 1, 11):
        time.sleep(0 if "QUICK" in os.environ else config["pause"])
        report_step(step, {"loss": config["x"] / step}, more=bytes(10_000))


def tuner(folder, name="run", pause=0.0, samples=3):
    return tune.Tuner(
        objective,
        param_space={"x": tune.uniform(1, 2), "pause": pause},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=samples, seed=1),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(folder),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
        ),
    )


DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
from storage import test_nfs
from tune_core.errors import ExperimentLockedError
try:
    if sys.argv[3] == "restore":
        grid = test_nfs.tune.Tuner.restore(sys.argv[2] + "/run", test_nfs.objective).fit()
    else:
        grid = test_nfs.tuner(sys.argv[2], pause=float(sys.argv[3])).fit()
    print("ENDED", grid.num_errors)
except ExperimentLockedError as error:
    print("REFUSED", error)
"""


class Machine:
    """A client of the export, and processes that see no others: with a host name and process numbers of their own."""

    def __init__(self, export, mount, locks):
        self.mount = mount
        mount.mkdir()
        command = [sys.executable, str(HERE / "nfs_like.py"), str(export), str(mount), locks, str(CACHE_S)]
        self._server = subprocess.Popen(command)
        wait_for(mount.is_mount)

    def drive(self, how, **environment):
        command = [sys.executable, "-c", DRIVER, str(HERE.parent), str(self.mount), how]
        apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"]
        named = ["sh", "-c", f'hostname {self.mount.name}; exec "$@"', "sh"]
        return subprocess.Popen(
            [*apart, *named, *command],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def close(self):
        subprocess.run(["fusermount", "-uz", str(self.mount)], check=False)
        self._server.terminate()
        self._server.wait(10)


@pytest.fixture(params=["refused", "local"])
def machines(request, tmp_path):
    allowed = subprocess.run(["unshare", "--pid", "--fork", "--uts", "true"], check=False).returncode == 0
    if not allowed or not os.access("/dev/fuse", os.W_OK) or shutil.which("fusermount") is None:
        pytest.skip("mounts need root's rights and FUSE")
    export = tmp_path / "export"
    export.mkdir()
    started = []
    try:
        for name in ("a", "b"):
            started.append(Machine(export, tmp_path / name, request.param))
        yield started
    finally:
        for machine in started:
            machine.close()


def wait_for(condition, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ended(driver):
    said, _ = driver.communicate(timeout=120)
    return said


def read(folder):
    grid = tune.ResultGrid.from_path(str(folder / "run"))
    for result in grid:
        steps = [int(Path(c.path, "step").read_text()) for c, _ in result.best_checkpoints]
        assert steps == [9, 10]
    return [result.metrics["loss"] for result in grid]


def test_another_client_reads_what_a_run_left_and_goes_on_with_it(machines, tmp_path):
    a, b = machines
    assert "ENDED 0" in ended(a.drive("0.0"))
    expected = [result.metrics["loss"] for result in tuner(tmp_path / "plain").fit()]
    assert read(a.mount) == expected
    time.sleep(CACHE_S)
    assert read(b.mount) == expected
    assert "ENDED 0" in ended(b.drive("restore"))


def test_another_client_reads_while_a_run_goes_on(machines):
    a, b = machines
    driver = a.drive("0.1")
    wait_for(lambda: (b.mount / "run" / "journal.jsonl").exists())
    reports = []
    while driver.poll() is None:
        grid = tune.ResultGrid.from_path(str(b.mount / "run"))
        reports.append(sum(result.metrics.get("training_iteration", 0) for result in grid if result.metrics))
        time.sleep(0.1)
    assert "ENDED 0" in ended(driver)
    assert reports == sorted(reports) and len(set(reports)) > 2


def test_second_driver_on_another_client_is_refused_and_takes_over_when_the_first_is_dead(machines, tmp_path):
    a, b = machines
    first = a.drive("5.0")
    wait_for(lambda: (b.mount / "run" / "journal.jsonl").exists())
    time.sleep(CACHE_S)
    said = ended(b.drive("restore"))
    assert "REFUSED" in said and "on a" in said
    said = ended(b.drive("0.0"))
    assert "REFUSED" in said
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert "ENDED 0" in ended(b.drive("restore", QUICK="1"))
    time.sleep(CACHE_S)
    assert read(a.mount) == [result.metrics["loss"] for result in tuner(tmp_path / "plain").fit()]
