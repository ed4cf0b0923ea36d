"""The controller: a pure state machine that turns events into commands.

A run in prose. Each *suggestion* becomes a pending trial. When the loop finds room it *launches* the trial that
:meth:`Controller.next_trial_to_launch` names, under a lease from the scheduler. Under its lease the trial *reports*
freely; at
the lease's end it waits, the scheduler decides, and the answer is to extend the lease, to halt the trial for good, to
put it aside, or to go on as a copy of another (an exploit: the worker lets go, and the trial is pending again with
the other's checkpoint). When a worker lets go the trial has *ended*: well, badly (it is tried again while retries
last) or paused. Paused trials run again when the scheduler chooses them. The run is finished when no trial runs or
waits and none will come; a *stop request* or an *interruption* gets there sooner.

There is no clock, no I/O, no thread and no randomness here: the same events give the same state and the same commands,
which is how a killed run is restored.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, ValuesView
from dataclasses import replace
from typing import Any

from tune_core.core import events as ev
from tune_core.core.automatic import result_of, totals_in
from tune_core.core.objective import Objective
from tune_core.core.trial import ERROR, PAUSED, PENDING, RUNNING, TERMINATED, Change, Trial
from tune_core.engine.checkpoint_retention import RetainedCheckpoint, Retention
from tune_core.engine.recorded_decisions import exploit_of, given_up
from tune_core.engine.rules import Rules
from tune_core.errors import UserCodeError
from tune_core.schedulers.base import Continue, Exploit, Pause, Scheduler, Stop


def _stop_decided(index: int, stop: Stop) -> ev.Decided:
    return ev.Decided(index, "stop", stop.reason, complete=not stop.early)


def _is_being_paused(trial: Trial) -> bool:
    """Whether its worker was told to put it aside, and has not answered yet."""
    return trial.status is RUNNING and isinstance(trial.verdict, Pause) and trial.exploit is None


class _WaitingTrials:
    """The waiting trials, as a scheduler sees them."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    @property
    def pending(self) -> Iterable[Trial]:
        return (self._controller.trials[i] for i in self._controller.pending)

    @property
    def paused(self) -> ValuesView[Trial]:
        return self._controller.paused.values()

    def is_paused(self, index: int) -> bool:
        return index in self._controller.paused

    @property
    def is_last_call(self) -> bool:
        """Whether paused trials end now if none is chosen."""
        return self._controller._stalled


