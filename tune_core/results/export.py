"""Writes an experiment's trials, or every report, as CSV, JSON or Parquet."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any, cast

from tune_core.core.flatten import flatten
from tune_core.core.optional_imports import require
from tune_core.core.values import ResultDict
from tune_core.display.formatting import printable
from tune_core.errors import StorageError
from tune_core.journal.format import JOURNAL_FILE
from tune_core.journal.histories import in_batches
from tune_core.journal.kept_index import LEAST_BYTES
from tune_core.journal.place import Place
from tune_core.results import ResultGrid


def export(place: Place | str, kind: str, path: str | None, every_report: bool) -> int:
    """Write the experiment at ``place`` to ``path`` (None: standard output) and return the number of rows."""
    grid = _grid(place)
    if every_report and _is_large(grid):
        return _LARGE[kind](grid, path)
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
    return [row for rows in _batches(_grid(place)) for row in rows]


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
    for rows in _batches(grid):
        yield from rows


def _batches(grid: ResultGrid) -> Iterator[list[dict[str, object]]]:
    """The rows of some trials at a time."""
    ids = {result._trial.index: result.trial_id for result in grid}
    for histories in in_batches(grid._folder, 1 + max(ids, default=-1)):
        yield [
            {"trial_id": ids[index], "config": row["config"], **row}
            for index, rows in histories.items()
            for row in rows
        ]


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
    parquet = require("Export to Parquet", "pyarrow.parquet", "parquet")
    table = _table(rows)
    try:
        parquet.write_table(table, path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _table(rows: list[dict[str, object]]) -> Any:
    """The rows as a table of Arrow; a column of several types as text."""
    arrow = require("Export to Parquet", "pyarrow", "parquet")
    flat = [flatten(row) for row in rows]
    columns = {}
    for name in _columns(flat):
        values = [row.get(name) for row in flat]
        try:
            columns[name] = arrow.array(values)
        except (arrow.ArrowInvalid, arrow.ArrowTypeError, arrow.ArrowNotImplementedError, OverflowError):
            columns[name] = _texts(arrow, values)
    return arrow.table(columns)


def _texts(arrow: Any, values: list[object]) -> Any:
    return arrow.array([None if v is None else str(v) for v in values], arrow.string())


def _write_large_parquet(grid: ResultGrid, path: str | None) -> int:
    """The same rows, some trials at a time: once more if the first trials do not tell all columns and their types."""
    try:
        count = _write_parquet_parts(grid, path, {})
        if count is None:
            types: dict[str, Any] = {}
            for rows in _batches(grid):
                for field in _table(rows).schema:
                    types[field.name] = _common_type(types.get(field.name, field.type), field.type)
            count = _write_parquet_parts(grid, path, types)
    except OSError as error:
        raise _unwritable(path, error) from error
    assert count is not None
    return count


def _write_parquet_parts(grid: ResultGrid, path: str | None, types: dict[str, Any]) -> int | None:
    """Write with columns of these types, else with those of the first part; None if a part does not fit them."""
    arrow = require("Export to Parquet", "pyarrow", "parquet")
    parquet = require("Export to Parquet", "pyarrow.parquet", "parquet")
    count, is_learnt = 0, bool(types)
    with contextlib.ExitStack() as stack:
        writer: Any = None
        for rows in _batches(grid):
            table = _table(rows)
            if writer is None:
                types = types or {field.name: field.type for field in table.schema}
                schema = arrow.schema(list(types.items()))
                writer = stack.enter_context(parquet.ParquetWriter(path, schema))
            if not is_learnt and any(types.get(field.name) != field.type for field in table.schema):
                return None
            columns = [
                _typed(arrow, table.column(name) if name in table.schema.names else None, type_, rows, name)
                for name, type_ in types.items()
            ]
            writer.write_table(arrow.table(columns, schema=schema))
            count += len(rows)
    if not count:
        parquet.write_table(arrow.table({}), path)
    return count


def _typed(arrow: Any, column: Any, type_: Any, rows: list[dict[str, object]], name: str) -> Any:
    """A part's column in the type that it has in all parts."""
    if column is None:
        return arrow.nulls(len(rows), type_)
    if column.type == type_:
        return column
    values = [flatten(row).get(name) for row in rows]
    return _texts(arrow, values) if arrow.types.is_string(type_) else arrow.array(values, type_)


def _common_type(one: Any, other: Any) -> Any:
    """The type of a column that has these in two parts: text where nothing else is."""
    arrow = require("Export to Parquet", "pyarrow", "parquet")
    if one == other:
        return one
    try:
        schemas = [arrow.schema([("column", kind)]) for kind in (one, other)]
        return arrow.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (arrow.ArrowInvalid, arrow.ArrowTypeError, TypeError):  # the last: an older Arrow
        return arrow.string()


_LARGE = {"csv": _write_large, "json": _write_large_json, "parquet": _write_large_parquet}


class _Shown:
    """A terminal that shows what others have written, and obeys none of it."""

    def write(self, text: str) -> int:
        return sys.stdout.write(printable(text))


@contextlib.contextmanager
def _opened(path: str | None) -> Iterator[IO[str]]:
    if path is None:
        yield cast("IO[str]", _Shown()) if sys.stdout.isatty() else sys.stdout
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
