"""A mount that behaves like a client of NFS: run as ``python nfs_like.py EXPORT MOUNT LOCKS CACHE_S``.

It passes everything on to the folder ``EXPORT``, which other such mounts share, and is difficult where NFS is: names
and attributes are up to ``CACHE_S`` seconds old; reading an open file that another client has replaced or deleted
answers ESTALE; locks are refused (``refused``) or known to this mount alone (``local``, as with the option ``nolock``).
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from typing import Any

import mfusepy as fuse


class Client(fuse.Operations):
    """One client of the export."""

    use_ns = True

    def __init__(self, export: str) -> None:
        assert os.path.isabs(export) and len(export) > 1
        self._export = export
        self._own: set[tuple[int, int]] = set()  # files that this client has deleted itself: those stay readable
        self._lock = threading.Lock()

    def _at(self, path: str) -> str:
        """A name in the export."""
        return self._export + path

    def _deletes(self, path: str) -> None:
        try:
            found = os.lstat(self._at(path))
        except FileNotFoundError:
            return
        self._own.add((found.st_dev, found.st_ino))

    def _fresh(self, handle: int) -> None:
        found = os.fstat(handle)
        if found.st_nlink == 0 and (found.st_dev, found.st_ino) not in self._own:
            raise fuse.FuseOSError(errno.ESTALE)

    # --- files --------------------------------------------------------------------------------------------------------

    def open(self, path: str, flags: int) -> int:
        return os.open(self._at(path), flags)

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def read(self, path: str, size: int, offset: int, handle: int) -> bytes:
        self._fresh(handle)
        return os.pread(handle, size, offset)

    def write(self, path: str, data: bytes, offset: int, handle: int) -> int:
        self._fresh(handle)
        return os.pwrite(handle, data, offset)

    def truncate(self, path: str, length: int, handle: int | None = None) -> None:
        os.truncate(self._at(path) if handle is None else handle, length)

    def flush(self, path: str, handle: int) -> None:
        pass

    def fsync(self, path: str, datasync: int, handle: int) -> None:
        os.fsync(handle)

    def release(self, path: str, handle: int) -> None:
        os.close(handle)

    # --- names --------------------------------------------------------------------------------------------------------

    def getattr(self, path: str, handle: int | None = None) -> dict[str, Any]:
        found = os.fstat(handle) if handle is not None else os.lstat(self._at(path))
        names = ("st_gid", "st_mode", "st_nlink", "st_size", "st_uid", "st_ino", "st_dev")
        times = {f"st_{time}time": getattr(found, f"st_{time}time_ns") for time in "amc"}
        return {**{name: getattr(found, name) for name in names}, **times}

    def readdir(self, path: str, handle: int) -> list[tuple[str, dict[str, int], int]]:
        entries = [(name, {"st_ino": 1}, 0) for name in (".", "..")]
        with os.scandir(self._at(path)) as found:
            for entry in found:
                with contextlib.suppress(FileNotFoundError):  # the other client has just deleted it
                    status = entry.stat(follow_symlinks=False)
                    entries.append((entry.name, {"st_ino": status.st_ino, "st_mode": status.st_mode}, 0))
        return entries

    def access(self, path: str, mode: int) -> None:
        if not os.access(self._at(path), mode):
            raise fuse.FuseOSError(errno.EACCES)

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self._at(path), mode)

    def rmdir(self, path: str) -> None:
        os.rmdir(self._at(path))

    def unlink(self, path: str) -> None:
        self._deletes(path)
        os.unlink(self._at(path))

    def rename(self, old: str, new: str) -> None:
        self._deletes(new)
        os.rename(self._at(old), self._at(new))

    def link(self, target: str, source: str) -> None:
        os.link(self._at(source), self._at(target))

    def symlink(self, target: str, source: str) -> None:
        os.symlink(source, self._at(target))

    def readlink(self, path: str) -> str:
        return os.readlink(self._at(path))

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self._at(path), mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        os.chown(self._at(path), uid, gid)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        os.utime(self._at(path), ns=times)

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._at(path))
        names = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_frsize")
        return {name: getattr(found, name) for name in names}


class ClientWithoutLocks(Client):
    """Its server refuses locks."""

    def lock(self, path: str, handle: int, command: int, lock: Any) -> int:
        return -errno.ENOLCK

    def flock(self, path: str, handle: int, operation: int) -> int:
        raise fuse.FuseOSError(errno.ENOLCK)


if __name__ == "__main__":
    export, mount, locks, cache_s = sys.argv[1:]
    client = {"refused": ClientWithoutLocks, "local": Client}[locks](export)
    times = dict.fromkeys(("attr_timeout", "entry_timeout", "negative_timeout"), cache_s)
    fuse.FUSE(client, mount, foreground=True, allow_other=False, use_ino=True, **times)
