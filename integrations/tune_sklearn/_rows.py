"""A large ``X`` for all workers: written once to a file without a name, of which their arrays are views.

scikit-learn's folds are lists of row numbers, and taking rows by number copies them: each fit holds another ``X``. With
few workers that is less than all folds, so ``X`` is written as it is, and fits take their rows from there, as joblib's
workers do. With more workers than that each fold's rows are written, those to train on and those to test on, and fits
copy nothing. Workers share the pages of the file, in shared memory where there is plenty, else on disk, from where they
can leave memory when it runs short. An estimator that changes its rows in place gets pages of its own. Arrays, sparse
matrices and data frames are all written by pickle's protocol 5, which keeps their buffers apart from the rest.
"""

from __future__ import annotations

import mmap
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from tune_sklearn._sklearn_private import check_method_params, pairwise, safe_indexing

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


LARGE_BYTES = 64 << 20
"""From this size of ``X`` on workers share it; copies of a smaller one are small beside the worker itself."""
_SPARE = 2
"""How many times the room has to be there that the folds take."""
_ALIGNMENT = 64
_WRITTEN_BYTES = 8 << 20


@dataclass(frozen=True)
class Rows:
    """What a fit of one fold takes, and which rows of it are for training and which for testing."""

    X: Any
    y: Any
    fit_params: Mapping[str, object]
    score_params: Mapping[str, object]
    train: Any
    test: Any


def plain_folds(folds: list[tuple[Any, Any]], count: int) -> list[tuple[Any, Any]]:
    """Train and test rows of each fold as row numbers from 0 on, however a splitter names them.

    Raises
    ------
    IndexError
        If a mask has another length than there are rows, or a row number is out of range.
    """
    return [(_row_numbers(train, count), _row_numbers(test, count)) for train, test in folds]


def _row_numbers(rows: object, count: int) -> object:
    numbers = np.arange(count)[rows] if isinstance(rows, slice) else np.asarray(rows)
    if numbers.dtype.kind == "b":
        if numbers.shape != (count,):
            raise IndexError(f"a split's mask has the shape {numbers.shape}, and there are {count} rows")
        return np.flatnonzero(numbers)
    if numbers.size == 0:
        return numbers.astype(np.intp)
    if numbers.dtype.kind not in "iu":
        return rows
    lowest, highest = int(numbers.min()), int(numbers.max())
    if lowest < -count or highest >= count:
        raise IndexError(f"a split names the row {lowest if lowest < -count else highest}, and there are {count} rows")
    return np.where(numbers < 0, numbers + count, numbers) if lowest < 0 else numbers


