"""Trials of several processes on two Ray nodes: one placement group, the same reports, nothing left behind."""

from __future__ import annotations

import os
import signal
import tempfile
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


def search(
    nodes: Nodes, train: Any, workers: int, failures: int = 0, callbacks: Any = None, **space: Any
) -> tune.ResultGrid:
    return tune.Tuner(
        tune.with_workers(train, workers, {"cpu": 2 / workers}, placement_strategy="SPREAD"),
        param_space=space,
        run_config=tune.RunConfig(
            storage_path=str(nodes.storage), verbose=0, executor=tune.RayExecutor(),
            failure_config=tune.FailureConfig(max_failures=failures), callbacks=callbacks,
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


def descends(config: dict[str, Any]) -> None:
    import torch

    from distributed.linear_model import trained_by_all

    trained_by_all({"lr": 0.1}, torch.nn.parallel.DistributedDataParallel)


@pytest.mark.timeout(300)
def test_data_parallel_training_on_two_nodes_learns_what_one_process_learns(nodes: Nodes, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    alone = tune.Tuner(
        tune.with_workers(descends, 1, {"cpu": 0.5}),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor="local"),
    ).fit()
    expected = list(alone[0].metrics_dataframe["loss"])
    assert len(expected) == 5 and expected[-1] < expected[0]
    for count in (2, 4):
        (result,) = search(nodes, descends, count)
        assert result.error is None
        assert list(result.metrics_dataframe["loss"]) == pytest.approx(expected, rel=1e-5)


def goes_on(config: dict[str, Any]) -> None:
    """Ten steps with a checkpoint each; rank one says on which node it runs."""
    start = 0
    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            start = int(Path(folder, "step").read_text())
    if os.environ["RANK"] == "1":
        print("runs on", ray.get_runtime_context().get_node_id())
    for step in range(start + 1, 11):
        time.sleep(1.0)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "step").write_text(str(step))
            kept = tune.Checkpoint.from_directory(folder) if os.environ["RANK"] == "0" else None
            tune.report({"loss": 1 / step, "step": step, "start": start}, checkpoint=kept)


class LosesARank(tune.Callback):
    """Ends the node of one rank at the third result, and starts another."""

    def __init__(self, nodes: Nodes, rank: int) -> None:
        self.nodes = nodes
        self.rank = rank
        self.killed: str | None = None

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        if self.killed is None and result["step"] >= 3:
            with_one = nodes_of_rank_one(trial.local_path)[0]
            others = [node.node_id for node in self.nodes.alive if node.node_id != with_one]
            self.killed = with_one if self.rank == 1 else others[0]
            self.nodes.kill(self.killed)
            self.nodes.add()


def nodes_of_rank_one(folder: str) -> list[str]:
    lines = Path(folder, "output.log").read_text().splitlines()
    return [line.split()[-1] for line in lines if "[rank 1] runs on" in line]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("rank", [0, 1])
def test_trial_goes_on_from_its_checkpoint_when_a_node_with_a_rank_is_lost(nodes: Nodes, rank: int) -> None:
    killer = LosesARank(nodes, rank)
    (result,) = search(nodes, goes_on, 2, callbacks=[killer])
    assert killer.killed is not None and result.error is None
    assert result.metrics["step"] == 10
    assert result.metrics["start"] >= 2, "it did not go on from its checkpoint"
    assert killer.killed not in nodes_of_rank_one(result.path)[1:]


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
