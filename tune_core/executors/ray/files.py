"""Folders as values that travel through Ray's object store; large files are written from it without another copy."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from typing import Any

from tune_core.core.paths import trial_folder

_SENT_KEPT = 4
Packed = list[tuple[str, int, Any]]
"""A folder's content: relative path, permission bits, and the bytes; None for a folder."""


def pack(folder: str) -> Packed:
    """The content of ``folder``.

    Raises
    ------
    CheckpointError
        If it is missing or cannot be read.
    """
    from tune_core.storage.local import missing, unreadable

    if not os.path.isdir(folder):
        raise missing(folder)
    packed: Packed = []
    try:
        for where, folders, files in _walk(folder, (os.path.realpath(folder),)):
            for name in folders:
                packed.append((os.path.relpath(os.path.join(where, name), folder), 0o755, None))
            for name in files:
                path = os.path.join(where, name)
                packed.append((os.path.relpath(path, folder), os.stat(path).st_mode & 0o777, content_of(path)))
    except OSError as error:
        raise unreadable(folder, error) from error
    return packed


def _walk(folder: str, above: tuple[str, ...]) -> Iterator[tuple[str, list[str], list[str]]]:
    """As ``os.walk``, links to folders followed, but not those that lead back to a folder that they are in."""
    names = sorted(os.listdir(folder))
    inside = {name: os.path.realpath(os.path.join(folder, name)) for name in names}
    folders = [name for name in names if os.path.isdir(inside[name]) and inside[name] not in above]
    yield folder, folders, [name for name in names if os.path.isfile(inside[name])]
    for name in folders:
        yield from _walk(os.path.join(folder, name), (*above, inside[name]))


class Sender:
    """Puts checkpoints of an experiment into the object store; one that several trials start from only once.

    Parameters
    ----------
    put
        Puts a value there and returns the reference to it.
    folder
        The experiment's folder.
    """

    def __init__(self, put: Callable[[Any], Any], folder: str) -> None:
        self._put = put
        self._folder = folder
        self._sent: dict[tuple[int, str], object] = {}

    def send(self, trial: int, name: str) -> Any:
        """A reference to a checkpoint's content."""
        key = (trial, name)
        reference = self._sent.pop(key, None)
        if reference is None:
            reference = self._put(pack(os.path.join(trial_folder(self._folder, trial), name)))
        self._sent[key] = reference
        while len(self._sent) > _SENT_KEPT:
            del self._sent[next(iter(self._sent))]
        return reference


def size(packed: Packed) -> int:
    """Bytes of all files."""
    return sum(0 if content is None else memoryview(content).nbytes for _, _, content in packed)


def unpack(packed: Packed, folder: str) -> None:
    """Write what :func:`pack` returned into ``folder``, which appears all at once."""
    from tune_core.storage.local import persist_files

    persist_files(write_to(packed), folder, marked=True)


def write_to(packed: Packed) -> Callable[[str], None]:
    """What writes the files into a folder that is there."""

    def write(folder: str) -> None:
        for name, mode, content in packed:
            path = os.path.join(folder, name)
            if content is None:
                os.makedirs(path, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
            os.chmod(path, mode)

    return write


_OUT_OF_BAND_BYTES = 1 << 16


def content_of(path: str) -> object:
    """A file's bytes as they are now (it may be written again as soon as the report returns)."""
    with open(path, "rb") as file:
        data = file.read()
    return data if len(data) < _OUT_OF_BAND_BYTES else pickle.PickleBuffer(data)
