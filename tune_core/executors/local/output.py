"""What worker processes print, sorted into the trials' own files."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

_TRUNCATE_BYTES = 1 << 20


class Output:
    """What a worker process prints, sorted into the trials' own files.

    The process's stdout and stderr both go to one file (so the C level and child processes are caught too); what was
    written while a trial ran is moved to ``output.log`` in its folder. A trial that prints nothing costs no file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = open(path, "rb")  # noqa: SIM115 - lives as long as the process
        self._folder: str | None = None
        self._at = 0
        self._lock = threading.Lock()

    def begin(self, folder: str) -> None:
        """A trial starts."""
        with self._lock:
            self._folder = folder
            self._at = os.fstat(self._file.fileno()).st_size

    def end(self, keep_tail: bool) -> str:
        """A trial ends; with ``keep_tail`` the last lines of its output."""
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        self.move()
        with self._lock:
            folder, self._folder = self._folder, None
            if self._at > _TRUNCATE_BYTES:
                os.truncate(self._path, 0)
        return last_lines(os.path.join(folder, OUTPUT_FILE)) if keep_tail and folder else ""

    def move(self) -> None:
        """Move what has been written so far to the running trial's file."""
        with self._lock:
            if self._folder is None or os.fstat(self._file.fileno()).st_size == self._at:
                return
            self._file.seek(self._at)
            data = self._file.read()
            self._at += len(data)
            self.write(self._folder, data)

    def write(self, folder: str, data: bytes) -> None:
        """Add to a trial's file."""
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, OUTPUT_FILE), "ab") as file:
            file.write(data)


OUTPUT_FILE = "output.log"


def last_lines(path: str, count: int = 20) -> str:
    """The last lines of a text file; empty if it isn't there."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-count:])
