"""The Ray executor: the contract of executors, and whole runs, on one Ray for the whole module."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray")

from simulation.test_real_resources import last_trial_gets_all_there_is

import tune_core as tune
from tune_core import schedulers
from tune_core.core import events as ev
from tune_core.engine.controller import Controller
from tune_core.engine.rules import Rules
from tune_core.errors import JournalError, ResourceError
from tune_core.executors import RayExecutor, ray_is_up
from tune_core.journal import reader as journal
from tune_core.testing.executors import ExecutorSuite, is_alive


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    ray.init(num_cpus=2, num_gpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    yield
    ray.shutdown()


class TestRay(ExecutorSuite):
    prompt = False

    def make(self, **options: Any) -> RayExecutor:
        return RayExecutor()


# --- whole runs -------------------------------------------------------------------------------------------------------


def trivial(config: dict[str, Any]) -> dict[str, Any]:
    return {"loss": config["x"], "pid": os.getpid(), "gpus": os.environ.get("CUDA_VISIBLE_DEVICES")}


def gated(config: dict[str, Any]) -> None:
    """Report, and wait for a file."""
    tune.report({"loss": config["x"], "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "pid": os.getpid()})
    while not os.path.exists(config["gate"]):
        time.sleep(0.01)


def sweep(
    folder: Path, objective: Any, space: dict[str, Any] | None = None, executor: Any = "ray", **config: Any
) -> tune.ResultGrid:
    return tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0, 1), **(space or {})},
        tune_config=tune.TuneConfig(metric="loss", mode="min", **{"num_samples": 4, "seed": 1, **config}),
        run_config=tune.RunConfig(executor=executor, storage_path=str(folder), verbose=0),
    ).fit()


def events_of(results: tune.ResultGrid) -> list[Any]:
    return list(journal.read(results.experiment_path).events)


class OpensWhen(tune.Callback):
    """Lets gated trials go once so many have reported."""

    def __init__(self, gate: Path, reports: int) -> None:
        self.gate = gate
        self.left = reports

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.gate.touch()


def test_eight_trials_of_a_quarter_gpu_run_at_once_four_on_each_device(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    results = tune.Tuner(
        tune.with_resources(gated, {"cpu": 0.25, "gpu": 0.25}),
        param_space={"x": tune.uniform(0, 1), "gate": str(gate)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=8),
        run_config=tune.RunConfig(
            executor="ray", storage_path=str(tmp_path), verbose=0, callbacks=[OpensWhen(gate, reports=8)]
        ),
    ).fit()

    assert sorted(result.metrics["gpus"] for result in results) == ["0"] * 4 + ["1"] * 4
    assert len({result.metrics["pid"] for result in results}) == 8


def test_mixed_shapes_never_hold_more_than_there_is(tmp_path: Path) -> None:
    def request(config: dict[str, Any]) -> dict[str, float]:
        return {"cpu": 0.1, "gpu": config["share"]}

    space = {"share": tune.grid_search([0.5, 1])}
    results = sweep(tmp_path, tune.with_resources(trivial, request), space, num_samples=3)

    assert results.num_errors == 0
    shares = {int(result.metrics["trial_id"]): result.config["share"] for result in results}
    held: dict[int, str] = {}
    for event in sorted((e for e in events_of(results) if type(e) in (ev.Launched, ev.Ended)), key=lambda e: e.at):
        if type(event) is ev.Launched:
            held[event.trial] = event.worker
            in_use = {worker: shares[trial] for trial, worker in held.items()}  # a worker may have two in hand
            assert sum(in_use.values()) <= 2
        else:
            del held[event.trial]


def test_impossible_request_is_an_error_before_the_first_trial(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"asks for .*3 gpu, and the cluster has 1 node of 2 cpu, 2 gpu"):
        sweep(tmp_path, tune.with_resources(trivial, {"gpu": 3}))
    assert ray.is_initialized()


def test_executor_is_rays_if_ray_is_up_and_its_ray_is_left_as_it_was(tmp_path: Path) -> None:
    assert ray_is_up()
    results = sweep(tmp_path, trivial, executor=None)

    assert {type(event).__name__ for event in events_of(results)} >= {"Launched", "Ended"}
    assert all("/worker" in event.worker for event in events_of(results) if type(event) is ev.Launched)
    assert ray.is_initialized()


def test_environment_variable_overrules_that_ray_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_CORE_EXECUTOR", "inline")
    assert {result.metrics["pid"] for result in sweep(tmp_path, trivial, executor=None)} == {os.getpid()}


def test_seed_gives_the_same_configurations_as_local_workers(tmp_path: Path) -> None:
    on_ray = [result.config for result in sweep(tmp_path / "a", trivial)]
    on_local = [result.config for result in sweep(tmp_path / "b", trivial, executor="local")]
    assert on_ray == on_local


def test_worker_killed_from_outside_is_a_loss_and_no_failure(tmp_path: Path) -> None:
    class KillsOne(RayExecutor):
        killed = False

        def poll(self, timeout_s: float) -> list[ev.Batch]:
            batches = super().poll(timeout_s)
            if not self.killed and any(type(event) is ev.Reported for batch in batches for event in batch.events):
                self.killed = True
                ray.kill(next(host for host in self._pool.hosts.values() if host.jobs)._actor)
                (tmp_path / "gate").touch()
            return batches

    executor = KillsOne()
    results = sweep(tmp_path, gated, {"gate": str(tmp_path / "gate")}, executor, num_samples=3)

    assert executor.killed and results.num_errors == 0
    assert [e.how for e in events_of(results) if type(e) is ev.Ended].count("lost") == 1


def test_two_runs_at_once_share_the_cluster(tmp_path: Path) -> None:
    grids: dict[str, tune.ResultGrid] = {}
    threads = [
        threading.Thread(target=lambda name=name: grids.update({name: sweep(tmp_path / name, trivial, num_samples=20)}))
        for name in ("a", "b")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert [grids[name].num_terminated for name in ("a", "b")] == [20, 20]


def test_changing_resources_share_out_what_the_cluster_has(tmp_path: Path) -> None:
    last_trial_gets_all_there_is(tmp_path, RayExecutor(), length=40)


def test_run_inside_somebody_elses_actor(tmp_path: Path) -> None:
    class TheirActor:
        def tunes(self, folder: str) -> tuple[int, int]:
            results = sweep(Path(folder), trivial)
            return os.getpid(), len({result.metrics["pid"] for result in results} - {os.getpid()})

    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}}
    actor = ray.remote(num_cpus=1)(TheirActor).options(runtime_env=environment).remote()
    _, others = ray.get(actor.tunes.remote(str(tmp_path)))
    ray.kill(actor)
    assert others >= 1


SCHEDULERS: dict[str, Any] = {
    "ASHA": lambda: schedulers.ASHAScheduler(grace_period=1, max_t=9, reduction_factor=3),
    "ASHA by promotion": lambda: schedulers.ASHAScheduler(grace_period=1, max_t=9, rule="promotion"),
    "HyperBand": lambda: schedulers.HyperBandScheduler(max_t=9),
    "PBT": lambda: schedulers.PopulationBasedTraining(
        "training_iteration", perturbation_interval=3, synch=True, hyperparam_mutations={"x": tune.uniform(0, 1)}
    ),
}


def learns(config: dict[str, Any]) -> None:
    """Nine steps, each with a checkpoint."""
    start = 0
    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        start = int(Path(checkpoint.path, "step").read_text())
    for step in range(start + 1, 10):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(str(step))
            tune.report({"loss": config["x"] + 1 / step}, checkpoint=tune.Checkpoint.from_directory(folder))


@pytest.mark.parametrize("name", list(SCHEDULERS))
def test_journal_of_a_run_on_ray_replays_to_the_same_decisions(tmp_path: Path, name: str) -> None:
    try:
        scheduler, fresh = SCHEDULERS[name](), SCHEDULERS[name]()
    except AttributeError:
        pytest.skip(f"there is no {name} yet")
    space = {"x": tune.uniform(0, 1)}
    results = sweep(tmp_path, learns, num_samples=9, scheduler=scheduler)
    events = events_of(results)
    fresh.setup("loss", "min", 1, space)
    controller = Controller(Rules("loss", "min"), fresh)
    decided = []
    for event in events:
        if type(event) is not ev.Decided:
            decided += [command.event for command in controller.apply(event) if type(command) is ev.Record]

    assert decided == [event for event in events if type(event) is ev.Decided]
    assert decided


DRIVER = """
import sys, time, tune_core as tune

