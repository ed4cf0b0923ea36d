"""The driver's view of a Ray cluster: joining it, what its nodes have, and which of it our own actors hold."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tune_core.core.optional_imports import require
from tune_core.errors import ExecutorError, ResourceError
from tune_core.executors.machine_resources import Allocation, Machine
from tune_core.trainable.resources import PlacementGroupFactory

_NOT_AMOUNTS = ("node:", "object_store_memory", "accelerator_type:", "memory")
_REFRESH_S = 1.0
_SUSPICION_S = 30.0
_HEAD_S = 2.0
_GONE_AFTER_S = 10.0

Request = Mapping[str, float] | PlacementGroupFactory


class PlacementGroup:
    """What one actor of ours holds or waits for, bundle by bundle: (node, grant)."""

    def __init__(self, parts: list[tuple[str, Allocation]]) -> None:
        self.parts = parts


class Cluster:
    """A Ray cluster, joined or started.

    Parameters
    ----------
    address
        Of a running cluster (``"auto"``, ``"host:port"``, ``"ray://host:port"``); None: the one that this process
        has joined, else that of ``RAY_ADDRESS``, else a new one on this machine.
    options
        For ``ray.init`` when a cluster is started or joined here.
    autoscaling
        Whether the cluster grows on demand; None finds out.
    """

    def __init__(self, address: str | None, options: Mapping[str, Any], autoscaling: bool | None) -> None:
        self.ray = require("RayExecutor", "ray", "ray")
        self.joined_here = not self.ray.is_initialized()
        if self.joined_here:
            self._join(address or os.environ.get("RAY_ADDRESS"), options)
        self.autoscaling = _grows() if autoscaling is None else autoscaling
        self._nodes: dict[str, Machine] = {}
        self._shapes: dict[str, dict[str, float]] = {}
        self._suspects: dict[str, float] = {}
        self._watch = _Watch(self.ray)
        self._head_at = 0.0
        self.is_headless = False
        self._silent_since: float | None = None
        self._gcs = ""
        with contextlib.suppress(Exception):  # a client of a remote cluster knows none
            self._gcs = str(self.ray.get_runtime_context().gcs_address)

    def _join(self, address: str | None, options: Mapping[str, Any]) -> None:
        settings: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False, **options}
        if address is None or address == "local":
            settings.setdefault("include_dashboard", False)
        else:
            settings["address"] = address
            for name in ("num_cpus", "num_gpus", "resources"):
                settings.pop(name, None)
        before = os.environ.get("RAY_USAGE_STATS_ENABLED")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            _probe_address(address)
            self.ray.init(**settings)
        except Exception as error:
            raise ExecutorError(
                f"RayExecutor(address={address!r})",
                f"could not {'start Ray' if address is None else 'join the cluster'}: {type(error).__name__}: {error}",
                "no Ray cluster answers there" if address else "Ray could not start on this machine",
                "Start it with `ray start --head`, correct the address (or RAY_ADDRESS), "
                'or run on this machine alone with RunConfig(executor="local").',
            ) from error
        finally:
            if before is None:
                del os.environ["RAY_USAGE_STATS_ENABLED"]

    def leave(self) -> None:
        """Shut down what was started or joined here."""
        self._watch.stop()
        if self.joined_here and not self.is_headless:
            self.ray.shutdown()
        elif self.joined_here:  # may never return
            leaving = threading.Thread(target=self.ray.shutdown, daemon=True)
            leaving.start()
            leaving.join(_GONE_AFTER_S)

    # --- nodes --------------------------------------------------------------------------------------------------------

    def refresh(self, holdings: Iterable[PlacementGroup]) -> bool:
        """Take in what has become of the nodes; whether they have changed."""
        now = time.monotonic()
        self._suspects = {node: until for node, until in self._suspects.items() if until > now}
        shapes = {node: shape for node, shape in self._watch.shapes.items() if node not in self._suspects}
        if shapes == self._shapes:
            return False
        self._shapes = shapes
        self._nodes = {node: _machine(resources) for node, resources in shapes.items()}
        for holding in holdings:
            held = holding.parts
            holding.parts = [(n, g) for n, g in held if n in self._nodes and self._nodes[n].take_again(g)]
        return True

    def capacity(self) -> dict[str, float]:
        """What all nodes together have."""
        total: Counter[str] = Counter()
        for resources in self._watch.shapes.values():
            total.update(_machine(resources).capacity())
        return dict(total)

    def mark_suspect_node(self, node: str) -> None:
        """An actor on this node is out of reach; Ray itself may need many seconds to see that the node is."""
        self._suspects[node] = time.monotonic() + _SUSPICION_S

    def take(self, request: Request) -> PlacementGroup | None:
        """Note that an actor of ours will hold this; None if, for all we hold, it does not fit."""
        bundles = request.bundles if isinstance(request, PlacementGroupFactory) else [request]
        parts: list[tuple[str, Allocation]] = []
        for bundle in bundles:
            for node, machine in self._nodes.items():
                grant = machine.take(_plain(bundle))
                if grant is not None:
                    parts.append((node, grant))
                    break
            else:
                self.give_back(PlacementGroup(parts))
                return None
        return PlacementGroup(parts)

    def settle(self, holding: PlacementGroup, node: str, request: Request) -> None:
        """Ray placed the actor on ``node``, perhaps not where we thought."""
        if (isinstance(request, PlacementGroupFactory) and holding.parts) or (
            holding.parts and holding.parts[0][0] == node
        ):
            return
        self.give_back(holding)
        head = request.head if isinstance(request, PlacementGroupFactory) else request
        grant = self._nodes[node].take(_plain(head)) if node in self._nodes else None
        if grant is not None:
            holding.parts = [(node, grant)]

    def give_back(self, holding: PlacementGroup) -> None:
        """An actor is gone."""
        for node, grant in holding.parts:
            if node in self._nodes:
                self._nodes[node].give_back(grant)
        holding.parts = []

    # --- what it can never do -----------------------------------------------------------------------------------------

    def refuse(self, request: Request) -> str | None:
        """Why the cluster as it is can never meet a request; None if it can, or may grow."""
        bundles = request.bundles if isinstance(request, PlacementGroupFactory) else [request]
        for bundle in bundles:
            for name, amount in bundle.items():
                if amount > 1 and amount != int(amount) and name != "memory":
                    return f"asks for {amount:g} {name}, and Ray gives more than 1 only in whole numbers"
        if self.autoscaling:
            return None
        empty = [_machine(resources) for resources in self._watch.shapes.values()]
        strategy = request.strategy if isinstance(request, PlacementGroupFactory) else "PACK"
        if _fits(bundles, empty, strategy):
            return None
        wanted = " + ".join(_text(bundle) for bundle in bundles)
        return f"asks for {wanted}{f' ({strategy})' if len(bundles) > 1 else ''}, and the cluster has {self.describe()}"

    def describe(self) -> str:
        """The nodes, for people."""
        counts: dict[str, int] = {}
        for resources in self._watch.shapes.values():
            text = _machine(resources).describe()
            counts[text] = counts.get(text, 0) + 1
        return "; ".join(f"{n} node{'s' if n > 1 else ''} of {text}" for text, n in counts.items()) or "no node"

    def check_head(self, now: float) -> None:
        """Raise when the cluster's head no longer answers.

        Raises
        ------
        ExecutorError
            When it has been silent for ten seconds; Ray itself would end this process after a minute.
        """
        if now - self._head_at < _HEAD_S:
            return
        self._head_at = now
        try:
            _probe_address(self._gcs)
        except OSError as error:
            self._silent_since = self._silent_since or now
            if now - self._silent_since >= _GONE_AFTER_S:
                self.is_headless = True
                raise ExecutorError(
                    f"The head of the Ray cluster at {self._gcs}",
                    f"has not answered for {_GONE_AFTER_S:g} s ({error})",
                    "it was stopped, or the network to it is down",
                    "All results so far are kept: start the cluster again and go on with Tuner.restore.",
                ) from error
        else:
            self._silent_since = None


def _probe_address(address: str | None) -> None:
    """Raise an OSError if nobody listens at host:port; Ray would try for a minute and then end the process."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()


