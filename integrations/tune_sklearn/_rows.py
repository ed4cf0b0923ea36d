"""The rows of each fold of a large ``X``, laid out once for all workers: a fit maps its rows instead of copying them.

scikit-learn's folds are lists of row numbers, and taking rows by number copies them: with five folds each fit holds
another four fifths of ``X``. So each fold's rows of a large ``X`` are written once, those to train on and those to
test on, to a file without a name, from which a worker's arrays are views, and whose pages all workers share: in shared
memory where there is plenty, else on disk, from where they can leave memory when it runs short. An estimator that
changes its rows in place gets pages of its own. Arrays, sparse matrices and data frames are all written by pickle's
protocol 5, which keeps their buffers apart from the rest.
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
"""From this size of ``X`` on its folds are laid out; copies of a smaller one are small beside the worker itself."""
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

    def __getstate__(self) -> dict[str, object]:
        """Without what nobody looks at where the folds are laid out."""
        state = dict(self.__dict__)
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
        train, test = self.folds[fold]
        chosen = train if positions is None else np.asarray(train)[positions]
        return Rows(self.X, self.y, self.fit_params, self.score_params, chosen, test)

    @contextmanager
    def shared(self, estimator: BaseEstimator) -> Iterator[None]:
        """Have the folds of a large ``X`` laid out for the workers of this machine, within this context."""
        with ExitStack() as stack:
            folder = self._folder(estimator)
            if folder is not None:
                self.laid_out = [self._lay_out(fold, folder, stack) for fold in range(len(self.folds))]
                stack.callback(setattr, self, "laid_out", None)
            yield

    def _folder(self, estimator: BaseEstimator) -> str | None:
        """Where the folds are laid out; None: nowhere, for ``X`` is small or of a kind that does not gain by it."""
        size = size_bytes(self.X)
        if size < LARGE_BYTES or pairwise(estimator):
            return None
        if not os.path.isdir("/proc/self/fd"):  # by which workers find a file without a name
            return None
        if any(np.asarray(part).dtype.kind not in "iu" for fold in self.folds for part in fold):
            return None
        needed = _SPARE * sum(len(part) for fold in self.folds for part in fold) * (size // self.X.shape[0])
        memory = "/dev/shm"
        if os.path.isdir(memory) and min(available_memory(), shutil.disk_usage(memory).free) >= needed:
            return memory
        disk = tempfile.gettempdir()
        return disk if shutil.disk_usage(disk).free >= needed else None

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
        file = tempfile.TemporaryFile(prefix="tune-sklearn-", dir=folder)  # noqa: SIM115
        stack.callback(file.close)
        pieces = (_write(file, self.X, train), _write(file, self.X, test))
        file.flush()
        return LaidOut(f"/proc/{os.getpid()}/fd/{file.fileno()}", pieces, others)


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


def _write(file: object, X: Any, rows: object) -> _Piece:
    """Append some rows of ``X``; those of an array without a copy of them in memory."""
    if isinstance(X, np.ndarray):
        return _write_array(file, X, rows)
    found: list[pickle.PickleBuffer] = []
    body = pickle.dumps(safe_indexing(X, rows), protocol=5, buffer_callback=found.append)
    return _Piece(_append(file, body), tuple(_append(file, buffer.raw()) for buffer in found))


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
class LaidOut:
    """The rows of one fold: those of ``X`` in a file to which ``path`` leads while the search runs."""

    path: str
    pieces: tuple[_Piece, _Piece]  # to train on, to test on
    others: Rows  # but for X

    def load(self) -> Rows:
        """The rows, those of ``X`` views of the file; what a fit writes to them goes with them."""
        with open(self.path, "rb") as file:
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
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