def slow(config):
    import json, os, tempfile
    start = 0
    if tune.get_checkpoint():
        start = json.load(open(os.path.join(tune.get_checkpoint().path, "step")))
    for step in range(start, 6):
        time.sleep(0.3)
        with tempfile.TemporaryDirectory() as folder:
            json.dump(step + 1, open(os.path.join(folder, "step"), "w"))
            tune.report({"loss": config["x"] * step, "pid": os.getpid(), "start": start},
                        checkpoint=tune.Checkpoint.from_directory(folder))

if __name__ == "__main__":
    folder, address, restore = sys.argv[1:]
    if restore == "restore":
        tuner = tune.Tuner.restore(folder + "/run", slow)
    else:
        tuner = tune.Tuner(slow, param_space={"x": tune.uniform(0, 1)},
                           tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=3, seed=5),
                           run_config=tune.RunConfig(name="run", storage_path=folder, verbose=0))
    results = tuner.fit()
    print(results.num_terminated, results.num_errors)
"""


def test_driver_that_was_killed_is_restored_and_its_actors_are_gone(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    environment = {**os.environ, "RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    command = [sys.executable, str(script), str(tmp_path), "auto"]
    driver = subprocess.Popen([*command, "start"], env=environment)
    path = tmp_path / "run"
    wait_until(lambda: len(reports_in(path)) >= 4)
    driver.kill()
    driver.wait()
    before = reports_in(path)

    wait_until(lambda: not any(is_alive(event.metrics["pid"]) for event in before), 30)
    done = subprocess.run([*command, "restore"], env=environment, capture_output=True, text=True, timeout=100)

    assert done.stdout.split() == ["3", "0"], done.stderr
    resumed = [event for event in reports_in(path)[len(before) :] if event.attempt == 2]
    assert resumed[0].metrics["start"] > 0
    assert {event.trial: event.iteration for event in reports_in(path)} == {0: 6, 1: 6, 2: 6}


def reports_in(path: Path) -> list[ev.Reported]:
    try:
        return [event for event in journal.read(str(path)).events if type(event) is ev.Reported]
    except JournalError:
        return []


def wait_until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.1)


# --- what trials start themselves, and what is left of them -----------------------------------------------------------


def starts_a_task(config: dict[str, Any]) -> None:
    double = ray.remote(num_cpus=config["cpus"])(lambda x: 2 * x)
    tune.report({"loss": ray.get(double.remote(config["x"]))})


def test_a_task_with_no_room_of_its_own_is_told_at_once_and_one_with_a_bundle_runs(tmp_path: Path) -> None:
    def run(trainable: Any, name: str, cpus: float) -> Any:
        return tune.Tuner(
            trainable,
            param_space={"x": tune.grid_search([1, 2]), "cpus": cpus},
            tune_config=tune.TuneConfig(metric="loss", mode="min"),
            run_config=tune.RunConfig(name=name, storage_path=str(tmp_path), verbose=0),
        ).fit()

    refused = run(starts_a_task, "refused", 1)
    bundles = tune.PlacementGroupFactory([{"CPU": 1}, {"CPU": 1}])
    placed = run(tune.with_resources(starts_a_task, bundles), "placed", 1)
    free = run(starts_a_task, "free", 0)

    assert all("PlacementGroupFactory" in str(error) for error in refused.errors) and refused.num_errors == 2
    for results in (placed, free):
        assert sorted(r.metrics["loss"] for r in results) == [2, 4]


class Notes(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        self.log = Path(config["log"])
        self.note("up")

    def note(self, what: str) -> None:
        with self.log.open("a") as file:
            file.write(f"{what}\n")

    def step(self) -> dict[str, Any]:
        return {"loss": 1.0}

    def cleanup(self) -> None:
        self.note("down")


@pytest.mark.parametrize("reuse", [True, False])
def test_every_object_is_cleaned_up_whether_its_actor_is_kept_or_not(tmp_path: Path, reuse: bool) -> None:
    log = tmp_path / "log"
    tune.Tuner(
        Notes,
        param_space={"x": tune.grid_search([1, 2, 3]), "log": str(log)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", reuse_actors=reuse),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, stop={"training_iteration": 1}),
    ).fit()

    wait_until(lambda: log.read_text().count("down") == log.read_text().count("up"), 30)


class NeverDone(Notes):
    """An object that is kept for the next trial; its cleanup waits for a file that nobody makes."""

    def reset_config(self, config: dict[str, Any]) -> bool:
        return True

    def cleanup(self) -> None:
        wait_until(lambda: self.log.with_name("gate").exists(), 20)
        self.note("down")


def test_cleanup_that_does_not_end_holds_up_neither_the_next_trial_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tune_core.executors.ray.pool.LEAVING_S", 0.5)
    monkeypatch.setattr("tune_core.executors.ray.executor._CLOSING_S", 0.5)
    log = tmp_path / "log"
    results = tune.Tuner(
        tune.with_resources(NeverDone, lambda config: {"cpu": config["cpus"]}),
        param_space={"cpus": tune.grid_search([2, 1]), "log": str(log)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, stop={"training_iteration": 1}),
    ).fit()

    (tmp_path / "gate").touch()
    assert results.num_terminated == 2
    assert log.read_text().split() == ["up"] * 2


def crashes(config: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "weights").write_bytes(bytes(100_000))
        tune.report({"loss": 1.0}, checkpoint=tune.Checkpoint.from_directory(folder))
    wait_until(lambda: os.path.exists(config["gate"]))  # the driver has the report
    os._exit(1)


def test_folder_of_an_actor_that_crashed_is_removed_and_not_while_the_actor_lives(tmp_path: Path) -> None:
    gate, temporary = tmp_path / "gate", tmp_path / "tmp"
    temporary.mkdir()
    there: list[bool] = []

    class Looks(tune.Callback):
        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
            there.append(len(list(temporary.iterdir())) >= 1)
            gate.touch()

    results = tune.Tuner(
        crashes,
        param_space={"gate": str(gate)},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path),
            verbose=0,
            callbacks=[Looks()],
            executor=RayExecutor(shared_storage=False, runtime_env={"env_vars": {"TMPDIR": str(temporary)}}),
        ),
    ).fit()

    assert results.num_errors == 1 and there == [True]
    wait_until(lambda: not list(temporary.iterdir()), 30)


# --- code that travels where Ray was joined before --------------------------------------------------------------------


def uses_a_module(config: dict[str, Any]) -> dict[str, Any]:
    import only_in_that_folder

    return {"loss": only_in_that_folder.LOSS, "from": os.path.dirname(only_in_that_folder.__file__)}


@pytest.mark.parametrize("how", ["working_dir", "py_modules"])
def test_code_travels_though_ray_was_joined_before(tmp_path: Path, how: str) -> None:
    module = tmp_path / "code" / "only_in_that_folder.py"
    module.parent.mkdir()
    module.write_text("LOSS = 0.25\n")
    runtime_env = {how: str(module.parent) if how == "working_dir" else [str(module)]}
    results = sweep(tmp_path, uses_a_module, executor=RayExecutor(runtime_env=runtime_env), num_samples=1)

    assert [result.metrics["loss"] for result in results] == [0.25], results.errors
    assert not results[0].metrics["from"].startswith(str(tmp_path))
