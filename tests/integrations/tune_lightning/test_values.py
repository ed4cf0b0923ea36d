"""A result reports the value of the module in the checkpoint that it names, with early stopping and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")

import torch
from pytorch_lightning.callbacks import EarlyStopping

from integrations.runs import run, stop_at
from integrations.tune_lightning.net import Net, loader, trainer
from tune_lightning import TuneReportCheckpointCallback, get_model

EPOCHS = 6


def value_of(module: Any) -> float:
    """The validation's loss, by no means of Lightning's."""
    with torch.no_grad():
        return float(torch.stack([module._loss(batch) for batch in loader()]).mean())


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("frequency", [0, 1])
@pytest.mark.parametrize("order", ["alone", "before", "after"])
@pytest.mark.parametrize("on", [None, "validation_end", "amid epochs"])
def test_reported_value_is_that_of_the_checkpoints_module(
    tmp_path: Path, on: str | None, order: str, frequency: int, stopped: bool
) -> None:
    trained: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        how: dict[str, Any] = {"val_check_interval": 0.5} if on == "amid epochs" else {}
        ours = TuneReportCheckpointCallback(
            {"loss": "val_loss"}, frequency=frequency, on=None if on == "amid epochs" else on
        )
        stop = EarlyStopping("val_loss", patience=2)
        callbacks = {"alone": [ours], "before": [stop, ours], "after": [ours, stop]}[order]
        trained.append(trainer(*callbacks, max_epochs=EPOCHS, **how))
        trained[0].fit(Net(lr=3.0), loader(), loader())  # gets worse after its best epoch

    result = run(objective, tmp_path, scheduler=stop_at(3) if stopped else None)

    assert result.checkpoint is not None
    if order != "alone" and not stopped:
        assert trained[0].current_epoch < EPOCHS  # the user's early stopping has acted
    for checkpoint, metrics in result.best_checkpoints:
        again = value_of(get_model(checkpoint, Net))
        assert again == pytest.approx(metrics["loss"], rel=1e-5), metrics["training_iteration"]
