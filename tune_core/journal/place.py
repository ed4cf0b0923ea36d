"""Where an experiment is: in a folder of this machine, or in an object store."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from tune_core.core.paths import trial_folder
from tune_core.storage import is_remote


@dataclass(frozen=True)
class Place:
    """Where an experiment is: its folder on this machine, and its URL if that is only a copy."""

    folder: str
    url: str | None = None
    filesystem: Any = field(default=None, repr=False)

    @property
    def path(self) -> str:
        """The experiment's own path: its URL, or its folder."""
        return self.url if self.url is not None else self.folder

    def trial_path(self, trial: int, name: str = "") -> str:
        """A trial's folder, which may have a name of its own, or its URL."""
        return trial_folder(self.folder, trial, name) if self.url is None else trial_folder(self.url, trial)


def is_stored(path: str | os.PathLike[str], filesystem: object = None) -> bool:
    """Whether a path is in an object store, not on a file system of this machine."""
    return filesystem is not None or is_remote(os.fspath(path))
