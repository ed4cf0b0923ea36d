"""Trials of several processes on two Ray nodes: one placement group, the same reports, nothing left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray")

from executors.ray.ray_nodes import Nodes, joined

import tune_core as tune


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with joined(tmp_path_factory.mktemp("storage")) as started:
        yield started


def search(nodes: Nodes, train: Any, workers: int, failures: int = 0, **space: Any) -> tune.ResultGrid:
    return tune.Tuner(
        tune.with_workers(train, workers, {"cpu": 2 / workers}, placement_strategy="SPREAD"),
        param_space=space,
        run_config=tune.RunConfig(
            storage_path=str(nodes.storage), verbose=0, executor=tune.RayExecutor(),
            failure_config=tune.FailureConfig(max_failures=failures),
        ),
    ).fit()  # fmt: skip


def averaged(config: dict[str, Any]) -> None:
    """Every rank's number, added up by all of them together in each step."""
    import socket

    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    context = tune.get_context()
    print(f"node {context.get_node_rank()} local {context.get_local_rank()} of {context.get_local_world_size()}")
    address = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    if rank == 0:
        server = socket.create_server(address)
        others = [server.accept()[0] for _ in range(size - 1)]
    else:
        for _ in range(300):
            try:
                others = [socket.create_connection(address)]
                break
            except OSError:
                time.sleep(0.1)
    for step in range(1, 4):
        mine = bytes([rank + step])
        if rank == 0:
            total = rank + step + sum(other.recv(1)[0] for other in others)
            tune.report({"loss": total})
        else:
            others[0].sendall(mine)
            tune.report({})


def test_ranks_on_two_nodes_train_together(nodes: Nodes) -> None:
    result = search(nodes, averaged, 4)[0]
    assert result.error is None
    assert list(result.metrics_dataframe["loss"]) == [10, 14, 18]  # 0+1+2+3 and four times the step
    lines = sorted(Path(result.path, "output.log").read_text().splitlines())
    assert lines == [
        "[rank 0] node 0 local 0 of 2",
        "[rank 1] node 0 local 1 of 2",
        "[rank 2] node 1 local 0 of 2",
        "[rank 3] node 1 local 1 of 2",
    ]


def killed_once(config: dict[str, Any]) -> None:
    flag = Path(config["flag"])
    for step in range(1, 4):
        tune.report({"loss": step})
        if step == 2 and not flag.exists() and os.environ["RANK"] == "1":
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0 if flag.exists() else 600)


def test_trial_is_tried_again_when_a_rank_was_killed_and_nothing_is_left(nodes: Nodes, tmp_path: Path) -> None:
    result = search(nodes, killed_once, 2, failures=1, flag=str(tmp_path / "flag"))[0]
    assert result.error is None and result.metrics["loss"] == 3
    deadline = time.monotonic() + 30
    while ray.available_resources().get("CPU") != 2 or _groups():
        assert time.monotonic() < deadline, (ray.available_resources(), _groups())
        time.sleep(0.2)


def _groups() -> list[Any]:
    return [group for group in ray.util.placement_group_table().values() if group["state"] != "REMOVED"]
