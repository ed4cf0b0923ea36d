"""A damaged folder of Ray Tune: what can be read is, and what is left out is logged."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from tune_core import ResultGrid


def write_folder(folder: Path, lines: list[str], parameters: str = '{"x": 1}') -> Path:
    trial = {"trial_id": "t_0", "relative_logdir": "t_0", "status": "TERMINATED", "config": {"x": 5}}
    state = {"trial_data": [[json.dumps(trial), "{}"]], "stats": {"start_time": 1e9}}
    (folder / "t_0").mkdir(parents=True)
    (folder / "experiment_state-2026-01-01_00-00-00.json").write_text(json.dumps(state))
    (folder / "t_0" / "params.json").write_text(parameters)
    (folder / "t_0" / "result.json").write_text("".join(lines))
    return folder


def result(iteration: int) -> str:
    return json.dumps({"loss": 10 - iteration, "training_iteration": iteration, "timestamp": 1e9 + iteration}) + "\n"


def test_results_behind_a_damaged_line_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_folder(tmp_path / "run", [result(1), "{broken\n", result(3)])
    with caplog.at_level(logging.WARNING, "tune_core"):
        grid = ResultGrid.from_path(str(folder))
    assert grid[0].metrics["training_iteration"] == 3
    assert "Line 2 of" in caplog.text


def test_a_torn_last_line_is_left_out_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_folder(tmp_path / "run", [result(1), result(2)[:9]])
    with caplog.at_level(logging.WARNING, "tune_core"):
        grid = ResultGrid.from_path(str(folder))
    assert grid[0].metrics["training_iteration"] == 1
    assert not caplog.records


def test_damaged_parameters_are_taken_from_the_state_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_folder(tmp_path / "run", [result(1)], parameters="{")
    with caplog.at_level(logging.WARNING, "tune_core"):
        grid = ResultGrid.from_path(str(folder))
    assert grid[0].config == {"x": 5}
    assert "params.json cannot be read" in caplog.text
