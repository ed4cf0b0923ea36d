"""A trial, its status, and the table of the status's legal changes.

A trial is one configuration and all that happened to it. It waits (PENDING), occupies a worker (RUNNING), may be put
aside with a checkpoint (PAUSED), and ends well (TERMINATED) or badly (ERROR). Whatever is not in ``TRANSITIONS``
cannot happen; the table is the whole truth and the documentation's state page is generated from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from tune_core.core.automatic import fields_of
from tune_core.errors import TuneError

if TYPE_CHECKING:
    from tune_core.core.events import Reported


class Status(str, Enum):
    """Where a trial is in its life."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    TERMINATED = "TERMINATED"
    ERROR = "ERROR"

    def __str__(self) -> str:
        return self.value


PENDING, RUNNING, PAUSED, TERMINATED, ERROR = Status


class Change(str, Enum):
    """What can happen to a trial's status."""

    LAUNCH = "launch"
    COMPLETE = "complete"
    STOP = "stop"
    PAUSE = "pause"
    REQUEUE = "requeue"
    FAIL = "fail"


TRANSITIONS: dict[tuple[Status, Change], Status] = {
    (PENDING, Change.LAUNCH): RUNNING,  # a slot is free and the scheduler chose this trial
    (PAUSED, Change.LAUNCH): RUNNING,  # the scheduler resumes it from its checkpoint
    (RUNNING, Change.COMPLETE): TERMINATED,  # the objective returned
    (RUNNING, Change.STOP): TERMINATED,  # a scheduler, stopper, budget or the user ended it
    (PENDING, Change.STOP): TERMINATED,  # the run ended before it could start (again)
    (PAUSED, Change.STOP): TERMINATED,  # not promoted
    (RUNNING, Change.PAUSE): PAUSED,  # the scheduler put it aside
    (RUNNING, Change.REQUEUE): PENDING,  # failed or lost its worker, tried again; or exploits another trial
    (PAUSED, Change.REQUEUE): PENDING,  # a synchronous population exploits while paused
    (ERROR, Change.REQUEUE): PENDING,  # restored with resume_errored or restart_errored
    (TERMINATED, Change.REQUEUE): PENDING,  # restored after an interruption ended it early
    (RUNNING, Change.FAIL): ERROR,  # failed and no retry is left
    (PENDING, Change.FAIL): ERROR,  # could not be started
    (PAUSED, Change.FAIL): ERROR,  # cannot be resumed
}


class IllegalTransitionError(TuneError):
    """A change that the table of trial states does not allow."""


class TrialView(Protocol):
    """What schedulers, searchers, stoppers and callbacks may read of a trial."""

    @property
    def index(self) -> int:
        """Position in the order of suggestion, from 0."""

    @property
    def trial_id(self) -> str:
        """The index as a string of at least five digits: ``"00012"``."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration that it runs now."""

    @property
    def status(self) -> Status:
        """Where it is in its life."""

    @property
    def last_result(self) -> dict[str, Any]:
        """The last result, with the automatic fields; empty before the first."""

    @property
    def iteration(self) -> int:
        """Number of results reported along its present course."""

    @property
    def checkpoint(self) -> str | None:
        """Name of its latest checkpoint: a folder in the trial's own folder."""

    @property
    def resources(self) -> Mapping[str, float] | None:
        """Resources that it asks for."""


class Trial:
    """One trial as the controller keeps it: its last and best result, never its history.

    Public attributes are those of :class:`TrialView`, plus what the engine needs. All changes of ``status`` go
    through :meth:`change`.
    """

    __slots__ = (
        "attempt",
        "began",
        "best",
        "best_loss",
        "checkpoints",
        "config",
        "copy_from",
        "ended_at",
        "error",
        "exploit",
        "failures",
        "folder",
        "index",
        "iteration",
        "last",
        "name",
        "previous_s",
        "reason",
        "resources",
        "start_from",
        "start_pinned",
        "started_at",
        "status",
        "verdict",
        "worker",
        "worker_losses",
    )

    def __init__(self, index: int, config: dict[str, Any], resources: Mapping[str, float] | None = None) -> None:
        self.index = index
        self.config = config
        self.resources = resources
        self.status = PENDING
        self.name = ""  # what trial_name_creator called it
        self.folder = ""  # what trial_dirname_creator called its folder
        self.attempt = 0  # launches so far
        self.began: tuple[int, float, Any] = (0, 0.0, None)  # iteration, time and place of the attempt of ``last``
        self.failures = 0  # failures that count against max_failures
        self.worker_losses = 0  # workers or nodes lost under it
        self.iteration = 0
        self.previous_s = 0.0  # training time at the result before the last
        self.last: Reported | None = None
        self.best: Reported | None = None
        self.best_loss = math.inf
        self.checkpoints: list[Any] | None = None  # RetainedCheckpoint, oldest first; None until the first
        self.start_from: Any = None  # RetainedCheckpoint to load at the next launch
        self.start_pinned = False  # whether that came through an exploit, and is pinned
        self.exploit: Any = None  # schedulers.base.Exploit waiting for the worker to let go
        self.copy_from: Any = None  # RetainedCheckpoint that the exploit will load
        self.verdict: Any = None  # decision given to a worker that has not yet acted on it
        self.reason: str | None = None  # why it ended or was put aside
        self.error: str | None = None
        self.worker: str | None = None
        self.started_at: float | None = None  # seconds since the epoch, of the present attempt
        self.ended_at: float | None = None

    @property
    def trial_id(self) -> str:
        """The index as a string of at least five digits."""
        return f"{self.index:05d}"

    @property
    def checkpoint(self) -> str | None:
        """Name of the latest checkpoint of the trial's own, or None."""
        return self.checkpoints[-1].name if self.checkpoints else None

    @property
    def last_result(self) -> dict[str, Any]:
        """The last result with the automatic fields; empty before the first."""
        if self.last is None:
            return {}
        result = fields_of(self.last, self.previous_s, self.began)
        result.setdefault("done", self.status in (TERMINATED, ERROR))
        result.setdefault("config", self.config)
        return result

    def change(self, change: Change) -> None:
        """Change the status as the table says, or raise :class:`IllegalTransitionError`."""
        after = TRANSITIONS.get((self.status, change))
        if after is None:
            legal = ", ".join(c.value for s, c in TRANSITIONS if s is self.status) or "nothing"
            raise IllegalTransitionError(
                f"Trial {self.trial_id}",
                f"is {self.status} and was asked to {change.value}",
                f"from {self.status} it can only: {legal}",
                "This is a defect of tune-core or of a plug-in: please report it with the experiment's journal.",
            )
        self.status = after

    def __repr__(self) -> str:
        return f"Trial({self.trial_id}, {self.status}, iteration={self.iteration})"
