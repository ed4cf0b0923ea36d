"""Writes an experiment's trials, or every report, as CSV, JSON or Parquet."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from typing import IO

from tune_core.core.flatten import flatten
from tune_core.core.optional_imports import require
from tune_core.core.values import ResultDict
from tune_core.errors import StorageError
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.histories import history
from tune_core.journal.kept_index import LEAST_BYTES
from tune_core.journal.place import Place
from tune_core.results import ResultGrid


def export(place: Place | str, kind: str, path: str | None, every_report: bool) -> int:
    """Write the experiment at ``place`` to ``path`` (None: standard output) and return the number of rows."""
    grid = _grid(place)
    if every_report and kind != "parquet" and _is_large(grid):
        return _write_large(grid, path) if kind == "csv" else _write_large_json(grid, path)
    rows = report_rows(place) if every_report else trial_rows(place)
    if kind == "parquet":
        _write_parquet(rows, path)
        return len(rows)
    with _opened(path) as file:
        if kind == "json":
            file.write(to_json_text(rows) + "\n")
        else:
            flat = [flatten(row) for row in rows]
            writer = csv.DictWriter(file, _columns(flat), lineterminator="\n")
            writer.writeheader()
            writer.writerows(flat)
    return len(rows)


def trial_rows(place: Place | str) -> list[ResultDict]:
    """One row a trial: id, status, reason, configuration and the last result."""
    rows = []
    for result in _grid(place):
        metrics = result.metrics
        trial = {"trial_id": result.trial_id, "status": str(result.status), "reason": result.reason or ""}
        rest = {key: value for key, value in metrics.items() if key not in ("config", "trial_id", "experiment_tag")}
        error = result.error
        rows.append({**trial, "config": result.config, **rest, "error": error.found if error else ""})
    return rows


def report_rows(place: Place | str) -> list[ResultDict]:
    """One row a report, by trial and in order, with the trial's configuration."""
    grid = _grid(place)
    histories = history(grid._folder)
    return [
        {"trial_id": result.trial_id, "config": row["config"], **row}
        for result in grid
        for row in histories.get(result._trial.index, [])
    ]


def _is_large(grid: ResultGrid) -> bool:
    path = os.path.join(grid._folder, JOURNAL_FILE)
    return os.path.exists(path) and os.path.getsize(path) >= LEAST_BYTES


def _write_large(grid: ResultGrid, path: str | None) -> int:
    """As :func:`report_rows`, a trial at a time: once to know the columns, once to write them."""
    columns: dict[str, None] = {}
    for row in _flat_rows(grid):
        columns.update(dict.fromkeys(row))
    count = 0
    with _opened(path) as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        for row in _flat_rows(grid):
            writer.writerow(row)
            count += 1
    return count


def _write_large_json(grid: ResultGrid, path: str | None) -> int:
    """The text that :func:`to_json_text` makes of :func:`report_rows`, a row at a time."""
    count = 0
    with _opened(path) as file:
        for row in _rows(grid):
            file.write(("," if count else "[") + "\n  " + to_json_text(row).replace("\n", "\n  "))
            count += 1
        file.write("\n]\n" if count else "[]\n")
    return count


def _rows(grid: ResultGrid) -> Iterator[dict[str, object]]:
    for result in grid:
        for row in result._history():
            yield {"trial_id": result.trial_id, "config": row["config"], **row}


def _flat_rows(grid: ResultGrid) -> Iterator[dict[str, object]]:
    return map(flatten, _rows(grid))


def _grid(place: Place | str) -> ResultGrid:
    return ResultGrid.from_path(place) if isinstance(place, str) else ResultGrid.from_place(place)


def to_json_text(value: object) -> str:
    """Standard JSON: NaN and infinities, which it lacks, become null; other objects their text."""
    return json.dumps(_finite(value), indent=2, default=str, ensure_ascii=False)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(child) for key, child in value.items()}
    return [_finite(child) for child in value] if isinstance(value, (list, tuple)) else value


def _columns(rows: list[dict[str, object]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _write_parquet(rows: list[dict[str, object]], path: str | None) -> None:
    arrow = require("Export to Parquet", "pyarrow", "parquet")
    parquet = require("Export to Parquet", "pyarrow.parquet", "parquet")
    flat = [flatten(row) for row in rows]
    columns = {}
    for name in _columns(flat):
        values = [row.get(name) for row in flat]
        try:
            columns[name] = arrow.array(values)
        except (arrow.ArrowInvalid, arrow.ArrowTypeError, arrow.ArrowNotImplementedError, OverflowError):
            columns[name] = arrow.array([None if v is None else str(v) for v in values])  # of several types
    try:
        parquet.write_table(arrow.table(columns), path)
    except OSError as error:
        raise _unwritable(path, error) from error


@contextlib.contextmanager
def _opened(path: str | None) -> Iterator[IO[str]]:
    if path is None:
        yield sys.stdout
        return
    try:
        file = open(path, "w", encoding="utf-8", newline="")  # noqa: SIM115 - closed below
    except OSError as error:
        raise _unwritable(path, error) from error
    with file:
        yield file


def _unwritable(path: str | None, error: OSError) -> StorageError:
    return StorageError(
        f"The file {path}", "cannot be written", str(error.strerror or error), "Choose another with -o FILE."
    )
