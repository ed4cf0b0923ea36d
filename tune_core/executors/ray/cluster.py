"""The driver's view of a Ray cluster: joining it, what its nodes have, and which of it our own actors hold."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tune_core.core.optional_imports import require
from tune_core.errors import ExecutorError
from tune_core.executors.machine_resources import Machine
from tune_core.executors.ray.connection import Connection, probe_address
from tune_core.executors.ray.requests import (
    UNTOLD,
    Parts,
    bundles_of,
    described,
    machine,
    place,
    text_of,
)
from tune_core.trainable.resources import PlacementGroupFactory, Request

_REFRESH_S = 1.0
_SUSPICION_S = 30.0
_HEAD_S = 2.0
_GONE_AFTER_S = 10.0


class PlacementGroup:
    """What one actor of ours holds or waits for, bundle by bundle: (node, grant)."""

    def __init__(self, parts: Parts) -> None:
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
    runtime_env
        Ray's runtime environment for the trials.

    Attributes
    ----------
    runtime_env
        What each actor is to be given of it; where Ray was joined here, the whole job has it.
    """

    def __init__(
        self,
        address: str | None,
        options: Mapping[str, Any],
        autoscaling: bool | None,
        runtime_env: Mapping[str, Any] | None = None,
    ) -> None:
        self.ray = require("RayExecutor", "ray", "ray")
        self._connection = Connection(self.ray, address, options, dict(runtime_env or {}))
        self.runtime_env = self._connection.runtime_env
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

    def leave(self) -> None:
        """Shut down what was started or joined here, once no other run uses it."""
        self._watch.stop()
        self._connection.leave(at_once=self.is_headless)

    # --- nodes --------------------------------------------------------------------------------------------------------

    def refresh(self, holdings: Iterable[PlacementGroup]) -> bool:
        """Take in what has become of the nodes; whether they have changed."""
        now = time.monotonic()
        self._suspects = {node: until for node, until in self._suspects.items() if until > now}
        shapes = {node: shape for node, shape in self._watch.shapes.items() if node not in self._suspects}
        if shapes == self._shapes:
            return False
        self._shapes = shapes
        self._nodes = self._empty(shapes)
        for holding in holdings:
            held = holding.parts
            holding.parts = [(n, g) for n, g in held if n in self._nodes and self._nodes[n].take_again(g)]
        return True

    def capacity(self) -> dict[str, float]:
        """What all nodes together have."""
        total: Counter[str] = Counter()
        for resources in self._watch.shapes.values():
            total.update({n: a for n, a in machine(resources).capacity().items() if not n.startswith(UNTOLD)})
        return dict(total)

    def mark_suspect_node(self, node: str) -> None:
        """An actor on this node is out of reach; Ray itself may need many seconds to see that the node is."""
        self._suspects[node] = time.monotonic() + _SUSPICION_S

    def take(self, request: Request) -> PlacementGroup | None:
        """Note that an actor of ours will hold this; None if, for all we hold, it does not fit."""
        parts = place(request, self._nodes)
        return None if parts is None else PlacementGroup(parts)

    def settle(self, holding: PlacementGroup, node: str, request: Request) -> None:
        """Ray placed the actor on ``node``, perhaps not where we thought."""
        if (isinstance(request, PlacementGroupFactory) and holding.parts) or (
            holding.parts and holding.parts[0][0] == node
        ):
            return
        self.give_back(holding)
        head = request.head if isinstance(request, PlacementGroupFactory) else request
        grant = self._nodes[node].take(bundles_of(head)[0]) if node in self._nodes else None
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
        if self.autoscaling or place(request, self._empty(self._watch.shapes)) is not None:
            return None
        return f"asks for {text_of(request)}, and the cluster has {self.describe(request)}"

    @staticmethod
    def _empty(shapes: Mapping[str, Mapping[str, float]]) -> dict[str, Machine]:
        return {node: machine(resources) for node, resources in shapes.items()}

    def describe(self, request: Request | None = None) -> str:
        """The nodes, for people; with the amounts that ``request`` asks for."""
        asked = bundles_of(request) if request is not None else ()
        counts = Counter(described(resources, asked) for resources in self._watch.shapes.values())
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
            probe_address(self._gcs)
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


def _grows() -> bool:
    """Whether an autoscaler runs: Ray's launcher leaves its configuration on the head, KubeRay sets a variable."""
    launched = os.path.exists(os.path.expanduser("~/ray_bootstrap_config.yaml"))
    return launched or "KUBERAY_GEN_RAY_START_CMD" in os.environ
