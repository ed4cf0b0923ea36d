"""The trials of a large experiment that is over, none of them read before somebody asks for it.

Beside the journal lies how each trial ended, in a few bytes: its status, its best loss, and that of its last known
value. All else of a trial is read from its own lines in the journal, by the index. From the third hundredth trial that
is asked for one by one, or the first question that needs them all, the whole journal is read.

The file is derived: it belongs to a journal of one size and time of change, is left aside where it is missing, old or
damaged, and made anew by whoever reads the whole journal. A trial whose lines tell otherwise than the file is reason to
read them all. The journal stays open, so that what was found once stays so, whatever becomes of the folder.
"""

from __future__ import annotations

import contextlib
import heapq
import io
import math
import os
import sys
import threading
import weakref
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import msgspec

from tune_core.core import events as ev
from tune_core.core.best_trial import RankedTrials, best_of
from tune_core.core.collecting import no_collection
from tune_core.core.files import open_regular
from tune_core.core.objective import Objective
from tune_core.core.trial import RUNNING, IllegalTransitionError, Status, Trial, known_value
from tune_core.core.values import JsonObject
from tune_core.engine.controller import Controller
from tune_core.engine.recorded_decisions import PassiveScheduler
from tune_core.engine.rules import Rules
from tune_core.engine.state import MOST_NOTES
from tune_core.errors import JournalError
from tune_core.journal import kept_index
from tune_core.journal.format import JOURNAL_FILE, Gap, decode_events
from tune_core.journal.reader import Reader
from tune_core.journal.trial_index import TrialIndex, index_of
from tune_core.results.experiment_reader import Experiment, TailReader, made_readable, read_experiment, warn_of_damage
from tune_core.storage.local import write_bytes_atomic

if TYPE_CHECKING:
    from tune_core.core.events import Header

TRIALS_FILE = "journal.trials"
MOST_ALONE = 200
"""So many trials are read one by one; who wants more gets them all from one pass over the journal."""
_FORMAT = 1
_STATUSES = tuple(Status)
_CODES = {status: code for code, status in enumerate(_STATUSES)}
_MISFITS = (IllegalTransitionError, LookupError, ValueError, TypeError, AttributeError, AssertionError, JournalError)


# --- the file ---------------------------------------------------------------------------------------------------------


class _Table(NamedTuple):
    """What the file tells of all trials, each array with one number a trial."""

    stamp: tuple[int, int]
    """The journal's size and time of change."""
    last_at: float
    """The time of the last event; 0 where only the journal's last line tells it."""
    notes: list[str]
    """The notes on single trials, and on the run."""
    statuses: bytes
    best: array[float]
    """Each trial's best loss; NaN without a result that has the metric."""
    last: array[float]
    """The loss of each trial's last known value; NaN without one."""


def keep(
    folder: str,
    header: Header,
    controller: Controller,
    stamp: tuple[int, int],
    notes: Sequence[str],
    last_at: float = 0.0,
) -> None:
    """Keep how the trials of a large experiment ended, where each trial's own lines tell the rest.

    Nothing is kept of runs that are not over, nor where what became of one trial may follow from another's events, or
    trials are not called by their numbers.

    Parameters
    ----------
    stamp
        The journal's size and time of change, before it was read or after it was closed.
    notes
        What was noted, the first first.
    last_at
        The time of the last event.
    """
    trials = controller.trials
    if stamp[0] < kept_index.LEAST_BYTES or controller.finished is None or controller.is_entangled:
        return
    if not trials or len(notes) > MOST_NOTES or any(trial.folder or trial.foreign_id for trial in trials):
        return
    statuses, best, last = _columns(trials, controller.objective)
    known = {
        "format": _FORMAT,
        "byteorder": sys.byteorder,
        "size": stamp[0],
        "mtime_ns": stamp[1],
        "count": len(trials),
        "last_at": last_at,
        "notes": list(notes),
        "metric": header.metric,
    }
    head = msgspec.json.encode(known) + b"\n"
    body = statuses + best.tobytes() + last.tobytes()
    with contextlib.suppress(OSError):
        path = os.path.join(folder, TRIALS_FILE)
        write_bytes_atomic(path, b"%d\n%b%b" % (zlib.crc32(body, zlib.crc32(head)), head, body))


