"""Schedulers for going through a journal again, where all decisions have been made and are recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tune_core.core import events as ev
from tune_core.core.trial import TrialView
from tune_core.core.values import Metrics
from tune_core.schedulers.base import Continue, Decision, Exploit, Pause, Scheduler, Stop

_GO_ON = Continue()


class PassiveScheduler(Scheduler):
    """Decides nothing: for reading an experiment back, where each decision comes as an event of its own."""

    restarts_without_checkpoint = True
    needs_metric = False

    def on_result(self, trial: TrialView, result: Metrics) -> Decision:
        """Go on, unless the next event says otherwise."""
        return _GO_ON

    def choose(self, waiting: Any) -> int | None:
        """Some paused trial, if there is one: it is not ended before the journal says so."""
        last_first = reversed(waiting.paused)  # in a long run's end many leave, mostly the first ones first
        return next((trial.index for trial in last_first), None)


class RecordedScheduler:
    """Lets a real scheduler see a run again, while what was recorded is what is done.

    The scheduler is asked all that it was asked, in the same order, and its answers are carried out in their places
    if the journal has them. A scheduler that would decide otherwise now is overruled.

    Parameters
    ----------
    followed
        The scheduler.
    """

    def __init__(self, followed: Scheduler) -> None:
        self.followed = followed
        self.observes = followed.observes  # asked for at each result
        self._recorded: list[ev.Decided] = []
        self._found: dict[tuple[str, int], ev.Decided] = {}
        self._is_open = False

    def expect(self, recorded: list[ev.Decided], is_open: bool) -> None:
        """What the journal has of the decisions on the next event; if ``is_open``, the rest may have been lost."""
        self._recorded = recorded
        self._found = {(decided.do, decided.trial): decided for decided in recorded}
        self._is_open = is_open

    @property
    def restarts_without_checkpoint(self) -> bool:
        """Whether it may pause trials without a checkpoint; what was recorded, it might."""
        return not self._is_open or self.followed.restarts_without_checkpoint

    @property
    def warns_of_restarts(self) -> bool:
        """Whether the followed one does."""
        return self.followed.warns_of_restarts

    @property
    def goes_on_without_checkpoint(self) -> bool:
        """Whether a pause of such a trial is no pause: not where one was recorded."""
        return self._is_open and self.followed.goes_on_without_checkpoint

    def on_result(self, trial: TrialView, result: Metrics) -> Decision:
        """The recorded decision."""
        answer = self.followed.on_result(trial, result)
        recorded = next((decided for decided in self._recorded if decided.trial == trial.index), None)
        if recorded is None:
            return answer if self._is_open else _GO_ON
        if recorded.do == "stop":
            return _stop(recorded, answer)
        if recorded.do == "pause":
            return Pause(recorded.why)
        if recorded.do == "exploit":
            return exploit_of(recorded)
        if not isinstance(answer, Continue):  # it could not be carried out, and a new lease was asked for
            self.followed.lease(trial)
        return Continue(recorded.until, recorded.why)

    def discard(self) -> Iterable[tuple[int, Stop | str]]:
        """Those that were recorded, as they were recorded."""
        chosen: list[tuple[int, Stop | str]] = []
        for index, why in self.followed.discard():
            recorded = self._find("stop", index)
            if recorded is not None or self._is_open:
                chosen.append((index, _stop(recorded, why) if recorded is not None else why))
        return chosen

    def pending_exploits(self) -> Iterable[tuple[int, Exploit]]:
        """Those that were recorded, as they were recorded."""
        chosen = []
        for index, exploit in self.followed.pending_exploits():
            recorded = self._find("exploit", index)
            if recorded is not None:
                chosen.append((index, exploit_of(recorded)))
            elif self._is_open:
                chosen.append((index, exploit))
        return chosen

    def choose(self, waiting: Any) -> int | None:
        """The scheduler's choice; where paused trials would be given up now and were not, one of them."""
        choice = self.followed.choose(waiting)
        if choice is not None or self._is_open or not waiting.is_last_call:
            return choice
        paused = list(waiting.paused)
        ends = ((self._find("stop", trial.index), given_up(trial)) for trial in paused)
        were_given_up = all(recorded is not None and recorded.why == why for recorded, why in ends)
        return None if were_given_up else paused[0].index

    def _find(self, do: str, trial: int) -> ev.Decided | None:
        return self._found.get((do, trial))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.followed, name)


def given_up(trial: Any) -> str:
    """Why a paused trial ends when nothing runs, nothing will, and the scheduler resumes nobody."""
    return f"{trial.reason}; nothing is left that could promote it"


def _stop(decided: ev.Decided, answer: Any) -> Stop:
    """A stop as it was recorded; in journals of older versions only its reason tells whether the trial was complete."""
    if decided.complete:
        return Stop(decided.why, early=False)
    is_the_same = isinstance(answer, Stop) and answer.reason == decided.why
    return Stop(decided.why, answer.early if is_the_same else True)


def exploit_of(decided: ev.Decided) -> Exploit:
    """The decision that was recorded."""
    assert decided.source is not None and decided.config is not None
    return Exploit(decided.source, decided.config, decided.why, decided.checkpoint, decided.resources)


def without(some: Sequence[object], others: Iterable[object]) -> list[Any]:
    """Those decisions that are not among the others."""
    if not some:
        return []
    left = Counter(map(_key, others))
    rest = []
    for event in some:
        if left[_key(event)] > 0:
            left[_key(event)] -= 1
        else:
            rest.append(event)
    return rest


def _key(event: Any) -> tuple[type, int, str]:
    return type(event), event.trial, getattr(event, "do", "")
