"""A small classifier for Lightning's tests, in a file of its own so that spawned processes can import it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore", module="pytorch_lightning|lightning")

X = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
Y = (X.sum(dim=1) > 0).long()
BATCHES = 4


def make_net_class(pl: Any) -> Any:
    """The same module for either of Lightning's names."""

    class Net(pl.LightningModule):  # type: ignore[misc]
        def __init__(self, lr: float = 0.01, gamma: float = 1.0) -> None:
            super().__init__()
            self.save_hyperparameters()
            torch.manual_seed(0)
            self.layers = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))

        def _loss(self, batch: Any) -> Any:
            return torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = self._loss(batch)
            self.log("train_loss", loss, on_step=True, on_epoch=True, batch_size=len(batch[1]))
            return loss

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val_loss", self._loss(batch), sync_dist=True, batch_size=len(batch[1]))

        def on_train_epoch_end(self) -> None:
            self.log("epoch_now", float(self.current_epoch))

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=self.hparams["lr"], momentum=0.9)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, self.hparams["gamma"])]

    Net.__qualname__ = "Net"
    return Net


import pytorch_lightning

Net = make_net_class(pytorch_lightning)


def loader() -> Any:
    return DataLoader(TensorDataset(X, Y), batch_size=len(X) // BATCHES)


def trainer(*callbacks: Any, pl: Any = pytorch_lightning, **how: Any) -> Any:
    arguments = {
        "max_epochs": 3,
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "log_every_n_steps": 1,
    }
    return pl.Trainer(callbacks=list(callbacks), **{**arguments, **how})


class BreakOff(pytorch_lightning.Callback):  # type: ignore[misc]
    """Breaks the training off after an epoch, the first time."""

    def __init__(self, flag: Path, after: int) -> None:
        self.flag, self.after = flag, after

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == self.after and not self.flag.exists():
            self.flag.touch()
            raise RuntimeError("broken off")


class Counts(pytorch_lightning.Callback):  # type: ignore[misc]
    """Counts epochs and ends, and writes them down where every process can read them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.epochs = 0

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.epochs += 1

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        (self.folder / f"ended_{trainer.global_rank}").write_text(str(self.epochs))
