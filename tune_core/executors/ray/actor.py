"""The Ray actor that runs trials: the trial's side of :mod:`tune_core.executors.ray.executor`.

Every call of :meth:`TrialHost.exchange` brings messages and takes a batch of events back as soon as there is one; the
driver keeps at least one call open. A thread of its own runs the trials, always the same one, so a control message
reaches the actor while a trial runs.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tune_core.core import events as ev
from tune_core.core.paths import CheckpointStore, trial_folder
from tune_core.executors.base import RunSpec
from tune_core.executors.local import definitions
from tune_core.executors.local.output import Output, redirect
from tune_core.executors.ray import files as ray_files
from tune_core.executors.ray import nested_launches
from tune_core.executors.ray.uploads import Outbox, StoreCheckpoints, send_artifacts
from tune_core.executors.worker import log_setup
from tune_core.executors.worker.stored_checkpoints import checkpoints_of
from tune_core.executors.worker.surroundings import Surroundings
from tune_core.executors.worker.system import nameless_file
from tune_core.executors.worker.worker import Worker
from tune_core.storage.scratch import Scratch
from tune_core.trainable import Prepared

MAX_OPEN = 2
"""Calls that may wait in the actor for something to take back."""
_TICK_S = 0.1
_GATHER_S = 0.005
"""How long at most an answer waits for further events, while there are many trials in hand..."""
_MANY = 8
_MOST_WAITING_BYTES = 16 << 20


class ReorderBuffer:
    """Puts numbered things back into the order of their numbers: calls to a threaded actor may overtake each other."""

    def __init__(self) -> None:
        self._next = 0
        self._early: dict[int, Any] = {}

    def put(self, number: int, thing: Any) -> Iterable[Any]:
        """Take in one thing; those whose turn has come."""
        self._early[number] = thing
        while self._next in self._early:
            yield self._early.pop(self._next)
            self._next += 1


class ActorLink:
    """A trial's connection to its driver, inside the actor."""

    def __init__(self, outbox: queue.SimpleQueue[Any] | Outbox) -> None:
        self._outbox = outbox
        self.control: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()

    def send(self, lines: bytes) -> None:
        """Pass journal lines to the driver."""
        self._outbox.put(lines)

    def receive(self) -> tuple[Any, ...] | None:
        """Wait for a message."""
        return self.control.get()

    def has_message(self) -> bool:
        """Whether a message is there."""
        return not self.control.empty()


class ObjectStoreCheckpoints:
    """Checkpoints that travel through Ray's object store, since the experiment's folder is not reachable from here.

    A saved one goes to the driver in the same reply as the report that names it, or an earlier one; the driver puts it
    into the experiment's folder before it journals the report. While more than a bound waits for the driver, saving
    waits too, so that a trial that saves faster than the driver takes does not fill the memory.
    """

    def __init__(self, outbox: queue.SimpleQueue[Any], scratch: str) -> None:
        self._outbox = outbox
        self._waiting_bytes = 0
        self._taken = threading.Condition()
        self._scratch = os.path.join(scratch, "fetched")
        self.sent: Any = None  # the reference that came with the present trial

    def save(self, source: str, trial: int, name: str) -> None:
        """Send a checkpoint's files to the driver; waits while too much is on its way."""
        packed = ray_files.pack(source)
        with self._taken:
            self._taken.wait_for(lambda: self._waiting_bytes <= _MOST_WAITING_BYTES)
            self._waiting_bytes += ray_files.size(packed)
        self._outbox.put(("checkpoint", trial, name, packed))

    def on_taken(self, packed: ray_files.Packed) -> None:
        """The driver has a checkpoint."""
        with self._taken:
            self._waiting_bytes -= ray_files.size(packed)
            self._taken.notify_all()

    def fetch(self, trial: int, name: str) -> str:
        """The local folder of the checkpoint that the driver sent along with the trial."""
        folder = os.path.join(self._scratch, f"trial_{trial:05d}", name)
        if not os.path.isdir(folder):
            import ray

            self.clear()
            ray_files.unpack(ray.get(self.sent), folder)
        return folder

    def clear(self) -> None:
        """Forget what was fetched."""
        shutil.rmtree(self._scratch, ignore_errors=True)


