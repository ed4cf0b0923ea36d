"""Training of a linear model by all ranks of a trial, as a script for ``torchrun`` does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import tune_core as tune


def data() -> tuple[Any, Any]:
    X = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
    return X, X.sum(1, keepdim=True)


def model() -> Any:
    torch.manual_seed(0)
    return torch.nn.Linear(8, 1)


def trained_by_all(config: dict[str, Any], share: Callable[[Any], Any]) -> None:
    """What a script for torchrun does; ``share`` makes of a model one that all ranks train."""
    import torch.distributed as dist

    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    X, y = (part[rank::size] for part in data())
    trained = share(model())
    optimizer = torch.optim.SGD(trained.parameters(), lr=config["lr"])
    for _ in range(5):
        optimizer.zero_grad()
        loss = ((trained(X) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        total = loss.detach().clone()
        dist.all_reduce(total)
        tune.report({"loss": total.item() / size})
    dist.destroy_process_group()