def _columns(trials: Sequence[Trial], objective: Objective | None) -> tuple[bytes, array[float], array[float]]:
    """Statuses, best losses and losses of the last known values."""
    best = array("d", [math.nan if trial.best is None else trial.best_loss for trial in trials])
    last = array("d")
    if objective is not None:
        metric, as_loss = objective.metric, objective.as_loss
        values = [known_value(trial, metric) for trial in trials]
        last.extend([math.nan if value is None else as_loss(value) for value in values])
    return bytes([_CODES[trial.status] for trial in trials]), best, last


def _load(folder: str, header: Header, stamp: tuple[int, int]) -> _Table | None:
    """What is kept beside a journal of that size and time of change; None if there is nothing that is whole."""
    try:
        with open(open_regular(os.path.join(folder, TRIALS_FILE), os.O_RDONLY), "rb") as file:
            crc, head, body = file.readline(1 << 12), file.readline(1 << 24), file.read()
        if int(crc) != zlib.crc32(body, zlib.crc32(head)):
            return None
        known: JsonObject = msgspec.json.decode(head)
        if (known["format"], known["byteorder"], known["metric"]) != (_FORMAT, sys.byteorder, header.metric):
            return None
        if (known["size"], known["mtime_ns"]) != stamp:
            return None
        count, best, last = known["count"], array("d"), array("d")
        statuses = body[:count]
        best.frombytes(body[count : 9 * count])
        last.frombytes(body[9 * count :])
        if len(statuses) != count or len(best) != count or len(last) != (count if header.metric else 0):
            return None
        if max(statuses, default=0) >= len(_STATUSES):
            return None
        return _Table(stamp, float(known["last_at"]), list(map(str, known["notes"])), statuses, best, last)
    except (OSError, ValueError, LookupError, TypeError, msgspec.MsgspecError):
        return None


# --- the experiment ---------------------------------------------------------------------------------------------------


def read_by_need(folder: str) -> Experiment:
    """An experiment as its journal tells it now; of a large one that is over, trials are read as they are asked for.

    Raises, Warns
    -------------
    As :func:`read_experiment`.
    """
    path = os.path.join(folder, JOURNAL_FILE)
    stamp = _stamp_of(path)
    if stamp is None or stamp[0] < kept_index.LEAST_BYTES:
        return read_experiment(folder)
    known = _open(folder, path)
    if known is not None:
        return known
    experiment = read_experiment(folder)
    if not experiment.damage:
        keep(folder, experiment.header, experiment.controller, stamp, experiment.notes, experiment.last_at)
    return experiment


def _stamp_of(path: str) -> tuple[int, int] | None:
    try:
        about = os.stat(path, follow_symlinks=False)
    except OSError:  # it is said by who reads it
        return None
    return about.st_size, about.st_mtime_ns


def _open(folder: str, path: str) -> Experiment | None:
    """The experiment, if it is kept beside its journal how its trials ended; None if the journal must be read."""
    try:
        descriptor = open_regular(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        lines = _Lines(descriptor, folder)
        table = _load(folder, lines.header, lines.stamp)
        if table is None or not lines.find():
            raise LookupError
        run = _Few(lines.header)
        last_at = run.take(lines.of(range(0)))
        if run.finished is None or run.is_entangled:
            raise LookupError
    except _MISFITS:
        os.close(descriptor)
        return None
    run.trials = KeptTrials(folder, table, lines)  # type: ignore[assignment]
    run.counts = Counter({_STATUSES[code]: number for code, number in Counter(table.statuses).items()})
    return Experiment(folder, lines.header, run, table.notes, 0, max(last_at, table.last_at))


class _Some(dict[int, Trial]):
    """Some of a run's trials, by index, in the place of the list of all."""

    before = 0  # how many trials come before the one that is to be added

    def append(self, trial: Trial) -> None:
        self[trial.index] = trial

    def __len__(self) -> int:
        return self.before

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())


