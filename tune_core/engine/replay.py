"""Restoring: a journal's events applied to a fresh controller, and its asks and tells to a fresh searcher."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tune_core.core import events as ev
from tune_core.core.collecting import no_collection
from tune_core.core.trial import IllegalTransitionError
from tune_core.core.values import Config
from tune_core.engine.asked_stopper import AskedStopper
from tune_core.engine.controller import Controller
from tune_core.engine.recorded_decisions import RecordedScheduler, without
from tune_core.engine.salvage import Salvage
from tune_core.engine.suggestions import Suggestions, tell_end
from tune_core.errors import TuneError
from tune_core.journal.format import Gap, does_not_follow
from tune_core.trainable.resources import resources_from_json


@dataclass
class Replayed:
    """What the journal tells beside the controller's state."""

    used_s: float  # time that earlier drivers spent
    recent: set[int]  # trials that the last events were about
    unrecorded: list[
        ev.Decided | ev.StopRequested
    ]  # decisions on the last event that the journal lost: to be journaled before all else
    salvage: Salvage  # what was missing, if the journal is damaged


RECENT = 256
"""So many events are the last ones."""


def replay(
    header: ev.Header,
    events: Iterable[Any],
    controller: Controller,
    suggestions: Suggestions | None = None,
    decode_config: Callable[[int, Config], Config] = lambda index, config: config,
    stopper: AskedStopper | None = None,
    config_of: Callable[[int], Config | None] = lambda index: None,
) -> Replayed:
    """Bring ``controller`` and the searcher to where the journal ends.

    Events are taken one after the other, as they are read: no more of them are kept than the controller keeps.
    Recorded decisions stand, whatever the scheduler would decide now. A stopper sees the results again; its answers
    are in the journal. Other commands are dropped: they were carried out, or their trials are run again. The time
    between the last event of one driver and the start of the next does not count as used.

    Raises
    ------
    JournalError
        If an event does not follow from those before it, and no damage explains that.
    """
    scheduler = controller.scheduler
    again = _ReplayCursor(controller, suggestions, decode_config, stopper, config_of)
    clock = _Clock(header.at)
    recent: deque[Any] = deque(maxlen=RECENT)
    try:
        with no_collection():
            _take_all(events, again, clock, recent)
    except (IllegalTransitionError, LookupError, ValueError, TypeError, AttributeError, AssertionError) as error:
        if isinstance(error, TuneError) and not isinstance(error, IllegalTransitionError):
            raise
        raise does_not_follow("The journal", header.version, error) from error
    finally:
        controller.scheduler = scheduler
    if suggestions is not None:
        suggestions.end_repeating()
    trials = {getattr(event, "trial", -1) for event in recent}
    return Replayed(clock.used_s, trials, again.unrecorded, again.salvage)


def _take_all(events: Iterable[Any], again: _ReplayCursor, clock: _Clock, recent: deque[Any]) -> None:
    """Take in each event with the decisions that were journaled behind it. Most are results with none."""
    coming = iter(events)
    before = next(coming, None)
    if before is None:
        return
    recorded: list[ev.Decided] = []
    out: list[ev.Command] = []
    take_report, is_plain, hears_rungs = again.controller.take_report, False, again.hears_rungs
    for event in coming:
        if type(event) is ev.Decided:
            recorded.append(event)
            continue
        if is_plain and not recorded and type(before) is ev.Reported and not (before.waiting and hears_rungs):
            take_report(before, out)
            if out:
                again.carry_out(out)
                out.clear()
            if before.at > clock.last:
                clock.last = before.at
        else:
            again.take(before, recorded, False)
            clock.see(before)
            is_plain = again.takes_plain_results()
        recent.append(before)
        if recorded:
            recent.extend(recorded)
            recorded = []
        before = event
    again.take(before, recorded, True)
    clock.see(before)
    recent.extend([before, *recorded])


