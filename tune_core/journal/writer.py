"""Writes the journal: lines are gathered, written once per turn of the loop, and synced by a thread on a timer."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
import uuid
from collections.abc import Collection
from typing import Protocol

from tune_core.core.files import open_regular, sync_path
from tune_core.errors import StorageError
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.written_lines import WrittenLines

SYNC_S = 0.25
"""Seconds between two syncs, and so the most that a power cut can cost."""
TORN_FILE = "journal.torn"
"""What restores have cut off the journal's end, one piece behind the other."""

_log = logging.getLogger(__name__)


class Dependents(Protocol):
    """The files that journal lines refer to, as far as they must reach the disk before or after those lines."""

    @property
    def unsynced(self) -> bool:
        """Whether some file that a line names, or is about to name, is not known to be on the disk."""

    def sync(self) -> None:
        """Have all files that lines name so far written to the disk."""

    def take_superfluous(self) -> list[tuple[int, str]]:
        """The files that lines written so far have made superfluous."""

    def delete(self, superfluous: list[tuple[int, str]]) -> None:
        """Delete those: the lines that made them so are on the disk."""


class NoDependents:
    """A journal that refers to no files."""

    unsynced = False

    def sync(self) -> None:
        """Nothing to sync."""

    def take_superfluous(self) -> list[tuple[int, str]]:
        """Nothing is superfluous."""
        return []

    def delete(self, superfluous: list[tuple[int, str]]) -> None:
        """Nothing to delete."""


