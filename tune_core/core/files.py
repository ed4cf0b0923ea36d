"""Opens files in folders that may be a stranger's: regular files only, never through a link."""

from __future__ import annotations

import errno
import os
import stat

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # opening a FIFO does not wait for its other end


def open_regular(path: str, flags: int, mode: int = 0o666) -> int:
    """A descriptor of the regular file ``path``.

    Raises
    ------
    OSError
        If it cannot be opened, or is a link, a FIFO, a device or a folder.
    """
    try:
        descriptor = os.open(path, flags | _NOFOLLOW | _NONBLOCK | getattr(os, "O_CLOEXEC", 0), mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link, and links in an experiment's folder are not followed") from error
        raise
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file")
    raise OSError(errno.EINVAL, "it is no regular file")


def sync_path(path: str) -> None:
    """Flush a file's content, or a folder's entries, to the disk; a missing path is ignored."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _NOFOLLOW | _NONBLOCK)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EROFS):  # a pipe or a device has nothing to sync
            raise
    finally:
        os.close(descriptor)
