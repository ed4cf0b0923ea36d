"""The state of a class trainable in a folder: what ``save_checkpoint`` wrote or returned, and how far it had come."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tune_core.checkpoint import Checkpoint

CLASS_STATE = "trainable_state.pkl"
PROGRESS = ".tune_progress.json"


@dataclass
class TrainingResult:
    """What ``Trainable.save()`` returns: a checkpoint, and the result that it came after."""

    checkpoint: Checkpoint
    metrics: dict[str, object]

    @property
    def path(self) -> str:
        """The checkpoint's folder."""
        return self.checkpoint.path


def write_state(answer: Any, folder: str) -> None:
    """Keep what ``save_checkpoint`` returned, if it is a dict; otherwise it has written its files itself."""
    if isinstance(answer, dict):
        import cloudpickle

        with open(os.path.join(folder, CLASS_STATE), "wb") as file:
            cloudpickle.dump(answer, file)


def load_state(folder: str) -> Any:
    """What ``load_checkpoint`` gets: the dict that ``save_checkpoint`` returned, else the folder."""
    path = os.path.join(folder, CLASS_STATE)
    if not os.path.exists(path):
        return folder
    import cloudpickle

    with open(path, "rb") as file:
        return cloudpickle.load(file)


def write_progress(folder: str, progress: Mapping[str, object]) -> None:
    """Keep how far a trainable had come."""
    import json

    with open(os.path.join(folder, PROGRESS), "w", encoding="utf-8") as file:
        json.dump(progress, file)


def read_progress(folder: str) -> dict[str, Any]:
    """What :func:`write_progress` kept; of a run's checkpoint, the iteration in its name."""
    import json

    try:
        with open(os.path.join(folder, PROGRESS), encoding="utf-8") as file:
            progress: dict[str, object] = json.load(file)
            return progress
    except FileNotFoundError:
        digits = os.path.basename(os.path.normpath(folder)).removeprefix("checkpoint_")[:6]
        return {"iteration": int(digits)} if digits.isdigit() else {}
