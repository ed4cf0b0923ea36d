"""Ends: of an attempt, of a trial, of the run; and how a new driver takes a run up again."""

from __future__ import annotations

from tune_core.core import events as ev
from tune_core.core.stop_conditions import end_reached
from tune_core.core.trial import ERROR, PAUSED, PENDING, TERMINATED, Change, Trial
from tune_core.engine import exploits
from tune_core.engine.recorded_decisions import given_up
from tune_core.engine.state import Commands, RunState, is_being_paused, is_waiting
from tune_core.schedulers.base import Pause, Stop

CLEAN = ("completed", "stopped", "paused", "revoked")
"""How a worker lets go of a trial without an error."""


# --- of an attempt ----------------------------------------------------------------------------------------------------


def end_attempt(state: RunState, trial: Trial, event: ev.Ended, out: Commands) -> None:
    """A worker has released a trial, or is gone."""
    del state.running[trial.index]
    trial.ended_at = event.at
    how = event.how
    if how in CLEAN:
        _release(state, trial, event, out)
    elif how in ("lost", "returned"):
        _lost_worker(state, trial, event, out)
    elif how == "unloadable":
        _unloadable(state, trial, event, out)
    elif how == "invalid" or (how == "unmeasured" and state.best is None):
        state.fatal = event.error
        state.is_entangled = True
        fail(state, trial, event.error, out)
        begin_stop(state, event.why or "the objective cannot run", out, resumable=True)
    elif how == "unmeasured":
        fail(state, trial, event.error, out)
    else:
        _failed(state, trial, event, out)
    finish_if_idle(state, out)


def _release(state: RunState, trial: Trial, event: ev.Ended, out: Commands) -> None:
    """A worker released a trial without an error."""
    if event.how == "paused" and state.stopping is not None and not state.interrupted:
        end(state, trial, Change.STOP, state.stopping, out)  # the run began to end while the verdict was under way
    elif trial.exploit is not None and event.how == "paused" and not isinstance(trial.verdict, Stop):
        exploits.become_copy(state, trial, out)
    elif event.how == "paused" and isinstance(trial.verdict, Pause):
        state.put_aside(trial)
    elif event.how != "revoked" or isinstance(trial.verdict, Stop) or not state.interrupted:
        verdict = trial.verdict.reason if isinstance(trial.verdict, Stop) else ""
        why = (verdict if event.how == "paused" else "") or event.why or verdict  # stopped while it was paused
        end(state, trial, Change.COMPLETE if event.how == "completed" else Change.STOP, why, out)
    else:
        settle_orphan(state, trial, out)


def _lost_worker(state: RunState, trial: Trial, event: ev.Ended, out: Commands) -> None:
    """Not the trial's fault: it is tried again, and that counts apart."""
    trial.worker_losses += event.how == "lost"
    if state.stopping is not None and not state.interrupted:
        end(state, trial, Change.STOP, state.stopping, out)
    elif trial.worker_losses <= state.rules.max_losses:
        settle_orphan(state, trial, out)
    else:
        fail(state, trial, f"its worker was lost {trial.worker_losses} times. {event.error}".strip(), out)


def _unloadable(state: RunState, trial: Trial, event: ev.Ended, out: Commands) -> None:
    """Its checkpoint could not be read: it goes on from the one before."""
    start = trial.start_from
    trial.error = event.error
    if start is None:
        _failed(state, trial, event, out)
        return
    exploits.lose(state, state.trials[start.trial], start.name, out)
    settle_orphan(state, trial, out)


def _failed(state: RunState, trial: Trial, event: ev.Ended, out: Commands) -> None:
    """The trial's own failure: it is tried again while retries last."""
    trial.failures += 1
    retries = state.rules.max_failures
    goes_on = state.stopping is None or state.interrupted  # an interrupted run can be restored
    if goes_on and (retries < 0 or trial.failures <= retries):
        trial.error = event.error
        reported = trial.last is not None and trial.last.attempt == trial.attempt
        trial.barren = 0 if reported or trial.start_from is None else trial.barren + 1
        settle_orphan(state, trial, out)
        return
    fail(state, trial, event.error or event.why, out)
    if state.rules.fail_fast and state.stopping is None:
        state.is_entangled = True
        begin_stop(state, f"trial {trial.trial_id} failed and fail_fast is set", out, resumable=True)


def settle_orphan(state: RunState, trial: Trial, out: Commands) -> None:
    """A worker or driver is gone that had this trial: carry out the verdict on it, or run it again."""
    if isinstance(trial.verdict, Stop):
        end(state, trial, Change.STOP, trial.verdict.reason, out)
    elif trial.exploit is not None:
        exploits.become_copy(state, trial, out)
    elif isinstance(trial.verdict, Pause):
        state.put_aside(trial)
    elif (reached := _end_reached(state, trial)) is not None:
        end(state, trial, Change.COMPLETE if reached[0] == "completed" else Change.STOP, reached[1], out)
    else:
        state.requeue(trial)
        state.returned[trial.index] = None


def _end_reached(state: RunState, trial: Trial) -> tuple[str, str] | None:
    """How a trial was about to end with a result that would not come again: it has a checkpoint."""
    last: ev.Reported | None = trial.last
    start = trial.start_from
    if last is None or start is None or trial.start_pinned or start.iteration != last.iteration:
        return None
    return end_reached(last, state.rules.stop)


# --- of a trial -------------------------------------------------------------------------------------------------------


