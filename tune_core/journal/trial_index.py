"""Where each trial's lines stand in a journal: found by one pass, so that the next trial is read without another.

The journal is seen as blocks of some hundred lines. The index knows in which blocks a trial has lines, and where each
line that concerns the whole run stands: a trial's events are then found by looking through its few blocks.

An index lives in memory, for the few journals that were read last, and that of a large journal in a file beside it
too (:mod:`tune_core.journal.kept_index`): the driver, which notes the places as it writes, leaves one there when a run
ends, and whoever reads a journal without one makes it. It is derived from the journal and never trusted over it: it is
made anew when the file is another one, or its last line no longer stands where it did; what was appended since is
added; and each line that is found by it is checked.
"""

from __future__ import annotations

import os
import re
import threading
import time
import zlib
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import IO

from tune_core.core import events as ev
from tune_core.core.files import open_regular
from tune_core.journal import kept_index
from tune_core.journal.format import TRIAL_HEAD, Gap, LineScanner
from tune_core.journal.written_lines import BLOCK_BYTES, WrittenLines

MOST_S = 5.0
"""Seconds that a driver spends, when the run is over, on what others have written; readers add what is missing."""
_KEPT = 4
_OF_TRIAL = re.compile(rb"\n" + TRIAL_HEAD.pattern)
_OF_RUN = re.compile(rb"\n(?!" + TRIAL_HEAD.pattern + rb")(?P<line>[^\n]+\n)")

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
        self._blocks = array("Q")  #: offset and length of each block, one behind the other
        self._sums = array("Q")  #: the checksum of each block, all of whose lines were whole
        self._run_lines = array("Q")  #: the same of each line that concerns the whole run
        self._trials: dict[int, array[int]] = {}  #: the numbers of the blocks that have lines of a trial
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
            index._blocks, index._sums, index._run_lines = kept.blocks[:], kept.sums[:], kept.run_lines[:]
            index.scanner.at = index._kept_at = kept.at
            index.gaps = [Gap(offset, size) for offset, size in kept.gaps]
        return index

    def keep(self, path: str, is_last: bool = False) -> None:
        """Keep it beside the journal for other processes, if the journal is large and much of it is not there yet.

        ``is_last``: also if little is not there, since the journal grows no more.
        """
        grown = kept_index.GROWN_AT_END if is_last else kept_index.GROWN
        if self.scanner.at < max(kept_index.LEAST_BYTES, grown * self._kept_at):
            return
        self._kept_at = self.scanner.at
        trials = {*self._trials, *(self._kept.trials if self._kept is not None else ())}
        places = {trial: self._blocks_of(trial) for trial in trials}
        gaps = [(gap.offset, gap.size) for gap in self.gaps]
        where = kept_index.Places.of(places, self._blocks, self._sums, self._run_lines)
        kept_index.keep(path, kept_index.Extent(self.stamp, self.scanner.at, self._last, gaps), where)

    def update(self, file: IO[bytes], deadline_s: float | None = None, end_at: int | None = None) -> bool:
        """Take in what the file has now; False if it is not a continuation of what was read before.

        With ``deadline_s``, of ``time.monotonic``, the file is this process's own: its lines are not checked, and
        those that are left at that time are left out. With ``end_at``, so is what is behind that byte.
        """
        end = self.scanner.at
        if self._last:
            file.seek(end - len(self._last))
            if file.read(len(self._last)) != self._last:
                return False
        behind_gap = None
        for part in self.scanner.scan(file, deadline_s is None, end_at):
            if isinstance(part, Gap):
                self.gaps.append(part)
                behind_gap = part.offset + part.size
            else:
                self._add(part, self.scanner.at if behind_gap is None else behind_gap)
                behind_gap = None
                if deadline_s is not None and time.monotonic() > deadline_s:
                    self.scanner.at += len(part)
                    break
        return True

    def _add(self, lines: bytes, offset: int) -> None:
        """Take in whole lines that begin at this byte of the file."""
        trials, begin = self._trials, 0
        text = b"\n" + lines  # so that each line is found by the end of the one before it: much faster than by ^
        while begin < len(lines):
            end = lines.find(b"\n", begin + BLOCK_BYTES) + 1 or len(lines)
            number = len(self._blocks) // 2
            self._blocks.extend((offset + begin, end - begin))
            self._sums.append(zlib.crc32(lines[begin:end]))
            for digits in set(_OF_TRIAL.findall(text, begin, end)):
                trial = int(digits)
                blocks = trials.get(trial)
                if blocks is None:
                    blocks = trials[trial] = array("Q")
                blocks.append(number)
            begin = end
        at = 0
        while (line := _OF_RUN.search(text, at)) is not None:
            self._run_lines.extend((offset + line.start(), len(line["line"])))
            at = line.end() - 1
        self._last = lines[lines.rfind(b"\n", 0, -1) + 1 :]

    def add_written(self, written: WrittenLines) -> bool:
        """Take in what this process has written behind all that is known; False if that is not where it began."""
        if self.scanner.at != written.begin:
            return False
        trials, before = self._trials, len(self._blocks) // 2
        self._blocks.extend(written.blocks)
        self._sums.extend(written.sums)
        self._run_lines.extend(written.run_lines)
        for number, present in enumerate(written.by_block(), before):
            for trial in present:
                blocks = trials.get(trial)
                if blocks is None:
                    blocks = trials[trial] = array("Q")
                blocks.append(number)
        self.scanner.at, self._last = written.at, written.last
        return True

    def stretch(self, first: int, most: int, most_bytes: int) -> range:
        """``first`` and as many trials after it, up to ``most`` in all, as have lines in so many bytes of blocks."""
        numbers: set[int] = set(self._blocks_of(first))
        end = first + 1
        while end < first + most:
            numbers.update(self._blocks_of(end))
            if len(numbers) * BLOCK_BYTES > most_bytes:
                break
            end += 1
        return range(first, end)

    def lines_of(self, trials: int | range, file: IO[bytes]) -> list[bytes | Gap] | None:
        """The lines of trials and of the whole run, and gaps, in the order of the journal; None if it has changed."""
        places: list[tuple[int, bytes | Gap]] = [(gap.offset, gap) for gap in self.gaps]
        if isinstance(trials, int):
            numbers: Sequence[int] = self._blocks_of(trials)
        else:
            numbers = sorted({number for trial in trials for number in self._blocks_of(trial)})
        for number in numbers:
            if 2 * number >= len(self._blocks):
                return None
            offset, size = self._blocks[2 * number : 2 * number + 2]
            block = self._read(file, offset, size)
            all_whole = zlib.crc32(block) == self._sums[number]
            if isinstance(trials, int):
                lines = _lines_in(block, trials, all_whole)
            else:
                lines = _lines_among(block, trials, all_whole)
            if not lines:
                return None
            places += ((offset + begin, line) for begin, line in lines)
        for offset, size in zip(self._run_lines[::2], self._run_lines[1::2], strict=True):
            line = self._read(file, offset, size)
            if not ev.is_whole(line[:-1]) or TRIAL_HEAD.match(line):
                return None
            places.append((offset, line))
        places.sort(key=lambda place: place[0])
        return _joined(what for _, what in places)

    def _read(self, file: IO[bytes], offset: int, size: int) -> bytes:
        """So many bytes of what was read before; nothing where the index leads elsewhere."""
        if offset + size > self.scanner.at:
            return b""
        file.seek(offset)
        return file.read(size)

    def _blocks_of(self, trial: int) -> array[int]:
        new = self._trials.get(trial, array("Q"))
        return new if self._kept is None else self._kept.of(trial) + new


