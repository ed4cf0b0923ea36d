"""Where trials keep what they write: their folders in the experiment's, and their checkpoints."""

from __future__ import annotations

import os
from typing import Protocol


def trial_folder(experiment: str, trial: int, name: str = "") -> str:
    """A trial's folder in its experiment's; ``name`` is its own name, where it has one besides ``trial_00003``."""
    if name:
        return f"{experiment}/{name}"
    return f"{experiment}/trial_{trial:05d}"


def leads_away(folder: str) -> bool:
    """Whether a trial's folder is a link to something other than a folder beside it."""
    if not os.path.islink(folder):
        return False
    target = os.readlink(folder)
    beside = os.path.join(os.path.dirname(folder), target)
    return target in (".", "..") or os.sep in target or os.path.islink(beside)


class CheckpointStore(Protocol):
    """Where a worker's checkpoints go and come from."""

    def save(self, source: str, trial: int, name: str) -> None:
        """Persist the folder ``source`` as a checkpoint of a trial, all at once."""

    def fetch(self, trial: int, name: str) -> str:
        """A local folder with the checkpoint's content."""
