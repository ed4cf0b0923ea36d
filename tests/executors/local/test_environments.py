"""Trials run in any environment: daemons, crowded and spawned processes, frozen programs, systems that lack things."""

from __future__ import annotations

import importlib.util
import os
import resource
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.executors.local import pool
from tune_core.executors.worker import system
from tune_core.testing.executors import is_alive

START = """
import os, sys
import tune_core as tune

def objective(config):
    print("training")
    for i in range(3):
        tune.report({"loss": config["a"]})

def search(name="run", executor=None, **run):
    run_config = tune.RunConfig(name=name, storage_path=FOLDER, verbose=1, executor=executor, **run)
    space = {"a": tune.grid_search([1, 2])}
    return tune.Tuner(objective, param_space=space, run_config=run_config).fit()
"""


def script(folder: Path, body: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a script of its own, with what is above before it."""
    file = folder / "script.py"
    file.write_text(START.replace("FOLDER", repr(str(folder))) + textwrap.dedent(body))
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=100, **options)
    assert done.returncode == 0, done.stderr
    return done


def losses(folder: Path, name: str = "run") -> list[Any]:
    return [result.metrics.get("loss") for result in tune.ResultGrid.from_path(str(folder / name))]


@pytest.mark.parametrize("closed", ["0", "1", "2", "0, 1, 2"])
def test_closed_standard_streams(tmp_path: Path, closed: str) -> None:
    script(tmp_path, f"[os.close(d) for d in ({closed},)]\nsearch()\nos._exit(0)")
    assert losses(tmp_path) == [1, 2]
    assert Path(tmp_path, "run", "trial_00000", "output.log").read_text() == "training\n"


def test_thousands_of_open_files(tmp_path: Path) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] not in (resource.RLIM_INFINITY,) and (
        resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096
    ):
        pytest.skip("so many files may not be open here")
    body = """
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1500)]
    search()
    """
    script(tmp_path, body)
    assert losses(tmp_path) == [1, 2]


def test_no_more_files_may_be_open(tmp_path: Path) -> None:
    body = """
    import resource
    executor = tune.LocalExecutor(num_cpus=1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    files = []
    try:
        while True:
            files.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        for file in files[:8]:
            os.close(file)
    try:
        search(executor=executor)
    except tune.errors.TuneError as error:
        print("OURS", error)
    """
    done = script(
        tmp_path, "import tune_core.errors, tune_core.fit.experiment_run\nsearch('before')\n" + textwrap.dedent(body)
    )
    assert "OURS" in done.stdout


def test_module_path_longer_than_an_argument_may_be(tmp_path: Path) -> None:
    script(tmp_path, "sys.path += [f'/nowhere/{i:05}/' + 'x' * 60 for i in range(2500)]\nsearch()")
    assert losses(tmp_path) == [1, 2]


def test_spawned_process(tmp_path: Path) -> None:
    body = """
    import multiprocessing
    if __name__ == "__main__":
        process = multiprocessing.get_context("spawn").Process(target=search)
        process.start()
        process.join()
    """
    script(tmp_path, body)
    assert losses(tmp_path) == [1, 2]


def test_daemonic_process_and_thread(tmp_path: Path) -> None:
    body = """
    import multiprocessing, threading
    process = multiprocessing.get_context("fork").Process(target=search, daemon=True)
    process.start()
    process.join()
    thread = threading.Thread(target=search, args=("thread",), daemon=True)
    thread.start()
    thread.join()
    search("after")  # what the thread has started serves here too
    """
    script(tmp_path, body)
    assert losses(tmp_path) == losses(tmp_path, "thread") == losses(tmp_path, "after") == [1, 2]


def test_inside_of_a_coroutine(tmp_path: Path) -> None:
    body = """
    import asyncio
    async def main():
        search()
        await asyncio.to_thread(search, "thread")
    asyncio.run(main())
    """
    script(tmp_path, body)
    assert losses(tmp_path) == losses(tmp_path, "thread") == [1, 2]


FROZEN = """
import os, sys
with open(STARTS, "a") as file:
    file.write("x")
if os.path.getsize(STARTS) > 12:
    sys.exit(1)
import tune_core as tune
sys.frozen, sys.executable = True, APP

def objective(config):
    return {"loss": config["a"]}

run_config = tune.RunConfig(name="run", storage_path=FOLDER, verbose=0)
tune.Tuner(objective, param_space={"a": tune.grid_search([1, 2])}, run_config=run_config).fit()
"""


def test_frozen_program_is_started_once_for_each_worker(tmp_path: Path) -> None:
    app, program, starts = tmp_path / "app", tmp_path / "program.py", tmp_path / "starts"
    text = FROZEN.replace("STARTS", repr(str(starts))).replace("APP", repr(str(app)))
    program.write_text(text.replace("FOLDER", repr(str(tmp_path))))
    app.write_text(f"#!/bin/sh\nexec {sys.executable} {program}\n")
    app.chmod(0o755)
    subprocess.run([str(app)], check=True, timeout=100)
    assert losses(tmp_path) == [1, 2]
    assert starts.stat().st_size <= 3


@pytest.mark.timeout(600)
@pytest.mark.skipif(importlib.util.find_spec("PyInstaller") is None, reason="PyInstaller is not there")
def test_program_that_pyinstaller_has_frozen(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    text = FROZEN.replace("sys.frozen, sys.executable = True, APP\n", "").replace("STARTS", repr(str(starts)))
    (tmp_path / "program.py").write_text(text.replace("FOLDER", repr(str(tmp_path))))
    command = [sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", "--collect-submodules", "tune_core"]
    command += ["--exclude-module", "torch", "--exclude-module", "ray", "--exclude-module", "sklearn", "program.py"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=500)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([str(tmp_path / "dist" / "program" / "program")], check=True, timeout=60, env=environment)
    assert losses(tmp_path) == [1, 2]
    assert starts.stat().st_size <= 3


CELLS = """
import tune_core as tune

def objective(config):
    return {"loss": config["a"] * FACTOR}

def search(name):
    run_config = tune.RunConfig(name=name, storage_path=FOLDER, verbose=0)
    return tune.Tuner(objective, param_space={"a": tune.grid_search([1, 2])}, run_config=run_config).fit()

FACTOR = 1
results = search("first")
FACTOR = 10
def objective(config):
    return {"loss": -config["a"] * FACTOR}

results = search("second")
"""


@pytest.mark.skipif(importlib.util.find_spec("IPython") is None, reason="IPython is not there")
def test_cells_typed_into_ipython_that_define_a_name_anew(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "IPython", "--no-banner", "--simple-prompt", "--ipython-dir", str(tmp_path)]
    typed = CELLS.replace("FOLDER", repr(str(tmp_path)))
    done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=100, cwd=tmp_path)
    assert "Traceback" not in done.stdout + done.stderr
    assert losses(tmp_path, "first") == [1, 2]
    assert losses(tmp_path, "second") == [-10, -20]


SIDE_BY_SIDE = """
import pytest, sys
import tune_core as tune

def objective(config):
    print("training")
    tune.report({"loss": config["a"] * config["factor"]})

@pytest.mark.parametrize("factor", range(4))
def test_search(factor, capfd):
    space = {"a": tune.grid_search([1, 2]), "factor": factor}
    run_config = tune.RunConfig(name=f"run{factor}", storage_path=FOLDER, verbose=0)
    results = tune.Tuner(objective, param_space=space, run_config=run_config).fit()
    assert [result.metrics["loss"] for result in results] == [factor, 2 * factor]
"""


@pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not there")
@pytest.mark.parametrize("option", ["--capture=fd", "--capture=sys", "--capture=no"])
def test_searches_of_tests_that_pytest_runs_in_parallel(tmp_path: Path, option: str) -> None:
    (tmp_path / "test_searches.py").write_text(SIDE_BY_SIDE.replace("FOLDER", repr(str(tmp_path))))
    command = [sys.executable, "-m", "pytest", "-n", "2", "-q", "-p", "no:cacheprovider", option, "test_searches.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    for factor in range(4):
        assert losses(tmp_path, f"run{factor}") == [factor, 2 * factor]


def test_worker_that_holds_the_interpreters_lock_dies_with_its_driver(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux can")
    body = """
    def hangs(config):
        with open("FOLDER/pid.new", "w") as file:
            file.write(f"{os.getpid()} {os.getppid()}")
        os.rename("FOLDER/pid.new", "FOLDER/pid")
        import re
        re.match(r"(a+)+$", "a" * 60 + "b")

    tune.Tuner(hangs, run_config=tune.RunConfig(storage_path="FOLDER", verbose=0)).fit()
    """.replace("FOLDER", str(tmp_path))
    file = tmp_path / "script.py"
    file.write_text(START.replace("FOLDER", repr(str(tmp_path))) + textwrap.dedent(body))
    driver = subprocess.Popen([sys.executable, str(file)], stderr=subprocess.DEVNULL)
    wait_until((tmp_path / "pid").exists)
    pids = [int(pid) for pid in (tmp_path / "pid").read_text().split()]
    driver.kill()
    driver.wait()
    wait_until(lambda: not any(map(is_alive, pids)))


def wait_until(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)


@pytest.mark.parametrize("lacking", ["memfd_create", "sched_getaffinity", "waitid", "fork is not safe"])
def test_what_a_system_lacks_is_stood_in_for(tmp_path: Path, lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS; in the driver, and in the worker where it is started by itself."""
    if lacking == "fork is not safe":
        monkeypatch.setattr(pool, "can_fork", lambda: False)
    else:
        monkeypatch.delattr(os, lacking, raising=False)

    def objective(config: dict[str, Any]) -> dict[str, Any]:
        print("said")
        return {"loss": config["a"], "parent": os.getppid()}

    run_config = tune.RunConfig(storage_path=str(tmp_path), verbose=0)
    results = tune.Tuner(objective, param_space={"a": tune.grid_search([1, 2])}, run_config=run_config).fit()
    assert [result.metrics["loss"] for result in results] == [1, 2]
    assert Path(results[0].path, "output.log").read_text() == "said\n"
    if lacking == "fork is not safe":
        assert results[0].metrics["parent"] == os.getpid()


def test_children_are_found_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen(["sleep", "100"])
    try:
        expected = set(system.children_of(os.getpid()))
        assert child.pid in expected
        monkeypatch.setattr(os, "listdir", raises_os_error)
        assert set(system.children_of(os.getpid())) == expected
    finally:
        child.kill()
        child.wait()


def raises_os_error(path: str) -> list[str]:
    raise FileNotFoundError(path)


def test_definitions_of_the_script_are_found_by_processes_of_a_trial(tmp_path: Path) -> None:
    body = """
    import multiprocessing

    class Point:
        def __init__(self, x):
            self.x = x

    def square(point):
        return Point(point.x ** 2)

    def objective(config):
        with multiprocessing.get_context(config["how"]).Pool(1) as pool:
            points = pool.map(square, [Point(i) for i in range(4)])
        tune.report({"loss": sum(point.x for point in points)})

    space = {"how": tune.grid_search(["fork", "spawn", "forkserver"]), "start": tune.choice([Point(1)])}
    tune.Tuner(objective, param_space=space, run_config=tune.RunConfig(name="run", storage_path=FOLDER)).fit()
    """
    script(tmp_path, body.replace("FOLDER", repr(str(tmp_path))))
    assert losses(tmp_path) == [14, 14, 14]


def test_objects_of_the_scripts_classes_may_be_values_of_the_space(tmp_path: Path) -> None:
    body = """
    class Model:
        size = 3

    def objective(config):
        return {"loss": config["model"].size}

    space = {"model": tune.choice([Model()])}
    tune.Tuner(objective, param_space=space, run_config=tune.RunConfig(name="run", storage_path=FOLDER)).fit()
    """
    script(tmp_path, body.replace("FOLDER", repr(str(tmp_path))))
    assert losses(tmp_path) == [3]


def test_runs_in_many_threads_on_worker_processes(tmp_path: Path) -> None:
    found: dict[int, Any] = {}

    def go(number: int) -> None:
        run_config = tune.RunConfig(
            name=str(number), storage_path=str(tmp_path), verbose=0, executor=tune.LocalExecutor(num_cpus=1)
        )
        space = {"a": tune.grid_search([number * 10 + i for i in range(3)])}
        found[number] = tune.Tuner(lambda config: {"loss": config["a"]}, param_space=space, run_config=run_config).fit()

    threads = [threading.Thread(target=go, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    for number in range(6):
        assert [result.metrics["loss"] for result in found[number]] == [number * 10 + i for i in range(3)]
