"""The state of a class trainable as a checkpoint: what ``save_checkpoint`` wrote or returned, and back."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator

from tune_core.errors import CheckpointError
from tune_core.trainable import Trainable
from tune_core.trainable.session import draft
from tune_core.trainable.state import load_state, write_state

__all__ = ["ClassCheckpoint", "load_state"]


class ClassCheckpoint:
    """A class trainable's state as a checkpoint folder, made when it is asked for."""

    def __init__(self, trainable: Trainable) -> None:
        self._trainable = trainable

    @contextlib.contextmanager
    def as_directory(self) -> Iterator[str]:
        """The folder, for as long as the context lasts."""
        with draft() as folder:
            answer = self._trainable.save_checkpoint(folder)
            write_state(answer, folder)
            yield folder


class UnloadableError(CheckpointError):
    """A class trainable's checkpoint cannot be read: not the trainable's fault."""


def _unreadable() -> tuple[type[Exception], ...]:
    """What the libraries that wrote a checkpoint raise where they cannot read it again."""
    import zipfile
    import zlib

    return (OSError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile, zlib.error)


def restore_state(trainable: Trainable, folder: str) -> None:
    """Give ``load_checkpoint`` the dict that ``save_checkpoint`` returned, else the folder.

    Raises
    ------
    UnloadableError
        If a file in it is missing, cut off or garbled.
    """
    try:
        trainable.load_checkpoint(load_state(folder))
    except _unreadable() as error:
        raise UnloadableError(
            f"The checkpoint {folder}",
            f"could not be loaded: {type(error).__name__}: {error}",
            "a file in it is missing, cut off or garbled",
            "The trial goes on from the checkpoint before, or afresh.",
        ) from error
