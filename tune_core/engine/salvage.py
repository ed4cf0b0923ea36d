"""Makes up for events that damage in a journal has swallowed, so that those behind it can be applied.

What is made up is no more than what the event at hand implies: a trial that reports must have been launched, one that
is launched must have been suggested. Where that would be a guess (a configuration), nothing is made up. An event that
does not follow even so is left out and counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from tune_core.core import events as ev
from tune_core.core.trial import ERROR, PAUSED, PENDING, RUNNING, TERMINATED, Change, IllegalTransitionError, Trial
from tune_core.core.values import Config
from tune_core.engine.controller import Controller
from tune_core.journal.format import Gap
from tune_core.schedulers.base import Pause

_LEAST_LINE_BYTES = 40
"""No line that suggests a trial is shorter: a gap can have swallowed no more of them than fit in it."""
_MISFITS = (IllegalTransitionError, LookupError, ValueError, TypeError, AttributeError, AssertionError)

_log = logging.getLogger(__name__)


class Salvage:
    """Applies events to a controller, those behind gaps too.

    Parameters
    ----------
    controller
        What the events are applied to.
    config_of
        The configuration of a trial whose suggestion is lost, where it can be known; None: it cannot.

    Attributes
    ----------
    gaps
        The gaps so far.
    skipped
        Events that did not follow from those before them, and were left out.
    unknown
        Trials whose configuration is lost.
    """

    def __init__(self, controller: Controller, config_of: Callable[[int], Config | None] = lambda index: None) -> None:
        self._controller = controller
        self._config_of = config_of
        self.gaps: list[Gap] = []
        self.skipped = 0
        self.unknown: set[int] = set()
        self._lost_bytes = 0

    def open(self, gap: Gap) -> None:
        """Behind this gap, events may not follow."""
        self.gaps.append(gap)
        self._lost_bytes += gap.size

    def apply(self, event: ev.Event, take: Callable[[Any], None]) -> None:
        """Have ``take`` apply what must have happened before ``event``, and then ``event``."""
        try:
            for step in self._steps(event):
                take(step)
        except _MISFITS as error:
            self.skipped += 1
            _log.debug("Left out behind a gap: %r (%s)", event, error)

    def _steps(self, event: Any) -> Iterator[Any]:
        controller, kind = self._controller, type(event)
        index, at = getattr(event, "trial", -1), getattr(event, "at", 0.0)
        if controller.finished is not None and kind not in (ev.Restored, ev.Noted, ev.Finished):
            yield ev.Restored(at)
        yield from self._suggestions_before(max(index, getattr(event, "source", None) or -1), kind is ev.Suggested)
        if kind is ev.Suggested and index < len(controller.trials):
            raise ValueError(f"trial {index} was suggested before")
        if kind is ev.Launched:
            yield from self._make_launchable(controller.trials[index], at)
        elif kind in (ev.Reported, ev.Saved, ev.Ended) and event.attempt > controller.trials[index].attempt:
            yield from self._make_launchable(controller.trials[index], at)
            yield ev.Launched(index, "unknown", at, event.attempt)
        if kind is ev.Ended and event.how == "paused" and not isinstance(controller.trials[index].verdict, Pause):
            yield ev.Decided(index, "pause", "for a reason that is lost where the journal is damaged")
        yield event

    def _suggestions_before(self, index: int, excluded: bool) -> Iterator[ev.Suggested]:
        """Those that are missing up to a trial, if so many fit into the gaps."""
        missing = index + (not excluded) - len(self._controller.trials)
        if missing <= 0:
            return
        if missing > self._lost_bytes // _LEAST_LINE_BYTES:
            raise ValueError(f"{missing} trials are missing, more than can be lost")
        for lost in range(len(self._controller.trials), len(self._controller.trials) + missing):
            config = self._config_of(lost)
            if config is None:
                self.unknown.add(lost)
            yield ev.Suggested(lost, config or {})

    def _make_launchable(self, trial: Trial, at: float) -> Iterator[object]:
        if trial.status is RUNNING:
            yield ev.Ended(trial.index, "returned", at)
        if trial.status in (TERMINATED, ERROR):
            self._controller.change(trial, Change.REQUEUE)
            self._controller.pending.append(trial.index)
        if trial.status not in (PENDING, PAUSED):
            raise ValueError(f"trial {trial.index} is {trial.status}")
