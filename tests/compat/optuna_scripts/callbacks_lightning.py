"""optuna-integration's pruning callback of Lightning."""

import logging
import warnings

import lightning.pytorch as pl
import optuna
import torch
from optuna.integration import PyTorchLightningPruningCallback
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
X, y = load_iris(return_X_y=True)
X, y = torch.tensor(scale(X), dtype=torch.float32), torch.tensor(y)


class Net(pl.LightningModule):
    def __init__(self, units, rate):
        super().__init__()
        self.rate = rate
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, units), torch.nn.ReLU(), torch.nn.Linear(units, 3))

    def training_step(self, batch, index):
        return torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

    def validation_step(self, batch, index):
        self.log("val_loss", torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.rate)


def objective(trial):
    pl.seed_everything(trial.number, verbose=False)
    module = Net(trial.suggest_int("units", 2, 16), trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True))
    callback = PyTorchLightningPruningCallback(trial, monitor="val_loss")
    trainer = pl.Trainer(
        max_epochs=6,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback],
    )
    train, valid = TensorDataset(X[::2], y[::2]), TensorDataset(X[1::2], y[1::2])
    trainer.fit(module, DataLoader(train, batch_size=25), DataLoader(valid, batch_size=75))
    callback.check_pruned()
    return trainer.callback_metrics["val_loss"].item()


if __name__ == "__main__":
    study = optuna.create_study(
        sampler=optuna.samplers.RandomSampler(seed=0), pruner=optuna.pruners.MedianPruner(n_startup_trials=3)
    )
    study.optimize(objective, n_trials=8)
    names = {trial.state.name for trial in study.trials}
    assert names == {"COMPLETE", "PRUNED"}, names
    assert all(trial.intermediate_values for trial in study.trials)
    print("best below 0.9:", study.best_value < 0.9)
