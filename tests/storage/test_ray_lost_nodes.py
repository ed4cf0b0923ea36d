"""A node of a Ray cluster is lost with its disk; its trials go on elsewhere from what it sent to the store."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray")

from executors.ray.ray_nodes import Nodes, joined
from executors.ray.test_ray_cluster import STEPS, KillsANode, executor, trains, undisturbed

import tune_core as tune
from tune_core.core import events as ev
from tune_core.journal import reader as journal
from tune_core.journal.stored import open_place
from tune_core.storage.connect import object_store


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with joined(tmp_path_factory.mktemp("storage")) as started:
        yield started


@pytest.mark.parametrize("seed", range(int(os.environ.get("TUNE_CORE_SEEDS", "1"))))
def test_trials_of_a_lost_node_go_on_from_the_store(
    nodes: Nodes, s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setenv("TUNE_CORE_CACHE", str(nodes.storage / f"driver{seed}"))  # no node sees it
    killer = KillsANode(nodes, random.Random(seed).randint(4, 24))
    url = f"{s3_bucket}/experiments/lost"
    try:
        grid = tune.Tuner(
            trains,
            param_space={"x": tune.uniform(0, 10), "step_s": 0.2},
            tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=3, seed=seed),
            run_config=tune.RunConfig(
                name="lost",
                storage_path=f"{s3_bucket}/experiments",
                executor=executor(nodes),
                verbose=0,
                callbacks=[killer],
                checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
                sync_config=tune.SyncConfig(mirror_interval_s=0.2),
            ),
        ).fit()
        local = list((nodes.storage / f"driver{seed}").rglob("weights"))
    finally:
        if killer.killed is not None:
            nodes.add()
            wait_for_nodes(nodes)

    assert killer.killed is not None and grid.num_errors == 0
    assert not local, "a checkpoint went through the driver"
    monkeypatch.setenv("TUNE_CORE_CACHE", str(tmp_path / "another-machine"))
    read = tune.ResultGrid.from_path(url)
    for result in read:
        assert result.metrics["step"] == STEPS - 1
        assert result.metrics["loss"] == pytest.approx(undisturbed(result.config["x"]))
        steps = []
        for checkpoint, _ in result.best_checkpoints:
            with checkpoint.as_directory() as folder:
                assert Path(folder, "weights").read_bytes() == b"w" * 200_000
                steps.append(json.loads(Path(folder, "state.json").read_text())[1])
        assert sorted(steps) == [STEPS - 1, STEPS]
    check_resumed(list(journal.read(open_place(url).folder).events), killer.killed)
    folders = {key.rpartition("/")[0] for key in object_store(url).keys("") if "/checkpoint_" in key}
    assert len(folders) == 2 * len(read), "what the lost node was sending is left in the store"


def check_resumed(events: list[Any], killed: str) -> None:
    """Each lost trial went on elsewhere, right behind its last report."""
    lost = [event.trial for event in events if type(event) is ev.Ended and event.how == "lost"]
    assert lost
    for trial in lost:
        reports = [event for event in events if type(event) is ev.Reported and event.trial == trial]
        before = [event.metrics["step"] for event in reports if event.attempt == 1]
        after = [event for event in reports if event.attempt == 2]
        assert after[0].metrics["start"] == before[-1] + 1
        assert after[0].metrics["node"] != killed


def wait_for_nodes(nodes: Nodes) -> None:
    """Ray takes a while to see that a node is gone."""
    there = {node.node_id for node in nodes.alive}
    deadline = time.monotonic() + 100
    while {node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")} != there:
        assert time.monotonic() < deadline
        time.sleep(0.2)
