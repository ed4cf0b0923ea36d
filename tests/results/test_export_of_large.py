"""Every report of a large experiment is written a trial at a time, to the same text as that of a small one."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.results import export


def objective(config: dict[str, Any]) -> None:
    for step in range(config["steps"]):
        tune.report({"loss": config["x"], "nested": {"a": [step, "two\nlines"]}, "none": float("nan")})


def experiment(folder: Path, steps: int) -> str:
    run_config = tune.RunConfig(storage_path=str(folder), name=f"steps{steps}", verbose=0, executor="inline")
    tune_config = tune.TuneConfig(num_samples=20, seed=1)
    space = {"x": tune.uniform(0, 1), "steps": steps}
    grid = tune.Tuner(objective, param_space=space, tune_config=tune_config, run_config=run_config).fit()
    return str(grid.experiment_path)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_same_text_as_that_of_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    place = experiment(tmp_path, 3)
    texts = []
    for least in (1 << 40, 0):
        monkeypatch.setattr(export, "LEAST_BYTES", least)
        file = tmp_path / f"{least}.{kind}"
        assert export.export(place, kind, str(file), every_report=True) == 60
        texts.append(file.read_text())
    assert texts[0] == texts[1]


def test_memory_is_not_that_of_all_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def peak(place: str, least: int) -> int:
        monkeypatch.setattr(export, "LEAST_BYTES", least)
        tracemalloc.start()
        try:
            export.export(place, "json", str(tmp_path / "out"), every_report=True)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(experiment(tmp_path, 3), 0)  # what is imported then is not counted again
    place = experiment(tmp_path, 150)
    assert peak(place, 0) < 0.5 * peak(place, 1 << 40)
