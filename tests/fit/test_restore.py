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
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.core import events as ev
from tune_core.errors import RestoreError, TuneError
from tune_core.journal import reader as journal
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.lock import Lock
from tune_core.schedulers import ASHAScheduler, HyperBandScheduler, PopulationBasedTraining

SPACE = {"x": tune.uniform(0, 1), "y": tune.choice(["a", ("b", 2)])}


@pytest.fixture
def folder():
    """A folder in memory where there is one: these tests write thousands of journals."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = Path(tempfile.mkdtemp(prefix="restore-test-", dir=base))
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


def population():
    return PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=1, hyperparam_mutations={"x": tune.uniform(0, 1)}, seed=1
    )


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
    "population": (saving, 64, lambda: {"scheduler": population(), "samples": 4}),
    "hyperband": (saving, 64, lambda: {"scheduler": HyperBandScheduler(max_t=3, reduction_factor=2), "samples": 4}),
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


def wait_until(condition: Callable[[], Any], limit_s: float = 60.0) -> None:
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


# --- going on ---------------------------------------------------------------------------------------------------------


def cut_after(folder: Path, *kinds: type, count: int = 1) -> None:
    """Cut a journal behind the ``count``-th event of some kinds, as if the driver had died there."""
    path = folder / JOURNAL_FILE
    lines = path.read_bytes().splitlines(keepends=True)
    for i, line in enumerate(lines[1:], 1):
        count -= type(ev.decode_lines(line)[0]) in kinds
        if count == 0:
            path.write_bytes(b"".join(lines[: i + 1]))
            return
    raise AssertionError("the journal has no such event")


def test_an_extended_run_has_the_configurations_of_a_longer_one(folder):
    tuner(plain, folder, samples=2).fit()
    longer = tuner(plain, folder, "longer", samples=5).fit()
    restored = tune.Tuner.restore(folder / "run", plain, num_samples=5)
    restored._run.executor = "inline"
    assert outcome(restored.fit()) == outcome(longer)


def test_a_run_without_a_seed_goes_on_with_the_one_it_drew(folder):
    tuner(plain, folder, samples=2, tune={}).fit()
    first = tune.Tuner(
        plain,
        param_space=SPACE,
        tune_config=tune.TuneConfig(num_samples=4),
        run_config=tune.RunConfig(name="unseeded", storage_path=str(folder), verbose=0, executor="inline"),
    ).fit()
    cut_after(folder / "unseeded", ev.Ended, count=2)
    assert [r.config for r in resume(folder / "unseeded", plain)] == [r.config for r in first]


def flaky(config):
    marker = Path(config["folder"], "mended")
    checkpoint = tune.get_checkpoint()
    with tempfile.TemporaryDirectory() as path:
        tune.report({"loss": 1.0, "resumed": checkpoint is not None}, checkpoint=tune.Checkpoint.from_directory(path))
    if config["bad"] and not marker.exists():
        raise ValueError("not yet mended")


@pytest.mark.parametrize(("option", "resumed"), [("resume_errored", True), ("restart_errored", False)])
def test_errored_trials_are_run_again_if_asked(folder, option, resumed):
    space = {"folder": str(folder), "bad": tune.grid_search([False, True])}
    run = tune.RunConfig(name="run", storage_path=str(folder), verbose=0, executor="inline")
    assert tune.Tuner(flaky, param_space=space, run_config=run).fit().num_errors == 1
    (folder / "mended").touch()
    assert resume(folder / "run", flaky).num_errors == 1
    results = resume(folder / "run", flaky, **{option: True})
    assert results.num_errors == 0
    assert [r.metrics["resumed"] for r in results] == [False, resumed]


def test_unfinished_trials_are_left_if_asked(folder):
    tuner(plain, folder).fit()
    cut_after(folder / "run", ev.Reported, count=3)
    results = resume(folder / "run", plain, resume_unfinished=False)
    assert [str(r.status) for r in results] == ["TERMINATED"] * 3
    assert [r.metrics.get("training_iteration") for r in results] == [2, 1, 2]
    assert "resume_unfinished" in results[1].reason


def test_retries_count_over_a_restore(folder):
    tuner(failing, folder, failure_config=tune.FailureConfig(max_failures=2)).fit()
    ends = sum(type(e) is ev.Ended and e.how == "errored" for e in journal.read(str(folder / "run")).events)
    assert ends in (3, 6, 9)
    first_failure = next(
        i for i, e in enumerate(e for e in journal.read(str(folder / "run")).events if type(e) is ev.Ended) if e.error
    )
    cut_after(folder / "run", ev.Ended, count=first_failure + 1)
    resume(folder / "run", failing)
    again = sum(type(e) is ev.Ended and e.how == "errored" for e in journal.read(str(folder / "run")).events)
    assert again == ends


def test_the_time_budget_counts_what_earlier_drivers_used(folder):
    tuner(plain, folder, tune={"time_budget_s": 1000.0}).fit()
    cut_after(folder / "run", ev.Ended)
    path = folder / "run" / JOURNAL_FILE
    started = journal.read(str(folder / "run")).header.at
    with open(path, "ab") as file:
        file.write(ev.encode(ev.Ended(0, "completed", started + 999.99)))  # told twice: changes nothing but the time
    results = resume(folder / "run", slow_if_asked)
    assert len(results) < 3
    assert any(
        type(e) is ev.StopRequested and "time budget of 1000 s" in e.why
        for e in journal.read(str(folder / "run")).events
    )


def slow_if_asked(config):
    for _ in range(1000):
        time.sleep(0.01)
        tune.report({"loss": 1.0})


class Estimator:
    """Something that JSON cannot hold."""

    def __init__(self, depth: int) -> None:
        self.depth = depth


def square(x: float) -> float:
    return x * x


def typed(config):
    assert isinstance(config["pair"], tuple)
    assert isinstance(config["model"], Estimator) and config["cls"] is Estimator
    assert config["f"](3) == 9
    assert callable(config["lambda"]) and math.isnan(config["nan"])
    tune.report({"loss": config["model"].depth})


def test_objects_in_configurations_are_real_again_after_a_restore(folder):
    space = {
        "pair": tune.choice([(1, 2), (3, (4, 5))]),
        "model": tune.choice([Estimator(1), Estimator(2)]),
        "cls": Estimator,
        "f": tune.grid_search([square, square]),
        "lambda": tune.choice([lambda x: x, lambda x: -x]),
        "nan": math.nan,
    }
    run = tune.RunConfig(name="run", storage_path=str(folder), verbose=0, executor="inline")
    config = tune.TuneConfig(metric="loss", mode="min", num_samples=3, seed=0)
    unbroken = tune.Tuner(typed, param_space=space, tune_config=config, run_config=run).fit()
    assert unbroken.num_errors == 0
    cut_after(folder / "run", ev.Launched, count=2)
    results = resume(folder / "run", typed)
    assert results.num_errors == 0
    assert [r.metrics["loss"] for r in results] == [r.metrics["loss"] for r in unbroken]


def test_a_torn_tail_is_said_and_noted(folder, capsys, monkeypatch):
    monkeypatch.setenv("TUNE_CORE_PROGRESS", "plain")
    tuner(plain, folder).fit()
    path = folder / "run" / JOURNAL_FILE
    path.write_bytes(path.read_bytes()[:-7])
    restored = tune.Tuner.restore(folder / "run", plain)
    restored._run.executor, restored._run.verbose = "inline", 1
    restored.fit()
    assert "torn" in capsys.readouterr().out
    assert any(type(e) is ev.Noted and "torn" in e.what for e in journal.read(str(folder / "run")).events)


def test_a_second_fit_goes_on_with_the_same_run(folder):
    both = tuner(plain, folder)
    first = outcome(both.fit())
    assert outcome(both.fit()) == first
    assert [r.metrics["loss"] for r in both.get_results()] == [row[2]["loss"] for row in first]


def test_two_drivers_of_one_experiment_are_one_too_many(folder):
    tuner(plain, folder).fit()
    lock = Lock(str(folder / "run"))
    with pytest.raises(TuneError, match="another driver"):
        resume(folder / "run", plain)
    lock.release()


def test_a_run_that_was_killed_before_its_first_line_can_be_started_again(folder):
    (folder / "run").mkdir()
    (folder / "run" / JOURNAL_FILE).write_bytes(b'{"e":"run","sch')
    assert not tune.Tuner.can_restore(folder / "run")
    assert len(tuner(plain, folder).fit()) == 3


def test_can_restore_says_yes_only_to_an_experiment(folder):
    tuner(plain, folder).fit()
    assert tune.Tuner.can_restore(folder / "run")
    assert not tune.Tuner.can_restore(folder)
    assert not tune.Tuner.can_restore(folder / "run" / JOURNAL_FILE)


def test_a_run_whose_setup_is_gone_needs_it_again(folder):
    tuner(plain, folder).fit()
    cut_after(folder / "run", ev.Ended)
    (folder / "run" / "tuner.pkl").unlink()
    with pytest.raises(RestoreError, match="param_space=") as caught:
        resume(folder / "run", plain)
    assert all((caught.value.asked, caught.value.found, caught.value.cause, caught.value.fix))
    config = tune.TuneConfig(metric="loss", mode="min", num_samples=3)
    restored = tune.Tuner.restore(folder / "run", plain, param_space=SPACE, tune_config=config)
    restored._run.executor, restored._run.verbose = "inline", 0
    assert outcome(restored.fit()) == outcome(tuner(plain, folder, "other").fit())


def test_reading_an_experiment_executes_none_of_its_code(folder):
    tuner(plain, folder).fit()
    (folder / "run" / "tuner.pkl").write_bytes(b"cos\nsystem\n(S'touch " + str(folder / "owned").encode() + b"'\ntR.")
    results = tune.ResultGrid.from_path(folder / "run")
    assert len(results) == 3 and results.get_best_result().config
    assert not (folder / "owned").exists()


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------

INTERRUPTED = """
import sys, time
import tune_core as tune

