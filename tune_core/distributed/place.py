"""Where a rank stands among the others, and how it is told."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from tune_core.trainable.protocol import SHARED


@dataclass(frozen=True)
class Place:
    """One rank's place."""

    rank: int  #: among all, from 0
    world_size: int  #: ranks in all
    local_rank: int  #: among those of its node, from 0
    local_world_size: int  #: ranks of its node
    node_rank: int  #: its node among the nodes, from 0
    nodes: int  #: nodes in all
    master: str  #: address of rank zero's node
    port: int  #: a port that was free there

    @property
    def facts(self) -> Mapping[str, int]:
        """What ``tune.get_context()`` says of it."""
        return {
            "world_rank": self.rank,
            "world_size": self.world_size,
            "local_rank": self.local_rank,
            "local_world_size": self.local_world_size,
            "node_rank": self.node_rank,
        }

    def environment(self, address: str, run_id: str, attempt: int, threads: int) -> dict[str, str]:
        """Environment variables as ``torchrun`` sets them, and the address of the rank's session.

        Libraries know by ``TORCHELASTIC_RUN_ID`` that their processes were started by somebody else.
        """
        return {
            SHARED: address,
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.world_size),
            "LOCAL_RANK": str(self.local_rank),
            "LOCAL_WORLD_SIZE": str(self.local_world_size),
            "GROUP_RANK": str(self.node_rank),
            "GROUP_WORLD_SIZE": str(self.nodes),
            "ROLE_RANK": str(self.rank),
            "ROLE_WORLD_SIZE": str(self.world_size),
            "ROLE_NAME": "default",
            "NODE_RANK": str(self.node_rank),
            "MASTER_ADDR": self.master,
            "MASTER_PORT": str(self.port),
            "TORCHELASTIC_RUN_ID": run_id,
            "TORCHELASTIC_RESTART_COUNT": str(attempt - 1),
            "TORCHELASTIC_MAX_RESTARTS": "0",
            "TORCHELASTIC_USE_AGENT_STORE": "False",
            "OMP_NUM_THREADS": str(threads),
        }


def free_port() -> int:
    """A port of this machine's that nobody listens at."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port
