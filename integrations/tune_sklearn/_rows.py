"""The rows of each fold of a large ``X``, laid out once for all workers: a fit maps its rows instead of copying them.

scikit-learn's folds are lists of row numbers, and taking rows by number copies them: with five folds each fit holds
another four fifths of ``X``. So each fold's rows of a large ``X`` are written once, those to train on before those to
test on, to a file without a name, from which a worker's arrays are views, and whose pages all workers share: in shared
memory where there is plenty, else on disk, from where they can leave memory when it runs short. An estimator that
changes its rows in place gets pages of its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_sklearn._sklearn_private import check_method_params, pairwise, safe_indexing

if TYPE_CHECKING:
    from tune_sklearn._evaluate import SearchTask

LARGE_BYTES = 64 << 20
"""From this size of ``X`` on its folds are laid out; copies of a smaller one are small beside the worker itself."""
_SPARE = 2
"""How many times the room has to be there that the folds take."""


@dataclass(frozen=True)
class Rows:
    """What a fit of one fold takes, and which rows of it are for training and which for testing."""

    X: Any
    y: Any
    fit_params: Mapping[str, Any]
    score_params: Mapping[str, Any]
    train: Any
    test: Any


@dataclass(frozen=True)
class LaidOut:
    """The rows of one fold: those of ``X`` in a file to which ``path`` leads while the search runs."""

    path: str
    shape: tuple[int, ...]
    dtype: Any
    others: Rows  # but for X

    def load(self) -> Rows:
        """The rows, those of ``X`` a view of the file; what a fit writes to them goes with them."""
        X = np.memmap(self.path, self.dtype, "c", shape=self.shape)
        return replace(self.others, X=X.view(np.ndarray).view(_RunsAreViews))


class _RunsAreViews(np.ndarray):
    """An array that gives an unbroken run of its rows, asked for by their numbers, as a view and not as a copy."""

    def __getitem__(self, key: Any) -> Any:
        rows, *others = key if isinstance(key, tuple) else (key,)
        if _is_run(rows) and others in ([], [Ellipsis]):
            key = slice(int(rows[0]), int(rows[-1]) + 1)
        taken = super().__getitem__(key)
        return taken.view(np.ndarray) if isinstance(taken, np.ndarray) else taken


def _is_run(rows: Any) -> bool:
    if not isinstance(rows, np.ndarray) or rows.ndim != 1 or rows.dtype.kind not in "iu" or not rows.size:
        return False
    return bool(rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all())


@contextmanager
def shared_arrays(work: SearchTask) -> Iterator[None]:
    """Have the folds of a large ``X`` laid out for the workers for as long as the search runs."""
    with ExitStack() as stack:
        folder = _folder_for(work)
        if folder is not None:
            work.shared_arrays = [_write(work, fold, folder, stack) for fold in range(len(work.folds))]
            stack.callback(setattr, work, "shared_arrays", None)
        yield


def _folder_for(work: SearchTask) -> str | None:
    """Where the folds are laid out; None: nowhere, for ``X`` is small or of a kind that does not gain by it."""
    X = work.X
    if not isinstance(X, np.ndarray) or X.ndim < 2 or X.dtype.hasobject or X.nbytes < LARGE_BYTES:
        return None
    if not os.path.isdir("/proc/self/fd"):  # by which workers find a file without a name
        return None
    if pairwise(work.estimator) or any(np.asarray(part).dtype.kind not in "iu" for fold in work.folds for part in fold):
        return None
    needed = _SPARE * sum(len(part) for fold in work.folds for part in fold) * (X.nbytes // len(X))
    memory = "/dev/shm"
    if os.path.isdir(memory) and min(available_memory(), shutil.disk_usage(memory).free) >= needed:
        return memory
    disk = tempfile.gettempdir()
    return disk if shutil.disk_usage(disk).free >= needed else None


def available_memory() -> int:
    """Bytes of memory that nobody needs, on this machine and in this container; 0 if the system doesn't say."""
    found = []
    with suppress(OSError, StopIteration), open("/proc/meminfo") as file:
        found.append(next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:")))
    with suppress(OSError, ValueError):  # "max" where there is no limit
        most, used = (int(Path("/sys/fs/cgroup", name).read_text()) for name in ("memory.max", "memory.current"))
        found.append(most - used)
    return min(found, default=0)


def _write(work: SearchTask, fold: int, folder: str, stack: ExitStack) -> LaidOut:
    train, test = work.folds[fold]
    order = np.concatenate([train, test])
    others = Rows(
        None,
        None if work.y is None else safe_indexing(work.y, order),
        check_method_params(work.X, params=work.fit_params, indices=order),
        check_method_params(work.X, params=work.score_params, indices=order),
        np.arange(len(train)),
        np.arange(len(train), len(order)),
    )
    file = tempfile.TemporaryFile(prefix="tune-sklearn-", dir=folder)  # noqa: SIM115
    stack.callback(file.close)
    laid = LaidOut(f"/proc/{os.getpid()}/fd/{file.fileno()}", (len(order), *work.X.shape[1:]), work.X.dtype, others)
    # in C's order, as rows taken by number are, whatever the order of X
    np.take(work.X, order, axis=0, out=np.memmap(file, laid.dtype, "r+", shape=laid.shape), mode="clip")
    return laid
