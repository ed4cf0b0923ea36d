"""An experiment's folder: made, locked, its configuration kept for :meth:`Tuner.restore`."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from tune_core.core.environment import flag
from tune_core.core.paths import leads_away, trial_folder
from tune_core.core.trial import RUNNING, TERMINATED, Trial
from tune_core.errors import RestoreError, StorageError, TuneError
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.lock import Lock
from tune_core.journal.reader import outline
from tune_core.journal.writer import unwritable
from tune_core.storage import local_path, marks

_log = logging.getLogger(__name__)

SETUP_FILE = "tuner.pkl"
"""The search space and configuration as given, for :meth:`Tuner.restore` alone; reading results never opens it."""


def folder_for(storage_path: str, name: str | None, trainable: str) -> tuple[str, str, str]:
    """The name and the folder of a new experiment, made; and where an earlier one of that name was moved to, or "".

    Raises
    ------
    StorageError
        If an experiment of that name is running now, or the folder cannot be made.
    """
    base = local_path(storage_path) or storage_path
    if name is not None:
        folder = os.path.join(base, name)
        moved = move_aside(folder)
        _make(folder, exist_ok=True)
        return name, folder, moved
    stem = dated_name(trainable)
    if flag("TUNE_DISABLE_DATED_SUBDIR"):
        return folder_for(storage_path, trainable, trainable)
    for attempt in range(1000):
        name = stem if attempt == 0 else f"{stem}_{attempt}"
        with contextlib.suppress(FileExistsError):
            folder = os.path.join(base, name)
            _make(folder, exist_ok=False)
            return name, folder, ""
    raise StorageError(f"No free name like {stem}", f"in {base}", "all are taken", "Give one with RunConfig(name=...).")


def dated_name(trainable: str) -> str:
    """The name of an experiment that was given none: the trainable's, without a lambda's brackets, and the time."""
    return f"{trainable.strip('<>')}_{datetime.datetime.now():%Y-%m-%d_%H-%M-%S}"


def move_aside(folder: str) -> str:
    """Give the folder of an experiment that is over another name beside it; returns it, or "" if there is none.

    Raises
    ------
    ExperimentLockedError
        If it is running.
    """
    if not has_begun(folder):
        return ""
    lock = Lock(folder)
    try:
        began = datetime.datetime.fromtimestamp(os.path.getctime(os.path.join(folder, JOURNAL_FILE)))
        with contextlib.suppress(TuneError):
            began = datetime.datetime.fromtimestamp(outline(folder)[0].at)
        stem = f"{folder}_{began:%Y-%m-%d_%H-%M-%S}"
        for attempt in range(1000):
            target = stem if attempt == 0 else f"{stem}_{attempt}"
            if not os.path.lexists(target):
                os.rename(folder, target)
                return target
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        lock.release()
    raise StorageError(f"No free name like {stem}", "is left", "all are taken", "Give another RunConfig(name=...).")


def has_begun(folder: str) -> bool:
    """Whether a folder holds an experiment. One whose driver was killed before its first line does not count."""
    try:
        with open(os.path.join(folder, JOURNAL_FILE), "rb") as file:
            return file.readline().endswith(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # what cannot be read is not written over


def refuse_if_begun(folder: str) -> None:
    """Raise if the folder, which is locked, holds an experiment: others of its name keep beginning."""
    if has_begun(folder):
        base, name = os.path.split(folder)
        raise StorageError(
            f"The experiment {name!r} in {base}",
            "has just been begun by another driver",
            "a new run would mix with its results",
            f"Go on with it by Tuner.restore({folder!r}, trainable), or choose another RunConfig(name=...).",
        )


def _make(folder: str, exist_ok: bool) -> None:
    try:
        os.makedirs(folder, exist_ok=exist_ok)
    except FileExistsError:
        if not exist_ok:
            raise
        raise StorageError(
            f"The experiment's folder {folder}", "is a file", "a folder is needed", "Choose another name or path."
        ) from None
    except OSError as error:
        raise unwritable(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise unwritable(folder, PermissionError(13, "permission denied"))


def keep_setup(folder: str, setup: Mapping[str, object]) -> str | None:
    """Keep the configuration for a restore; returns why that was impossible, or None."""
    import cloudpickle

    from tune_core.storage.local import write_bytes_atomic

    try:
        data = cloudpickle.dumps(setup)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    write_bytes_atomic(os.path.join(folder, SETUP_FILE), data, mode=0o600)  # it may hold RunConfig(env=...)
    return None


_RECENT = 256
"""A killed driver may not have carried out what the last of so many events commanded."""


_APPENDED = ("output.log", "progress.csv", "result.json", "params.json")
"""Files in a trial's folder that a restored run adds to."""


def sweep_trials(folder: str, recent: Collection[int], trials: Sequence[Trial]) -> None:
    """Remove what a killed run left in its trials' folders: checkpoints half-written, never told of, or to be deleted.

    Only the folders of trials that ran then, or are in ``recent``, are looked at, and only what carries our mark is
    removed.
    """
    from tune_core.storage.local import sweep

    for trial in trials:
        own = trial_folder(folder, trial.index)
        if (trial.status is not RUNNING and trial.index not in recent) or not os.path.isdir(own) or leads_away(own):
            continue
        try:
            sweep(own)
            kept = {checkpoint.name for checkpoint in trial.checkpoints or ()}
            for name in marks.marked_in(own):
                if name not in kept:
                    marks.delete_marked(os.path.join(own, name))
        except OSError as error:
            _log.warning("What a killed run left in %s could not be removed: %s", own, error)


def refuse_links(folder: str, trials: Sequence[Trial]) -> None:
    """Raise if a trial that may run again has a folder that leads elsewhere: what it writes would go there.

    Raises
    ------
    RestoreError
        If a trial's folder, or a file in it that is appended to, is a link.
    """
    for trial in trials:
        if trial.status is TERMINATED:
            continue
        own = trial_folder(folder, trial.index)
        found = own if leads_away(own) else next(_links_in(own), None)
        if found is not None:
            raise RestoreError(
                f"The experiment in {folder}",
                f"has a link in it, {os.path.relpath(found, folder)}",
                "what the trial writes would go to where it leads, outside of the experiment",
                "Replace the link by what it leads to, if you trust it, and restore again.",
            )


def _links_in(folder: str) -> Iterator[str]:
    return (path for name in _APPENDED if os.path.islink(path := os.path.join(folder, name)))


def load_setup(folder: str) -> dict[str, Any]:
    """The configuration that :func:`keep_setup` kept. Unpickles: only for :meth:`Tuner.restore`."""
    import cloudpickle

    path = os.path.join(folder, SETUP_FILE)
    try:
        with open(path, "rb") as file:
            setup: dict[str, object] = cloudpickle.load(file)
    except FileNotFoundError:
        return {}
    except Exception as error:
        raise RestoreError(
            f"The configuration in {path}",
            f"cannot be loaded: {type(error).__name__}: {error}",
            "it was pickled by other versions, or needs modules that are not here",
            "Pass param_space=, tune_config= and run_config= to Tuner.restore.",
        ) from error
    return setup
