"""Experiments read from an object store: their journals, brought to a folder of this machine part by part."""

from __future__ import annotations

import os
import time

import msgspec

from tune_core.errors import NoExperimentError, StorageError
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.place import Place, is_stored
from tune_core.storage import local_path
from tune_core.storage.connect import object_store
from tune_core.storage.lease import last_lease, read_head
from tune_core.storage.local import write_bytes_atomic
from tune_core.storage.objects import ObjectStore, redacted
from tune_core.storage.retries import with_retries
from tune_core.storage.segments import SegmentHead, StoredJournal, has_journal, read_segments, segment_key

_READ_FILE = ".read.json"
_THREADS = 8


class _Read(msgspec.Struct):
    """How much of a stored journal is in a folder of the cache, and the last segment's head."""

    segments: int
    last: SegmentHead


def cache_folder() -> str:
    """Where copies of what is in stores are kept: ``$TUNE_CORE_CACHE``, else ``~/.cache/tune-core``."""
    given = os.environ.get("TUNE_CORE_CACHE")
    if given:
        return os.path.abspath(os.path.expanduser(given))
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "tune-core")


def folder_of(url: str, purpose: str) -> str:
    """The folder in the cache for the experiment at ``url``."""
    parent, _, name = url.rstrip("/").rpartition("/")
    import hashlib  # where there is no store, nobody needs this

    digest = hashlib.sha256(parent.encode()).hexdigest()[:12]
    return os.path.join(cache_folder(), purpose, digest, name)


def open_place(path: str | os.PathLike[str], filesystem: object = None) -> Place:
    """Where the experiment at ``path`` can be read; from a store, its journal is fetched as far as it is new.

    Raises
    ------
    JournalError
        If the store holds no experiment there.
    ObjectStoreError
        If the store cannot be read.
    """
    if not is_stored(path, filesystem):
        local = local_path(path)
        assert local is not None
        return Place(local)
    url = os.fspath(path).rstrip("/")
    place = Place(folder_of(url, "read"), url, filesystem)
    refresh(place)
    return place


def refresh(place: Place) -> None:
    """Fetch what was added to a stored journal since the last time."""
    if place.url is None:
        return
    store = object_store(place.url, place.filesystem)
    known = _known(place, store)
    found = read_segments(store, known)
    if not found.data:
        raise no_experiment(place.url, store)
    if known is None or found.segments > known.segments or not os.path.exists(_journal(place)):
        os.makedirs(place.folder, exist_ok=True)
        write_bytes_atomic(_journal(place), found.data)
        read = _Read(found.segments, found.heads[-1])
        write_bytes_atomic(os.path.join(place.folder, _READ_FILE), msgspec.json.encode(read))


def _known(place: Place, store: ObjectStore) -> StoredJournal | None:
    """What the cache has of the journal, if the store still has the same."""
    try:
        with open(os.path.join(place.folder, _READ_FILE), "rb") as file:
            read = msgspec.json.decode(file.read(), type=_Read)
        with open(_journal(place), "rb") as file:
            data = file.read()
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):  # no usable copy here: the journal is fetched
        return None
    if len(data) != read.last.offset + read.last.size:
        return None
    key = segment_key(read.segments - 1)
    try:
        now = with_retries(f"read {redacted(store.url)}/{key}", lambda: store.get(key))
    except FileNotFoundError:  # the store was written anew meanwhile
        return None
    head = msgspec.json.decode(now.partition(b"\n")[0], type=SegmentHead)
    return StoredJournal(data, read.segments, [head]) if head == read.last else None


def _journal(place: Place) -> str:
    return os.path.join(place.folder, JOURNAL_FILE)


def exists(path: str | os.PathLike[str], filesystem: object = None) -> bool:
    """Whether there is an experiment at a URL."""
    return has_journal(object_store(path, filesystem))


def experiments_below(url: str, filesystem: object = None) -> list[str]:
    """The URLs of the experiments directly below a URL, and the URL itself if it is one; sorted."""
    url = url.rstrip("/")
    store = object_store(url, filesystem)
    if exists(url, filesystem):
        return [url]
    names = with_retries(f"list {redacted(url)}", lambda: store.folders())
    if not names and missing_bucket(store) is not None:
        raise no_experiment(url, store)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda name: exists(f"{url}/{name}", filesystem), names)
        return [f"{url}/{name}" for name, is_one in zip(names, found, strict=True) if is_one]


def is_driven(place: Place, last_event_at: float) -> bool:
    """Whether some machine seems to drive a stored experiment now: for people, clocks may differ."""
    assert place.url is not None
    store = object_store(place.url, place.filesystem)
    lease = last_lease(store)
    head = read_head(store, lease.epoch) if lease is not None else None
    if lease is None or (head is not None and head.released):
        return False
    seen = max(lease.at, last_event_at, head.at if head is not None else 0.0)
    return time.time() - seen < 3 * lease.expiry_s


def missing_bucket(store: ObjectStore) -> str | None:
    """The name of the bucket that a URL names, if it is missing."""
    ask = getattr(store, "missing_bucket", None)
    if ask is None:
        return None
    try:
        found: str | None = with_retries(f"look for the bucket of {redacted(store.url)}", ask)
    except StorageError:  # it may be there, and not ours to look at
        return None
    return found


def no_experiment(url: str, store: ObjectStore) -> NoExperimentError:
    """The error for a URL where no experiment is."""
    if (bucket := missing_bucket(store)) is not None:
        return NoExperimentError(
            f"The URL {redacted(url)}",
            "holds no experiment",
            f"the bucket {bucket} does not exist",
            "Correct the URL, and check the address of the store.",
        )
    return NoExperimentError(
        f"The URL {redacted(url)}",
        "holds no experiment",
        "there is no journal below it",
        "Name the experiment's own URL: the one that the run printed. `tune-core ls URL` lists those in a folder.",
    )
