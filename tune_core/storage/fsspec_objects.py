"""Objects in any store that fsspec reaches: ``s3://``, ``gs://``, ``az://``, ``memory://`` and others.

The file systems are used without their caches of listings, which give old answers after another machine has written.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import time
from collections.abc import Iterable
from typing import Any

from tune_core.core.optional_imports import require
from tune_core.errors import MissingDependencyError, StorageError
from tune_core.storage.objects import PARTS_AT_ONCE, part_bytes, redacted

_PACKAGES = {  # scheme: (package, extra of tune-core)
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
    "abfs": ("adlfs", "azure"),
    "abfss": ("adlfs", "azure"),
    "az": ("adlfs", "azure"),
}
_EXISTS = ("PreconditionFailed", "BlobAlreadyExists", "ResourceExists", "conditionNotMet", " 412")


class FsspecObjects:
    """Objects below a URL, through fsspec.

    Parameters
    ----------
    url
        URL of the folder; with ``filesystem`` also a path without a scheme.
    filesystem
        An fsspec or pyarrow file system; None makes the one that the URL's scheme names.
    """

    def __init__(self, url: str, filesystem: Any = None) -> None:
        self.url = url.rstrip("/")
        self._scheme = url.partition("://")[0].lower() if "://" in url else ""
        self._fs = _connect(self.url, self._scheme) if filesystem is None else _as_fsspec(filesystem)
        protocol = self._fs.protocol
        self._protocols = {protocol} if isinstance(protocol, str) else set(protocol)
        self.tells_of_failures = not (self._protocols & {"arrow", "pyarrow"})  # else each upload is looked after
        self._base = str(self._fs._strip_protocol(self.url)).rstrip("/")
        self._has_folders = not (self._protocols & {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})

    @property
    def filesystem(self) -> Any:
        """The fsspec file system in use."""
        return self._fs

    def _path(self, key: str) -> str:
        return f"{self._base}/{key}" if key else self._base

    def _fresh(self) -> Any:
        """The file system without what it remembers of folders that others may have changed."""
        self._fs.invalidate_cache()
        return self._fs

    def _make_folder(self, path: str) -> None:
        if self._has_folders:  # the others have none, and would try to make a bucket
            self._fs.makedirs(posixpath.dirname(path), exist_ok=True)

    def create(self, key: str, data: bytes) -> bool:
        """Write an object that must not be there yet; False if it is. Some file systems must be asked before."""
        path = self._path(key)
        self._make_folder(path)
        if self._protocols & {"arrow", "pyarrow"} or not _can_create(self._fs):
            if self._fresh().exists(path):
                return False
            self._fs.pipe_file(path, data)
            return True
        try:
            self._fs.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        except Exception as error:
            if _says_exists(error):
                return False
            raise
        return True

    def put(self, key: str, data: bytes) -> None:
        """Write an object, or replace it in one step."""
        path = self._path(key)
        self._make_folder(path)
        self._fs.pipe_file(path, data)

    def put_file(self, key: str, path: str) -> None:
        """Write an object with the content of a local file; on S3 in parts, so that little of it is in memory."""
        target = self._path(key)
        self._make_folder(target)
        if self._protocols & {"s3", "s3a"}:  # its defaults hold a whole large file in memory
            self._fs.put_file(path, target, chunksize=part_bytes(os.path.getsize(path)), max_concurrency=PARTS_AT_ONCE)
        else:
            self._fs.put_file(path, target)

    def copy(self, source: str, key: str) -> None:
        """Make a second object by the store's own copy; on Azure wait until it is made."""
        target = self._path(key)
        self._make_folder(target)
        self._fs.cp_file(self._path(source), target)
        if self._protocols & {"abfs", "abfss", "az"}:
            self._wait_for_copy(target)

    def _wait_for_copy(self, path: str) -> None:
        """Azure may copy after it has answered, and adlfs does not wait: the source must stay until then."""
        container, blob, _ = self._fs.split_path(path)
        pause_s = 0.05
        while True:
            asyn = require("Storage on Azure", "fsspec.asyn", "storage")
            client = self._fs.service_client.get_blob_client(container, blob)
            found = asyn.sync(self._fs.loop, client.get_blob_properties)
            if found.copy.status != "pending":
                break
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 5.0)
        if found.copy.status not in (None, "success"):
            raise ConnectionError(f"the store's copy ended with {found.copy.status}: {found.copy.status_description}")

    def get(self, key: str) -> bytes:
        """An object's content, as it is now."""
        return bytes(self._fresh().cat_file(self._path(key)))

    def get_file(self, key: str, path: str) -> None:
        """Write an object's content into a local file."""
        self._fresh().get_file(self._path(key), path)

    def size(self, key: str) -> int | None:
        """An object's length in bytes; None if it is missing or a folder."""
        try:
            info = self._fresh().info(self._path(key))
        except FileNotFoundError:
            return None
        return int(info["size"]) if info["type"] == "file" else None

    def keys(self, prefix: str = "") -> list[str]:
        """Keys of all objects in the folder ``prefix`` and those below it, sorted; no marks of folders."""
        with contextlib.suppress(FileNotFoundError):
            found = self._fresh().find(self._path(prefix))
            start = len(self._base) + 1
            below = f"{prefix.rstrip('/')}/" if prefix else ""
            names = (str(name).lstrip("/") if not self._base.startswith("/") else str(name) for name in found)
            keys = (name[start:] for name in names)
            return sorted(key for key in keys if key.startswith(below) and not key.endswith("/") and key != below)
        return []

    def missing_bucket(self) -> str | None:
        """The name of the bucket if it is missing; None if it is there, or the store has none."""
        bucket = self._base.partition("/")[0]
        return None if self._has_folders or not bucket or self._fresh().exists(bucket) else bucket

    def folders(self, prefix: str = "") -> list[str]:
        """Names of the folders directly in the folder ``prefix``, sorted."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found = self._fresh().ls(self._path(prefix), detail=True)
            names = (posixpath.basename(item["name"].rstrip("/")) for item in found if item["type"] == "directory")
            return sorted(set(names))
        return []

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects, and the folders that this leaves empty; those that are missing are passed over."""
        for key in keys:
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(self._path(key))
            if self._has_folders:
                self._remove_empty(posixpath.dirname(self._path(key)))

    def _remove_empty(self, folder: str) -> None:
        with contextlib.suppress(Exception):  # not empty, or a file system that removes them by itself
            while len(folder) > len(self._base) and not self._fresh().ls(folder, detail=False):
                self._fs.rmdir(folder)
                folder = posixpath.dirname(folder)


