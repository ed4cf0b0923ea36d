"""A trial that cannot go on from a checkpoint goes on from the one before, and ``explain`` says why."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.cli.main import main


def objective(config: dict[str, Any]) -> None:
    """Counts to 6; what it saves at step 3 is garbled, and ``attempts`` keeps where each attempt began."""
    start, checkpoint = 0, tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            text = Path(folder, "state.json").read_text()
            with Path(config["attempts"]).open("a") as file:
                file.write(text + "\n")
            start = json.loads(text)["step"]
    for step in range(start + 1, 7):
        if step == 4 and start != 2:
            raise RuntimeError("the machine had a fault")
        with tempfile.TemporaryDirectory() as folder:
            garbled = step == 3 and start == 0
            Path(folder, "state.json").write_text('{"step"?3}' if garbled else json.dumps({"step": step}))
            tune.report({"loss": 10 - step}, checkpoint=tune.Checkpoint.from_directory(folder))


def search(folder: Path, max_failures: int, **checkpoints: Any) -> tune.ResultGrid:
    return tune.Tuner(
        objective,
        param_space={"attempts": str(folder / "attempts")},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=tune.RunConfig(
            name="run",
            storage_path=str(folder),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=max_failures),
            checkpoint_config=tune.CheckpointConfig(**checkpoints),
        ),
    ).fit()


def test_whole_checkpoint_that_a_function_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = search(tmp_path, 3)
    assert results.num_errors == 0
    assert results[0].metrics["loss"] == 4 and results[0].metrics["training_iteration"] == 6
    begun = (tmp_path / "attempts").read_text().splitlines()
    assert begun == ['{"step"?3}', '{"step"?3}', '{"step": 2}']
    assert main(["explain", str(tmp_path / "run"), "0"]) == 0
    said = capsys.readouterr().out
    assert "lost checkpoint_000003: it was gone on from 2 times" in said
    assert "goes on from checkpoint_000002" in said


def test_retries_that_do_not_reach_the_one_before_fail_the_trial(tmp_path: Path) -> None:
    results = search(tmp_path, 2)
    assert results.num_errors == 1
    assert "JSONDecodeError" in str(results.errors[0])
    assert results[0].metrics["loss"] == 7  # what was reported stays


def test_no_other_checkpoint_means_a_fresh_start(tmp_path: Path) -> None:
    results = search(tmp_path, 4, num_to_keep=1)
    begun = (tmp_path / "attempts").read_text().splitlines()
    assert begun == ['{"step"?3}'] * 3  # twice; then, after a fresh start that saved the same, once
    assert results.num_errors == 1
