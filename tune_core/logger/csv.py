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


class CSVLoggerCallback(LoggerCallback):
    """Write each trial's results to ``progress.csv`` in its folder, one row a result, nested keys joined by ``/``.

    A key that appears later becomes a new column: the file is rewritten once with the longer header. After a restore
    rows are appended.
    """

    def __init__(self) -> None:
        self._files = AppendFiles(PROGRESS)
        self._columns: dict[str, list[str]] = {}  # by trial id

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
        if columns is None:
            columns = self._columns[trial.trial_id] = list(row)
            self._files.write(trial.path, _line(columns))
        elif not row.keys() <= set(columns):
            columns = self._columns[trial.trial_id] = [*columns, *(key for key in row if key not in columns)]
            self._files.close(trial.path)
            _rewrite(self._files.path(trial.path), columns)
        self._files.write(trial.path, _line([row.get(column, "") for column in columns]))

    def log_trial_end(self, trial: TrialView, failed: bool = False) -> None:
        self._files.close(trial.path)
        self._columns.pop(trial.trial_id, None)

    def on_experiment_end(self, trials: Trials, **info: object) -> None:
        super().on_experiment_end(trials, **info)
        self._files.close_all()


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


def _rewrite(path: str, columns: list[str]) -> None:
    """Give a file a longer header; its rows end with empty values."""
    new = f"{path}.new"
    with open(path, encoding="utf-8", newline="") as old, open(new, "w", encoding="utf-8", newline="") as file:
        rows = csv.reader(old)
        next(rows, None)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([*row, *[""] * (len(columns) - len(row))] for row in rows)
    os.replace(new, path)
