"""A journal in an object store: numbered segments, each created once and never written again.

``journal/00000042`` starts with a line that says who wrote it and where its bytes belong; the journal's own lines
follow. Whoever reads all segments in order has the journal, up to the last mirrored line. Since an object can be
created only once, two writers that both go on meet at the first number that both want: one of them gets it, and the
other learns that it has been replaced.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from tune_core.errors import JournalError, TuneError
from tune_core.storage.objects import ObjectStore, join, redacted
from tune_core.storage.retries import with_retries

FOLDER = "journal"
_THREADS = 16


class SegmentHead(msgspec.Struct):
    """The first line of a segment."""

    epoch: int
    token: str  # of the lease under which it was written
    offset: int  # where its bytes belong: what was there from here on is replaced
    size: int


class SupersededError(TuneError):
    """Another driver has written the segment that was to be next."""

    def __init__(self, head: SegmentHead, number: int, url: str = "", fix: str = "") -> None:
        self.head = head
        self.number = number
        super().__init__(
            f"The segment {number} of the journal in {url}",
            f"was written by another driver (lease {head.epoch})",
            "it has taken this experiment over",
            "Look there for its results; this driver's own are kept in its working folder.",
        )


@dataclass
class Position:
    """How much of a journal is in the store."""

    segments: int = 0
    size_bytes: int = 0


@dataclass
class StoredJournal:
    """A journal as read from its segments."""

    data: bytes = b""
    segments: int = 0
    heads: list[SegmentHead] = field(default_factory=list)

    @property
    def position(self) -> Position:
        """How much that is."""
        return Position(self.segments, len(self.data))


def segment_key(number: int) -> str:
    """The key of a segment."""
    return f"{FOLDER}/{number:08d}"


def write_segment(store: ObjectStore, number: int, head: SegmentHead, body: bytes) -> None:
    """Create a segment.

    Raises
    ------
    SupersededError
        If another writer was there before. One's own, whose answer was lost, is recognised.
    """
    key = segment_key(number)
    data = msgspec.json.encode(head) + b"\n" + body
    if store.create(key, data):
        return
    other = _parse(store.get(key), key)
    if other[0] != head or other[1] != body:
        raise SupersededError(other[0], number, redacted(store.url))


def count_segments(store: ObjectStore, known: int = 0) -> int:
    """How many segments there are, given that there are ``known`` at least."""
    number = known
    while store.size(segment_key(number)) is not None:
        number += 1
    return number


def read_segments(store: ObjectStore, before: StoredJournal | None = None) -> StoredJournal:
    """The journal in the store; with ``before``, what was read earlier, only what is new is fetched.

    Raises
    ------
    JournalError
        If a segment is missing between others.
    ObjectStoreError
        If the store cannot be read.
    """
    known = before or StoredJournal()
    where = f"{redacted(store.url)}/{FOLDER}"
    keys = with_retries(f"list {where}", lambda: store.keys(FOLDER))
    numbers = sorted(int(name) for key in keys if (name := key.rpartition("/")[2]).isdigit())
    if numbers != list(range(len(numbers))):
        gap = next(i for i, number in enumerate(numbers) if i != number)
        raise JournalError(
            where,
            f"has no segment {gap:08d}, and later ones",
            "it was deleted by something else than tune-core",
            "Bring it back from a version or a backup of the bucket.",
        )
    new = [segment_key(number) for number in numbers[known.segments :]]

    def read(key: str) -> tuple[SegmentHead, bytes]:
        return _parse(with_retries(f"read {join(redacted(store.url), key)}", lambda: store.get(key)), key)

    with ThreadPoolExecutor(_THREADS) as pool:
        parts = list(pool.map(read, new))
    data = bytearray(known.data)
    for head, body in parts:
        if head.offset > len(data):
            raise JournalError(where, "has segments that do not fit", "one was changed", "Restore the bucket's backup.")
        del data[head.offset :]
        data += body
    return StoredJournal(bytes(data), known.segments + len(new), known.heads + [head for head, _ in parts])


def _parse(data: bytes, key: str) -> tuple[SegmentHead, bytes]:
    line, _, body = data.partition(b"\n")
    try:
        head = msgspec.json.decode(line, type=SegmentHead)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise JournalError(key, "is no segment of a journal", str(error), "Check the URL.") from error
    if head.size != len(body):
        raise JournalError(
            key, f"holds {len(body)} bytes of {head.size}", "it was cut", "Bring it back from a backup of the bucket."
        )
    return head, body