@dataclass
class FoldedData:
    """``X``, ``y`` and what goes with them row by row, divided into folds."""

    X: Any
    y: Any
    folds: list[tuple[Any, Any]]
    fit_params: Mapping[str, object] = field(default_factory=dict)
    score_params: Mapping[str, object] = field(default_factory=dict)
    laid_out: list[LaidOut] | None = None
    whole: Written | None = None

    def __getstate__(self) -> dict[str, object]:
        """Without what is in files, and what nobody looks at where the folds are laid out."""
        state = dict(self.__dict__)
        if self.whole is not None:
            state.update(X=None)
        if self.laid_out is not None:
            state.update(X=None, y=None, fit_params={}, score_params={})
        return state

    def rows_of(self, fold: int, positions: Any = None) -> Rows:
        """What there is to fit on and to score on in one fold.

        ``positions`` are those among the fold's training rows to train on; None: all of them.
        """
        if self.laid_out is not None:
            rows = self.laid_out[fold].load()
            if positions is None:
                return rows
            return Rows(rows.X, rows.y, rows.fit_params, rows.score_params, rows.train[positions], rows.test)
        if self.X is None and self.whole is not None:  # in a worker
            self.X = self.whole.load()
        train, test = self.folds[fold]
        chosen = train if positions is None else np.asarray(train)[positions]
        return Rows(self.X, self.y, self.fit_params, self.score_params, chosen, test)

    @contextmanager
    def shared(self, estimator: BaseEstimator, workers: int) -> Iterator[None]:
        """Have a large ``X`` written for so many workers of this machine, within this context: whole or fold by fold.

        Whichever takes less memory, with the rows that each worker copies.
        """
        with ExitStack() as stack:
            copies = 1 + workers if workers + 1 < len(self.folds) else len(self.folds)
            folder = self._folder(estimator, copies)
            if folder is not None and copies == len(self.folds):
                self.laid_out = [self._lay_out(fold, folder, stack) for fold in range(len(self.folds))]
                stack.callback(setattr, self, "laid_out", None)
            elif folder is not None:
                self.whole = self._write_whole(folder, stack)
                stack.callback(setattr, self, "whole", None)
            yield

    def _folder(self, estimator: BaseEstimator, copies: int) -> str | None:
        """Where ``X`` is written; None: nowhere, for it is small or of a kind that does not gain by it."""
        size = size_bytes(self.X)
        if size < LARGE_BYTES or pairwise(estimator):
            return None
        if not os.path.isdir("/proc/self/fd"):  # by which workers find a file without a name
            return None
        if any(np.asarray(part).dtype.kind not in "iu" for fold in self.folds for part in fold):
            return None
        needed = _SPARE * size * copies
        memory = "/dev/shm"
        if os.path.isdir(memory) and min(available_memory(), shutil.disk_usage(memory).free) >= needed:
            return memory
        disk = tempfile.gettempdir()
        return disk if shutil.disk_usage(disk).free >= needed else None

    def _write_whole(self, folder: str, stack: ExitStack) -> Written:
        file = _new_file(folder, stack)
        piece = _write(file, self.X)
        return Written(_path_of(file), piece)

    def _lay_out(self, fold: int, folder: str, stack: ExitStack) -> LaidOut:
        train, test = self.folds[fold]
        order = np.concatenate([train, test])
        others = Rows(
            None,
            None if self.y is None else safe_indexing(self.y, order),
            check_method_params(self.X, params=self.fit_params, indices=order),
            check_method_params(self.X, params=self.score_params, indices=order),
            np.arange(len(train)),
            np.arange(len(train), len(order)),
        )
        file = _new_file(folder, stack)
        pieces = (_write_rows(file, self.X, train), _write_rows(file, self.X, test))
        return LaidOut(_path_of(file), pieces, others)


def size_bytes(X: Any) -> int:
    """Bytes of the buffers of an array, a compressed sparse matrix or a frame of pandas; 0 for all else.

    Polars' frames, whose pickles keep no buffers apart, travel to each worker whole, once.
    """
    if type(X) in (np.ndarray, np.memmap):
        return 0 if X.ndim < 2 or X.dtype.hasobject else int(X.nbytes)
    if sparse.issparse(X):
        compressed = X.format in ("csr", "csc")
        return int(X.data.nbytes + X.indices.nbytes + X.indptr.nbytes) if compressed else 0
    if type(X).__module__.partition(".")[0] == "pandas" and hasattr(X, "iloc") and getattr(X, "ndim", 0) == 2:
        return int(X.memory_usage(index=False, deep=False).sum())
    return 0


