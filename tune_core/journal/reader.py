"""Reads a journal a part at a time, so that what is kept of it is up to the reader; follows one that still grows."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from tune_core.core import events as ev
from tune_core.core.files import open_regular
from tune_core.errors import JournalError, NoExperimentError
from tune_core.journal import kept_index
from tune_core.journal.format import (
    JOURNAL_FILE,
    MOST_HEADER_BYTES,
    TRIAL_HEAD,
    Gap,
    LineScanner,
    Log,
    decode_events,
    read_header,
)
from tune_core.journal.trial_index import TrialIndex, forget, index_of

_RESTORE = b'{"e":"restore"'


class Reader:
    """A journal open for reading. Executes nothing that the experiment holds.

    Parameters
    ----------
    folder
        The experiment's folder.
    trial
        Only decode the events of this trial, or of these, and those that concern the whole run; None decodes all.

    Attributes
    ----------
    gaps
        Where lines are damaged with whole lines behind them, of what was read so far.
    torn_bytes
        How many bytes were behind the last whole line at the end of the last :meth:`read`.

    Raises
    ------
    JournalError
        If there is no journal, its first line is not whole, or a newer tune-core wrote it.
    """

    def __init__(self, folder: str, trial: int | range | None = None) -> None:
        self._setup(os.path.join(folder, JOURNAL_FILE), trial)
        with self._open(folder) as file:
            self._read_header(file)

    @classmethod
    def of_bytes(cls, data: bytes, path: str = JOURNAL_FILE) -> Reader:
        """A reader of a journal in memory; ``path`` is for the errors."""
        reader = cls.__new__(cls)
        reader._setup(path, None)
        reader._data = data
        reader._read_header(io.BytesIO(data))
        return reader

    @classmethod
    def of_open(cls, opened: Callable[[], IO[bytes]], path: str, end_at: int) -> Reader:
        """A reader of a journal that is open already, up to the byte ``end_at``; ``opened`` gives it."""
        reader = cls.__new__(cls)
        reader._setup(path, None)
        reader._opened, reader._end_at = opened, end_at
        with opened() as file:
            reader._read_header(file)
        return reader

    def _setup(self, path: str, trial: int | range | None) -> None:
        self.path = path
        self._opened: Callable[[], IO[bytes]] | None = None
        self._end_at: int | None = None
        self.gaps: list[Gap] = []
        self._only = trial
        self._data: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """Length of the file up to the end of the last whole line that was read."""
        return self._scanner.at

    @property
    def torn_bytes(self) -> int:
        return self._scanner.torn_bytes

    def read(self) -> Iterator[list[Any]]:
        """Events that were not read before, a list at a time, up to the last whole line that is there now.

        A list with a single :class:`~tune_core.journal.format.Gap` stands where lines are damaged.
        """
        for lines in self._lines() if self._only is None else self._lines_of_trial(self._only):
            if isinstance(lines, Gap):
                self.gaps.append(lines)
                yield [lines]
            else:
                yield self._decode(lines)

    def stretch(self, first: int, most: int, most_bytes: int) -> range:
        """``first`` and as many trials after it, up to ``most`` in all, as have about so many bytes of lines."""
        with self._open(os.path.dirname(self.path)) as file:
            return index_of(self.path, file, self._begin).stretch(first, most, most_bytes)

    def find(self, head: bytes) -> list[Any]:
        """The events, of those not read yet, whose lines begin with ``head``; no others are decoded."""
        found: list[Any] = []
        for lines in self._lines_of_run():  # those that are chosen are checked
            if isinstance(lines, bytes) and (lines.startswith(head) or b"\n" + head in lines):
                chosen = (line for line in lines.split(b"\n") if line.startswith(head) and ev.is_whole(line))
                found += decode_events(b"\n".join(chosen), self.path, self.header.version)
        return found

    def _lines_of_run(self) -> Iterator[bytes | Gap]:
        """Lines, unchecked, with all that concern the whole run among them: by the index, where that is kept."""
        if self._may_have_index():
            index = TrialIndex.kept_beside(self.path, self._begin)
            with self._open(os.path.dirname(self.path)) as file:
                is_this = not index.gaps and index.update(file, end_at=index.scanner.at)
                lines = index.lines_of(range(0), file) if is_this else None
            if lines is not None:
                self._scanner.at = index.scanner.at
                yield from lines
        yield from self._lines(is_checked=False)

    def _may_have_index(self) -> bool:
        """Whether this is a large journal in a file, of which nothing was read yet."""
        if self._data is not None or self._scanner.at != self._begin:
            return False
        with self._open(os.path.dirname(self.path)) as file:
            return os.fstat(file.fileno()).st_size >= kept_index.LEAST_BYTES

    def _lines(self, is_checked: bool = True) -> Iterator[bytes | Gap]:
        kept = kept_index.load(self.path) if is_checked and self._may_have_index() else None
        with self._open(os.path.dirname(self.path)) as file:
            if kept is not None and (self._end_at is None or kept.at <= self._end_at):
                yield from self._scanner.scan_known(file, kept.blocks, kept.sums)
            yield from self._scanner.scan(file, is_checked, self._end_at)

    def _lines_of_trial(self, trial: int | range) -> Iterator[bytes | Gap]:
        """The lines of trials and of the whole run, by the index; what was appended since, line by line."""
        if self._data is not None or self._scanner.at != self._begin:
            yield from self._lines()
            return
        with self._open(os.path.dirname(self.path)) as file:
            index = index_of(self.path, file, self._begin)
            lines = index.lines_of(trial, file)
        if lines is None:
            forget(self.path)
            yield from self._lines()
        else:
            self._scanner.at, self._scanner.torn_bytes = index.scanner.at, index.scanner.torn_bytes
            yield from lines

    def _open(self, folder: str) -> IO[bytes]:
        if self._data is not None:
            return io.BytesIO(self._data)
        if self._opened is not None:
            return self._opened()
        try:
            return open(open_regular(self.path, os.O_RDONLY), "rb")
        except (FileNotFoundError, NotADirectoryError):
            there = os.path.isdir(folder)
            raise NoExperimentError(
                f"The folder {folder}",
                "holds no experiment",
                f"there is no {JOURNAL_FILE} in it" if there else "it was removed, or a run without a name had it",
                "Name the experiment's own folder: the one that the run printed. `tune-core ls` lists them."
                if there
                else "`tune-core ls` lists experiments; a search that is given a name keeps its files.",
            ) from None
        except OSError as error:
            raise JournalError(
                self.path, "cannot be read", str(error.strerror or error), "Check the file and its permissions."
            ) from error

    def _read_header(self, file: IO[bytes]) -> None:
        first = file.readline(MOST_HEADER_BYTES)
        if not first.endswith(b"\n") or not ev.is_whole(first[:-1]):
            raise self._no_header(first, file)
        self.header = read_header(self.path, first[:-1])
        self._begin = len(first)
        self._scanner = LineScanner(self._begin)

    def _no_header(self, first: bytes, file: IO[bytes]) -> JournalError:
        scanner = LineScanner(len(first))
        whole = sum(part.count(b"\n") for part in scanner.scan(file) if isinstance(part, bytes))
        if whole:
            return JournalError(
                self.path,
                f"has no whole first line, and {whole} whole lines behind it",
                "its first line is damaged, and without it the others cannot be understood",
                "Nothing was changed. Put the file back from a copy, e.g. a backup of the disk.",
            )
        return JournalError(
            self.path,
            "has no whole first line",
            "the run was killed before it began, or this is no journal",
            "Start the run again with Tuner.fit(), or check the path.",
        )

    def _decode(self, lines: bytes) -> list[Any]:
        if self._only is not None:
            lines = b"\n".join(line for line in lines.split(b"\n") if self._concerns(line))
        return decode_events(lines, self.path, self.header.version)

    def _concerns(self, line: bytes) -> bool:
        head = TRIAL_HEAD.match(line)
        if head is None or self._only is None:
            return True
        return int(head[1]) in self._only if isinstance(self._only, range) else int(head[1]) == self._only


def reader_of(folder: str, trial: int | range | None = None) -> Any:
    """What reads an experiment's folder: its journal, or the files of Ray Tune if it has written it."""
    from tune_core.journal.ray_folder import RayReader, is_ray_folder

    if not os.path.exists(os.path.join(folder, JOURNAL_FILE)) and is_ray_folder(folder):
        return RayReader(folder, None if isinstance(trial, range) else trial)
    return Reader(folder, trial)


