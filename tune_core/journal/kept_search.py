"""Where a searcher stood at a moment of its run, kept beside the journal: a restore need not ask it all again.

The journal holds what a searcher was asked, what it answered and what it was told. What its next answer depends on
beside that is little, the state of a random generator above all; to find that out anew, every question must be asked
again. The file is derived from the journal in that sense. It is left aside where it is missing or damaged, or belongs
to another journal, or to a part of it that is gone; all is asked again then. It may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import os
import zlib

import msgspec

from tune_core.core.files import open_regular
from tune_core.core.values import JsonObject
from tune_core.journal.format import JOURNAL_FILE
from tune_core.storage.local import write_bytes_atomic

SEARCH_FILE = "journal.search"
_FORMAT = 1
_TAIL_BYTES = 256
"""So much of the journal tells whether it is the one, for lines have times and checksums."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A searcher after some asks and tells."""

    asked: int
    """Suggestions that had been made."""
    told: int
    """Results and ends that it had been told."""
    begins: str
    """What tells searchers made from the same arguments from others."""
    state: JsonObject
    """What :meth:`tune_core.search.base.Searcher.resume_state` gave."""


class _Kept(msgspec.Struct, frozen=True):
    moment: Moment
    at: int
    """The journal's size; all those asks and tells are before that."""
    tail: str
    """What comes right before that, in hexadecimal digits."""
    format: int = _FORMAT


def keep(folder: str, moment: Moment, size_bytes: int) -> None:
    """Keep a moment beside the journal, whose lines up to ``size_bytes`` are in the file; else there is none."""
    with contextlib.suppress(OSError):
        data = msgspec.json.encode(_Kept(moment, size_bytes, _tail(folder, size_bytes)))
        write_bytes_atomic(os.path.join(folder, SEARCH_FILE), b"%b\n%d" % (data, zlib.crc32(data)))


def load(folder: str) -> Moment | None:
    """The moment that was kept beside the journal, if it is one of that journal as it is now."""
    try:
        with open(open_regular(os.path.join(folder, SEARCH_FILE), os.O_RDONLY), "rb") as file:
            data, _, crc = file.read(1 << 24).rpartition(b"\n")
        if int(crc) != zlib.crc32(data):
            return None
        kept = msgspec.json.decode(data, type=_Kept)
        if kept.format == _FORMAT and kept.tail == _tail(folder, kept.at):
            return kept.moment
    except (OSError, ValueError, OverflowError, msgspec.MsgspecError):  # none kept, or damaged
        pass
    return None


def _tail(folder: str, size_bytes: int) -> str:
    begin = max(0, size_bytes - _TAIL_BYTES)
    with open(open_regular(os.path.join(folder, JOURNAL_FILE), os.O_RDONLY), "rb") as file:
        file.seek(begin)
        tail = file.read(size_bytes - begin)
    if len(tail) != size_bytes - begin:
        raise ValueError(f"the journal has fewer than {size_bytes} bytes")
    return tail.hex()
