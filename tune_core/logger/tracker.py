"""What all trackers share: a thread that follows the journal and sends what it reads, so that no run waits for it.

The driver only wakes the thread. Events are in the journal before callbacks hear of them, so nothing is queued in
memory, a slow or absent server costs no trial any time, and after a crash the restored run sends from the journal
what the tracker does not have.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tune_core.callback import Callback
from tune_core.core import events as ev
from tune_core.core.automatic import result_of
from tune_core.core.flatten import flatten
from tune_core.core.objective import lookup
from tune_core.core.paths import trial_folder
from tune_core.core.trial import ERROR, TERMINATED, Trial
from tune_core.core.validation import python_value
from tune_core.core.values import Config, Metrics, ResultDict
from tune_core.errors import InvalidArgumentError

POLL_S = 0.2
FINISH_S = 120.0
"""How long the end of a run waits for what is still to be sent."""
ANNOUNCE_S = 3.0
"""After so long a wait it is said what is waited for."""
UNREACHED_S = 10.0
"""How long the end of a run waits for a service that cannot be reached."""
AGAIN_S = 10.0
"""After so long, a service that could not be reached is tried again."""

_NOT_METRICS = frozenset(("config", "trial_id", "experiment_tag", "done", "date", "pid", "hostname", "node_ip"))


@dataclass
class TrackedTrial:
    """A trial as a tracker sees it."""

    trial: Trial
    folder: str
    experiment: str
    key: str
    """Unique among all experiments, the same after a restore: 32 hexadecimal digits."""
    metric: str | None = None
    handle: Any = None
    sent: int = 0
    """Reports that were sent, or that the tracker had before."""
    seen: int = 0
    decided: str = ""
    """Why the scheduler stopped it, if it did."""
    reached: int = 0
    """The highest iteration so far."""
    broken: bool = False
    checkpoints: list[str] = field(default_factory=list)

    @property
    def trial_id(self) -> str:
        """The trial's id."""
        return self.trial.trial_id

    @property
    def config(self) -> Config:
        """The configuration, nested names joined by ``/``."""
        flat: dict[str, object] = flatten(self.trial.config)
        return flat

    @property
    def path(self) -> str:
        """The trial's folder."""
        return trial_folder(self.folder, self.trial.index, self.trial.folder)

    @property
    def outcome(self) -> str:
        """What became of an ended trial: see :data:`tune_core.results.recording.OUTCOMES`."""
        from tune_core.results.recording import is_own_end

        if self.trial.status is ERROR:
            return "failed"
        reason = self.trial.reason or ""
        if not reason or is_own_end(reason):
            return "completed"
        return "stopped early" if reason == self.decided else "stopped"

    def last_numbers(self) -> dict[str, Any]:
        """The last result, flat, without what says when and where."""
        last = self.trial.last
        return flatten(dict(last.metrics)) if last is not None else {}

    def best_numbers(self) -> dict[str, float]:
        """The best value of the run's metric, by its name; empty if there is none."""
        best = self.trial.best
        value = lookup(best.metrics, self.metric) if best is not None and self.metric else None
        return {self.metric: float(value)} if self.metric and isinstance(value, (int, float)) else {}


def _follower(folder: str, tracker: Tracker) -> Any:
    """Reads the journal as it grows, and hands each event on once its trial's state is what it is after it."""
    from tune_core.results.experiment_reader import TailReader

    class Follower(TailReader):
        def _take(self, event: ev.Event) -> None:
            super()._take(event)
            tracker._event(event, self.experiment)

    return Follower(folder)


