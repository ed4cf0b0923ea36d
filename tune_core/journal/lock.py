"""Keeps a second driver out of an experiment's folder, and tells whether one is at work there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import time
import weakref
from typing import Any

from tune_core.core.files import open_regular
from tune_core.errors import ExperimentLockedError
from tune_core.journal.writer import unwritable

LOCK_FILE = ".lock"
_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_RETRY_S = 0.25  # a reader that asks whether the run goes on holds the lock for a moment

_log = logging.getLogger(__name__)
_held: weakref.WeakSet[Lock] = weakref.WeakSet()


class Lock:
    """Keeps a second driver out of an experiment's folder; given up when this process ends, however it ends.

    Processes that this one forks do not hold it. On a file system without locks the file alone says who is at work.

    Parameters
    ----------
    folder
        The experiment's folder.

    Attributes
    ----------
    note
        What the user should know: that the file system has no locks. Empty otherwise.

    Raises
    ------
    ExperimentLockedError
        If another driver is at work there.
    StorageError
        If the lock's file cannot be written, or is a link.
    """

    def __init__(self, folder: str) -> None:
        self.note = ""
        self._descriptor = -1
        self._path = os.path.join(folder, LOCK_FILE)
        try:
            self._descriptor = open_regular(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise unwritable(folder, error) from error
        try:
            self._take(folder)
            os.ftruncate(self._descriptor, 0)
            owner = {"pid": os.getpid(), "host": socket.gethostname(), "at": time.time()}
            os.pwrite(self._descriptor, json.dumps(owner).encode(), 0)
        except OSError as error:
            self.release()
            raise error if isinstance(error, ExperimentLockedError) else unwritable(folder, error) from error
        _held.add(self)

    def _take(self, folder: str) -> None:
        until = time.monotonic() + _RETRY_S
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno not in _TAKEN:
                    self._go_without(folder, error)
                    return
                if time.monotonic() >= until:
                    raise _locked(folder, _owner(self._descriptor)) from error
                time.sleep(0.02)

    def _go_without(self, folder: str, error: OSError) -> None:
        """The file system has no locks: only a live process of this host, named in the file, keeps us out."""
        owner = _owner(self._descriptor)
        if _is_alive_here(owner) and owner.get("pid") != os.getpid():
            raise _locked(folder, owner) from error
        self.note = (
            f"the file system of {folder} has no locks ({error.strerror or error}): "
            "nothing keeps a second driver out, so start none in the same folder"
        )
        _log.warning(self.note)

    def release(self) -> None:
        """Let others in."""
        _held.discard(self)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _forget_in_child() -> None:
    """A forked process gives up its copies of the descriptors: the lock is its parent's, and ends with it."""
    for lock in list(_held):
        with contextlib.suppress(OSError):
            lock.release()


os.register_at_fork(after_in_child=_forget_in_child)


def is_running(folder: str) -> bool:
    """Whether a driver is at work on this experiment now: the lock itself is asked.

    Where the file system has no locks: whether the process that the lock's file names is alive on this host.
    """
    try:
        descriptor = open_regular(os.path.join(folder, LOCK_FILE), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError as error:
        return error.errno in _TAKEN or _is_alive_here(_owner(descriptor))
    finally:
        os.close(descriptor)


def _owner(descriptor: int) -> dict[str, Any]:
    """What the lock's file says of its holder; empty if that is not readable. Older versions wrote a bare number."""
    try:
        found = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except (OSError, ValueError, RecursionError):
        return {}
    if isinstance(found, dict):
        return found
    return {"pid": found} if isinstance(found, int) and not isinstance(found, bool) else {}


def _is_alive_here(owner: dict[str, Any]) -> bool:
    pid = owner.get("pid")
    if not isinstance(pid, int) or pid <= 0 or owner.get("host", socket.gethostname()) != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _locked(folder: str, owner: dict[str, Any]) -> ExperimentLockedError:
    who = f"process {owner.get('pid', 'unknown')}" + (f" on {owner['host']}" if owner.get("host") else "")
    return ExperimentLockedError(
        f"The experiment in {folder}",
        f"is being run by another driver ({who})",
        "two drivers would write over each other",
        "Wait for it or end it; or give this run a name of its own with RunConfig(name=...).",
    )
