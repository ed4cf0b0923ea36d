"""Checkpoints of an experiment in an object store, for workers that reach its working folder."""

from __future__ import annotations

import os
import shutil
import time
import uuid

from tune_core.core.paths import CheckpointStore, trial_folder
from tune_core.executors.base import RunSpec, StoreAccess
from tune_core.storage.local import persist

FULL_FILE = ".uploads-full"
"""In the working folder while too much waits to be sent: see :mod:`tune_core.journal.uploads`."""
_LOOK_S = 0.1


def checkpoints_of(spec: RunSpec) -> CheckpointStore:
    """Where a worker that reaches the experiment's folder keeps checkpoints."""
    if spec.store is None:
        return FolderStore(spec.folder)
    return WorkingFolderStore(spec.folder, spec.store)


class FolderStore:
    """Checkpoints in the experiment's folder, which this process can reach."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def save(self, source: str, trial: int, name: str) -> None:
        persist(source, os.path.join(trial_folder(self._folder, trial), name), marked=True)

    def fetch(self, trial: int, name: str) -> str:
        return os.path.join(trial_folder(self._folder, trial), name)


class WorkingFolderStore(FolderStore):
    """Checkpoints in the working folder: the driver's mirror sends them on, older ones may only be in the store."""

    def __init__(self, folder: str, access: StoreAccess) -> None:
        super().__init__(folder)
        self._full = os.path.join(folder, FULL_FILE)
        self._access = access

    def save(self, source: str, trial: int, name: str) -> None:
        """Keep a checkpoint and have it sent; waits while more is to be sent than the bound allows."""
        while os.path.exists(self._full):
            time.sleep(_LOOK_S)
        super().save(source, trial, name)

    def fetch(self, trial: int, name: str) -> str:
        folder = super().fetch(trial, name)
        if not os.path.isdir(folder):
            download(self._access, trial, name, folder)
        return folder


def download(access: StoreAccess, trial: int, name: str, folder: str) -> None:
    """Bring a checkpoint from the store into ``folder``, which appears all at once."""
    from tune_core.storage import marks
    from tune_core.storage.connect import object_store
    from tune_core.storage.folders import download_folder

    parent = os.path.dirname(folder)
    new = os.path.join(parent, f".{name}.{uuid.uuid4().hex}.new")
    os.makedirs(parent, exist_ok=True)
    try:
        store = object_store(access.url, access.filesystem)
        download_folder(store, trial_folder("", trial).lstrip("/") + f"/{name}", new)
        marks.write_mark(new, folder)
        os.rename(new, folder)
    except OSError:
        if not os.path.isdir(folder):  # else another worker was faster
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
