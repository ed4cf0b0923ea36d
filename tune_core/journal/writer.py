"""The journal: an append-only file of sealed JSON lines, the only truth about an experiment.

Writing: lines are gathered and written once per turn of the loop; a thread syncs them to disk on a short timer.
Killing the driver loses nothing that was written; a power cut loses at most the timer's span. Reading: every line's
checksum is tested, and the first line that fails, and all after it, is a torn tail: it is cut off, said, and the run
goes on from there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from dataclasses import dataclass
from typing import Any

import msgspec

from tune_core.core import events as ev
from tune_core.errors import ExperimentLockedError, JournalError, StorageError

JOURNAL_FILE = "journal.jsonl"
LOCK_FILE = ".lock"
SYNC_S = 0.5


@dataclass
class Log:
    """A journal as read: its header, all events after it, and how much of the file was whole."""

    header: ev.Header
    events: list[Any]
    size_bytes: int
    torn_bytes: int = 0


class Journal:
    """A journal open for appending.

    Parameters
    ----------
    folder
        The experiment's folder.
    size_bytes
        Length to cut an existing journal to: the ``size_bytes`` of the :class:`Log` that was read. 0 starts anew.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """

    def __init__(self, folder: str, size_bytes: int = 0) -> None:
        self.path = os.path.join(folder, JOURNAL_FILE)
        self._pending: list[bytes] = []
        self._size = size_bytes  # of what is wholly in the file
        self._failed = False
        try:
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 - closed in close()
            self._file.truncate(size_bytes)
        except OSError as error:
            raise unwritable(folder, error) from error
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._syncer = threading.Thread(target=self._sync, name="tune-core-journal", daemon=True)
        self._syncer.start()

    def append(self, lines: bytes) -> None:
        """Take lines in; :meth:`write` puts them into the file."""
        self._pending.append(lines)

    def write(self) -> None:
        """Write what was appended since the last time, in one go.

        Raises
        ------
        StorageError
            If the disk is full or gone.
        """
        if not self._pending or self._failed:
            return
        data = memoryview(b"".join(self._pending))
        size = self._size + len(data)
        self._failed = True  # until it has gone well: behind half a line, or twice, nothing may be written
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
            raise unwritable(os.path.dirname(self.path), error) from error
        self._size = size
        self._pending.clear()
        self._failed = False
        if not self._dirty.is_set():
            self._dirty.set()

    def close(self) -> None:
        """Write, sync and close."""
        try:
            self.write()
        finally:
            self._closing.set()
            self._dirty.set()
            self._syncer.join()
            with contextlib.suppress(OSError):
                os.fsync(self._file.fileno())
            self._file.close()

    def _sync(self) -> None:
        while not self._closing.is_set():
            self._dirty.wait()
            self._closing.wait(SYNC_S)
            self._dirty.clear()
            with contextlib.suppress(OSError):
                os.fsync(self._file.fileno())


def read(folder: str) -> Log:
    """Read a folder's journal up to its last whole line. Executes nothing that the experiment holds.

    Raises
    ------
    JournalError
        If there is none, its first line is not whole, or a newer tune-core wrote it.
    """
    return parse(*_load(folder))


def outline(folder: str) -> tuple[ev.Header, list[ev.Restored]]:
    """The header of a folder's journal and the restores in it: what :func:`read` gives, without reading the rest.

    Raises
    ------
    JournalError
        As for :func:`read`.
    """
    data, path = _load(folder)
    end = data.find(b"\n") + 1
    header = parse(data[:end], path).header
    restores: list[ev.Restored] = []
    while (at := data.find(_RESTORE, end - 1) + 1) > 0:
        end = data.find(b"\n", at) + 1
        if not end or not ev.is_whole(data[at : end - 1]):
            break
        restores += ev.decode_lines(data[at:end])
    return header, restores


_RESTORE = b'\n{"e":"restore"'


def _load(folder: str) -> tuple[bytes, str]:
    path = os.path.join(folder, JOURNAL_FILE)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        raise JournalError(
            f"The folder {folder}",
            "holds no experiment",
            f"there is no {JOURNAL_FILE} in it",
            "Name the experiment's own folder: the one that the run printed at its end. `tune-core ls` lists them.",
        ) from None
    except OSError as error:
        raise JournalError(
            path, "cannot be read", str(error.strerror or error), "Check the file's permissions."
        ) from error
    return data, path


def parse(data: bytes, path: str = JOURNAL_FILE) -> Log:
    """A journal's bytes up to the last whole line; ``path`` is for the errors."""
    whole = whole_length(data)
    lines = data[:whole]
    end = lines.find(b"\n") + 1
    if end == 0:
        raise JournalError(
            path, "has no whole first line", "the run was killed before it began", "Start it again with Tuner.fit()."
        )
    header = read_header(path, lines[: end - 1])
    try:
        events = ev.decode_lines(lines[end:])
    except msgspec.ValidationError as error:
        raise _unknown(path, header.version, error) from error
    return Log(header, events, whole, len(data) - whole)


def whole_length(data: bytes) -> int:
    """Length of the part that consists of whole lines with right checksums."""
    at = 0
    for line in data.split(b"\n"):
        if not ev.is_whole(line):
            return at if at <= len(data) else len(data)
        at += len(line) + 1
    return min(at, len(data)) if data.endswith(b"\n") else max(0, data.rfind(b"\n") + 1)


def read_header(path: str, line: bytes) -> ev.Header:
    """The header that a journal's first line (without its newline) holds, or a clear error."""
    raw = msgspec.json.decode(line)
    schema = raw.get("schema", ev.SCHEMA)
    if raw.get("e") != "run":
        raise JournalError(
            path, "does not start with a run's header", "it is no journal of tune-core", "Check the path."
        )
    if not isinstance(schema, int) or schema > ev.SCHEMA:
        raise JournalError(
            path,
            f"has schema {schema}, written by tune-core {raw.get('version')}",
            f"this version reads schemas up to {ev.SCHEMA}",
            "Upgrade: pip install -U tune-core",
        )
    try:
        header: ev.Header = msgspec.json.decode(line, type=ev.Header)
    except msgspec.ValidationError as error:
        raise _unknown(path, raw.get("version"), error) from error
    return header


def _unknown(path: str, version: Any, error: Exception) -> JournalError:
    return JournalError(
        path,
        f"has a line that this version does not know: {error}",
        f"it was written by tune-core {version}",
        "Read it with that version, or upgrade: pip install -U tune-core",
    )


class Lock:
    """Keeps a second driver out of an experiment's folder; given up when this process ends, however it ends."""

    def __init__(self, folder: str) -> None:
        try:
            self._file = open(os.path.join(folder, LOCK_FILE), "a+")  # noqa: SIM115 - held until release()
        except OSError as error:
            raise unwritable(folder, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            raise ExperimentLockedError(
                f"The experiment in {folder}",
                f"is being run by another driver (process {owner})",
                "two drivers would write over each other",
                "Wait for it or end it; or give this run a name of its own with RunConfig(name=...).",
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Let others in."""
        self._file.close()


def unwritable(folder: str, error: OSError) -> StorageError:
    """A clear error for a folder that cannot be written."""
    import errno

    if error.errno == errno.ENOSPC:
        cause, fix = (
            "the disk is full",
            "Free some space and restore the run with Tuner.restore: nothing written is lost.",
        )
    else:
        cause, fix = (
            str(error.strerror or error),
            "Choose a folder that you may write, with RunConfig(storage_path=...).",
        )
    return StorageError(f"The experiment's folder {folder}", "cannot be written", cause, fix)