class _Few(Controller):
    """A controller that is shown the events of a few trials, and of the whole run."""

    def __init__(self, header: Header) -> None:
        super().__init__(Rules.of(header), PassiveScheduler(header.metric, header.mode))
        self._header_at = header.at
        self._some = _Some()
        self.trials = self._some  # type: ignore[assignment]

    def take(self, events: list[Any]) -> float:
        """Apply events; the time of the last one."""
        last_at = self._header_at
        for event in events:
            if type(event) is Gap:
                raise ValueError("the journal is damaged")
            if type(event) is ev.Suggested:
                self._some.before = event.trial
            made_readable(event)
            self.apply(event)
            last_at = max(last_at, getattr(event, "at", 0.0))
        return last_at

    @property
    def best_known(self) -> Trial | None:
        return best_of(self.trials, self.rules.constraints)


class _Lines:
    """The lines of a journal that is open, by its index, as far as it went when it was opened."""

    def __init__(self, descriptor: int, folder: str) -> None:
        self._descriptor = descriptor
        self._path = os.path.join(folder, JOURNAL_FILE)
        about = os.fstat(descriptor)
        self.stamp = about.st_size, about.st_mtime_ns
        self._reader = Reader.of_open(self.file, self._path, about.st_size)
        self.header = self._reader.header
        self.objective = Objective(self.header.metric, self.header.mode or "max") if self.header.metric else None
        self._index: TrialIndex | None = None

    def file(self) -> IO[bytes]:
        """The journal, with a place of its own to read at."""
        return io.BufferedReader(_Shared(self._descriptor))

    def find(self) -> bool:
        """Whether there is an index of it; where there is none yet, it is made."""
        begin, size = self._reader.size_bytes, self.stamp[0]
        for attempt in range(2):
            index = TrialIndex.kept_beside(self._path, begin)
            if index.scanner.at == size and index.stamp == self.stamp and not index.gaps:
                self._index = index
                return index.update(self.file())
            if attempt == 0:
                index_of(self._path, self.file(), begin)
        return False

    def of(self, trials: int | range) -> list[Any]:
        """The events of trials and of the whole run."""
        assert self._index is not None
        found = self._index.lines_of(trials, self.file())
        if found is None:
            raise ValueError("the journal has changed")
        events: list[Any] = []
        for lines in found:
            events += [lines] if isinstance(lines, Gap) else decode_events(lines, self._path, self.header.version)
        return events

    def everything(self, folder: str) -> Experiment:
        """All trials, as far as the journal went when it was opened."""
        experiment = TailReader(folder, Reader.of_open(self.file, self._path, self.stamp[0])).refresh()
        warn_of_damage(folder, experiment.damage)
        return experiment


