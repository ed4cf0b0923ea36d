"""Restoring: wherever a run was cut off, it goes on to the results of the unbroken run."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.engine import events as ev
from tune_core.engine import journal
from tune_core.engine.journal import JOURNAL_FILE
from tune_core.errors import RestoreError, TuneError
from tune_core.schedulers import ASHAScheduler

SPACE = {"x": tune.uniform(0, 1), "y": tune.choice(["a", ("b", 2)])}


@pytest.fixture
def folder():
    """A folder in memory where there is one: these tests write thousands of journals."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = Path(tempfile.mkdtemp(prefix="tune-core-test-", dir=base))
    yield path
    shutil.rmtree(path)


def plain(config):
    for i in range(2):
        tune.report({"loss": config["x"] + i})


def failing(config):
    tune.report({"loss": config["x"]})
    if config["x"] > 0.5:
        raise ValueError("too large")


def long(config):
    for i in range(1, 5):
        tune.report({"loss": config["x"] / i})


def saving(config):
    start, checkpoint = 0, tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as path:
            start = int(Path(path, "step").read_text())
    for i in range(start + 1, 4):
        with tempfile.TemporaryDirectory() as path:
            Path(path, "step").write_text(str(i))
            tune.report({"loss": config["x"] / i, "step": i}, checkpoint=tune.Checkpoint.from_directory(path))


class Counter(tune.Trainable):
    def setup(self, config):
        self.total = 0.0

    def step(self):
        self.total += self.config["x"]
        return {"loss": -self.total, "done": self.iteration >= 3}

    def save_checkpoint(self, folder):
        return {"total": self.total}

    def load_checkpoint(self, state):
        self.total = state["total"]


def tuner(objective: Any, base: Path, name: str = "run", scheduler: Any = None, samples: int = 3, **run: Any):
    return tune.Tuner(
        objective,
        param_space=SPACE,
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", num_samples=samples, seed=3, scheduler=scheduler, **run.pop("tune", {})
        ),
        run_config=tune.RunConfig(
            name=name, storage_path=str(base), verbose=0, executor=run.pop("executor", "inline"), **run
        ),
    )


def outcome(results: Any) -> list[Any]:
    """What does not depend on when a run was cut off, and how often."""
    times = (
        "timestamp",
        "date",
        "time_this_iter_s",
        "time_total_s",
        "pid",
        "hostname",
        "node_ip",
        "time_since_restore",
    )
    times += ("iterations_since_restore", "checkpoint_dir_name", "trial_dir", "experiment_id")
    rows = []
    for result in results:
        metrics = {k: v for k, v in result.metrics.items() if k not in times}
        rows.append((result.config, str(result.status), metrics, result.error and result.error.found))
    return rows


def resume(folder: Path, objective: Any, **options: Any) -> Any:
    restored = tune.Tuner.restore(str(folder), objective, **options)
    restored._run.executor, restored._run.verbose = options.pop("executor", "inline"), 0
    return restored.fit()