class Tracker(Callback):
    """Base of the loggers that send to a tracking service: one run of the tracker for each trial.

    An iteration that a trial repeats, because it failed or went back to a checkpoint, is sent once, as it was the first
    time: services keep what they were sent.

    A subclass overrides the methods that begin with ``send_``; they are called in one thread, in the order of the
    journal. What they raise is said once, ends that trial's log and nothing else. A service that cannot be reached at
    the beginning (``send_connect`` raises a ``ConnectionError``) is tried again until the run ends: what it has missed
    is in the journal.

    Parameters
    ----------
    finish_s
        Most seconds that the end of a run waits for what is still to be sent; 10 s at most for a service that cannot
        be reached. A longer wait is announced, and what is not sent by then is said.
    """

    def __init__(self, finish_s: float = FINISH_S) -> None:
        finish_s = python_value(finish_s)
        if isinstance(finish_s, bool) or not isinstance(finish_s, (int, float)) or not finish_s >= 0:
            raise InvalidArgumentError(
                f"{type(self).__name__}(finish_s)",
                f"is {finish_s!r}",
                "it is a time in seconds",
                "Use a number from 0.",
            )
        self._finish_s = finish_s
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._tracked: dict[int, TrackedTrial] = {}
        self._done: set[int] = set()
        self._said: set[str] = set()
        self._connected = False
        self._refused = False
        self._lock = threading.Lock()

    how_to_look = ""
    """A line for the end of the run: the command or address that shows what was sent."""

    # --- for subclasses -----------------------------------------------------------------------------------------------

    def send_connect(self, name: str, folder: str) -> None:
        """Reach the service; called once, before anything else."""

    def unreachable(self) -> str:
        """Why the service cannot be reached now; empty if it can, or if that is not known. Must answer soon."""
        return ""

    def send_open(self, trial: TrackedTrial) -> tuple[Any, int]:
        """Begin, or go on with, a trial's log: its handle, and how many of its reports the service has already."""
        raise NotImplementedError

    def send_result(self, trial: TrackedTrial, number: int, result: ResultDict) -> None:
        """Send a report: the ``number``-th of the trial, from 0, flat."""

    def send_config(self, trial: TrackedTrial) -> None:
        """The trial's configuration has changed."""

    def send_checkpoint(self, trial: TrackedTrial, name: str) -> None:
        """The trial has saved a checkpoint: a folder in ``trial.path``."""

    def send_end(self, trial: TrackedTrial, status: str) -> None:
        """Close a trial's log: it is ``finished``, has ``failed``, or was ``interrupted``."""

    def send_pause(self) -> None:
        """All that is in the journal so far was sent: make it seen, if sending alone does not."""

    def send_goodbye(self, best: TrackedTrial | None) -> None:
        """The run is over, and everything was sent."""

    # --- callbacks ----------------------------------------------------------------------------------------------------

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: object) -> None:
        """The first one starts the thread."""
        if self._thread is None:
            folder = os.path.dirname(os.path.abspath(trial.path))
            self._thread = threading.Thread(target=self._run, args=(folder,), name=type(self).__name__, daemon=True)
            self._thread.start()

    def on_step_end(self, iteration: int, trials: Any, **info: object) -> None:
        """There may be something to send."""
        if not self._wake.is_set():
            self._wake.set()

    def on_experiment_end(self, trials: Any, **info: object) -> None:
        """Wait for what is still to be sent."""
        thread = self._thread
        if thread is None:
            return
        self._closing.set()
        self._wake.set()
        thread.join(min(ANNOUNCE_S, self._finish_s))
        wait_s = self._finish_s
        if thread.is_alive() and wait_s > ANNOUNCE_S:
            why = self.unreachable()
            wait_s = min(wait_s, UNREACHED_S) if why else wait_s
            still = f"it is still sending, and {why}" if why else "it is still sending"
            self._say(still, f"the end of the run waits {wait_s - ANNOUNCE_S:g} s more for it at most (finish_s)")
            thread.join(wait_s - ANNOUNCE_S)
        if thread.is_alive():
            self._say(f"it has not sent everything after {wait_s:g} s", "what is missing is in the journal only")
        else:
            self._thread = None
            self._closing.clear()

    def get_state(self) -> dict[str, Any]:
        """The trials whose logs are complete."""
        with self._lock:
            return {"done": sorted(self._done)}  # the others are looked at again after a restore

    def set_state(self, state: dict[str, Any]) -> None:
        """Leave out the trials whose logs are complete."""
        self._done = set(state.get("done", ()))

    def __getstate__(self) -> dict[str, object]:
        """What a restored run needs of it: the arguments, no threads and no connections."""
        state = dict(self.__dict__)
        for name in ("_thread", "_wake", "_closing", "_lock"):
            state[name] = None
        state.update(_tracked={}, _connected=False, _refused=False, _said=set())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._wake, self._closing, self._lock = threading.Event(), threading.Event(), threading.Lock()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self, folder: str) -> None:
        try:
            follower = _follower(folder, self)
            while True:
                closing = self._closing.is_set()
                self._wake.clear()
                try:
                    follower.refresh()
                except _NotReachedError:
                    if closing:
                        self._say(
                            "nothing was sent", "all of it is in the journal, and Tuner.restore(...).fit() sends it"
                        )
                        return
                    self._closing.wait(AGAIN_S)
                    self._connected = False
                    follower = _follower(folder, self)  # from the journal's beginning
                    continue
                self._guarded("writing", self.send_pause)
                if closing:
                    break
                self._wake.wait(5.0)
                time.sleep(POLL_S if not self._closing.is_set() else 0.0)  # gather some events
            self._finish(follower)
        except Exception as error:
            self._say(f"it stopped: {type(error).__name__}: {error}", "the run goes on; nothing more is sent")

    def _finish(self, follower: Any) -> None:
        for index in list(self._tracked):
            self._end(index, "interrupted", done=False)
        best = follower.experiment.best_known
        if self._connected and not self._refused:
            self._guarded("goodbye", lambda: self.send_goodbye(self._made(best, follower.experiment) if best else None))

    def _event(self, event: Any, experiment: Any) -> None:
        index = getattr(event, "trial", -1)
        if index < 0 or index in self._done or self._refused:
            return
        kind = type(event)
        trial = experiment.trials[index]
        if kind is ev.Launched:
            self._open(trial, experiment)
            return
        tracked = self._tracked.get(index)
        if tracked is None or tracked.broken:
            return
        if kind is ev.Reported and trial.last is event:
            self._report(tracked, event)
        elif kind is ev.Saved:
            self._sending(tracked, lambda: self.send_checkpoint(tracked, event.checkpoint))
        elif kind is ev.Decided and event.do == "stop":
            tracked.decided = event.why
        elif kind is ev.Decided and event.config is not None:
            self._sending(tracked, lambda: self.send_config(tracked))
        if trial.status in (TERMINATED, ERROR):
            self._end(index, "failed" if trial.status is ERROR else "finished")

    def _made(self, trial: Trial, experiment: Any) -> TrackedTrial:
        name, at = experiment.header.name, experiment.header.at
        key = hashlib.sha256(f"{name}\n{at!r}\n{trial.index}".encode("utf-8", "replace")).hexdigest()[:32]
        return TrackedTrial(trial, experiment.folder, name, key, experiment.header.metric)

    def _open(self, trial: Trial, experiment: Any) -> None:
        if trial.index in self._tracked:
            return
        if not self._connected:
            self._connected = True
            name, folder = experiment.header.name, experiment.folder
            try:
                if not self._guarded("connecting", lambda: self.send_connect(name, folder), ConnectionError):
                    self._refused = True
                    return
            except ConnectionError as error:
                text = f"{' '.join(str(error).split())[:400]} (connecting)"
                self._say(text, "the run goes on, and it is tried again until the run ends", "connecting")
                raise _NotReachedError from error
        tracked = self._made(trial, experiment)
        self._tracked[trial.index] = tracked

        def open_it() -> None:
            tracked.handle, tracked.sent = self.send_open(tracked)

        self._sending(tracked, open_it)

    def _report(self, tracked: TrackedTrial, event: ev.Reported) -> None:
        if event.iteration > tracked.reached:
            tracked.reached = event.iteration
            self._send_report(tracked, event)
        checkpoint = event.checkpoint
        if checkpoint is not None:
            self._sending(tracked, lambda: self.send_checkpoint(tracked, checkpoint))

    def _send_report(self, tracked: TrackedTrial, event: ev.Reported) -> None:
        number = tracked.seen
        tracked.seen += 1
        if number >= tracked.sent:
            result = flatten({key: value for key, value in result_of(event).items() if key not in _NOT_METRICS})
            self._sending(tracked, lambda: self.send_result(tracked, number, result))
            tracked.sent = number + 1

    def _end(self, index: int, status: str, done: bool = True) -> None:
        tracked = self._tracked.pop(index)
        whole = not tracked.broken and self._sending(tracked, lambda: self.send_end(tracked, status))
        if whole and done:
            with self._lock:
                self._done.add(index)

    def _sending(self, tracked: TrackedTrial, action: object) -> bool:
        well = self._guarded(f"trial {tracked.trial_id}", action)
        if not well:
            tracked.broken = True
        return well

    def _guarded(self, what: str, action: Any, passes: type[Exception] | tuple[()] = ()) -> bool:
        try:
            action()
        except passes:
            raise
        except Exception as error:
            kind = type(error).__name__
            self._say(f"{kind}: {' '.join(str(error).split())[:400]} ({what})", "the run goes on", kind)
            return False
        return True

    def _say(self, found: str, then: str, once: str = "") -> None:
        if once and once in self._said:
            return
        self._said.add(once)
        with contextlib.suppress(OSError, ValueError):
            print(f"{type(self).__name__}: {found}; {then}.", file=sys.stderr)


