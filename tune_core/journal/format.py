"""The journal's lines: which are whole, what is missing between them, and what a header must hold."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import msgspec

from tune_core.core import events as ev
from tune_core.errors import JournalError

JOURNAL_FILE = "journal.jsonl"
CHUNK_BYTES = 1 << 18
"""So much is read at a time: the events in it stay in the processor's cache until they have been taken in."""
MOST_HEADER_BYTES = 1 << 22


@dataclass(frozen=True)
class Gap:
    """A place where lines are damaged, with whole lines behind it: ``size`` bytes from byte ``offset`` on."""

    offset: int
    size: int


TRIAL_HEAD = re.compile(rb'\{"e":"(?:suggest|launch|report|save|end|decide|stop|refuse|note|lose)","trial":(\d+)[,}]')
"""How a line of an event of one trial begins; all others are of the whole run."""


@dataclass
class Log:
    """A journal as read: its header, all events after it, and how much of the file was whole.

    ``events`` has a :class:`Gap` wherever the file is damaged; ``gaps`` are the same ones.
    """

    header: ev.Header
    events: list[Any]
    size_bytes: int
    torn_bytes: int = 0
    gaps: list[Gap] = field(default_factory=list)


class LineScanner:
    """Goes through a file of lines, and tells whole ones, gaps and a torn tail apart.

    Parameters
    ----------
    at
        The byte to begin at: the first one of a line.

    Attributes
    ----------
    at
        The byte behind the last whole line that was returned.
    torn_bytes
        How many bytes were behind that when the file was read last.
    """

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.torn_bytes = 0

    def scan(self, file: IO[bytes], is_checked: bool = True, end_at: int | None = None) -> Iterator[bytes | Gap]:
        """Whole lines, many at a time, and gaps, from where the last scan ended to the last whole line.

        Without ``is_checked``, each line that has its end is taken to be whole: for those that this process has
        written. With ``end_at``, only what is before that byte of the file is read.
        """
        file.seek(self.at)
        end = self.at  # of what was read
        rest = bytearray()
        while chunk := file.read(CHUNK_BYTES if end_at is None else min(CHUNK_BYTES, max(0, end_at - end))):
            end += len(chunk)
            rest += chunk
            cut = chunk.rfind(b"\n") + 1
            if cut:
                cut += len(rest) - len(chunk)
                lines = bytes(rest[:cut])
                del rest[:cut]
                if is_checked:
                    yield from self._judge(lines, end - len(rest) - cut)
                else:
                    yield lines
                    self.at = end - len(rest)
        self.torn_bytes = end - self.at

    def scan_known(self, file: IO[bytes], blocks: Sequence[int], sums: Sequence[int]) -> Iterator[bytes]:
        """Whole lines as :meth:`scan` gives them, as far as the file is as it was when all its lines were whole.

        ``blocks`` has the offset and the length of each part of the file, and ``sums`` its checksum then.
        """
        file.seek(self.at)
        at, number, count = self.at, 0, len(sums)
        while number < count:
            parts: list[bytes] = []
            read = 0
            while number < count and read < CHUNK_BYTES and blocks[2 * number] == at:
                part = file.read(blocks[2 * number + 1])
                if zlib.crc32(part) != sums[number] or not part.endswith(b"\n"):
                    count = 0
                    break
                parts.append(part)
                read += len(part)
                at += len(part)
                number += 1
            if parts:
                yield b"".join(parts)
                self.at = at
            if read < CHUNK_BYTES:
                return

    def _judge(self, lines: bytes, start: int) -> Iterator[bytes | Gap]:
        """``lines``, which begin at byte ``start`` of the file; bad ones before a whole one are a gap."""
        at, size = 0, len(lines)
        while at < size:
            whole = whole_length(lines[at:] if at else lines)
            if whole:
                if start + at > self.at:
                    yield Gap(self.at, start + at - self.at)
                yield lines[at : at + whole]
                at += whole
                self.at = start + at
            while at < size:  # over the lines that are not whole
                end = lines.index(b"\n", at)
                if ev.is_whole(lines[at:end]):
                    break
                at = end + 1


def whole_length(data: bytes) -> int:
    """Length of the part at the beginning of ``data`` that consists of whole lines with right checksums."""
    at = 0
    for line in data.split(b"\n"):
        if not ev.is_whole(line):
            return at if at <= len(data) else len(data)
        at += len(line) + 1
    return min(at, len(data)) if data.endswith(b"\n") else max(0, data.rfind(b"\n") + 1)


def decode_events(lines: bytes, path: str, version: str) -> list[object]:
    """The events of whole lines; what no event can be is a clear error."""
    try:
        return ev.decode_lines(lines)
    except (msgspec.MsgspecError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise _unknown(path, version, error) from error


def read_header(path: str, line: bytes) -> ev.Header:
    """The header that a journal's first line (without its newline) holds, or a clear error."""
    try:
        raw = msgspec.json.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _unknown(path, "?", error) from error
    schema = raw.get("schema", ev.SCHEMA)
    if raw.get("e") != "run":
        raise JournalError(
            path, "does not start with a run's header", "it is no journal of tune-core", "Check the path."
        )
    if not isinstance(schema, int) or schema > ev.SCHEMA:
        raise JournalError(
            path,
            f"has schema {schema}, written by tune-core {raw.get('version')}",
            f"this version reads schemas up to {ev.SCHEMA}",
            "Upgrade: pip install -U tune-core",
        )
    try:
        header: ev.Header = msgspec.json.decode(line, type=ev.Header)
    except msgspec.ValidationError as error:
        raise _unknown(path, raw.get("version"), error) from error
    return header


def does_not_follow(path: str, version: str, error: Exception) -> JournalError:
    """The error for a journal whose events contradict each other."""
    return JournalError(
        path,
        f"has an event that does not follow from those before it: {type(error).__name__}: {error}",
        f"it was written by tune-core {version}, or was changed by hand",
        "Read it with that version, or upgrade: pip install -U tune-core",
    )


def _unknown(path: str, version: object, error: Exception) -> JournalError:
    return JournalError(
        path,
        f"has a line that this version does not know: {error}",
        f"it was written by tune-core {version}",
        "Read it with that version, or upgrade: pip install -U tune-core",
    )
