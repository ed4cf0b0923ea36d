"""What a trial asks of Ray: as an actor's options, as bundles, and which nodes it fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tune_core.errors import ResourceError
from tune_core.executors.machine_resources import Allocation, Machine
from tune_core.trainable.resources import PlacementGroupFactory, Request

Parts = list[tuple[str, Allocation]]
"""Where the bundles of a request are: node and what is held there, in the order of the bundles."""

UNTOLD = ("node:", "object_store_memory", "accelerator_type:", "memory")
"""Resources of a node that people are not told of, unless they ask for them."""
_MOST_STEPS = 10_000


def actor_options(request: Mapping[str, float]) -> dict[str, Any]:
    """A request as options of a Ray actor."""
    custom = {n: a for n, a in request.items() if n not in ("cpu", "gpu", "memory") and a}
    options: dict[str, Any] = {"num_cpus": request.get("cpu", 0), "num_gpus": request.get("gpu", 0)}
    if custom:
        options["resources"] = custom
    if request.get("memory"):
        options["memory"] = int(request["memory"])
    return options


def bundle_of(request: Mapping[str, float]) -> dict[str, float]:
    """A request as a bundle of a Ray placement group."""
    return {{"cpu": "CPU", "gpu": "GPU"}.get(name, name): amount for name, amount in request.items() if amount}


def shape_of(resources: object) -> Any:
    """A hashable form of a request: trials of one shape can share an actor."""
    if isinstance(resources, PlacementGroupFactory):
        return resources
    if not isinstance(resources, Mapping):
        raise ResourceError(
            "resources", f"is {resources!r}", "it is a dict or a PlacementGroupFactory", 'Use e.g. {"cpu": 1}.'
        )
    return tuple(sorted((name, amount) for name, amount in resources.items() if amount))


def bundles_of(request: Request) -> list[dict[str, float]]:
    """The parts of a request, each of which has to be on one node."""
    bundles = request.requests if isinstance(request, PlacementGroupFactory) else [request]
    return [{name: amount for name, amount in bundle.items() if amount} for bundle in bundles]


def machine(resources: Mapping[str, float]) -> Machine:
    """A node, empty, from what Ray says that it has."""
    custom = {n: a for n, a in resources.items() if n not in ("CPU", "GPU")}
    return Machine(resources.get("CPU", 0), [str(i) for i in range(int(resources.get("GPU", 0)))], custom)


def described(resources: Mapping[str, float], asked: Sequence[Mapping[str, float]] = ()) -> str:
    """What a node has, for people: of what every node has only that which is ``asked`` for."""
    names = {name for bundle in asked for name in bundle}
    told = {n: a for n, a in resources.items() if n in names or not n.startswith(UNTOLD)}
    return machine(told).describe()


def text_of(request: Request) -> str:
    """A request, for people."""
    parts = [", ".join(f"{amount:g} {name}" for name, amount in b.items()) or "nothing" for b in bundles_of(request)]
    strategy = f" ({request.strategy})" if isinstance(request, PlacementGroupFactory) and len(parts) > 1 else ""
    return " + ".join(parts) + strategy


def place(request: Request, nodes: Mapping[str, Machine]) -> Parts | None:
    """Hold a request's bundles on ``nodes``; None, and nothing held, if there is surely no way to.

    Ways are tried one after another, largest bundles first; after very many that failed, a way is assumed to exist,
    and Ray is left to find it: then nothing is held.
    """
    bundles = bundles_of(request)
    strategy = request.strategy if isinstance(request, PlacementGroupFactory) else "PACK"
    order = sorted(range(len(bundles)), key=lambda i: -sum(bundles[i].values()))
    found: dict[int, tuple[str, Allocation]] = {}
    steps = 0

    def search(depth: int) -> bool:
        nonlocal steps
        if depth == len(order):
            return True
        used = {node for node, _ in found.values()}
        for node, free in nodes.items():
            if (strategy == "STRICT_SPREAD" and node in used) or (strategy == "STRICT_PACK" and used - {node}):
                continue
            steps += 1
            if steps > _MOST_STEPS:
                return True
            held = free.take(bundles[order[depth]])
            if held is None:
                continue
            found[order[depth]] = (node, held)
            if search(depth + 1):
                return True
            del found[order[depth]]
            free.give_back(held)
        return False

    if not search(0):
        return None
    if steps > _MOST_STEPS:
        for node, held in found.values():
            nodes[node].give_back(held)
        return []
    return [found[i] for i in range(len(bundles))]
