"""Each trial's results as a table, ``progress.csv`` in its folder."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence

from tune_core.callback import LoggerCallback, Trials, TrialView
from tune_core.core.flatten import flatten
from tune_core.core.values import ResultDict
from tune_core.logger.files import AppendFiles, cut_torn_line

PROGRESS = "progress.csv"
_CREDIT = 4
"""Rows that may be rewritten for each row that comes."""


class CSVLoggerCallback(LoggerCallback):
    """Write each trial's results to ``progress.csv`` in its folder, one row a result, nested keys joined by ``/``.

    A key that appears later becomes a new column: the file is rewritten with the longer header. Where that happens
    again and again in a long file, rows wait for it until the file has grown, at most to its trial's end. After a
    restore rows are appended.
    """

    def __init__(self) -> None:
        self._files = AppendFiles(PROGRESS)
        self._columns: dict[str, list[str]] = {}  # by trial id
        self._rows: dict[str, _Rows] = {}

    def log_trial_start(self, trial: TrialView) -> None:
        path = self._files.path(trial.path)
        cut_torn_line(path)
        columns = _header(path)
        if columns:
            self._columns[trial.trial_id] = columns

    def log_trial_result(self, iteration: int, trial: TrialView, result: ResultDict) -> None:
        row = flatten({key: value for key, value in result.items() if key != "config"})
        row.update(flatten({"config": dict(trial.config)}))
        columns = self._columns.get(trial.trial_id)
        rows = self._rows.setdefault(trial.trial_id, _Rows(trial.path))
        if columns is None:
            columns = self._columns[trial.trial_id] = list(row)
            self._files.write(trial.path, _line(columns))
        elif not row.keys() <= set(columns):
            columns = self._columns[trial.trial_id] = [*columns, *(key for key in row if key not in columns)]
            rows.are_waiting = True
        rows.credit += _CREDIT
        if rows.are_waiting:
            rows.waiting.append(row)
            if rows.credit >= rows.written:
                self._widen(rows, columns)
            return
        rows.written += 1
        self._files.write(trial.path, _line([row.get(column, "") for column in columns]))

    def _widen(self, rows: _Rows, columns: list[str]) -> None:
        """Give the file all columns, and the rows that have waited for them."""
        self._files.close(rows.folder)
        rows.credit -= rows.written
        rows.written = _rewrite(self._files.path(rows.folder), columns) + len(rows.waiting)
        for row in rows.waiting:
            self._files.write(rows.folder, _line([row.get(column, "") for column in columns]))
        rows.waiting.clear()
        rows.are_waiting = False

    def log_trial_end(self, trial: TrialView, failed: bool = False) -> None:
        self._let_go(trial.trial_id)
        self._files.close(trial.path)
        self._columns.pop(trial.trial_id, None)

    def on_experiment_end(self, trials: Trials, **info: object) -> None:
        super().on_experiment_end(trials, **info)
        for trial_id in list(self._rows):
            self._let_go(trial_id)
        self._files.close_all()

    def _let_go(self, trial_id: str) -> None:
        rows = self._rows.pop(trial_id, None)
        if rows is not None and rows.are_waiting:
            self._widen(rows, self._columns[trial_id])


class _Rows:
    """How many rows a file has, and those that wait until it has their columns."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.written = 0  # as far as is known: those of an earlier driver are counted when the file is rewritten
        #: Rows that may be rewritten: a few for each row that came, so that the cost stays in proportion.
        self.credit = 0
        self.waiting: list[dict[str, object]] = []
        self.are_waiting = False


class _Text(list[str]):
    """Collects what a csv writer writes."""

    write = list.append


_text = _Text()
_writer = csv.writer(_text, lineterminator="\n")


def _line(values: Sequence[object]) -> str:
    _text.clear()
    _writer.writerow(values)
    return "".join(_text)


def _header(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return next(csv.reader(file), [])
    except FileNotFoundError:
        return []


def _rewrite(path: str, columns: list[str]) -> int:
    """Give a file a longer header; its rows end with empty values. Returns how many rows there are."""
    new = f"{path}.new"
    count = 0
    with open(path, encoding="utf-8", newline="") as old, open(new, "w", encoding="utf-8", newline="") as file:
        rows = csv.reader(old)
        next(rows, None)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([*row, *[""] * (len(columns) - len(row))])
            count += 1
    os.replace(new, path)
    return count
