"""Folders in a store that fsspec reaches (``s3://``, ``gs://``, ``memory://``), seen whole or not at all.

Such stores have no atomic rename of a folder, so each folder that is persisted carries a small file, ``.commit``. It
is written empty before the upload and, once every file is there, again with the list of the files: one object, written
in one step. A folder with an empty one is not visible. A folder without one was put there by something else and is
taken as it is. When a folder is replaced, the new files go under a prefix of their own until the list changes over.
"""

from __future__ import annotations

import json
import os
import posixpath
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from tune_core.core.optional_imports import require
from tune_core.errors import MissingDependencyError, StorageError, TuneError
from tune_core.storage.local import missing

COMMIT = ".commit"

_T = TypeVar("_T")
_PACKAGES = {  # scheme: (package, extra of tune-core)
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
    "abfs": ("adlfs", "azure"),
    "az": ("adlfs", "azure"),
}


class RemoteStorage:
    """A folder in a store that fsspec reaches.

    Parameters
    ----------
    root
        URL of the folder; with ``filesystem``, also a path without a scheme.
    filesystem
        An fsspec or pyarrow file system; None makes the one that the URL's scheme names, with the credentials that
        it finds in the environment.
    """

    def __init__(self, root: str, filesystem: Any = None) -> None:
        self.root = root.rstrip("/")
        self._fs = _connect(self.root) if filesystem is None else _as_fsspec(filesystem)

    @property
    def filesystem(self) -> Any:
        """The fsspec file system in use."""
        return self._fs

    def join(self, *parts: str) -> str:
        return "/".join([self.root, *(part.strip("/") for part in parts)])

    def exists(self, path: str) -> bool:
        return bool(self._do("look for", path, lambda: self._fresh().exists(path) and self._state(path) != {}))

    def makedirs(self, path: str) -> None:
        self._do("make the folder", path, lambda: self._make_folder(path))

    def persist_dir(self, source_dir: str, path: str) -> None:
        if not os.path.isdir(source_dir):
            raise missing(source_dir)
        self._do("upload to", path, lambda: self._persist(source_dir, path))

    def _persist(self, source_dir: str, path: str) -> None:
        before = self._state(path)
        prefix = ""
        if before:  # a whole one is there: it stays visible until the last step
            prefix = f".{uuid.uuid4().hex}/"
        else:
            if self._fresh().exists(path):  # left by an upload that was cut short
                self._fs.rm(path, recursive=True)
            self._write(f"{path}/{COMMIT}", b"{}")
        names = _files_below(source_dir)
        for name in names:
            target = f"{path}/{prefix}{name}"
            self._make_folder(posixpath.dirname(target))
            self._fs.put_file(os.path.join(source_dir, name), target)
        self._write(f"{path}/{COMMIT}", json.dumps({"prefix": prefix, "files": names}).encode())
        for name in (before or {}).get("files", ()):
            self._fs.rm_file(f"{path}/{before['prefix'] if before else ''}{name}")

    def fetch_dir(self, path: str, target_dir: str) -> None:
        files = self._do("look into", path, lambda: self._visible_files(path))
        if files is None:
            raise missing(path)
        for name, source in files.items():
            target = os.path.join(target_dir, *name.split("/"))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            self._do("download from", source, lambda s=source, t=target: self._fs.get_file(s, t))  # type: ignore[misc]
        os.makedirs(target_dir, exist_ok=True)

    def _visible_files(self, path: str) -> dict[str, str] | None:
        """From each file's name in the folder to the path that holds it now; None if there is no such folder."""
        state = self._state(path)
        if state == {} or not self._fresh().isdir(path):
            return None
        if state is not None:
            return {name: f"{path}/{state['prefix']}{name}" for name in state["files"]}
        bare = self._fs._strip_protocol(path).rstrip("/") + "/"
        return {found[len(bare) :]: found for found in self._fs.find(path) if found != bare}

    def delete_dir(self, path: str) -> None:
        def delete() -> None:
            if not self._fresh().exists(path):
                return
            if self._state(path) is not None:
                self._write(f"{path}/{COMMIT}", b"{}")  # gone at once: nobody reads a folder that is being emptied
            self._fs.rm(path, recursive=True)

        self._do("delete", path, delete)

    def list_dirs(self, path: str) -> list[str]:
        def names() -> list[str]:
            if not self._fresh().isdir(path):
                return []
            found = [item["name"].rstrip("/") for item in self._fs.ls(path, detail=True) if item["type"] == "directory"]
            found = [name for name in found if not posixpath.basename(name).startswith(".")]
            commits = self._fs.cat([f"{name}/{COMMIT}" for name in found], on_error="omit") if found else {}
            hidden = {posixpath.dirname(name) for name, data in commits.items() if not json.loads(data)}
            return sorted(posixpath.basename(name) for name in found if name not in hidden)

        return self._do("list", path, names)

    def read_bytes(self, path: str) -> bytes:
        return bytes(self._do("read", path, lambda: self._fs.cat_file(self._current(path))))

    def _current(self, path: str) -> str:
        """Where a file is now: in a folder that was replaced, it is under a prefix."""
        folder = path.rpartition("/")[0]
        while len(folder) > len(self.root) or folder == self.root:
            state = self._state(folder)
            if state is not None:
                name = path[len(folder) + 1 :]
                return f"{folder}/{state['prefix']}{name}" if name in state.get("files", ()) else path
            folder = folder.rpartition("/")[0]
        return path

    def write_bytes_atomic(self, path: str, data: bytes) -> None:
        def write() -> None:
            folder, _, name = path.rpartition("/")
            state = self._state(folder)
            if not state:
                self._write(path, data)
                return
            self._write(f"{folder}/{state['prefix']}{name}", data)
            if name not in state["files"]:  # a file added to a persisted folder belongs to it
                state["files"].append(name)
                self._write(f"{folder}/{COMMIT}", json.dumps(state).encode())

        self._do("write", path, write)

    def _state(self, path: str) -> dict[str, Any] | None:
        """The folder's ``.commit``: None without one, an empty dict while it is being uploaded."""
        try:
            state: dict[str, Any] = json.loads(self._fs.cat_file(f"{path}/{COMMIT}"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return state

    def _write(self, path: str, data: bytes) -> None:
        self._make_folder(path.rpartition("/")[0])
        self._fs.pipe_file(path, data)

    def _make_folder(self, path: str) -> None:
        if (
            self.root.partition("://")[0].lower() not in _PACKAGES
        ):  # those have no folders, and would try to make a bucket
            self._fs.makedirs(path, exist_ok=True)

    def _fresh(self) -> Any:
        """The file system without what it remembers of folders that others may have changed."""
        self._fs.invalidate_cache()
        return self._fs

    def _do(self, verb: str, path: str, action: Callable[[], _T]) -> _T:
        try:
            return action()
        except TuneError:
            raise
        except Exception as error:
            if verb == "read" and isinstance(error, FileNotFoundError):
                raise
            raise StorageError(
                f"The attempt to {verb} {path}",
                f"failed: {type(error).__name__}: {error}",
                "the store cannot be reached, or these credentials may not do it",
                "Check the URL, the network and the credentials; the run can be restored once it works.",
            ) from error


def _files_below(folder: str) -> list[str]:
    names = []
    for where, _, files in os.walk(folder):
        below = os.path.relpath(where, folder).replace(os.sep, "/")
        names += [name if below == "." else f"{below}/{name}" for name in files]
    return sorted(name for name in names if name != COMMIT)


def _connect(url: str) -> Any:
    scheme = url.partition("://")[0].lower()
    fsspec = require(f"The storage path {url}", "fsspec", "storage")
    try:
        return fsspec.filesystem(scheme)
    except ImportError as error:
        package, extra = _PACKAGES.get(scheme, (error.name or scheme, scheme))
        raise MissingDependencyError(f"The storage path {url}", package, extra) from error
    except Exception as error:
        raise StorageError(
            f"The storage path {url}",
            f"cannot be opened: {type(error).__name__}: {error}",
            f"fsspec has no store for the scheme {scheme!r}, or it is not configured",
            "Use a folder, s3://bucket/folder, gs://bucket/folder or another URL that fsspec knows.",
        ) from error


def _as_fsspec(filesystem: Any) -> Any:
    if type(filesystem).__module__.partition(".")[0] == "pyarrow":
        return require("A pyarrow file system", "fsspec.implementations.arrow", "storage").ArrowFSWrapper(filesystem)
    return filesystem
