"""Calls the user's callbacks with read-only views of trials, after what they are told of has been journaled.

Keeps what callbacks want kept, and hands it back when the run is restored.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

import msgspec

from tune_core.callback import Callback
from tune_core.core import events as ev
from tune_core.core.automatic import Courses
from tune_core.core.trial import ERROR, Status, Trial
from tune_core.core.validation import json_default
from tune_core.core.values import ResultDict
from tune_core.engine.trial_facts import RunFacts, TrialFacts
from tune_core.errors import UserCodeError
from tune_core.storage.local import write_bytes_atomic

if TYPE_CHECKING:
    from tune_core.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

STATES_FILE = "callbacks.json"
_KEEP_EVERY_S = 1.0


class TrialOfExperiment(TrialFacts):
    """A trial as callbacks see it: :class:`tune_core.core.trial.TrialView`, its folder, and Ray Tune's names."""

    __slots__ = ("_facts", "_trial")

    def __init__(self, trial: Trial, facts: RunFacts) -> None:
        self._trial = trial
        self._facts = facts

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Its latest checkpoint."""
        from tune_core.checkpoint import Checkpoint

        name = self._trial.checkpoint
        return Checkpoint(f"{self.path}/{name}") if name is not None else None

    def _results(self) -> list[ResultDict]:
        from tune_core.journal.histories import history

        return history(self._facts.folder, self._trial.index).get(self._trial.index, [])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._trial, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TrialOfExperiment) and other._trial is self._trial

    def __hash__(self) -> int:
        return hash(self._trial.index)

    def __repr__(self) -> str:
        return repr(self._trial)


class _CallbackState(msgspec.Struct):
    """What is kept of one callback between a run and its restore."""

    callback: str
    state: Any


class _Trials(Sequence[Any]):
    """All trials, as a read-only sequence of views made when they are asked for."""

    def __init__(self, trials: list[Trial], facts: RunFacts) -> None:
        self._trials = trials
        self._facts = facts

    def __len__(self) -> int:
        return len(self._trials)

    @overload
    def __getitem__(self, at: int) -> TrialOfExperiment: ...
    @overload
    def __getitem__(self, at: slice) -> list[TrialOfExperiment]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [TrialOfExperiment(t, self._facts) for t in self._trials[at]]
        return TrialOfExperiment(self._trials[at], self._facts)


class Observers:
    """The callbacks of a run.

    Parameters
    ----------
    callbacks
        Whom to call.
    trials
        The controller's trials.
    facts
        The experiment's folder, and what else its trials' views tell.
    say
        Where a callback's failure is said, once for each callback and hook.
    """

    def __init__(
        self, callbacks: Sequence[Any], trials: list[Trial], facts: RunFacts, say: Callable[[str], None] | None = None
    ) -> None:
        self.callbacks = list(callbacks)
        self.views: Sequence[Any] = _Trials(trials, facts)
        self._trials = trials
        self._facts = facts
        self._courses = Courses()
        self.say = say or (lambda text: print(text, file=sys.stderr))
        self._said: set[tuple[int, str]] = set()
        self._turn = 0
        self._stateful = [i for i, callback in enumerate(self.callbacks) if _has_state(callback)]
        self._kept_at = -_KEEP_EVERY_S
        self._kept = b""

    def __bool__(self) -> bool:
        return bool(self.callbacks)

    def begin(self, **facts: Any) -> None:
        """The run starts."""
        self._call("setup", **facts)

    def turn(self, happened: Sequence[tuple[ev.Event | ev.Command, Status]]) -> None:
        """Events of one turn of the loop, each with the status that its trial had after it; and ends of trials."""
        self._turn += 1
        self._call("on_step_begin", iteration=self._turn, trials=self.views)
        for event, status in happened:
            self._tell(event, status)
        self._call("on_step_end", iteration=self._turn, trials=self.views)
        if self._stateful and time.monotonic() >= self._kept_at + _KEEP_EVERY_S:
            self._keep_states()

    def end(self) -> None:
        """The run is over."""
        self._call("on_experiment_end", trials=self.views)
        if self._stateful:
            self._keep_states()

    def how_to_look(self) -> list[str]:
        """Commands and addresses that show what callbacks have written, a line each."""
        lines = [getattr(callback, "how_to_look", "") for callback in self.callbacks]
        return [line for line in lines if isinstance(line, str) and line]

    # --- states -------------------------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Hand each callback the state that one of its kind, at its place, had in the run that is restored."""
        if not self._stateful:
            return
        try:
            with open(os.path.join(self._facts.folder, STATES_FILE), "rb") as file:
                kept = msgspec.json.decode(file.read(), type=dict[str, _CallbackState])
        except FileNotFoundError:
            return  # the run was killed before any state was kept
        except (OSError, msgspec.MsgspecError) as error:
            logger.warning("The callbacks begin without the states of the earlier run: %s: %s", STATES_FILE, error)
            return
        for position in self._stateful:
            callback, found = self.callbacks[position], kept.get(str(position))
            if found is not None and found.callback == type(callback).__name__ and found.state is not None:
                self._call_one(position, "set_state", state=found.state)

    def _keep_states(self) -> None:
        self._kept_at = time.monotonic()
        states = {}
        for position in self._stateful:
            callback = self.callbacks[position]
            try:
                state = json.loads(json.dumps(callback.get_state(), default=_with_arrays))  # a copy, or what is wrong
            except Exception as error:
                self._failed(position, callback, "get_state", error)
                continue
            states[str(position)] = {"callback": type(callback).__name__, "state": state}
        kept = json.dumps(states).encode()
        if kept != self._kept:
            write_bytes_atomic(os.path.join(self._facts.folder, STATES_FILE), kept)
            self._kept = kept

    # --- calls --------------------------------------------------------------------------------------------------------

    def _tell(self, event: Any, status: Status) -> None:
        trial = TrialOfExperiment(self._trials[event.trial], self._facts)
        about: dict[str, Any] = {"iteration": self._turn, "trials": self.views, "trial": trial}
        kind = type(event)
        if kind is ev.Launched:
            with contextlib.suppress(OSError):  # loggers write there
                os.makedirs(trial.path, exist_ok=True)
            if event.attempt > 1:
                self._call("on_trial_restore", **about)
            self._call("on_trial_start", **about)
        elif kind is ev.Reported:
            result = self._courses.fields(event)
            result.setdefault("done", False)
            result["config"] = trial.config
            result["experiment_tag"] = trial.experiment_tag
            self._call("on_trial_result", **about, result=result)
            if event.checkpoint is not None:
                self._checkpoint(event.checkpoint, about)
        elif kind is ev.Saved:
            self._checkpoint(event.checkpoint, about)
        elif kind is ev.TellComplete:  # it ended, whatever it was doing: running, waiting or paused
            self._call("on_trial_error" if status is ERROR else "on_trial_complete", **about)
        elif kind is ev.Ended and status is Status.PENDING and event.error:
            self._call("on_trial_recover", **about)

    def _checkpoint(self, name: str, about: dict[str, Any]) -> None:
        from tune_core.checkpoint import Checkpoint

        self._call("on_trial_save", **about)
        self._call("on_checkpoint", **about, checkpoint=Checkpoint(f"{about['trial'].path}/{name}"))

    def _call(self, hook: str, **arguments: Any) -> None:
        for position in range(len(self.callbacks)):
            self._call_one(position, hook, **arguments)

    def _call_one(self, position: int, hook: str, **arguments: Any) -> None:
        callback = self.callbacks[position]
        method = getattr(callback, hook, None)
        if method is None:
            return
        try:
            method(**arguments)
        except Exception as error:
            self._failed(position, callback, hook, error)

    def _failed(self, position: int, callback: Any, hook: str, error: Exception) -> None:
        name = type(callback).__name__
        strict = getattr(callback, "strict", False)
        blame = UserCodeError(
            f"The callback {name}.{hook}",
            f"raised {type(error).__name__}: {error}",
            "the callback is at fault, not the trials",
            f"It ends the run, as {name}.strict = True asks; what was done is in the journal, for Tuner.restore."
            if strict
            else f"The run goes on, and {name} is called further; {name}.strict = True would end the run instead.",
        )
        if strict:
            raise blame from error
        if (position, hook) not in self._said:
            self._said.add((position, hook))
            self.say(str(blame))


_with_arrays = functools.partial(json_default, arrays=True)


def _has_state(callback: Any) -> bool:
    return getattr(type(callback), "get_state", Callback.get_state) is not Callback.get_state
