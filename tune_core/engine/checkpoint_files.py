"""The checkpoints of a run as files: synced before the journal that names them, deleted after it, looked at when used.

Trials write their checkpoints into place and report them; nobody waits for the disk then. The journal's thread calls
:meth:`CheckpointFiles.sync` before it syncs lines that name checkpoints, so one pass over the disk serves all that were
reported since the last one, and those superseded meanwhile need none.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from tune_core.core.files import sync_path
from tune_core.core.paths import trial_folder
from tune_core.storage import marks

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

SYNC_THREADS = 16
"""So many files are synced at the same time: measured, it takes an eighth of what one after another takes."""
HURRY_AT = 32
"""So many superseded checkpoints wait for the timer; with more, the journal is synced at once."""

_log = logging.getLogger(__name__)


class CheckpointFiles:
    """Keeps a run's checkpoints on the disk in step with its journal.

    :meth:`name`, :meth:`supersede` and :meth:`trouble` are called by the loop, all else by the journal's thread.

    Parameters
    ----------
    folder
        The experiment's folder.
    is_elsewhere
        Whether a checkpoint that is not in the folder can be fetched from a store; None: there is no store.

    Attributes
    ----------
    notes
        What the user should know, for the loop to take out and pass on.
    """

    def __init__(self, folder: str, is_elsewhere: Callable[[int, str], bool] | None = None) -> None:
        self._folder = folder
        self._is_elsewhere = is_elsewhere
        self.notes: deque[str] = deque()
        self._lock = threading.Lock()
        self._named: dict[tuple[int, str], None] = {}  # named by lines, not synced yet
        self._superfluous: list[tuple[int, str]] = []
        self._known_trials: set[int] = set()  # whose folders' names are on the disk
        self._has_said = False
        self._pool: ThreadPoolExecutor | None = None
        self.hurry: Callable[[], None] = lambda: None

    # --- the loop's side ----------------------------------------------------------------------------------------------

    def name(self, trial: int, name: str) -> None:
        """A line that is about to be written names this checkpoint."""
        with self._lock:
            self._named[trial, name] = None

    def supersede(self, trial: int, name: str) -> None:
        """A line that was written makes this checkpoint superfluous."""
        with self._lock:
            self._named.pop((trial, name), None)
            self._superfluous.append((trial, name))
            many = len(self._superfluous) >= HURRY_AT
        if many:
            self.hurry()

    def trouble(self, trial: int, name: str) -> str:
        """Why a checkpoint cannot be used; empty if it can."""
        path = self._path(trial, name)
        if self._is_elsewhere is not None and not os.path.lexists(path):
            return "" if self._is_elsewhere(trial, name) else "is missing"
        return marks.trouble_with(path)

    # --- the journal's side -------------------------------------------------------------------------------------------

    @property
    def unsynced(self) -> bool:
        return bool(self._named)

    def sync(self) -> None:
        with self._lock:
            named = list(self._named)
        new_trials = {trial for trial, _ in named}
        files: list[str] = []
        folders: dict[str, None] = {}
        for trial, name in named:
            inside = marks.content_of(self._path(trial, name))
            files += inside.files
            folders.update(dict.fromkeys(inside.folders))
        if not new_trials <= self._known_trials:
            folders[self._folder] = None
        self._sync_all(files)
        self._sync_all([_behind_link(folder) for folder in folders])
        self._known_trials |= new_trials
        with self._lock:
            for key in named:
                self._named.pop(key, None)

    def _sync_all(self, paths: list[str]) -> None:
        """At once: a file system brings what it is asked for at the same time to the disk in one go."""
        if len(paths) < 2:
            for path in paths:
                sync_path(path)
            return
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # for runs with checkpoints

            self._pool = ThreadPoolExecutor(SYNC_THREADS, "tune-core-sync")
        for _ in self._pool.map(sync_path, paths):
            pass

    def close(self) -> None:
        """End the threads; nothing is synced any more."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def take_superfluous(self) -> list[tuple[int, str]]:
        with self._lock:
            taken, self._superfluous = self._superfluous, []
        return taken

    def delete(self, superfluous: list[tuple[int, str]]) -> None:
        for trial, name in superfluous:
            path = self._path(trial, name)
            try:
                marks.delete_marked(path)
            except OSError as error:
                self._failed(path, error)

    def _failed(self, path: str, error: OSError) -> None:
        text = (
            f"The superseded checkpoint {path} could not be deleted: {error.strerror or error}. "
            "More checkpoints are kept than num_to_keep asks for; the disk may fill up."
        )
        _log.warning(text)
        if not self._has_said:
            self._has_said = True
            self.notes.append(text)

    def _path(self, trial: int, name: str) -> str:
        return os.path.join(trial_folder(self._folder, trial), name)


def _behind_link(folder: str) -> str:
    """The folder itself where a trial's usual name is a link to one that the user has named, beside it."""
    if not os.path.islink(folder):
        return folder
    name = os.readlink(folder)
    return folder if os.path.basename(name) != name else os.path.join(os.path.dirname(folder), name)
