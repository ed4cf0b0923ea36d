"""PyTorch: a training loop with checkpoints that is resumed, under ASHA, and the best model tested."""

import os
import tempfile

import torch
from ray import tune
from ray.tune import Checkpoint
from ray.tune.schedulers import ASHAScheduler
from sklearn.datasets import load_digits
from torch import nn


def load():
    X, y = load_digits(return_X_y=True)
    X, y = torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y)
    return X[:1200], y[:1200], X[1200:], y[1200:]


def net(width):
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))


def train_digits(config):
    torch.manual_seed(0)
    model = net(config["l1"])
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=0.9)
    start = 0
    if tune.get_checkpoint():
        with tune.get_checkpoint().as_directory() as folder:
            model_state, optimizer_state, start = torch.load(os.path.join(folder, "checkpoint.pt"))
        model.load_state_dict(model_state)
        optimizer.load_state_dict(optimizer_state)
    X, y, X_valid, y_valid = load()
    for epoch in range(start, 4):
        for batch in torch.randperm(len(X)).split(int(config["batch_size"])):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[batch]), y[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            out = model(X_valid)
        with tempfile.TemporaryDirectory() as folder:
            torch.save((model.state_dict(), optimizer.state_dict(), epoch + 1), os.path.join(folder, "checkpoint.pt"))
            tune.report(
                {
                    "loss": nn.functional.cross_entropy(out, y_valid).item(),
                    "accuracy": (out.argmax(1) == y_valid).float().mean().item(),
                },
                checkpoint=Checkpoint.from_directory(folder),
            )


if __name__ == "__main__":
    results = tune.Tuner(
        tune.with_resources(train_digits, resources={"cpu": 1, "gpu": 0}),
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            scheduler=ASHAScheduler(max_t=4, grace_period=1, reduction_factor=2),
            num_samples=4,
        ),
        param_space={
            "l1": tune.sample_from(lambda _: 2**4),
            "lr": tune.loguniform(1e-3, 1e-1),
            "batch_size": tune.choice([16, 32]),
        },
    ).fit()
    assert not results.errors, results.errors
    best = results.get_best_result("loss", "min")
    model = net(best.config["l1"])
    with best.checkpoint.as_directory() as folder:
        model_state, _, epochs = torch.load(os.path.join(folder, "checkpoint.pt"))
    model.load_state_dict(model_state)
    _, _, X_valid, y_valid = load()
    accuracy = (model(X_valid).argmax(1) == y_valid).float().mean().item()
    assert epochs == best.metrics["training_iteration"]
    assert abs(accuracy - best.metrics["accuracy"]) < 1e-6 and accuracy > 0.5
