"""A folder that the real Ray Tune wrote, opened here: best result, data frames and checkpoints are Ray Tune's own."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path
from typing import Any

import pytest

import tune_core
from tune_core.errors import RestoreError, TuneError

from .conftest import RAYS, Api


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("cluster")
def test_folder_of_ray_tune_reads_as_ray_tune_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    api = Api(RAYS, tmp_path)
    tune = api.tune

    def objective(config: dict[str, Any]) -> None:
        for step in range(3):
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "step").write_text(str(step))
                metrics = {"loss": config["x"] * 10 + step, "deep": {"acc": step}}
                tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))
        if config["x"] == 2:
            raise ValueError("two is refused")

    theirs = api.fit(
        objective,
        {"x": tune.grid_search([3, 1, 2]), "c": {"k": 7}},
        metric="loss",
        mode="min",
        checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
    )
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, None)
    ours = tune_core.ResultGrid.from_path(theirs.experiment_path)
    best, expected = ours.get_best_result("loss", "min"), theirs.get_best_result()
    assert (best.path, best.config) == (expected.path, expected.config)
    assert best.metrics == expected.metrics
    assert [(c.path, m["loss"]) for c, m in best.best_checkpoints] == [
        (c.path, m["loss"]) for c, m in expected.best_checkpoints
    ]
    assert best.checkpoint.path == expected.checkpoint.path
    assert len(ours) == 3 and ours.num_errors == 1 and "two is refused" in str(ours.errors[0])
    table, wanted = ours.get_dataframe(), theirs.get_dataframe()
    for column in wanted.columns:
        if column not in ("logdir", "done"):  # there the trial's id, and false also of trials that have ended
            assert list(table[column]) == list(wanted[column]), column
    frame, wanted = best.metrics_dataframe, expected.metrics_dataframe
    assert set(wanted.columns) <= set(frame.columns)
    assert list(frame["deep/acc"]) == list(wanted["deep/acc"]) == [0, 1, 2]
    analysis = tune_core.ExperimentAnalysis(theirs.experiment_path, default_metric="loss", default_mode="min")
    assert analysis.best_config == {"x": 1, "c": {"k": 7}}
    assert tune_core.Result.from_path(expected.path).metrics["loss"] == 12


def test_folder_of_another_kind_is_no_experiment(tmp_path: Path) -> None:
    (tmp_path / "experiment_state-2026.json").write_text("{}")
    with pytest.raises(TuneError, match="cannot be read"):
        tune_core.ResultGrid.from_path(tmp_path)
    assert not tune_core.Tuner.can_restore(tmp_path)
    with pytest.raises((RestoreError, TuneError)):
        tune_core.Tuner.restore(str(tmp_path), lambda config: None)
