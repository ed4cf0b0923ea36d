"""A list that stays in order and stays fast with a million entries."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

Entry = tuple[float, int]

BLOCK = 1000
"""Entries are kept in blocks of at most twice so many: an insertion moves no more than one block."""


class Ranked:
    """(loss, trial) entries, best first."""

    __slots__ = ("_blocks", "_lasts", "_length")

    def __init__(self) -> None:
        self._blocks: list[list[Entry]] = []
        self._lasts: list[Entry] = []  # last entry of each block
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Entry]:
        for block in self._blocks:
            yield from block

    def add(self, entry: Entry) -> None:
        """Put an entry in its place."""
        self._length += 1
        if not self._blocks:
            self._blocks.append([entry])
            self._lasts.append(entry)
            return
        at = min(bisect_right(self._lasts, entry), len(self._blocks) - 1)
        block = self._blocks[at]
        insort(block, entry)
        self._lasts[at] = block[-1]
        if len(block) > 2 * BLOCK:
            self._blocks[at : at + 1] = [block[:BLOCK], block[BLOCK:]]
            self._lasts[at : at + 1] = [block[BLOCK - 1], block[-1]]

    def before(self, entry: Entry) -> int:
        """How many entries come before ``entry``."""
        at = bisect_left(self._lasts, entry)
        if at == len(self._blocks):
            return self._length
        return sum(map(len, self._blocks[:at])) + bisect_left(self._blocks[at], entry)

    def __getitem__(self, position: int) -> Entry:
        for block in self._blocks:
            if position < len(block):
                return block[position]
            position -= len(block)
        raise IndexError(position)
