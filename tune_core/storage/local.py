"""Folders on a local or mounted file system, put in place whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from typing import NoReturn

from tune_core.core.files import sync_path
from tune_core.errors import CheckpointError, StorageError, TuneError
from tune_core.storage import marks

_TEMPORARY = re.compile(r"^\.(?P<name>.+)\.[0-9a-f]{32}\.(?P<kind>new|old)$")
_DRAFT = re.compile(r"\.draft\.[0-9a-f]{32}\.new")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class _CopyError(Exception):
    """Ends ``shutil.copytree`` at the first failure; it would collect an OSError and go on filling the disk."""

    def __init__(self, error: OSError, reading: bool) -> None:
        self.error = error
        self.reading = reading


SYNC_BYTES = 1 << 20
"""A marked folder of this size or more is synced by whoever writes it, so that the journal does not wait for it."""


def persist(source_dir: str, target_dir: str, *, marked: bool = False) -> None:
    """Copy a folder to ``target_dir`` so that it appears there all at once.

    The copy is made under a hidden name beside the target and then renamed; a :func:`draft` becomes it without one. A
    folder already there is replaced; a reader sees the old or the new one. Nothing is left behind when the copy fails;
    what a killed process left is removed by :func:`sweep`. With ``marked`` it is marked as ours to delete (see
    ``tune_core.storage.marks``).

    Raises
    ------
    CheckpointError
        If the source is missing, cannot be read, or contains the target.
    StorageError
        If the target cannot be written: disk full, no permission.
    """
    source, target = os.path.abspath(source_dir), os.path.abspath(target_dir)
    _check_source(source, target)
    if os.path.exists(target) and os.path.samefile(source, target):
        return

    def fill(new: str) -> None:
        if _DRAFT.fullmatch(os.path.basename(source)):
            with contextlib.suppress(OSError):  # on another file system
                os.rename(source, new)
                return
        shutil.copytree(source, new, copy_function=_copy_file)

    _fill_and_place(source, target, fill, marked)


def persist_files(write: Callable[[str], None], target_dir: str, *, marked: bool = False) -> None:
    """Like :func:`persist`, of files that ``write(folder)`` makes in a new folder.

    Raises
    ------
    StorageError
        If the target cannot be written: disk full, no permission.
    """

    def fill(new: str) -> None:
        os.makedirs(new)
        write(new)

    _fill_and_place(None, os.path.abspath(target_dir), fill, marked)


def _fill_and_place(source: str | None, target: str, fill: Callable[[str], object], marked: bool) -> None:
    """Make the folder under a hidden name beside ``target``, then rename it."""
    parent, name = os.path.split(target)
    new = os.path.join(parent, f".{name}.{uuid.uuid4().hex}.new")
    try:
        os.makedirs(parent, exist_ok=True)
        fill(new)
        if marked and marks.write_mark(new, target) >= SYNC_BYTES:
            marks.sync_content(new)
        _put_in_place(new, target)
    except _CopyError as failed:
        if failed.reading and source is not None:
            raise unreadable(source, failed.error) from failed.error
        raise_unwritable(target, failed.error)
    except shutil.Error as error:  # folders that could not be listed or given their permissions
        raise unreadable(source or target, error) from error
    except OSError as error:
        if source and error.filename is not None and os.fsdecode(error.filename).startswith(source + os.sep):
            raise unreadable(source, error) from error
        raise_unwritable(target, error)
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextlib.contextmanager
def draft(folder: str) -> Iterator[str]:
    """A new folder in ``folder`` for files that are to be saved beside it by :func:`persist`, which moves them.

    It goes at the end of the context; what a killed process left is removed by :func:`sweep`.
    """
    path = os.path.join(folder, f".draft.{uuid.uuid4().hex}.new")
    try:
        os.makedirs(path)
    except OSError as error:
        raise_unwritable(path, error)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sweep(folder: str) -> int:
    """Remove what killed processes left half-written in ``folder``; return how many names were removed.

    Call it when nothing is being saved there. A folder that was about to be replaced and lost its name is given it
    back.
    """
    swept = 0
    for name in _listdir(folder):
        match = _TEMPORARY.match(name)
        if match is None:
            continue
        path, target = os.path.join(folder, name), os.path.join(folder, match["name"])
        if match["kind"] == "old" and not os.path.lexists(target):
            os.rename(path, target)
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
        swept += 1
    return swept


class LocalStorage:
    """Files and folders of this machine."""

    def __init__(self, root: str) -> None:
        self.root = root

    def join(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def makedirs(self, path: str) -> None:
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            raise_unwritable(path, error)

    def persist_dir(self, source_dir: str, path: str) -> None:
        persist(source_dir, path)

    def fetch_dir(self, path: str, target_dir: str) -> None:
        if not os.path.isdir(path):
            raise missing(path)
        try:
            shutil.copytree(path, target_dir, copy_function=_copy_file, dirs_exist_ok=True)
        except _CopyError as failed:
            if failed.reading:
                raise unreadable(path, failed.error) from failed.error
            raise_unwritable(target_dir, failed.error)
        except OSError as error:
            raise_unwritable(target_dir, error)

    def delete_dir(self, path: str) -> None:
        hidden = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{uuid.uuid4().hex}.new")
        try:
            os.rename(path, hidden)  # gone at once: nobody reads a folder that is being emptied
            shutil.rmtree(hidden)
        except FileNotFoundError:
            return
        except OSError as error:
            raise_unwritable(path, error)

    def list_dirs(self, path: str) -> list[str]:
        return sorted(
            name for name in _listdir(path) if not name.startswith(".") and os.path.isdir(os.path.join(path, name))
        )

    def read_bytes(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def write_bytes_atomic(self, path: str, data: bytes) -> None:
        write_bytes_atomic(path, data)


def write_bytes_atomic(path: str, data: bytes, mode: int = 0o666) -> None:
    """Write a file so that a reader sees the old content or the new, never a part, even after a power cut.

    ``mode``: its permission bits, less the process's umask.
    """
    folder, name = os.path.split(os.path.abspath(path))
    new = os.path.join(folder, f".{name}.{uuid.uuid4().hex}.new")
    try:
        os.makedirs(folder, exist_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
        sync_path(folder)
    except OSError as error:
        raise_unwritable(path, error)
    finally:
        if os.path.lexists(new):
            os.unlink(new)


def missing(path: str) -> CheckpointError:
    """The error for a checkpoint's folder that is not there."""
    found = "is a file, not a folder" if os.path.isfile(path) else "does not exist"
    return CheckpointError(
        f"The checkpoint folder {path}",
        found,
        "it was deleted, moved, or is on a disk that this machine does not see",
        "Check the path; old checkpoints are kept when CheckpointConfig(num_to_keep=None).",
    )


