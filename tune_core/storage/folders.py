"""Folders in an object store, seen whole or not at all.

A store cannot rename a folder. So a folder that was put there carries one more object, ``.commit``: the list of its
files with their sizes and hashes, written when all of them are there. Where a folder has several files an empty
``.commit`` goes first, and a folder with an empty one is not visible; a single file is whole by itself. A folder
without ``.commit`` was put there by something else and is taken as it is. When a folder is replaced, the new files go
under a prefix of their own until the list changes over.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from tune_core.errors import CheckpointError, StorageError
from tune_core.storage.local import missing, raise_unwritable, unreadable
from tune_core.storage.objects import ObjectStore, join, redacted
from tune_core.storage.retries import with_retries

COMMIT = ".commit"
THREADS = 8
_CHUNK_BYTES = 1 << 20

_T = TypeVar("_T")


class FileEntry(msgspec.Struct):
    """A file of a committed folder."""

    size: int
    sha256: str
    mode: int = 0o644


class Commit(msgspec.Struct, omit_defaults=True):
    """What ``.commit`` holds: the prefix that the files' keys have in the folder, and the files by name."""

    files: dict[str, FileEntry]
    prefix: str = ""
    folders: list[str] = []  # the empty ones
    whole: bool = True  # False while it is being uploaded or deleted: the object is empty then

    @property
    def size_bytes(self) -> int:
        """How much all files hold."""
        return sum(entry.size for entry in self.files.values())


def read_commit(store: ObjectStore, key: str) -> Commit | None:
    """The folder's list of files; None without one."""
    try:
        data = store.get(join(key, COMMIT))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return msgspec.json.decode(data, type=Commit) if data else Commit({}, whole=False)


def is_whole(store: ObjectStore, key: str) -> bool:
    """Whether a folder was uploaded to its end."""
    commit = read_commit(store, key)
    return commit is not None and commit.whole


def upload_folder(
    store: ObjectStore, source: str, key: str, like: str | None = None, deadline_s: float | None = None
) -> Commit:
    """Upload a local folder, which becomes visible all at once.

    Parameters
    ----------
    store, source, key
        Where to, from where, and the folder's key there.
    like
        Key of another committed folder: files that are the same there are copied within the store, not sent again.
    deadline_s
        As for :func:`tune_core.storage.retries.with_retries`, for each file.

    Raises
    ------
    CheckpointError
        If the source is missing or cannot be read.
    ObjectStoreError
        If the store does not take it.
    """
    names, empty = _files_below(source)
    retry = _Retry(store, deadline_s)
    commit_key = join(key, COMMIT)
    before = retry("read", commit_key, lambda: read_commit(store, key))
    known = retry("read", like, lambda: read_commit(store, like or "")) if like else None
    prefix = ""
    if before is not None and before.whole:
        prefix = f".{uuid.uuid4().hex}/"
    elif before is None and len(names) > 1:
        retry("write", commit_key, lambda: store.put(commit_key, b""))
    upload = _Upload(store, source, join(key, prefix) if prefix else key, like or "", known or Commit({}), retry)
    entries = _in_threads(upload.send, names)
    commit = Commit(dict(zip(names, entries, strict=True)), prefix, empty)
    data = msgspec.json.encode(commit)
    retry("write", commit_key, lambda: store.put(commit_key, data))
    if before is not None and before.whole:
        old = [join(key, f"{before.prefix}{name}") for name in before.files]
        with contextlib.suppress(Exception):  # what is left there costs space, no more
            store.delete(old)
    return commit


def download_folder(store: ObjectStore, key: str, target: str) -> None:
    """Write a folder's files into a local folder, made if it is missing; each appears under its name when it is whole.

    Raises
    ------
    CheckpointError
        If there is no such folder, or a file is not what was uploaded.
    """
    retry = _Retry(store)
    commit = retry("read", join(key, COMMIT), lambda: read_commit(store, key))
    names = visible_files(store, key, commit)
    if names is None:
        raise missing(redacted(join(store.url, key)))
    os.makedirs(target, exist_ok=True)
    for name in commit.folders if commit is not None else ():
        os.makedirs(os.path.join(target, *_inside(name)), exist_ok=True)

    def fetch(name: str) -> None:
        path = os.path.join(target, *_inside(name))
        entry = commit.files[name] if commit is not None else None
        _fetch_file(retry, store, names[name], path, entry)

    _in_threads(fetch, list(names))


def visible_files(store: ObjectStore, key: str, commit: Commit | None) -> dict[str, str] | None:
    """From each file's name in the folder to the key that holds it; None if there is no such folder, or not yet."""
    if commit is not None:
        if not commit.whole:
            return None
        return {name: join(key, f"{commit.prefix}{name}") for name in commit.files}
    found = with_retries(f"list {redacted(join(store.url, key))}", lambda: store.keys(key))
    start = len(key) + 1 if key else 0
    return {name[start:]: name for name in found} or None