class _ReplayCursor:
    """Takes each event in as the loop did, with the decisions on it as they were made."""

    def __init__(
        self,
        controller: Controller,
        suggestions: Suggestions | None,
        decode_config: Callable[[int, Config], Config],
        stopper: AskedStopper | None,
        config_of: Callable[[int], Config | None],
    ) -> None:
        self.controller = controller
        self.salvage = Salvage(controller, config_of)
        self.suggestions = suggestions
        self.decode_config = decode_config
        self.stopper = stopper
        self.scheduler = RecordedScheduler(controller.scheduler)
        controller.scheduler = self.scheduler  # type: ignore[assignment]
        self.unrecorded: list[ev.Decided | ev.StopRequested] = []
        self._expects_none = False  # whether the scheduler knows that the journal has no decision on the next event
        #: Whether the searcher is told of results of rungs.
        self.hears_rungs = suggestions is not None and suggestions.hears_results
        self._hears_all = suggestions is not None and suggestions.hears_every_result

    def takes_plain_results(self) -> bool:
        """Whether a result that no decision follows, and that is of no rung, is only the controller's business."""
        return self._expects_none and self.stopper is None and not self.salvage.gaps and not self._hears_all

    def take(self, event: Any, recorded: list[ev.Decided], is_last: bool) -> None:
        """Apply an event, then the recorded decisions that the scheduler did not come to by itself."""
        if not (recorded or is_last or self.salvage.gaps) and type(event) is not Gap:  # most are such
            kind = type(event)
            if not (kind is ev.Launched or kind is ev.Ended or (kind is ev.Reported and self.stopper is None)):
                self._prepare(event)
            if not self._expects_none:
                self.scheduler.expect([], False)
                self._expects_none = True
            self._apply(event)
            return
        if type(event) is Gap:
            self.salvage.open(event)
            recorded_behind, recorded = recorded, []
            for decided in recorded_behind:
                self.salvage.apply(decided, self._take_alone)
            return
        if self.salvage.gaps:
            self.salvage.apply(event, lambda step: self._take(step, recorded if step is event else [], is_last))
            return
        self._take(event, recorded, is_last)

    def _take_alone(self, event: ev.Event) -> None:
        self._take(event, [], False)

    def _take(self, event: ev.Event, recorded: list[ev.Decided], is_last: bool) -> None:
        self._prepare(event)
        for decided in recorded:
            if decided.config is not None:
                decided.config = self.decode_config(decided.trial, decided.config)
        self.scheduler.expect(recorded, is_last)
        self._expects_none = not recorded and not is_last
        made = self._apply(event)
        if recorded or is_last:
            self.unrecorded = without(made, recorded) if is_last else []
            self.scheduler.expect([], False)
            self._expects_none = True
            for decided in without(recorded, made):
                self._apply(decided)

    def _prepare(self, event: Any) -> None:
        kind, suggestions, controller = type(event), self.suggestions, self.controller
        if kind is ev.Suggested:
            event.config = self.decode_config(event.trial, event.config)
            event.resources = resources_from_json(event.resources)
            if suggestions is not None:
                is_known = event.trial not in self.salvage.unknown
                suggestions.repeat_ask(event.trial, event.config if is_known else None, event.told, event.why)
        elif kind is ev.Decided and event.config is not None:
            event.config = self.decode_config(event.trial, event.config)
        elif kind is ev.Exhausted and suggestions is not None:
            suggestions.finished = True
        elif kind is ev.Restored and event.num_samples is not None and suggestions is not None:
            suggestions.finished = False
        elif kind is ev.Reported and self.stopper is not None and controller.stopping is None:
            trial = controller.trials[event.trial]
            if event.iteration > trial.iteration:
                self.stopper.ask(trial, event)

    def _apply(self, event: ev.Event) -> list[Any]:
        """Apply an event and tell the searcher what it was told; the decisions that were made."""
        suggestions = self.suggestions
        commands = self.controller.apply(event)
        made = self.carry_out(commands) if commands else []
        if type(event) is ev.Reported and suggestions is not None and suggestions.wants(event):
            trial = self.controller.trials[event.trial]
            if not trial.is_copy and self.controller.is_news(event) and event.trial not in self.salvage.unknown:
                seen = trial.trial_id, trial.last_result
                suggestions.repeat_tell(lambda searcher, seen=seen: searcher.on_trial_result(*seen))  # type: ignore[misc]
        return made

    def carry_out(self, commands: list[ev.Command]) -> list[Any]:
        """Tell the searcher what the controller wants it to be told; the decisions that were made."""
        made: list[object] = []
        for command in commands:
            if type(command) is ev.Record:
                made.append(command.event)
            elif type(command) is ev.TellComplete and self.suggestions is not None:
                self._tell_end(self.suggestions, command)
        return made

    def _tell_end(self, suggestions: Suggestions, command: ev.TellComplete) -> None:
        trial = self.controller.trials[command.trial]
        if trial.index in self.salvage.unknown:
            return
        if not suggestions.is_told_again:
            suggestions.told += 1
            return
        end = trial.trial_id, trial.last_result or None, command.error, command.pruned
        suggestions.repeat_tell(lambda searcher: tell_end(searcher, *end))


class _Clock:
    """Adds up the time between each driver's start and its last event."""

    def __init__(self, started: float) -> None:
        self._before = 0.0
        self._started = self.last = started

    def see(self, event: ev.Event) -> None:
        if type(event) is ev.Reported:
            if event.at > self.last:
                self.last = event.at
            return
        if type(event) is ev.Restored:
            self.restart(event.at)
        elif type(event) is ev.Noted and event.clock_s:  # the clock was set: what it jumped was not used
            self._started += event.clock_s
            self.last += event.clock_s
        at = getattr(event, "at", None)
        if at is not None and at > self.last:
            self.last = at

    def restart(self, at: float) -> None:
        self._before += self.last - self._started
        self._started = self.last = at

    @property
    def used_s(self) -> float:
        return self._before + self.last - self._started
