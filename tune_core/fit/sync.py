"""Sends what a run could not send to its store: ``tune-core sync``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from tune_core.errors import InvalidArgumentError, StorageError
from tune_core.fit.stored import KEPT_FILES, StoredExperiment
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.lock import Lock
from tune_core.journal.mirror import MirrorSettings, StoreState, Unsent, read_state
from tune_core.journal.stored import cache_folder
from tune_core.results.experiment_reader import read_experiment
from tune_core.storage.objects import redacted
from tune_core.storage.segments import read_segments

PATIENCE_S = 60.0


def working_folders() -> Iterator[str]:
    """The working folders in this machine's cache."""
    base = os.path.join(cache_folder(), "runs")
    for where, folders, files in os.walk(base):
        if JOURNAL_FILE in files:
            folders.clear()
            if ".aside-" not in os.path.basename(where):
                yield where


def is_behind(folder: str) -> bool:
    """Whether a working folder's journal has more than was sent of it."""
    state = read_state(folder)
    return state is not None and os.path.getsize(os.path.join(folder, JOURNAL_FILE)) > state.size_bytes


def send_rest(
    folder: str, patience_s: float = PATIENCE_S, note: Callable[[str], None] = lambda text: None
) -> Unsent | None:
    """Send what is in a working folder and not in its store; what is left is returned, None if nothing is.

    ``note`` is told what goes wrong meanwhile.

    Raises
    ------
    InvalidArgumentError
        If the folder belongs to no store.
    StorageError
        If another machine has gone on with the experiment, or drives it now.
    """
    folder = os.path.abspath(folder)
    state = read_state(folder)
    if state is None:
        raise InvalidArgumentError(
            f"The folder {folder}",
            "belongs to no store",
            "it is no working folder of an experiment at a URL",
            "Name the folder that the run's warning named; without a name, all are sent.",
        )
    lock = Lock(folder, redacted(state.url))
    try:
        stored = StoredExperiment(state.url)
        stored.folder = folder
        _refuse_if_replaced(stored, state)
        stored.claim()
        trials = read_experiment(folder).trials
        kept = {(trial.index, checkpoint.name) for trial in trials for checkpoint in trial.checkpoints or ()}
        settings = MirrorSettings(
            0.1, flush_s=patience_s, files=KEPT_FILES, is_kept=lambda trial, name: (trial, name) in kept
        )
        mirror = stored.mirror(settings)
        mirror.start()
        mirror.before_release = lambda: stored.sweep(trials)
        unsent = mirror.close(note)
        mirror.check()
        return unsent
    finally:
        lock.release()


def _refuse_if_replaced(stored: StoredExperiment, state: StoreState) -> None:
    with open(os.path.join(stored.folder, JOURNAL_FILE), "rb") as file:
        local = file.read()
    there = read_segments(stored.store)
    if not local.startswith(there.data):
        raise StorageError(
            f"What is in {stored.folder}",
            f"cannot be added to {redacted(state.url)}",
            "another machine has gone on with the experiment from an earlier point",
            f"Read it where it is: tune-core show {stored.folder}",
        )