def objective(config):
    for i in range(config["steps"]):
        time.sleep(0.01)
        tune.report({"loss": i})

space = {"steps": tune.grid_search([3, 3, 100000, 100000])}
tune.Tuner(
    objective, param_space=space,
    run_config=tune.RunConfig(name="run", storage_path=sys.argv[1], executor=tune.LocalExecutor(num_cpus=2)),
).fit()
print("fit returned")
"""


def interrupted(folder: Path, code: str) -> subprocess.Popen[str]:
    """A driver that has two finished trials and two that would run for ever."""
    env = {**os.environ, MARK: str(folder), "PYTHONPATH": os.pathsep.join(sys.path), "TUNE_CORE_PROGRESS": "plain"}
    env.pop("PYTEST_CURRENT_TEST", None)
    started = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    path = folder / "run" / JOURNAL_FILE
    wait_until(lambda: path.exists() and path.read_bytes().count(b'{"e":"report","trial":3') > 2)
    return started


def quick(config):
    tune.report({"loss": config["steps"]})


@pytest.mark.real
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_interruption_ends_gracefully_and_says_how_to_resume(folder, number):
    started = interrupted(folder, INTERRUPTED)
    started.send_signal(number)
    printed, _ = started.communicate(timeout=60)
    assert started.returncode == 0, printed
    assert "fit returned" in printed and "Ctrl-C again" in printed and "Tuner.restore" in printed
    wait_until(
        lambda: not processes(str(folder))
    )  # the template of workers sees a moment later that its driver is gone
    assert [str(r.status) for r in tune.ResultGrid.from_path(folder / "run")] == ["TERMINATED"] * 2 + ["PENDING"] * 2
    assert [str(r.status) for r in resume(folder / "run", quick)] == ["TERMINATED"] * 4


STUBBORN = INTERRUPTED.replace("time.sleep(0.01)", "time.sleep(0.01 if i < 3 else 1000)")


@pytest.mark.real
def test_the_second_interruption_ends_at_once(folder):
    started = interrupted(folder, STUBBORN)
    started.send_signal(signal.SIGINT)
    wait_until(lambda: b'"interrupt"' in (folder / "run" / JOURNAL_FILE).read_bytes())
    started.send_signal(signal.SIGINT)
    printed, _ = started.communicate(timeout=60)
    assert started.returncode != 0
    assert f"KeyboardInterrupt: The run was ended at once; Tuner.restore({str(folder / 'run')!r}, ...)" in printed
    wait_until(lambda: not processes(str(folder)))
    assert len(resume(folder / "run", quick)) == 4


def test_the_journal_of_a_restored_run_is_json_line_by_line(folder):
    tuner(plain, folder).fit()
    cut_after(folder / "run", ev.Launched, count=2)
    resume(folder / "run", plain)
    for line in (folder / "run" / JOURNAL_FILE).read_text().splitlines():
        json.loads(line)


# --- a restore that was given something else than the run had ---------------------------------------------------------


def cut_off(folder, done=2, samples=4):
    """A run of ``samples`` trials of which only ``done`` have run."""
    run = tune.RunConfig(name="run", storage_path=str(folder), verbose=0, executor="inline")
    grid = tune.Tuner(
        plain,
        param_space={"x": tune.uniform(0, 1), "k": 1},
        tune_config=tune.TuneConfig(num_samples=samples, seed=1),
        run_config=run,
    ).fit()
    path = Path(grid.experiment_path, "journal.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    begun = [i for i, line in enumerate(lines) if b'"type":"suggest"' in line or b'"suggest"' in line[:40]]
    path.write_bytes(b"".join(lines[: begun[done]]))
    return grid.experiment_path


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"param_space": {"x": tune.uniform(5, 6), "k": 1}}, r"'x' was uniform\(0.*1.*\) in the run and is uniform\(5"),
        ({"param_space": {"x": tune.uniform(0, 1), "k": 2}}, "'k' was 1 in the run and is 2 now"),
        ({"tune_config": tune.TuneConfig(num_samples=4, seed=9)}, "seed is 9, and the run goes on with its own, 1"),
        ({"tune_config": tune.TuneConfig(num_samples=1)}, "num_samples is 1, and the run's was 4, which stays"),
        ({"run_config": tune.RunConfig(name="other")}, "the run is called 'run'"),
        ({"run_config": tune.RunConfig(storage_path="/elsewhere")}, "goes on where it is, in .*, not in /elsewhere"),
    ],
)
def test_what_differs_from_the_run_is_said(folder, given, words):
    path = cut_off(folder)
    with pytest.warns(UserWarning, match=words):
        tuner = tune.Tuner.restore(path, plain, **given)
    assert len(tuner.fit()) == 4


def test_what_is_as_in_the_run_is_not_remarked_upon(folder):
    path = cut_off(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tuner = tune.Tuner.restore(
            path,
            plain,
            param_space={"x": tune.uniform(0, 1), "k": 1},
            tune_config=tune.TuneConfig(num_samples=4, seed=1),
            run_config=tune.RunConfig(name="run", storage_path=str(folder), verbose=0, executor="inline"),
        )
    assert len(tuner.fit()) == 4


@pytest.mark.parametrize("done", [2, 4], ids=["cut off", "finished"])
def test_more_samples_in_the_configuration_extend_the_run(folder, done):
    path = cut_off(folder, 2) if done == 2 else cut_off(folder, 4, 5)
    tuner = tune.Tuner.restore(path, plain, tune_config=tune.TuneConfig(num_samples=7, seed=1))
    assert len(tuner.fit()) == 7


@pytest.mark.parametrize("scheduler", [None, ASHAScheduler(max_t=4)], ids=["none", "asha"])
def test_second_call_of_fit_goes_on_as_a_restore_would(folder, scheduler):
    def interrupted(config):
        for step in range(3):
            if (folder / "stop").exists() and config["x"] < 0.5:
                (folder / "stop").unlink()
                os.kill(os.getpid(), signal.SIGINT)
            tune.report({"loss": config["x"] / (step + 1)})

    def tuner(name):
        return tune.Tuner(
            interrupted,
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=12, scheduler=scheduler),
            run_config=tune.RunConfig(name=name, storage_path=str(folder), executor="inline", verbose=0),
        )

    (folder / "stop").touch()
    twice = tuner("run")
    first = twice.fit()
    assert len(first) < 12
    shutil.copytree(folder / "run", folder / "other")
    again = twice.fit()
    restored = tune.Tuner.restore(
        folder / "other", interrupted, run_config=tune.RunConfig(executor="inline", verbose=0)
    ).fit()
    assert [result.config for result in again] == [result.config for result in restored]
    assert [result.reason for result in again] == [result.reason for result in restored]


@pytest.mark.parametrize("is_restored", [False, True], ids=["new", "restored"])
def test_parts_of_a_tuner_that_learn_serve_a_second_call_of_fit(folder, is_restored):
    class Locked(tune.Callback):  # which cannot be copied
        def __init__(self):
            self.lock = threading.Lock()

    def stops(config):
        if (folder / "stop").exists():
            (folder / "stop").unlink()
            os.kill(os.getpid(), signal.SIGINT)
        for step in range(3):
            tune.report({"loss": config["x"] / (step + 1)})

    def parts():
        return {
            "param_space": SPACE,
            "tune_config": tune.TuneConfig(
                metric="loss", mode="min", num_samples=6, seed=1, scheduler=ASHAScheduler(max_t=4)
            ),
            "run_config": tune.RunConfig(
                name="run", storage_path=str(folder), executor="inline", verbose=0, callbacks=[Locked()]
            ),
        }

    def begun():
        (folder / "stop").touch()
        assert len(tuner.fit()) < 6

    tuner = tune.Tuner(stops, **parts())
    begun()
    if is_restored:
        tuner = tune.Tuner.restore(folder / "run", stops, **parts())
        begun()
    assert len(tuner.fit()) == 6
