"""The controller: a pure state machine that turns events into commands.

Theory of operation
-------------------
**Trials.** Each *suggestion* becomes a pending trial. When the loop finds room it *launches* the trial that
:meth:`Controller.next_trial_to_launch` names, under a *lease* from the scheduler: how far it may run without asking.
Under its lease it *reports* freely. At the lease's end it waits, the scheduler decides, and the answer is to extend the
lease, to halt the trial for good, to pause it, or to make it a copy of another (an *exploit*: the worker releases the
trial, which is pending again with the other's checkpoint). ``core.trial.TRANSITIONS`` is the table of all changes.

**Attempts.** A trial may be launched many times: after a failure, a lost worker, a pause, an exploit, a restore.
Reports and ends carry the number of their attempt, so that what arrives late is recognised and ignored. An attempt
begins at the trial's ``start_from`` checkpoint; which results count after going back is a rule of
:class:`core.trial.Trial`.

**Metrics.** A report need not carry every metric. One without the run's metric changes no ranking and moves no
scheduler; ``Trial.known`` has the last known value of each.

**Checkpoints.** A checkpoint is kept while a rule of ``CheckpointConfig`` keeps it or anybody refers to it: its own
trial, a paused trial, a pending exploit (a *pin*). The command to delete it is given when neither is so any more.

**Ends.** The run is finished when no trial runs or waits and none will come. A *stop request* (a budget, a stopper)
ends waiting trials at once and running ones at their next report: all of them are TERMINATED. An *interruption*, by
the user or because one trial's failure ends the run, leaves the others unfinished, and a restore finishes them.

**Purity.** There is no clock, no I/O, no thread and no randomness here: the same events give the same state and the
same commands. That is how a killed run is restored, a folder is read, and thousands of runs are simulated in a test.

The parts: ``state`` has the fields and elementary changes, ``verdicts`` answers waiting workers, ``exploits`` makes
copies and replaces lost checkpoints, ``ends`` ends attempts, trials and the run. Here each event finds its handler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tune_core.core import events as ev
from tune_core.core.trial import PAUSED, PENDING, RUNNING, Change, Trial, merged
from tune_core.engine import ends, exploits, verdicts
from tune_core.engine.rules import Rules
from tune_core.engine.state import MOST_NOTES, Commands, RunState, is_waiting, note_line
from tune_core.errors import UserCodeError
from tune_core.schedulers.base import Pause, Scheduler, Stop


class Controller(RunState):
    """Keeps the trials and decides. Feed it with :meth:`apply`; carry out the commands that it returns."""

    def __init__(self, rules: Rules, scheduler: Scheduler) -> None:
        super().__init__(rules, scheduler)
        self._has_nested = False  # whether metrics may hold dicts, whose entries are merged one by one
        self._handlers: dict[type, Callable[[Any, Commands], None]] = {
            ev.Suggested: self._on_suggested,
            ev.Exhausted: self._on_exhausted,
            ev.Launched: self._on_launched,
            ev.Reported: self.take_report,
            ev.Saved: self._on_saved,
            ev.Ended: self._on_ended,
            ev.Decided: self._on_decided,
            ev.StopRequested: self._on_stop_requested,
            ev.Interrupted: self._on_interrupted,
            ev.Restored: self._on_restored,
            ev.Lost: self._on_lost,
            ev.Refused: self._on_refused,
            ev.Stalled: self._on_stalled,
            ev.Finished: self._on_finished,
            ev.Header: self._ignore,
            ev.Noted: self._on_noted,
        }

    # --- questions ----------------------------------------------------------------------------------------------------

    def next_trial_to_launch(self) -> Trial | None:
        """The trial that should run next, if the limit on concurrent trials allows one. Changes nothing."""
        if self.stopping is not None or self.finished is not None or not (self.pending or self.paused):
            return None
        if self.rules.max_concurrent is not None and len(self.running) >= self.rules.max_concurrent:
            return None
        for returned in self.returned:
            if returned not in self.held:
                return self.trials[returned]
        index: int | None = self.ask("choose", self._waiting) if "choose" in self.acts_in else None
        if index is None:
            if not self.held:
                return self.trials[self.pending[0]] if self.pending else None
            return next((self.trials[i] for i in self.pending if i not in self.held), None)
        if isinstance(index, int) and 0 <= index < len(self.trials) and is_waiting(self.trials[index]):
            return None if index in self.held else self.trials[index]
        raise UserCodeError(
            f"{type(self.scheduler).__name__}.choose",
            f"returned {index!r}",
            "it must name a trial that is pending or paused, or be None",
            "Return the index of a trial in waiting.pending or waiting.paused.",
        )

    def wants_suggestion(self) -> bool:
        """Whether a further trial would be run if there were one. Changes nothing."""
        if self.exhausted or self.stopping is not None or self.finished is not None:
            return False
        limit = self.rules.max_concurrent
        return limit is None or len(self.running) + len(self.pending) < limit

    # --- events -------------------------------------------------------------------------------------------------------

    def apply(self, event: ev.Event) -> Commands:
        """Take in one event; the commands that follow from it, in order."""
        commands: Commands = []
        self._handlers[type(event)](event, commands)
        return commands

    def _ignore(self, event: ev.Event, out: Commands) -> None:
        pass

    def _on_noted(self, event: ev.Noted, out: Commands) -> None:
        if len(self.notes) <= MOST_NOTES:
            self.notes.append(note_line(event))

    def _on_suggested(self, event: ev.Suggested, out: Commands) -> None:
        if event.trial != len(self.trials):
            raise ValueError(f"trial {event.trial} was suggested after {len(self.trials)} others")
        trial = Trial(event.trial, event.config, event.resources)
        trial.name, trial.folder, trial.foreign_id = event.name, event.folder, event.id
        self.trials.append(trial)
        self.counts[PENDING] += 1
        self.pending.append(event.trial)
        self._stalled = False
        if "on_add" in self.acts_in:
            self.ask("on_add", trial)

    def _on_exhausted(self, event: ev.Exhausted, out: Commands) -> None:
        self.exhausted = True
        self.ask("on_stall", True)
        ends.finish_if_idle(self, out)

    def _on_refused(self, event: ev.Refused, out: Commands) -> None:
        trial = self.trials[event.trial]
        if trial.status is PENDING:
            self.withdraw(trial)
            ends.fail(self, trial, event.why, out)
            ends.finish_if_idle(self, out)

    def _on_stalled(self, event: ev.Stalled, out: Commands) -> None:
        self.ask("on_stall", self.exhausted)
        ends.finish_if_idle(self, out)

    def _on_launched(self, event: ev.Launched, out: Commands) -> None:
        trial = self.trials[event.trial]
        if trial.status is PAUSED:
            del self.paused[trial.index]
        elif self.pending[0] == trial.index:
            self.pending.popleft()
        else:
            self.pending.remove(trial.index)
        self.change(trial, Change.LAUNCH)
        self.running[trial.index] = trial
        self._stalled = False
        trial.attempt = event.attempt
        trial.worker = event.worker
        trial.started_at = event.at
        trial.reason = trial.verdict = None
        trial.is_relaunched = trial.last is not None
        start = trial.start_from
        trial.iteration, trial.previous_s = (start.iteration, start.seconds) if start else (0, 0.0)
        out.append(
            ev.Launch(
                trial.index,
                trial.config,
                self.ask("lease", trial),
                trial.resources,
                (start.trial, start.name) if start else None,
                trial.iteration,
                start.seconds if start else 0.0,
                trial.attempt,
                start.totals if start else None,
                trial.name,
                trial.folder,
            )
        )

    def take_report(self, event: ev.Reported, out: Commands) -> None:
        """As :meth:`apply` of a result, for those who take in many; commands are added to ``out``."""
        trial = self.trials[event.trial]
        if trial.status is not RUNNING or event.iteration <= trial.iteration or event.attempt != trial.attempt:
            return  # late, or told twice
        last, metrics, loss = trial.last, event.metrics, None
        if last is not None and last.attempt == event.attempt:
            trial.previous_s = last.seconds
        else:
            self._begin_attempt(trial, event)
        trial.iteration = event.iteration
        trial.last = event
        known = trial.known
        if known is None or (known.keys() == metrics.keys() and not self._has_nested and None not in metrics.values()):
            trial.known = metrics  # the common case, and each report comes by here
        else:
            trial.known = merged(known, metrics)
        objective = self.objective
        if objective is not None:
            value = metrics.get(objective.metric)
            if value is None:
                value = ev.value_of(event, objective.metric)
            if value is not None:
                loss = objective.as_loss(value)
                if loss < trial.best_loss or trial.best is None:
                    self.rate(trial, event, loss)
        if event.checkpoint is not None:
            self.keep(trial, event.checkpoint, event.iteration, event.seconds, out)
        if event.waiting or self._scheduler.observes:
            is_measured = (loss is not None or not self._scheduler.needs_metric) and self.has_time(trial)
            if event.waiting:
                verdicts.answer(self, trial, event, is_measured, out)
            elif is_measured:
                self.ask("observe", trial, trial.last_result)

    def _begin_attempt(self, trial: Trial, event: ev.Reported) -> None:
        """The first report of an attempt."""
        if trial.is_relaunched:
            self.go_back(trial)
        if trial.last is not None and trial.last.iteration == trial.iteration:
            trial.previous_s = trial.last.seconds
        trial.began = (trial.iteration, trial.previous_s, event.began)
        trial.last_config = trial.config
        self._has_nested = self._has_nested or dict in map(type, event.metrics.values())

    def _on_saved(self, event: ev.Saved, out: Commands) -> None:
        trial = self.trials[event.trial]
        if trial.status is RUNNING and event.attempt == trial.attempt:
            seconds = trial.last.seconds if trial.last is not None else 0.0
            self.keep(trial, event.checkpoint, event.iteration, seconds, out, event.metrics)

    def _on_ended(self, event: ev.Ended, out: Commands) -> None:
        trial = self.trials[event.trial]
        if trial.status is RUNNING and event.attempt in (0, trial.attempt):
            ends.end_attempt(self, trial, event, out)

    def _on_decided(self, event: ev.Decided, out: Commands) -> None:
        """A decision that was made before, and that the scheduler has not made again: it is carried out now."""
        trial = self.trials[event.trial]
        if event.do == "stop":
            stop = Stop(event.why, not event.complete)
            if is_waiting(trial):
                self.withdraw(trial)
                trial.verdict = stop
                ends.end(self, trial, Change.STOP, event.why, out)
            elif trial.status is RUNNING:
                trial.verdict = stop
        elif event.do == "exploit" and event.source is not None and event.config is not None:
            exploits.copy_as_recorded(self, trial, event, out)
        elif trial.status is RUNNING:
            trial.verdict = Pause(event.why) if event.do == "pause" else None
        ends.finish_if_idle(self, out)

    def _on_stop_requested(self, event: ev.StopRequested, out: Commands) -> None:
        if event.trial < 0:
            if self.stopping is None:
                ends.begin_stop(self, event.why, out, event.resumable)
            ends.finish_if_idle(self, out)
            return
        trial = self.trials[event.trial]
        if trial.status is RUNNING:
            trial.verdict = Stop(event.why, early=False)
            out.append(ev.Revoke(trial.index, event.why))
        elif is_waiting(trial):
            self.withdraw(trial)
            ends.end(self, trial, Change.STOP, event.why, out)
            ends.finish_if_idle(self, out)

    def _on_interrupted(self, event: ev.Interrupted, out: Commands) -> None:
        ends.begin_stop(self, event.why, out, resumable=True)
        ends.finish_if_idle(self, out)

    def _on_restored(self, event: ev.Restored, out: Commands) -> None:
        ends.take_up(self, event, out)

    def _on_lost(self, event: ev.Lost, out: Commands) -> None:
        exploits.lose(self, self.trials[event.trial], event.checkpoint, out)

    def _on_finished(self, event: ev.Finished, out: Commands) -> None:
        self.finished = event.why