def end(state: RunState, trial: Trial, change: Change, why: str, out: Commands) -> None:
    """A trial ends, well or badly; whoever learns from it is told."""
    stopped_early = trial.verdict.early if isinstance(trial.verdict, Stop) else trial.status is PAUSED
    trial.cut_short = change is Change.STOP and stopped_early
    pruned = trial.cut_short and state.stopping is None
    state.change(trial, change)
    trial.reason = why
    if trial.copy_from is not None:
        state.unpin(trial.copy_from, out)
    trial.verdict = trial.exploit = trial.copy_from = None
    if trial.start_pinned:
        state.forget_start(trial, out)
    if "on_end" in state.acts_in:
        state.ask("on_end", trial, trial.status)
    state.tell_searcher(trial, pruned, out)


def fail(state: RunState, trial: Trial, error: str, out: Commands) -> None:
    """A trial fails for good."""
    trial.error = error
    end(state, trial, Change.FAIL, ev.error_line(error), out)


def drop(state: RunState, trial: Trial, stop: Stop, out: Commands) -> None:
    """End a waiting trial by a decision."""
    out.append(ev.Record(stop_decided(trial.index, stop)))
    state.withdraw(trial)
    trial.verdict = stop
    end(state, trial, Change.STOP, stop.reason, out)


def stop_decided(index: int, stop: Stop) -> ev.Decided:
    """The event that records a stop."""
    return ev.Decided(index, "stop", stop.reason, complete=not stop.early)


# --- of the run -------------------------------------------------------------------------------------------------------


def begin_stop(state: RunState, why: str, out: Commands, resumable: bool = False) -> None:
    """End the whole run: waiting trials at once, running ones at their next report.

    With ``resumable`` the cause is a failure of one trial: the others are cut off, and stay unfinished.
    """
    state.stopping = why
    if resumable:
        state.interrupted = True
        out.extend(ev.Revoke(i, why) for i in state.running)
        return
    _end_waiting(state, why, out)
    for trial in state.running.values():
        if trial.verdict is None:
            trial.verdict = Stop(why)
            out.append(ev.Revoke(trial.index, why))


def _end_waiting(state: RunState, why: str, out: Commands) -> None:
    for trial in [*map(state.trials.__getitem__, state.pending), *state.paused.values()]:
        state.withdraw(trial)
        end(state, trial, Change.STOP, why, out)


def finish_if_idle(state: RunState, out: Commands) -> None:
    """Carry out what the scheduler says of paused trials, and see whether the run is over."""
    if state.stopping is not None and not state.interrupted and (state.pending or state.paused):
        _end_waiting(state, state.stopping, out)  # put back after the run began to stop: nothing will run it
    if state.stopping is None and "pending_exploits" in state.acts_in:
        exploits.carry_out_pending(state, out)
    for index, why in state.ask("discard") if "discard" in state.acts_in else ():
        trial = state.trials[index]
        stop = why if isinstance(why, Stop) else Stop(why)
        if trial.status is PAUSED:
            drop(state, trial, stop, out)
        elif is_being_paused(trial):
            out.append(ev.Record(stop_decided(index, stop)))
            trial.verdict = stop
    if state.finished is not None or state.running:
        return
    if state.interrupted:
        _finish(state, state.stopping or "interrupted", out)
        return
    if state.pending or not (state.exhausted or state.stopping is not None):
        return
    if state.paused and state.stopping is None and state.ask("choose", state._waiting) is None:
        if not state._stalled:
            state._stalled = True
            state.ask("on_stall", state.exhausted)
            finish_if_idle(state, out)
            return
        for trial in list(state.paused.values()):
            drop(state, trial, Stop(given_up(trial)), out)
    if not state.paused:
        _finish(state, state.stopping or "all trials have ended", out)


def _finish(state: RunState, why: str, out: Commands) -> None:
    state.finished = why
    out.append(ev.Finish(why, state.fatal))


# --- taken up again ---------------------------------------------------------------------------------------------------


def take_up(state: RunState, event: ev.Restored, out: Commands) -> None:
    """A new driver took over: what ran is settled, what failed is tried again where that was asked."""
    state.finished = state.stopping = None
    state.interrupted = False
    state.fatal = ""
    if event.settings is not None:
        state.rules = state.rules.changed(event.settings)
        state.retention.change(state.rules.checkpoints)
    for trial in list(state.running.values()):
        del state.running[trial.index]
        settle_orphan(state, trial, out)
    if event.finished != "skip" or event.restart_unfinished:
        _go_on_further(state, event, out)
    for trial in state.trials:
        if trial.status is ERROR and (event.errored or event.restart_errored):
            if event.restart_errored:
                state.forget_start(trial, out)
            trial.failures = trial.worker_losses = 0
            trial.error = None
            state.requeue(trial, front=False)
        elif is_waiting(trial) and not event.unfinished:
            state.withdraw(trial)
            end(state, trial, Change.STOP, "not resumed (resume_unfinished=False)", out)
    if event.num_samples is not None:
        state.exhausted = False
    finish_if_idle(state, out)


def _go_on_further(state: RunState, event: ev.Restored, out: Commands) -> None:
    """What only a ``ResumeConfig`` can ask for: finished trials go on, unfinished ones start over."""
    for trial in state.trials:
        if trial.status is PAUSED and event.restart_unfinished:
            del state.paused[trial.index]
            state.forget_start(trial, out)
            state.requeue(trial, front=False)
        elif trial.status is PENDING and event.restart_unfinished:
            state.forget_start(trial, out)
            trial.iteration = 0
            state.ask("on_requeue", trial)
        elif trial.status is TERMINATED and event.finished != "skip":
            if event.finished == "restart":
                state.forget_start(trial, out)
            state.requeue(trial, front=False)