def available_memory() -> int:
    """Bytes of memory that nobody needs, on this machine and in this container; 0 if the system doesn't say."""
    found = []
    with suppress(OSError, StopIteration), open("/proc/meminfo") as file:
        found.append(next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:")))
    with suppress(OSError, ValueError):  # "max" where there is no limit
        most, used = (int(Path("/sys/fs/cgroup", name).read_text()) for name in ("memory.max", "memory.current"))
        found.append(most - used)
    return min(found, default=0)


# --- in the file ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Piece:
    """Some rows of ``X`` in a file: where what pickle makes of them is, and where their buffers are."""

    body: tuple[int, int]  # offset and size in bytes
    buffers: tuple[tuple[int, int], ...]

    def load(self, view: memoryview) -> Any:
        body, *buffers = (view[offset : offset + size] for offset, size in (self.body, *self.buffers))
        return pickle.loads(body, buffers=buffers)


def _new_file(folder: str, stack: ExitStack) -> Any:
    file = tempfile.TemporaryFile(prefix="tune-sklearn-", dir=folder)  # noqa: SIM115
    stack.callback(file.close)
    return file


def _path_of(file: Any) -> str:
    """By which the workers of this process find a file without a name, all of it."""
    file.flush()
    return f"/proc/{os.getpid()}/fd/{file.fileno()}"


def _write(file: object, X: Any) -> _Piece:
    """Append ``X``; without a copy of it in memory, if it lies in one piece or a few."""
    if isinstance(X, np.ndarray):
        if not X.flags.forc:
            return _write_array(file, X, np.arange(len(X)))
        X = np.asarray(X)
    found: list[pickle.PickleBuffer] = []
    body = pickle.dumps(X, protocol=5, buffer_callback=found.append)
    if len(body) > size_bytes(X) // 2 and hasattr(X, "copy"):  # a frame that is a view with gaps
        found.clear()
        body = pickle.dumps(X.copy(), protocol=5, buffer_callback=found.append)
    return _Piece(_append(file, body), tuple(_append(file, buffer.raw()) for buffer in found))


def _write_rows(file: object, X: Any, rows: object) -> _Piece:
    """Append some rows of ``X``; those of an array without a copy of them in memory."""
    if isinstance(X, np.ndarray):
        return _write_array(file, X, rows)
    return _write(file, safe_indexing(X, rows))


def _append(file: Any, raw: Any) -> tuple[int, int]:
    offset = _align(file)
    file.write(raw)
    return offset, memoryview(raw).nbytes


def _write_array(file: Any, X: Any, rows: Any) -> _Piece:
    """A few rows at a time: quicker than into the mapped file, whose pages would come one by one."""
    found: list[pickle.PickleBuffer] = []
    body = pickle.dumps(np.empty((len(rows), *X.shape[1:]), X.dtype), protocol=5, buffer_callback=found.append)
    size, place = found[0].raw().nbytes, _append(file, body)
    offset = _align(file)
    at_once = max(1, _WRITTEN_BYTES * len(rows) // max(1, size))
    for first in range(0, len(rows), at_once):
        # in C's order, as rows taken by number are, whatever the order of X
        file.write(np.ascontiguousarray(X[rows[first : first + at_once]]))
    return _Piece(place, ((offset, size),))


def _align(file: Any) -> int:
    """Move to the next place where a buffer may begin."""
    at = -(-file.seek(0, os.SEEK_END) // _ALIGNMENT) * _ALIGNMENT
    file.truncate(at)
    return int(file.seek(at))


@dataclass(frozen=True)
class Written:
    """``X`` in a file to which ``path`` leads while the search runs."""

    path: str
    piece: _Piece

    def load(self) -> Any:
        """A view of the file; what a fit writes to it stays in its process."""
        return self.piece.load(_mapped(self.path))


def _mapped(path: str) -> memoryview:
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


@dataclass(frozen=True)
class LaidOut:
    """The rows of one fold: those of ``X`` in a file to which ``path`` leads while the search runs."""

    path: str
    pieces: tuple[_Piece, _Piece]  # to train on, to test on
    others: Rows  # but for X

    def load(self) -> Rows:
        """The rows, those of ``X`` views of the file; what a fit writes to them goes with them."""
        view = _mapped(self.path)
        X = FoldX(lambda which: self.pieces[which].load(view), len(self.others.train), len(self.others.test))
        return Rows(X, *(getattr(self.others, name) for name in ("y", "fit_params", "score_params", "train", "test")))


class FoldX:
    """Stands for the rows of a fold, those to train on before those to test on, wherever these are taken by number."""

    def __init__(self, load: Callable[[int], Any], n_train: int, n_test: int) -> None:
        self._load = load
        self._n_train = n_train
        self.shape = (n_train + n_test,)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        rows = key[0] if isinstance(key, tuple) else key
        is_test = bool(len(rows)) and int(rows[0]) >= self._n_train
        piece = self._load(int(is_test))
        if len(rows) == (len(self) - self._n_train if is_test else self._n_train):
            return piece  # all of them: never asked for in another order
        return safe_indexing(piece, rows - self._n_train if is_test else rows)
