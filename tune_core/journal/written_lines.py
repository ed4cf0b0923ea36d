"""Where each trial's lines stand in what a driver writes, noted while it writes: its index needs no pass at the end."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Collection, Iterator

from tune_core.journal.format import TRIAL_HEAD

BLOCK_BYTES = 1 << 15
"""A block ends with the first line, or the first lines that came in one piece, that end behind so many bytes."""


class WrittenLines:
    """The places of the lines that one driver has appended to its journal.

    Parameters
    ----------
    at
        The byte of the file at which the first one begins. At 0 that is the header, which is no part of what is
        noted.
    """

    def __init__(self, at: int) -> None:
        self.begin = self.at = at  #: the byte of the first line, and that behind the last one
        self._last = b""  # the lines that were added last
        self.blocks = array("Q")  #: offset and length of each block, one behind the other
        self.sums = array("Q")  #: the checksum of each block
        self._sum = 0  # of the block that is not full yet
        self.run_lines = array("Q")  #: the same of each line that concerns the whole run
        self._block_at = at
        self._present: set[int] = set()  # trials with lines in the block that is not full yet
        self._trials = array("Q")  # those of each block, one block behind the other
        self._ends = array("Q")  # where in them those of a block end

    def add(self, lines: bytes, trials: Collection[int] = ()) -> None:
        """Note lines that come behind the last ones; ``trials``: whose they are, empty if that is unknown."""
        if not self.at:
            self.begin = self.at = self._block_at = lines.index(b"\n") + 1
            lines = lines[self.at :]
        if trials:
            self._present.update(trials)
        else:
            self._look_at(lines)
        self.at += len(lines)
        self._sum = zlib.crc32(lines, self._sum)
        self._last = lines
        if self.at - self._block_at > BLOCK_BYTES:
            self._end_block()

    def _look_at(self, lines: bytes) -> None:
        at = self.at
        for line in lines.splitlines(keepends=True):
            head = TRIAL_HEAD.match(line)
            if head is not None:
                self._present.add(int(head[1]))
            else:
                self.run_lines.extend((at, len(line)))
            at += len(line)

    def _end_block(self) -> None:
        self.blocks.extend((self._block_at, self.at - self._block_at))
        self.sums.append(self._sum)
        self._sum = 0
        self._trials.extend(self._present)
        self._ends.append(len(self._trials))
        self._present.clear()
        self._block_at = self.at

    @property
    def last(self) -> bytes:
        """The last line."""
        return self._last[self._last.rfind(b"\n", 0, -1) + 1 :]

    def end(self) -> None:
        """No more will come."""
        if self.at > self._block_at:
            self._end_block()

    def by_block(self) -> Iterator[array[int]]:
        """The trials that have lines in each block."""
        begin = 0
        for end in self._ends:
            yield self._trials[begin:end]
            begin = end