def _can_create(filesystem: Any) -> bool:
    """Whether ``pipe_file`` of this file system knows a mode that refuses to overwrite."""
    import inspect

    method = getattr(type(filesystem), "_pipe_file", None) or type(filesystem).pipe_file
    code = getattr(method, "__code__", None)
    return "mode" in inspect.signature(method).parameters or (code is not None and "create" in code.co_consts)


def _says_exists(error: BaseException) -> bool:
    """Whether a client's own error means that the object is there already."""
    text = f"{type(error).__name__} {error}"
    return any(
        mark in text
        for mark in ("PreconditionFailed", "BlobAlreadyExists", "ResourceExists", "conditionNotMet", " 412")
    )


def _connect(url: str, scheme: str) -> Any:
    wanted = f"The storage path {redacted(url)}"
    fsspec = require(wanted, "fsspec", "storage")
    options: dict[str, Any] = {}
    if scheme in _PACKAGES:
        options["use_listings_cache"] = False
    try:
        return fsspec.filesystem(scheme, **options)
    except ImportError as error:
        package, extra = _PACKAGES.get(scheme, (error.name or scheme, scheme))
        raise MissingDependencyError(wanted, package, extra) from error
    except Exception as error:
        raise StorageError(
            wanted,
            f"cannot be opened: {type(error).__name__}: {error}",
            f"fsspec has no store for the scheme {scheme!r}, or it is not configured",
            "Use a folder, s3://bucket/folder, gs://bucket/folder, az://container/folder or another URL that fsspec "
            "knows.",
        ) from error


def _as_fsspec(filesystem: Any) -> Any:
    if type(filesystem).__module__.partition(".")[0] == "pyarrow":
        return require("A pyarrow file system", "fsspec.implementations.arrow", "storage").ArrowFSWrapper(filesystem)
    return filesystem