def delete_folder(store: ObjectStore, key: str) -> None:
    """Delete a folder and all in it, if it is there; it is gone for readers at once."""
    retry = _Retry(store)
    keys = retry("list", key, lambda: store.keys(key))
    commit_key = join(key, COMMIT)
    if commit_key in keys:
        if len(keys) > 2:
            retry("write", commit_key, lambda: store.put(commit_key, b""))
        keys.remove(commit_key)
        keys.append(commit_key)
    retry("delete", key, lambda: store.delete(keys))


class _Retry:
    """Calls a store with retries; errors name the object."""

    def __init__(self, store: ObjectStore, deadline_s: float | None = None) -> None:
        self._url = store.url
        self._deadline_s = deadline_s

    def __call__(self, verb: str, key: str, action: Callable[[], _T]) -> _T:
        return with_retries(f"{verb} {redacted(join(self._url, key))}", action, self._deadline_s)


class _Upload:
    """The files of one folder on their way."""

    def __init__(self, store: ObjectStore, source: str, key: str, like: str, known: Commit, retry: _Retry) -> None:
        self._store = store
        self._source = source
        self._key = key
        self._like = like
        self._known = known
        self._retry = retry

    def send(self, name: str) -> FileEntry:
        """Send one file, or have the store copy what it has already."""
        path = os.path.join(self._source, *name.split("/"))
        key = join(self._key, name)
        try:
            status = os.stat(path)
            twin = self._known.files.get(name)
            if twin is not None and twin.size == status.st_size and twin.sha256 == sha256_of(path):
                with contextlib.suppress(Exception):  # deleted meanwhile, or the store cannot: it is sent
                    self._store.copy(f"{self._like}/{self._known.prefix}{name}", key)
                    return FileEntry(twin.size, twin.sha256, status.st_mode & 0o777)
            with ThreadPoolExecutor(1) as beside:
                digest = beside.submit(sha256_of, path)
                self._retry("write", key, lambda: self._put(key, path))
                return FileEntry(status.st_size, digest.result(), status.st_mode & 0o777)
        except FileNotFoundError as error:
            raise unreadable(self._source, error) from error

    def _put(self, key: str, path: str) -> None:
        self._store.put_file(key, path)
        if getattr(self._store, "tells_of_failures", True):
            return
        size = os.path.getsize(path)
        if self._store.size(key) != size:
            raise ConnectionError(f"the store does not hold all {size} bytes after an upload without error")


def _fetch_file(retry: _Retry, store: ObjectStore, key: str, path: str, entry: FileEntry | None) -> None:
    """Download under a hidden name, compare with what was uploaded, then rename."""
    new = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{uuid.uuid4().hex}.new")

    def fetch() -> None:
        store.get_file(key, new)
        if entry is not None and os.path.getsize(new) != entry.size:
            raise ConnectionError(f"{os.path.getsize(new)} of {entry.size} bytes arrived")

    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        retry("read", key, fetch)
        if entry is not None:
            if sha256_of(new) != entry.sha256:
                raise CheckpointError(
                    f"The object {redacted(join(store.url, key))}",
                    "is not what was uploaded: its SHA-256 differs",
                    "it was overwritten or damaged in the store",
                    "Go on from another checkpoint.",
                )
            os.chmod(new, entry.mode)
        os.replace(new, path)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"The object {redacted(join(store.url, key))}",
            "is missing",
            "it was deleted while it was needed, or by something else than tune-core",
            "Go on from another checkpoint.",
        ) from error
    except StorageError:
        raise
    except OSError as error:
        raise_unwritable(path, error)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(new)


def sha256_of(path: str) -> str:
    """A file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _inside(name: str) -> list[str]:
    """The parts of a file's name, which must not lead out of the folder."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or "\0" in name:
        raise CheckpointError(
            f"The file {name!r} of a folder in a store",
            "has a name that leads elsewhere",
            "the list of files was changed by hand or by an attacker",
            "Do not use this checkpoint.",
        )
    return parts


def _files_below(folder: str) -> tuple[list[str], list[str]]:
    """The names of all files, and of the folders without any."""
    if not os.path.isdir(folder):
        raise missing(folder)
    names, empty = [], []

    def refuse(error: OSError) -> None:
        raise unreadable(folder, error)

    for where, folders, files in os.walk(folder, onerror=refuse):
        below = os.path.relpath(where, folder).replace(os.sep, "/")
        names += [name if below == "." else f"{below}/{name}" for name in files]
        if not files and not folders and below != ".":
            empty.append(below)
    return sorted(name for name in names if name != COMMIT), sorted(empty)


def _in_threads(action: Callable[[str], _T], names: list[str]) -> list[_T]:
    """The answers of ``action`` for each name; the first error is raised when all have ended."""
    if len(names) <= 1:
        return [action(name) for name in names]
    with ThreadPoolExecutor(min(THREADS, len(names))) as pool:
        futures = [pool.submit(action, name) for name in names]
    return [future.result() for future in futures]
