"""What worker processes print, sorted into the trials' own files. None of it can fail a trial or a run."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
from typing import Any

from tune_core.executors.worker.system import free_beginning

FREE_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 22
_TAIL_BYTES = 1 << 16
_CRASH = "Fatal Python error: "
_TRACE = (_CRASH, "Current thread ", "Thread 0x", "  ", "Python runtime state: ", "Extension modules: ")
_log = logging.getLogger(__name__)


class Output:
    """What a worker process prints, sorted into the trials' own files.

    The process's stdout and stderr both go to one file without a name (so the C level and child processes are caught
    too); what was written while a trial ran is moved to ``output.log`` in its folder, and its space in the first file
    is given back, so that output is kept once. A trial that prints nothing costs no file.

    Parameters
    ----------
    file
        Descriptor of the file to which stdout and stderr go.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._itself = _which(os.fstat(file))
        self._folder: str | None = None
        self._at = 0
        self._freed = 0
        self._said = False
        self._lock = threading.Lock()  #: over all of the above

    def begin(self, folder: str) -> None:
        """A trial starts."""
        with self._lock:
            self._folder = folder
            self._at = self._mended_size()

    def end(self, keep_tail: bool) -> str:
        """A trial ends; with ``keep_tail`` the last lines of its output."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:  # the trial has closed or replaced it
                continue
        self.move()
        with self._lock:
            folder, self._folder = self._folder, None
            if self._at > FREE_BYTES:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, 0)
                self._at = self._freed = 0
        return last_lines(os.path.join(folder, OUTPUT_FILE)) if keep_tail and folder else ""

    def move(self) -> None:
        """Move what has been written so far to the running trial's file."""
        with self._lock:
            while self._folder is not None and (data := self._read()):
                try:
                    self.write(self._folder, data)
                except OSError as error:
                    if not self._said:
                        self._said = True
                        _log.warning("output of trials cannot be kept in %s: %s", self._folder, error)
                    return  # it stays where it is, and is tried again
                self._at += len(data)
                if self._at - self._freed > FREE_BYTES:
                    free_beginning(self._file, self._at)
                    self._freed = self._at

    def _read(self) -> bytes:
        try:
            return os.pread(self._file, _BLOCK_BYTES, self._at) if self._size() > self._at else b""
        except OSError:  # the file is closed: nothing more can come
            return b""

    def _size(self) -> int:
        try:
            return os.lseek(self._file, 0, os.SEEK_END)  # what is written goes to the end whatever is sought
        except OSError:  # closed
            return 0

    def _mended_size(self) -> int:
        """How long the file is; descriptors and streams that an earlier trial has closed go to it again."""
        try:
            out = os.fstat(1)
            if _which(out) != self._itself or _which(os.fstat(2)) != self._itself:
                raise OSError
        except OSError:
            redirect(self._file)
            return self._size()
        if sys.stdout.closed or sys.stderr.closed:
            redirect(self._file)
        return out.st_size

    def write(self, folder: str, data: bytes) -> None:
        """Add to a trial's file."""
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, OUTPUT_FILE), "ab") as file:
            file.write(data)


OUTPUT_FILE = "output.log"


def _which(file: os.stat_result) -> tuple[int, int]:
    """What tells a file from others."""
    return file.st_ino, file.st_dev


class _Unfailing(io.FileIO):
    """A descriptor that takes whatever is written; what cannot be kept (a full disk) is lost, and no error."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:  # a full disk does not fail the trial
            return len(data)


def redirect(file: int) -> None:
    """Send what this process prints at any level to a file; from Python line by line, so that it can be followed."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        with contextlib.suppress(Exception):
            getattr(sys, name).flush()
        os.dup2(file, descriptor)
        raw = io.BufferedWriter(_Unfailing(descriptor, "wb", closefd=False))
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def last_lines(path: str, count: int = 20) -> str:
    """The last lines of a text file; empty if it isn't there. Of a line that was redrawn, such as a progress bar's,
    only its last state counts. The trace that Python's ``faulthandler`` leaves of a crash comes after the last lines
    that the trial itself printed, and of its threads the one that crashed is shown."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:  # the message about the trial goes without its output
        return ""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.rstrip("\n").split("\n")]
    trace = len(lines)
    while trace and (not lines[trace - 1] or lines[trace - 1].startswith(_TRACE)):
        trace -= 1
    crash = next((n for n in range(trace, len(lines)) if lines[n].startswith(_CRASH)), len(lines))
    of_thread = next((n for n in range(crash, len(lines)) if lines[n].startswith("Current thread ")), crash + 1)
    return "\n".join(lines[:crash][-count:] + lines[crash : crash + 1] + lines[of_thread:][:count])
