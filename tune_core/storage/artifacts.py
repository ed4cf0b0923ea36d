"""The other files that trials write into their folders: which of them are kept, and sent."""

from __future__ import annotations

import fnmatch
import logging
import os
import stat
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from tune_core.storage.objects import ObjectStore, join

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ArtifactRules:
    """Which files of a trial's folder are artifacts.

    Parameters
    ----------
    patterns
        Wildcards for their names relative to the trial's folder; ``*`` matches ``/``, too.
    max_bytes
        Larger files are left out, and named in the log.
    """

    patterns: Sequence[str] = ("*",)
    max_bytes: int = 1 << 30


def artifacts_in(folder: str, rules: ArtifactRules) -> dict[str, tuple[int, int]]:
    """The artifacts in a trial's folder: names relative to it, each with the time of its change and its size.

    Checkpoints, hidden files, links and what is no regular file are none.
    """
    found: dict[str, tuple[int, int]] = {}
    for where, folders, files in os.walk(folder):
        top = os.path.samefile(where, folder)
        folders[:] = [f for f in folders if not f.startswith(".") and not (top and f.startswith("checkpoint_"))]
        for file in files:
            path = os.path.join(where, file)
            name = os.path.relpath(path, folder).replace(os.sep, "/")
            if file.startswith(".") or not any(fnmatch.fnmatch(name, pattern) for pattern in rules.patterns):
                continue
            try:
                status = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                found[name] = (status.st_mtime_ns, status.st_size)
    return found


class ArtifactSender:
    """Sends the artifacts of trials to an experiment's store, and again when they have changed."""

    def __init__(self, store: ObjectStore, folder: str, rules: ArtifactRules) -> None:
        self._store = store
        self._folder = folder
        self._rules = rules
        self._sent: dict[str, tuple[int, int]] = {}
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def send(self) -> None:
        """Send what is new in the folders of all trials."""
        with self._lock:
            self._send()

    def _send(self) -> None:
        try:
            trials = sorted(name for name in os.listdir(self._folder) if name.startswith("trial_"))
        except FileNotFoundError:
            return
        for trial in trials:
            folder = os.path.join(self._folder, trial)
            if os.path.isdir(folder) and not os.path.islink(folder):
                self.send_trial(trial)

    def send_trial(self, trial: str) -> None:
        """Send what is new in one trial's folder."""
        folder = os.path.join(self._folder, trial)
        for name, (changed, size) in artifacts_in(folder, self._rules).items():
            key = join(trial, name)
            if size > self._rules.max_bytes:
                if key not in self._said:
                    self._said.add(key)
                    logger.warning("The artifact %s is not sent: %d bytes are more than max_artifact_bytes", key, size)
            elif self._sent.get(key) != (changed, size):
                self._store.put_file(key, os.path.join(folder, *name.split("/")))
                self._sent[key] = (changed, size)
