"""Checkpoints of a node that does not see the experiment's folder: sent to the store from here, not by the driver.

The trial does not wait: its checkpoint is copied to this node's disk and uploaded by a thread. What the trial reports
meanwhile is held back until the upload is whole, so the driver never knows of a checkpoint that could be lost with this
node. Where the store does not take it, the checkpoint travels through Ray's object store to the driver instead, which
keeps it and tries again.
"""

from __future__ import annotations

import logging
import os
import queue
import shutil
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tune_core.core.paths import trial_folder
from tune_core.executors.base import StoreAccess
from tune_core.executors.local.output import OUTPUT_FILE
from tune_core.executors.ray import files as ray_files
from tune_core.executors.worker.stored_checkpoints import download
from tune_core.storage.artifacts import ArtifactRules, ArtifactSender, artifacts_in
from tune_core.storage.objects import ObjectStore

logger = logging.getLogger(__name__)

PATIENCE_S = 60.0
"""How long an upload is tried before the checkpoint goes to the driver."""
_AT_ONCE = 4
BOUND_BYTES = 20 << 30
"""How much may wait to be sent before the trial waits with its next checkpoint."""


class Outbox:
    """What is on its way to the driver, in order; what comes after an upload waits for it."""

    def __init__(self, out: queue.SimpleQueue[object], access: StoreAccess) -> None:
        self._out = out
        self._access = access
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()
        self._bytes = 0
        self._pool = ThreadPoolExecutor(_AT_ONCE, "tune-core-upload")
        self._pool.submit(_reach, access)  # the client's library is loaded before the first checkpoint comes
        threading.Thread(target=self._work, name="tune-core-outbox", daemon=True).start()

    def put(self, item: object) -> None:
        """Pass ``item`` on, after the uploads that were asked for before it."""
        with self._changed:
            if self._waiting:
                self._waiting.append(item)
            else:
                self._out.put(item)

    def upload(self, folder: str, trial: int, name: str) -> None:
        """Send a checkpoint's folder, which is deleted then; waits while too much is to be sent."""
        size = sum(os.path.getsize(os.path.join(where, file)) for where, _, files in os.walk(folder) for file in files)
        with self._changed:
            while self._bytes and self._bytes + size > BOUND_BYTES:
                self._changed.wait()
            self._bytes += size
            upload = _Upload(folder, trial, name, size)
            upload.sent = self._pool.submit(self._send, upload)
            self._waiting.append(upload)
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                item = self._waiting[0]
            if not isinstance(item, _Upload):
                self._out.put(item)
            elif item.sent is not None and (instead := item.sent.result()) is not None:
                self._out.put(instead)
            with self._changed:
                self._waiting.popleft()
                if isinstance(item, _Upload):
                    self._bytes -= item.size_bytes
                self._changed.notify_all()

    def _send(self, upload: _Upload) -> Any:
        """Upload a checkpoint; what goes to the driver instead if that is impossible."""
        from tune_core.storage.folders import upload_folder

        key = f"{trial_folder('', upload.trial).lstrip('/')}/{upload.name}"
        try:
            upload_folder(_reach(self._access), upload.folder, key, deadline_s=PATIENCE_S)
        except Exception as error:
            logger.warning("The checkpoint %s goes to the driver, not to the store: %s", key, error)
            try:
                return "checkpoint", upload.trial, upload.name, ray_files.pack(upload.folder)
            except Exception:  # the report that names it comes all the same; the driver finds out
                logger.exception("The checkpoint %s is lost", key)
        finally:
            shutil.rmtree(upload.folder, ignore_errors=True)
        return None


def _reach(access: StoreAccess) -> ObjectStore:
    from tune_core.storage.connect import object_store

    return object_store(access.url, access.filesystem)


class _Upload:
    def __init__(self, folder: str, trial: int, name: str, size_bytes: int) -> None:
        self.folder = folder
        self.trial = trial
        self.name = name
        self.size_bytes = size_bytes
        self.sent: Future[object] | None = None


class StoreCheckpoints:
    """Checkpoints that go to the experiment's store from this node, and come from there."""

    def __init__(self, outbox: Outbox, access: StoreAccess, scratch: str) -> None:
        self._outbox = outbox
        self._access = access
        self._fetched = os.path.join(scratch, "fetched")
        self._leaving = os.path.join(scratch, "leaving")
        self.sent: object = None  # the reference that came with the present trial, if the driver has its checkpoint

    def save(self, source: str, trial: int, name: str) -> None:
        """Move a checkpoint aside on this node's disk, and have it uploaded in the background."""
        from tune_core.storage.local import persist

        folder = os.path.join(self._leaving, f"{trial:05d}_{name}")
        persist(source, folder)
        self._outbox.upload(folder, trial, name)

    def fetch(self, trial: int, name: str) -> str:
        """The local folder of a checkpoint: from the driver if it sent one along, else downloaded from the store."""
        folder = os.path.join(self._fetched, f"trial_{trial:05d}", name)
        if not os.path.isdir(folder):
            self.clear()
            if self.sent is not None:
                import ray

                ray_files.unpack(ray.get(self.sent), folder)
            else:
                download(self._access, trial, name, folder)
        return folder

    def clear(self) -> None:
        """Forget what was fetched."""
        shutil.rmtree(self._fetched, ignore_errors=True)


def send_artifacts(folder: str, rules: ArtifactRules, access: StoreAccess | None, outbox: Any, trial: int) -> None:
    """Send the artifacts in a trial's folder to the store, or to the driver where there is none."""
    if access is not None:
        from tune_core.storage.retries import with_retries

        parent, name = os.path.split(folder)
        sender = ArtifactSender(_reach(access), parent, rules)
        with_retries(f"send the artifacts of {name}", lambda: sender.send_trial(name), PATIENCE_S)
        return
    for name, (_, size) in artifacts_in(folder, rules).items():
        if name != OUTPUT_FILE and size <= rules.max_bytes:  # what it printed has been sent
            outbox.put(("artifact", trial, name, ray_files.content_of(os.path.join(folder, name))))
