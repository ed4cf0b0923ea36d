"""The experiments that a dashboard shows, kept up to date from their journals."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from tune_core.core.trial import PAUSED, PENDING
from tune_core.core.values import JsonObject
from tune_core.errors import TuneError
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.lock import is_running
from tune_core.results.recording import OUTCOMES, Recording

logger = logging.getLogger(__name__)

MAX_OPEN = 12
"""Experiments whose recordings stay in memory; of the others, their summary."""
MAX_POINTS = 256
"""Most values of each trial's course that are kept."""
LOOK_S = 2.0
FRESH_S = 0.5


class LiveExperiment(Recording):
    """A recording that knows which trials have changed since when."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder, max_points=MAX_POINTS)
        self.lock = threading.RLock()
        self.version = 0
        self.changed: dict[int, int] = {}
        self.refreshed_at = 0.0
        self._dirty: set[int] = set()
        self._anything = False
        self.used_at = time.monotonic()

    def _take(self, event: object) -> None:
        super()._take(event)
        self._anything = True
        index = getattr(event, "trial", -1)
        if index >= 0:
            self._dirty.add(index)
        if type(event).__name__ in ("Restored", "StopRequested", "Finished", "Interrupted"):
            self._dirty.update(t.index for t in self.trials if t.ended_at is None)

    def update(self) -> int:
        """Take in what is new, at most twice a second, and return the version."""
        with self.lock:
            self.used_at = now = time.monotonic()
            if now - self.refreshed_at >= FRESH_S:
                self.refresh()
                self.refreshed_at = time.monotonic()
                if self._anything:
                    self.version += 1
                    for index in self._dirty:  # the latest last
                        self.changed.pop(index, None)
                        self.changed[index] = self.version
                    self._dirty.clear()
                    self._anything = False
            return self.version

    def since(self, version: int) -> list[Any]:
        """The trials that have changed after ``version``."""
        if version <= 0:
            return list(self.trials)
        latest_first = takewhile(lambda changed: changed[1] > version, reversed(self.changed.items()))
        return [self.trials[index] for index, _ in latest_first]

    @property
    def state(self) -> str:
        """``running``, ``finished``, ``interrupted`` or ``cut off``."""
        experiment = self.experiment
        if experiment.finished is None:
            return "running" if is_running(experiment.folder) else "cut off"
        return "interrupted" if experiment.interrupted is not None else "finished"

    def summary(self) -> JsonObject:
        """The experiment in one row."""
        header, best = self.experiment.header, self.best_known()
        counts = Counter(self.outcome(t) for t in self.trials) if len(self.trials) <= 20_000 else self._rough_counts()
        return {
            "name": header.name,
            "state": self.state,
            "metric": self.metric,
            "mode": self.mode,
            "trials": len(self.trials),
            "total": header.num_samples,
            "reports": self.experiment.reports,
            "counts": {name: counts[name] for name in OUTCOMES if counts[name]},
            "best": best[1] if best else None,
            "best_trial": best[0] if best else None,
            "started": header.at,
            "took": self.experiment.total_time_s,
            "scheduler": header.scheduler,
            "searcher": header.searcher,
            "seed": header.seed,
            "finished": self.experiment.finished,
            "version": self.version,
        }

    def best_known(self) -> tuple[int, float] | None:
        """Index and value of the best trial by the run's own metric."""
        best = self.experiment.best_known
        value = self.best_value(best) if best is not None else None
        return (best.index, value) if best is not None and value is not None else None

    def _rough_counts(self) -> Counter[str]:
        names = {"TERMINATED": "completed", "ERROR": "failed", "RUNNING": "running", "PAUSED": "paused"}
        return Counter({names.get(str(status), "pending"): number for status, number in self.experiment.counts.items()})

    def workers(self) -> JsonObject:
        """Who runs what, since when; and what waits, and why."""
        running = [self.spans[k] for k in self._open.values()]
        waiting = [t for t in self.trials if t.status in (PENDING, PAUSED)]
        return {
            "running": [
                {"worker": s.worker, "trial": s.trial, "since": s.start, "iterations": self._iterations(s.trial)}
                for s in sorted(running, key=lambda span: span.worker)[:500]
            ],
            "waiting": [
                {"trial": t.index, "status": str(t.status), "why": t.reason or "no place is free"}
                for t in waiting[:200]
            ],
            "waiting_total": len(waiting),
        }

    def _iterations(self, index: int) -> int:
        last = self.trials[index].last
        return last.iteration if last is not None else 0


class Board:
    """The experiments below some folders.

    Parameters
    ----------
    roots
        Folders: experiments, or folders of experiments. Nothing outside them is ever read.
    """

    def __init__(self, roots: Sequence[str]) -> None:
        self.roots = [os.path.realpath(root) for root in roots]
        self._lock = threading.Lock()
        self._folders: dict[str, str] = {}
        self._open: dict[str, LiveExperiment] = {}
        self._summaries: dict[str, tuple[float, dict[str, object]]] = {}
        self._looked_at = 0.0

    def folders(self) -> dict[str, str]:
        """The experiments' folders by id; the list is looked through again every two seconds."""
        with self._lock:
            if time.monotonic() - self._looked_at >= LOOK_S:
                self._folders = {_id(folder): folder for root in self.roots for folder in _experiments_in(root)}
                self._looked_at = time.monotonic()
            return dict(self._folders)

    def get(self, key: str) -> LiveExperiment | None:
        """An experiment by its id, up to date; None if there is none or it cannot be read."""
        folder = self.folders().get(key)
        if folder is None:
            return None
        with self._lock:
            live = self._open.get(key)
            if live is None:
                try:
                    live = LiveExperiment(folder)
                except (TuneError, OSError) as error:
                    logger.info("The experiment %s cannot be read: %s", folder, error)
                    return None
                self._open[key] = live
                for other in sorted(self._open, key=lambda k: self._open[k].used_at)[: -MAX_OPEN or None]:
                    if other != key:
                        del self._open[other]
        live.update()
        return live

    def summaries(self) -> list[JsonObject]:
        """One row an experiment, the newest first; journals that have not grown are not read again."""
        rows = []
        for key, folder in self.folders().items():
            try:
                status = os.stat(os.path.join(folder, JOURNAL_FILE))
            except OSError:
                continue  # deleted or moved since the folders were listed
            stamp = status.st_mtime + status.st_size
            known = self._summaries.get(key)
            if known is None or known[0] != stamp or known[1].get("state") == "running":
                live = self.get(key)
                if live is None:
                    row = {
                        "name": os.path.basename(folder),
                        "state": "unreadable",
                        "trials": 0,
                        "started": status.st_mtime,
                    }
                else:
                    with live.lock:
                        row = live.summary()
                known = self._summaries[key] = stamp, row
            rows.append({"id": key, **known[1]})
        return sorted(rows, key=lambda row: -row["started"])


def _id(folder: str) -> str:
    return hashlib.sha256(folder.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _experiments_in(root: str) -> list[str]:
    if os.path.isfile(os.path.join(root, JOURNAL_FILE)):
        return [root]
    try:
        names = sorted(os.listdir(root))
    except OSError as error:  # the other roots are shown all the same
        logger.info("The folder %s cannot be read: %s", root, error)
        return []
    found = [os.path.realpath(os.path.join(root, name)) for name in names]
    inside = [path for path in found if path.startswith(root.rstrip(os.sep) + os.sep)]  # links may lead elsewhere
    return [path for path in inside if os.path.isfile(os.path.join(path, JOURNAL_FILE))]
