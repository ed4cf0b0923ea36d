"""Where the loop's suggestions come from: the searcher, asked in a thread so that a slow one holds up nobody.

Asks and tells go through one queue, so their order is known and journaled: a suggestion carries the number of tells
that came before it. Restoring repeats the same asks and tells in that order. A searcher whose suggestion *i* depends
on the seed and *i* alone is asked directly, and nothing is repeated. One that cannot repeat itself is told what it
suggested. One that can say on what its next suggestion depends is not asked again what it was asked before the last
moment that was kept (:mod:`tune_core.journal.kept_search`): it is given back its answers, and goes on from there.

A searcher is asked for the trial that a free worker is waiting for, so that it knows all results by then. One that
takes long, measured against the trials, is asked for the next one already while several workers are busy.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tune_core.core.events import WAITS_FOR_SCHEDULER, Reported
from tune_core.core.values import Config, JsonObject, ResultDict
from tune_core.errors import SearchSpaceError, UserCodeError
from tune_core.journal.kept_search import Moment
from tune_core.search.base import Searcher
from tune_core.space.sampling import equal

_log = logging.getLogger(__name__)

SLOW_SHARE = 0.005
"""A searcher that needs more than this share of a trial's time is asked ahead..."""
SLOW_S = 0.02
"""...if it also needs more than so many seconds. A quick one is always asked with all results known: that is worth more
than the moment that a worker waits."""

KEEP_S = 1.0
"""After so many seconds of asking, where the searcher stands is kept again: a restore asks for no more than that."""
_MOST_REPEATED = 1000
"""So many asks and tells may wait to be repeated: each holds a result."""


