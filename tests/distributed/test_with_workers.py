"""One trial, several processes: their environment, reports, checkpoints, faults and ends."""

from __future__ import annotations

import os
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
from tune_core.errors import InvalidArgumentError, ResourceError
from tune_core.schedulers import PopulationBasedTraining
from tune_core.testing.executors import is_alive

SMALL = {"cpu": 0.25}
NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "OMP_NUM_THREADS")


def rank() -> int:
    return int(os.environ["RANK"])


def search(
    train: Callable[..., Any], folder: Path, workers: int = 2, executor: str | None = None, **more: Any
) -> tune.ResultGrid:
    space = {"folder": str(folder), **more.pop("space", {})}
    failures = tune.FailureConfig(max_failures=more.pop("max_failures", 0))
    tune_config = tune.TuneConfig(metric="loss", mode="min", **more)
    run_config = tune.RunConfig(
        name="run", storage_path=str(folder), verbose=0, failure_config=failures, executor=executor
    )
    objective = tune.with_workers(train, workers, SMALL, end_grace_s=1.0)
    return tune.Tuner(objective, param_space=space, tune_config=tune_config, run_config=run_config).fit()


def note(config: dict[str, Any], text: str) -> None:
    """Leave word in a file of this rank's."""
    with Path(config["folder"], f"rank{rank()}").open("a") as file:
        file.write(f"{text}\n")


def noted(folder: Path, number: int) -> list[str]:
    file = folder / f"rank{number}"
    return file.read_text().splitlines() if file.exists() else []


def steps_from_checkpoint(steps: int) -> Any:
    """Yield the steps that are left, after a checkpoint if the trial goes on from one."""
    start, checkpoint = 0, tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            start = int(Path(folder, "step").read_text())
    yield from range(start + 1, steps + 1)


def report(loss: float, step: int) -> None:
    if rank() != 0:
        tune.report({})
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "step").write_text(str(step))
        tune.report({"loss": loss, "step": step}, checkpoint=tune.Checkpoint.from_directory(folder))


# --- what ranks see ---------------------------------------------------------------------------------------------------


def see(config: dict[str, Any]) -> dict[str, float] | None:
    context = tune.get_context()
    note(config, " ".join(os.environ[name] for name in NAMES))
    note(config, f"{context.get_world_rank()} {context.get_world_size()} {context.get_local_rank()} {os.getcwd()}")
    print("hello")
    return {"loss": 7.0} if rank() == 0 else None


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_ranks_have_the_environment_that_torchrun_gives(tmp_path: Path, executor: str) -> None:
    result = search(see, tmp_path, 3, executor)[0]
    assert result.metrics["loss"] == 7.0
    for number in range(3):
        environment, context = noted(tmp_path, number)
        assert environment == f"{number} 3 {number} 3 0 127.0.0.1 1"
        folder = result.path if executor == "local" else os.getcwd()
        assert context == f"{number} 3 {number} {folder}"
    if executor == "local":
        lines = Path(result.path, "output.log").read_text().splitlines()
        assert sorted(lines) == ["[rank 0] hello", "[rank 1] hello", "[rank 2] hello"]


def test_bound_parameters_get_to_every_rank(tmp_path: Path) -> None:
    def train(config: dict[str, Any], data: bytes) -> dict[str, int]:
        note(config, str(len(data)))
        return {"loss": len(data)}

    search(tune.with_parameters(train, data=b"x" * 200_000), tmp_path)
    assert noted(tmp_path, 0) == noted(tmp_path, 1) == ["200000"]


# --- reports ----------------------------------------------------------------------------------------------------------


def train_by_steps(config: dict[str, Any]) -> None:
    for step in steps_from_checkpoint(9):
        note(config, f"{tune.get_trial_id()} {step}")
        report(config["x"] * step if rank() == 0 else -1.0, step)


def test_result_is_rank_zeros_and_all_have_its_answers(tmp_path: Path) -> None:
    results = search(train_by_steps, tmp_path, space={"x": tune.grid_search([1, 2])})
    assert [(r.metrics["loss"], r.metrics["training_iteration"]) for r in results] == [(9, 9), (18, 9)]
    assert sorted(noted(tmp_path, 0)) == sorted(noted(tmp_path, 1))


def test_scheduler_stops_all_ranks_behind_the_same_step(tmp_path: Path) -> None:
    scheduler = tune.ASHAScheduler(max_t=9, grace_period=3, reduction_factor=3)
    space = {"x": tune.grid_search([1, 2, 3, 4])}
    results = search(train_by_steps, tmp_path, 3, space=space, scheduler=scheduler, max_concurrent_trials=1)
    reached = [r.metrics["training_iteration"] for r in results]
    assert min(reached) == 3 and max(reached) == 9
    expected = sorted(f"{n:05d} {step}" for n, last in enumerate(reached) for step in range(1, last + 1))
    for number in range(3):
        assert sorted(noted(tmp_path, number)) == expected


def test_exploited_trial_goes_on_from_the_checkpoint_in_all_ranks(tmp_path: Path) -> None:
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=3, hyperparam_mutations={"x": [1.0, 100.0]},
        quantile_fraction=0.5, resample_probability=0.0, synch=True,
    )  # fmt: skip
    results = search(train_by_steps, tmp_path, 2, space={"x": tune.grid_search([1.0, 100.0])}, scheduler=scheduler)
    assert results.num_errors == 0
    assert '"do":"exploit"' in Path(tmp_path, "run", "journal.jsonl").read_text()
    assert noted(tmp_path, 0) and sorted(noted(tmp_path, 0)) == sorted(noted(tmp_path, 1))
    assert all(r.metrics["step"] == 9 for r in results)


