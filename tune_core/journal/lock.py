"""Keeps a second driver out of an experiment's folder, and tells whether one is at work there.

The kernel's lock decides, and ends with its holder. On a file system without locks, or with locks that only one
machine knows of (NFS mounted with ``nolock``), the file itself does: it names its holder, and a thread of the holder's
touches it every second. A driver that can see the holder's process asks for that; one on another machine, or in another
container, waits for a moment whether the file is touched.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Mapping

from tune_core.core.files import open_regular
from tune_core.core.values import JsonObject
from tune_core.errors import ExperimentLockedError
from tune_core.journal.writer import unwritable

LOCK_FILE = ".lock"
_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_RETRY_S = 0.25  # a reader that asks whether the run goes on holds the lock for a moment
_BEAT_S = 1.0
_SILENT_S = 5.0  # without a touch for so long, a holder that cannot be seen is gone
_SKEW_S = 60.0  # by which two machines' clocks may differ, for who only reads

_log = logging.getLogger(__name__)
_held: weakref.WeakSet[Lock] = weakref.WeakSet()


class Lock:
    """Keeps a second driver out of an experiment's folder; given up when this process ends, however it ends.

    Processes that this one forks do not hold it.

    Parameters
    ----------
    folder
        The experiment's folder.
    known_as
        What errors call the experiment's place, if not by its folder: its URL.

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

    def __init__(self, folder: str, known_as: str = "") -> None:
        self.note = ""
        self._known_as = known_as or folder
        self._descriptor = -1
        self._released = threading.Event()
        self._toucher = 0  # the process that keeps the file touched
        self._path = os.path.join(folder, LOCK_FILE)
        try:
            self._descriptor = open_regular(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise unwritable(folder, error) from error
        try:
            self._take(folder)
            os.ftruncate(self._descriptor, 0)
            pid = os.getpid()
            owner = {"pid": pid, "host": socket.gethostname(), "at": time.time()}
            owner.update(processes=_processes_here(), started=_started(pid))
            os.pwrite(self._descriptor, json.dumps(owner).encode(), 0)
            self._toucher = pid
            threading.Thread(target=self._touch, name="tune-core-lock", daemon=True).start()
        except OSError as error:
            self.release()
            raise error if isinstance(error, ExperimentLockedError) else unwritable(folder, error) from error
        _held.add(self)

    def _take(self, folder: str) -> None:
        until = time.monotonic() + _RETRY_S
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._refuse_if_touched(folder)
                return
            except ExperimentLockedError:
                raise
            except OSError as error:
                if error.errno not in _TAKEN:
                    self._go_without(folder, error)
                    return
                if time.monotonic() >= until:
                    raise _locked(self._known_as, _owner(self._descriptor)) from error
                time.sleep(0.02)

    def _refuse_if_touched(self, folder: str) -> None:
        """The lock is ours, but may be known to this machine alone: raise if a holder elsewhere lives."""
        owner = _owner(self._descriptor)
        if _is_alive(owner) is None:
            _log.info(
                "The last driver of %s cannot be seen from here: waiting %g s for a touch of its", folder, _SILENT_S
            )
            if _is_touched(self._path, _SILENT_S):
                raise _locked(self._known_as, owner)

    def _go_without(self, folder: str, error: OSError) -> None:
        """The file system has no locks: the file says who holds it, and its touches whether that is still so."""
        owner = _owner(self._descriptor)
        alive = _is_alive(owner)
        if alive is None:
            _log.info("The driver of %s cannot be seen from here: waiting %g s for a touch of its", folder, _SILENT_S)
            alive = _is_touched(self._path, _SILENT_S)
        elif alive and owner.get("pid") == os.getpid():
            alive = any(os.path.samestat(os.fstat(self._descriptor), os.fstat(lock._descriptor)) for lock in _held)
        if alive:
            raise _locked(self._known_as, owner) from error
        self.note = (
            f"the file system of {folder} has no locks ({error.strerror or error}): a second driver is kept out by "
            f"the file {LOCK_FILE} alone, so start no two at the same moment"
        )
        _log.warning(self.note)

    def _touch(self) -> None:
        """Show about once a second that this process holds it."""
        while not self._released.wait(_BEAT_S):
            with contextlib.suppress(OSError):  # it was released meanwhile, or the folder is away for a moment
                os.utime(self._path)

    def is_in(self, folder: str) -> bool:
        """Whether it is the lock of ``folder``: the folder may have been moved while it was waited for."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(os.path.join(folder, LOCK_FILE)))
        except OSError:
            return False

    def release(self) -> None:
        """Release the lock."""
        _held.discard(self)
        self._released.set()
        if self._descriptor >= 0:
            if self._toucher == os.getpid():
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, 0)  # nobody needs to wait for a touch
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

    Where the file system has no locks: whether the process that the lock's file names is alive; one that cannot be seen
    from here, whether it has touched the file within the last minute.
    """
    try:
        descriptor = open_regular(os.path.join(folder, LOCK_FILE), os.O_RDONLY)
    except OSError:  # no lock was ever taken, or it is not ours to read
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError as error:
        if error.errno in _TAKEN:
            return True
        alive = _is_alive(_owner(descriptor))
        return abs(time.time() - os.fstat(descriptor).st_mtime) < _SKEW_S if alive is None else alive
    finally:
        os.close(descriptor)


def _owner(descriptor: int) -> JsonObject:
    """What the lock's file says of its holder; empty if that is not readable. Older versions wrote a bare number."""
    try:
        found = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except (OSError, ValueError, RecursionError):
        return {}
    if isinstance(found, dict):
        return found
    return {"pid": found} if isinstance(found, int) and not isinstance(found, bool) else {}


def _is_alive(owner: Mapping[str, object]) -> bool | None:
    """Whether a lock's holder is alive; None where its process cannot be seen from here."""
    pid = owner.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    if owner.get("host", socket.gethostname()) != socket.gethostname():
        return None
    if owner.get("processes", here := _processes_here()) != here:
        return None
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except (OSError, OverflowError):
        return False
    return owner.get("started") in (None, _started(pid))  # else another process has got its number


def _processes_here() -> str | None:
    """A name for the processes that can be seen from here: the machine's start and the container; None if unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _started(pid: int) -> int | None:
    """When a process began, in the kernel's ticks since the machine's start; None if unknown."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _is_touched(path: str, within_s: float) -> bool:
    """Whether somebody touches a file; no clock is compared with another machine's."""
    before = _touched_at(path)
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        time.sleep(0.1)
        if _touched_at(path) != before:
            return True
    return False


def _touched_at(path: str) -> int:
    """When a file was touched last; it is opened for that, since clients of NFS ask the server then."""
    descriptor = open_regular(path, os.O_RDONLY)
    try:
        return os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)


def _locked(folder: str, owner: Mapping[str, object]) -> ExperimentLockedError:
    pid = owner.get("pid", "unknown")
    who = f"process {pid}" + (f" on {owner['host']}" if owner.get("host") else "")
    here = pid == os.getpid() and owner.get("host") == socket.gethostname()
    return ExperimentLockedError(
        f"The experiment in {folder}",
        f"is being run by another driver ({who}{', this one' if here else ''})",
        "two drivers would write over each other",
        "Wait for it or end it; or give this run a name of its own with RunConfig(name=...).",
    )
