"""What trials ask of Ray and which nodes it fits: counted exactly, without a Ray."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import tune_core as tune
from tune_core.core import events as ev
from tune_core.errors import InvalidArgumentError
from tune_core.executors import RayExecutor
from tune_core.executors.ray import files
from tune_core.executors.ray.requests import actor_options, machine, place, text_of
from tune_core.search.basic_variant import BasicVariantGenerator


def nodes(*shapes: dict[str, float]) -> dict[str, Any]:
    return {f"n{i}": machine(shape) for i, shape in enumerate(shapes)}


SCARCE = [{"CPU": 3}, {"CPU": 3, "licence": 1}]


@pytest.mark.parametrize("strategy", ["PACK", "SPREAD", "STRICT_SPREAD"])
@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_bundles_are_placed_in_whatever_order_nodes_are_listed(strategy: str, order: tuple[int, ...]) -> None:
    request = tune.PlacementGroupFactory([{"CPU": 3}, {"CPU": 2, "licence": 1}], strategy=strategy)
    parts = place(request, nodes(*(SCARCE[i] for i in order)))
    assert parts is not None
    assert [node for node, _ in parts] == [f"n{order.index(0)}", f"n{order.index(1)}"]


def test_what_is_placed_is_held_until_it_is_given_back() -> None:
    there = nodes({"CPU": 2, "memory": 100.0})
    request = {"cpu": 1, "memory": 80}
    parts = place(request, there)
    assert parts is not None
    assert place(request, there) is None  # a second of 80 % of the memory does not fit
    there["n0"].give_back(parts[0][1])
    assert place(request, there) is not None


@pytest.mark.parametrize(
    ("request_", "strategy"),
    [
        ([{"CPU": 4}], "PACK"),
        ([{"CPU": 2}, {"CPU": 2}], "STRICT_PACK"),
        ([{"CPU": 1}] * 3, "STRICT_SPREAD"),
        ([{"CPU": 1}, {"CPU": 1, "memory": 10 * 2**40}], "PACK"),
        ([{"accelerator_type:A100": 1}], "PACK"),
    ],
)
def test_what_no_node_can_ever_give_is_refused_and_nothing_stays_held(request_: Any, strategy: str) -> None:
    there = nodes({"CPU": 3, "memory": 2**30}, {"CPU": 2, "memory": 2**30})
    assert place(tune.PlacementGroupFactory(request_, strategy=strategy), there) is None
    assert place({"cpu": 3, "memory": 2**30}, there) and place({"cpu": 2, "memory": 2**30}, there)


@pytest.mark.parametrize("name", ["accelerator_type:A100", "node:10.0.0.7", "memory_slots", "object_store_memory", "x"])
def test_a_resource_that_a_node_has_is_granted_whatever_its_name(name: str) -> None:
    assert place({"cpu": 1.5, name: 0.5}, nodes({"CPU": 2, name: 1})) is not None
    assert actor_options({"cpu": 1.5, name: 0.5}) == {"num_cpus": 1.5, "num_gpus": 0, "resources": {name: 0.5}}


def test_very_many_bundles_take_no_time_without_end() -> None:
    request = tune.PlacementGroupFactory([{"CPU": 2}] * 15 + [{"CPU": 3}] * 15)
    assert place(request, nodes(*[{"CPU": 4}] * 18)) in ([], None)


def test_a_request_is_told_with_its_strategy() -> None:
    request = tune.PlacementGroupFactory([{"CPU": 1}, {"CPU": 2, "GPU": 0.5}], strategy="STRICT_SPREAD")
    assert text_of(request) == "1 cpu + 2 cpu, 0.5 gpu (STRICT_SPREAD)"


@pytest.mark.parametrize("option", ["num_cpus", "name", "max_restarts", "memory"])
def test_options_of_actors_that_would_be_ignored_are_refused(option: str) -> None:
    with pytest.raises(InvalidArgumentError, match=option):
        RayExecutor(actor_options={option: 1})


def test_a_folder_travels_with_what_its_links_lead_to_and_without_circles(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "step_1").mkdir(parents=True)
    (source / "step_1" / "weights").write_text("data")
    (source / "latest").symlink_to("step_1")
    (source / "again").symlink_to(source / "step_1" / "weights")
    (source / "step_1" / "up").symlink_to("..")
    (source / "broken").symlink_to("nowhere")
    (source / "empty").mkdir()

    files.write_to(files.pack(str(source)))(str(tmp_path / "there"))

    arrived = {os.path.relpath(p, tmp_path / "there"): p for p in (tmp_path / "there").rglob("*")}
    assert set(arrived) == {"step_1", "step_1/weights", "latest", "latest/weights", "again", "empty"}
    assert {arrived[n].read_text() for n in ("step_1/weights", "latest/weights", "again")} == {"data"}


def test_what_an_actor_says_while_it_leaves_is_passed_on() -> None:
    pytest.importorskip("ray")
    from tune_core.executors.ray.cluster import PlacementGroup
    from tune_core.executors.ray.host import WorkerActor
    from tune_core.executors.ray.pool import Pool

    executor = RayExecutor()
    pool = executor._pool = Pool(None, lambda host: None)  # type: ignore[arg-type]
    host = WorkerActor("worker1", (), {}, PlacementGroup([]))
    pool.leaving[host.name] = (host, 0.0)
    reply: Future[Any] = Future()
    reply.set_result((0, ev.encode(ev.Noted("the artifacts could not be sent", 3)), []))
    batches: list[ev.Batch] = []

    executor._receive(host, reply, batches)

    assert [event.what for batch in batches for event in batch.events] == ["the artifacts could not be sent"]


@pytest.mark.parametrize(("took_s", "in_hand", "most"), [(0.2, 32, 0), (0.02, 32, 2), (0.001, 32, 32), (0.001, 4, 4)])
def test_the_shorter_trials_are_the_more_of_them_an_actor_has_in_hand(took_s: float, in_hand: int, most: int) -> None:
    from tune_core.executors.ray.cluster import PlacementGroup
    from tune_core.executors.ray.host import WorkerActor
    from tune_core.executors.ray.pool import Pool

    pool = Pool(None, lambda host: None, in_hand=in_hand)  # type: ignore[arg-type]
    busy = WorkerActor("worker1", (), {}, PlacementGroup([]))
    busy.ready, busy._actor, busy.load = True, object(), 1
    pool.make_roomy(busy)
    pool.note_duration(took_s)

    while (host := pool._roomy(())) is not None and busy.load < 1000:
        host.load += 1

    assert busy.load == max(most, 1)


class Noted(tune.InlineExecutor):
    """Keeps what it is told of a run."""

    def start(self, run: Any, pump: Any) -> None:
        self.told = run
        super().start(run, pump)


@pytest.mark.parametrize(
    ("settings", "stop", "independent"),
    [
        ({}, {"loss": 0.0}, True),
        ({"search_alg": BasicVariantGenerator(max_concurrent=2)}, None, False),
        ({"search_alg": "auto"}, None, False),
        ({"scheduler": tune.ASHAScheduler()}, None, False),
        ({}, lambda trial, result: False, False),
    ],
)
def test_trials_are_independent_where_no_result_decides_anything(
    tmp_path: Path, settings: dict[str, Any], stop: Any, independent: bool
) -> None:
    executor = Noted()
    tune.Tuner(
        lambda config: {"loss": config["x"]},
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=30, **settings),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0, executor=executor, stop=stop),
    ).fit()
    assert executor.told.independent is independent