def read(folder: str) -> Log:
    """A folder's journal up to its last whole line. Executes nothing that the experiment holds.

    Raises
    ------
    JournalError
        If there is none, its first line is not whole, or a newer tune-core wrote it.
    """
    return _log(Reader(folder))


def parse(data: bytes, path: str = JOURNAL_FILE) -> Log:
    """A journal's bytes up to the last whole line; ``path`` is for the errors."""
    return _log(Reader.of_bytes(data, path))


def _log(reader: Reader) -> Log:
    events = [event for some in reader.read() for event in some]
    return Log(reader.header, events, reader.size_bytes, reader.torn_bytes, reader.gaps)


def outline(folder: str) -> tuple[ev.Header, list[ev.Restored]]:
    """The header of a folder's journal and the restores in it: what :func:`read` gives, without decoding the rest.

    Raises
    ------
    JournalError
        As for :func:`read`.
    """
    reader = Reader(folder)
    return reader.header, reader.find(_RESTORE)


def damage_text(gaps: Iterable[Gap], torn_bytes: int, skipped: int = 0) -> str:
    """What is wrong with a journal, as the rest of a sentence that begins with its name; empty if nothing is."""
    found = list(gaps)
    parts = []
    if found:
        places = ", ".join(f"{gap.size} bytes at byte {gap.offset}" for gap in found[:3])
        more = f" and {len(found) - 3} other places" if len(found) > 3 else ""
        parts.append(f"is damaged: {places}{more} cannot be read; whole lines behind them were")
    if torn_bytes:
        parts.append(f"has a torn end: its last {torn_bytes} bytes are no whole line")
    if skipped:
        parts.append(f"{skipped} events that do not follow without the lost ones were left out")
    return "; ".join(parts)
