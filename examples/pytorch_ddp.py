"""Data-parallel training inside of a trial: two processes train each model together,
ASHA ends the weak ones.

Needs PyTorch and scikit-learn. Run it as ``python examples/pytorch_ddp.py``; with GPUs,
ask for one a worker.
"""

import os

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch.nn.parallel import DistributedDataParallel

import tune_core as tune


def train(config):
    """What a script for torchrun does, and tune.report behind each epoch."""
    cuda = torch.cuda.is_available()
    dist.init_process_group("nccl" if cuda else "gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    device = torch.device(f"cuda:{os.environ['LOCAL_RANK']}" if cuda else "cpu")

    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16).float().to(device), torch.tensor(y).to(device)
    mine = slice(rank, 1297, size)  # this process's part of the training rows

    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(64, config["width"]),
        torch.nn.ReLU(),
        torch.nn.Linear(config["width"], 10),
    )
    net = DistributedDataParallel(net.to(device))
    optimizer = torch.optim.Adam(net.parameters(), lr=config["lr"])
    for _ in range(config["epochs"]):
        for batch in torch.arange(1797, device=device)[mine].split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (net(x[1297:]).argmax(1) == y[1297:]).float().mean().item()
        tune.report({"accuracy": accuracy})
    dist.destroy_process_group()


gpus = 1 if torch.cuda.is_available() else 0
results = tune.Tuner(
    tune.with_workers(
        train, num_workers=2, resources_per_worker={"cpu": 0.5, "gpu": gpus}
    ),
    param_space={
        "lr": tune.loguniform(1e-4, 1e-1),
        "width": tune.choice([16, 32, 64]),
        "epochs": 9,
    },
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        num_samples=6,
        scheduler=tune.ASHAScheduler(max_t=9, grace_period=1, reduction_factor=3),
        seed=1,
    ),
).fit()
best = results.get_best_result()
epochs = sum(result.metrics["training_iteration"] for result in results)
print(f"Best accuracy {best.metrics['accuracy']:.3f} with {best.config}")
print(f"{epochs} epochs in {len(results)} trials of 2 processes; 54 without ASHA")