class _Shared(io.RawIOBase):
    """An open file, read from a place of this object's own: other objects and forked processes have theirs."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        self._at = (os.fstat(self._descriptor).st_size if base is None else base) + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._descriptor, len(buffer), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


# --- the trials -------------------------------------------------------------------------------------------------------


class KeptTrials(RankedTrials):
    """All trials of an experiment; what is not known of them is read when it is asked for.

    A loop over them gives stand-ins, which know their number, status and best loss, and read the rest.
    """

    def __init__(self, folder: str, table: _Table, lines: _Lines) -> None:
        self._folder = folder
        self._table = table
        self._lines: _Lines | None = lines
        self._release = weakref.finalize(self, os.close, lines._descriptor)
        self._alone: dict[int, Trial] = {}
        self._all: list[Trial] | None = None
        self._objective = lines.objective
        self._is_current = True  # whether the table is that of the trials that were read
        self._lock = threading.RLock()

    def __reduce__(self) -> Any:
        return list, (list(self.all()),)

    def __len__(self) -> int:
        return len(self._table.statuses) if self._all is None else len(self._all)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            numbers = range(len(self))[index]
            return self.all()[index] if len(numbers) > MOST_ALONE else [self[number] for number in numbers]
        number = range(len(self))[index]
        with self._lock:
            if self._all is None and number not in self._alone:
                self._read(number)
            return self._alone[number] if self._all is None else self._all[number]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all) if self._all is not None else (_Trial(self, number) for number in range(len(self)))

    def all(self) -> list[Trial]:
        """Every trial, read."""
        with self._lock:
            if self._all is None:
                assert self._lines is not None
                self._all = self._lines.everything(self._folder).trials
                for number, trial in self._alone.items():  # whoever has one finds the same one here
                    self._all[number] = trial
                self._alone.clear()
                self._lines, self._is_current = None, False
                self._release()
            return self._all

    def _read(self, number: int) -> None:
        """Read one trial; all where that is better, or its lines do not tell what was kept."""
        assert self._lines is not None
        if len(self._alone) < MOST_ALONE:
            with contextlib.suppress(*_MISFITS), no_collection():
                few = _Few(self._lines.header)
                few.take(self._lines.of(number))
                trial = few.trials[number]
                if not few.is_entangled and self._is_as_kept(trial):
                    self._alone[number] = trial
                    return
            self._alone.clear()  # the journal is another one than was thought
        self.all()

    def _is_as_kept(self, trial: Trial) -> bool:
        table, at = self._table, slice(trial.index, trial.index + 1)
        kept = table.statuses[at], table.best[at].tobytes(), table.last[at].tobytes()
        status, best, last = _columns([trial], self._objective)
        return kept == (status, best.tobytes(), last.tobytes())

    # --- what is known ------------------------------------------------------------------------------------------------

    def _known(self) -> _Table:
        """The table, or, once the trials have been read, what they say."""
        if self._all is not None and not self._is_current:
            self._table = _Table(*self._table[:3], *_columns(self._all, self._objective))
            self._is_current = True
        return self._table

    def status_of(self, number: int) -> Status:
        """A trial's status."""
        return _STATUSES[self._known().statuses[number]]

    def best_loss_of(self, number: int) -> float:
        """A trial's best loss; infinity without one."""
        best = self._known().best[number]
        return best if best == best else math.inf

    def first(self, by: str) -> Trial | None:
        table = self._known()
        losses = table.best if by == "best" else table.last
        least = min((loss for loss in losses if loss == loss), default=math.inf)
        if least == math.inf:
            return None
        found: Trial = self[losses.index(least)]
        return found if table is self._known() else self.first(by)  # its lines have told otherwise

    def ranked(self, limit: int) -> list[Trial]:
        if limit > MOST_ALONE:
            self.all()
        table = self._known()
        running = _CODES[RUNNING]

        def key(number: int) -> tuple[bool, bool, float, int]:
            best = table.best[number]
            return table.statuses[number] != running, best != best, best if best == best else 0.0, -number

        chosen = heapq.nsmallest(limit, range(len(table.statuses)), key=key)
        found = [self[number] for number in chosen]
        return found if table is self._known() else self.ranked(limit)


class _Trial:
    """Stands for one trial, and reads it when it must."""

    __slots__ = ("_of", "index")
    folder = ""

    def __init__(self, of: KeptTrials, index: int) -> None:
        self._of = of
        self.index = index

    @property
    def trial_id(self) -> str:
        return f"{self.index:05d}"

    @property
    def status(self) -> Status:
        return self._of.status_of(self.index)

    @property
    def best_loss(self) -> float:
        return self._of.best_loss_of(self.index)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of[self.index], name)

    def __repr__(self) -> str:
        return repr(self._of[self.index])
