"""The state of a class trainable as a checkpoint: what ``save_checkpoint`` wrote or returned, and back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from tune_core.trainable import Trainable

CLASS_STATE = "trainable_state.pkl"


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
            if isinstance(answer, dict):
                import cloudpickle

                with open(os.path.join(folder, CLASS_STATE), "wb") as file:
                    cloudpickle.dump(answer, file)
            yield folder


def load_state(folder: str) -> Any:
    """What ``load_checkpoint`` gets: the dict that ``save_checkpoint`` returned, else the folder."""
    path = os.path.join(folder, CLASS_STATE)
    if not os.path.exists(path):
        return folder
    import cloudpickle

    with open(path, "rb") as file:
        return cloudpickle.load(file)