KINDS: dict[str, tuple[Any, int, Callable[[], dict[str, Any]]]] = {
    # the objective; every how many bytes to cut, besides all ends and starts of lines; what is special
    "fifo": (plain, 1, dict),
    "failing": (failing, 16, lambda: {"failure_config": tune.FailureConfig(max_failures=1)}),
    "asha": (long, 1, lambda: {"scheduler": ASHAScheduler(max_t=4, reduction_factor=2), "samples": 4}),
    "promotion": (saving, 16, lambda: {"scheduler": ASHAScheduler(max_t=3, reduction_factor=3, rule="promotion")}),
    "checkpoints": (saving, 16, lambda: {"samples": 2}),
    "class": (
        Counter,
        16,
        lambda: {"samples": 2, "checkpoint_config": tune.CheckpointConfig(checkpoint_frequency=2)},
    ),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
def test_a_journal_cut_at_every_byte_is_finished_with_the_results_of_the_unbroken_run(folder, kind):
    objective, every, options = KINDS[kind]
    unbroken = outcome(tuner(objective, folder, **options()).fit())
    whole = folder / "run"
    data = (whole / JOURNAL_FILE).read_bytes()
    first = data.find(b"\n") + 1
    broken = folder / "broken"
    lines = {i + 1 for i, byte in enumerate(data) if byte == 10}
    for cut in range(first, len(data) + 1):
        if cut not in lines and cut - 1 not in lines and cut % every:
            continue
        shutil.copytree(whole, broken)
        (broken / JOURNAL_FILE).write_bytes(data[:cut])
        assert outcome(resume(broken, objective)) == unbroken, cut
        again = journal.read(str(broken))
        assert again.torn_bytes == 0
        assert isinstance(again.events[-1], ev.Finished)
        shutil.rmtree(broken)


# --- kill -9 ----------------------------------------------------------------------------------------------------------

DRIVER = """
import sys, tempfile, time
from pathlib import Path
import tune_core as tune
from tune_core.schedulers import ASHAScheduler

def objective(config):
    start, checkpoint = 0, tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as path:
            start = int(Path(path, "step").read_text())
    for i in range(start + 1, 5):
        time.sleep(0.003)
        with tempfile.TemporaryDirectory() as path:
            Path(path, "step").write_text(str(i))
            tune.report({"loss": config["x"] / i, "step": i}, checkpoint=tune.Checkpoint.from_directory(path))

def make(base, executor):
    return tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=8, seed=5),
        run_config=tune.RunConfig(
            name="run", storage_path=base, verbose=0, executor=executor,
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
        ),
    )

if __name__ == "__main__":
    make(sys.argv[1], tune.LocalExecutor(num_cpus=2)).fit()
"""
MARK = "TUNE_CORE_TEST_MARK"


def processes(mark: str) -> list[int]:
    """Live processes that have the mark in their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path("/proc", pid, "environ").read_bytes()
            state = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if f"{MARK}={mark}".encode() in environment.split(b"\0") and state != "Z":
            found.append(int(pid))
    return found


def wait_until(condition: Callable[[], Any], limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """The driver's module, and the results of the run that nobody killed."""
    where = tmp_path_factory.mktemp("driver")
    (where / "kill_driver.py").write_text(DRIVER)
    sys.path.insert(0, str(where))
    import kill_driver

    yield kill_driver, where, outcome(kill_driver.make(str(where), "inline").fit())
    sys.path.remove(str(where))


@pytest.mark.real
@pytest.mark.parametrize("seed", range(30))
def test_a_run_killed_at_any_moment_is_finished_with_the_results_of_the_unbroken_run(driver, folder, seed):
    module, where, unbroken = driver
    whole = (where / "run" / JOURNAL_FILE).stat().st_size
    draw = random.Random(seed)
    size = draw.randrange(-whole // 8, whole)  # how far the run is to get; below 0: killed while it starts
    env = {**os.environ, MARK: str(folder), "PYTHONPATH": os.pathsep.join([str(where), *sys.path])}
    path = folder / "run" / JOURNAL_FILE
    started = subprocess.Popen([sys.executable, str(where / "kill_driver.py"), str(folder)], env=env)
    if size < 0:
        time.sleep(draw.random() * 0.3)
    else:
        wait_until(lambda: (path.exists() and path.stat().st_size >= size) or started.poll() is not None)
    started.kill()
    started.wait()

    wait_until(lambda: not processes(str(folder)))
    executor = draw.choice(["inline", "inline", "local"])
    if tune.Tuner.can_restore(folder / "run"):
        restored = tune.Tuner.restore(folder / "run", module.objective)
        restored._run.executor = executor
    else:
        restored = module.make(str(folder), executor)
    assert outcome(restored.fit()) == unbroken
    for trial in range(8):
        assert len(list((folder / "run" / f"trial_{trial:05d}").glob("checkpoint_*"))) == 1
    assert isinstance(journal.read(str(folder / "run")).events[-1], ev.Finished)
