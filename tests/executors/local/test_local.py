"""The local executor: the contract of executors, and what only processes of this machine can show."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tune_core.core import events as ev
from tune_core.errors import InvalidArgumentError
from tune_core.executors import LocalExecutor
from tune_core.testing.executors import ExecutorDriver, ExecutorSuite, is_alive, tells_gpus
from tune_core.trainable import session


class TestLocal(ExecutorSuite):
    def make(self, **options: Any) -> LocalExecutor:
        return LocalExecutor(**{"num_cpus": 2, **options})


def wait_until(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.02)


def has_children(config: dict[str, Any]) -> None:
    """Start a process that starts a process, write down all three, and then do as told."""
    code = "import subprocess, sys, time; p = subprocess.Popen(['sleep', '1000']); print(p.pid, flush=True); p.wait()"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    Path(config["family"]).write_text(f"{os.getpid()} {child.pid} {grandchild}")
    session.report({"ready": True})
    if config["then"] == "hang":
        threading.Event().wait()
    if config["then"] == "crash":
        os._exit(1)


@pytest.mark.parametrize("then", ["crash", "timeout", "close"])
def test_what_a_trial_started_dies_with_its_worker(tmp_path: Path, then: str) -> None:
    executor = LocalExecutor(num_cpus=1)
    try:
        limit = 4.0 if then == "timeout" else None
        driver = ExecutorDriver(executor, tmp_path, has_children, trial_timeout_s=limit)
        driver.launch(0, {"then": "crash" if then == "crash" else "hang", "family": str(tmp_path / "family")})
        driver.until(lambda: driver.reports(0) if then == "close" else driver.ended(0))
        family = [int(pid) for pid in (tmp_path / "family").read_text().split()]
    finally:
        executor.close()
    wait_until(lambda: not any(map(is_alive, family)))


DRIVER = """
import os, subprocess, sys, threading
import tune_core as tune

def objective(config):
    child = subprocess.Popen(["sleep", "1000"])
    tune.report({"pid": os.getpid(), "child": child.pid})
    if config["i"] == 0:
        while True:
            pass  # never reports again, and never lets go of the interpreter's lock for long
    threading.Event().wait()

tune.Tuner(objective, param_space={"i": tune.grid_search([0, 1])},
           run_config=tune.RunConfig(name="run", storage_path=sys.argv[1], verbose=0,
                                     executor=tune.LocalExecutor(num_cpus=2))).fit()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "two SIGTERMs"])
def test_no_process_outlives_the_driver_however_it_ends(tmp_path: Path, number: int) -> None:
    from tune_core.errors import JournalError
    from tune_core.journal import reader as journal

    def reports() -> list[Any]:
        try:
            return [e for e in journal.read(str(tmp_path / "run")).events if type(e) is ev.Reported]
        except JournalError:
            return []

    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    driver = subprocess.Popen([sys.executable, str(script), str(tmp_path)], stderr=subprocess.DEVNULL)
    wait_until(lambda: len(reports()) == 2)
    family = [event.metrics[name] for event in reports() for name in ("pid", "child")]
    assert all(map(is_alive, family))
    driver.send_signal(number)
    if number == signal.SIGTERM:
        wait_until(lambda: "interrupt" in Path(tmp_path, "run", "journal.jsonl").read_text())
        driver.send_signal(number)
    driver.wait(30)

    wait_until(lambda: not any(map(is_alive, family)))
    assert not [name for name in os.listdir("/dev/shm") if name.startswith("tune-core")]


def test_gpu_fraction_waits_for_room_on_one_device(tmp_path: Path) -> None:
    """0.6 and 0.6 take a device each; a third 0.6 waits though 0.8 is free in all, and 0.4 does not."""
    executor = LocalExecutor(num_cpus=8, num_gpus=2)
    try:
        driver = ExecutorDriver(executor, tmp_path, tells_gpus)
        gate = {"gate": str(tmp_path / "gate")}
        for trial in (0, 1):
            driver.launch(trial, gate, {"gpu": 0.6})
        assert executor.reserve({"gpu": 0.6}) is None
        assert not executor.room({"gpu": 0.6}) and executor.room({"gpu": 0.4})
        driver.launch(2, gate, {"gpu": 0.4})
        driver.until(lambda: all(driver.reports(trial) for trial in (0, 1, 2)))
        assert driver.metric(0, "gpus") != driver.metric(1, "gpus")
        assert executor.reserve({"gpu": 1}) is None
        (tmp_path / "gate").touch()
        driver.until(lambda: all(driver.ended(trial) for trial in (0, 1, 2)))
        assert executor.room({"gpu": 2})
    finally:
        executor.close()


def test_devices_are_those_that_the_driver_may_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-abc")
    (tmp_path / "gate").touch()
    executor = LocalExecutor(num_cpus=2)
    try:
        driver = ExecutorDriver(executor, tmp_path, tells_gpus)
        driver.run(0, {"gate": str(tmp_path / "gate")}, resources={"gpu": 2})
        driver.run(1, {"gate": str(tmp_path / "gate")}, resources={"gpu": 0.5})
        assert driver.metric(0, "gpus") == "3,GPU-abc"
        assert driver.metric(1, "gpus") in ("3", "GPU-abc")
    finally:
        executor.close()


def prints(config: dict[str, Any]) -> None:
    """Print at all levels, also from a child process."""
    print("from", config["name"])
    os.write(1, b"from the C level\n")
    subprocess.run(["sh", "-c", "echo from a child; echo to stderr >&2"], check=True)
    session.report({"loss": 0})


def test_output_of_each_trial_is_in_its_own_file(tmp_path: Path) -> None:
    executor = LocalExecutor(num_cpus=1)
    try:
        driver = ExecutorDriver(executor, tmp_path, prints)
        for trial in range(3):
            driver.run(trial, {"name": f"trial {trial}"})
            lines = Path(tmp_path, f"trial_{trial:05d}", "output.log").read_text().splitlines()
            assert sorted(lines) == sorted([f"from trial {trial}", "from the C level", "from a child", "to stderr"])
    finally:
        executor.close()


def test_big_arguments_of_a_trial_pass_through_the_connection(tmp_path: Path) -> None:
    executor = LocalExecutor(num_cpus=1)
    try:
        driver = ExecutorDriver(executor, tmp_path, lambda config: {"length": len(config["text"])})
        driver.run(0, {"text": "x" * 20_000_000})
        assert driver.metric(0, "length") == 20_000_000
    finally:
        executor.close()


def test_executor_can_be_closed_before_it_was_started_and_twice(tmp_path: Path) -> None:
    executor = LocalExecutor()
    executor.close()
    executor.close()


@pytest.mark.parametrize("arguments", [{"num_cpus": -1}, {"num_gpus": "all"}, {"num_cpus": True}])
def test_impossible_amounts_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="amount"):
        LocalExecutor(**arguments)
