"""What a run has loaded serves the next run of the process, and nothing that a later run finds is stale."""

from __future__ import annotations

import importlib
import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core import executors
from tune_core.errors import InvalidArgumentError
from tune_core.executors.local import handle, pool, process, template
from tune_core.executors.worker.system import children_of
from tune_core.testing.executors import is_alive

pytestmark = pytest.mark.skipif(not pool.can_fork(), reason="workers are started one by one here")


@pytest.fixture
def fit(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Run one trial in a worker process; its metrics."""
    pool.end_templates()

    def run(objective: Any, resources: Any = None, executor: Any = None, env: Any = None) -> dict[str, Any]:
        trainable = tune.with_resources(objective, resources) if resources else objective
        run_config = tune.RunConfig(
            storage_path=str(tmp_path / "runs"),
            verbose=0,
            executor=executor or tune.LocalExecutor(num_cpus=2),
            env=env or {},
        )
        result = tune.Tuner(trainable, run_config=run_config).fit()[0]
        assert result.error is None, result.error
        return dict(result.metrics)

    yield run
    pool.end_templates()


def looks_around(config: dict[str, Any]) -> dict[str, Any]:
    """What a trial finds."""
    return {
        "parent": os.getppid(),
        "loaded": [name for name in ("numpy", "sklearn") if name in sys.modules],
        "set": os.environ.get("TUNE_TEST_SET", ""),
        "threads": os.environ["OMP_NUM_THREADS"],
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES", "all"),
        "home": os.environ.get("TUNE_ORIG_WORKING_DIR"),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
    }


def test_libraries_of_one_run_are_there_in_the_next(fit: Any) -> None:
    pytest.importorskip("numpy")

    def objective(config: dict[str, Any]) -> dict[str, Any]:
        found = looks_around(config)
        importlib.import_module("numpy")
        return found

    first, second, third = fit(objective), fit(objective), fit(objective)
    assert first["loaded"] == [] and second["loaded"] == third["loaded"] == ["numpy"]
    assert first["parent"] == second["parent"] == third["parent"] != os.getpid()


def test_what_the_trainable_refers_to_is_loaded_before_the_first_worker(fit: Any) -> None:
    numpy = pytest.importorskip("numpy")
    looks = tune.with_parameters(lambda config, of: looks_around(config), of=numpy.float64(1))
    assert fit(looks)["loaded"] == ["numpy"]


# --- never stale ------------------------------------------------------------------------------------------------------


def test_redefined_function_is_the_new_one(fit: Any) -> None:
    scope: dict[str, Any] = {"__name__": "notebook"}
    for value in (1, 2):
        exec(f"def helper(): return {value}\ndef objective(config): return {{'value': helper()}}", scope)
        assert fit(scope["objective"])["value"] == value


def test_redefined_class_is_the_new_one(fit: Any) -> None:
    scope: dict[str, Any] = {"__name__": "notebook"}
    for value in (1, 2):
        exec(f"class Model:\n  size = {value}\ndef objective(config): return {{'value': Model().size}}", scope)
        assert fit(scope["objective"])["value"] == value


def test_edited_module_is_read_anew(fit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "edited_by_user.py"
    for value in (1, 2):
        file.write_text(f"def objective(config): return {{'value': {value}}}\n")
        os.utime(file, (value, value))
        importlib.invalidate_caches()
        module = sys.modules.get("edited_by_user")
        module = importlib.reload(module) if module else importlib.import_module("edited_by_user")
        assert fit(module.objective)["value"] == value
    del sys.modules["edited_by_user"]


def test_state_of_a_module_is_fresh(fit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    source = "count = 0\ndef objective(config):\n  global count\n  count += 1\n  return {'count': count}\n"
    (tmp_path / "counts_calls.py").write_text(source)
    module = importlib.import_module("counts_calls")
    assert [fit(module.objective)["count"] for _ in range(2)] == [1, 1]
    del sys.modules["counts_calls"]


def test_changed_module_path_counts(fit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same_name.py").write_text(f"value = {name!r}\n")

    def objective(config: dict[str, Any]) -> dict[str, Any]:
        return {"value": importlib.import_module("same_name").value}

    for name in ("a", "b"):
        monkeypatch.syspath_prepend(str(tmp_path / name))
        assert fit(objective)["value"] == name


def test_changed_environment_counts(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_TEST_SET", "one")
    assert fit(looks_around)["set"] == "one"
    monkeypatch.setenv("TUNE_TEST_SET", "two")
    assert fit(looks_around)["set"] == "two"
    monkeypatch.delenv("TUNE_TEST_SET")
    assert fit(looks_around)["set"] == ""
    assert fit(looks_around, env={"TUNE_TEST_SET": "three"})["set"] == "three"


def test_changed_working_directory_counts(fit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert fit(looks_around)["home"] == str(tmp_path / name)


def test_changed_thread_limits_count(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [fit(looks_around, {"cpu": cpus})["threads"] for cpus in (1, 2, 1)] == ["1", "2", "1"]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert fit(looks_around)["threads"] == "3"


def test_changed_gpus_count(fit: Any) -> None:
    def gpus(amount: float) -> str:
        return str(fit(looks_around, {"gpu": amount}, tune.LocalExecutor(num_cpus=1, num_gpus=2))["gpus"])

    assert [gpus(1), gpus(2), gpus(0.5)] == ["0", "0,1", "0"]
    assert fit(looks_around, {"cpu": 1}, tune.LocalExecutor(num_cpus=1, num_gpus=2))["gpus"] == ""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_changed_affinity_counts(fit: Any) -> None:
    before = os.sched_getaffinity(0)
    try:
        assert fit(looks_around)["cpus"] == len(before)
        os.sched_setaffinity(0, {min(before)})
        assert fit(looks_around)["cpus"] == 1
    finally:
        os.sched_setaffinity(0, before)


def test_what_an_objective_does_to_libraries_does_not_last(fit: Any) -> None:
    numpy = pytest.importorskip("numpy")

    def objective(config: dict[str, Any], of: Any) -> dict[str, Any]:
        import numpy

        found = {"division": numpy.geterr()["divide"], "filters": len(warnings.filters), "level": logging.root.level}
        found["patched"] = getattr(json, "patched", False)
        numpy.seterr(divide="ignore")
        warnings.simplefilter("error")
        logging.root.setLevel(1)
        json.patched = True  # type: ignore[attr-defined]
        return found

    bound = tune.with_parameters(objective, of=numpy.float64(1))
    first, second = (
        {k: v for k, v in fit(bound).items() if k in ("division", "filters", "level", "patched")} for _ in "12"
    )
    assert first == second and first["division"] == "warn" and first["patched"] is False


def test_chance_is_not_repeated(fit: Any) -> None:
    numpy = pytest.importorskip("numpy")

    def objective(config: dict[str, Any], of: Any) -> dict[str, Any]:
        import numpy

        return {"random": random.random(), "numpy": float(numpy.random.random())}

    bound = tune.with_parameters(objective, of=numpy.float64(1))
    found = [fit(bound) for _ in range(3)]
    assert len({metrics["random"] for metrics in found}) == len({metrics["numpy"] for metrics in found}) == 3


def test_changed_file_of_a_library_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "library.py"
    file.write_text("x = 1")
    os.utime(file, (1, 1))
    loaded = {str(file): template._stamp(str(file))}
    began = time.time() + 60
    assert not template._changed(loaded, began)  # type: ignore[arg-type]
    file.write_text("x = 2")
    assert template._changed(loaded, began)  # type: ignore[arg-type]
    os.utime(file, (1, 1))
    assert not template._changed({str(file): template._stamp(str(file))}, began)  # type: ignore[dict-item]
    assert template._changed({str(file): template._stamp(str(file))}, 0.5)  # type: ignore[dict-item]
    file.unlink()
    assert template._changed(loaded, began)  # type: ignore[arg-type]


def test_template_whose_libraries_have_changed_starts_over(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fit(looks_around)
    file = Path(tune.__file__).with_name("_version.py")
    before = file.stat()
    try:
        os.utime(file)  # as an installation of another version would
        second = fit(looks_around)
    finally:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert second["parent"] == first["parent"]  # the same process, and another interpreter in it
    assert fit(looks_around)["parent"] == first["parent"]


# --- workers in which libraries alone have run ------------------------------------------------------------------------


HERE = __name__.partition(".")[0]


def finds(config: dict[str, Any]) -> dict[str, Any]:
    """What a trial finds, and in which process."""
    numpy: Any = sys.modules.get("numpy")
    chance = float(numpy.random.random()) if numpy is not None else 0.0
    return {**looks_around(config), "pid": os.getpid(), "chance": f"{random.random()} {chance}", "folder": os.getcwd()}


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Run one trial of a function that stands for one of a library's; its metrics."""
    pool.end_templates()
    monkeypatch.setattr(pool, "_OF_PYTHON", pool._OF_PYTHON | {HERE})

    def run(
        objective: Any = finds,
        resources: Any = None,
        env: Any = None,
        executor: Any = None,
        chdir: bool = False,
        **settings: Any,
    ) -> dict[str, Any]:
        tuner = tune.Tuner(
            tune.with_resources(objective, resources or {"cpu": 1}),
            tune_config=tune.TuneConfig(chdir_to_trial_dir=chdir, **settings),
            run_config=tune.RunConfig(
                storage_path=str(tmp_path / "runs"),
                verbose=0,
                env=env or {},
                executor=executor or tune.LocalExecutor(num_cpus=2),
            ),
        )
        result = tuner.fit()[0]
        assert result.error is None, result.error
        return dict(result.metrics)

    yield run
    pool.end_templates()


def test_worker_serves_the_next_run(search: Any) -> None:
    found = [search() for _ in range(3)]
    assert len({metrics["pid"] for metrics in found}) == 1
    assert len({metrics["chance"] for metrics in found}) == 3
    kept = found[0]["pid"]
    assert [worker._running.pid for _, worker in pool._kept] == [kept] and is_alive(kept)
    pool.end_templates()
    assert not is_alive(kept)


def brings_code(search: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    return dict(search(lambda config: finds(config)))


def refers_to_a_module_of_the_user(search: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    monkeypatch.setattr(pool, "_OF_PYTHON", pool._OF_PYTHON - {HERE})
    return dict(search())


def other_environment(search: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    monkeypatch.setenv("TUNE_TEST_SET", "yes")
    found = dict(search())
    assert found["set"] == "yes"
    return found


def other_environment_of_the_run(search: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    found = dict(search(env={"TUNE_TEST_SET": "yes"}))
    assert found["set"] == "yes"
    return found


def other_working_directory(search: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    found = dict(search())
    assert found["folder"] == str(tmp_path)
    return found


def other_module_path(search: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(tmp_path))
    return dict(search())


def other_threads(search: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = dict(search())
    assert found["threads"] == "3"
    return found


def other_gpus(search: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    found = dict(search(resources={"gpu": 1}, executor=tune.LocalExecutor(num_cpus=2, num_gpus=1)))
    assert found["gpus"] == "0"
    return found


def other_logging(search: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    monkeypatch.setattr(logging.root, "level", 1)
    return dict(search())


def own_folders(search: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    found = dict(search(chdir=True))
    assert str(tmp_path / "runs") in found["folder"]
    return found


def processes_of_their_own(search: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    return dict(search(reuse_actors=False))


def other_libraries_on_disk(search: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    monkeypatch.setattr(handle, "_LOOK_HOLDS_S", -1.0)
    file = Path(tune.__file__).with_name("_version.py")
    before = file.stat()
    try:
        os.utime(file)  # as an installation of another version would
        return dict(search())
    finally:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = (
    brings_code,
    refers_to_a_module_of_the_user,
    other_environment,
    other_environment_of_the_run,
    other_working_directory,
    other_module_path,
    other_threads,
    other_gpus,
    other_logging,
    own_folders,
    processes_of_their_own,
    other_libraries_on_disk,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_worker_is_another_where_a_run_would_find_something_else(
    search: Any, change: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = search()
    assert search()["pid"] == first["pid"]
    assert change(search, monkeypatch, tmp_path)["pid"] != first["pid"]


def changes_libraries(config: dict[str, Any]) -> dict[str, Any]:
    found = finds(config)
    os.environ["TUNE_TEST_SET"] = "by a trial"
    os.chdir("/")
    sys.path.insert(0, "/by/a/trial")
    return {**found, "path": "/by/a/trial" in sys.path[1:]}


def test_what_is_put_back_between_trials_is_put_back_between_runs(search: Any) -> None:
    first, second = search(changes_libraries), search(changes_libraries)
    assert first["pid"] == second["pid"]
    assert (second["set"], second["folder"], second["path"]) == ("", os.getcwd(), False)


def holds_memory(config: dict[str, Any]) -> dict[str, Any]:
    sys.__dict__["_held_by_a_test"] = b"x" * (process._MOST_GROWTH_BYTES + (1 << 20))
    return finds(config)


def test_worker_that_has_grown_leaves(search: Any) -> None:
    first = search(holds_memory)
    wait_until(lambda: not is_alive(first["pid"]))
    assert search()["pid"] != first["pid"]


def test_worker_that_was_killed_is_replaced(search: Any) -> None:
    first = search()
    os.kill(first["pid"], signal.SIGKILL)
    wait_until(lambda: not is_alive(first["pid"]))
    assert search()["pid"] != first["pid"]


def test_kept_workers_leave_after_a_while_and_their_template_behind_them(search: Any) -> None:
    found = search(executor=tune.LocalExecutor(num_cpus=1, idle_s=1))
    wait_until(lambda: not is_alive(found["pid"]) and not is_alive(found["parent"]))


def test_run_that_keeps_nothing_leaves_no_worker(search: Any) -> None:
    found = search(executor=tune.LocalExecutor(num_cpus=1, idle_s=0))
    assert not is_alive(found["pid"]) and not pool._kept


def test_runs_side_by_side_have_workers_of_their_own(search: Any) -> None:
    search()
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(search(naps)["pid"])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(found)) == 3


def naps(config: dict[str, Any]) -> dict[str, Any]:
    found = finds(config)
    time.sleep(2)
    return found


# --- how long ---------------------------------------------------------------------------------------------------------


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)


def test_idle_processes_leave_after_a_while(fit: Any) -> None:
    kept = fit(looks_around, executor=tune.LocalExecutor(num_cpus=1, idle_s=1))["parent"]
    assert is_alive(kept)
    wait_until(lambda: not is_alive(kept))
    assert fit(looks_around, executor=tune.LocalExecutor(num_cpus=1, idle_s=1))["parent"] != kept


def test_nothing_is_kept_if_that_is_asked(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pool.IDLE_VARIABLE, "0")
    before = set(children_of(os.getpid()))
    assert fit(looks_around)["parent"] == os.getpid()
    assert set(children_of(os.getpid())) <= before


@pytest.mark.parametrize("wrong", [-1, "long", float("nan"), True])
def test_wrong_times_are_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="idle_s"):
        tune.LocalExecutor(idle_s=wrong)


def test_runs_side_by_side_share_a_template(fit: Any) -> None:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(fit(looks_around)["parent"])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4 and len(set(found)) == 1


DRIVER = """
import os, sys, time
import tune_core as tune

def objective(config):
    return {"parent": os.getppid()}

run_config = tune.RunConfig(storage_path=sys.argv[1], verbose=0)
print(tune.Tuner(objective, run_config=run_config).fit()[0].metrics["parent"], flush=True)
if sys.argv[2] == "SIGKILL":
    time.sleep(60)
"""


@pytest.mark.parametrize("how", ["SIGKILL", "its end"])
def test_nothing_is_left_when_the_process_has_ended(tmp_path: Path, how: str) -> None:
    command = [sys.executable, "-c", DRIVER, str(tmp_path), how]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    kept = int(driver.stdout.readline())
    if how == "SIGKILL":
        assert is_alive(kept)
        driver.send_signal(signal.SIGKILL)
    driver.wait(30)
    driver.stdout.close()
    wait_until(lambda: not is_alive(kept))


def test_forked_child_of_the_driver_has_a_template_of_its_own(fit: Any) -> None:
    mine = fit(looks_around)["parent"]
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, str(fit(looks_around)["parent"]).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    its = int(os.read(read, 100))
    os.close(read)
    os.close(write)
    assert its != mine
    assert fit(looks_around)["parent"] == mine
    wait_until(lambda: not is_alive(its))


class SeesTemplates(tune.Callback):
    """Notes the templates of the process before the first trial gets its place."""

    def setup(self, **info: object) -> None:
        self.seen = list(pool._templates)


TWO_BUNDLES = tune.PlacementGroupFactory([{"cpu": 1}, {"cpu": 1}])


@pytest.mark.parametrize(
    ("env", "resources"), [({}, None), ({"TUNE_TEST_SET": "yes"}, {"cpu": 2}), ({}, TWO_BUNDLES)], ids=str
)
def test_the_template_that_loads_ahead_is_the_one_that_workers_come_from(
    env: dict[str, str], resources: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.end_templates()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # then it follows from the CPUs
    trainable = tune.with_resources(looks_around, resources) if resources else looks_around
    looker = SeesTemplates()
    config = tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="local", env=env, callbacks=[looker])
    result = tune.Tuner(trainable, run_config=config).fit()[0]
    assert [template._popen.pid for template in looker.seen] == [result.metrics["parent"]]
    assert pool._templates == looker.seen
    pool.end_templates()


@pytest.mark.parametrize(("executor", "request_"), [("inline", {}), ("ray", {}), ("local", lambda config: {"cpu": 2})])
def test_nothing_is_loaded_ahead_where_nobody_can_tell_what_for(executor: str, request_: Any) -> None:
    pool.end_templates()
    executors.load_ahead(executor, {}, request_)
    assert not pool._templates


SCRIPT = """
import tune_core as tune
from tune_core.executors.local import pool

def objective(config):
    for step in range(3):
        tune.report({"loss": config["x"]})

for name in ("one", "two"):
    tune.Tuner(
        objective,
        param_space={"x": tune.grid_search([1, 2, 3])},
        run_config=tune.RunConfig(name=name, storage_path=FOLDER, verbose=0, executor=tune.LocalExecutor(idle_s=IDLE)),
    ).fit()
print(*[template._popen.pid for template in pool._templates])
"""


@pytest.mark.parametrize(("idle_s", "kept"), [(0, 0), (300, 1)])
def test_a_script_ends_without_a_warning_and_leaves_no_process_behind(tmp_path: Path, idle_s: int, kept: int) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("FOLDER", repr(str(tmp_path / "runs"))).replace("IDLE", str(idle_s)))
    command = [sys.executable, "-W", "default", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert done.stderr == ""
    processes = [int(pid) for pid in done.stdout.split()]
    assert len(processes) == kept
    wait_until(lambda: not any(map(is_alive, processes)))


FORKING = """
import os, sys
import tune_core as tune

tune.Tuner(lambda config: 1.0, run_config=tune.RunConfig(storage_path=sys.argv[1], verbose=0)).fit()
if os.fork() == 0:
    sys.exit()
os.wait()
"""


def test_forked_child_of_the_driver_does_not_warn_of_the_drivers_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "default::ResourceWarning", "-c", FORKING, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert done.stderr == ""