def unreadable(path: str, error: Exception) -> CheckpointError:
    """The error for a checkpoint's folder that cannot be read."""
    return CheckpointError(
        f"The checkpoint folder {path}",
        f"could not be read: {error}",
        "a file in it is not readable, or was deleted while it was copied",
        "Report a checkpoint only when all its files are written, and don't touch them before report returns.",
    )


def raise_unwritable(path: str, error: OSError) -> NoReturn:
    """Raise the :class:`StorageError` that tells why ``path`` could not be written."""
    if error.errno in _FULL:
        cause = "the disk is full, or its quota is"
        fix = "Free some space, or keep fewer checkpoints: CheckpointConfig(num_to_keep=1)."
    elif error.errno in _REFUSED:
        cause = "this user may not write there"
        fix = "Give another folder with RunConfig(storage_path=...), or change the folder's permissions."
    else:
        cause = "the file system refused it"
        fix = "Check the folder and its disk, or give another with RunConfig(storage_path=...)."
    if isinstance(error, TuneError):
        raise error
    raise StorageError(f"Writing {path}", f"failed: {error.strerror or error}", cause, fix) from error


def _check_source(source: str, target: str) -> None:
    if not os.path.isdir(source):
        raise missing(source)
    real_source, real_target = os.path.realpath(source), os.path.realpath(target)
    if real_target != real_source and os.path.commonpath([real_source, real_target]) == real_source:
        raise CheckpointError(
            f"The checkpoint folder {source}",
            f"contains the place that it is to be saved to, {target}",
            "each checkpoint would hold all those before it",
            "Write the checkpoint's files to a folder of their own, e.g. a tempfile.TemporaryDirectory().",
        )


def _copy_file(source: str, target: str) -> str:
    try:
        return shutil.copy(source, target)
    except OSError as error:  # a failed write names both files, a special file (a pipe, a socket) none
        writing = error.errno in _FULL or error.filename == target or error.filename2 is not None
        raise _CopyError(error, reading=not writing) from error


def _put_in_place(new: str, target: str) -> None:
    try:
        os.rename(new, target)  # also onto an empty folder
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        if not _exchange(new, target):
            old = new[: -len("new")] + "old"
            os.rename(target, old)  # a process killed here: sweep gives the old one its name back
            os.rename(new, target)
            shutil.rmtree(old, ignore_errors=True)


def _exchange(a: str, b: str) -> bool:
    """Swap two names in one step, where the system can (Linux); False where it cannot."""
    import ctypes

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    at_cwd, exchange = -100, 2
    return bool(rename(at_cwd, os.fsencode(a), at_cwd, os.fsencode(b), exchange) == 0)


def _listdir(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
