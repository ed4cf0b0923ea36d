"""Objects as files of a local or mounted folder; safe on NFS, where neither locks nor appends can be relied on.

A new object is written under a hidden name, synced, and then linked (``create``) or renamed (``put``) to its own name:
both are one step on the server, also for clients that do not know of each other. A link whose answer was lost by the
network has still been made: the hidden file's count of links tells.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T")
_STALE_TRIES = 3


class LocalObjects:
    """Objects in a folder of this machine or a mounted one.

    Parameters
    ----------
    url
        The folder; made when the first object is written.
    """

    def __init__(self, url: str) -> None:
        self.url = os.path.abspath(url).rstrip("/") or "/"

    def _path(self, key: str) -> str:
        return os.path.join(self.url, *key.split("/")) if key else self.url

    def create(self, key: str, data: bytes) -> bool:
        """Write a file that must not be there yet; False if it is. Of several machines exactly one gets True."""
        path = self._path(key)
        with self._hidden(path) as new:
            _write(new, data)
            try:
                os.link(new, path)
            except FileExistsError:
                return os.stat(new).st_nlink == 2  # our own link, whose answer was lost
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS):
                    raise
                return _create_exclusively(path, data)  # a file system without links
            _sync_folder(os.path.dirname(path))
            return True

    def put(self, key: str, data: bytes) -> None:
        """Write a file, or replace it in one step; it is on the disk when this returns."""
        self._replace(key, lambda new: _write(new, data))

    def put_file(self, key: str, path: str) -> None:
        """Write a file with the content of another one, block by block."""
        self._replace(key, lambda new: _copy(path, new))

    def copy(self, source: str, key: str) -> None:
        """Make a second file with the content of ``source``."""
        self._replace(key, lambda new: _copy(self._path(source), new))

    def _replace(self, key: str, fill: Callable[[str], None]) -> None:
        path = self._path(key)
        with self._hidden(path) as new:
            fill(new)
            os.replace(new, path)
            _sync_folder(os.path.dirname(path))

    def get(self, key: str) -> bytes:
        """A file's content, as it is on the server now."""
        return _unless_stale(lambda: _read(self._path(key)))

    def get_file(self, key: str, path: str) -> None:
        """Write a file's content to ``path``, block by block."""
        _unless_stale(lambda: shutil.copyfile(self._path(key), path))

    def size(self, key: str) -> int | None:
        """A file's length in bytes; None if it is missing."""
        path = self._path(key)
        try:
            return _unless_stale(lambda: os.path.getsize(path)) if os.path.isfile(path) else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def keys(self, prefix: str = "") -> list[str]:
        """Keys of all files in the folder ``prefix`` and below it, sorted; without those being written."""
        found = []
        for where, _, files in os.walk(self._path(prefix)):
            below = os.path.relpath(where, self.url).replace(os.sep, "/")
            found += [name if below == "." else f"{below}/{name}" for name in files if not _is_hidden(name)]
        return sorted(found)

    def folders(self, prefix: str = "") -> list[str]:
        """Names of the folders directly in the folder ``prefix`` that hold anything, sorted."""
        try:
            with os.scandir(self._path(prefix)) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir() and any(os.scandir(entry.path)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def delete(self, keys: Iterable[str]) -> None:
        """Delete files, and the folders that this leaves empty; files that are missing are passed over."""
        for key in keys:
            path = self._path(key)
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(path)
            folder = os.path.dirname(path)
            with contextlib.suppress(OSError):  # not empty
                while len(folder) > len(self.url):
                    os.rmdir(folder)
                    folder = os.path.dirname(folder)

    @contextlib.contextmanager
    def _hidden(self, path: str) -> Iterator[str]:
        """A name to write to, beside ``path``; gone at the end."""
        folder, name = os.path.split(path)
        os.makedirs(folder, exist_ok=True)
        new = os.path.join(folder, f".{name}.{uuid.uuid4().hex}.new")
        try:
            yield new
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") and name.endswith(".new")


def _create_exclusively(path: str, data: bytes) -> bool:
    try:
        with open(path, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True


def _write(path: str, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _copy(source: str, path: str) -> None:
    shutil.copyfile(source, path)
    _sync(path)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _unless_stale(action: Callable[[], _T]) -> _T:
    """A file that was replaced on the server while it was open here is opened again."""
    for _ in range(_STALE_TRIES - 1):
        try:
            return action()
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    return action()


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: str) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        _sync(folder)
