"""Folds an experiment's journal into what readers need: one record for each trial, without running any of its code.

The journal alone is read: no scheduler, no objective and no space takes part. The fold keeps what the controller would
keep (last and best result, checkpoints, error, decisions), never the reports in between; :func:`history` reads those
when somebody asks.
"""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tune_core.engine import events as ev
from tune_core.engine.checkpoints import Kept
from tune_core.engine.reader import Reader
from tune_core.objective import Objective
from tune_core.trial import ERROR, PAUSED, PENDING, RUNNING, TERMINATED, Status, result_of

MAX_LOSSES = 100


class Decision(NamedTuple):
    """A decision on a trial, with the iteration and the time of the result that it was made on."""

    do: str
    why: str
    iteration: int
    at: float


class TrialRecord:
    """One trial as its experiment's journal tells it; attributes are those of :class:`tune_core.trial.Trial`."""

    __slots__ = (
        "_config",
        "attempt",
        "best",
        "best_loss",
        "checkpoints",
        "decisions",
        "ended_at",
        "error",
        "exploit",
        "failures",
        "index",
        "iteration",
        "last",
        "losses",
        "previous_s",
        "reason",
        "resources",
        "start",
        "started_at",
        "status",
        "verdict",
        "worker",
    )

    def __init__(self, index: int, config: dict[str, Any], resources: dict[str, float] | None = None) -> None:
        self.index = index
        self._config = config
        self.resources = resources
        self.status: Status = PENDING
        self.attempt = self.failures = self.losses = self.iteration = 0
        self.last: ev.Reported | None = None
        self.best: ev.Reported | None = None
        self.best_loss = math.inf
        self.previous_s = 0.0  # training time at the result before the last
        self.checkpoints: list[Kept] | None = None  # all that were made, oldest first, also those deleted since
        self.decisions: list[Decision] = _NO_DECISIONS
        self.start: Kept | None = None  # the checkpoint that the next launch goes on from
        self.exploit: tuple[dict[str, Any] | None, Kept | None] | None = None  # the config and checkpoint to take over
        self.verdict = ""
        self.reason: str | None = None
        self.error: str | None = None
        self.worker: str | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None

    @property
    def trial_id(self) -> str:
        """The index as a string of at least five digits."""
        return f"{self.index:05d}"

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as plain values; objects that JSON cannot hold appear as their text."""
        return {key: readable(value) for key, value in self._config.items()}

    @property
    def attempts(self) -> int:
        """Launches so far."""
        return self.attempt

    @property
    def last_result(self) -> dict[str, Any]:
        """The last result with the automatic fields; empty before the first."""
        return {} if self.last is None else result_of(self.last)

    def __repr__(self) -> str:
        return f"TrialRecord({self.trial_id}, {self.status}, iteration={self.iteration})"


_NO_DECISIONS: list[Decision] = []  # shared by the trials that have none; replaced before the first is added


def readable(value: Any) -> Any:
    """A value as the journal holds it, in a form for people: see ``tune_core.space_json`` for the marks."""
    if value.__class__ is dict:
        if "__plain__" in value:
            return {key: readable(child) for key, child in value["__plain__"].items()}
        if "__tuple__" in value:
            return tuple(map(readable, value["__tuple__"]))
        if "__number__" in value:
            text = value["__number__"]
            return float(text) if text.lstrip("-") in ("nan", "inf") else int(text)
        if "__choice__" in value or "__const__" in value or "__value__" in value:
            return readable(value["value"]) if "value" in value else str(value.get("repr"))
        return {key: readable(child) for key, child in value.items()}
    return list(map(readable, value)) if value.__class__ is list else value


@dataclass
class Experiment:
    """A whole experiment as its journal tells it.

    ``best`` is the trial with the best result by the run's metric and mode; ``finished`` says why the run is over, and
    is None while it goes on or after its driver was killed.
    """

    folder: str
    header: ev.Header
    trials: list[TrialRecord] = field(default_factory=list)
    best: TrialRecord | None = None
    finished: str | None = None
    interrupted: str | None = None
    notes: list[str] = field(default_factory=list)
    reports: int = 0
    last_at: float = 0.0

    @property
    def total_time_s(self) -> float:
        """Seconds from the start of the run to its last event; a restored run counts the pause in between."""
        return max(0.0, self.last_at - self.header.at)

    @property
    def counts(self) -> Counter[Status]:
        """How many trials are in each status."""
        return Counter(trial.status for trial in self.trials)


class Fold:
    """Takes in a journal's events and keeps an :class:`Experiment` up to date.

    Parameters
    ----------
    folder
        The experiment's folder; its journal is read as far as it is whole, and further with each :meth:`refresh`.
    """

    def __init__(self, folder: str) -> None:
        self._reader = Reader(folder)
        header = self._reader.header
        self.experiment = Experiment(folder, header, last_at=header.at)
        self.recent: list[TrialRecord] = []  # trials that changed in the last refresh, in order, each once
        self._objective = Objective(header.metric, header.mode or "max") if header.metric else None
        self._trials = self.experiment.trials
        retries = header.settings.get("max_failures", 0)
        self._losses = header.settings.get("max_worker_losses", MAX_LOSSES)
        self._retries: float = math.inf if retries < 0 else retries
        self._fail_fast = bool(header.settings.get("fail_fast"))
        self._stopping: str | None = None  # why the run ends early: no trial is started or tried again
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.Suggested: self._suggested,
            ev.Launched: self._launched,
            ev.Reported: self._reported,
            ev.Saved: self._saved,
            ev.Ended: self._ended,
            ev.Decided: self._decided,
            ev.StopRequested: self._stop_requested,
            ev.Interrupted: self._interrupted,
            ev.Restored: self._restored,
            ev.Refused: self._refused,
            ev.Noted: self._noted,
            ev.Finished: self._finished,
        }

    def refresh(self) -> Experiment:
        """Take in what the journal has got since the last time."""
        handlers, ignore = self._handlers, _ignore
        collecting = gc.isenabled()
        gc.disable()  # hundreds of thousands of small live objects, no cycles: collecting would only cost time
        try:
            for batch in self._reader.read():
                for event in batch:
                    handlers.get(type(event), ignore)(event)
        finally:
            if collecting:
                gc.enable()
        return self.experiment

    def _suggested(self, event: ev.Suggested) -> None:
        self._trials.append(TrialRecord(event.trial, event.config, event.resources))

    def _launched(self, event: ev.Launched) -> None:
        trial = self._trials[event.trial]
        trial.status = RUNNING
        trial.attempt = event.attempt
        trial.worker = event.worker
        trial.started_at = self.experiment.last_at = event.at
        trial.ended_at = trial.reason = None
        trial.verdict = ""
        start = trial.start
        trial.iteration, trial.previous_s = (start.iteration, start.seconds) if start else (0, 0.0)

    def _reported(self, event: ev.Reported) -> None:
        trial = self._trials[event.trial]
        if trial.status is not RUNNING or event.iteration <= trial.iteration or event.attempt != trial.attempt:
            return
        experiment = self.experiment
        experiment.reports += 1
        experiment.last_at = event.at
        if trial.last is not None and trial.last.iteration == trial.iteration:
            trial.previous_s = trial.last.seconds
        trial.iteration = event.iteration
        trial.last = event
        if self._objective is not None:
            loss = self._objective.loss(event.metrics)
            if loss < trial.best_loss or trial.best is None:
                trial.best, trial.best_loss = event, loss
                best = experiment.best
                if best is None or loss < best.best_loss or best is trial:
                    experiment.best = trial
        if event.checkpoint is not None:
            self._keep(trial, event.checkpoint, event.iteration, event.seconds)

    def _saved(self, event: ev.Saved) -> None:
        trial = self._trials[event.trial]
        if trial.status is RUNNING and event.attempt == trial.attempt:
            self._keep(trial, event.checkpoint, event.iteration, trial.last.seconds if trial.last else 0.0)

    def _keep(self, trial: TrialRecord, name: str, iteration: int, seconds: float) -> None:
        trial.start = Kept(trial.index, name, iteration, seconds, 0.0)
        if trial.checkpoints is None:
            trial.checkpoints = []
        trial.checkpoints.append(trial.start)

    def _decided(self, event: ev.Decided) -> None:
        trial = self._trials[event.trial]
        at = trial.last.at if trial.last else self.experiment.last_at
        if trial.decisions is _NO_DECISIONS:
            trial.decisions = []
        trial.decisions.append(Decision(event.do, event.why, trial.iteration, at))
        if trial.status is RUNNING:
            trial.verdict = {"exploit": "pause", "continue": ""}.get(event.do, event.do)
            trial.reason = event.why if event.do in ("stop", "pause", "exploit") else None
            trial.exploit = (event.config, self._latest(event.source)) if event.do == "exploit" else None
        elif trial.status in (PENDING, PAUSED) and event.do == "stop":
            self._end(trial, event.why)
        elif trial.status is PAUSED and event.do == "exploit":
            trial.exploit = (event.config, self._latest(event.source))
            self._become_copy(trial)

    def _ended(self, event: ev.Ended) -> None:
        trial = self._trials[event.trial]
        if trial.status is not RUNNING or event.attempt not in (0, trial.attempt):
            return
        trial.ended_at = self.experiment.last_at = event.at
        how, interrupted = event.how, self.experiment.interrupted is not None
        if how == "paused" and trial.exploit is not None:
            self._become_copy(trial)
        elif how == "paused" and trial.verdict == "pause":
            trial.status = PAUSED
        elif how in ("completed", "stopped", "paused") or (
            how == "revoked" and (trial.verdict == "stop" or not interrupted)
        ):
            self._end(trial, event.why or trial.reason or "")
        elif how == "revoked":
            self._settle_orphan(trial)
        elif how == "lost":
            trial.losses += 1
            if self._stopping is not None and not interrupted:
                self._end(trial, self._stopping)
            elif trial.losses <= self._losses:
                self._settle_orphan(trial)
            else:
                self._fail(trial, f"its worker was lost {trial.losses} times. {event.error}".strip())
        else:
            trial.failures += how != "invalid"
            if how != "invalid" and trial.failures <= self._retries and (interrupted or self._stopping is None):
                trial.error = event.error
                self._settle_orphan(trial)
            else:
                self._fail(trial, event.error or event.why)
                if how == "invalid" or self._fail_fast:
                    self._begin_stop(event.why or f"trial {trial.trial_id} failed")
        if self._stopping is not None and not interrupted and trial.status in (PENDING, PAUSED):
            self._end(trial, self._stopping)

    def _refused(self, event: ev.Refused) -> None:
        if self._trials[event.trial].status is PENDING:
            self._fail(self._trials[event.trial], event.why)

    def _fail(self, trial: TrialRecord, error: str) -> None:
        trial.error = error
        self._end(trial, ev.error_line(error))
        trial.status = ERROR

    def _requeue(self, trial: TrialRecord) -> None:
        trial.status = PENDING
        trial.verdict = ""
        trial.reason = trial.worker = None
        trial.iteration = trial.start.iteration if trial.start else 0

    def _become_copy(self, trial: TrialRecord) -> None:
        if trial.exploit is not None:
            config, trial.start = trial.exploit
            trial._config = config if config is not None else trial._config
            trial.exploit = None
        self._requeue(trial)

    def _latest(self, source: int | None) -> Kept | None:
        if source is None:
            return None
        trial = self._trials[source]
        return trial.start or (trial.checkpoints[-1] if trial.checkpoints else None)

    def _end(self, trial: TrialRecord, why: str) -> None:
        trial.status = TERMINATED
        trial.reason = why
        trial.worker = trial.exploit = None
        if trial.start is not None and trial.start.trial != trial.index:
            trial.start = None  # another's checkpoint is not held on to

    def _stop_requested(self, event: ev.StopRequested) -> None:
        if event.trial < 0:
            self._begin_stop(event.why)
        else:
            self._stop(self._trials[event.trial], event.why)

    def _begin_stop(self, why: str) -> None:
        if self._stopping is None:
            self._stopping = why
            for trial in self._trials:
                if trial.status is not RUNNING or not trial.verdict:
                    self._stop(trial, why)

    def _stop(self, trial: TrialRecord, why: str) -> None:
        if trial.status in (PENDING, PAUSED):
            self._end(trial, why)
        elif trial.status is RUNNING:
            trial.verdict, trial.reason = "stop", why

    def _interrupted(self, event: ev.Interrupted) -> None:
        self.experiment.interrupted = event.why
        self._stopping = event.why
        self.experiment.last_at = event.at

    def _restored(self, event: ev.Restored) -> None:
        experiment = self.experiment
        experiment.finished = experiment.interrupted = None
        self._stopping = None
        for trial in self._trials:
            if trial.status is RUNNING:
                self._settle_orphan(trial)
            if trial.status is ERROR and (event.errored or event.restart_errored):
                if event.restart_errored:
                    trial.start = None
                trial.failures = trial.losses = 0
                trial.error = None
                self._requeue(trial)
            elif trial.status in (PENDING, PAUSED) and not event.unfinished:
                self._end(trial, "not resumed (resume_unfinished=False)")

    def _settle_orphan(self, trial: TrialRecord) -> None:
        if trial.verdict == "stop":
            self._end(trial, trial.reason or "")
        elif trial.exploit is not None:
            self._become_copy(trial)
        elif trial.verdict == "pause":
            trial.status = PAUSED
        else:
            self._requeue(trial)

    def _noted(self, event: ev.Noted) -> None:
        self.experiment.notes.append(event.what if event.trial < 0 else f"trial {event.trial:05d}: {event.what}")

    def _finished(self, event: ev.Finished) -> None:
        self.experiment.finished = event.why
        self.experiment.last_at = event.at
        if self.experiment.interrupted is None:
            for trial in self._trials:
                if trial.status in (PENDING, PAUSED):
                    self._end(trial, trial.reason or event.why)


def _ignore(event: Any) -> None:
    pass


def read_experiment(folder: str) -> Experiment:
    """An experiment as its journal tells it now.

    Raises
    ------
    JournalError
        If the folder holds no experiment, or one that a newer tune-core wrote.
    """
    return Fold(folder).refresh()


def reports(folder: str, trial: int | None = None) -> Iterator[ev.Reported]:
    """Every report in the order of the journal, of one trial or of all.

    A trial that went back to a checkpoint reports some iterations again: see :func:`history`.
    """
    for batch in Reader(folder, trial).read():
        for event in batch:
            if type(event) is ev.Reported and (trial is None or event.trial == trial):
                yield event


def history(folder: str, trial: int | None = None) -> dict[int, list[dict[str, Any]]]:
    """The results of one trial, or of all, by trial index: flat dicts with the automatic fields.

    A trial that was retried, resumed or made a copy of another goes on from a checkpoint: what it had reported after
    that point is replaced by what it reported then, so iterations always increase.
    """
    found: dict[int, list[dict[str, Any]]] = {}
    for event in reports(folder, trial):
        results = found.setdefault(event.trial, [])
        while results and results[-1]["training_iteration"] >= event.iteration:
            results.pop()
        result = result_of(event)
        before = results[-1]["time_total_s"] if results else 0.0
        result.setdefault("time_this_iter_s", max(0.0, event.seconds - before))
        if event.checkpoint is not None:
            result["checkpoint_dir_name"] = event.checkpoint
        results.append(result)
    return found
