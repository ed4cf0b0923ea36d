"""Trials on nodes that share no disk: where they run, what they leave, what becomes of them when a node dies."""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray")

import tune_core as tune
from executors.ray.ray_nodes import Nodes, joined
from tune_core.core import events as ev
from tune_core.errors import ResourceError
from tune_core.executors import RayExecutor
from tune_core.journal import reader as journal

STEPS = 12


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with joined(tmp_path_factory.mktemp("storage")) as started:
        yield started


def trains(config: dict[str, Any]) -> None:
    """A training whose every step depends on the one before; goes on from its checkpoint."""
    x, start = config["x"], 0
    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            x, start = json.loads(Path(folder, "state.json").read_text())
    print("starting at", start)
    for step in range(start, STEPS):
        x = 0.5 * x + 0.1
        time.sleep(config["step_s"])
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "state.json").write_text(json.dumps([x, step + 1]))
            Path(folder, "weights").write_bytes(b"w" * 200_000)
            metrics = {"loss": x, "step": step, "start": start, "node": ray.get_runtime_context().get_node_id()}
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))


def undisturbed(x: float) -> float:
    for _ in range(STEPS):
        x = 0.5 * x + 0.1
    return x


def executor(nodes: Nodes) -> RayExecutor:
    return RayExecutor() if nodes.apart else RayExecutor(shared_storage=False)


def sweep(nodes: Nodes, objective: Any = trains, num_samples: int = 4, step_s: float = 0.0, **run: Any) -> Any:
    return tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0, 10), "step_s": step_s},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=num_samples, seed=3),
        run_config=tune.RunConfig(executor=executor(nodes), storage_path=str(nodes.storage), verbose=0, **run),
    ).fit()


def events_of(results: Any) -> list[Any]:
    return list(journal.read(results.experiment_path).events)


def test_sweep_runs_on_all_nodes_and_says_where_each_trial_ran(nodes: Nodes) -> None:
    results = sweep(nodes, step_s=0.1)

    assert results.num_errors == 0
    assert {result.metrics["node"] for result in results} == {node.node_id for node in nodes.alive}
    for result in [*results, *tune.ResultGrid.from_path(results.experiment_path)]:
        assert f"-{result.metrics['node'][:6]}/worker" in result.worker


def test_checkpoints_and_output_land_in_the_drivers_folder_though_no_disk_is_shared(nodes: Nodes) -> None:
    results = sweep(nodes, num_samples=2, step_s=0.05)

    for result in results:
        assert json.loads(Path(result.checkpoint.path, "state.json").read_text())[1] == STEPS
        assert Path(result.checkpoint.path, "weights").stat().st_size == 200_000
        assert "starting at 0" in Path(result.path, "output.log").read_text()
    if nodes.apart:
        assert not [event for event in events_of(results) if type(event) is ev.Ended and event.how != "completed"]


class KillsANode(tune.Callback):
    """Ends the node of a trial that is well under way, once, from report number ``at``."""

    def __init__(self, nodes: Nodes, at: int) -> None:
        self.nodes = nodes
        self.left = at
        self.killed: str | None = None

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        self.left -= 1
        if self.left <= 0 and self.killed is None and 2 <= result["step"] <= STEPS - 4:
            self.killed = str(result["node"])
            self.nodes.kill(self.killed)


@pytest.mark.parametrize("seed", range(int(os.environ.get("TUNE_CORE_SEEDS", "2"))))
def test_trials_of_a_lost_node_go_on_elsewhere_from_their_checkpoints(nodes: Nodes, seed: int) -> None:
    killer = KillsANode(nodes, random.Random(seed).randint(4, 24))
    try:
        results = sweep(nodes, num_samples=3, step_s=0.1, callbacks=[killer])
    finally:
        if killer.killed is not None:
            nodes.add()

    assert killer.killed is not None
    assert results.num_errors == 0
    for result in results:
        assert result.metrics["step"] == STEPS - 1
        assert result.metrics["loss"] == pytest.approx(undisturbed(result.config["x"]))
    events = events_of(results)
    lost = [event for event in events if type(event) is ev.Ended and event.how == "lost"]
    assert [event.how for event in events if type(event) is ev.Ended and event.how not in ("lost", "completed")] == []
    assert lost
    for event in lost:
        resumed = [e for e in events if type(e) is ev.Reported and e.trial == event.trial and e.attempt == 2]
        assert resumed[0].metrics["start"] >= 2
        assert resumed[0].metrics["node"] != killer.killed


def test_bundles_of_one_trial_are_spread_over_nodes(nodes: Nodes) -> None:
    bundles = tune.PlacementGroupFactory([{"cpu": 1}, {"cpu": 1}], strategy="STRICT_SPREAD")
    results = sweep(nodes, tune.with_resources(has_a_worker_of_its_own, bundles), num_samples=2)

    assert results.num_errors == 0
    for result in results:
        assert result.metrics["mine"] != result.metrics["its"]


def has_a_worker_of_its_own(config: dict[str, Any]) -> dict[str, Any]:
    """Starts a task in the trial's second bundle."""

    def where() -> str:
        return str(ray.get_runtime_context().get_node_id())

    its = ray.get(ray.remote(num_cpus=1)(where).remote())
    return {"loss": config["x"], "mine": where(), "its": its}


def test_bundles_that_no_cluster_of_this_size_can_hold_are_refused(nodes: Nodes) -> None:
    wait_until_ray_has_seen(nodes)
    bundles = tune.PlacementGroupFactory([{"cpu": 1}] * 3, strategy="STRICT_SPREAD")
    with pytest.raises(ResourceError, match=r"STRICT_SPREAD.*2 nodes of 1 cpu"):
        sweep(nodes, tune.with_resources(trains, bundles))


def test_request_that_waits_for_an_autoscaler_says_so_and_is_met_by_a_new_node(nodes: Nodes) -> None:
    waits: list[str | None] = []

    class Adds(RayExecutor):
        def waits_for(self) -> str | None:
            waits.append(super().waits_for())
            if waits[-1] and len([w for w in waits if w]) == 1:
                nodes.add(num_cpus=1, resources={"license": 1})
            return waits[-1]

    try:
        results = tune.Tuner(
            tune.with_resources(trains, {"cpu": 1, "license": 1}),
            param_space={"x": tune.uniform(0, 10), "step_s": 0.0},
            tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=2),
            run_config=tune.RunConfig(
                executor=Adds(autoscaling=True, shared_storage=None if nodes.apart else False),
                storage_path=str(nodes.storage),
                verbose=0,
            ),
        ).fit()
        assert results.num_errors == 0
        assert any(wait and "license" in wait and "cluster" in wait for wait in waits)
    finally:
        if len(nodes.alive) > 2:
            nodes.kill(nodes.alive[-1].node_id)


def wait_until_ray_has_seen(nodes: Nodes) -> None:
    """Ray takes many seconds to see that a node is gone."""
    there = {node.node_id for node in nodes.alive}
    deadline = time.monotonic() + 100
    while {n["NodeID"] for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU")} != there:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_run_whose_only_fitting_node_is_gone_ends_with_an_error(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_core.executors.ray.pool._HOPE_S", 1.0)
    nodes.add(num_cpus=1, resources={"license": 1})

    with pytest.raises(ResourceError, match=r"1 license, and the cluster has (?s:.*)Tuner.restore"):
        sweep(
            nodes,
            tune.with_resources(trains, {"cpu": 1, "license": 1}),
            step_s=0.1,
            callbacks=[KillsANode(nodes, at=3)],
        )