class SentOutput(Output):
    """What trials print, also passed to the driver, which can't see the file here."""

    def __init__(self, file: int, outbox: queue.SimpleQueue[Any] | Outbox) -> None:
        super().__init__(file)
        self._outbox = outbox

    def write(self, folder: str, data: bytes) -> None:
        super().write(folder, data)
        self._outbox.put(("output", int(folder.rpartition("_")[2]), data))


class TrialHost:
    """The actor. Takes trials from the driver, one or two in hand, and runs them one after another."""

    def __init__(
        self,
        name: str,
        spec: RunSpec,
        payload: Any,
        token: str | None,
        path: list[str],
        hides_gpus: bool,
        bundles: list[dict[str, float]],
        own: dict[str, float],
    ) -> None:
        os.environ.update(spec.env)
        sys.path.extend(folder for folder in path if folder not in sys.path and os.path.exists(folder))
        if hides_gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        nested_launches.guard(bundles, own)
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        if spec.store is not None:
            for variable, value in spec.store.environment.items():
                os.environ.setdefault(variable, value)
        self._jobs: queue.SimpleQueue[tuple[ev.Launch, Any] | None] = queue.SimpleQueue()
        self._arriving = ReorderBuffer()
        self._lock = threading.Lock()  # over the next four
        self._queued: set[tuple[int, int]] = set()
        self._open = 0
        self._answer_at = 0  # trials left when it is time to answer, so that more come before the last has begun
        self._turn = threading.Lock()  # whoever takes from the outbox
        self._replies = 0
        self._payload = payload
        self._scratch_folder = Scratch(f"tune-core-{name}")  # as long as this lives, the folder does
        self._scratch = self._scratch_folder.path
        self._reachable = token is not None and _is_reachable(spec.folder, token)
        self._spec = spec if self._reachable else replace(spec, folder=os.path.join(self._scratch, spec.name))
        self._to_driver: queue.SimpleQueue[Any] | Outbox = self._outbox
        if spec.store is not None and not self._reachable:
            self._to_driver = Outbox(self._outbox, spec.store)
        self._link = ActorLink(self._to_driver)
        self._worker: Worker | None = None
        self._output: Output | None = None
        self._outbox.put(("ready", self._facts()))
        threading.Thread(target=self._serve, name="tune-core-trials", daemon=True).start()
        threading.Thread(target=self._tick, name="tune-core-tick", daemon=True).start()

    def _facts(self) -> dict[str, Any]:
        import ray

        return {
            "node": ray.get_runtime_context().get_node_id(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "reachable": self._reachable,
        }

    # --- the driver's calls -------------------------------------------------------------------------------------------

    def exchange(self, number: int, messages: list[tuple[Any, ...]]) -> tuple[int, bytes, list[tuple[Any, ...]]]:
        """Take ``messages`` in; wait for something to take back: (number, journal lines, what goes with them)."""
        with self._lock:
            for in_turn in self._arriving.put(number, messages):
                for message in in_turn:
                    self._take(message)
            left = len(self._queued)
            self._answer_at = left // 2 if left >= _MANY else left
            self._open += 1
            if self._open > MAX_OPEN:
                self._outbox.put(None)  # lets the one that waits longest go
        with self._turn:
            parts = self._gather()
            reply = self._replies
            self._replies += 1
            with self._lock:
                self._open -= 1
        lines = b"".join([part for part in parts if type(part) is bytes])
        extras = [part for part in parts if type(part) is tuple]
        self._note_taken(extras)
        return reply, lines, extras

    def _gather(self) -> list[Any]:
        """Wait for something to take back, and a little for what follows at once from very short trials."""
        parts = [self._outbox.get()]
        until = time.monotonic() + _GATHER_S
        with contextlib.suppress(queue.Empty):
            while parts[-1] is not None and len(self._queued) > self._answer_at:
                parts.append(self._outbox.get(timeout=max(0.0, until - time.monotonic())))
            while True:
                parts.append(self._outbox.get_nowait())
        return parts

    def _note_taken(self, extras: list[tuple[Any, ...]]) -> None:
        """Checkpoints leave with this reply; the driver asks for the next when it has taken it in."""
        store = self._worker.store if self._worker is not None else None
        if isinstance(store, ObjectStoreCheckpoints):
            for extra in extras:
                if extra[0] == "checkpoint":
                    store.on_taken(extra[3])

    def _take(self, message: tuple[Any, ...]) -> None:
        kind = message[0]
        if kind == "launch":
            job: ev.Launch = message[1]
            self._queued.add((job.trial, job.attempt))
            self._jobs.put((job, message[2]))
        elif kind == "close":
            self._jobs.put(None)
        elif kind in ("withdraw", "revoke") and message[1:3] in self._queued:
            self._queued.discard(message[1:3])
            how = "returned" if kind == "withdraw" else "revoked"
            self._outbox.put(ev.encode(ev.Ended(message[1], how, time.time(), message[3], "", message[2])))
        elif kind != "withdraw":
            self._link.control.put(message)

    # --- the trials' thread -------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        worker = self._prepare()
        while (item := self._jobs.get()) is not None:
            job, checkpoint = item
            with self._lock:
                if (job.trial, job.attempt) not in self._queued:
                    continue  # taken back
                self._queued.discard((job.trial, job.attempt))
            if isinstance(worker, str):
                why = "the objective cannot be loaded"
                self._outbox.put(ev.encode(ev.Ended(job.trial, "invalid", time.time(), why, worker, job.attempt)))
                continue
            if isinstance(worker.store, (ObjectStoreCheckpoints, StoreCheckpoints)):
                worker.store.sent = checkpoint
                worker.store.clear()
            worker.run(job)
            self._send_artifacts(job.trial)
        if isinstance(worker, Worker):
            worker._discard_kept()
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._outbox.put(("closed",))

    def _prepare(self) -> Worker | str:
        """The worker; or why there can be none."""
        import ray

        try:
            prepared, found = ray.get(self._payload[0])
            definitions.publish(found, os.path.join(self._scratch, "main"))
        except BaseException as error:
            said = [line.strip() for line in str(error).splitlines() if len(line.strip()) > 1] or [repr(error)]
            return (
                f"The objective {self._spec.trainable_name} could not be loaded on the node {socket.gethostname()}: "
                f"{said[-1]}.\n"
                "Make sure that the modules which it needs are on every node, or send them along: "
                'RayExecutor(runtime_env={"working_dir": "."}).'
            )
        worker = Worker(self._link, self._spec, prepared, self._checkpoints(), anew=self._load_again)
        with contextlib.suppress(OSError):
            self._output = worker.output = self._redirect()
        log_setup.apply(self._spec.logging)
        worker.surroundings = Surroundings(self._spec.chdir, hands_on=self._spec.hands_on_folders)
        self._worker = worker
        return worker

    def _load_again(self) -> Prepared:
        """The trainable once more, with the script's definitions of the same loading in ``__main__``."""
        import ray

        prepared, found = ray.get(self._payload[0])
        definitions.renew(found)
        return prepared  # type: ignore[no-any-return]

    def _checkpoints(self) -> CheckpointStore:
        """Where checkpoints go: into the folder, to the store, or to the driver."""
        if self._reachable:
            return checkpoints_of(self._spec)
        if isinstance(self._to_driver, Outbox) and self._spec.store is not None:
            return StoreCheckpoints(self._to_driver, self._spec.store, self._scratch)
        return ObjectStoreCheckpoints(self._outbox, self._scratch)

    def _send_artifacts(self, trial: int) -> None:
        """What a trial wrote into its folder on this node, to the store or to the driver; then it is deleted here."""
        rules, folder = self._spec.artifacts, trial_folder(self._spec.folder, trial)
        if self._reachable or not os.path.isdir(folder):
            return
        try:
            if rules is not None:
                send_artifacts(folder, rules, self._spec.store, self._to_driver, trial)
        except Exception as error:
            text = f"the artifacts of trial {trial:05d} could not be sent from {socket.gethostname()}: {error}"
            self._to_driver.put(ev.encode(ev.Noted(text, trial)))
        shutil.rmtree(folder, ignore_errors=True)

    def _redirect(self) -> Output:
        """Send all that this process prints to a file, and sort it into the trials' own."""
        file = nameless_file("tune-core-output")
        redirect(file)
        return Output(file) if self._reachable else SentOutput(file, self._to_driver)

    def _tick(self) -> None:
        """Send what lies about, and move the output on."""
        while True:
            time.sleep(_TICK_S)
            with contextlib.suppress(Exception):
                if self._worker is not None:
                    self._worker.pipe.flush()
                if self._output is not None:
                    self._output.move()


def _is_reachable(folder: str, token: str) -> bool:
    """Whether this is the experiment's folder, and not one of the same name on another disk."""
    return os.path.exists(os.path.join(folder, token)) and os.access(folder, os.W_OK)
