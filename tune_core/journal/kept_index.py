"""The index of a large journal, kept in a file beside it: the next process need not read the journal for one trial.

The file is derived. It is left aside, and made anew, when it is missing, old or damaged, and every line that is found
by it is checked as any other line of the journal is. What it cannot tell is that lines of other trials have been
damaged in place in a journal that has grown since: a pass over the whole journal tells that.
"""

from __future__ import annotations

import contextlib
import os
import sys
import zlib
from array import array
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from tune_core.core.files import open_regular
from tune_core.storage.local import write_bytes_atomic

INDEX_FILE = "journal.index"
LEAST_BYTES = 4 << 20
"""Smaller journals are read faster than an index is worth."""
GROWN = 1.25
"""How many times longer a journal must be than what its index knows of it, for the index to be written again."""
_FORMAT = 1
_SPARSE = 4


class KeptIndex(NamedTuple):
    """What the file holds: how far it goes, and where each trial's lines are."""

    stamp: tuple[int, int]
    at: int
    last: bytes
    gaps: list[tuple[int, int]]
    starts: array[int]
    """Where in ``places`` the lines of the whole run begin, then those of trial 0, 1 …, and the end."""
    places: array[int]

    def of(self, trial: int) -> array[int]:
        """Offset and length of each line of a trial, one behind the other; -1: those of the whole run."""
        slot = trial + 1
        if not 0 <= slot < len(self.starts) - 1:
            return array("Q")
        return self.places[self.starts[slot] : self.starts[slot + 1]]

    @property
    def trials(self) -> range:
        """The trials that it may know, with -1 for the whole run."""
        return range(-1, len(self.starts) - 2)


def load(journal: str) -> KeptIndex | None:
    """The index beside a journal; None if there is none that is whole."""
    try:
        with open(open_regular(_path(journal), os.O_RDONLY), "rb") as file:
            crc, head, body = file.readline(1 << 12), file.readline(1 << 24), file.read()
        if int(crc) != zlib.crc32(body, zlib.crc32(head)):
            return None
        known: dict[str, Any] = msgspec.json.decode(head)
        if known["format"] != _FORMAT or known["byteorder"] != sys.byteorder:
            return None
        starts, places = array("Q"), array("Q")
        starts.frombytes(body[: 8 * known["starts"]])
        places.frombytes(body[8 * known["starts"] :])
        if starts[-1] != len(places) or any(start & 1 for start in starts) or list(starts) != sorted(starts):
            return None
        gaps = [(offset, size) for offset, size in known["gaps"]]
        return KeptIndex(
            (known["size"], known["mtime_ns"]), known["at"], bytes.fromhex(known["last"]), gaps, starts, places
        )
    except (OSError, ValueError, LookupError, TypeError, msgspec.MsgspecError):
        return None


def keep(
    journal: str,
    stamp: tuple[int, int],
    at: int,
    last: bytes,
    gaps: list[tuple[int, int]],
    places: Mapping[int, array[int]],
) -> None:
    """Write the index beside the journal; where that is impossible, there is none."""
    most = max(places, default=-1)
    if most > _SPARSE * len(places) + 1000:
        return
    starts, together = array("Q", [0]), array("Q")
    for trial in range(-1, most + 1):
        if trial in places:
            together.extend(places[trial])
        starts.append(len(together))
    known = {
        "format": _FORMAT,
        "byteorder": sys.byteorder,
        "size": stamp[0],
        "mtime_ns": stamp[1],
        "at": at,
        "last": last.hex(),
        "gaps": gaps,
        "starts": len(starts),
    }
    head = msgspec.json.encode(known) + b"\n"
    body = starts.tobytes() + together.tobytes()
    with contextlib.suppress(OSError):
        write_bytes_atomic(_path(journal), b"%d\n%b%b" % (zlib.crc32(body, zlib.crc32(head)), head, body))


def _path(journal: str) -> str:
    return os.path.join(os.path.dirname(journal), INDEX_FILE)