class Controller:
    """Keeps the trials and decides. Feed it with :meth:`apply`; carry out the commands that it returns."""

    def __init__(self, rules: Rules, scheduler: Scheduler) -> None:
        self.rules = rules
        self.scheduler = scheduler
        self.objective = Objective(rules.metric, rules.mode or "max") if rules.metric else None
        self.retention = Retention(rules.checkpoints)
        self.trials: list[Trial] = []
        self.pending: deque[int] = deque()
        self.paused: dict[int, Trial] = {}
        self.running: dict[int, Trial] = {}
        self.counts: Counter[str] = Counter()
        self.best: Trial | None = None
        self.exhausted = False
        self.stopping: str | None = None  # why the run ends early
        self.interrupted = False  # unfinished trials stay resumable
        self.finished: str | None = None
        self.fatal: str = ""  # an error that ends the run
        self._stalled = False
        self._waiting = _WaitingTrials(self)
        self._handlers: dict[type, Callable[[Any, list[ev.Command]], None]] = {
            ev.Suggested: self._on_suggested,
            ev.Exhausted: self._on_exhausted,
            ev.Launched: self._on_launched,
            ev.Reported: self._on_reported,
            ev.Saved: self._on_saved,
            ev.Ended: self._on_ended,
            ev.Decided: self._on_decided,
            ev.StopRequested: self._on_stop_requested,
            ev.Interrupted: self._on_interrupted,
            ev.Restored: self._on_restored,
            ev.Refused: self._on_refused,
            ev.Stalled: self._on_stalled,
            ev.Finished: self._on_finished,
            ev.Header: self._ignore,
            ev.Noted: self._ignore,
        }

    # --- questions ----------------------------------------------------------------------------------------------------

    def next_trial_to_launch(self) -> Trial | None:
        """The trial that should run next, if the limit on concurrent trials allows one. Changes nothing."""
        if self.stopping is not None or self.finished is not None or not (self.pending or self.paused):
            return None
        if self.rules.max_concurrent is not None and len(self.running) >= self.rules.max_concurrent:
            return None
        index: int | None = self._ask("choose", self._waiting)
        if index is None:
            return self.trials[self.pending[0]] if self.pending else None
        if isinstance(index, int) and 0 <= index < len(self.trials) and self.trials[index].status in (PENDING, PAUSED):
            return self.trials[index]
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

    def apply(self, event: ev.Event) -> list[ev.Command]:
        """Take in one event; the commands that follow from it, in order."""
        commands: list[ev.Command] = []
        self._handlers[type(event)](event, commands)
        return commands

    def _ignore(self, event: ev.Event, out: list[ev.Command]) -> None:
        pass

    def _on_suggested(self, event: ev.Suggested, out: list[ev.Command]) -> None:
        trial = Trial(event.trial, event.config, event.resources)
        trial.name, trial.folder = event.name, event.folder
        self.trials.append(trial)
        self.counts[PENDING] += 1
        self.pending.append(event.trial)
        self._stalled = False
        self._ask("on_add", trial)

    def _on_exhausted(self, event: ev.Exhausted, out: list[ev.Command]) -> None:
        self.exhausted = True
        self._ask("on_stall", True)
        self._finish_if_idle(out)

    def _on_refused(self, event: ev.Refused, out: list[ev.Command]) -> None:
        trial = self.trials[event.trial]
        if trial.status is PENDING:
            self._withdraw(trial)
            self._fail(trial, event.why, out)
            self._finish_if_idle(out)

    def _on_stalled(self, event: ev.Stalled, out: list[ev.Command]) -> None:
        self._ask("on_stall", self.exhausted)
        self._finish_if_idle(out)

    def _on_launched(self, event: ev.Launched, out: list[ev.Command]) -> None:
        trial = self.trials[event.trial]
        if trial.status is PAUSED:
            del self.paused[trial.index]
        elif self.pending[0] == trial.index:
            self.pending.popleft()
        else:
            self.pending.remove(trial.index)
        self._change(trial, Change.LAUNCH)
        self.running[trial.index] = trial
        self._stalled = False
        trial.attempt = event.attempt
        trial.worker = event.worker
        trial.started_at = event.at
        trial.reason = trial.verdict = None
        start: RetainedCheckpoint | None = trial.start_from
        trial.iteration, trial.previous_s = (start.iteration, start.seconds) if start else (0, 0.0)
        out.append(
            ev.Launch(
                trial.index,
                trial.config,
                self._ask("lease", trial),
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

    def _on_reported(self, event: ev.Reported, out: list[ev.Command]) -> None:
        trial = self.trials[event.trial]
        if trial.status is not RUNNING or event.iteration <= trial.iteration or event.attempt != trial.attempt:
            return  # late, or told twice
        if trial.last is not None and trial.last.iteration == trial.iteration:
            trial.previous_s = trial.last.seconds
        if trial.last is None or trial.last.attempt != event.attempt:
            trial.began = (trial.iteration, trial.previous_s, event.began)
        trial.iteration = event.iteration
        trial.last = event
        if self.objective is not None:
            loss = self.objective.loss(event.metrics)
            if loss < trial.best_loss or trial.best is None:
                trial.best, trial.best_loss = event, loss
                if self.best is None or loss < self.best.best_loss or self.best is trial:
                    self.best = trial
        if event.checkpoint is not None:
            self._keep(trial, event.checkpoint, event.iteration, event.seconds, event.metrics, out)
        if event.waiting:
            self._answer(trial, event, out)
        elif self.scheduler.observes:
            self._ask("observe", trial, result_of(event))

    def _on_saved(self, event: ev.Saved, out: list[ev.Command]) -> None:
        trial = self.trials[event.trial]
        if trial.status is RUNNING and event.attempt == trial.attempt:
            last = trial.last
            seconds, metrics = (last.seconds, last.metrics) if last else (0.0, None)
            if event.metrics is not None:
                metrics = event.metrics
            self._keep(trial, event.checkpoint, event.iteration, seconds, metrics, out)

    def _on_ended(self, event: ev.Ended, out: list[ev.Command]) -> None:
        trial = self.trials[event.trial]
        if trial.status is not RUNNING or event.attempt not in (0, trial.attempt):
            return
        del self.running[trial.index]
        trial.ended_at = event.at
        how = event.how
        if how in ("completed", "stopped", "paused", "revoked"):
            self._on_clean_release(trial, event, out)
        elif how in ("lost", "returned"):
            trial.worker_losses += how == "lost"
            if self.stopping is not None and not self.interrupted:
                self._end(trial, Change.STOP, self.stopping, out)
            elif trial.worker_losses <= self.rules.max_losses:
                self._settle_orphan(trial, out)
            else:
                self._fail(trial, f"its worker was lost {trial.worker_losses} times. {event.error}".strip(), out)
        elif how == "invalid":
            self.fatal = event.error
            self._fail(trial, event.error, out)
            self._begin_stop(event.why or "the objective cannot run", out)
        else:
            trial.failures += 1
            retries = self.rules.max_failures
            goes_on = self.stopping is None or self.interrupted  # an interrupted run can be restored
            if goes_on and (retries < 0 or trial.failures <= retries):
                trial.error = event.error
                self._settle_orphan(trial, out)
            else:
                self._fail(trial, event.error or event.why, out)
                if self.rules.fail_fast and self.stopping is None:
                    self._begin_stop(f"trial {trial.trial_id} failed and fail_fast is set", out)
        self._finish_if_idle(out)

    def _on_clean_release(self, trial: Trial, event: ev.Ended, out: list[ev.Command]) -> None:
        """A worker let go of a trial without an error."""
        if event.how == "paused" and self.stopping is not None and not self.interrupted:
            self._end(trial, Change.STOP, self.stopping, out)  # the run began to end while the verdict was under way
        elif trial.exploit is not None and event.how == "paused" and not isinstance(trial.verdict, Stop):
            self._become_copy(trial, out)
        elif event.how == "paused" and isinstance(trial.verdict, Pause):
            self._put_aside(trial)
        elif event.how != "revoked" or isinstance(trial.verdict, Stop) or not self.interrupted:
            verdict = trial.verdict.reason if isinstance(trial.verdict, Stop) else ""
            why = (verdict if event.how == "paused" else "") or event.why or verdict  # stopped while it was put aside
            self._end(trial, Change.COMPLETE if event.how == "completed" else Change.STOP, why, out)
        else:
            self._settle_orphan(trial, out)

    def _on_decided(self, event: ev.Decided, out: list[ev.Command]) -> None:
        """A decision that was made before, and that the scheduler has not made again: it is carried out now."""
        trial = self.trials[event.trial]
        if event.do == "stop":
            stop = Stop(event.why, not event.complete)
            if trial.status in (PENDING, PAUSED):
                self._withdraw(trial)
                trial.verdict = stop
                self._end(trial, Change.STOP, event.why, out)
            elif trial.status is RUNNING:
                trial.verdict = stop
        elif event.do == "exploit" and event.source is not None and event.config is not None:
            self._copy_as_decided(trial, event, out)
        elif trial.status is RUNNING:
            trial.verdict = Pause(event.why) if event.do == "pause" else None
        self._finish_if_idle(out)

    def _copy_as_decided(self, trial: Trial, event: ev.Decided, out: list[ev.Command]) -> None:
        exploit = exploit_of(event)
        kept = self._find_checkpoint(exploit)
        if kept is None:
            return
        if trial.status is PAUSED:
            del self.paused[trial.index]
            self._prepare_copy(trial, exploit, kept, out)
            self._become_copy(trial, out)
        elif trial.status is RUNNING:
            before = trial.copy_from
            self._prepare_copy(trial, exploit, kept, out)
            if before is not None:
                self._unpin(before, out)
            if not isinstance(trial.verdict, Pause):
                trial.verdict = Pause(event.why)

    def _on_stop_requested(self, event: ev.StopRequested, out: list[ev.Command]) -> None:
        if event.trial < 0:
            if self.stopping is None:
                self._begin_stop(event.why, out)
            self._finish_if_idle(out)
            return
        trial = self.trials[event.trial]
        if trial.status is RUNNING:
            trial.verdict = Stop(event.why, early=False)
            out.append(ev.Revoke(trial.index, event.why))
        elif trial.status in (PENDING, PAUSED):
            self._withdraw(trial)
            self._end(trial, Change.STOP, event.why, out)
            self._finish_if_idle(out)

    def _on_interrupted(self, event: ev.Interrupted, out: list[ev.Command]) -> None:
        self.interrupted = True
        self.stopping = event.why
        out.extend(ev.Revoke(i, event.why) for i in self.running)
        self._finish_if_idle(out)

    def _on_restored(self, event: ev.Restored, out: list[ev.Command]) -> None:
        self.finished = self.stopping = None
        self.interrupted = False
        self.fatal = ""
        if event.settings is not None:
            self.rules = self.rules.changed(event.settings)
            self.retention.change(self.rules.checkpoints)
        for trial in list(self.running.values()):
            del self.running[trial.index]
            self._settle_orphan(trial, out)
        if event.finished != "skip" or event.restart_unfinished:
            self._go_on_further(event, out)
        for trial in self.trials:
            if trial.status is ERROR and (event.errored or event.restart_errored):
                if event.restart_errored:
                    self._forget_start(trial, out)
                trial.failures = trial.worker_losses = 0
                trial.error = None
                self._requeue(trial, front=False)
            elif trial.status in (PENDING, PAUSED) and not event.unfinished:
                self._withdraw(trial)
                self._end(trial, Change.STOP, "not resumed (resume_unfinished=False)", out)
        if event.num_samples is not None:
            self.exhausted = False
        self._finish_if_idle(out)

    def _go_on_further(self, event: ev.Restored, out: list[ev.Command]) -> None:
        """What only a :class:`ResumeConfig` can ask for: finished trials go on, unfinished ones start over."""
        for trial in self.trials:
            if trial.status in (PENDING, PAUSED) and event.restart_unfinished:
                if trial.status is PAUSED:
                    del self.paused[trial.index]
                    self._forget_start(trial, out)
                    self._requeue(trial, front=False)
                else:
                    self._forget_start(trial, out)
                    trial.iteration = 0
                    self._ask("on_requeue", trial)
            elif trial.status is TERMINATED and event.finished != "skip":
                if event.finished == "restart":
                    self._forget_start(trial, out)
                self._requeue(trial, front=False)

    def _settle_orphan(self, trial: Trial, out: list[ev.Command]) -> None:
        """A worker or driver is gone that had this trial: carry out the verdict on it, or run it again."""
        if isinstance(trial.verdict, Stop):
            self._end(trial, Change.STOP, trial.verdict.reason, out)
        elif trial.exploit is not None:
            self._become_copy(trial, out)
        elif isinstance(trial.verdict, Pause):
            self._put_aside(trial)
        elif (end := self._end_reached(trial)) is not None:
            self._end(trial, Change.COMPLETE if end[0] == "completed" else Change.STOP, end[1], out)
        else:
            self._requeue(trial)

    def _end_reached(self, trial: Trial) -> tuple[str, str] | None:
        """How a trial was about to end with a result that would not come again: it has a checkpoint."""
        last: ev.Reported | None = trial.last
        start: RetainedCheckpoint | None = trial.start_from
        if last is None or start is None or trial.start_pinned or start.iteration != last.iteration:
            return None
        return ev.end_reached(last, self.rules.stop)

    def _on_finished(self, event: ev.Finished, out: list[ev.Command]) -> None:
        self.finished = event.why

    # --- decisions ----------------------------------------------------------------------------------------------------

    def _answer(self, trial: Trial, event: ev.Reported, out: list[ev.Command]) -> None:
        """A worker waits at the end of its lease."""
        if self.stopping is not None:
            out.append(ev.Halt(trial.index, "revoked" if self.interrupted else "stopped", self.stopping))
            return
        if isinstance(trial.verdict, Stop):  # a stop request came with this result
            out.append(ev.Record(_stop_decided(trial.index, trial.verdict)))
            out.append(ev.Halt(trial.index, "stopped", trial.verdict.reason))
            return
        if event.waiting == ev.WAITS_FOR_DRIVER:
            if self.scheduler.observes:
                self._ask("observe", trial, result_of(event))
            out.append(ev.Extend(trial.index, None))
            return
        decision = self._ask("on_result", trial, result_of(event))
        if isinstance(decision, Continue):
            trial.verdict = None
            if decision.reason:
                out.append(ev.Record(ev.Decided(trial.index, "continue", decision.reason, decision.until)))
            out.append(ev.Extend(trial.index, ev.Lease(decision.until, decision.steps)))
        elif isinstance(decision, Stop):
            trial.verdict = decision
            out.append(ev.Record(_stop_decided(trial.index, decision)))
            out.append(ev.Halt(trial.index, "stopped", decision.reason))
        elif isinstance(decision, Pause):
            self._pause(trial, decision, out)
        elif isinstance(decision, Exploit):
            self._begin_exploit(trial, decision, out)
        else:
            raise UserCodeError(
                f"{type(self.scheduler).__name__}.on_result",
                f"returned {decision!r}",
                "it must return Continue, Stop, Pause or Exploit",
                "Return one of the decisions of tune_core.schedulers.",
            )
        self._finish_if_idle(out)

    def _pause(self, trial: Trial, decision: Pause, out: list[ev.Command]) -> None:
        if trial.start_from is None and not self.scheduler.restarts_without_checkpoint:
            name = type(self.scheduler).__name__
            self.fatal = (
                f"{name} wants to pause trial {trial.trial_id}, which has saved no checkpoint to go on from.\n"
                f"Report one at least as often as {name} decides: tune.report(metrics, checkpoint=...), "
                "or give a class trainable save_checkpoint and load_checkpoint."
            )
            why = f"{name} cannot pause trials that save no checkpoint"
            trial.verdict = Stop(self.fatal)
            out.append(ev.Record(ev.Decided(trial.index, "stop", self.fatal)))
            out.append(ev.Record(ev.StopRequested(-1, why)))
            out.append(ev.Halt(trial.index, "stopped", self.fatal))
            self._begin_stop(why, out)
            return
        trial.verdict = decision
        out.append(ev.Record(ev.Decided(trial.index, "pause", decision.reason)))
        out.append(ev.Halt(trial.index, "paused", decision.reason))

    def _begin_exploit(self, trial: Trial, decision: Exploit, out: list[ev.Command]) -> None:
        kept = self._find_checkpoint(decision)
        if kept is None:
            why = f"would exploit trial {decision.source:05d}, which has no checkpoint yet"
            out.append(ev.Record(ev.Decided(trial.index, "continue", why)))
            out.append(ev.Extend(trial.index, self._ask("lease", trial)))
            return
        self._prepare_copy(trial, decision, kept, out)
        trial.verdict = Pause(decision.reason)
        out.append(ev.Halt(trial.index, "paused", decision.reason))

    def _prepare_copy(self, trial: Trial, decision: Exploit, kept: RetainedCheckpoint, out: list[ev.Command]) -> None:
        self.retention.pin(kept)
        trial.exploit, trial.copy_from = replace(decision, checkpoint=kept.name), kept
        why, source, config = decision.reason, decision.source, decision.config
        decided = ev.Decided(trial.index, "exploit", why, None, source, config, decision.resources, kept.name)
        out.append(ev.Record(decided))

    def _revise(self, out: list[ev.Command]) -> None:
        """Let paused trials become copies of others, where the scheduler says so now."""
        for index, exploit in self._ask("pending_exploits"):
            trial = self.trials[index]
            kept = self._find_checkpoint(exploit)
            if kept is not None and trial.status is PAUSED:
                del self.paused[index]
                self._prepare_copy(trial, exploit, kept, out)
                self._become_copy(trial, out)
            elif kept is not None and _is_being_paused(trial):
                self._prepare_copy(trial, exploit, kept, out)

    def _find_checkpoint(self, exploit: Exploit) -> RetainedCheckpoint | None:
        """The checkpoint that an exploit asks for: by name, or the state that the source has come to."""
        source = self.trials[exploit.source]
        start: RetainedCheckpoint | None = source.start_from
        if start is not None and exploit.checkpoint in (None, start.name):
            return start  # a copy that has saved nothing yet stands where it started from: at another's checkpoint
        checkpoints: list[RetainedCheckpoint] = source.checkpoints or []
        return next((k for k in reversed(checkpoints) if exploit.checkpoint in (None, k.name)), None)

    def _become_copy(self, trial: Trial, out: list[ev.Command]) -> None:
        exploit: Exploit = trial.exploit
        kept: RetainedCheckpoint = trial.copy_from
        trial.exploit = trial.copy_from = None
        self._forget_start(trial, out)
        trial.config = exploit.config
        if exploit.resources is not None:
            trial.resources = exploit.resources
        trial.start_from, trial.start_pinned = kept, True
        self._requeue(trial, follow=False)

    # --- changes ------------------------------------------------------------------------------------------------------

    def _change(self, trial: Trial, change: Change) -> None:
        self.counts[trial.status] -= 1
        trial.change(change)
        self.counts[trial.status] += 1

    def _keep(self, trial: Trial, name: str, iteration: int, seconds: float, metrics: Any, out: list[Any]) -> None:
        loss = self.retention.loss(metrics)
        kept = RetainedCheckpoint(trial.index, name, iteration, seconds, loss, totals_in(metrics))
        if trial.checkpoints is None:
            trial.checkpoints = []
        trial.checkpoints.append(kept)
        self._forget_start(trial, out)
        trial.start_from = kept
        self._drop_surplus(trial, out)

    def _drop_surplus(self, trial: Trial, out: list[ev.Command]) -> None:
        out.extend(
            ev.DropCheckpoint(k.trial, k.name) for k in self.retention.checkpoints_to_delete(trial.checkpoints or [])
        )

    def _forget_start(self, trial: Trial, out: list[ev.Command]) -> None:
        """Drop the reference to what the trial would start from."""
        start, pinned = trial.start_from, trial.start_pinned
        trial.start_from, trial.start_pinned = None, False
        if pinned:
            self._unpin(start, out)

    def _unpin(self, kept: RetainedCheckpoint, out: list[ev.Command]) -> None:
        self.retention.unpin(kept)
        self._drop_surplus(self.trials[kept.trial], out)

    def _put_aside(self, trial: Trial) -> None:
        self._change(trial, Change.PAUSE)
        trial.reason = trial.verdict.reason
        trial.worker = None
        self.paused[trial.index] = trial

    def _requeue(self, trial: Trial, front: bool = True, follow: bool = True) -> None:
        self._change(trial, Change.REQUEUE)
        trial.verdict = trial.worker = None
        trial.iteration = trial.start_from.iteration if trial.start_from else 0
        if front:
            self.pending.appendleft(trial.index)
        else:
            self.pending.append(trial.index)
        if follow:
            self._ask("on_requeue", trial)

    def _withdraw(self, trial: Trial) -> None:
        """Take a waiting trial out of the queue that it waits in."""
        if trial.status is PAUSED:
            del self.paused[trial.index]
        else:
            self.pending.remove(trial.index)

    def _end(self, trial: Trial, change: Change, why: str, out: list[ev.Command]) -> None:
        stopped_early = trial.verdict.early if isinstance(trial.verdict, Stop) else trial.status is PAUSED
        pruned = change is Change.STOP and self.stopping is None and stopped_early
        self._change(trial, change)
        trial.reason = why
        if trial.copy_from is not None:
            self._unpin(trial.copy_from, out)
        trial.verdict = trial.exploit = trial.copy_from = None
        if trial.start_pinned:
            self._forget_start(trial, out)
        self._ask("on_end", trial, trial.status)
        failed = trial.status is ERROR or trial.last is None
        if self.objective is not None and trial.best_loss == float("inf"):
            failed = True
        out.append(ev.TellComplete(trial.index, failed, pruned and not failed))

    def _fail(self, trial: Trial, error: str, out: list[ev.Command]) -> None:
        trial.error = error
        self._end(trial, Change.FAIL, ev.error_line(error), out)

    def _begin_stop(self, why: str, out: list[ev.Command]) -> None:
        """End the whole run: waiting trials at once, running ones at their next report."""
        self.stopping = why
        self._end_waiting(why, out)
        for trial in self.running.values():
            if trial.verdict is None:
                trial.verdict = Stop(why)
                out.append(ev.Revoke(trial.index, why))

    def _end_waiting(self, why: str, out: list[ev.Command]) -> None:
        for trial in [*map(self.trials.__getitem__, self.pending), *self.paused.values()]:
            self._withdraw(trial)
            self._end(trial, Change.STOP, why, out)

    def _finish_if_idle(self, out: list[ev.Command]) -> None:
        """Carry out what the scheduler says of paused trials, and see whether the run is over."""
        if self.stopping is not None and not self.interrupted and (self.pending or self.paused):
            self._end_waiting(self.stopping, out)  # put back after the run began to stop: nothing will run it
        if self.stopping is None:
            self._revise(out)
        for index, why in self._ask("discard"):
            trial = self.trials[index]
            stop = why if isinstance(why, Stop) else Stop(why)
            if trial.status is PAUSED:
                self._drop(trial, stop, out)
            elif _is_being_paused(trial):
                out.append(ev.Record(_stop_decided(index, stop)))
                trial.verdict = stop
        if self.finished is not None or self.running:
            return
        if self.interrupted:
            self._finish(self.stopping or "interrupted", out)
            return
        if self.pending or not (self.exhausted or self.stopping is not None):
            return
        if self.paused and self.stopping is None and self._ask("choose", self._waiting) is None:
            if not self._stalled:
                self._stalled = True
                self._ask("on_stall", self.exhausted)
                self._finish_if_idle(out)
                return
            for trial in list(self.paused.values()):
                self._drop(trial, Stop(given_up(trial)), out)
        if not self.paused:
            self._finish(self.stopping or "all trials have ended", out)

    def _drop(self, trial: Trial, stop: Stop, out: list[ev.Command]) -> None:
        """End a waiting trial by a decision."""
        out.append(ev.Record(_stop_decided(trial.index, stop)))
        self._withdraw(trial)
        trial.verdict = stop
        self._end(trial, Change.STOP, stop.reason, out)

    def _finish(self, why: str, out: list[ev.Command]) -> None:
        self.finished = why
        out.append(ev.Finish(why, self.fatal))

    def _ask(self, method: str, *args: Any) -> Any:
        """Call the scheduler; what it raises is said to be its."""
        try:
            return getattr(self.scheduler, method)(*args)
        except Exception as error:
            scheduler = getattr(self.scheduler, "followed", self.scheduler)
            raise UserCodeError(
                f"{type(scheduler).__name__}.{method}",
                f"raised {type(error).__name__}: {error}",
                "the scheduler is at fault, not the trial",
                "All results so far are kept: mend the scheduler and restore the run with Tuner.restore.",
            ) from error
