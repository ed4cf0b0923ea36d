"""The state of a run: its trials, the queues they wait in, and the changes that every part of the engine makes."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, ValuesView
from typing import Any

from tune_core.core import events as ev
from tune_core.core.automatic import totals_in
from tune_core.core.best_trial import best_of
from tune_core.core.objective import Objective, lookup
from tune_core.core.standing import NOTHING, Standing
from tune_core.core.time_attribute import OF_EVERY_RESULT, is_time
from tune_core.core.trial import ERROR, PAUSED, PENDING, RUNNING, Change, Trial
from tune_core.core.values import ResultDict
from tune_core.engine.checkpoint_retention import RetainedCheckpoint, Retention
from tune_core.engine.rules import Rules
from tune_core.errors import SearchSpaceError, UserCodeError
from tune_core.schedulers.base import Pause, Scheduler

Commands = list[ev.Command]
MOST_NOTES = 20
"""So many notes, and one more, are remembered."""


def note_line(event: ev.Noted) -> str:
    """A note as a line, with the trial that it is on."""
    return event.what if event.trial < 0 else f"trial {event.trial:05d}: {event.what}"


class WaitingTrials:
    """The waiting trials, as a scheduler sees them. Those that back off after a failure are left out."""

    def __init__(self, state: RunState) -> None:
        self._state = state

    @property
    def pending(self) -> Iterable[Trial]:
        held = self._state.held
        return (self._state.trials[i] for i in self._state.pending if i not in held)

    @property
    def paused(self) -> ValuesView[Trial]:
        return self._state.paused.values()

    def is_paused(self, index: int) -> bool:
        return index in self._state.paused

    @property
    def is_last_call(self) -> bool:
        """Whether paused trials end now if none is chosen."""
        return self._state._stalled


class RunState:
    """All that is known of a run, and the elementary changes of it."""

    def __init__(self, rules: Rules, scheduler: Scheduler) -> None:
        #: The parts of the configuration that the events are judged by.
        self.rules = rules
        #: Which of the methods that do nothing by themselves the scheduler has made something of.
        self.acts_in: frozenset[str]
        self.scheduler = scheduler
        #: What makes one result better than another; None without a metric.
        self.objective = Objective(rules.metric, rules.mode or "max") if rules.metric else None
        #: Which checkpoints may be deleted.
        self.retention = Retention(rules.checkpoints)
        #: All trials in the order of suggestion.
        self.trials: list[Trial] = []
        #: Indices of the trials that wait to be launched, the next one first.
        self.pending: deque[int] = deque()
        #: Paused trials, by index, those that have waited longest first.
        self.paused: dict[int, Trial] = {}
        #: Trials that occupy a worker, by index.
        self.running: dict[int, Trial] = {}
        #: How many trials are in each status.
        self.counts: Counter[str] = Counter()
        #: The trial with the best result that counts.
        self.best: Trial | None = None
        #: Whether no further configuration will be suggested.
        self.exhausted = False
        #: Why the run ends early; None while it does not.
        self.stopping: str | None = None
        #: Whether unfinished trials stay resumable: the user, or the failure of one trial, ended the run.
        self.interrupted = False
        #: Why the run is over; None while it goes on.
        self.finished: str | None = None
        #: An error that ended the run, for the user.
        self.fatal: str = ""
        #: Pending trials that the loop holds back for a while after a failure. No event: it knows the clock.
        self.held: set[int] = set()
        #: Pending trials whose worker failed or was lost in the middle of their turn, which goes on: they run before
        #: all others, as they would have run if nothing had happened.
        self.returned: dict[int, None] = {}
        #: Whether what became of a trial may follow from what another one did: by a copy, or a failure that ended all.
        self.is_entangled = False
        #: The first notes, on the run and on single trials.
        self.notes: list[str] = []
        self._stalled = False
        self._has_warned = False
        self._waiting = WaitingTrials(self)

    @property
    def scheduler(self) -> Scheduler:
        """Whom to ask for decisions."""
        return self._scheduler

    @scheduler.setter
    def scheduler(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        acting = getattr(scheduler, "followed", scheduler)  # one that is shown again what it did acts where it did
        self.acts_in = frozenset(method for method in _OPTIONAL if _acts_in(acting, method))

    def ask(self, method: str, *args: object) -> Any:
        """Call the scheduler; an exception becomes an error that names it."""
        try:
            return getattr(self._scheduler, method)(*args)
        except (UserCodeError, SearchSpaceError):  # it says whose it is already
            raise
        except Exception as error:
            scheduler = getattr(self.scheduler, "followed", self.scheduler)
            raise UserCodeError(
                f"{type(scheduler).__name__}.{method}",
                f"raised {type(error).__name__}: {error}",
                "the scheduler is at fault, not the trial",
                "All results so far are kept: mend the scheduler and restore the run with Tuner.restore.",
            ) from error

    @property
    def scheduler_name(self) -> str:
        """The class of the scheduler that the user gave."""
        scheduler: Any = getattr(self.scheduler, "followed", self.scheduler)
        return type(getattr(scheduler, "scheduler", scheduler)).__name__

    def warn_once(self, text: str, out: Commands) -> None:
        """Tell the user what trials without checkpoints cost; a run says it once."""
        if not self._has_warned:
            self._has_warned = True
            out.append(ev.Warn(text))

    @property
    def best_known(self) -> Trial | None:
        """The trial to name as the best: of a run with constraints, among those that break them least."""
        return best_of(self.trials, self.rules.constraints) if self.rules.constraints else self.best

    # --- status and queues --------------------------------------------------------------------------------------------

    def change(self, trial: Trial, change: Change) -> None:
        """Change a trial's status as the table says."""
        self.counts[trial.status] -= 1
        trial.change(change)
        self.counts[trial.status] += 1
        if self.returned and trial.status is not PENDING:
            self.returned.pop(trial.index, None)

    def put_aside(self, trial: Trial) -> None:
        """Pause a trial that its worker has released."""
        self.change(trial, Change.PAUSE)
        assert trial.verdict is not None
        trial.reason = trial.verdict.reason
        trial.worker = None
        self.paused[trial.index] = trial

    def tell_searcher(self, trial: Trial, pruned: bool, out: Commands) -> None:
        """Let the searcher know how its suggestion has ended: once, by the last result of that configuration."""
        if trial.is_copy:
            return
        failed = trial.status is ERROR or trial.last is None
        if self.objective is not None and trial.best_loss == math.inf:
            failed = True
        out.append(ev.TellComplete(trial.index, failed, pruned and not failed))

    def requeue(self, trial: Trial, front: bool = True, follow: bool = True) -> None:
        """Let a trial wait to be launched again, from where it would start."""
        self.change(trial, Change.REQUEUE)
        trial.verdict = trial.worker = None
        trial.iteration = trial.start_from.iteration if trial.start_from else 0
        if front:
            self.pending.appendleft(trial.index)
        else:
            self.pending.append(trial.index)
        if follow:
            self.ask("on_requeue", trial)

    def withdraw(self, trial: Trial) -> None:
        """Take a waiting trial out of the queue that it waits in."""
        if trial.status is PAUSED:
            del self.paused[trial.index]
        else:
            self.pending.remove(trial.index)

    # --- results ------------------------------------------------------------------------------------------------------

    def has_time(self, trial: Trial) -> bool:
        """Whether the scheduler can tell how far a trial has come; without that, it is not asked about a result."""
        scheduler = self.scheduler
        name = scheduler.time_attr
        return name in OF_EVERY_RESULT or not scheduler.needs_metric or is_time(lookup(trial.last_result, name))

    def loss_of(self, event: ev.Reported) -> float | None:
        """The run's metric in a result as a loss; None where the result lacks it."""
        objective = self.objective
        if objective is None:
            return None
        value = event.metrics.get(objective.metric)
        if value is None:
            value = ev.value_of(event, objective.metric)
        return None if value is None else objective.as_loss(value)

    def is_news(self, event: ev.Reported) -> bool:
        """Whether a searcher learns from a result that was just taken in: it came in time, and has the metric."""
        if self.trials[event.trial].last is not event:
            return False
        return self.objective is None or self.loss_of(event) is not None

    def rate(self, trial: Trial, event: ev.Reported, loss: float) -> None:
        """Take in a result that is its trial's best."""
        trial.best, trial.best_loss, trial.best_config = event, loss, trial.config
        if self.best is None or loss < self.best.best_loss or self.best is trial:
            self.best = trial

    def go_back(self, trial: Trial) -> None:
        """A trial that was launched again reports for the first time: it stands where its checkpoint was made."""
        trial.is_relaunched = False
        standing = self._standing_at_start(trial)
        if trial.start_from is None and trial.checkpoints:  # it began anew: they belong to what it has replaced
            trial.checkpoints = [kept._replace(loss=math.inf, metrics=None) for kept in trial.checkpoints]
        worse = standing.best_loss > trial.best_loss
        trial.go_back_to(standing)
        if worse and self.best is trial:
            rated = (t for t in self.trials if t.best is not None)
            self.best = min(rated, key=lambda t: (t.best_loss, t.index), default=None)

    def _standing_at_start(self, trial: Trial) -> Standing:
        """What a trial had to show where its present attempt began."""
        if trial.start_pinned:
            return trial.copied_at
        return trial.start_from.standing if trial.start_from is not None else NOTHING

    # --- checkpoints --------------------------------------------------------------------------------------------------

    def keep(
        self,
        trial: Trial,
        name: str,
        iteration: int,
        seconds: float,
        out: Commands,
        metrics: ResultDict | None = None,
    ) -> None:
        """A trial made a checkpoint: it goes on from that one from now on. ``metrics``: those of another result."""
        metrics = trial.known if metrics is None else metrics
        loss = self.retention.loss(metrics)
        standing = self._standing_at_start(trial) if trial.is_relaunched else trial.standing
        totals = totals_in(metrics)
        kept = RetainedCheckpoint(trial.index, name, iteration, seconds, loss, totals, standing, metrics or {})
        if trial.checkpoints is None:
            trial.checkpoints = []
        trial.checkpoints.append(kept)
        out.append(ev.KeepCheckpoint(trial.index, name))
        self.forget_start(trial, out)
        trial.start_from = kept
        self.drop_surplus(trial, out)

    def drop_surplus(self, trial: Trial, out: Commands) -> None:
        """Delete those checkpoints of a trial that are not to be kept."""
        surplus = self.retention.checkpoints_to_delete(trial.checkpoints or [])
        out.extend(ev.DropCheckpoint(k.trial, k.name) for k in surplus)

    def forget_start(self, trial: Trial, out: Commands) -> None:
        """Drop the reference to what the trial would start from."""
        start, pinned = trial.start_from, trial.start_pinned
        trial.start_from, trial.start_pinned = None, False
        if pinned and start is not None:
            self.unpin(start, out)

    def unpin(self, kept: RetainedCheckpoint, out: Commands) -> None:
        """Nobody of another trial refers to a checkpoint any more."""
        self.retention.unpin(kept)
        self.drop_surplus(self.trials[kept.trial], out)


_OPTIONAL = ("on_add", "on_end", "choose", "discard", "pending_exploits")


def _acts_in(scheduler: object, method: str) -> bool:
    """Whether a scheduler has a method of its own, not the one of the base class, which does nothing."""
    its_own = getattr(type(scheduler), method, None) is not getattr(Scheduler, method)
    return its_own or method in getattr(scheduler, "__dict__", ())


def is_being_paused(trial: Trial) -> bool:
    """Whether its worker was told to put it aside, and has not answered yet."""
    return trial.status is RUNNING and isinstance(trial.verdict, Pause) and trial.exploit is None


def is_waiting(trial: Trial) -> bool:
    """Whether a trial is in one of the queues."""
    return trial.status in (PENDING, PAUSED)