class _NotReachedError(Exception):
    """The service cannot be reached yet."""


def refusal(url: str, within_s: float = 3.0) -> str:
    """Why nobody listens at an ``http`` address, in words; empty if somebody does, or a proxy stands between."""
    import socket
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    if parts.scheme in getproxies() and not proxy_bypass(parts.hostname):
        return ""
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname, port), within_s).close()
    except (OSError, ValueError, UnicodeError) as error:
        return f"{parts.scheme}://{parts.hostname}:{parts.port or ''}".rstrip(":") + (
            f" cannot be reached: {getattr(error, 'strerror', None) or error}"
        )
    return ""


def numbers_of(result: Metrics, finite: bool = False) -> dict[str, float]:
    """The numbers of a flat result; booleans count as 0 and 1."""
    found = {name: float(v) if isinstance(v, bool) else v for name, v in result.items() if isinstance(v, (int, float))}
    return {name: v for name, v in found.items() if is_finite(v)} if finite else found


def is_finite(value: float) -> bool:
    """Whether a number is finite, also as the float that services keep."""
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def step_of(result: Metrics) -> int:
    """The step that people count by: ``timesteps_total`` if it is reported, else the iteration."""
    return int(result.get("timesteps_total") or result["training_iteration"])


def in_trial() -> Any:
    """The context of the trial that this code runs in, or None."""
    from tune_core.trainable.session import get_context, in_session

    return get_context() if in_session() else None
