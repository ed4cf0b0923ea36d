"""Trials one after another in this very process: for debuggers and profilers."""

from __future__ import annotations

import contextlib
import copy
import queue
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from tune_core.core import events as ev
from tune_core.core.values import Message
from tune_core.executors.base import Answering, Executor, RunSpec, ends_a_trial
from tune_core.executors.worker.surroundings import Surroundings
from tune_core.executors.worker.worker import Worker
from tune_core.trainable.protocol import StopTrial
from tune_core.trainable.resources import Request
from tune_core.trainable.scope import any_open, outside


class InlineExecutor(Answering, Executor):
    """Runs trials in the driver's own process and thread, one at a time, whatever resources they ask for.

    A trial's changes of working directory and environment are undone at its end, unless trials of other runs go on
    in other threads of the process, which share both. What a trial prints goes to the terminal, ``breakpoint()``
    works, and a profiler sees the objective.
    """

    name = "inline"
    in_driver = True

    def __init__(self) -> None:
        self._job: ev.Launch | None = None
        self._reserved = False
        self._inbox: deque[tuple[object, ...]] = deque()
        self._worker: Worker | None = None
        self._last: list[ev.Batch] = []
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()  # put() is safe in a signal handler
        self._raised: Exception | None = None  # by the loop, inside the objective's report

    def pack(self, prepared: object) -> Any:
        return prepared

    def start(self, run: RunSpec, pump: Callable[[list[ev.Batch]], None]) -> None:
        self._job, self._reserved = None, False
        self._pump = pump
        self._worker = Worker(self, run, run.payload)

    def refuse(self, resources: Request | None) -> str | None:
        return None

    def room(self, resources: Request | None) -> bool:
        return not self._reserved

    def reserve(self, resources: Request | None) -> str | None:
        if self._reserved:
            return None
        self._reserved = True
        return "inline"

    def launch(self, worker: str, job: ev.Launch) -> None:
        self._job = msgspec.structs.replace(job, config=own_copy(job.config))

    def _answer(self, trial: int, kind: str, *rest: object) -> None:
        if self._job is not None and self._job.trial == trial:
            self._inbox.append((kind, trial, self._job.attempt, *rest))

    def kill(self, trial: int, how: str, why: str) -> None:
        """A trial in this process cannot be killed; it ends at its next report."""
        self.revoke(trial, why)

    def poll(self, timeout_s: float) -> list[ev.Batch]:
        """Run the trial that was launched, to its end."""
        if self._job is None or self._worker is None:
            with contextlib.suppress(queue.Empty):
                self._wakes.get(timeout=timeout_s)
                while True:
                    self._wakes.get_nowait()
            return []
        self._inbox.clear()
        self._last = []
        self._raised = None
        self._worker.surroundings = None if any_open() else Surroundings(chdir=False, owns_process=False)
        self._worker.run(self._job)
        if self._raised is not None:
            raise self._raised
        last, self._last = self._last, []
        return last

    def wake(self) -> None:
        self._wakes.put(None)

    def clock(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def waits_for(self) -> str | None:
        return None

    def close(self, grace_s: float = 0.0) -> None:
        if self._worker is not None:
            self._worker._discard_kept()

    # --- the worker's link --------------------------------------------------------------------------------------------

    def send(self, lines: bytes) -> None:
        """Hand a batch to the loop at once; the end of the trial is left for :meth:`poll` to return."""
        batch = ev.Batch(lines, ev.decode_lines(lines))
        if ends_a_trial(batch.events):
            self._job = None
            self._reserved = False
            self._last.append(batch)
            return
        if self._raised is None:
            try:
                with outside():  # callbacks and schedulers are the driver's
                    self._pump([batch])
            except Exception as error:  # not the objective's: it only leaves, and poll() raises it
                self._raised = error
        if self._raised is not None:
            raise StopTrial

    def receive(self) -> Message | None:
        """The next message; the pump has put it there before :meth:`send` returned."""
        return self._inbox.popleft() if self._inbox else None

    def has_message(self) -> bool:
        """Whether a message is there."""
        return bool(self._inbox)


def own_copy(value: object) -> object:
    """A configuration that the objective may change, as one that was sent to another process could be.

    What cannot be copied stays the same object.
    """
    try:
        return copy.deepcopy(value)
    except Exception:
        if isinstance(value, dict):
            return {key: own_copy(item) for key, item in value.items()}
        return [own_copy(item) for item in value] if type(value) is list else value
