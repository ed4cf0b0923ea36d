"""Ranks as Ray actors, each in its bundle of the trial's placement group."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from tune_core.core.values import Config
from tune_core.distributed.place import Place
from tune_core.distributed.rank import Outcome, RankSession, run
from tune_core.executors.local import definitions
from tune_core.executors.local.handle import module_path
from tune_core.executors.ray.host import how_it_died
from tune_core.executors.worker import payload
from tune_core.storage.scratch import Scratch
from tune_core.trainable.protocol import ProcessLost
from tune_core.trainable.session_remote import connect


def bundles_of(count: int) -> Bundles | None:
    """The placement group of the trial that runs here, if it was made for so many ranks."""
    ray = sys.modules.get("ray")
    if count == 1 or ray is None or not ray.is_initialized():
        return None
    group = ray.util.get_current_placement_group()
    return Bundles(ray, group) if group is not None and group.bundle_count == count else None


class Bundles:
    """The bundles of a trial's placement group. The trial's actor, and rank zero with it, has the first."""

    def __init__(self, ray: Any, group: Any) -> None:
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        self._ray = ray
        self._actors: dict[int, Any] = {}
        path = module_path()
        for index, bundle in enumerate(group.bundle_specs[1:], 1):
            others = {k: v for k, v in bundle.items() if k not in ("CPU", "GPU", "memory")}
            strategy = PlacementGroupSchedulingStrategy(
                group, placement_group_bundle_index=index, placement_group_capture_child_tasks=True
            )
            actor = ray.remote(RankActor).options(
                num_cpus=bundle.get("CPU", 0),
                num_gpus=bundle.get("GPU", 0),
                memory=bundle.get("memory"),
                resources=others or None,
                scheduling_strategy=strategy,
                max_restarts=0,
                max_concurrency=2,
            )
            self._actors[index] = actor.remote(path)

    def places(self, port: int) -> list[Place]:
        """Where each rank is, numbered node by node; rank zero is here."""
        here = self._ray.get_runtime_context().get_node_id()
        try:
            found = self._ray.get([self._actors[index].where.remote() for index in sorted(self._actors)])
        except Exception as error:
            failure = how_it_died(error)
            if failure.how != "lost":
                raise
            raise ProcessLost(f"A worker of this trial ended before its rank began: {failure.why}") from error
        where = dict(enumerate(found, 1))
        nodes = dict.fromkeys([here, *(facts["node"] for facts in found)])
        order = [(0, here)]
        order += [(index, node) for node in nodes for index, facts in where.items() if facts["node"] == node]
        self._actors = {rank: self._actors[index] for rank, (index, _) in enumerate(order) if index}
        ranks_of: dict[str, list[int]] = {}
        for rank, (_, node) in enumerate(order):
            ranks_of.setdefault(node, []).append(rank)
        self._gpus = self._gpus_of(order, where)
        master = self._ray.util.get_node_ip_address()
        numbers = {node: number for number, node in enumerate(nodes)}
        return [
            Place(
                rank,
                len(order),
                ranks_of[node].index(rank),
                len(ranks_of[node]),
                numbers[node],
                len(nodes),
                master,
                port,
            )
            for rank, (_, node) in enumerate(order)
        ]

    def _gpus_of(self, order: list[tuple[int, str]], where: Mapping[int, Mapping[str, Any]]) -> dict[int, str]:
        """For each rank the devices of all ranks of its node, as ``torchrun`` shows them: LOCAL_RANK picks one."""
        own = [str(device) for device in self._ray.get_gpu_ids()]
        devices: dict[str, list[str]] = {}
        for index, node in order:
            devices.setdefault(node, []).extend(own if index == 0 else where[index]["gpus"])
        return {rank: ",".join(devices[node]) for rank, (_, node) in enumerate(order) if devices[node]}

    def environment(self, rank: int) -> dict[str, str]:
        """Its node's devices, where there are GPUs; rank zero, a process of its own, also joins this cluster by it."""
        environment = {"CUDA_VISIBLE_DEVICES": self._gpus[rank]} if rank in self._gpus else {}
        if rank == 0:
            environment["RAY_ADDRESS"] = self._ray.get_runtime_context().gcs_address
        return environment

    def start(
        self,
        rank: int,
        work: Any,
        config: Config,
        address: str,
        environment: Mapping[str, str],
        ended: Callable[[int, Outcome], None],
    ) -> RankOnRay:
        """Run a rank other than zero."""
        actor = self._actors[rank]
        reference = actor.run.remote(payload.dumps((work, config)), address, dict(environment))
        return RankOnRay(self._ray, rank, actor, reference, ended)

    def end(self) -> None:
        """End the actors that no rank has been started on."""
        for actor in self._actors.values():
            with contextlib.suppress(Exception):
                self._ray.kill(actor)


class RankOnRay:
    """One rank in a Ray actor."""

    def __init__(self, ray: Any, rank: int, actor: Any, reference: Any, ended: Callable[[int, Outcome], None]) -> None:
        self._ray = ray
        self._rank = rank
        self._actor = actor
        self._ended = ended
        reference.future().add_done_callback(self._done)

    def _done(self, future: Any) -> None:
        try:
            outcome: Outcome = future.result()
        except Exception as error:
            failure = how_it_died(error)
            outcome = Outcome(
                "lost" if failure.how == "lost" else "died", error=f"ended: {failure.why}", at=time.time()
            )
        self._ended(self._rank, outcome)

    def end(self) -> None:
        """End it, whatever it does."""
        with contextlib.suppress(Exception):
            self._ray.kill(self._actor)

    def close(self) -> None:
        """Nothing is held."""


class RankActor:
    """What runs in the actor's process."""

    def __init__(self, path: list[str]) -> None:
        known = set(sys.path)
        sys.path.extend(folder for folder in path if folder not in known)

    def where(self) -> dict[str, Any]:
        """The actor's node and devices."""
        import ray

        return {
            "node": ray.get_runtime_context().get_node_id(),
            "gpus": [str(device) for device in ray.get_gpu_ids()],
        }

    def run(self, work: bytes, address: str, environment: dict[str, str]) -> Outcome:
        """Run the rank."""
        with _forwarded_output(address):
            try:
                (train, config), found = pickle.loads(work)
                self._scratch = Scratch("tune-core-rank")  # as long as this lives, the folder does
                definitions.publish(found, os.path.join(self._scratch.path, "main"))
            except Exception as error:
                text = f"the function could not be loaded: {type(error).__name__}: {error}"
                return Outcome("raised", error=text, at=time.time())
            return run(train, config, address, environment)


@contextlib.contextmanager
def _forwarded_output(address: str) -> Any:
    """Send what this process prints to the trial's process, and on to its log, meanwhile."""
    session = connect(address, RankSession)
    if session is None:
        yield
        return
    reading, writing = os.pipe()
    kept = {number: os.dup(number) for number in (1, 2)}
    sys.stdout.flush()
    sys.stderr.flush()
    for number in kept:
        os.dup2(writing, number)
    os.close(writing)

    def forward() -> None:
        with open(reading, errors="replace") as lines, contextlib.suppress(Exception):
            for line in lines:
                session.write(line)

    thread = threading.Thread(target=forward, name="tune-core-output", daemon=True)
    thread.start()
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, before in kept.items():
            os.dup2(before, number)
            os.close(before)
        thread.join(2.0)
