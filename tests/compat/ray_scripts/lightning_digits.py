"""Lightning with the callback that reports at the end of each validation."""

import lightning.pytorch as pl
import torch
from ray import tune
from ray.tune.integration.pytorch_lightning import TuneReportCallback, TuneReportCheckpointCallback
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Digits(pl.LightningModule):
    def __init__(self, config):
        super().__init__()
        self.lr = config["lr"]
        self.net = nn.Linear(64, 10)

    def training_step(self, batch, index):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, index):
        out = self.net(batch[0])
        self.log("ptl/val_loss", nn.functional.cross_entropy(out, batch[1]))
        self.log("ptl/val_accuracy", (out.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def train_fn(config, callback=TuneReportCallback):
    X, y = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y))
    reports = callback({"loss": "ptl/val_loss", "acc": "ptl/val_accuracy"}, on="validation_end")
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        enable_progress_bar=False,
        logger=False,
        enable_checkpointing=False,
        callbacks=[reports],
    )
    trainer.fit(Digits(config), DataLoader(data, batch_size=64), DataLoader(data, batch_size=256))


if __name__ == "__main__":
    for callback in (TuneReportCallback, TuneReportCheckpointCallback):
        results = tune.Tuner(
            tune.with_parameters(train_fn, callback=callback),
            param_space={"lr": tune.grid_search([1e-5, 1e-2])},
            tune_config=tune.TuneConfig(metric="loss", mode="min"),
        ).fit()
        assert not results.errors, results.errors
        best = results.get_best_result()
        assert best.config["lr"] == 1e-2 and best.metrics["training_iteration"] >= 2
        assert (best.checkpoint is not None) == (callback is TuneReportCheckpointCallback)
