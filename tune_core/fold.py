"""Folds a journal's events into an :class:`Experiment`, as the controller would, but from the journal alone."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from typing import Any

from tune_core.engine import events as ev
from tune_core.engine.checkpoints import Kept
from tune_core.engine.reader import Reader
from tune_core.objective import Objective
from tune_core.records import Decision, Experiment, TrialRecord
from tune_core.trial import ERROR, PAUSED, PENDING, RUNNING, TERMINATED

MAX_LOSSES = 100


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
        self._objective = Objective(header.metric, header.mode or "max") if header.metric else None
        self._trials = self.experiment.trials
        retries = header.settings.get("max_failures", 0)
        self._losses = header.settings.get("max_worker_losses", MAX_LOSSES)
        self._retries: float = math.inf if retries < 0 else retries
        self._fail_fast = bool(header.settings.get("fail_fast"))
        self._stop_at = header.settings.get("stop", {})
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
        trial.start, trial.start_copied = Kept(trial.index, name, iteration, seconds, 0.0), False
        if trial.checkpoints is None:
            trial.checkpoints = []
        trial.checkpoints.append(trial.start)

    def _decided(self, event: ev.Decided) -> None:
        trial = self._trials[event.trial]
        at = trial.last.at if trial.last else self.experiment.last_at
        trial.add_decision(Decision(event.do, event.why, trial.iteration, at))
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
        how = event.how
        ending = self._stopping is not None and self.experiment.interrupted is None
        if how in ("completed", "stopped", "paused", "revoked"):
            self._let_go(trial, event, ending)
        elif how in ("lost", "returned"):
            trial.losses += how == "lost"
            if ending:
                self._end(trial, self._stopping or "")
            elif trial.losses <= self._losses:
                self._settle_orphan(trial)
            else:
                self._fail(trial, f"its worker was lost {trial.losses} times. {event.error}".strip())
        else:
            trial.failures += how != "invalid"
            if how != "invalid" and trial.failures <= self._retries and not ending:
                trial.error = event.error
                self._settle_orphan(trial)
            else:
                self._fail(trial, event.error or event.why)
                if how == "invalid" or self._fail_fast:
                    self._begin_stop(event.why or f"trial {trial.trial_id} failed")
        if ending and trial.status in (PENDING, PAUSED):
            self._end(trial, self._stopping or "")

    def _let_go(self, trial: TrialRecord, event: ev.Ended, ending: bool) -> None:
        if event.how == "paused" and ending:
            self._end(trial, self._stopping or "")
        elif event.how == "paused" and trial.exploit is not None and trial.verdict != "stop":
            self._become_copy(trial)
        elif event.how == "paused" and trial.verdict == "pause":
            self._put_aside(trial)
        elif event.how != "revoked" or trial.verdict == "stop" or self.experiment.interrupted is None:
            self._end(trial, event.why or trial.reason or "")
        else:
            self._settle_orphan(trial)

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
            trial.start_copied = True
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
        trial.exploit = None
        if trial.start_copied:
            trial.start, trial.start_copied = None, False  # another's checkpoint is not held on to

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
                    trial.start, trial.start_copied = None, False
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
            self._put_aside(trial)
        elif (end := self._end_reached(trial)) is not None:
            self._end(trial, end[1])
        else:
            self._requeue(trial)

    def _end_reached(self, trial: TrialRecord) -> tuple[str, str] | None:
        last, start = trial.last, trial.start
        if last is None or start is None or trial.start_copied or start.iteration != last.iteration:
            return None
        return ev.end_reached(last, self._stop_at)

    def _put_aside(self, trial: TrialRecord) -> None:
        trial.status = PAUSED
        trial.worker = None

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
