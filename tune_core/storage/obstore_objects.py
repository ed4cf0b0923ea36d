"""Objects in a store of obstore: little memory, no list caches, large files in parallel parts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from tune_core.core.optional_imports import require
from tune_core.storage.objects import PARTS_AT_ONCE, part_bytes

_WRITE_BYTES = 4 << 20
_COPY_BYTES = 5 << 30  # S3 copies no larger object in one request


class ObstoreObjects:
    """Objects below a prefix in a store of obstore.

    Parameters
    ----------
    url
        URL below which the experiment is, for people; or a prefix in the store.
    store
        An obstore store, e.g. ``obstore.store.S3Store("bucket")``: keys are relative to it.
    """

    def __init__(self, url: str, store: Any) -> None:
        self.url = url.rstrip("/")
        self._obstore = require("A store of obstore", "obstore", "obstore")
        self._store = store
        prefix = self.url.partition("://")[2].partition("/")[2] if "://" in self.url else self.url.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""

    @property
    def filesystem(self) -> Any:
        """The store of obstore in use."""
        return self._store

    def _path(self, key: str) -> str:
        return f"{self._prefix}{key}"

    def create(self, key: str, data: bytes) -> bool:
        """Write an object that must not be there yet; False if it is. The store decides who is first."""
        try:
            self._obstore.put(self._store, self._path(key), data, mode="create", use_multipart=False)
        except self._obstore.exceptions.AlreadyExistsError:
            return False
        return True

    def put(self, key: str, data: bytes) -> None:
        """Write an object, or replace it in one step."""
        self._obstore.put(self._store, self._path(key), data)

    def put_file(self, key: str, path: str) -> None:
        """Write an object with the content of a local file; a large one goes up in parts, several at once."""
        how = {"chunk_size": part_bytes(os.path.getsize(path)), "max_concurrency": PARTS_AT_ONCE}
        with open(path, "rb") as file:
            self._obstore.put(self._store, self._path(key), file, **how)

    def copy(self, source: str, key: str) -> None:
        """Make a second object by the store's own copy; one too large for that passes through here."""
        size = self.size(source) or 0
        if size <= _COPY_BYTES:
            self._obstore.copy(self._store, self._path(source), self._path(key))
            return
        found = self._obstore.get(self._store, self._path(source))
        options = {"buffer_size": part_bytes(size), "max_concurrency": PARTS_AT_ONCE}
        with self._obstore.open_writer(self._store, self._path(key), **options) as file:
            for chunk in found.stream(min_chunk_size=_WRITE_BYTES):
                file.write(chunk)

    def get(self, key: str) -> bytes:
        """An object's content, as it is now."""
        return bytes(self._obstore.get(self._store, self._path(key)).bytes())

    def get_file(self, key: str, path: str) -> None:
        """Write an object's content into a local file, a few megabytes at a time."""
        found = self._obstore.get(self._store, self._path(key))
        with open(path, "wb") as file:
            for chunk in found.stream(min_chunk_size=_WRITE_BYTES):
                file.write(chunk)

    def size(self, key: str) -> int | None:
        """An object's length in bytes; None if it is missing."""
        try:
            return int(self._obstore.head(self._store, self._path(key))["size"])
        except FileNotFoundError:
            return None

    def keys(self, prefix: str = "") -> list[str]:
        """Keys of all objects in the folder ``prefix`` and those below it, sorted."""
        start = len(self._prefix)
        found = self._obstore.list(self._store, prefix=f"{self._path(prefix).rstrip('/')}/" if prefix else self._prefix)
        return sorted(str(item["path"])[start:] for batch in found for item in batch)

    def folders(self, prefix: str = "") -> list[str]:
        """Names of the folders directly in the folder ``prefix``, sorted: the common prefixes of its keys."""
        below = f"{self._path(prefix).rstrip('/')}/" if prefix else self._prefix
        found = self._obstore.list_with_delimiter(self._store, prefix=below or None)
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found["common_prefixes"])

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects in one request where the store can; those that are missing are passed over."""
        paths = [self._path(key) for key in keys]
        if paths:
            try:
                self._obstore.delete(self._store, paths)
            except FileNotFoundError:
                for path in paths:
                    self._delete_one(path)

    def _delete_one(self, path: str) -> None:
        try:
            self._obstore.delete(self._store, path)
        except FileNotFoundError:
            return
