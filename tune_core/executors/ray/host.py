"""One actor as the driver sees it: the calls open to it, the trials it has in hand, and how it died."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import time
from typing import Any, NamedTuple

from tune_core.core import events as ev
from tune_core.executors.ray.actor import MAX_OPEN, ReorderBuffer, TrialHost
from tune_core.executors.ray.cluster import PlacementGroup
from tune_core.executors.ray.requests import actor_options, bundle_of
from tune_core.trainable.resources import PlacementGroupFactory


class WorkerActor:
    """An actor for trials of one shape."""

    def __init__(self, name: str, shape: Any, resources: Any, holding: PlacementGroup) -> None:
        self.name = name
        self.shape = shape
        self.resources = resources
        self.holding = holding
        self.asked_at = self.began = self.idle_since = time.monotonic()
        self.ready = False
        self.reachable = False
        self.node = ""
        self.name_for_people = name
        self.jobs: list[ev.Launch] = []  # in hand, the first is running
        self.load = 0  # those, and what is reserved for a moment
        self.asked_back = False  # all but the first
        self.is_listed = False  # among those that may take a further trial
        self.deadline: float | None = None
        self.replies = ReorderBuffer()
        self._outgoing: list[tuple[Any, ...]] = []
        self._calls = 0
        self._open = 0
        self._actor: Any = None
        self._group: Any = None

    def start(self, ray: Any, spec: Any, payload: Any, token: str | None, options: dict[str, Any], inbox: Any) -> None:
        """Ask Ray for it; its first answer says that it runs."""
        request = self.resources
        bundles: list[dict[str, float]] = []  # for what the trial starts itself
        # said, or an actor that is asked for inside a placement group that captures its children would be in that
        strategy: dict[str, Any] = {"scheduling_strategy": options.get("scheduling_strategy", "DEFAULT")}
        if isinstance(request, PlacementGroupFactory):
            from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

            bundles = [bundle_of(bundle) for bundle in request.requests]
            self._group = ray.util.placement_group(bundles, strategy=request.strategy)
            bundles = bundles[1:]
            strategy["scheduling_strategy"] = PlacementGroupSchedulingStrategy(
                self._group, placement_group_bundle_index=0, placement_group_capture_child_tasks=True
            )
            request = request.head
        made = {**options, **actor_options(request), **strategy, "max_restarts": 0, "max_concurrency": MAX_OPEN + 4}
        path = [folder or os.getcwd() for folder in sys.path]
        hides_gpus = not request.get("gpu")
        actor = ray.remote(TrialHost).options(**made)
        self._actor = actor.remote(self.name, spec, [payload], token, path, hides_gpus, bundles, bundle_of(request))
        self.send(inbox)

    def on_actor_ready(self, facts: dict[str, Any]) -> None:
        """It runs."""
        self.ready = True
        self.node = facts["node"]
        self.reachable = facts["reachable"]
        self.name_for_people = f"{facts['host']}-{self.node[:6]}/{self.name}"

    @property
    def is_open(self) -> bool:
        """Whether it can be talked to."""
        return self.ready and self._actor is not None

    # --- calls --------------------------------------------------------------------------------------------------------

    def say(self, *message: Any) -> None:
        """Have a message sent with the next call."""
        self._outgoing.append(message)

    def send(self, inbox: queue.SimpleQueue[Any]) -> None:
        """Call the actor with what there is to say, which may be nothing: the call waits there for events."""
        if self._actor is None or (self._open and not self._outgoing):
            return
        messages, self._outgoing = self._outgoing, []
        reference = self._actor.exchange.remote(self._calls, messages)
        self._calls += 1
        self._open += 1
        reference.future().add_done_callback(lambda future: inbox.put((self, future)))

    def answered(self) -> int:
        """One call was answered; how many are still open."""
        self._open -= 1
        return self._open

    def end(self, ray: Any) -> None:
        """End the actor and give up what it holds."""
        actor, self._actor = self._actor, None
        if actor is not None:
            with contextlib.suppress(Exception):
                ray.kill(actor, no_restart=True)
        if self._group is not None:
            with contextlib.suppress(Exception):
                ray.util.remove_placement_group(self._group)


class WorkerFailure(NamedTuple):
    """Why an actor no longer answers."""

    how: str  # as in Ended
    why: str
    at_start: bool = False  # it could not have started at all
    cause: str = ""
    fix: str = ""


def how_it_died(error: BaseException) -> WorkerFailure:
    """Whether an actor's end was its trial's doing (crashed) or not (lost), from what Ray says of it."""
    import ray.exceptions as rx

    text = str(error)
    if isinstance(error, rx.OutOfMemoryError) or "OUT_OF_MEMORY" in text or "memory pressure" in text:
        return WorkerFailure("crashed", "Ray ended the worker since its node ran out of memory")
    if isinstance(error, rx.RuntimeEnvSetupError):
        return WorkerFailure(
            "lost", text, True, "the runtime_env cannot be set up", "Correct RayExecutor(runtime_env=...)."
        )
    if "No module named 'tune_core" in text:
        return WorkerFailure(
            "lost",
            "No module named 'tune_core' on the node",
            True,
            "tune-core is not installed there",
            'Install it on every node, or send it along: RayExecutor(runtime_env={"py_modules": [tune_core]}) or '
            '{"pip": ["tune-core"]}.',
        )
    if isinstance(error, rx.ActorUnavailableError):
        return WorkerFailure("lost", "the worker's node does not answer")
    if "node has died" in text or "node was terminated" in text or "missing too many heartbeats" in text:
        return WorkerFailure("lost", "the worker's node was lost")
    if "killed by `ray.kill`" in text or "INTENDED" in text:
        return WorkerFailure("lost", "the worker was ended from outside (ray.kill)")
    if isinstance(error, rx.RayActorError):
        if "worker process has died" in text:
            return WorkerFailure(
                "crashed", "the worker process died (often: out of memory, a crash in compiled code, or os._exit)"
            )
        return WorkerFailure(
            "crashed" if "creation task" in text else "lost", _last_line(text), "creation task" in text
        )
    if isinstance(error, rx.RayTaskError):
        return WorkerFailure("crashed", f"the worker failed: {_last_line(text)}")
    return WorkerFailure("lost", f"{type(error).__name__}: {_last_line(text)}")


def _last_line(text: str) -> str:
    return text.strip().rsplit("\n", 1)[-1].strip()
