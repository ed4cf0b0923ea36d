"""Where experiments and checkpoints are kept: folders of this machine, or any store that fsspec reaches."""

from __future__ import annotations

import os
from typing import Any, Protocol, runtime_checkable

from tune_core.storage.locations import default_storage_path, is_remote, local_path

__all__ = ["Storage", "default_storage_path", "is_remote", "local_path", "storage_from"]


@runtime_checkable
class Storage(Protocol):
    """A place for files and whole folders. Paths are what :meth:`join` returns.

    A folder that was put there by :meth:`persist_dir` is seen whole or not at all by every other method.
    """

    root: str
    """The path or URL that the storage was made for."""

    def join(self, *parts: str) -> str:
        """The path of ``parts`` beneath ``root``."""

    def exists(self, path: str) -> bool:
        """Whether a file or a whole folder is there."""

    def makedirs(self, path: str) -> None:
        """Make a folder and those above it, if they are missing."""

    def persist_dir(self, source_dir: str, path: str) -> None:
        """Copy a local folder to ``path``; what was there is replaced all at once."""

    def fetch_dir(self, path: str, target_dir: str) -> None:
        """Copy a folder's content into a local folder."""

    def delete_dir(self, path: str) -> None:
        """Delete a folder and all in it, if it is there."""

    def list_dirs(self, path: str) -> list[str]:
        """Names of the folders in a folder, sorted; hidden ones are left out. Empty if it is missing."""

    def read_bytes(self, path: str) -> bytes:
        """A file's content; ``FileNotFoundError`` if it is missing."""

    def write_bytes_atomic(self, path: str, data: bytes) -> None:
        """Write a file so that a reader sees the old content or the new, never a part."""


def storage_from(path: str | os.PathLike[str], filesystem: Any = None) -> Storage:
    """The storage at ``path``.

    Parameters
    ----------
    path
        A folder, or a URL such as ``s3://bucket/folder``.
    filesystem
        An fsspec or pyarrow file system to reach ``path`` with; None finds the one that the path names.
    """
    local = local_path(path)
    if filesystem is None and local is not None:
        from tune_core.storage.local import LocalStorage

        return LocalStorage(local)
    from tune_core.storage.remote import RemoteStorage

    return RemoteStorage(os.fspath(path), filesystem)