def _lines_in(block: bytes, trial: int, all_whole: bool) -> list[tuple[int, bytes]]:
    """The lines of a trial in a block, and where in it they begin; none if one of them is damaged.

    ``all_whole``: the block is as it was when all its lines were whole.
    """
    found = []
    marker = b'"trial":%d,' % trial
    at = block.find(marker)
    while at >= 0:
        begin, end = block.rfind(b"\n", 0, at) + 1, block.find(b"\n", at) + 1 or len(block)
        head = TRIAL_HEAD.match(block, begin)
        if head is not None and int(head[1]) == trial:
            if not (all_whole or ev.is_whole(block[begin : end - 1])):
                return []
            found.append((begin, block[begin:end]))
        at = block.find(marker, end)
    return found


def _lines_among(block: bytes, trials: range, all_whole: bool) -> list[tuple[int, bytes]]:
    """The same of several trials."""
    found = []
    for head in _OF_TRIAL.finditer(b"\n" + block):
        if int(head[1]) in trials:
            begin = head.start()
            end = block.find(b"\n", begin) + 1 or len(block)
            if not (all_whole or ev.is_whole(block[begin : end - 1])):
                return []
            found.append((begin, block[begin:end]))
    return found


def _joined(parts: Iterator[bytes | Gap]) -> list[bytes | Gap]:
    """Lines between gaps in one piece."""
    found: list[bytes | Gap] = []
    together: list[bytes] = []
    for part in parts:
        if isinstance(part, Gap):
            found += [b"".join(together), part] if together else [part]
            together = []
        else:
            together.append(part)
    return [*found, b"".join(together)] if together else found


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


def keep_own(path: str, written: WrittenLines) -> None:
    """Keep the index of a journal that this process has written and closed beside it, if it is large.

    Parameters
    ----------
    path
        The journal.
    written
        What this process has written behind what was there, all of it whole lines. Where the file does not end with
        that, nothing is kept.
    """
    written.end()
    with open(open_regular(path, os.O_RDONLY), "rb") as file:
        about = os.fstat(file.fileno())
        if about.st_size != written.at:
            return
        index = TrialIndex.kept_beside(path, len(file.readline()))
        if index.gaps or not index.update(file, time.monotonic() + MOST_S, written.begin):
            return
        index.add_written(written)  # unless time ran out before
        index.stamp = (about.st_size, about.st_mtime_ns)
        index.keep(path, is_last=True)


def _written_over(before: tuple[int, int], now: tuple[int, int]) -> bool:
    """Whether a file with these sizes and times of change was written to without growing."""
    return now[0] < before[0] or (now[0] == before[0] and now[1] != before[1])


def forget(path: str) -> None:
    """Drop the index of a journal that has changed in place."""
    with _lock:
        for key in [key for key in _indexes if key[0] == os.path.abspath(path)]:
            del _indexes[key]