class Suggestions:
    """Asks and tells one searcher.

    Parameters
    ----------
    searcher
        Whom to ask.
    limit
        How many suggestions to ask for; None: until the searcher says that it is finished.
    wake
        Called when an answer has come in.
    """

    def __init__(self, searcher: Searcher, limit: int | None, wake: Callable[[], None]) -> None:
        self.searcher = searcher
        self.limit = limit
        self.asked = 0
        self.told = 0
        self.finished = False
        self._results_wanted = _wants_results(searcher)
        #: Whether the searcher does anything with the result that a trial ended with.
        self.hears_ends = _hears_ends(type(searcher))
        self._innermost = _innermost(searcher)
        self._direct = searcher.stateless
        self._wake = wake
        self._jobs: queue.SimpleQueue[tuple[Callable[[], None], bool] | None] = queue.SimpleQueue()
        self._ready: deque[Any] = deque()
        self._submitted = 0  # asks handed to the thread; changed by the loop only
        self._answered = 0  # asks answered; changed by the thread only
        self._next_id = 0  # number of the next suggestion; changed by the thread only
        self.last_why = ""  # what spoke for the suggestion that next() returned last
        self.last_told = 0  # tells that came before the suggestion that next() returned last
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None
        self._replay_tells: deque[Callable[[], None]] = deque()
        self._replayed_tells = 0
        self._ask_s = 0.0  # moving averages
        self._trial_s = 0.0
        self._not_now_at = -1
        self.repeat_mismatches = 0
        self.moment: Moment | None = None  # where the searcher stood at the last ask that was worth keeping
        self._begins: str | None = None  # what tells the searcher from others, if it can say where it stands
        self._thought_s = 0.0  # time of asks since the last moment
        self._told_done = 0  # tells that the searcher has been given; changed by the thread only
        self._recalls: Moment | None = None  # up to there suggestions are given back, until it stands there
        self._repeats = threading.Semaphore(_MOST_REPEATED)

    # --- asking -------------------------------------------------------------------------------------------------------

    def next(self) -> Config | None:
        """A configuration, or None if there is none now (it may be under way) or never (``finished``)."""
        if self._failure is not None:
            raise self._failure
        if self.finished:
            return None
        if self._direct:
            if self._is_over():
                return None
            answer = self._call("suggest", f"{self.asked:05d}")
            if answer is None:
                self._not_now_at = self.told
            self.last_why = str(getattr(self._innermost, "last_reason", ""))
            return self._take(answer)
        while self._ready:
            number, answer, self.last_why = self._ready.popleft()
            if answer is None:
                self._not_now_at = number
                continue
            taken = self._take(answer)
            if taken is not None:
                self.last_told = number
                return taken
            if self.finished:
                return None
        if not self._is_over():
            self._ask_for(1)
        return None

    def prepare(self, running: int) -> None:
        """Ask ahead if the searcher is slow against the trials: called when all workers are busy.

        Never where trials run one after another: each then starts with all results known, and the run depends on its
        seed alone, however long the searcher takes.
        """
        if self._direct or self.finished or running <= 1:
            return
        if self._ask_s <= SLOW_S:
            wanted = 0
        elif self._trial_s <= 0:
            wanted = 1
        elif self._ask_s > SLOW_SHARE * self._trial_s:
            busy = self._ask_s * running / self._trial_s  # share of its time that the searcher is needed
            wanted = min(running, 1 + math.ceil(busy - 0.1))
        else:
            wanted = 0
        self._ask_for(wanted - len(self._ready))

    def is_busy(self) -> bool:
        """Whether an answer is under way or waits to be taken."""
        return self._submitted > self._answered or bool(self._ready)

    def _is_over(self) -> bool:
        if self.limit is not None and self.asked >= self.limit:
            self.finished = True
        return self.finished

    def _ask_for(self, wanted: int) -> None:
        """Keep up to ``wanted`` asks under way."""
        if self._not_now_at == self.told:
            return  # it said "not now", and nothing has changed since
        under_way = self._submitted - self._answered
        untaken = under_way + len(self._ready)
        room = wanted if self.limit is None else min(wanted, self.limit - self.asked - untaken + under_way)
        for _ in range(room - under_way):
            self._submitted += 1
            told = self.told
            self._submit(lambda told=told: self._ask(told))  # type: ignore[misc]

    def _ask(self, told: int) -> None:
        """In the thread: one ask."""
        began = time.perf_counter()
        try:
            answer = self._call("suggest", f"{self._next_id:05d}")
            if isinstance(answer, Mapping):
                self._next_id += 1
            self._ready.append((told, answer, reason_of(self.searcher)))
        finally:
            took = time.perf_counter() - began
            self._ask_s = took if not self._ask_s else 0.8 * self._ask_s + 0.2 * took
            self._thought_s += took
            self._answered += 1
        if self._thought_s >= KEEP_S and isinstance(answer, Mapping):
            self._note_moment()

    def retry(self) -> None:
        """Ask again although nothing has changed since the searcher said "not now"."""
        self._not_now_at = -1

    def _take(self, answer: Any) -> Config | None:
        if answer == Searcher.FINISHED:
            self.finished = True
            return None
        if answer is None:
            return None
        if answer.__class__ is not dict and not isinstance(answer, Mapping):
            raise UserCodeError(
                f"{type(self.searcher).__name__}.suggest",
                f"returned {answer!r}",
                "a suggestion is a dict, None (not now) or Searcher.FINISHED",
                "Return the configuration as a dict.",
            )
        self.asked += 1
        return dict(answer)

    # --- telling ------------------------------------------------------------------------------------------------------

    def tell(self, trial_id: str, result: ResultDict | None, error: bool, took_s: float, pruned: bool = False) -> None:
        """Pass on how a trial ended."""
        self.told += 1
        if took_s > 0:
            self._trial_s = took_s if not self._trial_s else 0.8 * self._trial_s + 0.2 * took_s
        if self._direct:
            self._tell_end(trial_id, result, error, pruned)
        else:
            self._submit(lambda: self._tell_end(trial_id, result, error, pruned))

    def _tell_end(self, trial_id: str, result: ResultDict | None, error: bool, pruned: bool) -> None:
        self._told_done += 1
        try:
            tell_end(self.searcher, trial_id, result, error, pruned)
        except Exception as raised:
            raise self._blame("on_trial_complete", raised) from raised

    @property
    def hears_results(self) -> bool:
        """Whether there may be results, before the last ones of trials, that the searcher is told."""
        return bool(self._results_wanted)

    @property
    def hears_every_result(self) -> bool:
        """Whether these may be any, and not only those of rungs."""
        return self._results_wanted == "all"

    def wants(self, event: Reported) -> bool:
        """Whether the searcher is to be told this result: of a rung, where a scheduler decides, or any."""
        if not self._results_wanted:
            return False
        return self._results_wanted == "all" or event.waiting == WAITS_FOR_SCHEDULER

    def tell_result(self, trial_id: str, result: ResultDict) -> None:
        """Pass on an intermediate result."""
        self.told += 1
        if self._direct:
            self._guard(lambda searcher: searcher.on_trial_result(trial_id, result), "on_trial_result")
        else:
            tell: Callable[[Any], None] = lambda searcher: searcher.on_trial_result(trial_id, result)  # noqa: E731
            self._submit(lambda: self._guard(tell, "on_trial_result"))

    # --- repeating ----------------------------------------------------------------------------------------------------

    def go_on_from(self, moment: Moment) -> None:
        """On restore, before anything is repeated: where the searcher stood, for :meth:`repeat_ask` to go by.

        It is left aside if the searcher is another one, or cannot go on from there.
        """
        if self._direct or self._begun() != moment.begins:
            return
        try:
            self.searcher.set_resume_state(moment.state)  # to see whether it can; its place is behind the last tell
        except Exception as error:
            _log.debug("The searcher is asked again, since it cannot go on from %r: %s", moment.state, error)
            return
        self._recalls = moment

    def repeat_ask(self, index: int, config: Config | None, told: int, reason: str = "") -> None:
        """On restore: the suggestion that was number ``index``, made after ``told`` tells; None: it is lost."""
        if not self._direct and config is not None:
            self._repeat_tells(told)
        self.asked = self._next_id = max(self.asked, index + 1)
        if self._direct or config is None:
            return
        trial_id = f"{index:05d}"
        if self._recalls is not None and index < self._recalls.asked:
            self._repeat(lambda: self._call("recall", trial_id, config, reason))
            self._stand(index + 1)
            return
        self._stand(index, at_once=True)

        def ask() -> None:
            if getattr(self.searcher, "replays", True) and not self.repeat_mismatches:
                began = time.perf_counter()
                answer = self._call("suggest", trial_id)
                self._thought_s += time.perf_counter() - began
                if equal(answer, config):
                    return
                self.repeat_mismatches += 1  # it goes another way than it did then: what ran is all that it can be told
            if hasattr(self.searcher, "adopt"):  # searchers written for Ray Tune lack it
                self._call("adopt", trial_id, config)

        self._repeat(ask)

    @property
    def is_told_again(self) -> bool:
        """Whether tells are repeated on a restore: not to a searcher whose suggestions do not depend on them."""
        return not self._direct

    def repeat_tell(self, tell: Callable[[Searcher], None]) -> None:
        """On restore: a tell, in the order in which it was made."""
        self.told += 1
        if not self._direct:
            self._replay_tells.append(lambda: self._guard(tell))

    def end_repeating(self) -> None:
        """All of the journal has been repeated."""
        self._repeat_tells(self.told)
        self._stand(self.asked, at_once=True)

    def _repeat_tells(self, told: int) -> None:
        while self._replay_tells and self._replayed_tells < told:
            self._repeat(self._replay_tells.popleft())
            self._replayed_tells += 1
            self._stand(self.asked)

    def _stand(self, asked: int, at_once: bool = False) -> None:
        """Have the searcher stand where it stood at the moment that was kept, if this is it, or ``at_once``."""
        moment = self._recalls
        if moment is not None and (at_once or (moment.asked, moment.told) == (asked, self._replayed_tells)):
            self._recalls = None
            self._repeat(lambda: self._call("set_resume_state", moment.state))

    def _repeat(self, job: Callable[[], object]) -> None:
        self._repeats.acquire()

        def repeated() -> None:
            try:
                job()
            finally:
                self._repeats.release()

        self._submit(repeated, wakes=False)

    # --- where the searcher stands ------------------------------------------------------------------------------------

    def last_moment(self) -> Moment | None:
        """Where the searcher stands, or stood last, when the run is over; None if that is not worth keeping."""
        self.close()
        done = self._thread is not None and not self._thread.is_alive()
        if done and self._failure is None and self._next_id == self.asked and self._thought_s >= KEEP_S / 2:
            self._note_moment()
        return self.moment if self.moment is not None and self.moment.asked <= self.asked else None

    def _begun(self) -> str:
        """What tells the searcher, before it is asked or told anything, from others; empty if it cannot be kept."""
        if self._begins is None:
            import hashlib  # with all of OpenSSL: for searchers that are slow enough for their state to be kept

            state = self._state()
            self._begins = hashlib.sha256(msgspec.json.encode(state)).hexdigest() if state is not None else ""
        return self._begins

    def _state(self) -> JsonObject | None:
        if not hasattr(self.searcher, "resume_state"):  # written for Ray Tune
            return None
        return self._call("resume_state")  # type: ignore[no-any-return]

    def _note_moment(self) -> None:
        """Note where the searcher stands, which the loop keeps once what it was asked and told is in the journal."""
        self._thought_s = 0.0
        state = self._state() if self._begun() else None
        if state is not None:
            self.moment = Moment(asked=self._next_id, told=self._told_done, begins=self._begun(), state=state)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the thread once what was submitted is done."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(timeout=5.0)

    def _submit(self, job: Callable[[], None], wakes: bool = True) -> None:
        """Hand a job to the thread; the loop waits for none that does not wake it."""
        if self._thread is None:
            self._begun()
            self._thread = threading.Thread(target=self._work, name="tune-core-searcher", daemon=True)
            self._thread.start()
        self._jobs.put((job, wakes))

    def _work(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, wakes = given
            try:
                job()
            except Exception as error:
                self._failure = self._failure or error
                wakes = True
            if wakes:
                self._wake()

    def _guard(self, tell: Callable[[Searcher], None], method: str = "on_trial_complete") -> None:
        self._told_done += 1
        try:
            tell(self.searcher)
        except (UserCodeError, SearchSpaceError):  # it says whose it is already
            raise
        except Exception as error:
            raise self._blame(method, error) from error

    def _call(self, method: str, *args: object) -> Any:
        try:
            return getattr(self.searcher, method)(*args)
        except (UserCodeError, SearchSpaceError):  # it says whose it is already
            raise
        except Exception as error:
            raise self._blame(method, error) from error

    def _blame(self, method: str, error: Exception) -> UserCodeError:
        return UserCodeError(
            f"{type(self.searcher).__name__}.{method}",
            f"raised {type(error).__name__}: {error}",
            "the searcher is at fault, not the trials",
            "All results so far are kept: mend the searcher and restore the run with Tuner.restore.",
        )


def _wants_results(searcher: object) -> str:
    """Which intermediate results a searcher, or the one that it wraps, does something with: all, rungs' or none."""
    inner = getattr(searcher, "searcher", None)
    if inner is not None and hasattr(inner, "suggest"):
        return _wants_results(inner)
    if getattr(type(searcher), "on_trial_result", None) is Searcher.on_trial_result:
        return ""
    return str(getattr(searcher, "results_wanted", "all"))


def reason_of(searcher: object) -> str:
    """What speaks for a searcher's last suggestion, in the words of the one that it wraps; empty if it does not say."""
    return str(getattr(_innermost(searcher), "last_reason", ""))


def _hears_ends(kind: type) -> bool:
    """Whether searchers of this class may read the result that a trial ended with: else none is put together."""
    ignores = getattr(getattr(kind, "on_trial_complete", None), "ignores_result", False)
    return not ignores or getattr(kind, "on_trial_pruned", None) is not Searcher.on_trial_pruned


def _innermost(searcher: object) -> object:
    """The searcher that makes the suggestions, where others are wrapped around it."""
    inner = getattr(searcher, "searcher", None)
    return _innermost(inner) if inner is not None and hasattr(inner, "suggest") else searcher


def tell_end(searcher: Any, trial_id: str, result: ResultDict | None, error: bool, pruned: bool) -> None:
    """Tell a searcher how a trial ended; those written for Ray Tune know no pruned ones."""
    if pruned and result is not None and hasattr(searcher, "on_trial_pruned"):
        searcher.on_trial_pruned(trial_id, result)
    else:
        searcher.on_trial_complete(trial_id, result, error)
