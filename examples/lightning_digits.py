"""Handwritten digits with PyTorch Lightning: one callback for the Trainer, and ASHA
ends poor trials early.
"""

import logging
import warnings

import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split

import tune_core as tune
from tune_core.schedulers import ASHAScheduler
from tune_lightning import TuneReportCheckpointCallback, get_model, resume

EPOCHS = 9


class Digits(pl.LightningModule):
    def __init__(self, width, lr, dropout, batch_size):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(64, width),
            torch.nn.ReLU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(width, 10),
        )

    def training_step(self, batch, batch_idx):
        x, y = batch
        return torch.nn.functional.cross_entropy(self.net(x), y)

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val_accuracy", (self.net(x).argmax(dim=1) == y).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


def train(config, digits):
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    pl.seed_everything(0, verbose=False)
    x, y = digits
    data = TensorDataset(torch.tensor(x / 16).float(), torch.tensor(y).long())
    training, validation = random_split(data, [1300, len(data) - 1300])
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[
            TuneReportCheckpointCallback({"accuracy": "val_accuracy"}, frequency=0)
        ],  # the change
    )
    trainer.fit(
        Digits(**config),
        DataLoader(training, batch_size=config["batch_size"], shuffle=True),
        DataLoader(validation, batch_size=512),
        **resume(),
    )


results = tune.Tuner(
    tune.with_parameters(train, digits=load_digits(return_X_y=True)),
    param_space={
        "width": tune.choice([16, 32, 64]),
        "lr": tune.loguniform(1e-4, 1e-1),
        "dropout": tune.uniform(0.0, 0.5),
        "batch_size": tune.choice([32, 64, 128]),
    },
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        num_samples=16,
        scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=1, reduction_factor=3),
        seed=1,
    ),
    run_config=tune.RunConfig(verbose=0),
).fit()

best = results.get_best_result()
epochs = sum(result.metrics["training_iteration"] for result in results)
asked = len(results) * EPOCHS
print(
    f"Best of {len(results)} trials: "
    f"accuracy {best.metrics['accuracy']:.4f} with {best.config}"
)
print(f"Epochs: {epochs} of {asked}, {1 - epochs / asked:.0%} saved by early stopping")
print(f"Its module, loaded again: {get_model(best.checkpoint, Digits).net}")
