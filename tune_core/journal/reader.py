"""Reads a journal a part at a time, so that what is kept of it is up to the reader; follows one that still grows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from tune_core.core import events as ev
from tune_core.errors import JournalError
from tune_core.journal.writer import JOURNAL_FILE, read_header, whole_length

CHUNK_BYTES = 1 << 22
_HEAD = re.compile(rb'^\{"e":"(?:suggest|launch|report|save|end|decide|stop|refuse|note)","trial":(\d+)[,}]')


class Reader:
    """A journal open for reading. Executes nothing that the experiment holds.

    Parameters
    ----------
    folder
        The experiment's folder.
    trial
        Only decode the events of this trial, and those that concern the whole run; None decodes all.

    Raises
    ------
    JournalError
        If there is no journal, its first line is not whole, or a newer tune-core wrote it.
    """

    def __init__(self, folder: str, trial: int | None = None) -> None:
        self.path = os.path.join(folder, JOURNAL_FILE)
        self._only = trial
        self._at = 0
        try:
            with open(self.path, "rb") as file:
                first = file.readline()
        except (FileNotFoundError, NotADirectoryError):
            raise JournalError(
                f"The folder {folder}",
                "holds no experiment",
                f"there is no {JOURNAL_FILE} in it",
                "Name the experiment's own folder: the one that the run printed. `tune-core ls` lists them.",
            ) from None
        except OSError as error:
            raise JournalError(
                self.path, "cannot be read", str(error.strerror or error), "Check the file's permissions."
            ) from error
        if not first.endswith(b"\n") or not ev.is_whole(first[:-1]):
            raise JournalError(
                self.path,
                "has no whole first line",
                "the run was killed before it began, or this is no journal",
                "Start the run again with Tuner.fit(), or check the path.",
            )
        self.header = read_header(self.path, first[:-1])
        self._at = len(first)

    def read(self) -> Iterator[list[Any]]:
        """Events that were not read before, a list at a time, up to the last whole line that is there now."""
        with open(self.path, "rb") as file:
            file.seek(self._at)
            rest = b""
            while chunk := file.read(CHUNK_BYTES):
                chunk = rest + chunk
                end = chunk.rfind(b"\n") + 1
                if not end:
                    rest = chunk
                    continue
                lines, rest = chunk[:end], chunk[end:]
                whole = whole_length(lines)
                self._at += whole
                yield self._decode(lines[:whole])
                if whole < end:  # a torn line: nothing after it counts
                    return

    def _decode(self, lines: bytes) -> list[Any]:
        if self._only is not None:
            lines = b"\n".join(line for line in lines.split(b"\n") if self._concerns(line))
        return ev.decode_lines(lines)

    def _concerns(self, line: bytes) -> bool:
        head = _HEAD.match(line)
        return head is None or int(head[1]) == self._only


def is_running(folder: str) -> bool:
    """Whether the driver that holds this experiment's lock is a live process of this machine."""
    from tune_core.journal.writer import LOCK_FILE

    try:
        with open(os.path.join(folder, LOCK_FILE)) as file:
            os.kill(int(file.read().strip()), 0)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True
