"""What a trial goes on from: the checkpoint's files, and whether its configuration was another one."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tune_core.checkpoint import Checkpoint
from tune_core.errors import CheckpointError
from tune_core.trainable.session import get_checkpoint, get_context

_CONFIG = "config"


@dataclass(frozen=True)
class Start:
    """What a trial goes on from.

    Parameters
    ----------
    folder
        The checkpoint's files, on this machine.
    metadata
        What was given to :func:`report_metrics` with it.
    same_config
        Whether it was made with the configuration that the trial has now. False after an exploit of population based
        training: then the optimiser's settings are to come from the new configuration, its state from the checkpoint.
    """

    folder: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    same_config: bool = True

    def file(self, name: str) -> str:
        """Path of a file in the checkpoint.

        Raises
        ------
        CheckpointError
            If it isn't there; lists the files that are.
        """
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            raise _no_file(self.folder, name)
        return path


def start() -> Start | None:
    """What the running trial is to go on from; None if it starts anew, and outside of a trial."""
    checkpoint = get_checkpoint()
    if checkpoint is None:
        return None
    folder = checkpoint.path
    if not os.path.isdir(folder):
        folder = checkpoint.to_directory()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    metadata = Checkpoint(folder).get_metadata()
    made_with = metadata.get(_CONFIG)
    return Start(folder, metadata, made_with is None or made_with == _digest(get_context().get_config()))


@contextlib.contextmanager
def checkpoint_file(checkpoint: Checkpoint, name: str) -> Iterator[str]:
    """The local path of the file ``name`` in ``checkpoint``, for reading.

    Parameters
    ----------
    checkpoint
        The checkpoint; one that lies elsewhere is fetched for as long as the context is open.
    name
        The file's path in it.

    Yields
    ------
    str
        The file's path on this machine.

    Raises
    ------
    CheckpointError
        If the file isn't there; lists the files that are.
    """
    with checkpoint.as_directory() as folder:
        yield Start(folder).file(name)


def _no_file(folder: str, name: str) -> CheckpointError:
    there = ", ".join(sorted(f for f in os.listdir(folder) if not f.startswith("."))) or "nothing"
    return CheckpointError(
        f"The checkpoint {folder}",
        f"has no file {name!r}, it has {there}",
        "it was made with another filename, or by something else",
        "Pass the filename that the callback was given.",
    )


def start_metadata(metadata: Mapping[str, object] | None = None) -> dict[str, Any]:
    """``metadata`` and what :func:`start` needs beside it, for integrations that make their checkpoints themselves.

    Parameters
    ----------
    metadata
        What else the checkpoint is to say of itself.
    """
    return {**(metadata or {}), _CONFIG: _digest(get_context().get_config())}


def _digest(config: Mapping[str, Any]) -> str:
    """The same for equal configurations, in every process."""
    text = json.dumps(config, sort_keys=True, default=lambda value: type(value).__qualname__)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
