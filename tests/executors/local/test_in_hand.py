"""Workers have very short trials in hand: each runs once, whatever becomes of the one before it."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.core import events as ev
from tune_core.executors.local import hand
from tune_core.journal.reader import read

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only Linux has sockets of that kind")
TRIALS = 60


@pytest.fixture(autouse=True)
def trials_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials are taken for very short ones, however busy the machine is."""
    monkeypatch.setattr(hand, "AHEAD_S", 1000.0)


def run(objective: Any, folder: Path, cpus: int = 1, samples: int = TRIALS, run: Any = None, **tuning: Any) -> Any:
    return tune.Tuner(
        objective,
        param_space={"n": tune.uniform(0, 1), "folder": str(folder), **tuning.pop("space", {})},
        tune_config=tune.TuneConfig(num_samples=samples, metric="loss", mode="min", **tuning),
        run_config=tune.RunConfig(
            name="run",
            storage_path=str(folder),
            verbose=0,
            executor=tune.LocalExecutor(num_cpus=cpus),
            **(run or {}),
        ),
    ).fit()


def events(folder: Path) -> list[Any]:
    return read(str(folder / "run")).events


def most_in_hand(folder: Path) -> int:
    """How many trials were launched and had not ended, at most."""
    at_once = most = 0
    for event in events(folder):
        at_once += (type(event) is ev.Launched) - (type(event) is ev.Ended)
        most = max(most, at_once)
    return most


def log(config: dict[str, Any]) -> None:
    """Note outside that the trial runs."""
    with open(Path(config["folder"], "log"), "a") as file:
        file.write(f"{tune.get_trial_id()}\n")


def ran(folder: Path) -> list[int]:
    return sorted(map(int, (folder / "log").read_text().split()))


def test_each_trial_runs_once_and_in_order_on_one_worker(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        log(config)
        return {"loss": config["n"], "id": tune.get_trial_id()}

    results = run(objective, tmp_path)

    assert most_in_hand(tmp_path) > 5
    assert (tmp_path / "log").read_text().split() == [f"{number:05d}" for number in range(TRIALS)]
    assert [result.metrics["id"] for result in results] == [f"{number:05d}" for number in range(TRIALS)]
    assert [result.metrics["loss"] for result in results] == [result.config["n"] for result in results]


def wait_asleep(marker: Path) -> None:
    while not marker.exists():
        time.sleep(0.01)


def wait_with_the_interpreter_locked(marker: Path) -> None:
    usleep = ctypes.PyDLL(None).usleep
    while not marker.exists():
        usleep(300_000)


@pytest.mark.parametrize("wait", [wait_asleep, wait_with_the_interpreter_locked])
def test_trials_behind_a_long_one_run_elsewhere(tmp_path: Path, wait: Any) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        log(config)
        number = int(tune.get_trial_id())
        if number == 10:
            wait(Path(config["folder"], "marker"))
        elif number == TRIALS - 1:
            Path(config["folder"], "marker").touch()
        return {"loss": config["n"]}

    results = run(objective, tmp_path, cpus=2)

    assert ran(tmp_path) == list(range(TRIALS))
    assert not results.errors and len(results) == TRIALS and most_in_hand(tmp_path) > 5


def test_a_crash_is_that_of_one_trial_and_shows_what_that_one_printed(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        number = int(tune.get_trial_id())
        print(f"this is {number}, which says " + "a lot " * (1 + 300 * ((number + 1) % 3)), flush=True)
        log(config)
        if number in (20, 41):  # that say little, so that their tails hold all of it
            os.abort()
        return {"loss": config["n"]}

    results = run(objective, tmp_path)

    assert ran(tmp_path) == list(range(TRIALS))
    failed = [number for number, result in enumerate(results) if result.error is not None]
    assert failed == [20, 41]
    for number in failed:
        said = str(results[number].error)
        assert f"this is {number}," in said and f"this is {number - 1}," not in said
    returned = [event for event in events(tmp_path) if type(event) is ev.Ended and event.how == "returned"]
    assert any("whose worker is gone" in event.why for event in returned)
    for number, result in enumerate(results):
        assert Path(result.path, "output.log").read_text().startswith(f"this is {number},")


def test_trials_in_hand_do_not_begin_when_a_failure_ends_the_run(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        log(config)
        if int(tune.get_trial_id()) == 10:
            raise ValueError("enough")
        time.sleep(0.02)
        return {"loss": config["n"]}

    results = run(objective, tmp_path, run={"failure_config": tune.FailureConfig(fail_fast=True)})

    begun = ran(tmp_path)
    assert most_in_hand(tmp_path) > 2 and len(begun) < TRIALS - 20 and begun == list(range(len(begun)))
    assert len(results.errors) == 1

    def objective_again(config: dict[str, Any]) -> dict[str, Any]:
        log(config)
        return {"loss": 0.0}

    objective_again.__name__ = "objective"
    restored = tune.Tuner.restore(str(tmp_path / "run"), objective_again).fit()
    assert len(restored) == TRIALS and set(ran(tmp_path)) == set(range(TRIALS))


def test_trials_too_large_to_be_sent_ahead_run_all_the_same(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> dict[str, Any]:
        log(config)
        return {"loss": len(config["large"])}

    large = tune.sample_from(lambda spec: "x" * (100_000 if spec.config["n"] < 0.3 else 10))
    results = run(objective, tmp_path, cpus=2, seed=1, space={"large": large})

    assert ran(tmp_path) == list(range(TRIALS))
    assert [result.metrics["loss"] for result in results] == [len(result.config["large"]) for result in results]
    assert {result.metrics["loss"] for result in results} == {10, 100_000}


def test_an_objective_that_cannot_be_loaded_ends_the_run(tmp_path: Path) -> None:
    class Unloadable:
        def __reduce__(self) -> Any:
            return int, ("no number",)

    bound = Unloadable()
    with pytest.raises(tune.TuneError, match="could not be loaded"):
        run(lambda config: {"loss": bound}, tmp_path, samples=8)


@pytest.mark.parametrize(
    "settings",
    [
        {"trial_timeout_s": 100},
        {"reuse_actors": False},
        {"max_concurrent_trials": 1},
        {"scheduler": tune.schedulers.ASHAScheduler()},
        {"search_alg": "auto"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_none_is_sent_ahead_where_that_could_change_anything(tmp_path: Path, settings: dict[str, Any]) -> None:
    results = run(lambda config: {"loss": config["n"]}, tmp_path, samples=20, **settings)

    assert len(results) == 20 and not results.errors and most_in_hand(tmp_path) == 1
