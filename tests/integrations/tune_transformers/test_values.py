"""A result reports the value of the model in the checkpoint that it names, with early stopping and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import torch

from integrations.runs import run, stop_at
from integrations.tune_transformers.test_transformers import DATA, Net, trainer
from tune_transformers import TuneReportCheckpointCallback, get_folder

EPOCHS = 6


def value_of(checkpoint: Any) -> float:
    """The evaluation's loss, by no means of the Trainer's."""
    from safetensors.torch import load_file

    net = Net()
    net.load_state_dict(load_file(Path(get_folder(checkpoint), "model.safetensors")))
    with torch.no_grad():
        x = torch.stack([row["x"] for row in DATA[:32]])
        labels = torch.stack([row["labels"] for row in DATA[:32]])
        return float(net(x, labels)["loss"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("frequency", [0, 1])
@pytest.mark.parametrize("order", ["alone", "before", "after"])
def test_reported_value_is_that_of_the_checkpoints_model(
    tmp_path: Path, order: str, frequency: int, stopped: bool
) -> None:
    trainers: list[Any] = []

    def objective(config: dict[str, Any]) -> None:
        ours = TuneReportCheckpointCallback({"loss": "eval_loss"}, frequency=frequency)
        stop = transformers.EarlyStoppingCallback(2)
        callbacks = {"alone": [ours], "before": [stop, ours], "after": [ours, stop]}[order]
        how: dict[str, Any] = {"epochs": EPOCHS, "lr": 0.7}  # gets worse after its best epoch
        if order != "alone":
            how.update(save_strategy="epoch", load_best_model_at_end=True, metric_for_best_model="loss")
        trainers.append(trainer(tmp_path / "out", *callbacks, **how))
        trainers[0].train()

    result = run(objective, tmp_path, scheduler=stop_at(3) if stopped else None)

    assert result.checkpoint is not None
    if order != "alone" and not stopped:
        assert trainers[0].state.epoch < EPOCHS  # the user's early stopping has acted
    for checkpoint, metrics in result.best_checkpoints:
        assert value_of(checkpoint) == pytest.approx(metrics["loss"], rel=1e-5), metrics["training_iteration"]