class _Watch:
    """Looks at the nodes once a second, in a thread: the call does not return when the head is gone."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._stopped = threading.Event()
        self.shapes = self._look()
        self._thread = threading.Thread(target=self._run, name="tune-core-nodes", daemon=True)
        self._thread.start()

    def _look(self) -> dict[str, dict[str, float]]:
        return {
            node["NodeID"]: {name: amount for name, amount in node["Resources"].items() if "_group_" not in name}
            for node in self._ray.nodes()
            if node["Alive"]
        }

    def _run(self) -> None:
        while not self._stopped.wait(_REFRESH_S):
            with contextlib.suppress(Exception):
                self.shapes = self._look()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self._thread.join(2.0)


def actor_options(request: Mapping[str, float]) -> dict[str, Any]:
    """A request as options of a Ray actor."""
    custom = {n: a for n, a in request.items() if n not in ("cpu", "gpu", "memory")}
    options: dict[str, Any] = {"num_cpus": request.get("cpu", 0), "num_gpus": request.get("gpu", 0)}
    if custom:
        options["resources"] = custom
    if request.get("memory"):
        options["memory"] = int(request["memory"])
    return options


def bundle_of(request: Mapping[str, float]) -> dict[str, float]:
    """A request as a bundle of a Ray placement group."""
    return {{"cpu": "CPU", "gpu": "GPU"}.get(name, name): amount for name, amount in request.items() if amount}


def shape_of(resources: Any) -> Any:
    """A hashable form of a request: trials of one shape can share an actor."""
    if isinstance(resources, PlacementGroupFactory):
        return resources
    if not isinstance(resources, Mapping):
        raise ResourceError(
            "resources", f"is {resources!r}", "it is a dict or a PlacementGroupFactory", 'Use e.g. {"cpu": 1}.'
        )
    return tuple(sorted((name, amount) for name, amount in resources.items() if amount))


def _plain(request: Mapping[str, float]) -> dict[str, float]:
    return {name: amount for name, amount in request.items() if amount and name != "memory"}


def _machine(resources: Mapping[str, float]) -> Machine:
    custom = {n: a for n, a in resources.items() if n not in ("CPU", "GPU") and not n.startswith(_NOT_AMOUNTS)}
    return Machine(resources.get("CPU", 0), [str(i) for i in range(int(resources.get("GPU", 0)))], custom)


def _fits(bundles: list[Any], machines: list[Machine], strategy: str) -> bool:
    """Whether the bundles fit an empty cluster, tried largest first."""
    plain = sorted((_plain(b) for b in bundles), key=lambda b: -sum(b.values()))
    if strategy == "STRICT_PACK":
        return any(all(machine.take(bundle) is not None for bundle in plain) for machine in machines)
    for bundle in plain:
        machine = next((m for m in machines if m.take(bundle) is not None), None)
        if machine is None:
            return False
        if strategy == "STRICT_SPREAD":
            machines = [m for m in machines if m is not machine]
    return True


def _text(request: Mapping[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in request.items() if amount) or "nothing"


def _grows() -> bool:
    """Whether an autoscaler runs: Ray's launcher leaves its configuration on the head, KubeRay sets a variable."""
    launched = os.path.exists(os.path.expanduser("~/ray_bootstrap_config.yaml"))
    return launched or "KUBERAY_GEN_RAY_START_CMD" in os.environ
