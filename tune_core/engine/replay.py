"""Restoring: a journal's events applied to a fresh controller, and its asks and tells to a fresh searcher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tune_core.engine import events as ev
from tune_core.engine.controller import Controller
from tune_core.engine.suggestions import Suggestions, tell_end
from tune_core.resources import resources_from_json
from tune_core.trial import result_of


@dataclass
class Replayed:
    """What the journal tells beside the controller's state."""

    used_s: float  # time that earlier drivers spent
    events: int


def replay(
    header: ev.Header,
    events: list[Any],
    controller: Controller,
    suggestions: Suggestions | None = None,
    decode_config: Callable[[int, dict[str, Any]], dict[str, Any]] = lambda index, config: config,
    stopper: Callable[[str, dict[str, Any]], Any] | None = None,
) -> Replayed:
    """Bring ``controller`` and the searcher to where the journal ends.

    A stopper sees the results again; its answers are in the journal. Commands are dropped: they were carried out, or
    their trials are run again. The time between the last event of one driver and the start of the next does not count
    as used.
    """
    clock = _Clock(header.at)
    results = suggestions is not None and suggestions.wants_results
    for event in events:
        kind = type(event)
        if kind is ev.Suggested:
            event.config = decode_config(event.trial, event.config)
            event.resources = resources_from_json(event.resources)
            if suggestions is not None:
                suggestions.repeat_ask(event.trial, event.config, event.told)
        elif kind is ev.Exhausted and suggestions is not None:
            suggestions.finished = True
        elif kind is ev.Restored:
            clock.restart(event.at)
            if event.num_samples is not None and suggestions is not None:
                suggestions.finished = False
        elif kind is ev.Decided and event.do == "exploit" and event.config is not None:
            event.config = decode_config(event.trial, event.config)
        elif kind is ev.Reported and stopper is not None and controller.stopping is None:
            trial = controller.trials[event.trial]
            if event.iteration > trial.iteration:
                stopper(trial.trial_id, {**result_of(event), "config": trial.config})
        clock.see(event)
        for command in controller.apply(event):
            if type(command) is ev.TellComplete and suggestions is not None:
                trial = controller.trials[command.trial]
                end = trial.trial_id, trial.last_result or None, command.error, command.pruned
                suggestions.repeat_tell(lambda searcher, end=end: tell_end(searcher, *end))  # type: ignore[misc]
        if results and kind is ev.Reported and suggestions is not None:
            trial = controller.trials[event.trial]
            seen = trial.trial_id, trial.last_result
            suggestions.repeat_tell(lambda searcher, seen=seen: searcher.on_trial_result(*seen))  # type: ignore[misc]
    if suggestions is not None:
        suggestions.end_repeating()
    return Replayed(clock.used_s, len(events))


class _Clock:
    """Adds up the time between each driver's start and its last event."""

    def __init__(self, started: float) -> None:
        self._before = 0.0
        self._started = self._last = started

    def see(self, event: Any) -> None:
        at = getattr(event, "at", None)
        if at is not None and at > self._last:
            self._last = at

    def restart(self, at: float) -> None:
        self._before += self._last - self._started
        self._started = self._last = at

    @property
    def used_s(self) -> float:
        return self._before + self._last - self._started
