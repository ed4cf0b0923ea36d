"""Processes that a trial starts report for it, once it shares its session."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from integrations.runs import run, stop_at

import tune_core as tune
from tune_core.trainable import session


def steps(count: int, results: Any = None) -> None:
    """Runs in a child process: reports ``count`` times."""
    for step in range(count):
        if not tune.report({"step": step, "rank": os.getpid()}, raise_on_stop=False):
            break
    if results is not None:
        results.put((step, session.in_session(), tune.get_context().get_trial_id()))


def in_child(method: str, target: Any, *args: Any) -> None:
    child = multiprocessing.get_context(method).Process(target=target, args=args)
    child.start()
    child.join()
    assert child.exitcode == 0


def shares_and_steps(config: dict[str, Any]) -> None:
    session.share()
    in_child(config["method"], steps, 5)


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_child_process_reports_for_its_trial(tmp_path: Path, method: str) -> None:
    result = run(shares_and_steps, tmp_path, {"method": method}, executor="local", metric="step")
    assert result.metrics["training_iteration"] == 5
    assert result.metrics["step"] == 4
    assert result.metrics["rank"] != os.getpid()


def test_verdict_reaches_the_child_process(tmp_path: Path) -> None:
    seen: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        session.share()
        results = multiprocessing.get_context("spawn").SimpleQueue()
        in_child("spawn", steps, 50, results)
        seen.append(results.get())

    result = run(objective, tmp_path, scheduler=stop_at(3))
    assert result.metrics["training_iteration"] == 3
    assert seen == [(2, True, "00000")]


def saves(folder: str) -> None:
    Path(folder, "step.txt").write_text("1")
    tune.report({"step": 1}, checkpoint=tune.Checkpoint.from_directory(folder))
    found = tune.get_checkpoint()
    assert found is None or Path(found.path, "step.txt").read_text() == "1"
    if found is None:
        os._exit(1)


def test_child_process_saves_and_finds_checkpoints(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        session.share()
        folder = tmp_path / "made"
        folder.mkdir(exist_ok=True)
        in_child("spawn", saves, str(folder))

    result = run(objective, tmp_path, max_failures=1)
    assert Path(result.checkpoint.path, "step.txt").read_text() == "1"


def test_other_program_reports_for_the_trial_that_starts_it(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        session.share()
        code = f"import sys; sys.path[:] = {sys.path!r}; import tune_core; tune_core.report({{'step': 7}})"
        subprocess.run([sys.executable, "-c", code], check=True)

    assert run(objective, tmp_path).metrics["step"] == 7


def wrong(expected: str) -> None:
    with pytest.raises(tune.TuneError, match=expected):
        tune.report({"loss": 1.0, "log": "x" * 1_000_001})


def test_error_of_a_report_is_raised_in_the_child_process(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        session.share()
        in_child("spawn", wrong, "log")
        in_child("spawn", wrong, "log")
        raise RuntimeError("as the framework would, when its child has failed")

    assert "as the framework would" in str(run(objective, tmp_path).error)


def test_forked_process_says_how_to_share(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        in_child("fork", wrong, r"session\.share\(\)")
        tune.report({"step": 0})

    # in a worker, where nobody has imported tune_lightning, which shares before a fork
    assert run(objective, tmp_path, executor="local").metrics["step"] == 0


def test_nothing_is_left_when_the_trial_has_ended(tmp_path: Path) -> None:
    shared: list[str] = []

    def objective(config: dict[str, Any]) -> None:
        session.share()
        session.share()
        shared.append(os.environ[session.SHARED])

    run(objective, tmp_path)
    assert session.SHARED not in os.environ
    assert not Path(shared[0].rpartition("|")[0]).parent.exists()
    assert not session.in_session()


def test_process_that_outlives_its_trial_is_outside_of_any(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(session.SHARED, f"{tmp_path}/gone|00")
    assert not session.in_session()
    assert tune.report({"x": 1})
    session.share()