class Journal:
    """A journal open for appending.

    Parameters
    ----------
    folder
        The experiment's folder.
    size_bytes
        Where to go on in an existing journal: the ``size_bytes`` of the ``Log`` that was read. What is behind that is
        added to ``journal.torn`` and cut off. 0 starts anew.
    dependents
        The files that lines refer to.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """

    def __init__(self, folder: str, size_bytes: int = 0, dependents: Dependents | None = None) -> None:
        self.path = os.path.join(folder, JOURNAL_FILE)
        self._folder = folder
        self._dependents: Dependents = dependents or NoDependents()
        self._pending: list[bytes] = []
        self.written = WrittenLines(size_bytes)  #: where the lines are that were appended
        self._size = size_bytes  # of what is wholly in the file
        self._failed = False
        self._sync_error: OSError | None = None
        self._misplaced = ""  # said once
        try:
            self._file = open_regular(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            self._cut(size_bytes)
        except OSError as error:
            raise unwritable(folder, error) from error
        self._barrier = threading.Lock()  # held while the file is synced: no line that names a new file gets in
        self._dirty = threading.Event()
        self._hurry = threading.Event()
        self._closing = False
        self._syncer = threading.Thread(target=self._run, name="tune-core-journal", daemon=True)
        self._syncer.start()

    @property
    def size_bytes(self) -> int:
        """Length of what is wholly in the file."""
        return self._size

    def append(self, lines: bytes, trials: Collection[int] = ()) -> None:
        """Take lines in; :meth:`write` puts them into the file.

        ``trials``: whose they are, where each line begins as those of single trials do; empty where nobody knows.
        """
        self._pending.append(lines)
        self.written.add(lines, trials)

    def write(self) -> None:
        """Write what was appended since the last time, in one go.

        Raises
        ------
        StorageError
            If the disk is full or gone.
        """
        if self._sync_error is not None:
            error, self._sync_error = self._sync_error, None
            self._failed = True
            raise unwritable(self._folder, error) from error
        if not self._pending or self._failed:
            return
        data = b"".join(self._pending)
        self._failed = True  # until it has gone well: behind half a line, or twice, nothing may be written
        if self._dependents.unsynced:
            with self._barrier:
                self._write(data)
        else:
            self._write(data)
        self._pending.clear()
        self._failed = False
        if not self._dirty.is_set():
            self._dirty.set()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise unwritable(self._folder, error) from error
        self._size += len(data)

    def hurry(self) -> None:
        """Sync now rather than when the timer says so."""
        self._hurry.set()

    def close(self) -> None:
        """Write, sync and close.

        Raises
        ------
        StorageError
            If what was written could not be brought to the disk.
        """
        try:
            self.write()
        finally:
            self._closing = True
            self._hurry.set()
            self._dirty.set()
            self._syncer.join()
            failed = self._failed
            if not failed:
                self._sync()
            os.close(self._file)
        if self._sync_error is not None and not failed:
            raise unwritable(self._folder, self._sync_error) from self._sync_error

    # --- the disk -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """The thread: sync a moment after something was written."""
        self._sync_folders()
        while not self._closing:
            self._dirty.wait()
            self._hurry.wait(SYNC_S)
            if self._closing:
                return
            self._hurry.clear()
            self._dirty.clear()
            self._sync()

    def _sync(self) -> None:
        """What lines name, then the lines, then delete what they made superfluous."""
        try:
            self._dependents.sync()  # may take long, and holds up nobody
            with self._barrier:
                if self._dependents.unsynced:  # named meanwhile: few
                    self._dependents.sync()
                superfluous = self._dependents.take_superfluous()
                os.fsync(self._file)
        except OSError as error:
            _log.error("The journal %s could not be synced: %s", self.path, error)
            self._sync_error = self._sync_error or error
            return
        self._dependents.delete(superfluous)

    def _sync_folders(self) -> None:
        """The journal's own name, and that of its folder."""
        for folder in (self._folder, os.path.dirname(self._folder)):
            with contextlib.suppress(OSError):  # a folder above that is not ours to open
                sync_path(folder)

    def _cut(self, size_bytes: int) -> None:
        """Cut off what is behind the last whole line; it is kept beside the journal."""
        surplus = os.fstat(self._file).st_size - size_bytes
        if surplus <= 0:
            return
        kept = open_regular(os.path.join(self._folder, TORN_FILE), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            while surplus > 0:
                piece = os.pread(self._file, 1 << 20, os.fstat(self._file).st_size - surplus)
                if not piece:
                    break
                surplus -= len(piece)
                view = memoryview(piece)
                while view:
                    view = view[os.write(kept, view) :]
            os.fsync(kept)
        finally:
            os.close(kept)
        os.ftruncate(self._file, size_bytes)

    # --- the place ----------------------------------------------------------------------------------------------------

    def heal(self) -> str:
        """Look whether the file is still in its folder; put it back if it was deleted.

        Returns
        -------
        str
            What happened, once for each time; empty if all is well.
        """
        mine = os.fstat(self._file)
        try:
            there: os.stat_result | None = os.stat(self.path, follow_symlinks=False)
        except OSError:  # deleted, or in a folder that is gone: told below
            there = None
        if there is not None and (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev):
            self._misplaced = ""
            return ""
        if mine.st_nlink == 0 and there is None:
            return self._write_anew()
        happened = (
            f"the journal {self.path} was replaced by another file"
            if there is not None
            else f"the journal {self.path} was moved{self._whereto()}; trials still write to its old folder"
        )
        told, self._misplaced = self._misplaced, happened
        return "" if told == happened else happened

    def _whereto(self) -> str:
        try:
            return f" to {os.readlink(f'/proc/self/fd/{self._file}')}"
        except OSError:  # no /proc here: the message goes without
            return ""

    def _write_anew(self) -> str:
        new = f"{self.path}.{uuid.uuid4().hex}.new"
        try:
            os.makedirs(self._folder, exist_ok=True)
            with self._barrier:
                file = open_regular(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND)
                at = 0
                while at < self._size and (piece := os.pread(self._file, min(1 << 20, self._size - at), at)):
                    at += os.write(file, piece)
                os.fsync(file)
                os.rename(new, self.path)
                os.dup2(file, self._file)  # the descriptor stays, the file behind it changes
                os.close(file)
        except OSError as error:
            happened = f"the experiment's folder {self._folder} was deleted, and cannot be made anew: {error}"
            told, self._misplaced = self._misplaced, happened
            return "" if told == happened else happened
        return (
            f"the experiment's folder {self._folder} was deleted while the run goes; its journal has been written "
            "anew, but checkpoints and other files that were in it are gone"
        )


def unwritable(folder: str, error: OSError) -> StorageError:
    """A clear error for a folder that cannot be written."""
    if error.errno == errno.ENOSPC:
        cause, fix = (
            "the disk is full",
            "Free some space and restore the run with Tuner.restore: nothing written is lost.",
        )
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        cause, fix = (
            "too many files are open",
            "Raise the limit (ulimit -n) and restore the run with Tuner.restore: nothing written is lost.",
        )
    elif error.errno == errno.EIO:
        cause, fix = (
            "the disk reported an error",
            "Look after the disk, then restore the run with Tuner.restore.",
        )
    else:
        cause, fix = (
            str(error.strerror or error),
            "Choose a folder that you may write, with RunConfig(storage_path=...).",
        )
    return StorageError(f"The experiment's folder {folder}", "cannot be written", cause, fix)
