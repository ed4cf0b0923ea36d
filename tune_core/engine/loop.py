"""The loop: the only place where controller, executor, journal, searcher and callbacks meet.

One turn: take in what the workers sent, look at the clock, fill the free places, write the journal once, and only
then carry out what the controller commanded and tell those who watch.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec

from tune_core.core import events as ev
from tune_core.core.trial import Status, Trial
from tune_core.core.user_warnings import warn_user
from tune_core.core.values import JsonObject
from tune_core.engine.controller import Controller
from tune_core.engine.deadlines import Deadlines, retry_delay_s
from tune_core.engine.loop_settings import LoopSettings, Watcher, Writer
from tune_core.engine.observers import Observers
from tune_core.engine.signals import on_signals
from tune_core.engine.suggestions import Suggestions
from tune_core.errors import UserCodeError
from tune_core.executors.base import Executor
from tune_core.journal.kept_search import Moment
from tune_core.trainable.resources import resources_to_json

LONGEST_RETRY_S = 60.0
"""The longest that a trial which fails again and again waits before it is tried again."""
LOOK_AFTER_S = 1.0
"""How often the experiment's folder is looked at."""
POLL_S = 0.1
_log = logging.getLogger(__name__)
_BARREN_ATTEMPTS = 2  # that fail before a result, until the checkpoint they went on from is doubted
_PATIENCE = 200  # asks in a row that a searcher may answer with "not now" while nothing runs