def test_only_rank_zero_needs_to_report(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        note(config, str(os.getpid()))
        for step in range(100):
            if rank() == 0:
                tune.report({"loss": step})
        time.sleep(0 if rank() == 0 else 600)

    began = time.monotonic()
    result = search(train, tmp_path)[0]
    assert result.error is None and result.metrics["loss"] == 99
    assert time.monotonic() - began < 60
    assert not any(is_alive(int(noted(tmp_path, number)[0])) for number in range(2))


def test_checkpoint_of_another_rank_is_refused(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tune.report({"loss": 1}, checkpoint=tune.Checkpoint.from_directory(folder))

    result = search(train, tmp_path)[0]
    assert "was given by rank 1" in str(result.error)


# --- faults -----------------------------------------------------------------------------------------------------------


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(config: dict[str, Any]) -> None:
    note(config, str(os.getpid()))
    tune.report({"loss": 1})
    if rank() == 1:
        {"raise": lambda: 1 / 0, "exit": lambda: sys.exit(3), "abort": os.abort, "kill": kill}[config["how"]]()
    time.sleep(600)  # as in a collective call that never comes back


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raise", "Rank 1 of 2 failed: .*ZeroDivisionError: division by zero"),
        ("exit", r"Rank 1 of 2 failed: it called sys.exit\(3\)"),
        ("abort", "Rank 1 of 2 was ended by SIGABRT"),
        ("kill", r"Rank 1 of 2 was ended by SIGKILL \(often: out of memory\)"),
    ],
)
def test_rank_that_fails_ends_the_trial_and_is_named(tmp_path: Path, how: str, said: str) -> None:
    result = search(fail, tmp_path, space={"how": how})[0]
    with pytest.raises(Exception, match=f"(?s){said}"):
        raise result.error
    assert result.metrics["loss"] == 1
    assert not any(is_alive(int(noted(tmp_path, number)[0])) for number in range(2))


def killed_once(config: dict[str, Any]) -> None:
    is_first = tune.get_checkpoint() is None
    for step in steps_from_checkpoint(6):
        note(config, str(step))
        report(1 / step, step)
        if step == 3 and is_first:
            if rank() == 1:
                kill()
            time.sleep(600)  # as in a collective call


def test_trial_goes_on_from_its_checkpoint_when_a_rank_was_killed(tmp_path: Path) -> None:
    result = search(killed_once, tmp_path, max_failures=1)[0]
    assert result.error is None
    assert result.metrics["training_iteration"] == 6 and result.metrics["step"] == 6
    assert noted(tmp_path, 0) == noted(tmp_path, 1) == ["1", "2", "3", "4", "5", "6"]


def test_ranks_die_with_their_driver(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time, pathlib\nimport tune_core as tune\n"
        "def train(config):\n"
        f"    pathlib.Path({str(tmp_path)!r}, 'pid' + os.environ['RANK']).write_text(str(os.getpid()))\n"
        "    time.sleep(600)\n"
        f"run_config = tune.RunConfig(storage_path={str(tmp_path)!r}, verbose=0)\n"
        "tune.Tuner(tune.with_workers(train, 2, {'cpu': 0.25}), run_config=run_config).fit()\n"
    )
    driver = subprocess.Popen([sys.executable, str(script)])
    files = [tmp_path / "pid0", tmp_path / "pid1"]
    deadline = time.monotonic() + 60
    while not all(file.exists() and file.read_text() for file in files):
        assert time.monotonic() < deadline and driver.poll() is None
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    while any(is_alive(int(file.read_text())) for file in files):
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"num_workers": 0}, InvalidArgumentError, "num_workers"),
        ({"num_workers": 2.0}, InvalidArgumentError, "num_workers"),
        ({"num_workers": True}, InvalidArgumentError, "num_workers"),
        ({"num_workers": 2, "end_grace_s": -1}, InvalidArgumentError, "end_grace_s"),
        ({"num_workers": 2, "resources_per_worker": {"gpu": 0.5}}, InvalidArgumentError, "whole GPUs"),
        ({"num_workers": 2, "resources_per_worker": {"cpu": -1}}, ResourceError, "resources_per_worker"),
        ({"num_workers": 2, "placement_strategy": "TIGHT"}, ResourceError, "strategy"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        tune.with_workers(see, **arguments)


def test_what_cannot_be_run_by_ranks() -> None:
    class Model(tune.Trainable):
        pass

    with pytest.raises(InvalidArgumentError, match="is the class Model"):
        tune.with_workers(Model, 2)
    with pytest.raises(InvalidArgumentError, match="has resources of its own"):
        tune.with_workers(tune.with_resources(see, {"cpu": 1}), 2)
    with pytest.raises(InvalidArgumentError, match="is see with several workers"):
        tune.with_resources(tune.with_workers(see, 2), {"cpu": 1})


def test_resources_are_those_of_all_workers() -> None:
    assert tune.with_workers(see, 3, {"cpu": 2, "gpu": 1}).resources.total() == {"cpu": 6, "gpu": 3}
