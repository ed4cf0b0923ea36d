"""The results of each trial that count, read from the journal: the one rule that selection and data frames follow.

A trial that goes back to a checkpoint of its own (a retry, a resume) replaces what it had reported after that
checkpoint: its iterations increase. A trial that becomes a copy of another (population-based training) keeps its
earlier results, whatever their iterations; each result has the configuration that it was made with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from tune_core.core import events as ev
from tune_core.core.automatic import Courses
from tune_core.core.collecting import no_collection
from tune_core.core.values import Config, JsonObject, ResultDict
from tune_core.journal.reader import reader_of
from tune_core.space.serialization import readable

T = TypeVar("T")


class ReportWithConfig(NamedTuple):
    """A result, and the configuration that it was made with."""

    event: ev.Reported
    config: Config


class History(Generic[T]):
    """What is kept of one trial's results: a value for each that counts."""

    __slots__ = ("_attempt", "_begins", "_iterations", "values")

    def __init__(self) -> None:
        self.values: list[T] = []
        self._iterations: list[int] = []
        self._begins = 0  # position of the first result since it last became a copy
        self._attempt = 0

    def go_back(self, event: ev.Reported) -> None:
        """Take out what this result replaces."""
        if event.attempt == self._attempt:
            return
        self._attempt = event.attempt
        while len(self.values) > self._begins and self._iterations[-1] >= event.iteration:
            del self._iterations[-1], self.values[-1]

    def add(self, event: ev.Reported, value: T) -> None:
        """Keep a value of this result."""
        self._iterations.append(event.iteration)
        self.values.append(value)

    def begin_copy(self) -> None:
        """From here on the trial is a copy of another: what it has reported stays."""
        self._begins = len(self.values)


class Histories(Generic[T]):
    """Goes through a journal and keeps ``keep(event, config)`` of each result that counts; None is left out.

    Parameters
    ----------
    folder
        The experiment's folder.
    keep
        What to keep of a result.
    trial
        Only this trial, or these; None: all.
    """

    def __init__(
        self, folder: str, keep: Callable[[ev.Reported, JsonObject], T | None], trial: int | range | None = None
    ) -> None:
        self._keep = keep
        self._configs: dict[int, dict[str, object]] = {}
        self._next: dict[int, JsonObject] = {}  # of trials that are about to become copies
        self._found: dict[int, History[T]] = {}
        self._present: dict[int, tuple[int, int]] = {}  # each trial's attempt, and its last iteration in that
        wanted = (trial,) if isinstance(trial, int) else trial
        for batch in reader_of(folder, trial).read():
            for event in batch:
                if wanted is None or getattr(event, "trial", None) in wanted:
                    self._take(event)

    def values(self) -> dict[int, list[T]]:
        """What was kept, by trial; trials of which nothing was kept are left out."""
        return {index: course.values for index, course in self._found.items() if course.values}

    def _take(self, event: Any) -> None:
        kind = type(event)
        if kind is ev.Reported:
            self._reported(event)
        elif kind is ev.Suggested:
            self._configs[event.trial] = {key: readable(value) for key, value in event.config.items()}
        elif kind is ev.Launched:
            self._present[event.trial] = (event.attempt, -1)
            config = self._next.pop(event.trial, None)
            if config is not None:
                self._configs[event.trial] = config
        elif kind is ev.Ended:
            attempt, _ = self._present.get(event.trial, (0, -1))
            if event.attempt in (0, attempt):
                self._present[event.trial] = (attempt + 1, -1)  # what comes late does not count
        elif kind is ev.Decided and event.do == "exploit" and event.config is not None:
            self._next[event.trial] = {key: readable(value) for key, value in event.config.items()}
            if event.source != event.trial and event.trial in self._found:
                self._found[event.trial].begin_copy()

    def _reported(self, event: ev.Reported) -> None:
        attempt, iteration = self._present.get(event.trial, (0, -1))
        if event.attempt < attempt or (event.attempt == attempt and event.iteration <= iteration):
            return  # late, or told twice
        self._present[event.trial] = (event.attempt, event.iteration)
        course = self._found.get(event.trial)
        if course is None:
            course = self._found[event.trial] = History()
        course.go_back(event)
        value = self._keep(event, self._configs.get(event.trial, {}))
        if value is not None:
            course.add(event, value)


def reports(folder: str, trial: int | None = None) -> Iterator[ev.Reported]:
    """Every report in the order of the journal, of one trial or of all, those that were replaced later too."""
    for batch in reader_of(folder, trial).read():
        for event in batch:
            if type(event) is ev.Reported and (trial is None or event.trial == trial):
                yield event


BATCH_BYTES = 4 << 20
"""About so many bytes of the journal are read at a time where the results of all trials are wanted, one by one."""


def stretch(folder: str, first: int, most: int) -> range:
    """``first`` and as many trials after it, up to ``most`` in all, as are well read at a time; at least it alone."""
    reader = reader_of(folder)
    return reader.stretch(first, most, BATCH_BYTES) if hasattr(reader, "stretch") else range(first, first + most)


def in_batches(folder: str, count: int) -> Iterator[dict[int, list[ResultDict]]]:
    """The results of trials 0 to ``count``, as :func:`history` gives them, of some trials at a time, in order."""
    first = 0
    while first < count:
        trials = stretch(folder, first, count - first)
        with no_collection():
            found = history(folder, trials)
        yield {trial: found[trial] for trial in trials if trial in found}
        first = trials.stop


def history(folder: str, trial: int | range | None = None) -> dict[int, list[ResultDict]]:
    """The results of one trial, of some, or of all, by trial index: dicts with the automatic fields and ``config``."""
    found: dict[int, list[JsonObject]] = {}
    courses = Courses()
    for index, kept in Histories(folder, ReportWithConfig, trial).values().items():
        rows = found[index] = []
        before = 0.0
        for event, config in kept:
            row = courses.fields(event, before)
            before = event.seconds
            row.setdefault("config", config)
            rows.append(row)
    return found
