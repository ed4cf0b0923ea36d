"""Results stay those of their own run when a later one takes its name, or its folder goes another way."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.errors import NoExperimentError


def objective(config: dict[str, Any]) -> None:
    for step in range(3):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "model").write_text(f"of {config['x']}")
            tune.report({"loss": config["x"] + step}, checkpoint=tune.Checkpoint.from_directory(folder))


def run(storage: Any, x: int, name: str = "same") -> tune.ResultGrid:
    return tune.Tuner(
        objective,
        param_space={"x": x},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=tune.RunConfig(name=name, storage_path=str(storage), verbose=0, executor="inline"),
    ).fit()


def facts(grid: tune.ResultGrid) -> dict[str, Any]:
    result = grid.get_best_result()
    return {
        "config": result.config,
        "metrics": result.metrics["loss"],
        "checkpoint": model(result),
        "frame": result.metrics_dataframe["loss"].tolist(),
        "kept": [metrics["loss"] for _, metrics in result.best_checkpoints],
        "largest": grid.get_best_result(scope="max").metrics["loss"],
        "table": grid.get_dataframe(filter_metric="loss", filter_mode="max")["config/x"].tolist(),
        "explained": "trial 00000" in result.explain().lower(),
    }


def model(result: tune.Result) -> str:
    assert result.checkpoint is not None
    with result.checkpoint.as_directory() as folder:
        return Path(folder, "model").read_text()


@pytest.mark.parametrize("way", ["fit", "from_path", "pickled", "read before"])
def test_results_are_those_of_their_own_run(tmp_path: Path, way: str) -> None:
    pytest.importorskip("pandas")
    first = run(tmp_path, 1)
    if way == "from_path":
        first = tune.ResultGrid.from_path(str(tmp_path / "same"))
    before = facts(first) if way == "read before" else None
    second, third = run(tmp_path, 100), run(tmp_path, 10)
    if way == "pickled":
        first = pickle.loads(pickle.dumps(first))
    expected = {"config": {"x": 1}, "metrics": 3, "checkpoint": "of 1", "frame": [1, 2, 3], "table": [1]}
    found = facts(first)
    assert expected.items() <= found.items() and before in (None, found)
    assert Path(first.experiment_path).name.startswith("same_") and first[0].path.startswith(first.experiment_path)
    assert facts(second)["frame"] == [100, 101, 102] and facts(third)["checkpoint"] == "of 10"
    assert Path(third.experiment_path) == tmp_path / "same"


def test_results_are_found_where_another_process_has_moved_them(tmp_path: Path) -> None:
    first = run(tmp_path, 1)
    os.rename(tmp_path / "same", tmp_path / "same_of_yesterday")
    run(tmp_path, 100)
    assert model(first[0]) == "of 1"


def test_results_whose_experiment_is_gone_are_not_those_of_another(tmp_path: Path) -> None:
    first = run(tmp_path, 1)
    shutil.rmtree(tmp_path / "same")
    run(tmp_path, 100)
    assert first[0].config == {"x": 1} and first[0].metrics["loss"] == 3  # what is known stays so
    for read in (lambda: first[0].checkpoint, lambda: first.experiment_path, lambda: first[0].explain()):
        with pytest.raises(NoExperimentError, match="another one has its name"):
            read()


def test_analysis_keeps_to_its_run(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    kept = [
        tune.run(
            objective, config={"x": x}, metric="loss", mode="min", name="same", storage_path=str(tmp_path), verbose=0
        )
        for x in (1, 100)
    ]
    for x, analysis in zip((1, 100), kept):
        assert analysis.best_config == {"x": x} and analysis.best_dataframe["loss"].tolist() == [x, x + 1, x + 2]
        assert analysis.get_best_config("loss", "max", scope="all") == {"x": x}
        assert [frame["loss"].tolist() for frame in analysis.trial_dataframes.values()] == [[x, x + 1, x + 2]]


def test_a_restored_run_is_the_same_one(tmp_path: Path) -> None:
    first = run(tmp_path, 1)
    again = tune.Tuner.restore(str(tmp_path / "same"), objective).fit()
    assert model(first[0]) == model(again[0]) == "of 1" and first.experiment_path == again.experiment_path


def test_results_in_a_store_go_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "cache"))
    pytest.importorskip("fsspec")
    first, second = run("memory://taken", 1), run("memory://taken", 100)
    assert model(first[0]) == "of 1" and model(second[0]) == "of 100"
    assert first.experiment_path.startswith("memory://taken/same_") and second.experiment_path == "memory://taken/same"