class Loop:
    """Runs an experiment to its end."""

    def __init__(
        self,
        controller: Controller,
        executor: Executor,
        journal: Writer,
        suggestions: Suggestions,
        observers: Observers,
        watcher: Watcher,
        plan: LoopSettings,
    ) -> None:
        self.controller = controller
        self.executor = executor
        self.journal = journal
        self.suggestions = suggestions
        self.observers = observers
        self.watcher = watcher
        self.plan = plan
        self.interrupts = 0
        self.error = ""  # what ended the run, if something went wrong
        self._commands: list[ev.Command] = []
        self._happened: list[tuple[ev.Event | ev.Command, Status]] = []
        self._refusals = 0
        self._watches = bool(observers)
        self._hears_results = suggestions.hears_results
        self._has_names = bool(plan.names)
        self._expected = plan.expected
        self._noted: set[str] = set()  # what was said of single trials
        self._on_hold = False  # no trial is started, as asked from outside
        self._checkpoints = plan.checkpoints
        self._found_whole: tuple[int, str] | None = None  # the checkpoint that was looked at last
        self._expect: Callable[[int | None], None] | None = getattr(executor, "expect", None)
        self._act: dict[type, Callable[[Any], None]] = {
            ev.Launch: self._launch,
            ev.Extend: lambda c: self.executor.extend(c.trial, c.lease),
            ev.Halt: self._halt,
            ev.Revoke: self._revoke,
            ev.DropCheckpoint: self._drop_checkpoint,
            ev.Finish: self._finish,
        }

    def run(self) -> None:
        """The whole course of a run."""
        clock = self.executor.clock
        spans = getattr(self.executor, "monotonic", clock)  # an executor without one has its own time
        self.deadlines = Deadlines(spans, clock, self.plan.time_budget_s, self.plan.used_s)
        self._looked_at = spans()
        with on_signals(self._interrupt) if self.plan.handle_signals else contextlib.nullcontext():
            self.executor.start(self.plan.spec, self._pump)
            self.deadlines.begin()
            self.settle()
            while self.controller.finished is None:
                self.take(self.executor.poll(self._patience()))
                self.watch_the_clock()
                self.settle()
                self.watcher.update(self.controller, self.executor.clock(), self._waits_for())

    def _waits_for(self) -> str | None:
        mirror = self.plan.mirror
        return self.executor.waits_for() or (mirror.waits_for if mirror is not None else None)

    def settle(self) -> None:
        """Fill the free places, write, carry out."""
        self.fill()
        self.commit()

    # --- taking in ----------------------------------------------------------------------------------------------------

    def take(self, batches: list[ev.Batch]) -> None:
        """Take in what the workers sent. Most are results that only the controller wants to see."""
        take_report, only_controller = self.controller.take_report, not (self._watches or self._hears_results)
        reported, commands = ev.Reported, list[ev.Command]()
        for batch in batches:
            if self.plan.stopper is None and not _decides_within(batch.events):
                events = batch.events
                whose = set(map(_trial_of, events)) if _OF_TRIALS.issuperset(map(type, events)) else ()
                self.journal.append(batch.lines, whose)
                for event in events:
                    if event.__class__ is reported and only_controller and self._expected is None:
                        take_report(event, commands)
                        if commands:
                            self._see_to(commands)
                            commands.clear()
                    else:
                        self._apply(event)
            else:
                for line, event in zip(batch.lines.splitlines(keepends=True), batch.events, strict=True):
                    if self.plan.stopper is not None:
                        self._ask_stopper(event)
                    its = (event.trial,) if event.__class__ in _OF_TRIALS else ()
                    self.journal.append(line, its)  # its decisions come right behind it
                    self._apply(event)

    def feed(self, event: ev.Event, trials: tuple[int, ...] = ()) -> None:
        """Journal and apply an event of the driver's own; ``trials``: whose its line is, where that is known."""
        self.journal.append(ev.encode(event), trials)
        self._apply(event)

    def _apply(self, event: Any) -> None:
        controller = self.controller
        commands = controller.apply(event)
        if commands:
            self._see_to(commands)
        kind = type(event)
        if kind is ev.Reported:
            if self._hears_results and self.suggestions.wants(event):
                trial = controller.trials[event.trial]
                if not trial.is_copy and controller.is_news(event):  # of the configuration that was suggested
                    self.suggestions.tell_result(trial.trial_id, trial.last_result)
        elif kind is ev.Ended:
            if event.how in _FAILURES:
                self._back_off(event)
        elif kind is ev.Noted and event.trial >= 0:  # of one trial: nobody else says it
            self._say_once(event.what)
        if self._watches and kind in _WATCHED:
            self._happened.append((event, controller.trials[event.trial].status))
        if self._expected is not None and self._expected.see(event):
            self._expected = None

    def _see_to(self, commands: list[ev.Command]) -> None:
        """Do what must be done before the lines so far are written; the rest waits until they are."""
        for command in commands:
            kind = type(command)
            if kind is ev.Record:
                self.record(command.event)  # type: ignore[attr-defined]
            elif kind is ev.TellComplete:
                self._tell_complete(command)  # type: ignore[arg-type]
            elif kind is ev.KeepCheckpoint:
                if self._checkpoints is not None:  # before the line that names it is written
                    self._checkpoints.name(command.trial, command.name)  # type: ignore[attr-defined]
            elif kind is ev.Warn:
                warn_user(command.text)  # type: ignore[attr-defined]
            else:
                self._commands.append(command)

    def _say_once(self, what: str) -> None:
        """Several workers may note the same."""
        if what not in self._noted:
            self._noted.add(what)
            # a trial in this process has logged it already, which is seen without a view, too
            (self.watcher.note if self.executor.name == "inline" else self.observers.say)(what)

    def record(self, event: ev.Decided | ev.StopRequested) -> None:
        """Journal a decision, with its configuration in the journal's form."""
        if type(event) is ev.Decided and event.config is not None:
            event = msgspec.structs.replace(event, config=self.plan.encode_config(event.config))
        self.journal.append(ev.encode(event))

    def _tell_complete(self, command: ev.TellComplete) -> None:
        trial = self.controller.trials[command.trial]
        result = (trial.last_result or None) if self.suggestions.hears_ends else None
        took = (trial.ended_at or 0.0) - (trial.started_at or 0.0)
        self.suggestions.tell(trial.trial_id, result, command.error, took, command.pruned)
        if self._watches:
            self._happened.append((command, trial.status))

    def _back_off(self, event: ev.Ended) -> None:
        """A trial that fails again and again is not launched again at once."""
        trial = self.controller.trials[event.trial]
        if self.plan.retry_s <= 0 or trial.status is not Status.PENDING:
            return
        delay_s = retry_delay_s(trial.failures + trial.worker_losses, self.plan.retry_s, LONGEST_RETRY_S)
        if delay_s > 0:
            _log.debug("Trial %s is tried again in %g s: %s", trial.trial_id, delay_s, ev.error_line(event.error))
            self.controller.held.add(trial.index)
            self.deadlines.hold(trial.index, delay_s)

    def _ask_stopper(self, event: ev.Event) -> None:
        """Let the user's stopper see a result before the controller does."""
        if type(event) is not ev.Reported or self.plan.stopper is None or self.controller.stopping is not None:
            return
        trial = self.controller.trials[event.trial]
        if event.iteration <= trial.iteration:
            return
        answer = self.plan.stopper.ask(trial, event)
        if answer.stops_all:
            self.feed(ev.StopRequested(-1, answer.why))
        elif answer.stops:
            self.feed(ev.StopRequested(event.trial, answer.why))

    # --- filling ------------------------------------------------------------------------------------------------------

    def fill(self) -> None:
        """Launch trials while there are free places and trials for them."""
        controller = self.controller
        while controller.stopping is None and controller.finished is None and not self._on_hold:
            if self._expect is not None:
                self._expect(self._startable())
            trial = controller.next_trial_to_launch()
            if trial is None:
                if not self._suggest():
                    return
                continue
            if self._checkpoints is not None and trial.start_from is not None and self._fall_back(trial):
                continue
            resources = trial.resources if trial.resources is not None else self.plan.default_resources
            worker = self.executor.reserve(resources)
            if worker is None:
                self.suggestions.prepare(len(controller.running))
                return
            launched = ev.Launched(trial.index, worker, self.executor.clock(), trial.attempt + 1)
            self.feed(launched, (trial.index,))

    def _fall_back(self, trial: Trial) -> bool:
        """Look at the checkpoint that a trial would go on from; if it cannot be used, say which one is used instead."""
        assert self._checkpoints is not None and trial.start_from is not None
        key = trial.start_from.trial, trial.start_from.name
        if trial.barren >= _BARREN_ATTEMPTS and key[0] == trial.index:  # whole, it seems, and yet maybe at fault
            trouble = f"was gone on from {trial.barren} times, and each time the trial failed before its next result"
        elif key == self._found_whole or not (trouble := self._checkpoints.trouble(*key)):
            self._found_whole = key
            return False
        owner, name = key
        self.feed(ev.Lost(owner, name, trouble))
        start = trial.start_from
        instead = "starts afresh, since no other is left"
        if start is not None:
            of = "" if start.trial == trial.index else f" of trial {start.trial:05d}"
            instead = f"goes on from {start.name}{of}"
        of = "" if owner == trial.index else f" of trial {owner:05d}"
        text = f"the checkpoint {name}{of} {trouble}: trial {trial.trial_id} {instead}"
        _log.warning(text)
        self.feed(ev.Noted(text, trial.index))
        return True

    def _startable(self) -> int | None:
        """How many trials would start now if there were room; None where nobody knows how many there will be."""
        controller, total = self.controller, self.plan.total
        waiting = len(controller.pending) + len(controller.paused)
        if not controller.exhausted:
            if total is None:
                return None
            waiting += max(0, total - len(controller.trials))
        limit = controller.rules.max_concurrent
        return waiting if limit is None else min(waiting, max(0, limit - len(controller.running)))

    def _suggest(self) -> bool:
        """Get one more trial; whether :meth:`fill` should look again."""
        controller = self.controller
        if controller.exhausted:
            return False
        if not controller.wants_suggestion() or not self.executor.room(self.plan.default_resources):
            self.suggestions.prepare(len(controller.running))
            return False
        config = self.suggestions.next()
        if config is None:
            return self._no_suggestion()
        self._refusals = 0
        index = len(controller.trials)
        resources = self.plan.resources(config) if self.plan.resources is not None else None
        told = self.suggestions.last_told
        asked_for = resources_to_json(resources)
        why = self.suggestions.last_why
        event = ev.Suggested(index, self.plan.encode_config(config), told, asked_for, why=why)
        if self._has_names and self.plan.names is not None:
            event.name, event.folder = self.plan.names(index, config, resources)
        self.journal.append(ev.encode(event), (index,))
        event.config, event.resources = config, resources
        self._apply(event)
        refusal = self.executor.refuse(resources) if resources is not None else None
        if refusal is not None:
            self.feed(ev.Refused(index, f"the trial {refusal}"))
        return True

    def _no_suggestion(self) -> bool:
        controller = self.controller
        if self.suggestions.finished:
            self.feed(ev.Exhausted(f"{len(controller.trials)} suggestions were made"))
            return True
        if self.suggestions.is_busy() or controller.running or controller.held:
            return False
        if controller.paused:
            self.feed(ev.Stalled())
            if controller.next_trial_to_launch() is not None or controller.finished is not None:
                return True
        self._refusals += 1
        if self._refusals > _PATIENCE:
            name = type(self.suggestions.searcher).__name__
            raise UserCodeError(
                f"{name}.suggest",
                f"answered 'not now' {_PATIENCE} times in a row",
                "no trial is running whose result it could wait for",
                f"Return Searcher.FINISHED from {name}.suggest when there is nothing left to propose.",
            )
        self.suggestions.retry()
        return False

    # --- carrying out -------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Write the journal, then carry out the commands, then tell the callbacks."""
        self.journal.write()
        if self.suggestions.moment is not None and self.plan.keep_moment is not None:
            self._keep_moment(self.plan.keep_moment)
        commands, self._commands = self._commands, []
        for command in commands:
            self._act[type(command)](command)
        if self._watches and self._happened:
            happened, self._happened = self._happened, []
            self.observers.turn(happened)

    def _keep_moment(self, keep: Callable[[Moment], object]) -> None:
        """Keep where the searcher stood, once all its suggestions of then are in the journal."""
        moment = self.suggestions.moment
        if moment is not None and moment.asked <= self.suggestions.asked:
            self.suggestions.moment = None
            keep(moment)

    def _launch(self, command: ev.Launch) -> None:
        trial = self.controller.trials[command.trial]
        self.deadlines.leaving.pop(command.trial, None)
        if trial.worker is not None and trial.status is Status.RUNNING:
            if command.resources is None:
                command = msgspec.structs.replace(command, resources=self.plan.default_resources)
            self.executor.launch(trial.worker, command)

    def _halt(self, command: ev.Halt) -> None:
        self.deadlines.let_go(command.trial, self.plan.end_grace_s, command.how, command.why)
        self.executor.halt(command.trial, command.how, command.why)

    def _revoke(self, command: ev.Revoke) -> None:
        how = "revoked" if self.controller.interrupted else "stopped"
        self.deadlines.let_go(command.trial, self.plan.end_grace_s, how, command.why)
        self.executor.revoke(command.trial, command.why)

    def _drop_checkpoint(self, command: ev.DropCheckpoint) -> None:
        if self.plan.mirror is not None:
            self.plan.mirror.drop(command.trial, command.name)
        if self._checkpoints is not None:
            self._checkpoints.supersede(command.trial, command.name)

    def _finish(self, command: ev.Finish) -> None:
        self.error = command.error
        self.journal.append(ev.encode(ev.Finished(self.executor.clock(), command.why)))
        self.journal.write()

    # --- time and signals ---------------------------------------------------------------------------------------------

    def watch_the_clock(self) -> None:
        """Interruptions, the time budget, trials that do not end in time, retries that are due, and the folder."""
        controller = self.controller
        if self.interrupts and not controller.interrupted:
            self.feed(ev.Interrupted("interrupted by the user", self.executor.clock()))
        has_budget = self.deadlines.budget_s is not None
        left = self.deadlines.budget_left_s() if has_budget else None
        if left is not None and left <= 0 and controller.stopping is None:
            self.feed(ev.StopRequested(-1, f"the time budget of {self.plan.time_budget_s:g} s is used up"))
        if self.deadlines.leaving:
            for trial, leaving in self.deadlines.overdue(controller.running):
                _log.warning("Trial %05d did not let go in %g s and is killed.", trial, self.plan.end_grace_s)
                self.executor.kill(trial, leaving.how, leaving.why)
        if controller.held:
            controller.held.difference_update(self.deadlines.release())
        if self.deadlines.now() - self._looked_at >= LOOK_AFTER_S:
            self._look_around()

    def _look_around(self) -> None:
        """About once a second: whether the clock was set, and whether the folder is still there."""
        self._looked_at = self.deadlines.now()
        change_s = self.deadlines.clock_change_s()
        if change_s:
            where = "forward" if change_s > 0 else "back"
            self.feed(ev.Noted(f"the clock was set {where} by {abs(change_s):.0f} s", clock_s=change_s))
        if self._checkpoints is not None:
            while self._checkpoints.notes:
                self.watcher.note(self._checkpoints.notes.popleft())
        if self.plan.control is not None:
            for command in self.plan.control.read(self.watcher.note):
                self._obey(command)
        happened = self.plan.look_after() if self.plan.look_after is not None else ""
        if happened:
            _log.warning("While the run goes: %s", happened)
            self.feed(ev.Noted(happened))
            self.watcher.note(f"Watch out: {happened}.")

    def _obey(self, command: JsonObject) -> None:
        """Do, and journal, what was asked for from outside."""
        do, why = command["do"], "stopped from outside"
        if do == "stop":
            trials = self.controller.trials[command["trial"] : command["trial"] + 1]
            if self.controller.stopping is None and all(
                t.status not in (Status.TERMINATED, Status.ERROR) for t in trials
            ):
                for trial in trials:
                    self.feed(ev.StopRequested(trial.index, why))
        elif do == "stop_run":
            self._on_hold = False
            self.feed(ev.StopRequested(-1, why))
        elif do == "time_budget":
            seconds = command["seconds"]
            self.plan.time_budget_s = seconds
            self.deadlines.set_budget(seconds)
            self.feed(ev.Noted(f"the time budget is {seconds:g} s from now on, as asked from outside"))
        else:
            self._on_hold = do == "hold"
            what = "no trial is" if self._on_hold else "trials are"
            self.feed(ev.Noted(f"{what} started from now on, as asked from outside"))

    def _patience(self) -> float:
        """How long to wait for the next event."""
        left = self.deadlines.budget_left_s() if self.deadlines.budget_s is not None else None
        return POLL_S if left is None else min(POLL_S, max(0.0, left))

    def _pump(self, batches: list[ev.Batch]) -> None:
        """For an executor that runs trials inside :meth:`Executor.poll`: one turn without filling."""
        self.take(batches)
        self.watch_the_clock()
        self.commit()
        self.watcher.update(self.controller, self.executor.clock(), None)

    def _interrupt(self) -> None:
        self.interrupts += 1
        if self.interrupts > 1:
            raise KeyboardInterrupt
        self.watcher.note("Stopping: trials end at their next report. Press Ctrl-C again to stop at once.")
        self.executor.wake()


def _decides_within(events: list[ev.Event]) -> bool:
    """Whether decisions may follow from an event of a worker's before the last."""
    reported = ev.Reported
    for event in events:
        if event.__class__ is not reported or event.waiting:
            return event is not events[-1]
    return False


_OF_TRIALS = frozenset((ev.Reported, ev.Saved, ev.Ended))
"""Events of workers whose lines begin with their trials: others' may concern the whole run."""
_trial_of = attrgetter("trial")
_WATCHED = frozenset((ev.Launched, ev.Reported, ev.Saved, ev.Ended))
_FAILURES = ("errored", "crashed", "timeout", "lost")
