"""A journal in an object store: numbered segments, each created once and never written again.

``journal/00000042`` starts with a line that says who wrote it and where its bytes belong; the journal's own lines
follow. Whoever reads all segments in order has the journal, up to the last mirrored line. Since an object can be
created only once, two writers that both go on meet at the first number that both want: one of them gets it, and the
other learns that it has been replaced.

A segment whose bytes belong at 0 begins the journal anew: what was there before it no longer counts, and may be
deleted. So a new experiment takes the place of an older one in one step, and the numbers go on, which keeps the older
one's driver out.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from tune_core.errors import JournalError, TuneError
from tune_core.storage.objects import ObjectStore, join, redacted
from tune_core.storage.retries import with_retries

FOLDER = "journal"
INCOMPLETE = ".incomplete"
"""In an experiment that is being copied: there is no experiment yet."""
_THREADS = 16
_TRIES = 5


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

    segments: int = 0  #: Number of the next segment.
    size_bytes: int = 0


@dataclass
class StoredJournal:
    """A journal as read from its segments."""

    data: bytes = b""
    segments: int = 0  #: Number of the next segment.
    heads: list[SegmentHead] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)  #: Numbers of segments without content that were seen.

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


def segment_numbers(store: ObjectStore) -> list[int]:
    """The numbers of the segments in a store, sorted."""
    keys = with_retries(f"list {redacted(store.url)}/{FOLDER}", lambda: store.keys(FOLDER))
    return sorted(int(name) for key in keys if (name := key.rpartition("/")[2]).isdigit())


def has_journal(store: ObjectStore) -> bool:
    """Whether a store holds an experiment: a journal with something in it, wholly."""
    numbers = segment_numbers(store)
    if not numbers:
        return False
    last = _read(store, numbers[-1])
    if last is None or last[0].offset + last[0].size == 0:
        return False
    where = f"{redacted(store.url)}/{INCOMPLETE}"
    return with_retries(f"look for {where}", lambda: store.size(INCOMPLETE)) is None


def write_next_segment(store: ObjectStore, make: Callable[[StoredJournal], SegmentHead]) -> StoredJournal:
    """Create an empty segment behind all that are there, however many other writers add; the journal with it.

    From here on nobody who has not seen it can add to the journal.

    Parameters
    ----------
    store
        The experiment's objects.
    make
        Given the journal as it is, the segment's head.

    Raises
    ------
    SupersededError
        If a writer with a newer lease was there before.
    """
    known = StoredJournal()
    while True:
        known = read_segments(store, known)
        number, head = known.segments, make(known)
        try:
            what = f"write {redacted(store.url)}/{segment_key(number)}"
            with_retries(what, lambda n=number, h=head: write_segment(store, n, h, b""))  # type: ignore[misc]
        except SupersededError as error:
            if error.head.epoch > head.epoch:
                raise
            continue
        return StoredJournal(known.data[: head.offset], number + 1, [*known.heads, head], [*known.empty, number])


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
    for attempt in range(_TRIES):
        numbers = [number for number in segment_numbers(store) if number >= known.segments]
        with ThreadPoolExecutor(_THREADS) as pool:
            found = dict(zip(numbers, pool.map(lambda number: _read(store, number), numbers), strict=True))
        parts = {number: part for number, part in found.items() if part is not None}
        anew = [number for number, (head, _) in parts.items() if head.offset == 0]
        start = max(anew, default=known.segments)
        wanted = range(start, max(numbers, default=start - 1) + 1)
        missing = next((number for number in wanted if number not in parts), None)
        if missing is None:
            empty = [number for number, (head, _) in parts.items() if head.size == 0]
            return _joined(where, known, [parts[number] for number in wanted], wanted.stop, empty)
        if missing in found or attempt == 0:
            continue  # deleted since it was listed: another experiment takes this place
        break
    raise JournalError(
        where,
        f"has no segment {missing:08d}, and later ones",
        "it was deleted by something else than tune-core",
        "Bring it back from a version or a backup of the bucket.",
    )


def _joined(
    where: str, known: StoredJournal, parts: list[tuple[SegmentHead, bytes]], segments: int, empty: list[int]
) -> StoredJournal:
    """What was known, and the segments behind it."""
    data, heads = bytearray(known.data), list(known.heads)
    for head, body in parts:
        if head.offset > len(data):
            raise JournalError(where, "has segments that do not fit", "one was changed", "Restore the bucket's backup.")
        del data[head.offset :]
        data += body
        heads.append(head)
    return StoredJournal(bytes(data), segments, heads, known.empty + empty)


def _read(store: ObjectStore, number: int) -> tuple[SegmentHead, bytes] | None:
    """A segment; None if it is missing."""
    key = segment_key(number)
    try:
        return _parse(with_retries(f"read {join(redacted(store.url), key)}", lambda: store.get(key)), key)
    except FileNotFoundError:
        return None


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
