"""Verdicts: the answer to a worker that waits at the end of its lease."""

from __future__ import annotations

from tune_core.core import events as ev
from tune_core.core.trial import Trial
from tune_core.engine import ends, exploits
from tune_core.engine.state import Commands, RunState
from tune_core.errors import UserCodeError
from tune_core.schedulers.base import Continue, Exploit, Pause, Stop


def answer(state: RunState, trial: Trial, event: ev.Reported, is_measured: bool, out: Commands) -> None:
    """Say how a waiting trial goes on. A result without the metric moves no scheduler: the lease stays as it is."""
    if state.stopping is not None:
        how = "revoked" if state.interrupted else "stopped"
        out.append(ev.Halt(trial.index, how, state.stopping))
        return
    if isinstance(trial.verdict, Stop):  # a stop request came with this result
        out.append(ev.Record(ends.stop_decided(trial.index, trial.verdict)))
        out.append(ev.Halt(trial.index, "stopped", trial.verdict.reason))
        return
    if event.waiting == ev.WAITS_FOR_DRIVER or not is_measured:
        if state.scheduler.observes and is_measured:
            state.ask("observe", trial, trial.last_result)
        out.append(ev.Extend(trial.index, None))
        return
    _decide(state, trial, out)
    ends.finish_if_idle(state, out)


def _decide(state: RunState, trial: Trial, out: Commands) -> None:
    decision = state.ask("on_result", trial, trial.last_result)
    if isinstance(decision, Continue):
        trial.verdict = None
        if decision.reason:
            out.append(ev.Record(ev.Decided(trial.index, "continue", decision.reason, decision.until)))
        out.append(ev.Extend(trial.index, ev.Lease(decision.until, decision.steps, decision.advice)))
    elif isinstance(decision, Stop):
        trial.verdict = decision
        out.append(ev.Record(ends.stop_decided(trial.index, decision)))
        out.append(ev.Halt(trial.index, "stopped", decision.reason))
    elif isinstance(decision, Pause):
        _pause(state, trial, decision, out)
    elif isinstance(decision, Exploit):
        exploits.begin(state, trial, decision, out)
    else:
        raise UserCodeError(
            f"{type(state.scheduler).__name__}.on_result",
            f"returned {decision!r}",
            "it must return Continue, Stop, Pause or Exploit",
            "Return one of the decisions of tune_core.schedulers.",
        )


def _pause(state: RunState, trial: Trial, decision: Pause, out: Commands) -> None:
    if trial.start_from is None:
        if state.scheduler.goes_on_without_checkpoint:
            exploits.go_on_unsaved(state, trial, trial.index, "would be paused, and has no checkpoint yet", out)
            return
        if not state.scheduler.restarts_without_checkpoint:
            _refuse_pause(state, trial, out)
            return
        if state.scheduler.warns_of_restarts:
            _warn_of_restart(state, trial, out)
    trial.verdict = decision
    out.append(ev.Record(ev.Decided(trial.index, "pause", decision.reason)))
    out.append(ev.Halt(trial.index, "paused", decision.reason))


def _warn_of_restart(state: RunState, trial: Trial, out: Commands) -> None:
    name = state.scheduler_name
    state.warn_once(
        f"{name} pauses trials, and trial {trial.trial_id} has saved no checkpoint to go on from: trials that save "
        "none start anew when their turn comes, and are trained again up to where they were. Report a checkpoint "
        f"at least as often as {name} decides: tune.report(metrics, checkpoint=...).",
        out,
    )


def _refuse_pause(state: RunState, trial: Trial, out: Commands) -> None:
    """The scheduler needs checkpoints, and there are none: the run ends with an error."""
    name = state.scheduler_name
    state.fatal = (
        f"{name} wants to pause trial {trial.trial_id}, which has saved no checkpoint to go on from.\n"
        f"Report one at least as often as {name} decides: tune.report(metrics, checkpoint=...), "
        "or give a class trainable save_checkpoint and load_checkpoint."
    )
    why = f"{name} cannot pause trials that save no checkpoint"
    trial.verdict = Stop(state.fatal)
    out.append(ev.Record(ends.stop_decided(trial.index, trial.verdict)))
    out.append(ev.Record(ev.StopRequested(-1, why, resumable=True)))
    out.append(ev.Halt(trial.index, "stopped", state.fatal))
    ends.begin_stop(state, why, out, resumable=True)
