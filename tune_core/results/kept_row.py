"""The row of ``ls`` of a large experiment that is over, kept beside its journal until that changes.

The driver leaves it there when a run ends, and ``ls`` makes it where it is missing or old.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from typing import TYPE_CHECKING

import msgspec

from tune_core.core.files import open_regular
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.kept_index import LEAST_BYTES
from tune_core.storage.local import write_bytes_atomic

if TYPE_CHECKING:
    from tune_core.core.events import Header
    from tune_core.engine.controller import Controller

ROW_FILE = "journal.row"


class Row(msgspec.Struct, frozen=True):
    """What ``ls`` tells of an experiment, and the size and time of change of the journal that it was made from."""

    state: str
    trials: int
    best: str
    started: float
    size: int = 0
    mtime_ns: int = 0


def row_of(header: Header, controller: Controller, state: str) -> Row:
    """The row of an experiment whose events the controller has taken in."""
    return Row(state, len(controller.trials), _best_value(header.metric, controller), header.at)


def _best_value(metric: str | None, controller: Controller) -> str:
    from tune_core.core.objective import lookup
    from tune_core.display.formatting import value_text

    best = controller.best_known
    if best is None or best.best is None or metric is None:
        return ""
    return f"{metric}={value_text(lookup(best.best.metrics, metric))}"


def load(folder: str) -> Row | None:
    """The kept row, if it belongs to the journal as it is now."""
    try:
        with open(open_regular(os.path.join(folder, ROW_FILE), os.O_RDONLY), "rb") as file:
            data, _, crc = file.read(1 << 16).rpartition(b"\n")
        row = msgspec.json.decode(data, type=Row)
        if int(crc) == zlib.crc32(data) and (row.size, row.mtime_ns) == stamp_of(folder):
            return row
    except (OSError, ValueError, msgspec.MsgspecError):  # none kept, or damaged: the journal is read
        pass
    return None


def keep(folder: str, row: Row, stamp: tuple[int, int]) -> None:
    """Keep the row of a large experiment that is over; ``stamp`` is :func:`stamp_of` its journal before it was read."""
    if stamp[0] < LEAST_BYTES or row.state not in ("finished", "interrupted"):
        return
    data = msgspec.json.encode(msgspec.structs.replace(row, size=stamp[0], mtime_ns=stamp[1]))
    with contextlib.suppress(OSError):  # where it cannot be kept, it is made anew each time
        write_bytes_atomic(os.path.join(folder, ROW_FILE), b"%b\n%d" % (data, zlib.crc32(data)))


def stamp_of(folder: str) -> tuple[int, int]:
    """The size and the time of change of an experiment's journal."""
    about = os.stat(os.path.join(folder, JOURNAL_FILE))
    return about.st_size, about.st_mtime_ns
