"""The state of a class trainable as a checkpoint: what ``save_checkpoint`` wrote or returned, and back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tune_core.trainable import Trainable
from tune_core.trainable.state import load_state, write_state

__all__ = ["ClassCheckpoint", "load_state"]


class ClassCheckpoint:
    """A class trainable's state as a checkpoint folder, made when it is asked for."""

    def __init__(self, trainable: Trainable) -> None:
        self._trainable = trainable

    @contextlib.contextmanager
    def as_directory(self) -> Iterator[str]:
        """The folder, for as long as the context lasts."""
        import tempfile

        with tempfile.TemporaryDirectory(prefix="tune-core-") as folder:
            answer = self._trainable.save_checkpoint(folder)
            write_state(answer, folder)
            yield folder
