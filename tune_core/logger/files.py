"""Text files of many trials, opened for appending, with a limit on how many are open at once."""

from __future__ import annotations

import os
from typing import IO

MAX_OPEN = 64


class AppendFiles:
    """One file named ``name`` in each trial's folder; the least recently used are closed above ``MAX_OPEN``.

    Parameters
    ----------
    name
        The file's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._open: dict[str, IO[str]] = {}  # by path, least recently used first

    def path(self, folder: str) -> str:
        """The file's path in a trial's folder."""
        return os.path.join(folder, self._name)

    def write(self, folder: str, text: str) -> None:
        """Append ``text``; it is in the file when this returns."""
        path = self.path(folder)
        file = self._open.pop(path, None)
        if file is None:
            os.makedirs(folder, exist_ok=True)
            cut_torn_line(path)
            file = open(path, "a", encoding="utf-8", newline="")  # noqa: SIM115 - stays open
        self._open[path] = file
        file.write(text)
        file.flush()
        if len(self._open) > MAX_OPEN:
            self.close(os.path.dirname(next(iter(self._open))))

    def close(self, folder: str) -> None:
        """Close a trial's file, if it is open."""
        file = self._open.pop(self.path(folder), None)
        if file is not None:
            file.close()

    def close_all(self) -> None:
        """Close every file."""
        while self._open:
            self._open.popitem()[1].close()


def cut_torn_line(path: str) -> None:
    """Cut what a killed process left of its last line, so that the next one starts on a line of its own."""
    try:
        file = open(path, "rb+")  # noqa: SIM115 - closed below; a missing file is not an error
    except FileNotFoundError:
        return
    with file:
        end = file.seek(0, os.SEEK_END)
        keep = end
        while keep > 0:
            start = max(0, keep - 8192)
            file.seek(start)
            newline = file.read(keep - start).rfind(b"\n")
            if newline >= 0:
                keep = start + newline + 1
                break
            keep = start
        if keep < end:
            file.truncate(keep)
