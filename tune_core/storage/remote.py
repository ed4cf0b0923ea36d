"""Folders in an object store (``s3://``, ``gs://``, ``az://``, ``memory://``): what checkpoints ask of any storage."""

from __future__ import annotations

from typing import Any

import msgspec

from tune_core.storage import folders
from tune_core.storage.connect import object_store
from tune_core.storage.folders import COMMIT, FileEntry
from tune_core.storage.objects import ObjectStore, join, redacted
from tune_core.storage.retries import with_retries

__all__ = ["COMMIT", "RemoteStorage"]


class RemoteStorage:
    """A folder in an object store. Paths are URLs below ``root``.

    Parameters
    ----------
    root
        URL of the folder; with ``filesystem``, also a path without a scheme.
    filesystem
        A file system of fsspec or pyarrow, or a store of obstore; None makes the one that the URL's scheme names, with
        the credentials that it finds in the environment.
    """

    def __init__(self, root: str, filesystem: Any = None) -> None:
        self.root = root.rstrip("/")
        self._store = object_store(self.root, filesystem)

    @property
    def filesystem(self) -> Any:
        """The fsspec file system in use, or the store of obstore."""
        return getattr(self._store, "filesystem", None)

    @property
    def objects(self) -> ObjectStore:
        """The objects below ``root``."""
        return self._store

    def _key(self, path: str) -> str:
        return path[len(self.root) :].strip("/") if path.startswith(self.root) else path.strip("/")

    def join(self, *parts: str) -> str:
        """The URL of a path below ``root``."""
        return "/".join([self.root, *(part.strip("/") for part in parts)])

    def exists(self, path: str) -> bool:
        """Whether there is a file at ``path``, or a folder whose files are visible."""
        key = self._key(path)

        def look() -> bool:
            if self._store.size(key) is not None:
                return True
            commit = folders.read_commit(self._store, key)
            return folders.visible_files(self._store, key, commit) is not None

        return with_retries(f"look for {redacted(path)}", look)

    def makedirs(self, path: str) -> None:
        """Nothing to do: a folder is there with its first file."""

    def persist_dir(self, source_dir: str, path: str) -> None:
        """Upload a folder; it becomes visible as a whole, by the last object that is written."""
        folders.upload_folder(self._store, source_dir, self._key(path))

    def fetch_dir(self, path: str, target_dir: str) -> None:
        """Download a folder, as it was made visible, into a local one."""
        folders.download_folder(self._store, self._key(path), target_dir)

    def delete_dir(self, path: str) -> None:
        """Delete a folder with everything below it."""
        folders.delete_folder(self._store, self._key(path))

    def list_dirs(self, path: str) -> list[str]:
        """Names of the visible folders directly in ``path``, without hidden ones and those that are being made."""

        def names() -> list[str]:
            found = [name for name in self._store.folders(self._key(path)) if not name.startswith(".")]
            return [name for name in found if not self._is_being_made(join(self._key(path), name))]

        return with_retries(f"list {redacted(path)}", names)

    def _is_being_made(self, key: str) -> bool:
        commit = folders.read_commit(self._store, key)
        return commit is not None and not commit.whole

    def read_bytes(self, path: str) -> bytes:
        """The content of a file, also of one in a folder that was replaced as a whole."""
        return with_retries(f"read {redacted(path)}", lambda: self._store.get(self._current(self._key(path))))

    def _current(self, key: str) -> str:
        """Where a file is now: in a folder that was replaced, it is under a prefix."""
        folder, _, _ = key.rpartition("/")
        while True:
            commit = folders.read_commit(self._store, folder)
            if commit is not None:
                name = key[len(folder) :].lstrip("/")
                return join(folder, f"{commit.prefix}{name}") if name in commit.files else key
            if not folder:
                return key
            folder = folder.rpartition("/")[0]

    def write_bytes_atomic(self, path: str, data: bytes) -> None:
        """Write or replace a file in one step; in a folder that is visible as a whole, make it part of that."""
        import hashlib

        key = self._key(path)

        def write() -> None:
            folder, _, name = key.rpartition("/")
            commit = folders.read_commit(self._store, folder)
            if commit is None or not commit.whole:
                self._store.put(key, data)
                return
            self._store.put(join(folder, f"{commit.prefix}{name}"), data)
            commit.files[name] = FileEntry(len(data), hashlib.sha256(data).hexdigest())
            self._store.put(join(folder, COMMIT), msgspec.json.encode(commit))  # a file added belongs to the folder

        with_retries(f"write {redacted(path)}", write)
