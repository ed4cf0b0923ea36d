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
from tune_core.core.events import value_of
from tune_core.core.objective import lookup
from tune_core.core.standing import NOTHING, Standing
from tune_core.core.values import Config, ConfigView, ResultDict, containers_copied
from tune_core.errors import TuneError

if TYPE_CHECKING:
    from tune_core.core.events import Reported
    from tune_core.engine.checkpoint_retention import RetainedCheckpoint
    from tune_core.schedulers.base import Decision, Exploit


class Status(str, Enum):
    """Where a trial is in its life."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    TERMINATED = "TERMINATED"
    ERROR = "ERROR"

    def __str__(self) -> str:
        return self.value

    __hash__ = str.__hash__  # an Enum's own is many times slower, and each change of a status needs some


PENDING, RUNNING, PAUSED, TERMINATED, ERROR = Status


class Change(str, Enum):
    """What can happen to a trial's status."""

    LAUNCH = "launch"
    COMPLETE = "complete"
    STOP = "stop"
    PAUSE = "pause"
    REQUEUE = "requeue"
    FAIL = "fail"

    __hash__ = str.__hash__


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
    def config(self) -> ConfigView:
        """The configuration that it runs now."""

    @property
    def status(self) -> Status:
        """Where it is in its life."""

    @property
    def last_result(self) -> ResultDict:
        """The last known value of each metric, with the automatic fields of the last result; empty before the first."""

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

    **Which results count.** A trial that goes back to a checkpoint of its own (a retry, a resume) stands where it
    stood when that was made, from its first result of the new attempt on: what it had reported later no longer
    counts. A trial that becomes a copy of another keeps its own results; each was made with the configuration of its
    time.
    """

    __slots__ = (
        "attempt",
        "barren",
        "began",
        "best",
        "best_config",
        "best_loss",
        "checkpoints",
        "config",
        "copied_at",
        "copy_from",
        "cut_short",
        "ended_at",
        "error",
        "exploit",
        "failures",
        "folder",
        "foreign_id",
        "index",
        "is_copy",
        "is_relaunched",
        "iteration",
        "known",
        "last",
        "last_config",
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

    def __init__(self, index: int, config: Config, resources: Mapping[str, float] | None = None) -> None:
        #: Position in the order of suggestion, from 0.
        self.index = index
        #: The configuration that it runs now, or would run with next.
        self.config = config
        #: Resources that it asks for; None: the run's default.
        self.resources = resources
        #: Where it is in its life; changed by :meth:`change` only.
        self.status = PENDING
        #: Its id in the files of another system that it was read from; empty: as usual.
        self.foreign_id = ""
        #: What ``trial_name_creator`` called it; empty: as usual.
        self.name = ""
        #: What ``trial_dirname_creator`` called its folder; empty: as usual.
        self.folder = ""
        #: Launches so far.
        self.attempt = 0
        #: Iteration, training time and place at which the attempt of ``last`` began.
        self.began: tuple[int, float, Any] = (0, 0.0, None)
        #: Failures that count against ``max_failures``.
        self.failures = 0
        #: Attempts in a row that failed before a first result when they went on from the present checkpoint.
        self.barren = 0
        #: Workers or nodes lost under it, which do not.
        self.worker_losses = 0
        #: Results along its present course: that of its last result, or of the checkpoint that it goes on from.
        self.iteration = 0
        #: Training time at the result before the last, in seconds.
        self.previous_s = 0.0
        #: Its last result, as it was reported.
        self.last: Reported | None = None
        #: The configuration that ``last`` was made with.
        self.last_config: Config | None = None
        #: The last known value of each metric; the same object as ``last.metrics`` where that has them all.
        self.known: ResultDict | None = None
        #: The best result that counts, by the run's metric; None before the first that has it.
        self.best: Reported | None = None
        #: The run's metric there as a loss; infinity without one.
        self.best_loss = math.inf
        #: The configuration that ``best`` was made with.
        self.best_config: Config | None = None
        #: Whether it runs another configuration than was suggested for it.
        self.is_copy = False
        #: Whether it ended before it had had all that it could get.
        self.cut_short = False
        #: Whether it was launched again and has not reported since.
        self.is_relaunched = False
        #: Those of its own, oldest first; None until the first.
        self.checkpoints: list[RetainedCheckpoint] | None = None
        #: What to load at the next launch; None: a fresh start.
        self.start_from: RetainedCheckpoint | None = None
        #: Whether that belongs to an exploit, and is pinned.
        self.start_pinned = False
        #: Where it stood when it became a copy of another trial.
        self.copied_at: Standing = NOTHING
        #: An exploit that waits for its worker to release the trial.
        self.exploit: Exploit | None = None
        #: What the exploit will load.
        self.copy_from: RetainedCheckpoint | None = None
        #: The decision that was given to its worker, which has not yet acted on it.
        self.verdict: Decision | None = None
        #: Why it ended or was paused.
        self.reason: str | None = None
        #: What went wrong last, with the traceback.
        self.error: str | None = None
        #: Where it runs, or ran last.
        self.worker: str | None = None
        #: Start of the present attempt, in seconds since the epoch.
        self.started_at: float | None = None
        #: End of the last attempt, in seconds since the epoch.
        self.ended_at: float | None = None

    @property
    def trial_id(self) -> str:
        """The index as a string of at least five digits; read from another system's files, the id that it has there."""
        return self.foreign_id or f"{self.index:05d}"

    @property
    def checkpoint(self) -> str | None:
        """Name of the latest checkpoint of the trial's own, or None."""
        return self.checkpoints[-1].name if self.checkpoints else None

    @property
    def last_result(self) -> ResultDict:
        """The last known value of each metric, with the automatic fields of the last result; empty before the first."""
        if self.last is None:
            return {}
        result = fields_of(self.last, self.previous_s, self.began)
        if self.known is not None and self.known is not self.last.metrics:
            reported = self.last.metrics
            result.update((n, v) for n, v in self.known.items() if n not in result or result[n] is reported.get(n))
        result.setdefault("done", self.status in (TERMINATED, ERROR))
        if "config" not in result:
            result["config"] = containers_copied(self.config if self.last_config is None else self.last_config)
        return result

    @property
    def standing(self) -> Standing:
        """Its standing now."""
        return Standing(self.best, self.best_loss, self.best_config, self.known)

    def go_back_to(self, standing: Standing) -> None:
        """Go back to an earlier standing: what was reported since then no longer counts."""
        self.best, self.best_loss = standing.best, standing.best_loss
        self.best_config, self.known = standing.best_config, standing.known

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


def merged(known: ResultDict | None, metrics: ResultDict) -> ResultDict:
    """The last known value of each metric after a result: ``metrics`` itself where that has them all.

    None is no value. Nested metrics are merged one by one.
    """
    if known is None or (
        metrics.keys() >= known.keys() and None not in metrics.values() and dict not in map(type, metrics.values())
    ):
        return metrics
    both = dict(known)
    for name, value in metrics.items():
        before = both.get(name)
        if value.__class__ is dict and before.__class__ is dict:
            both[name] = merged(before, value)
        elif value is not None or name not in both:
            both[name] = value
    return both


def known_value(trial: Any, metric: str) -> Any:
    """The last known value of a metric, whichever result had it; None if none had."""
    if trial.last is None:
        return None
    value = lookup(trial.known, metric) if trial.known is not None else None
    return value if value is not None else value_of(trial.last, metric)
