"""Ray clusters of several nodes on this machine, each with a storage folder of its own where the system allows it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

_CLONE_FS = 0x00000200
_CLONE_NEWNS = 0x00020000


class Nodes:
    """A head that runs no trials, and nodes that do.

    Each node's processes are started in a mount namespace of their own, in which ``storage`` is an empty disk: what one
    node writes there, no other sees. ``apart`` says whether the system allowed that.
    """

    def __init__(self, storage: Path, nodes: int, cpus: int = 1) -> None:
        self.storage = storage
        self.cpus = cpus
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self.apart = True
        self.alive: list[Any] = []
        for _ in range(nodes):
            self.add()

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add(self, **options: Any) -> Any:
        """Start a node and wait until it has joined."""
        with self._on_a_disk_of_its_own():
            node = self.cluster.add_node(**{"num_cpus": self.cpus, **options})
        self.alive.append(node)
        return node

    @contextlib.contextmanager
    def _on_a_disk_of_its_own(self) -> Iterator[None]:
        """What is started here finds ``storage`` empty."""
        here = os.getcwd()
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/mnt") as ours:
            if libc.unshare(_CLONE_NEWNS) != 0:
                self.apart = False
                yield
                return
            try:
                subprocess.run(["mount", "--make-rprivate", "/"], check=True)
                subprocess.run(["mount", "-t", "tmpfs", "none", str(self.storage)], check=True)
                yield
            finally:
                libc.unshare(_CLONE_FS)  # from threads started meanwhile
                assert libc.setns(ours.fileno(), _CLONE_NEWNS) == 0
                os.chdir(here)

    def kill(self, node_id: str) -> None:
        """End a node at once, as a power cut would."""
        node = next(node for node in self.alive if node.node_id == node_id)
        self.alive.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def stop(self) -> None:
        """End the cluster."""
        self.cluster.shutdown()


@contextlib.contextmanager
def joined(storage: Path, nodes: int = 2) -> Iterator[Nodes]:
    """Such a cluster with this process as its driver; both are gone afterwards."""
    started = Nodes(storage, nodes)
    try:
        ray.init(address=started.address, logging_level="ERROR", log_to_driver=False)
        yield started
    finally:
        ray.shutdown()
        started.stop()
