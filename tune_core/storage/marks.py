"""Marks on the folders that we make: what is ours to delete, and whether it is whole.

Beside each checkpoint ``checkpoint_000003`` lies a hidden file, ``.checkpoint_000003.tune_core``, with the sizes of its
files. It is written before the folder gets its name. A folder without a mark is somebody else's: it is never deleted.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from typing import NamedTuple

from tune_core.core.files import open_regular, sync_path
from tune_core.core.paths import leads_away

_SUFFIX = ".tune_core"


def mark_of(folder: str) -> str:
    """The path of a folder's mark."""
    parent, name = os.path.split(folder)
    return os.path.join(parent, f".{name}{_SUFFIX}")


def write_mark(content: str, folder: str) -> int:
    """Mark ``folder``, which is about to get the files of ``content``; the size of those in bytes."""
    sizes = {os.path.relpath(path, content): os.stat(path).st_size for path in _files(content)}
    descriptor = open_regular(mark_of(folder), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        json.dump({"files": sizes}, file, ensure_ascii=False)
    return sum(sizes.values())


def is_marked(folder: str) -> bool:
    """Whether ``folder`` is a folder that we made, and no link."""
    if leads_away(os.path.dirname(folder)):
        return False
    return _is_folder(folder) and os.path.isfile(mark_of(folder)) and not os.path.islink(mark_of(folder))


def trouble_with(folder: str) -> str:
    """Why a checkpoint's folder cannot be used, as the rest of a sentence; empty if it can.

    Its files have the sizes that its mark tells. One without a mark is only looked for.
    """
    if os.path.islink(folder) or leads_away(os.path.dirname(folder)):
        return "is a link, and links in an experiment's folder are not followed"
    if not os.path.isdir(folder):
        return "is missing"
    try:
        sizes = _sizes(folder)
        for name, size in sizes.items():
            path = os.path.join(folder, name)
            found = os.stat(path, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                return f"is not as it was written: {name} is a link or no file"
            if found.st_size != size:
                return f"is not whole: {name} has {found.st_size} of {size} bytes"
            if not os.access(path, os.R_OK):
                return f"cannot be read: no permission to read {name}"
        os.listdir(folder)
    except FileNotFoundError as error:
        return f"is not whole: {os.path.relpath(os.fsdecode(error.filename), folder)} is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return ""


def _sizes(folder: str) -> dict[str, int]:
    """What the mark says; empty if there is none, or it was torn."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        with open(open_regular(mark_of(folder), os.O_RDONLY), encoding="utf-8", errors="surrogateescape") as file:
            found = json.load(file)["files"]
        if isinstance(found, dict):
            return {
                name: size
                for name, size in found.items()
                if isinstance(size, int) and not os.path.isabs(name) and ".." not in name.split(os.sep)
            }
    return {}


class Content(NamedTuple):
    """What must reach the disk for a marked folder to be there: its files and mark, its folders and the one above."""

    files: list[str]
    folders: list[str]


def content_of(folder: str) -> Content:
    """All that belongs to a marked folder; what is no longer there is left out."""
    files, folders = [mark_of(folder)], [os.path.dirname(folder)]
    for where, _, names in os.walk(folder):
        folders.append(where)
        files += (os.path.join(where, name) for name in names)
    return Content(files, folders)


def sync_content(folder: str) -> None:
    """Have the files in a folder written to the disk."""
    for path in _files(folder):
        sync_path(path)


def delete_marked(folder: str) -> None:
    """Delete a folder that we made, and its mark. One that has no mark, or is a link, is left alone.

    Raises
    ------
    OSError
        If it could not be deleted.
    """
    if not is_marked(folder):
        return
    parent, name = os.path.split(folder)
    hidden = os.path.join(parent, f".{name}.{uuid.uuid4().hex}.new")
    os.rename(folder, hidden)  # gone at once: nobody reads a folder that is being emptied
    os.unlink(mark_of(folder))
    shutil.rmtree(hidden)


def marked_in(folder: str) -> list[str]:
    """Names of the marked folders in ``folder``."""
    found = []
    for name in os.listdir(folder):
        if name.startswith(".") and name.endswith(_SUFFIX):
            inner = name[1 : -len(_SUFFIX)]
            if is_marked(os.path.join(folder, inner)):
                found.append(inner)
    return found


def _files(folder: str) -> Iterator[str]:
    for where, _, names in os.walk(folder):
        for name in names:
            yield os.path.join(where, name)


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path, follow_symlinks=False).st_mode)
    except OSError:
        return False
