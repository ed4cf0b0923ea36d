"""Lightning training in two processes inside a trial: results, stops and checkpoints are those of all ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pytorch_lightning")

import torch

from integrations.runs import run, stop_at
from integrations.tune_lightning.net import BreakOff, Counts, Net, loader, trainer
from tune_lightning import TuneReportCheckpointCallback, get_model, resume

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]


def train(*callbacks: Any, strategy: str = "ddp_fork", epochs: int = 3) -> None:
    torch.set_num_threads(1)
    own = trainer(*callbacks, strategy=strategy, devices=2, max_epochs=epochs)
    own.fit(Net(), loader(), loader(), **resume())


def test_spawned_processes_report_save_and_stop_alike_in_a_worker(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        callback = TuneReportCheckpointCallback(["val_loss", "epoch_now"], frequency=0)
        train(callback, Counts(tmp_path), strategy="ddp_spawn", epochs=50)

    result = run(objective, tmp_path, executor="local", metric="val_loss", scheduler=stop_at(2), resources={"cpu": 2})
    assert result.error is None
    assert result.metrics["training_iteration"] == 2
    assert result.metrics["epoch_now"] == 1
    assert {(tmp_path / f"ended_{rank}").read_text() for rank in (0, 1)} == {"2"}
    assert Path(result.checkpoint.path).name == "checkpoint_000002"
    assert isinstance(get_model(result.checkpoint, Net), Net)


def test_forked_processes_report_save_and_stop_alike(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        train(TuneReportCheckpointCallback(), Counts(tmp_path), epochs=50)

    result = run(objective, tmp_path, scheduler=stop_at(2))
    assert result.error is None
    assert result.metrics["training_iteration"] == 2
    assert {(tmp_path / f"ended_{rank}").read_text() for rank in (0, 1)} == {"2"}
    assert len(result.best_checkpoints) == 2


def test_training_in_two_processes_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    def objective(config: dict[str, Any]) -> None:
        train(TuneReportCheckpointCallback(), BreakOff(tmp_path / "broken", 2), Counts(tmp_path), epochs=4)

    result = run(objective, tmp_path, max_failures=1)
    assert result.metrics["training_iteration"] == 4
    assert (tmp_path / "ended_0").read_text() == "2"  # epochs since it went on


def test_metric_that_is_not_there_is_named_by_the_other_process(tmp_path: Path) -> None:
    result = run(lambda config: train(TuneReportCheckpointCallback("val_acc")), tmp_path)
    assert "names 'val_acc', and the training has" in str(result.error)
