"""The actors of a run: asked for by shape when a trial wants a place, kept while they are used, given up when not."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from tune_core.errors import ResourceError
from tune_core.executors.ray.cluster import Cluster, PlacementGroup
from tune_core.executors.ray.host import WorkerActor
from tune_core.executors.ray.requests import shape_of

SHORT_S = 0.05
"""While trials are shorter than this, the next one is handed over before the end of the present one is known."""
_VERY_SHORT_S = 0.005
IN_HAND = 32
"""Very short trials in the hand of an actor, where none depends on another's result..."""
FEW_IN_HAND = 4
"""...and where one may."""
_IDLE_S = 10.0
LEAVING_S = 60.0
"""How long the ``cleanup`` of a class may take in an actor that is given up."""
_PATIENCE_S = 3.0
_HOPE_S = 60.0
"""How long a request that no node can meet (any more) is waited for where no autoscaler runs."""


class Pool:
    """Places for trials.

    Parameters
    ----------
    cluster
        Where they are.
    start
        Asks Ray for the actor behind a new :class:`WorkerActor`.
    reuse
        Whether an actor runs more than one trial.
    talk_to
        Sends an actor what there is to say to it.
    in_hand
        How many very short trials an actor may have in hand.
    """

    def __init__(
        self,
        cluster: Cluster,
        start: Callable[[WorkerActor], None],
        reuse: bool = True,
        talk_to: Callable[[WorkerActor], None] = lambda host: None,
        in_hand: int = FEW_IN_HAND,
    ) -> None:
        self.hosts: dict[str, WorkerActor] = {}
        self._cluster = cluster
        self._start = start
        self._reuse = reuse
        self._talk_to = talk_to
        self._in_hand = in_hand
        self._idle: dict[object, list[WorkerActor]] = {}
        self._with_room: dict[object, deque[WorkerActor]] = {}  # busy with short trials
        self._full: set[object] = set()  # shapes that found no place since something last changed
        self._unmet: dict[object, object] = {}  # of these, those that have no actor at all, with what they ask for
        self._hopeless_since: dict[object, float] = {}
        self._started = 0
        self._trial_s = math.inf  # moving average; not known yet
        self._demand: int | None = None  # trials that would start now if there were room, where that is known
        self.leaving: dict[str, tuple[WorkerActor, float]] = {}  # actors that clean up, and until when they may

    def __contains__(self, host: WorkerActor) -> bool:
        return self.hosts.get(host.name) is host

    # --- places -------------------------------------------------------------------------------------------------------

    def expect(self, trials: int | None) -> None:
        """So many trials would start now if there were room; None: not known."""
        self._demand = trials

    def room(self, resources: object) -> bool:
        """Whether a trial could be handed over now; if not, room is asked for. None: a trial of any shape."""
        if self._demand == 0:
            return True  # none is to come: whoever asks finds that out without an actor
        if resources is None:
            return any(self._idle.values()) or all(host.ready for host in self.hosts.values())
        shape = shape_of(resources)
        if self._idle.get(shape) or self._roomy(shape) is not None:
            return True
        self._grow(shape, resources)
        return False

    def reserve(self, resources: object) -> WorkerActor | None:
        """An actor for a trial; None if there is none yet."""
        shape = shape_of(resources)
        idle = self._idle.get(shape)
        host = idle.pop() if idle else self._roomy(shape)
        if host is None:
            self._grow(shape, resources)
            return None
        host.load += 1
        return host

    def _roomy(self, shape: object) -> WorkerActor | None:
        """An actor that is busy with short trials, and may have a further one in hand."""
        if self._trial_s > SHORT_S or not self._reuse:
            return None
        most = self._in_hand if self._trial_s < _VERY_SHORT_S else 2
        hosts = self._with_room.get(shape)
        while hosts:
            if hosts[0].is_open and 0 < hosts[0].load < most:
                hosts.rotate(-1)
                return hosts[-1]
            hosts.popleft().is_listed = False
        return None

    def _grow(self, shape: object, resources: Any) -> None:
        """Ask Ray for actors of this shape: as many as trials wait, as are at work already, and as should fit."""
        if shape in self._full:
            return
        of_shape = [host for host in self.hosts.values() if host.shape == shape]
        pending = sum(not host.ready for host in of_shape)
        most = max(4, len(of_shape) - pending)
        if self._demand is not None:  # what an autoscaler sees is what waits
            most = min(most, self._demand)
        while pending < most:
            holding = self._cluster.take(resources)
            if holding is None and self._retire_idle(other_than=shape):
                continue
            if holding is None and not (self._cluster.autoscaling and pending < max(1, len(of_shape))):
                break
            self._started += 1
            host = WorkerActor(f"worker{self._started}", shape, resources, holding or PlacementGroup([]))
            self.hosts[host.name] = host
            self._start(host)
            pending += 1
        self._full.add(shape)
        if pending or of_shape:
            self._unmet.pop(shape, None)
        else:
            self._unmet[shape] = resources

    def _retire_idle(self, other_than: object) -> bool:
        """Give up an idle actor of another shape; whether there was one."""
        idle = [host for shape, hosts in self._idle.items() if shape != other_than for host in hosts]
        if not idle:
            return False
        self.retire(min(idle, key=lambda host: host.idle_since))
        return True

    # --- changes ------------------------------------------------------------------------------------------------------

    def on_actor_ready(self, host: WorkerActor, facts: dict[str, Any]) -> None:
        """An actor runs, and says where."""
        host.on_actor_ready(facts)
        self._cluster.settle(host.holding, host.node, host.resources)
        self._full.discard(host.shape)
        self.make_idle(host)

    def make_idle(self, host: WorkerActor) -> None:
        """An actor has nothing to do."""
        host.idle_since = time.monotonic()
        self._idle.setdefault(host.shape, []).append(host)
        if self._full:
            self._full -= {shape for shape in self._full if shape != host.shape}

    def make_roomy(self, host: WorkerActor) -> None:
        """An actor is busy, and may take a further trial if trials are short."""
        if not host.is_listed:
            host.is_listed = True
            self._with_room.setdefault(host.shape, deque()).append(host)

    def remove(self, host: WorkerActor) -> None:
        """End an actor at once."""
        self._give_up(host)
        if not self._cluster.is_headless:
            host.end(self._cluster.ray)

    def retire(self, host: WorkerActor) -> None:
        """End an actor that has nothing to do, when it has cleaned up."""
        self._give_up(host)
        self.leaving[host.name] = (host, time.monotonic() + LEAVING_S)
        host.say("close")
        self._talk_to(host)

    def has_left(self, host: WorkerActor) -> None:
        """An actor has cleaned up, or took too long for it."""
        if self.leaving.pop(host.name, None) is not None and not self._cluster.is_headless:
            host.end(self._cluster.ray)

    def _give_up(self, host: WorkerActor) -> None:
        """No trial goes to this actor any more, and what it holds is free."""
        self.hosts.pop(host.name, None)
        idle = self._idle.get(host.shape, [])
        if host in idle:
            idle.remove(host)
        self._full.clear()
        self._cluster.give_back(host.holding)

    def note_duration(self, took_s: float) -> None:
        """A trial ended after so long; what is kept is an average."""
        self._trial_s = took_s if self._trial_s == math.inf else 0.9 * self._trial_s + 0.1 * took_s

    def note_long(self, so_far_s: float) -> None:
        """A trial is taking longer than was thought."""
        self._trial_s = max(so_far_s, self._trial_s if self._trial_s < math.inf else 0.0)

    # --- from time to time --------------------------------------------------------------------------------------------

    def look_around(self, now: float) -> None:
        """Take in new nodes and lost ones; give up what has long been idle."""
        if self._cluster.refresh(host.holding for host in self.hosts.values()):
            self._full.clear()
        for host in [h for hosts in self._idle.values() for h in hosts if now - h.idle_since > _IDLE_S]:
            self.retire(host)
        for host, until in list(self.leaving.values()):
            if now > until:
                self.has_left(host)
        self._fail_unplaceable(now)
        self._full -= self._unmet.keys()  # who still wants them asks again
        self._unmet.clear()

    def _fail_unplaceable(self, now: float) -> None:
        """Raise when what trials wait for is not there any more, and nobody will bring it."""
        wanted = {**self._unmet, **{host.shape: host.resources for host in self.pending(now - _PATIENCE_S)}}
        for shape in [shape for shape in self._hopeless_since if shape not in wanted]:
            del self._hopeless_since[shape]
        for shape, resources in wanted.items():
            refusal = self._cluster.refuse(resources)
            if refusal is None:
                self._hopeless_since.pop(shape, None)
            elif now - self._hopeless_since.setdefault(shape, now) > _HOPE_S:
                raise ResourceError(
                    "A trial",
                    f"{refusal} (for {_HOPE_S:g} s now)",
                    "the node that it could run on is gone, and no autoscaler will bring another",
                    "All results so far are kept: add such a node and go on with Tuner.restore; if the cluster grows "
                    "on demand, say so with RayExecutor(autoscaling=True).",
                )

    def waits_for(self, now: float) -> str | None:
        """What actors that were asked for wait for."""
        wanted = [host.resources for host in self.pending(now - _PATIENCE_S)] or list(self._unmet.values())
        if not wanted:
            return None
        places = f"{len(wanted)} places of {wanted[0]}" if len(wanted) > 1 else str(wanted[0])
        return f"room for {places} on the cluster, which has {self._cluster.describe()}"

    def pending(self, before: float) -> list[WorkerActor]:
        """Actors that were asked for before that time and do not run yet."""
        return [host for host in self.hosts.values() if not host.ready and host.asked_at < before]

    def idle(self) -> Iterable[WorkerActor]:
        """Actors with nothing to do."""
        return [host for hosts in self._idle.values() for host in hosts]
