"""Where each trial's lines stand in a journal: found by one pass, so that the next trial is read without another.

An index lives in memory, for the few journals that were read last, and that of a large journal in a file beside it
too (:mod:`tune_core.journal.kept_index`). It is derived from the journal and never trusted over it: it is made anew
when the file is another one, or its last line no longer stands where it did; what was appended since is added.
"""

from __future__ import annotations

import os
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from heapq import merge
from typing import IO

from tune_core.core import events as ev
from tune_core.journal import kept_index
from tune_core.journal.format import TRIAL_HEAD, Gap, LineScanner

_KEPT = 4
_WHOLE_RUN = -1

_indexes: OrderedDict[tuple[str, int], TrialIndex] = OrderedDict()
_lock = threading.Lock()


class TrialIndex:
    """The places of the lines of one journal.

    Parameters
    ----------
    at
        The byte behind the header's line.
    """

    def __init__(self, at: int) -> None:
        self.gaps: list[Gap] = []
        self.scanner = LineScanner(at)
        self.stamp = (0, 0)  #: the file's size and time of change, when it was read
        self._places: dict[int, array[int]] = {}  #: by trial: offset and length of each line, one behind the other
        self._last = b""  #: the last line, to tell whether the file is still the one that was read
        self._kept: kept_index.KeptIndex | None = None  #: where the lines are that an earlier process has found
        self._kept_at = 0  #: how far what is kept beside the journal goes

    @classmethod
    def kept_beside(cls, path: str, at: int) -> TrialIndex:
        """What an earlier process has kept beside the journal; empty if there is nothing."""
        index = cls(at)
        kept = kept_index.load(path)
        if kept is not None and kept.at > at and kept.last:
            index._kept, index._last, index.stamp = kept, kept.last, kept.stamp
            index.scanner.at = index._kept_at = kept.at
            index.gaps = [Gap(offset, size) for offset, size in kept.gaps]
        return index

    def keep(self, path: str) -> None:
        """Keep it beside the journal for other processes, if the journal is large and much of it is not there yet."""
        if self.scanner.at < max(kept_index.LEAST_BYTES, kept_index.GROWN * self._kept_at):
            return
        self._kept_at = self.scanner.at
        trials = {*self._places, *(self._kept.trials if self._kept is not None else ())}
        places = {trial: self._all_of(trial) for trial in trials}
        gaps = [(gap.offset, gap.size) for gap in self.gaps]
        kept_index.keep(path, self.stamp, self.scanner.at, self._last, gaps, places)

    def update(self, file: IO[bytes]) -> bool:
        """Take in what the file has now; False if it is not a continuation of what was read before."""
        end = self.scanner.at
        if self._last:
            file.seek(end - len(self._last))
            if file.read(len(self._last)) != self._last:
                return False
        behind_gap = None
        for part in self.scanner.scan(file):
            if isinstance(part, Gap):
                self.gaps.append(part)
                behind_gap = part.offset + part.size
            else:
                self._add(part, self.scanner.at if behind_gap is None else behind_gap)
                behind_gap = None
        return True

    def _add(self, lines: bytes, offset: int) -> None:
        line = b""
        for line in lines.splitlines(keepends=True):
            head = TRIAL_HEAD.match(line)
            trial = _WHOLE_RUN if head is None else int(head[1])
            places = self._places.get(trial)
            if places is None:
                places = self._places[trial] = array("Q")
            places.extend((offset, len(line)))
            offset += len(line)
        self._last = line

    def lines_of(self, trial: int, file: IO[bytes]) -> list[bytes | Gap] | None:
        """The lines of a trial and of the whole run, and gaps, in the order of the journal; None if it has changed."""
        places = [self._of(trial), self._of(_WHOLE_RUN), ((gap.offset, gap) for gap in self.gaps)]
        found: list[bytes | Gap] = []
        together: list[bytes] = []
        for offset, what in merge(*places, key=lambda place: place[0]):
            if isinstance(what, Gap):
                found += [b"".join(together), what] if together else [what]
                together = []
                continue
            if offset + what > self.scanner.at:
                return None
            file.seek(offset)
            line = file.read(what)
            head = TRIAL_HEAD.match(line)
            if not ev.is_whole(line[:-1]) or (head is not None and int(head[1]) != trial):
                return None
            together.append(line)
        return [*found, b"".join(together)] if together else found

    def _of(self, trial: int) -> Iterator[tuple[int, int | Gap]]:
        places = self._all_of(trial)
        return zip(places[::2], places[1::2], strict=True)

    def _all_of(self, trial: int) -> array[int]:
        new = self._places.get(trial, array("Q"))
        return new if self._kept is None else self._kept.of(trial) + new


def index_of(path: str, file: IO[bytes], at: int) -> TrialIndex:
    """The index of the journal that ``file``, open for reading, is; ``at`` is the byte behind its header's line."""
    about = os.fstat(file.fileno())
    key = (os.path.abspath(path), about.st_ino)
    stamp = (about.st_size, about.st_mtime_ns)
    with _lock:
        index = _indexes.pop(key, None) or TrialIndex.kept_beside(path, at)
        if _written_over(index.stamp, stamp) or not index.update(file):
            index = TrialIndex(at)
            index.update(file)
        index.stamp = stamp
        index.keep(path)
        _indexes[key] = index
        while len(_indexes) > _KEPT:
            _indexes.popitem(last=False)
        return index


def _written_over(before: tuple[int, int], now: tuple[int, int]) -> bool:
    """Whether a file with these sizes and times of change was written to without growing."""
    return now[0] < before[0] or (now[0] == before[0] and now[1] != before[1])


def forget(path: str) -> None:
    """Drop the index of a journal that has changed in place."""
    with _lock:
        for key in [key for key in _indexes if key[0] == os.path.abspath(path)]:
            del _indexes[key]
