"""Data frames of results: columns that pandas need not look through, and one table cut into the frames of many trials.

What a data frame costs is mostly what it costs to make one at all, so those of trials that have the same columns are
made together. They are the same, to the kinds of their columns, as if each had been made from its results alone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tune_core.core.collecting import no_collection
from tune_core.core.flatten import flatten
from tune_core.core.optional_imports import require
from tune_core.core.values import ResultDict
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.histories import history, stretch
from tune_core.journal.place import Place

MOST_TRIALS = 512
"""The data frames of at most so many trials are made at once."""
_PLAIN = (float, int, bool, str)
_MISSING: Any = object()


class Columns:
    """Rows that come one after the other, as columns in the order in which their names come up."""

    def __init__(self) -> None:
        self.count = 0
        self._columns: dict[str, list[Any]] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a flat row; names that it lacks have no value there."""
        columns = self._columns
        for name, value in row.items():
            column = columns.get(name)
            if column is None:
                column = columns[name] = [_MISSING] * self.count
            column.append(value)
        self.count += 1
        if len(row) != len(columns):
            for column in columns.values():
                if len(column) < self.count:
                    column.append(_MISSING)

    def lists(self) -> dict[str, list[Any]]:
        """Each column's values; None where there is none."""
        return {name: [None if v is _MISSING else v for v in values] for name, values in self._columns.items()}

    def frame(self, pandas: Any) -> Any:
        """The data frame that ``pandas.DataFrame`` makes of the rows."""
        found = {name: _array(values) for name, values in self._columns.items()}
        odd = [name for name, values in found.items() if values is None]
        if odd:
            rows = zip(*(self._columns[name] for name in odd), strict=True)
            present = [{name: v for name, v in zip(odd, values, strict=True) if v is not _MISSING} for values in rows]
            rest = pandas.DataFrame(present, columns=odd)
            found.update((name, rest[name]) for name in odd)
        return pandas.DataFrame(found) if found else pandas.DataFrame(index=range(self.count))


def _array(values: Sequence[Any]) -> Any:
    """A column of values of one kind, of which pandas would make the same; None for any other."""
    import numpy as np

    kinds = set(map(type, values))
    kind = kinds.pop()
    if kinds or kind not in _PLAIN:
        return None
    if kind is str:
        return list(values)
    try:
        return np.array(values, dtype={float: "float64", int: "int64", bool: "bool"}[kind])
    except OverflowError:
        return None


def frames_of(pandas: Any, histories: Mapping[int, list[ResultDict]]) -> dict[int, Any]:
    """The data frame of each trial that has results."""
    alike: dict[object, list[tuple[int, list[dict[str, Any]]]]] = {}
    frames = {}
    for trial, history_ in histories.items():
        rows = [flatten(row) for row in history_]
        kinds = _kinds(rows)
        if kinds is None:
            frames[trial] = pandas.DataFrame(rows)
        else:
            alike.setdefault(kinds, []).append((trial, rows))
    for together in alike.values():
        frames.update(_cut(pandas, together))
    return frames


def _kinds(rows: list[dict[str, Any]]) -> object:
    """Names and kinds of the columns of a trial; None if there is more to them than that."""
    names = tuple(rows[0])
    kinds = tuple(map(type, rows[0].values()))
    if not all(kind in _PLAIN for kind in kinds):
        return None
    if all(tuple(row) == names and tuple(map(type, row.values())) == kinds for row in rows):
        return names, kinds
    return None


def _cut(pandas: Any, together: list[tuple[int, list[dict[str, Any]]]]) -> Iterator[tuple[int, Any]]:
    names = together[0][1][0]
    values = zip(*(row.values() for _, rows in together for row in rows), strict=True)
    columns = {name: _array(column) for name, column in zip(names, values, strict=True)}
    if any(column is None for column in columns.values()):  # whole numbers that are very large
        yield from ((trial, pandas.DataFrame(rows)) for trial, rows in together)
        return
    whole, begin = pandas.DataFrame(columns), 0
    own = int(pandas.__version__.split(".")[0]) < 3  # before, a part of a frame knew that it was one
    for trial, rows in together:
        frame = whole.iloc[begin : begin + len(rows)]
        begin += len(rows)
        frame = frame.copy() if own else frame
        frame.index = pandas.RangeIndex(len(rows))
        yield trial, frame


class FrameReader:
    """Reads the data frames of an experiment's trials; if they are asked for one after the other, many at once.

    Parameters
    ----------
    place
        Where the experiment is.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._ahead: dict[int, Any] = {}  # frames that were read and not asked for yet; None: no results
        self._stamp: tuple[int, int] | None = None  # of the journal when they were read
        self._last = -2  # the trial that was asked for last
        self._in_turn = 0  # how often the next one was asked for that had not been read

    def __reduce__(self) -> Any:
        return FrameReader, (self._place,)

    def frame(self, trial: int, wanted: str) -> Any:
        """A trial's data frame; None if it has no results. ``wanted`` is for the error where pandas is missing."""
        pandas = require(wanted, "pandas", "pandas")
        with self._lock:
            stamp = self._stamp_now()
            is_next, self._last = trial == self._last + 1, trial
            if stamp is not None and stamp == self._stamp and trial in self._ahead:
                return self._ahead.pop(trial)
            self._in_turn = self._in_turn + 1 if is_next else 0
            wanted_trials = range(trial, trial + 1)
            if self._in_turn and stamp is not None:
                wanted_trials = stretch(self._place.folder, trial, min(MOST_TRIALS, 2**self._in_turn))
            with no_collection():
                frames = frames_of(pandas, history(self._place.folder, wanted_trials))
            asked = frames.pop(trial, None)
            self._ahead, self._stamp = {t: frames.get(t) for t in wanted_trials if t != trial}, stamp
            return asked

    def _stamp_now(self) -> tuple[int, int] | None:
        try:
            about = os.stat(os.path.join(self._place.folder, JOURNAL_FILE))
        except OSError:  # an experiment of another system
            return None
        return about.st_size, about.st_mtime_ns


class TrialFrames(Mapping[str, Any]):
    """Data frames by the folders of trials, read when they are asked for: no more are held than the caller holds.

    Parameters
    ----------
    reader
        What reads them.
    trials
        The number of each trial by its folder.
    """

    def __init__(self, reader: FrameReader, trials: Mapping[str, int]) -> None:
        self._reader = reader
        self._trials = trials

    def __getitem__(self, path: str) -> Any:
        frame = self._reader.frame(self._trials[path], "ExperimentAnalysis.trial_dataframes")
        return (
            require("ExperimentAnalysis.trial_dataframes", "pandas", "pandas").DataFrame() if frame is None else frame
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._trials)

    def __len__(self) -> int:
        return len(self._trials)

    def __repr__(self) -> str:
        return f"<data frames of {len(self)} trials, by their folders>"
