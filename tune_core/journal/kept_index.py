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
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from tune_core.core.files import open_regular
from tune_core.core.values import JsonObject
from tune_core.storage.local import write_bytes_atomic

INDEX_FILE = "journal.index"
LEAST_BYTES = 4 << 20
"""Smaller journals are read faster than an index is worth."""
GROWN = 1.25
"""How many times longer a journal must be than what its index knows of it, for the index to be written again."""
GROWN_AT_END = 1.02
"""The same when the run is over: what is left to readers is so little that they hardly notice."""
_FORMAT = 3
_SPARSE = 4


class Extent(NamedTuple):
    """Of which file an index is, and how far it goes."""

    stamp: tuple[int, int]
    """The journal's size and time of change."""
    at: int
    """The byte behind the last line that it knows."""
    last: bytes
    """That line."""
    gaps: list[tuple[int, int]]
    """Offset and length of each damaged place."""


class Places(NamedTuple):
    """Where lines are; each array holds what its name says, one behind the other."""

    starts: array[int]
    """Where in ``numbers`` those of trial 0, 1 … begin, and the end."""
    numbers: array[int]
    """The numbers of the blocks that have lines of a trial."""
    blocks: array[int]
    """Offset and length of each block."""
    sums: array[int]
    """The checksum of each block, all of whose lines were whole."""
    run_lines: array[int]
    """Offset and length of each line that concerns the whole run."""

    @classmethod
    def of(
        cls, by_trial: Mapping[int, array[int]], blocks: array[int], sums: array[int], run_lines: array[int]
    ) -> Places:
        """What is known, with the numbers of each trial's blocks."""
        starts, numbers, none = array("Q", [0]), array("Q"), array("Q")
        for trial in range(max(by_trial, default=-1) + 1):
            numbers.extend(by_trial.get(trial, none))
            starts.append(len(numbers))
        return cls(starts, numbers, blocks, sums, run_lines)


class KeptIndex:
    """What the file holds."""

    def __init__(self, extent: Extent, places: Places) -> None:
        self.stamp, self.at, self.last, self.gaps = extent
        self._starts, self._numbers, self.blocks, self.sums, self.run_lines = places

    def of(self, trial: int) -> array[int]:
        """The numbers of the blocks that have lines of a trial."""
        if not 0 <= trial < len(self._starts) - 1:
            return array("Q")
        return self._numbers[self._starts[trial] : self._starts[trial + 1]]

    @property
    def trials(self) -> range:
        """The trials that it may know."""
        return range(len(self._starts) - 1)


def load(journal: str) -> KeptIndex | None:
    """The index beside a journal; None if there is none that is whole."""
    try:
        with open(open_regular(_path(journal), os.O_RDONLY), "rb") as file:
            crc, head, body = file.readline(1 << 12), file.readline(1 << 24), file.read()
        if int(crc) != zlib.crc32(body, zlib.crc32(head)):
            return None
        known: JsonObject = msgspec.json.decode(head)
        if known["format"] != _FORMAT or known["byteorder"] != sys.byteorder:
            return None
        places = Places(*_arrays(body, known["lengths"]))
        starts = places.starts
        if starts[-1] != len(places.numbers) or list(starts) != sorted(starts):
            return None
        if len(places.blocks) != 2 * len(places.sums) or len(places.run_lines) % 2:
            return None
        gaps = [(offset, size) for offset, size in known["gaps"]]
        extent = Extent((known["size"], known["mtime_ns"]), known["at"], bytes.fromhex(known["last"]), gaps)
        return KeptIndex(extent, places)
    except (OSError, ValueError, LookupError, TypeError, msgspec.MsgspecError):
        return None


def _arrays(body: bytes, lengths: list[int]) -> Iterator[array[int]]:
    at = 0
    for length in lengths:
        values = array("Q")
        values.frombytes(body[at : at + 8 * length])
        at += 8 * length
        yield values
    if at != len(body):
        raise ValueError(f"{len(body)} bytes are not {lengths} numbers")


def keep(journal: str, extent: Extent, places: Places) -> None:
    """Write the index beside the journal; where that is impossible, there is none."""
    if len(places.starts) > _SPARSE * len(places.numbers) + 1000:
        return
    known = {
        "format": _FORMAT,
        "byteorder": sys.byteorder,
        "size": extent.stamp[0],
        "mtime_ns": extent.stamp[1],
        "at": extent.at,
        "last": extent.last.hex(),
        "gaps": extent.gaps,
        "lengths": [len(values) for values in places],
    }
    head = msgspec.json.encode(known) + b"\n"
    body = b"".join(values.tobytes() for values in places)
    with contextlib.suppress(OSError):
        write_bytes_atomic(_path(journal), b"%d\n%b%b" % (zlib.crc32(body, zlib.crc32(head)), head, body))


def _path(journal: str) -> str:
    return os.path.join(os.path.dirname(journal), INDEX_FILE)
